/**
 * A store in memory, for tests and for a catalog that nobody has to find again. It keeps all that the contract asks for
 * except durability. Several `MemStore`s on one `MemKept` are what several masters with one store are.
 */

import { CatalogError } from './errors.ts'
import { servedNote } from './shared/begun.ts'
import { CatalogState, EMPTY } from './state.ts'
import type { Batch, Kept, Opened, ReadableStore } from './store.ts'

export interface MemKept {
  state: CatalogState
  term: number
  seq: number
}
export const memKept = (): MemKept => ({
  state: CatalogState.from(EMPTY),
  term: 0,
  seq: 0,
})

export class MemStore implements ReadableStore {
  readonly #kept: MemKept
  #term = 0

  constructor(kept: MemKept = memKept()) {
    this.#kept = kept
  }

  async open(term: number): Promise<Opened> {
    if (term < this.#kept.term) throw stale(term, this.#kept.term)
    if (term > this.#kept.term) Object.assign(this.#kept, { term, seq: 0 })
    this.#term = term
    return { state: this.#kept.state, seq: this.#kept.seq }
  }

  async append({ firstSeq, transactions, after }: Batch): Promise<void> {
    if (this.#term !== this.#kept.term) throw stale(this.#term, this.#kept.term)
    if (firstSeq !== this.#kept.seq + 1) {
      throw new CatalogError('CORRUPT', `change ${firstSeq} does not follow ${this.#kept.seq}`)
    }
    this.#kept.state = after
    this.#kept.seq += transactions.length
  }

  note(): string {
    return servedNote('MemStore')
  }

  async close(): Promise<void> {
    this.#term = 0
  }

  async readOnly(): Promise<Kept> {
    return { data: this.#kept.state.toData(), term: this.#kept.term }
  }
}

const stale = (term: number, newer: number): CatalogError =>
  new CatalogError('STALE_TERM', `term ${newer} has the catalog, this is term ${term}`)
