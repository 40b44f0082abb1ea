import t from 'tap'
import { MASTER_NICENESS, takePrecedence } from '../../../lib/cli/precedence.ts'

const systemError = (code: string): Error => Object.assign(new Error(code), { info: { code } })

class Threads {
  readonly niceness: Map<number, number>
  constructor(...niceness: [number, number][]) {
    this.niceness = new Map(niceness)
  }
  threads = (): number[] => [...this.niceness.keys()]
  get = (thread: number): number => this.niceness.get(thread) ?? 0
  set = (thread: number, niceness: number): void => void this.niceness.set(thread, niceness)
  get all(): number[] {
    return [...this.niceness.values()]
  }
}

t.test('every thread of a master that nobody has given a niceness', async (t) => {
  const own = new Threads([7, 0], [8, 0])
  takePrecedence(undefined, own)
  t.same(own.all, [MASTER_NICENESS, MASTER_NICENESS])
  const empty = new Threads([7, 0])
  takePrecedence('', empty)
  t.same(empty.all, [MASTER_NICENESS], 'as the scripts export what is not set')
})

t.test('what somebody has chosen stays', async (t) => {
  for (const chosen of ['0', '7', '-10']) {
    const own = new Threads([7, 0])
    takePrecedence(chosen, own)
    t.same(own.all, [0], `TAJO_NICENESS=${chosen}`)
  }
  const nice = new Threads([7, 10])
  takePrecedence(undefined, nice)
  t.same(nice.all, [10], 'nice(1), or Nice= of systemd')
})

t.test('a user who may not raise it, and a thread that ends meanwhile', async (t) => {
  for (const code of ['EACCES', 'EPERM', 'ESRCH']) {
    const own = new Threads([7, 0], [8, 0])
    const set = (thread: number, niceness: number): void => {
      if (thread === 7) throw systemError(code)
      own.set(thread, niceness)
    }
    takePrecedence(undefined, { threads: own.threads, get: own.get, set })
    t.same(own.all, [0, MASTER_NICENESS], code)
  }
  const own = new Threads([7, 0])
  const set = (): never => {
    throw systemError('EINVAL')
  }
  t.throws(() => takePrecedence(undefined, { threads: own.threads, get: own.get, set }), /EINVAL/)
})
