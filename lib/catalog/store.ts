/**
 * What every store of the catalog owes: keep transactions durably, in order, under a term, and give all of them back to
 * the next term. It knows nothing of what they mean, reads are answered from memory (`catalog.ts`).
 *
 * The transactions of one term are numbered 1, 2, 3, …: by the number a term finds out whether an `append` whose answer
 * was lost has been kept.
 *
 * A store in memory, for tests and for a catalog that nobody has to find again. It keeps all that the contract asks for
 * except durability. Several `MemStore`s on one `MemKept` are what several masters with one store are.
 */
import type { Turns } from '../base/slices.ts'
import { CatalogError } from './errors.ts'
import type { CatalogData, Transaction } from './model.ts'
import { servedNote } from './shared/begun.ts'
import { CatalogState, type Delta, EMPTY } from './state.ts'

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

/** What a store gives at its opening. */
export interface Opened {
  readonly state: CatalogState
  /** The number of the last transaction that is kept under this very term; 0 when it is opened under it first. */
  readonly seq: number
}

/** How far an opening has come: `done` of `of` in this phase, in whatever it counts; null: nobody knows of how much. */
export interface Progress {
  /** For people, such as `reading the journal`. */
  readonly phase: string
  readonly done: number
  readonly of: number | null
}

/** What an opening may need of its caller. */
export interface Opening {
  readonly onProgress?: (progress: Progress) => void
  /**
   * Resolves after a renewal of the term that began then: what looks like damage, or like nothing at all, may be what a newer
   * term has removed.
   */
  readonly renewed?: Commit
}

/** Transactions that are made durable together. */
export interface Batch {
  /** Of the first one; the last one before it has been kept. */
  readonly firstSeq: number
  /** At least one. */
  readonly transactions: readonly Transaction[]
  /** What all of them change, as rows. */
  readonly delta: Delta
  /** The catalog with all of them. */
  readonly after: CatalogState
}

export interface CatalogStore {
  /**
   * Takes the catalog over for `term` and reads all of it. From the moment it resolves, no `append` of a lower term can
   * become part of what a later `open` reads, except where the caller's commit (`Member.commit`) is what decides
   * (SharedStore). Called again under the same term it starts anew: after an `append` that rejected UNAVAILABLE.
   * A store that tells its progress is given up when it makes none for long; one that doesn't bounds its calls itself.
   * Rejects CatalogError: IN_USE, STALE_TERM, UNAVAILABLE, FULL, CORRUPT, BAD_STORE.
   */
  open(term: number, signal: AbortSignal, opening?: Opening): Promise<Opened>
  /**
   * Durable, all of them and in this order, when it resolves; one call at a time. Rejects CatalogError: FULL, BAD_STORE
   * (not kept, the store goes on), STALE_TERM (not kept, and never again under this term), UNAVAILABLE (all or none are
   * kept: `open` again under the same term and look at `seq`).
   */
  append(batch: Batch): Promise<void>
  /** All changes up to that number are acknowledged: a renewal succeeded that began after they were durable. */
  confirmed?(seq: number): void
  /**
   * Beside the commit: is what was appended still what its name leads to? Stores whose server keeps its own files have no
   * need of it. `everything`: what the whole term rests on, and what can be made again is made again. Rejects CatalogError:
   * GONE, or UNAVAILABLE where nobody can tell now.
   */
  prove?(what: 'appended' | 'everything'): Promise<void>
  /**
   * Puts `state` in the place of whatever is kept, under a term that the caller holds, and reads nothing: after GONE, and
   * where what is kept can't be read. The next `open` finds it; it has to be opened again before anything is appended.
   * Answers what `note` would. Rejects CatalogError as `append`.
   */
  replace?(term: number, state: CatalogState): Promise<string>
  /** The highest term that is known to have had it, whatever is left of that; 0 for none. Rejects CatalogError as `open`. */
  newestTerm?(): Promise<number>
  /**
   * For a backup, now and then: brings what this process knows of the catalog up to what is there, so that an opening has
   * little left to read. Disturbs nobody, and concludes nothing. Rejects CatalogError as `open`.
   */
  follow?(turns?: Turns): Promise<void>
  /**
   * The time of the oldest catalog that `tajo catalog restore` could bring back, ms since 1970 by the clock of the master
   * that kept it; null for one of any age. A store of which nothing is brought back leaves it out. Rejects CatalogError as
   * `open`.
   */
  oldestRestorableMs?(): Promise<number | null>
  /** Lets the oldest one become newer soon, where anything was changed since; a store without the former leaves it out. */
  checkpointSoon?(): void
  /** What this term keeps and where, as a text for the term's record; `begun.ts` reads it. */
  note?(): string
  /** The term is over, or the process ends. Waits for no call that hangs. */
  close(): Promise<void>
}

/** What is kept, and the highest term that ever opened it: 0 and the empty catalog where nothing is. */
export interface Kept {
  readonly data: CatalogData
  readonly term: number
}

/** Whose a catalog is. */
export interface Origin {
  /** The cluster that it is bound to; null for none yet. */
  readonly clusterId: string | null
  /** The highest term that ever opened it; 0 for none. */
  readonly term: number
}

export interface LookOptions {
  /** A master may have it open meanwhile. */
  readonly besideMasters?: boolean
}

/** A store that can also be read without being taken over. */
export interface ReadableStore extends CatalogStore {
  /**
   * Asked before a master joins or forms a cluster with it. Creates nothing and disturbs nobody. Left out where nothing is
   * kept. Rejects CatalogError as `open`.
   */
  origin?(): Promise<Origin>
  /**
   * What is kept now; while a master is active, that may include what it has not acknowledged yet. Creates nothing and
   * disturbs nobody. Rejects CatalogError as `open`.
   */
  readOnly(options?: LookOptions): Promise<Kept>
}

/** Makes a transaction binding: resolves when the term was still ours after it had become durable. */
export type Commit = () => Promise<void>
