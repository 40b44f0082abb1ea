/**
 * What documents about the cluster have to read or ask for: when the term began to serve, the active's workers, the newest
 * queries. Several pages and events share one reading, a reader waits for it as long as he wants and no longer, and what
 * is old is left out, so that nothing old passes for news.
 */

import { messageOf } from '../../base/failures.ts'
import { type Clock, within } from '../../base/time.ts'
import type { WorkerRow } from '../../contract/index.ts'
import { RpcError } from '../../rpc/index.ts'
import { countQueries } from '../../web/query-page.ts'
import type { QueryCounts, QueryRow, WorkersDocument } from '../../web/view.ts'
import type { MasterWebOptions } from './master-web.ts'
import type { PageQueries } from './page-queries.ts'

type GatheredOptions = Pick<
  MasterWebOptions,
  'own' | 'serving' | 'history' | 'queries' | 'clock' | 'wallMs'
>

/** Several pages and events share one reading. */
const FRESH_MS = 500
/** Older than that is no news any more. */
const OLD_MS = 5000
/** The list of queries may be long, and the active has to send it: it is asked for less often than what is at hand. */
const ASKED_MS = 2000
const MOST_QUERIES = 10_000

/** The last good answer of something that takes its time, renewed when it is asked for and too old. */
class Kept<T> {
  readonly #ask: () => Promise<T>
  readonly #clock: Clock
  readonly #freshMs: number
  #value: T | null = null
  #why: unknown = null
  #atMs = Number.NEGATIVE_INFINITY
  #asking: Promise<T | null> | null = null

  constructor(ask: () => Promise<T>, clock: Clock, freshMs = FRESH_MS) {
    this.#ask = ask
    this.#clock = clock
    this.#freshMs = freshMs
  }

  /** The last one, at once; null when there is none, or an old one. */
  get last(): T | null {
    const ageMs = this.#clock.nowMs() - this.#atMs
    if (ageMs >= this.#freshMs) void this.fresh()
    return ageMs < OLD_MS ? this.#value : null
  }

  /** One that is not old; null when there was never one and now it fails. */
  fresh(): Promise<T | null> {
    if (this.#clock.nowMs() - this.#atMs < this.#freshMs) return Promise.resolve(this.#value)
    this.#asking ??= this.#renew().finally(() => {
      this.#asking = null
    })
    return this.#asking
  }

  /** The same for who has to know why there is none. Rejects with RpcError UNAVAILABLE. */
  async known(): Promise<T> {
    const value = await this.fresh()
    if (value !== null) return value
    throw new RpcError('UNAVAILABLE', messageOf(this.#why), { cause: this.#why })
  }

  async #renew(): Promise<T | null> {
    try {
      this.#value = await this.#ask()
    } catch (error) {
      // Whoever it is that does not answer has his own place in the document; the next asker tries again.
      this.#value = null
      this.#why = error
    }
    this.#atMs = this.#clock.nowMs()
    return this.#value
  }
}

export class Gathered {
  readonly #options: GatheredOptions
  readonly #rows: Kept<QueryRow[]>
  /** The active's, for where only he knows them. */
  readonly #activeRows: Kept<QueryRow[]>
  readonly #activeWorkers: Kept<{ rows: WorkerRow[]; atMs: number }>
  /** The term whose beginning is known. */
  #since: { readonly term: number; readonly ms: number } | null = null

  /** `asked`: the active, for where only he knows. */
  constructor(options: GatheredOptions, asked: PageQueries) {
    const { clock, wallMs } = options
    this.#options = options
    this.#rows = new Kept(() => this.#newestQueries(), clock)
    this.#activeRows = new Kept(() => asked.queries(MOST_QUERIES), clock, ASKED_MS)
    this.#activeWorkers = new Kept(async () => {
      const rows = await asked.workers()
      return { rows, atMs: wallMs() }
    }, clock)
  }

  async workers(): Promise<WorkersDocument> {
    const { serving, queries, wallMs } = this.#options
    if (serving()) return { workers: [...queries.workers()], asOfMs: wallMs() }
    const found = await this.#activeWorkers.fresh()
    return { workers: found?.rows ?? [], asOfMs: found?.atMs ?? null }
  }

  /** They come newest first. Rejects with RpcError UNAVAILABLE where nobody tells them. */
  queries(): Promise<QueryRow[]> {
    return this.#rows.known()
  }

  /** At once; null where nobody has told of them lately. */
  workersAtHand(): readonly WorkerRow[] | null {
    const { serving, queries } = this.#options
    if (serving()) return queries.workers()
    return this.#activeWorkers.last?.rows ?? null
  }

  /** It answers at once; null as above. */
  queryCounts(): QueryCounts | null {
    const rows = this.#rows.last
    return rows === null ? null : countQueries(rows)
  }

  /** What is asked for beside a document is new, or has not come in time. */
  async refreshed(patienceMs: number): Promise<void> {
    const { clock, own, serving } = this.#options
    const asked = [
      this.#rows.fresh(),
      serving() ? null : this.#activeWorkers.fresh(),
      this.#readSince(own().term),
    ]
    await within(clock, patienceMs, Promise.all(asked), () => {})
  }

  /** Of the term that the history tells of; read beside it while it is not known. */
  activeSince(term: number): number | null {
    if (this.#since?.term === term) return this.#since.ms
    void this.#readSince(term)
    return null
  }

  async #newestQueries(): Promise<QueryRow[]> {
    try {
      return await this.#options.queries.newest(MOST_QUERIES)
    } catch (error) {
      if (!RpcError.is(error, 'NOT_ACTIVE')) throw error
      const told = await this.#activeRows.fresh()
      if (told === null) throw error
      return told
    }
  }

  /** Never rejects: the directory that can't be read has its own place in the document. */
  async #readSince(term: number): Promise<void> {
    if (this.#since?.term === term) return
    const [entry] = await this.#options.history.newest(1).catch(() => [])
    if (entry?.served == null || entry.term.term !== term) return
    this.#since = { term, ms: Date.parse(entry.served.servedAt) }
  }
}
