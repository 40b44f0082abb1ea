/** A worker's tie to the active master, whose calls are answered here. */
import t from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import { RpcError } from '../../../lib/rpc/index.ts'
import { Follow } from '../../../lib/worker/follow.ts'
import type { ActiveMaster } from '../../../lib/worker/masters.ts'
import { TaskList } from '../../../lib/worker/task-list.ts'
import { until } from '../../support/until.ts'

/** One that is active under this term until it is killed. */
class FakeMaster {
  readonly epoch: number
  /** What it was asked, in order. */
  readonly asked: string[] = []
  #kill: () => void = () => {}

  constructor(epoch: number) {
    this.epoch = epoch
  }

  kill(): void {
    this.#kill()
  }

  get active(): ActiveMaster {
    const { epoch } = this
    const call = async (method: string): Promise<unknown> => {
      this.asked.push(method)
      return { epoch, known: true, forget: [] }
    }
    const stream = (method: string, _: unknown, { signal }: { signal: AbortSignal }) => {
      return new Promise<never>((_resolve, reject) => {
        const end = (): void => reject(new RpcError('UNAVAILABLE', 'the connection broke'))
        if (signal.aborted) return end()
        this.asked.push(method)
        this.#kill = end
        signal.addEventListener('abort', end)
      })
    }
    const addresses = { tracker: `localhost:${epoch}`, catalog: `localhost:${epoch}` }
    return { addresses, term: epoch, tracker: { call, stream } } as unknown as ActiveMaster
  }
}

t.test('a worker registers once with each master that becomes active', async (t) => {
  const masters = [1, 2, 3].map((epoch) => new FakeMaster(epoch))
  let newest = 0
  const address = 'localhost:1'
  const follow: Follow = new Follow({
    masters: { findActive: async () => masters[newest]?.active ?? null } as never,
    worker: {
      ...{ workerId: address, incarnation: 'a', host: 'here', pid: 1, version: '0' },
      addresses: { qm: address, clientRpc: address, peer: address, infoHttp: address },
      ...{ cores: 1, memoryBytes: 1024 ** 3, slots: 1 },
    },
    tasks: new TaskList({
      ...{ slots: 1, maxRunMs: 0, clock: systemClock },
      start: () => {
        throw new Error('this worker runs nothing')
      },
      onChange: () => {},
    }),
    ...{ idleMs: 600_000, activeMs: 600_000, silenceMs: 600_000 },
    // As a worker has it, whose directory shows each of them.
    onTerm: (heard) => follow.onNewerTerm(heard),
    ...{ storage: () => null, spill: () => null, proven: () => null },
    onRegistered: () => {},
    onForbidden: async () => {},
    clock: systemClock,
    random: () => 0,
    log: () => {},
  })
  follow.start()
  t.teardown(() => follow.stop())
  for (const [at, master] of masters.entries()) {
    newest = at
    masters[at - 1]?.kill()
    await until(`term ${master.epoch} is followed`, () => master.asked.includes('follow'))
    t.same(master.asked, ['register', 'follow'])
    t.equal(follow.active?.term, master.epoch)
  }
  const [before, last] = [new FakeMaster(3), new FakeMaster(4)]
  masters.push(last)
  newest = masters.length - 1
  follow.onNewerTerm(before.epoch)
  t.same(last.asked, [], 'its own term is none that is newer')
  follow.onNewerTerm(last.epoch)
  await until('a newer one is looked for at once', () => last.asked.includes('follow'))
  t.same(last.asked, ['register', 'follow'])
})
