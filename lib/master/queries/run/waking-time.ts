/**
 * Time in which this process was awake and could be heard. The patience with others is counted in it: a master that was
 * stopped, or whose host was, has not listened meanwhile, and one that is suspended by its storage refuses whoever calls,
 * so the silence of that time says nothing about anybody. Others may need a while to find back after a time of refusals:
 * `anewMs` says from when their silence counts at the earliest.
 */
import type { Clock } from '../../../base/time.ts'

export class WakingTime {
  readonly #clock: Clock
  readonly #longestStepMs: number
  readonly #mayServe: () => boolean
  #lastMs: number
  #awakeMs = 0
  #refuses = false
  #anewMs = 0

  /** `now` is to be asked at least every `stepMs`; what a step takes beyond twice that is sleep. */
  constructor(clock: Clock, stepMs: number, mayServe: () => boolean) {
    this.#clock = clock
    this.#longestStepMs = 2 * stepMs
    this.#mayServe = mayServe
    this.#lastMs = clock.nowMs()
  }

  nowMs(): number {
    const nowMs = this.#clock.nowMs()
    const stepMs = nowMs - this.#lastMs
    this.#lastMs = nowMs
    const refused = this.#refuses
    this.#refuses = !this.#mayServe()
    if (!this.#refuses && !refused) this.#awakeMs += Math.min(stepMs, this.#longestStepMs)
    if (!this.#refuses && refused) this.#anewMs = this.#awakeMs
    return this.#awakeMs
  }

  /** When it last began to serve again, in its own time; 0 when it always did. */
  get anewMs(): number {
    return this.#anewMs
  }
}
