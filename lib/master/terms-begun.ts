/**
 * Terms of this master by why they began, for metrics. The record of how a term came about is written after it serves, so
 * it is looked for a few times; a term whose record can't be found counts as `unknown`.
 */
import type { Clock } from '../base/clock.ts'
import type { HistoryEntry } from '../ha/index.ts'

const LOOK_MS = 500
const LOOKS = 10

export interface TermsBegunOptions {
  readonly newest: () => Promise<readonly HistoryEntry[]>
  readonly clock: Clock
}

export class TermsBegun {
  readonly counts = new Map<string, number>()
  readonly #options: TermsBegunOptions

  constructor(options: TermsBegunOptions) {
    this.#options = options
  }

  /** A term of this master serves. */
  began(term: number): void {
    void this.#look(term, LOOKS)
  }

  async #look(term: number, left: number): Promise<void> {
    // What can't be read now may be at the next look; the count says in the end that it was not.
    const entries = await this.#options.newest().catch((): readonly HistoryEntry[] => [])
    const entry = entries.find((one) => one.term.term === term)
    if (entry?.served != null || left === 0) {
      const reason = entry === undefined ? 'unknown' : whyBegan(entry)
      this.counts.set(reason, (this.counts.get(reason) ?? 0) + 1)
      return
    }
    this.#options.clock.after(LOOK_MS, () => void this.#look(term, left - 1))
  }
}

/** The predecessor's own last word where it left one: of a killed master its keeper says it. */
export function whyBegan({ term, served }: HistoryEntry): string {
  const said = term.reason === 'released' || term.reason === 'handed-over'
  return (said ? served?.previousEnd?.reason : null) ?? term.reason
}
