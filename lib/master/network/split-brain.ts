/**
 * The alarm that must never ring: another master serves while this one does.
 *
 * A line that was sent before a hand-over may arrive after it, so a suspicion is no alarm yet: the other master is asked
 * again. If it says that it serves, and this one held one and the same term from before the question until after the
 * answer, both served at one moment. Nothing here ends a lease; people must learn of it.
 */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Standing } from '../../rpc/index.ts'
import type { Rights } from '../active-gate.ts'

/** A warning stays on the status page for so long after the last time. */
const SHOWN_MS = 24 * 3600 * 1000

export interface SplitBrainOptions {
  readonly rights: Rights
  readonly clock: Clock
  readonly log: Log
  /** Asks a master how it stands now; null when it doesn't answer. */
  readonly ask: (address: string) => Promise<Standing | null>
}

export class SplitBrainAlarm {
  readonly #options: SplitBrainOptions
  readonly #asking = new Set<string>()
  #last: { readonly atMs: number; readonly text: string } | null = null
  #count = 0

  constructor(options: SplitBrainOptions) {
    this.#options = options
  }

  /** How often it has rung. */
  get count(): number {
    return this.#count
  }

  warnings(): string[] {
    const last = this.#last
    return last !== null && this.#options.clock.nowMs() - last.atMs < SHOWN_MS ? [last.text] : []
  }

  /** To be called for everything that another master says of itself. */
  async heard(other: Standing): Promise<void> {
    const { rights, ask } = this.#options
    if (!other.serving || !rights.mayServe() || this.#asking.has(other.address)) return
    this.#asking.add(other.address)
    try {
      const term = rights.term()
      const now = await ask(other.address)
      if (now?.serving === true && rights.mayServe() && rights.term() === term && term !== null) {
        this.#ring(now, term)
      }
    } finally {
      this.#asking.delete(other.address)
    }
  }

  #ring(other: Standing, term: number): void {
    this.#count += 1
    const text = `two masters serve at once: ${other.address} in term ${other.epoch}, this one in term ${term}. Stop one of them now; the shared directory does not do what the protocol needs (tajo haadmin -checkSharedDir)`
    this.#last = { atMs: this.#options.clock.nowMs(), text }
    this.#options.log('error', text, { other: other.address, otherEpoch: other.epoch, term })
  }
}
