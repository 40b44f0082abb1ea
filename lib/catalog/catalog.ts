/**
 * The catalog of one active master: reads from memory, changes one after the other through the store.
 *
 * - What is acknowledged, and when, is decided in each term by itself (open-term.ts), with patience for a store that does not
 *   answer (patience.ts).
 * - Beside the commit the store proves that what it appended is still under its name. Where it isn't, nothing is acknowledged
 *   any more: all that is in memory is written anew, for as long as that takes, since it may be the only copy; then `onGone`
 *   gives the term up. So it does where a higher term has the store.
 * - A store that can't be cleared up ends it: nobody knows what was kept, so whoever waits is told NOT_ACTIVE, as at the
 *   end of a term, and `onBroken` is to make that true. Another master can read back what is there, or say why not.
 */

import type { Log } from '../base/log.ts'
import type { Clock } from '../base/time.ts'
import { notActive } from './errors.ts'
import type { Transaction } from './model.ts'
import { OpenTerm } from './open-term.ts'
import { openPatiently } from './patience.ts'
import type { CatalogState } from './state.ts'
import type { CatalogStore, Commit } from './store.ts'

export interface CatalogOptions {
  readonly store: CatalogStore
  readonly commit: Commit
  readonly clock: Clock
  readonly log: Log
  /** Waiting changes beyond this are refused UNAVAILABLE. */
  readonly queueMax?: number
  /** How long a change waits for a store that doesn't answer before its caller is told. */
  readonly patienceMs?: number
  /** How long a store that isn't available is tried to be opened, and one that opens may make no progress. */
  readonly openPatienceMs?: number
  /** The store is CORRUPT, or worse: no change is possible any more. Called once a term at most. */
  readonly onBroken?: (error: Error) => void
  /**
   * To give the term up: its files were removed, and are written anew, or a higher term has the store. It is called once
   * a term at most.
   */
  readonly onGone?: (why: string) => void
}

/** What an opening may need of its caller. */
interface CatalogOpening {
  readonly onTrouble?: (why: string, cause?: unknown) => void
  /** Resolves after a renewal of the term that began then. */
  readonly renewed?: () => Promise<void>
}

/**
 * Makes a transaction from the newest state, which is good during the call only. It may be called more than once (when
 * a change before it was refused by the store), so it must do nothing but decide.
 */
export type Build = (state: CatalogState) => Transaction

export class Catalog {
  readonly #options: Required<CatalogOptions>
  /** Null when no term is open. */
  #term: OpenTerm | null = null

  constructor(options: CatalogOptions) {
    const defaults = {
      queueMax: 10_000,
      patienceMs: 30_000,
      openPatienceMs: 30_000,
      onBroken: () => {},
      onGone: () => {},
    }
    this.#options = { ...defaults, ...options }
  }

  /**
   * Takes the catalog over for `term`; `signal` ends it. Tries again for a while where the store is UNAVAILABLE, and tells
   * `onTrouble` each time: another master may reach it. An opening that takes long is told there too, with its progress,
   * and goes on for as long as it makes some. Rejects CatalogError: NOT_ACTIVE when the term ended meanwhile, else as the
   * store does.
   */
  async open(
    term: number,
    signal: AbortSignal,
    { onTrouble = () => {}, renewed = async () => {} }: CatalogOpening = {},
  ): Promise<void> {
    await this.close()
    const { openPatienceMs: patienceMs } = this.#options
    const opened = await openPatiently({
      ...{ ...this.#options, term, signal, patienceMs, onTrouble, renewed },
    })
    this.#term = new OpenTerm(this.#options, { term, signal, ...opened })
  }

  /** The term is over: everybody who waits is told NOT_ACTIVE. Waits for no call that hangs. */
  async close(): Promise<void> {
    const term = this.#term
    this.#term = null
    if (term === null) return
    term.end(notActive())
    await this.#options.store.close()
  }

  /** What was acknowledged. CatalogError NOT_ACTIVE when no term is open. */
  state(): CatalogState {
    if (this.#term === null) throw notActive()
    return this.#term.acknowledged
  }

  /** How many changes wait or are being written. */
  get pending(): number {
    return this.#term?.pending ?? 0
  }

  /** Why changes wait for the store, once they have for a second; null for no reason to tell of. */
  trouble(): string | null {
    return this.#term?.trouble() ?? null
  }

  /** To be called now and then: is all that the open term rests on still there? Where it isn't, `onGone` follows. */
  async prove(): Promise<void> {
    await this.#term?.prove()
  }

  /** What the store tells; any time where nothing is kept for being brought back. */
  async oldestRestorableMs(): Promise<number | null> {
    const { store } = this.#options
    return store.oldestRestorableMs === undefined
      ? Number.POSITIVE_INFINITY
      : store.oldestRestorableMs()
  }

  /** It does what the store's does. */
  checkpointSoon(): void {
    this.#options.store.checkpointSoon?.()
  }

  /** What the open term keeps, for its record; null where the store has nothing to say. */
  note(): string | null {
    return this.#options.store.note?.() ?? null
  }

  /**
   * Makes one change. Resolves to the acknowledged state with it. Rejects with what `build` threw, or with what the model
   * said of its transaction (EXISTS, MISSING, CONFLICT); FULL: not done; NOT_ACTIVE and UNAVAILABLE: perhaps done.
   */
  transact(build: Build): Promise<CatalogState> {
    return this.#term === null ? Promise.reject(notActive()) : this.#term.transact(build)
  }

  /** Resolves when everything that waits now has ended, one way or the other. */
  idle(): Promise<void> {
    return this.#term?.idle() ?? Promise.resolve()
  }
}
