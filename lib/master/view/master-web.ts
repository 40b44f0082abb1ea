/**
 * What the info port shows of this master, put together from its parts. A document about the cluster is at hand at any
 * time: what has to be read or asked for is fetched beside it (gathered.ts), and waited for as long as its reader wants and
 * no longer, so that a hanging directory never hides who is active.
 */

import { administrator, type Caller, readToken, Seals } from '../../access/index.ts'
import { splitHostPort } from '../../base/host-port.ts'
import type { Clock } from '../../base/time.ts'
import { HaError, type Member, type Timing } from '../../ha/index.ts'
import { hostNameOf, RpcError } from '../../rpc/index.ts'
import { isAdmin } from '../../web/callers.ts'
import { inWords } from '../../web/term-words.ts'
import type {
  ClusterDocument,
  ConfigDocument,
  LeaseDocument,
  MetricsFacts,
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
import type { PeerNews } from '../network/heard.ts'
import { NOT_JOINED } from '../network/others.ts'
import type { Peers } from '../network/peers.ts'
import type { QueryServices } from '../queries/services.ts'
import { clusterDocument } from './cluster-document.ts'
import { type OwnFacts, othersOf } from './cluster-view.ts'
import { Gathered } from './gathered.ts'
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
  readonly peers: () => Pick<Peers, 'isConnected'> | null
  readonly news: PeerNews
  readonly record: LeaseRecord
  readonly history: HistoryCache
  readonly queries: QueryServices
  readonly metrics: () => MetricsFacts
  readonly config: () => ConfigDocument
  readonly listed: () => readonly string[]
  readonly names: () => readonly string[]
  readonly secret: () => string
  /** PEM; null before it has joined. */
  readonly authority: () => string | null
  readonly timing: Timing | null
  readonly clock: Clock
  readonly wallMs: () => number
}

const RECENT_MS = 2000
const MINUTE_MS = 60_000
const MOST_PAGES_KNOWN = 64

export class MasterWeb implements WebView {
  readonly self: string
  readonly #options: MasterWebOptions
  readonly #pageQueries: PageQueries
  readonly #gathered: Gathered
  readonly #listeners = new Set<() => void>()
  /** Web addresses of masters, the latest seen last. */
  readonly #pages = new Set<string>()

  constructor(options: MasterWebOptions) {
    const { clock } = options
    this.#options = options
    this.self = options.self
    this.#pageQueries = new PageQueries({
      clock,
      ownAddresses: () => this.#ownAddresses(),
      clusterId: () => options.own().clusterId,
      authority: options.authority,
      secret: () => this.secret(),
      wallMs: options.wallMs,
    })
    this.#gathered = new Gathered(options, this.#pageQueries)
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
    if (patienceMs > 0) await this.#gathered.refreshed(patienceMs)
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
      activeSinceMs: view.active === null ? null : this.#gathered.activeSince(facts.term),
      listed: listed(),
      workers: this.#gathered.workersAtHand(),
      queryCounts: this.#gathered.queryCounts(),
      nowWallMs: wallMs(),
    })
  }

  async history(limit: number): Promise<TermRow[]> {
    // The same records, without the promise that nobody changes them.
    const entries = (await this.#options.history.newest(limit)) as Omit<TermRow, 'why' | 'ended'>[]
    return entries.map(inWords)
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

  workers(): Promise<WorkersDocument> {
    return this.#gathered.workers()
  }

  async queries(limit: number): Promise<QueryRow[]> {
    return (await this.#gathered.queries()).slice(0, limit)
  }

  metrics(): MetricsFacts {
    return this.#options.metrics()
  }

  config(): ConfigDocument {
    return this.#options.config()
  }

  // ---- what pages do ---------------------------------------------------------------------------------------------

  databases(who: Caller | null): Promise<string[]> {
    return this.#pageQueries.databases(who)
  }

  tables(
    database: string,
    filter: TablesFilter,
    who: Caller | null,
  ): Promise<Omit<TablesDocument, 'database'>> {
    return this.#pageQueries.tables(database, filter, who)
  }

  kill(queryId: string, who: Caller | null): Promise<boolean> {
    return this.#pageQueries.kill(queryId, who)
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

  run(request: SqlRequest, who: Caller | null, signal: AbortSignal, out: SqlOut): Promise<void> {
    return this.#pageQueries.run(request, who, { signal, out })
  }

  handOver(successor: string | null, by: string): Promise<Refusal | null> {
    return refusalOf(this.#options.joined().handOver(successor, { force: false, by }))
  }

  takeOver(by: string): Promise<Refusal | null> {
    return refusalOf(this.#options.joined().takeOver({ force: false, by }))
  }

  // ---- for whom --------------------------------------------------------------------------------------------------

  visitor(authorization: string | undefined): ReturnType<WebView['visitor']> {
    const secret = this.secret()
    if (secret === null) throw new RpcError('UNAVAILABLE', NOT_JOINED)
    if (authorization === undefined) return 'missing'
    if (isAdmin(authorization, secret)) return { principal: administrator('token'), mark: null }
    const shown = /^Bearer ([\w.-]+)$/.exec(authorization)?.[1] ?? ''
    const token = readToken(new Seals(secret), shown, this.#options.wallMs())
    return typeof token === 'object' && !this.#options.queries.isCurrent(token) ? 'strange' : token
  }

  secret(): string | null {
    const { isJoined, secret } = this.#options
    return isJoined() ? secret() : null
  }

  hostNames(): ReadonlySet<string> {
    const names = new Set(this.#options.names())
    if (!this.#options.isJoined()) return names
    const view = this.#options.joined().view()
    for (const { hostname, addresses } of [view.self, ...othersOf(view)]) {
      for (const one of [hostname, addresses.infoHttp, addresses.umbilical]) {
        const name = hostNameOf(one)
        if (name !== null) names.add(name)
      }
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
