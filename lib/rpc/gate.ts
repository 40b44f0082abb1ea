/**
 * What the server asks of whoever knows whether this process may act as the active master. `master/active-gate.ts` is
 * the real one.
 */

/** The right to answer one request under one term. */
export interface Pass {
  readonly term: number
  /** Aborts when the term is lost: the work under it is in vain. */
  readonly signal: AbortSignal
  /** To be called right before the answer is sent: throws NOT_ACTIVE if the term is lost meanwhile. */
  confirm(): void
  /** The answer is out, or there is none. */
  leave(): void
}

export interface Gate {
  /** Throws NOT_ACTIVE, naming the active master if it is known. */
  enter(): Pass
}
