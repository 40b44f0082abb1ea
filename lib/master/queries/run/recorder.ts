/**
 * How one end of a query comes into the catalog: as one transaction, which is asked for again until it is known how it went,
 * so that two ends of one query can't both be told. Whoever comes second finds the first one's outcome, and tells that.
 *
 * It waits for nobody's table, and looks at no files: what is to be recorded, and when, is decided elsewhere (settle.ts).
 */
import { type Clock, pause } from '../../../base/time.ts'
import type { CatalogState, Outcome, Transaction } from '../../../catalog/index.ts'
import { CatalogError } from '../../../catalog/index.ts'
import type { QueryError } from '../../../contract/index.ts'
import type { CatalogPort } from '../catalog/catalog-service.ts'
import { refuseHeld } from './holds.ts'
import type { QueryList } from './list.ts'
import { refuseMoving } from './publisher.ts'
import type { End, Query } from './query.ts'
import { AlreadyEnded, failureOf } from './write-end.ts'

export interface RecorderOptions {
  readonly list: QueryList
  readonly catalog: CatalogPort
  /** This master, for the catalog's records. */
  readonly by: string
  readonly clock: Clock
  readonly wallMs: () => number
  /** Aborts with the term: what is under way then is the next active's business. */
  readonly signal: AbortSignal
}

/** Between two tries where there is no space, or nobody can tell. */
export const FULL_PAUSE_MS = 1000
const AGAIN_MS = 50

export class Recorder {
  readonly #options: RecorderOptions

  constructor(options: RecorderOptions) {
    this.#options = options
  }

  /**
   * It has failed, or was killed. With `maySucceed` it is told only when it is recorded, however long there is no space for
   * that: the next active master would believe the worker's success.
   */
  async fail(
    query: Query,
    error: QueryError,
    state: 'failed' | 'killed',
    maySucceed: boolean,
  ): Promise<void> {
    const { clock, signal } = this.#options
    const end = {
      queryId: query.queryId,
      message: error.message,
      kind: error.kind,
      task: query.task,
    }
    for (;;) {
      try {
        await this.surely(query.queryId, (state) => failureOf(state, end, this.now()))
        break
      } catch (thrown) {
        if (!CatalogError.is(thrown, 'FULL')) throw thrown
        if (!maySucceed) break
        await pause(clock, FULL_PAUSE_MS)
        if (signal.aborted) return
      }
    }
    this.end(query, { state, error })
  }

  /**
   * Asks until it is known how it went: a store that did not answer in time may have kept the change, and an outcome that
   * `build` finds may still be on its way there. Rejects AlreadyEnded only with what was acknowledged, and Held.
   */
  async surely(queryId: string, build: (state: CatalogState) => Transaction): Promise<void> {
    const { list, catalog, clock, signal } = this.#options
    const buildFree = (state: CatalogState): Transaction => {
      const transaction = build(state)
      refuseHeld(list.unended(), queryId, transaction)
      refuseMoving(state, transaction, () => catalog.state())
      return transaction
    }
    for (;;) {
      try {
        await catalog.transact(buildFree)
        return
      } catch (error) {
        const perhaps = CatalogError.is(error, 'UNAVAILABLE')
        if (signal.aborted || !(perhaps || error instanceof AlreadyEnded)) throw error
      }
      const outcome = catalog.state().outcome(queryId)
      if (outcome !== null) throw new AlreadyEnded(outcome)
      await pause(clock, AGAIN_MS)
    }
  }

  /** It ended as the catalog has it. */
  endBy(query: Query): void {
    const outcome = this.#options.catalog.state().outcome(query.queryId)
    if (outcome === null) throw new Error(`query ${query.queryId} has no outcome`)
    this.endAs(query, outcome)
  }

  endAs(query: Query, outcome: Outcome): void {
    this.end(query, endOf(outcome))
  }

  end(query: Query, end: End): void {
    this.#options.list.end(query, end, this.#options.wallMs())
  }

  now(): { by: string; atMs: number } {
    return { by: this.#options.by, atMs: this.#options.wallMs() }
  }
}

/** What an outcome of the catalog says to whoever asks for the query. */
export const endOf = ({ state, message, rows, kind = 'user' }: Outcome): End =>
  state === 'done'
    ? { state: 'succeeded', message, rows }
    : { state: kind === 'killed' ? 'killed' : 'failed', error: { message, place: null, kind } }

/** The change does not fit the catalog as it is now. */
export const isRefusal = ({ code }: CatalogError): boolean =>
  code === 'EXISTS' || code === 'MISSING' || code === 'CONFLICT'

/** It found no space, or the store refused it for good. */
export const isUnkept = ({ code }: CatalogError): boolean => code === 'FULL' || code === 'BAD_STORE'
