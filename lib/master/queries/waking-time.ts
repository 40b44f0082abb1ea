/**
 * Time in which this process was awake. The patience with others is counted in it: a master that was stopped, or whose
 * host was, has not listened meanwhile, so the silence of that time says nothing about anybody.
 */
import type { Clock } from '../../base/clock.ts'

export class WakingTime {
  readonly #clock: Clock
  readonly #longestStepMs: number
  #lastMs: number
  #awakeMs = 0

  /** `now` is to be asked at least every `stepMs`; what a step takes beyond twice that is sleep. */
  constructor(clock: Clock, stepMs: number) {
    this.#clock = clock
    this.#longestStepMs = 2 * stepMs
    this.#lastMs = clock.nowMs()
  }

  nowMs(): number {
    const nowMs = this.#clock.nowMs()
    this.#awakeMs += Math.min(nowMs - this.#lastMs, this.#longestStepMs)
    this.#lastMs = nowMs
    return this.#awakeMs
  }
}
