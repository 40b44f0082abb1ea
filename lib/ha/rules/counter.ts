/** The mtimes that a keeper writes: strictly growing, and near the wall clock only so that `ls -l` reads well. */
import { LOWEST_COUNTER_MS } from '../words/layout.ts'
import type { Clock } from '../world/ports.ts'

export class Counter {
  readonly #clock: Clock
  readonly #stepMs: number
  #lastMs = LOWEST_COUNTER_MS

  /** `stepMs`: the file system tells mtimes apart from this difference on. */
  constructor(clock: Clock, stepMs: number) {
    this.#clock = clock
    this.#stepMs = stepMs
  }

  next(): number {
    this.#lastMs = Math.max(this.#lastMs + this.#stepMs, this.#clock.wallMs())
    return this.#lastMs
  }
}
