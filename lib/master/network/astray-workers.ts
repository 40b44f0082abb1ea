/**
 * Workers that can't register, by their own word: what they have under `tajo.rootdir` is not this cluster's, so they know no
 * secret and no directory by which they could prove anything. Anybody may say so; it is told, and nothing follows from it.
 */
import type { Clock } from '../../base/clock.ts'

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
