/**
 * How long a call takes on this host's storage, lately: the median of the last few, so that one peak says nothing and a
 * storage that has become slow is noticed within some renewal periods.
 */
const KEPT = 9

export class Pace {
  #lastMs: number[] = []

  /** Takes one in and gives the median, ms. */
  add(ms: number): number {
    this.#lastMs = [...this.#lastMs, ms].slice(-KEPT)
    const sorted = [...this.#lastMs].sort((a, b) => a - b)
    return sorted[Math.floor(sorted.length / 2)] ?? ms
  }
}
