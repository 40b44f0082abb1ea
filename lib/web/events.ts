/**
 * `GET /api/v1/events`: what an open page shows, kept fresh by server-sent events. Each event is made once for all pages.
 *
 * A change of the master's state is told at once, everything else at most once a second, and nothing is made while no
 * page is open. Nobody fills our memory: the pages are counted, and one that does not read is cut off. A browser connects
 * again by itself and gets a snapshot then, so nothing has to be repeated for it.
 */
import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import type { Clock } from '../base/time.ts'
import { RpcError } from '../rpc/index.ts'
import { sqlModeFor } from './callers.ts'
import { countQueries } from './query-page.ts'
import {
  type ClusterDocument,
  type Events,
  PATIENCE_MS,
  type QueryRow,
  type WebRules,
  type WebView,
} from './view.ts'
import { seesAll } from './visitors.ts'

interface EventOptions {
  readonly view: WebView
  readonly rules: WebRules
  readonly clock: Clock
  readonly log: Log
}

const TICK_MS = 1000
const BEAT_MS = 5000
const MOST_PAGES = 200
const MOST_UNREAD_BYTES = 512 * 1024
const HISTORY_ROWS = 50
const SNAPSHOT_QUERIES = 50
const MOST_CHANGED = 100
const MOST_QUERIES = 10_000

interface Page {
  readonly response: ServerResponse
  readonly ip: string
  /** Statements are told to who may see all of them. */
  readonly seesQueries: boolean
}

export class EventHub {
  readonly #options: EventOptions
  readonly #pages = new Set<Page>()
  readonly #unsubscribe: () => void
  #cancelTick = (): void => {}
  #quietMs = 0
  #working = false
  #again = false
  #closed = false
  /** What pages were told last; empty while there is none. */
  #queries = new Map<string, QueryRow>()
  #counts = ''
  #workers = ''
  #history = ''
  #term = -1
  #historyOpen = true

  constructor(options: EventOptions) {
    this.#options = options
    this.#unsubscribe = options.view.onChange(() => void this.#tellCluster())
  }

  get pages(): number {
    return this.#pages.size
  }

  /** Takes the request over for as long as its page is open. Throws UNAVAILABLE when there are too many. */
  async open(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (this.#closed || this.#pages.size >= MOST_PAGES) {
      throw new RpcError('UNAVAILABLE', `${MOST_PAGES} pages are open here already`)
    }
    const seesQueries = seesAll(request, this.#options.rules)
    const snapshot = await this.#snapshot(request.ip, seesQueries)
    if (this.#closed || request.raw.destroyed) return
    reply.hijack()
    const response = reply.raw
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) response.setHeader(name, value)
    }
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
    response.socket?.setNoDelay(true)
    const page: Page = { response, ip: request.ip, seesQueries }
    response.on('error', () => this.#drop(page))
    response.on('close', () => this.#drop(page))
    if (response.destroyed) return
    this.#pages.add(page)
    this.#write(page, `retry: 500\n\n${snapshot}`)
    if (this.#pages.size === 1) this.#tickLater()
  }

  /** All pages are told and let go. */
  close(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#unsubscribe()
    this.#cancelTick()
    for (const { response } of this.#pages) response.end(event('bye', { reason }))
    this.#pages.clear()
  }

  // ---- what is told ----------------------------------------------------------------------------------------------

  async #snapshot(ip: string, seesQueries: boolean): Promise<string> {
    const { view } = this.#options
    const [cluster, queries, history] = await Promise.all([
      view.cluster(PATIENCE_MS),
      seesQueries ? view.queries(MOST_QUERIES).catch(() => null) : null,
      // The page is of use without it, and gets it as soon as it can be read.
      view.history(HISTORY_ROWS).catch(() => null),
    ])
    return [
      event('cluster', this.#clusterFor(cluster, ip)),
      event('workers', cluster.workerCounts),
      queries === null ? '' : snapshotOf(queries),
      history === null ? '' : event('history', { history }),
    ].join('')
  }

  #clusterFor({ workers: _, ...cluster }: ClusterDocument, ip: string): Events['cluster'] {
    const { rules } = this.#options
    return { ...cluster, sql: sqlModeFor(ip, rules), admin: rules.admin }
  }

  #tickLater(): void {
    this.#cancelTick = this.#options.clock.after(TICK_MS, () => {
      if (this.#pages.size === 0) {
        this.#forget()
        return
      }
      this.#quietMs += TICK_MS
      void this.#tick()
      if (this.#quietMs >= BEAT_MS) this.#send(': beat\n\n')
      this.#tickLater()
    })
  }

  /** Nobody looks: what was told is not kept for the next who does. */
  #forget(): void {
    this.#queries = new Map()
    this.#counts = ''
    this.#workers = ''
    this.#history = ''
    this.#historyOpen = true
  }

