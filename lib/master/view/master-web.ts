/**
 * What the info port shows of this master, put together from its parts. A document about the cluster is at hand at any
 * time: what has to be read or asked for (when the term began to serve, the active's workers, the numbers of queries) is
 * fetched beside it. A document waits for that as long as its reader wants and no longer, and leaves out what is old, so
 * that a hanging directory never hides who is active, and nothing old passes for news.
 */

import { messageOf } from '../../base/failures.ts'
import { splitHostPort } from '../../base/host-port.ts'
import { type Clock, within } from '../../base/time.ts'
import { HaError, type Member, type Timing } from '../../ha/index.ts'
import type { WorkerRow } from '../../rpc/contract.ts'
import { RpcError } from '../../rpc/index.ts'
import { hostNameOf } from '../../web/callers.ts'
import { countQueries } from '../../web/query-page.ts'
import { whyOf } from '../../web/term-words.ts'
import type {
  ClusterDocument,
  ConfigDocument,
  LeaseDocument,
  MetricsFacts,
  QueryCounts,
  QueryRow,
  Refusal,
  SqlOut,
  SqlRequest,
  TablesDocument,
  TablesFilter,
  TermRow,
  WebView,
  WorkersDocument,
} from '../../web/view.ts'
import type { PeerNews, Peers } from '../network/peers.ts'
import type { QueryServices } from '../queries/services.ts'
import { clusterDocument } from './cluster-document.ts'
import { type OwnFacts, othersOf } from './cluster-view.ts'
import type { HistoryCache } from './history-cache.ts'
import { BUCKET_MS, type LeaseRecord } from './lease-record.ts'
import { PageQueries } from './page-queries.ts'

export interface MasterWebOptions {
  readonly self: string
  /** Throws RpcError UNAVAILABLE before the cluster is joined. */
  readonly joined: () => Member
  readonly isJoined: () => boolean
  readonly own: () => OwnFacts
  readonly state: () => string
  readonly serving: () => boolean
  readonly peers: () => Peers | null
  readonly news: PeerNews
  readonly record: LeaseRecord
  readonly history: HistoryCache
  readonly queries: QueryServices
  readonly metrics: () => MetricsFacts
  readonly config: () => ConfigDocument
  readonly listed: () => readonly string[]
  readonly secret: () => string
  readonly timing: Timing | null
  readonly clock: Clock
  readonly wallMs: () => number
}

const RECENT_MS = 2000
const MINUTE_MS = 60_000
/** Several pages and events share one reading. */
const FRESH_MS = 500
/** Older than that is no news any more. */
const OLD_MS = 5000
/** The list of queries may be long, and the active has to send it: it is asked for less often than what is at hand. */
const ASKED_MS = 2000
const MOST_QUERIES = 10_000
const MOST_PAGES_KNOWN = 64

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

export class MasterWeb implements WebView {
  readonly self: string
  readonly #options: MasterWebOptions
  readonly #pageQueries: PageQueries
  readonly #listeners = new Set<() => void>()
  /** Web addresses of masters, the latest seen last. */
  readonly #pages = new Set<string>()
  readonly #rows: Kept<QueryRow[]>
  /** The active's, for where only he knows them. */
  readonly #activeRows: Kept<QueryRow[]>
  readonly #activeWorkers: Kept<{ rows: WorkerRow[]; atMs: number }>
  /** The term whose beginning is known. */
  #since: { readonly epoch: number; readonly ms: number } | null = null

