/**
 * What a process knows of the catalog from one look to the next, whether it is a backup or has the term: a state and the
 * place that it is the state of. It is good for nothing but reading on from there, where that place lies on the chain of
 * whatever is read next (chain.ts), or in the history of the database (sql-history.ts).
 */
import type { Known } from './chain.ts'
import type { KnownRows } from './sql-known.ts'

export class Memory {
  known: Known | null = null
  /** Of a catalog in a database, instead. */
  rows: KnownRows | null = null
  #openings = 0

  /** How often a term was opened: a look that began before must not put back what is in the term's hands. */
  get openings(): number {
    return this.#openings
  }

  /** It goes on in an open term; what it was before would only be kept. */
  handOver(): void {
    this.known = null
    this.rows = null
    this.#openings += 1
  }
}
