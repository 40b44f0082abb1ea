import t from 'tap'
import { MASTER_NICENESS, takePrecedence } from '../../../lib/cli/daemon/precedence.ts'

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

t.test('what somebody has chosen is followed', async (t) => {
  for (const chosen of ['0', '7', '-10']) {
    const own = new Threads([7, 0], [8, 0])
    takePrecedence(chosen, own)
    t.same(own.all, [Number(chosen), Number(chosen)], `TAJO_NICENESS=${chosen}`)
  }
  const nice = new Threads([7, 10])
  takePrecedence(undefined, nice)
  t.same(nice.all, [10], 'nice(1), or Nice= of systemd')
  for (const wrong of ['nice', '1.5', '-', '100']) {
    const own = new Threads([7, 0])
    t.throws(() => takePrecedence(wrong, own), {
      message: `TAJO_NICENESS is '${wrong}': allowed is a number from -20 to 19`,
      exitCode: 1,
    })
  }
})

t.test(
  'a user who may not, a thread that ends meanwhile and a missing /proc stop nobody',
  async (t) => {
    const own = new Threads([7, 0], [8, 0])
    const set = (thread: number, niceness: number): void => {
      if (thread === 7) throw new Error('EACCES')
      own.set(thread, niceness)
    }
    takePrecedence(undefined, { threads: own.threads, get: own.get, set })
    t.same(own.all, [0, MASTER_NICENESS])
    const threads = (): never => {
      throw new Error('ENOENT')
    }
    takePrecedence(undefined, { threads, get: own.get, set: own.set })
    t.same(own.all, [0, MASTER_NICENESS])
  },
)