  constructor(options: MasterWebOptions) {
    const { clock, wallMs } = options
    this.#options = options
    this.self = options.self
    this.#pageQueries = new PageQueries({
      clock,
      ownAddresses: () => this.#ownAddresses(),
      clusterId: () => options.own().clusterId,
    })
    this.#rows = new Kept(() => this.#newestQueries(), clock)
    this.#activeRows = new Kept(() => this.#pageQueries.queries(MOST_QUERIES), clock, ASKED_MS)
    this.#activeWorkers = new Kept(async () => {
      const rows = await this.#pageQueries.workers()
      return { rows, atMs: wallMs() }
    }, clock)
  }

  /** To be called at each change that pages should show at once. */
  changed(): void {
    this.#notePages()
    for (const listener of this.#listeners) listener()
  }

  close(): Promise<void> {
    return this.#pageQueries.close()
  }

  // ---- documents -------------------------------------------------------------------------------------------------

  serving(): boolean {
    return this.#options.serving()
  }

  activeElsewhere(): boolean {
    const { isJoined, joined, peers } = this.#options
    const active = isJoined() ? joined().view().active : null
    return active !== null && peers()?.isConnected(active.address) === true
  }

  state(): string {
    return this.#options.state()
  }

  clusterId(): string | null {
    return this.#options.own().clusterId
  }

  async cluster(patienceMs = 0): Promise<ClusterDocument> {
    const { joined, own, timing, peers, news, record, listed, wallMs } = this.#options
    if (patienceMs > 0) await this.#refreshed(patienceMs)
    const view = joined().view()
    const facts = own()
    return clusterDocument({
      view,
      own: facts,
      timing,
      peer: (address) => ({
        said: news.of(address),
        connected: peers()?.isConnected(address) ?? false,
        clockOffsetMs: news.clockOffsetMs(address),
      }),
      recent: (address) => record.worst(address, RECENT_MS),
      minute: (address) => record.worst(address, MINUTE_MS),
      activeSinceMs: view.active === null ? null : this.#activeSince(facts.epoch),
      listed: listed(),
      workers: this.#workersAtHand(),
      queryCounts: this.#queryCounts(),
      nowWallMs: wallMs(),
    })
  }

  async history(limit: number): Promise<TermRow[]> {
    // The same records, without the promise that nobody changes them.
    const entries = (await this.#options.history.newest(limit)) as Omit<TermRow, 'why'>[]
    return entries.map((entry) => ({ why: whyOf(entry), ...entry }))
  }

  lease(seconds: number): LeaseDocument {
    const { record, timing } = this.#options
    return {
      bucketMs: BUCKET_MS,
      deadlineMs: timing?.deadlineMs ?? null,
      renewMs: timing?.renewMs ?? null,
      masters: record.addresses().map((address) => ({
        address,
        samples: record
          .secondsOf(address)
          .slice(-seconds)
          .map(({ atMs, renewalMs, marginMs }) => [atMs, renewalMs, marginMs]),
      })),
    }
  }

  async workers(): Promise<WorkersDocument> {
    const { queries, wallMs } = this.#options
    if (this.serving()) return { workers: [...queries.workers()], asOfMs: wallMs() }
    const found = await this.#activeWorkers.fresh()
    return { workers: found?.rows ?? [], asOfMs: found?.atMs ?? null }
  }

  async queries(limit: number): Promise<QueryRow[]> {
    return (await this.#rows.known()).slice(0, limit)
  }

  metrics(): MetricsFacts {
    return this.#options.metrics()
  }

  config(): ConfigDocument {
    return this.#options.config()
  }

  // ---- what pages do ---------------------------------------------------------------------------------------------

  databases(): Promise<string[]> {
    return this.#pageQueries.databases()
  }

  tables(database: string, filter: TablesFilter): Promise<Omit<TablesDocument, 'database'>> {
    return this.#pageQueries.tables(database, filter)
  }

  kill(queryId: string): Promise<boolean> {
    return this.#pageQueries.kill(queryId)
  }

  async readsOnly(sql: string): Promise<boolean> {
    const { parseStatement } = await import('../../sql/index.ts')
    try {
      return READING.has(parseStatement(sql).is)
    } catch {
      // It can't be run either: the active master tells what is wrong with it, and where.
      return true
    }
  }

  run(request: SqlRequest, signal: AbortSignal, out: SqlOut): Promise<void> {
    return this.#pageQueries.run(request, signal, out)
  }

  handOver(successor: string | null, by: string): Promise<Refusal | null> {
    return refusalOf(this.#options.joined().handOver(successor, { force: false, by }))
  }

  takeOver(by: string): Promise<Refusal | null> {
    return refusalOf(this.#options.joined().takeOver({ force: false, by }))
  }

  // ---- for whom --------------------------------------------------------------------------------------------------

  secret(): string | null {
    const { isJoined, secret } = this.#options
    return isJoined() ? secret() : null
  }

  hostNames(): ReadonlySet<string> {
    const names = new Set<string>()
    if (!this.#options.isJoined()) return names
    const view = this.#options.joined().view()
    for (const { hostname, addresses } of [view.self, ...othersOf(view)]) {
      const all = [hostname, hostNameOf(addresses.infoHttp), hostNameOf(addresses.umbilical)]
      for (const name of all) names.add(name.toLowerCase())
    }
    return names
  }

  /**
   * Those that are known now first, then those that were: a page whose master has just died is still open, and reads on
   * here when the directory has forgotten that master.
   */
  pages(): readonly string[] {
    this.#notePages()
    return [...this.#pages].reverse()
  }

  #notePages(): void {
    if (!this.#options.isJoined()) return
    const view = this.#options.joined().view()
    for (const { addresses } of [...othersOf(view), view.self]) {
      const { infoHttp } = addresses
      if (splitHostPort(infoHttp) === null) continue
      this.#pages.delete(infoHttp)
      this.#pages.add(infoHttp)
    }
    for (const oldest of this.#pages) {
      if (this.#pages.size <= MOST_PAGES_KNOWN) return
      this.#pages.delete(oldest)
    }
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  // ---- what is kept ----------------------------------------------------------------------------------------------

  async #newestQueries(): Promise<QueryRow[]> {
    try {
      return await this.#options.queries.newest(MOST_QUERIES)
    } catch (error) {
      if (!(error instanceof RpcError) || error.code !== 'NOT_ACTIVE') throw error
      const told = await this.#activeRows.fresh()
      if (told === null) throw error
      return told
    }
  }

  #workersAtHand(): readonly WorkerRow[] | null {
    if (this.serving()) return this.#options.queries.workers()
    return this.#activeWorkers.last?.rows ?? null
  }

  #queryCounts(): QueryCounts | null {
    const rows = this.#rows.last
    return rows === null ? null : countQueries(rows)
  }

  /** What is asked for beside a document is new, or has not come in time. */
  async #refreshed(patienceMs: number): Promise<void> {
    const { clock, own } = this.#options
    const asked = [
      this.#rows.fresh(),
      this.serving() ? null : this.#activeWorkers.fresh(),
      this.#readSince(own().epoch),
    ]
    await within(clock, patienceMs, Promise.all(asked), () => {})
  }

  /** Of the term that the history tells of; read beside it while it is not known. */
  #activeSince(epoch: number): number | null {
    if (this.#since?.epoch === epoch) return this.#since.ms
    void this.#readSince(epoch)
    return null
  }

  /** Never rejects: the directory that can't be read has its own place in the document. */
  async #readSince(epoch: number): Promise<void> {
    if (this.#since?.epoch === epoch) return
    const [entry] = await this.#options.history.newest(1).catch(() => [])
    if (entry?.served == null || entry.term.term !== epoch) return
    this.#since = { epoch, ms: Date.parse(entry.served.servedAt) }
  }

  #ownAddresses(): { clientRpc: string; catalog: string } | null {
    const { isJoined, joined } = this.#options
    return isJoined() ? joined().view().self.addresses : null
  }
}

const READING: ReadonlySet<string> = new Set([
  'query',
  'explain',
  'show',
  'describe',
  'set',
  'unset',
])

async function refusalOf(order: Promise<void>): Promise<Refusal | null> {
  try {
    await order
    return null
  } catch (error) {
    if (!(error instanceof HaError)) throw error
    return { code: error.code, message: error.message }
  }
}
