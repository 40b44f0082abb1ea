/**
 * Workers without an engine behind them, in this process: each with its connections, its stream and its heartbeats, as
 * the master sees a real one at rest. They run nothing, so nobody may send queries while they are there.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../lib/base/time.ts'
import { Follow } from '../../lib/worker/follow.ts'
import { type MasterAddresses, Masters } from '../../lib/worker/masters.ts'
import { TaskList } from '../../lib/worker/task-list.ts'
import { until } from './until.ts'

export interface IdleOptions {
  readonly clusterId: string
  readonly secret: string
  readonly addresses: readonly MasterAddresses[]
  readonly idleMs: number
}

export class IdleWorkers {
  readonly #options: IdleOptions
  readonly #followers: Follow[] = []
  readonly #known: Masters[] = []

  constructor(options: IdleOptions) {
    this.#options = options
  }

  /** Resolves when all have registered. They come one after the other, as at the start of a cluster. */
  async start(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      const one = this.#follower(i)
      this.#followers.push(one)
      one.start()
      if (i % 20 === 0) await sleep(10)
    }
    const all = (): boolean => this.#followers.every(({ registrations }) => registrations > 0)
    await until('all have registered', all, { patience: 3 })
  }

  get registrations(): number {
    return this.#followers.reduce((sum, one) => sum + one.registrations, 0)
  }

  async stop(): Promise<void> {
    await Promise.all(this.#followers.map((one) => one.stop()))
    await Promise.all(this.#known.map((masters) => masters.close()))
  }

  #follower(index: number): Follow {
    const { addresses, clusterId, secret, idleMs } = this.#options
    const masters = new Masters({
      addresses,
      // Always the same ones.
      readAddresses: async () => [],
      readMembers: async () => [],
      clusterId: () => clusterId,
      secret: () => secret,
      onForeign: () => undefined,
      // Each term counts that a master says.
      term: () => 0,
      doubt: async () => null,
      onDoubted: () => undefined,
      clock: systemClock,
      log: () => undefined,
    })
    this.#known.push(masters)
    const port = String(30_000 + index)
    const tasks = new TaskList({
      ...{ slots: 4, maxRunMs: 0, clock: systemClock },
      start: () => {
        throw new Error('these workers run nothing')
      },
      onChange: () => undefined,
    })
    return new Follow({
      storage: () => null,
      spill: () => null,
      proven: () => null,
      onRegistered: () => undefined,
      masters,
      worker: {
        workerId: `host${index}:28091`,
        incarnation: `${index}`,
        host: `host${index}`,
        pid: 1,
        version: '0',
        addresses: {
          qm: `localhost:${port}`,
          clientRpc: `localhost:${port}`,
          peer: `localhost:${port}`,
          infoHttp: `localhost:${port}`,
        },
        cores: 4,
        memoryBytes: 1024 ** 3,
        slots: 4,
      },
      tasks,
      idleMs,
      activeMs: 1000,
      silenceMs: 3 * idleMs,
      onTerm: () => undefined,
      onForbidden: async () => undefined,
      clock: systemClock,
      random: Math.random,
      log: () => undefined,
    })
  }
}
