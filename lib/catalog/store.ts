/**
 * What every store of the catalog owes: keep transactions durably, in order, under a term, and give all of them back to
 * the next term. It knows nothing of what they mean, reads are answered from memory (`catalog.ts`).
 */
import type { CatalogData, Transaction } from './model.ts'

export interface CatalogStore {
  /**
   * Takes the catalog over for `term` and reads all of it. From the moment it resolves, no `append` of a lower term can
   * become part of what a later `open` reads, except where the caller's commit (`Member.commit`) is what decides
   * (SharedStore). Called again under the same term it starts anew: after an `append` that rejected UNAVAILABLE.
   * Rejects CatalogError: IN_USE, STALE_TERM, UNAVAILABLE, CORRUPT, BAD_STORE.
   */
  open(term: number, signal: AbortSignal): Promise<CatalogData>
  /**
   * Durable, all of them and in this order, when it resolves; one call at a time. Rejects CatalogError: FULL (not kept,
   * the store goes on), STALE_TERM (not kept, and never again under this term), UNAVAILABLE (kept or not: `open` again
   * under the same term and look for them).
   */
  append(transactions: readonly Transaction[]): Promise<void>
  /** The term is over, or the process ends. Waits for no call that hangs. */
  close(): Promise<void>
}

/** Makes a transaction binding: resolves when the term was still ours after it had become durable. */
export type Commit = () => Promise<void>
