/** What the query services need of the catalog: `Catalog` has it, and a test's own. */
import type { Transaction } from '../../../catalog/model.ts'
import type { CatalogState } from '../../../catalog/state.ts'

export interface CatalogPort {
  /** What was acknowledged. */
  state(): CatalogState
  /**
   * Resolves when it is durable and binding. `build` may be called more than once, and its state is good only during
   * the call; what it throws rejects, and nothing is changed. Rejects CatalogError.
   */
  transact(build: (state: CatalogState) => Transaction): Promise<unknown>
  /** Why changes have to wait for its store; null when they don't. */
  trouble?(): string | null
  /** Is all that it rests on still there? */
  prove?(): Promise<void>
  /** The time of the oldest catalog that can be brought back, ms since 1970; null for one of any age. Rejects CatalogError. */
  oldestRestorableMs?(): Promise<number | null>
  checkpointSoon?(): void
  /** What it keeps under this term, for the term's record; null for nothing to tell. */
  note?(): string | null
}
