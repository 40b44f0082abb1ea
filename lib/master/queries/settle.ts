/**
 * Brings the ends of changes into the catalog before anybody is told: a write whose worker has finished, one that failed,
 * one whose worker is lost, one that was killed. However many of these come for one query, and in whatever order,
 * one transaction with its outcome is all there is, and everybody is told what that says.
 */

import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { messageOf } from '../../base/message-of.ts'
import { CatalogError } from '../../catalog/errors.ts'
import type { Outcome, Transaction } from '../../catalog/model.ts'
import type { CatalogState } from '../../catalog/state.ts'
import type { Manifest, QueryError } from '../../rpc/contract.ts'
import { SqlError } from '../../sql/statement.ts'
import type { CatalogPort } from './catalog-port.ts'
import type { Steps } from './ddl.ts'
import type { QueryList } from './list.ts'
import type { End, Query } from './query.ts'
import { AlreadyEnded, failureOf, stepsOutcome, successOf } from './write-end.ts'

export interface SettlerOptions {
  readonly list: QueryList
  readonly catalog: CatalogPort
  /** This master, for the catalog's records. */
  readonly by: string
  readonly clock: Clock
  readonly wallMs: () => number
  readonly log: Log
  /** Aborts with the term: what is under way then is the next active's business. */
  readonly signal: AbortSignal
  /** Carries out what a transaction has decided to publish; resolves when it is in place. */
  readonly publish: (queryId: string) => Promise<void>
}

const FULL_PAUSE_MS = 1000
const AGAIN_MS = 50

export class Settler {
  readonly #options: SettlerOptions
  readonly #pending = new Set<Promise<void>>()

  constructor(options: SettlerOptions) {
    this.#options = options
  }

  /** Resolves when everything that was under way is done. */
  async idle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending)
  }

  /** Its worker has written everything. */
  succeeded(query: Query, manifest: Manifest): void {
    this.#run(query, async () => {
      const { publish } = this.#options
      const { task } = query
      if (task === null) throw new Error(`nobody knows what query ${query.queryId} wrote`)
      try {
        await this.#surely(query.queryId, (state) => successOf(state, task, manifest, this.#now()))
      } catch (error) {
        if (!(error instanceof CatalogError)) throw error
        const kind = isRefusal(error) ? 'user' : isUnkept(error) ? 'internal' : null
        if (kind === null) throw error
        const message = `${error.message}; nothing was changed`
        await this.#fail(query, { message, place: null, kind }, 'failed', true)
        return
      }
      if (task.publishTo !== null) await publish(query.queryId)
      this.#endBy(query)
    })
  }

  /** A change that this master makes itself: what does not fit is the user's to know, and changes nothing. */
  changed(query: Query, build: (state: CatalogState) => Steps): void {
    this.#run(query, async () => {
      const { queryId } = query
      try {
        await this.#surely(queryId, (state) => stepsOutcome(state, queryId, build, this.#now()))
      } catch (error) {
        if (!(error instanceof SqlError || (error instanceof CatalogError && isRefusal(error))))
          throw error
        const place = error instanceof SqlError ? error.place : null
        const { message } = error
        this.#end(query, { state: 'failed', error: { message, place, kind: 'user' } })
        return
      }
      this.#endBy(query)
    })
  }

  /** It failed, was killed or is lost: recorded first, so that no late report can be applied. */
  failed(query: Query, error: QueryError, state: 'failed' | 'killed' = 'failed'): void {
    // A worker that has failed can't come back with a success; one that is lost can.
    const maySucceed = error.kind === 'lost' || error.kind === 'killed'
    this.#run(query, () => this.#fail(query, error, state, maySucceed))
  }

  #run(query: Query, work: () => Promise<void>): void {
    const { list, clock, log, signal } = this.#options
    if (!list.beginApplying(query, clock.nowMs())) return
    const pending = work()
      .catch((error: unknown) => {
        if (error instanceof AlreadyEnded) {
          this.#endAs(query, error.outcome)
          return
        }
        if (signal.aborted || isOver(error)) return
        log('error', `the end of query ${query.queryId} can't be recorded: ${messageOf(error)}`, {
          error,
        })
        const message = `the catalog can't record it: ${messageOf(error)}`
        this.#end(query, { state: 'failed', error: { message, place: null, kind: 'internal' } })
      })
      .finally(() => this.#pending.delete(pending))
    this.#pending.add(pending)
  }

  /**
   * With `maySucceed` it is told only when it is recorded, however long there is no space for that: the next active
   * master would believe the worker's success.
   */
  async #fail(
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
        await this.#surely(query.queryId, (state) => failureOf(state, end, this.#now()))
        break
      } catch (thrown) {
        if (!(thrown instanceof CatalogError) || thrown.code !== 'FULL') throw thrown
        if (!maySucceed) break
        await new Promise<void>((resolve) => clock.after(FULL_PAUSE_MS, resolve))
        if (signal.aborted) return
      }
    }
    this.#end(query, { state, error })
  }

  /**
   * Until it is known how it went: a store that did not answer in time may have kept the change, and an outcome that
   * `build` finds may still be on its way there. Rejects AlreadyEnded only with what was acknowledged.
   */
  async #surely(queryId: string, build: (state: CatalogState) => Transaction): Promise<void> {
    const { catalog, clock, signal } = this.#options
    for (;;) {
      try {
        await catalog.transact(build)
        return
      } catch (error) {
        const perhaps = error instanceof CatalogError && error.code === 'UNAVAILABLE'
        if (signal.aborted || !(perhaps || error instanceof AlreadyEnded)) throw error
      }
      const outcome = catalog.state().outcome(queryId)
      if (outcome !== null) throw new AlreadyEnded(outcome)
      await new Promise<void>((resolve) => clock.after(AGAIN_MS, resolve))
    }
  }

  #endBy(query: Query): void {
    const outcome = this.#options.catalog.state().outcome(query.queryId)
    if (outcome === null) throw new Error(`query ${query.queryId} has no outcome`)
    this.#endAs(query, outcome)
  }

  #endAs(query: Query, outcome: Outcome): void {
    this.#end(query, endOf(outcome))
  }

  #end(query: Query, end: End): void {
    this.#options.list.end(query, end, this.#options.wallMs())
  }

  #now(): { by: string; atMs: number } {
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
const isUnkept = ({ code }: CatalogError): boolean => code === 'FULL' || code === 'BAD_STORE'

/** The term is over: nobody may be told anything. */
export const isOver = (error: unknown): boolean =>
  error instanceof CatalogError && (error.code === 'NOT_ACTIVE' || error.code === 'STALE_TERM')
