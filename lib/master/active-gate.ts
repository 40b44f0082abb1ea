/**
 * The one door to everything that only the active master may do.
 *
 * A request passes it twice: on its way in, where the lease is looked at by the clock of that moment, and right before
 * its answer leaves, where the same term must still be held. A process that was frozen in between finds the term gone
 * and answers NOT_ACTIVE. What has passed in is counted, so that a planned hand-over can wait for its end.
 */

import { RpcError } from '../rpc/index.ts'
import type { Gate, Pass } from '../serve/index.ts'

/** What the election grants; `Member` does. */
export interface Rights {
  /** New requests may be accepted. */
  mayServe(): boolean
  /** The term under which accepted requests may be answered, or null. */
  term(): number | null
}

/** What a refused caller is told. */
export interface Whereabouts {
  readonly active: string | null
  readonly epoch: number
}

export class ActiveGate implements Gate {
  readonly #rights: Rights
  readonly #whereabouts: () => Whereabouts
  readonly #drained: (() => void)[] = []
  #term: { readonly number: number; readonly signal: AbortSignal } | null = null
  #inFlight = 0

  constructor(rights: Rights, whereabouts: () => Whereabouts) {
    this.#rights = rights
    this.#whereabouts = whereabouts
  }

  /** A term's services are open; `signal` aborts with the term. */
  open(term: number, signal: AbortSignal): void {
    this.#term = { number: term, signal }
  }

  /** Resolves when nothing that was accepted is unanswered. Nothing new gets in while the election has stopped it. */
  drained(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve()
    return new Promise((resolve) => this.#drained.push(resolve))
  }

  close(): void {
    this.#term = null
  }

  get inFlight(): number {
    return this.#inFlight
  }

  enter(): Pass {
    const term = this.#term
    if (term === null || !this.#rights.mayServe() || this.#rights.term() !== term.number) {
      throw this.#notActive('this master is not active')
    }
    this.#inFlight += 1
    let inside = true
    return {
      term: term.number,
      signal: term.signal,
      confirm: () => {
        if (this.#rights.term() === term.number) return
        throw this.#notActive('this master lost its term before it could answer')
      },
      leave: () => {
        if (inside) this.#left()
        inside = false
      },
    }
  }

  #left(): void {
    this.#inFlight -= 1
    if (this.#inFlight > 0) return
    for (const resolve of this.#drained.splice(0)) resolve()
  }

  #notActive(message: string): RpcError {
    const { active, epoch } = this.#whereabouts()
    const where =
      active === null ? 'no active master is known' : `the active master is at ${active}`
    return new RpcError('NOT_ACTIVE', `${message}; ${where}`, { active, epoch })
  }
}
