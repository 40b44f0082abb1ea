/**
 * Workers that can't register, by their own word: what they have under `tajo.rootdir` is not this cluster's, so they know no
 * secret and no directory by which they could prove anything. Anybody may say so; it is told, and nothing follows from it.
 *
 * Which workers a master asks over the network. The active lets the others know them, so that they can ask them as well:
 * those that are registered, and those of the last ten minutes. Those that it has lost stay among them: an active that none
 * of them reaches must not take that for a cluster without any, and a backup that still reaches them has to go on asking
 * them. So a backup remembers those that it was let know, for the time when it is the active itself. Pure.
 */
import type { Clock } from '../../base/time.ts'
import type { KnownWorker } from '../../ha/index.ts'

/** Workers are asked for so long after they were last registered, with this master or with the active before it. */
const REMEMBERED_MS = 600_000
/** So many are let known: of others nobody needs to ask more. */
const MOST_WORKERS = 16

interface WorkersNow {
  /** This master is the active one. */
  readonly serving: boolean
  /** With it. */
  readonly registered: readonly KnownWorker[]
  /** What the active has let known; none while nobody is active. */
  readonly published: readonly KnownWorker[]
}

export class KnownWorkers {
  /** By address. */
  readonly #remembered = new Map<
    string,
    { readonly worker: KnownWorker; readonly untilMs: number }
  >()

  /** By address; the registered ones are the last to be left out. */
  toAsk({ serving, registered, published }: WorkersNow, nowMs: number): readonly KnownWorker[] {
    const now = serving ? registered : published
    this.#remember(now, nowMs)
    if (!serving && published.length > 0) return published
    const others = [...this.#remembered.values()].map(({ worker }) => worker)
    const all = new Map([...now, ...others].map((worker) => [worker.address, worker]))
    const some = [...all.values()].slice(0, MOST_WORKERS)
    return some.sort((a, b) => (a.address < b.address ? -1 : 1))
  }

  #remember(workers: readonly KnownWorker[], nowMs: number): void {
    for (const worker of workers) {
      this.#remembered.set(worker.address, { worker, untilMs: nowMs + REMEMBERED_MS })
    }
    for (const [address, { untilMs }] of this.#remembered) {
      if (untilMs <= nowMs) this.#remembered.delete(address)
    }
  }
}

/** They say it once a second (lib/worker, masters.ts). */
const SAID_MS = 5000
const MOST = 16

export interface AstrayWorker {
  readonly address: string
  readonly host: string
  readonly why: string
  /** The caller's IP address, which is no word of its own. */
  readonly from: string
}

export class AstrayWorkers {
  readonly #clock: Clock
  readonly #said = new Map<string, AstrayWorker & { readonly atMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  hear(worker: AstrayWorker): void {
    this.#forgetOld()
    if (this.#said.size >= MOST && !this.#said.has(worker.address)) return
    this.#said.set(worker.address, { ...worker, atMs: this.#clock.nowMs() })
  }

  /** A sentence each, but for those that are registered after all. */
  told(registered: readonly { readonly address: string }[]): string[] {
    this.#forgetOld()
    return [...this.#said.values()]
      .filter(({ address }) => !registered.some((one) => one.address === address))
      .map(
        ({ address, host, from, why }) =>
          `worker ${address} on ${host} (${from}) is not registered and gets no queries: ${why}`,
      )
  }

  #forgetOld(): void {
    const sinceMs = this.#clock.nowMs() - SAID_MS
    for (const [address, { atMs }] of this.#said) if (atMs < sinceMs) this.#said.delete(address)
  }
}
