/**
 * The term that this master holds, how far it is with it, and until when it may act: rights are read from the clock at
 * the moment of acting, since a frozen process fires no timers.
 */
import type { TakeOver } from '../rules/take-over.ts'
import type { HaError } from '../words/errors.ts'
import type { Resume } from '../words/messages.ts'
import type { Clock } from '../world/ports.ts'
import type { MasterState } from './member-api.ts'

interface Held {
  readonly term: number
  readonly takeOver: TakeOver
  readonly abort: AbortController
  /** `opened`: its catalog is, and the keeper's word is waited for. */
  readonly is: 'activating' | 'opened' | 'serving' | 'draining'
}

export class HeldTerm {
  readonly #clock: Clock
  #held: Held | null = null
  #untilMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Null when none is held. */
  get is(): Held['is'] | null {
    return this.#held?.is ?? null
  }

  /** Held, whether or not it may act just now; 0 for none. */
  get number(): number {
    return this.#held?.term ?? 0
  }

  /** Serving or draining: what was accepted under it may still be acknowledged once the lease holds. */
  get acting(): boolean {
    return this.is === 'serving' || this.is === 'draining'
  }

  /** Its catalog is open, whether or not it serves yet. */
  get hasOpened(): boolean {
    return this.is === 'opened' || this.acting
  }

  /** Tells that of the lease, ms; null when not acting. */
  get marginMs(): number | null {
    return this.acting ? Math.max(0, this.#untilMs - this.#clock.nowMs()) : null
  }

  holds(term: number): boolean {
    return this.#held?.term === term
  }

  mayServe(): boolean {
    return this.is === 'serving' && this.#inTime()
  }

  /** Requests accepted before a planned hand-over may still finish while it drains. */
  mayFinish(): boolean {
    return this.acting && this.#inTime()
  }

  /** Its lease holds, whether it serves already or not. */
  isOurs(): boolean {
    return this.#held !== null && this.#inTime()
  }

  /** The state that it means for the master; null when none is held. */
  state(): MasterState | null {
    if (this.is === null) return null
    if (this.is === 'activating' || this.is === 'opened') return 'activating'
    if (this.is === 'draining') return 'stepping-down'
    return this.#inTime() ? 'active' : 'suspended'
  }

  /** What a new keeper has to know, to go on with it. */
  resume(): Resume | null {
    if (this.#held === null) return null
    const { term, takeOver } = this.#held
    return { term, untilMs: this.#untilMs, serving: this.acting, takeOver }
  }

  /** The answer aborts when the term ends. */
  begin(term: number, untilMs: number, takeOver: TakeOver): AbortSignal {
    const abort = new AbortController()
    this.#held = { is: 'activating', term, takeOver, abort }
    this.#untilMs = untilMs
    return abort.signal
  }

  /** False for any term but the one that is being activated. */
  open(term: number): boolean {
    if (this.#held?.is !== 'activating' || this.#held.term !== term) return false
    this.#held = { ...this.#held, is: 'opened' }
    return true
  }

  /** False unless that term is open and does not serve yet. */
  serve(term: number): boolean {
    if (this.#held?.is !== 'opened' || this.#held.term !== term) return false
    this.#held = { ...this.#held, is: 'serving' }
    return true
  }

  /** False unless that term is served. */
  drain(term: number): boolean {
    if (this.#held?.is !== 'serving' || this.#held.term !== term) return false
    this.#held = { ...this.#held, is: 'draining' }
    return true
  }

  /** Sets the lease's new deadline, on the monotonic clock. */
  extend(term: number, untilMs: number): void {
    if (this.holds(term)) this.#untilMs = untilMs
  }

  /** No right is left until the next lease. */
  suspend(term: number): void {
    this.extend(term, Number.NEGATIVE_INFINITY)
  }

  /** Ends it for good. Synchronous, so that not one request is served after it. */
  end(reason: HaError): void {
    const held = this.#held
    this.#held = null
    this.#untilMs = Number.NEGATIVE_INFINITY
    held?.abort.abort(reason)
  }

  #inTime(): boolean {
    return this.#clock.nowMs() < this.#untilMs
  }
}
