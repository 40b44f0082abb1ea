/**
 * These are this master's requests over the clients' network: the other masters, the workers, the witnesses. Who answers
 * decides nothing here: the election compares it with what the others hear (lib/ha, network-offer.ts).
 *
 * The active knows its workers by their registration, and lets the others know them through the directory
 * (astray-workers.ts).
 */

import { splitHostPort } from '../../base/host-port.ts'
import type { Clock } from '../../base/time.ts'
import { RpcClient } from '../../call/index.ts'
import {
  type Answer,
  type Hearing,
  type KnownWorker,
  type MemberView,
  NetworkEar,
  type Target,
  type Timing,
} from '../../ha/index.ts'
import { RpcError } from '../../rpc/index.ts'
import { othersOf } from '../view/cluster-view.ts'
import { KnownWorkers } from './astray-workers.ts'
import { askWitness } from './split-brain.ts'

export interface NetworkOptions {
  readonly timing: Timing
  /** `Holder.network` of this host. */
  readonly network: string
  /** `host:port` or `host`. */
  readonly witnesses: readonly string[]
  readonly clusterId: () => string
  readonly secret: () => string
  readonly term: () => number
  /** Since when the streams of the other masters are silent; null when none is. */
  readonly quietSinceMs: (limitMs: number) => number | null
  /** Registered with this master. */
  readonly registered: () => readonly KnownWorker[]
  readonly tell: (hearing: Hearing) => void
  readonly clock: Clock
}

/** Signs of life on a stream come each 2P, of this master's P. */
const QUIET_PERIODS = 3

/** One member to ask. */
interface Line {
  ask(deadlineMs: number): Promise<unknown>
  close(): Promise<void>
}

export class MasterNetwork {
  readonly #options: NetworkOptions
  readonly #ear: NetworkEar
  readonly #lines = new Map<string, Line>()
  #serving = false
  readonly #known = new KnownWorkers()
  #others: Target[] = []
  #published: readonly KnownWorker[] = []
  #cancel = (): void => {}

  constructor(options: NetworkOptions) {
    const { clock, timing, network, quietSinceMs, tell } = options
    this.#options = options
    const ask = (target: Target, limitMs: number): Promise<Answer> =>
      this.#ask(target, Math.ceil(limitMs))
    this.#ear = new NetworkEar({ clock, timing, network, ask, quietSinceMs, tell })
    this.#look()
  }

  /** It is to be called at each new view of the election. */
  follow(view: MemberView, serving: boolean): void {
    this.#serving = serving
    this.#others = othersOf(view).map(
      ({ address, network = null }): Target => ({ kind: 'master', address, network }),
    )
    this.#published = view.network.workers
    this.#follow()
  }

  /** The election needs a new measure, or no more. */
  want(wanted: boolean): void {
    this.#ear.want(wanted)
  }

  async close(): Promise<void> {
    this.#cancel()
    this.#ear.close()
    await Promise.all([...this.#lines.values()].map((line) => line.close()))
  }

  /** Streams that fall silent, and workers that come and go, make no event of their own. */
  #look(): void {
    const { clock, timing, quietSinceMs } = this.#options
    this.#cancel = clock.after(timing.pollMs, () => {
      const sinceMs = quietSinceMs(QUIET_PERIODS * timing.renewMs)
      if (sinceMs !== null) this.#ear.suspect(sinceMs)
      if (this.#serving) this.#follow()
      this.#look()
    })
  }

  #follow(): void {
    const { witnesses, registered, clock } = this.#options
    const serving = this.#serving
    const now = { serving, registered: registered(), published: this.#published }
    const workers = this.#known.toAsk(now, clock.nowMs())
    const targets = [
      ...workers.map((worker): Target => ({ kind: 'worker', ...worker })),
      ...witnesses.map((address): Target => ({ kind: 'witness', address, network: null })),
      ...this.#others,
    ]
    this.#ear.follow(targets, serving ? workers : [])
    this.#forget(new Set(targets.map(keyOf)))
  }

  #forget(wanted: ReadonlySet<string>): void {
    for (const [key, line] of this.#lines) {
      if (wanted.has(key)) continue
      this.#lines.delete(key)
      void line.close()
    }
  }

  async #ask(target: Target, limitMs: number): Promise<Answer> {
    if (target.kind === 'witness') return askWitness(target.address, limitMs)
    if (splitHostPort(target.address) === null) return 'silent'
    try {
      await this.#line(target, limitMs).ask(limitMs)
      return 'answered'
    } catch (error) {
      return verdictOf(error)
    }
  }

  #line(target: Target, limitMs: number): Line {
    const known = this.#lines.get(keyOf(target))
    if (known !== undefined) return known
    const { clusterId, secret, term, clock } = this.#options
    const options = { clusterId, secret, term, clock, connectTimeoutMs: limitMs }
    const line =
      target.kind === 'master'
        ? masterLine(new RpcClient('umbilical', target.address, options))
        : workerLine(new RpcClient('worker', target.address, options))
    this.#lines.set(keyOf(target), line)
    return line
  }
}

const masterLine = (client: RpcClient<'umbilical'>): Line => ({
  ask: (deadlineMs) => client.call('status', {}, { deadlineMs }),
  close: () => client.close(),
})

const workerLine = (client: RpcClient<'worker'>): Line => ({
  ask: (deadlineMs) => client.call('status', {}, { deadlineMs }),
  close: () => client.close(),
})

const keyOf = ({ kind, address }: Target): string => `${kind} ${address}`

/** A host that refuses the connection has answered, and so has a stranger; neither is the one that was asked. */
function verdictOf(error: unknown): Answer {
  if (!(error instanceof RpcError)) throw error
  if (error.code === 'TIMEOUT') return 'silent'
  if (error.code !== 'UNAVAILABLE') return 'refused'
  return (error.cause as { code?: unknown } | undefined)?.code === 'ECONNREFUSED'
    ? 'refused'
    : 'silent'
}