  async #tick(): Promise<void> {
    await this.#tellCluster()
    this.#tellLease()
    await this.#tellQueries()
    await this.#tellHistory()
  }

  /** Tells one at a time; a change meanwhile makes another one follow. */
  async #tellCluster(): Promise<void> {
    if (this.#pages.size === 0) return
    if (this.#working) {
      this.#again = true
      return
    }
    this.#working = true
    try {
      do {
        this.#again = false
        const cluster = await this.#options.view.cluster()
        this.#sendCluster(cluster)
      } while (this.#again)
    } catch (error) {
      this.#options.log('debug', `pages were not told of the cluster: ${messageOf(error)}`, {
        event: 'page-untold',
      })
    } finally {
      this.#working = false
    }
  }

  #sendCluster(cluster: ClusterDocument): void {
    const texts = new Map<string, string>()
    for (const page of this.#pages) {
      const mode = sqlModeFor(page.ip, this.#options.rules)
      const text = texts.get(mode) ?? event('cluster', this.#clusterFor(cluster, page.ip))
      texts.set(mode, text)
      this.#write(page, text)
    }
    const workers = event('workers', cluster.workerCounts)
    if (workers !== this.#workers) this.#send(workers)
    this.#workers = workers
    if (cluster.epoch !== this.#term) this.#historyOpen = true
    this.#term = cluster.epoch
  }

  /** The second that is over for all of them. */
  #tellLease(): void {
    const samples = this.#options.view.lease(3).masters.flatMap(({ address, samples }) => {
      const whole = samples.at(-2)
      return whole === undefined
        ? []
        : [[address, ...whole] satisfies Events['lease']['samples'][0]]
    })
    if (samples.length > 0) this.#send(event('lease', { samples }))
  }

  async #tellQueries(): Promise<void> {
    // Why it can't be told is told to who asks for the list itself; the next tick tries again.
    const queries = await this.#options.view.queries(MOST_QUERIES).catch(() => null)
    if (queries === null) return
    const changed = queries.filter((row) => !sameQuery(row, this.#queries.get(row.queryId)))
    const first = this.#queries.size === 0
    this.#queries = new Map(queries.map((row) => [row.queryId, row]))
    const counts = countQueries(queries)
    const told = JSON.stringify(counts)
    if (changed.length === 0 && told === this.#counts) return
    this.#counts = told
    const most = first ? SNAPSHOT_QUERIES : MOST_CHANGED
    const more = !first && changed.length > most
    const text = event('queries', { counts, changed: changed.slice(0, most), more })
    for (const page of this.#pages) if (page.seesQueries) this.#write(page, text)
  }

  /** Read while the newest term has not told yet how it came to serve. */
  async #tellHistory(): Promise<void> {
    if (!this.#historyOpen) return
    // An unreadable directory is told by the cluster document; the next tick tries again.
    const history = await this.#options.view.history(HISTORY_ROWS).catch(() => null)
    if (history === null) return
    const newest = history[0]
    this.#historyOpen = newest?.served == null || newest.term.term < this.#term
    const text = event('history', { history })
    if (text !== this.#history) this.#send(text)
    this.#history = text
  }

  // ---- to whom ---------------------------------------------------------------------------------------------------

  #send(text: string): void {
    for (const page of this.#pages) this.#write(page, text)
  }

  #write(page: Page, text: string): void {
    const { response } = page
    this.#quietMs = 0
    response.write(text)
    if (response.writableLength <= MOST_UNREAD_BYTES) return
    this.#drop(page)
    response.destroy()
  }

  #drop(page: Page): void {
    this.#pages.delete(page)
  }
}

/** What the description promises of an event is what it takes. */
const event = <Name extends keyof Events>(name: Name, data: Events[Name]): string =>
  `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

const snapshotOf = (queries: readonly QueryRow[]): string => {
  const changed = queries.slice(0, SNAPSHOT_QUERIES)
  return event('queries', { counts: countQueries(queries), changed, more: false })
}

const sameQuery = (a: QueryRow, b: QueryRow | undefined): boolean =>
  b !== undefined &&
  a.state === b.state &&
  a.attempt === b.attempt &&
  a.progress === b.progress &&
  a.rows === b.rows &&
  a.worker === b.worker &&
  a.epoch === b.epoch
