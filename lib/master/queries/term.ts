/**
 * Everything about queries that belongs to one term: it is made when the term begins, from the catalog as it is then, and
 * thrown away as a whole with it. Loaded only by masters that may become active.
 */

import { randomUUID } from 'node:crypto'
import type { Audit } from '../../base/audit.ts'
import type { Log } from '../../base/log.ts'
import { type Clock, within } from '../../base/time.ts'
import { Catalog } from '../../catalog/index.ts'
import type { AnswerOf, QueryRecord, RequestOf, Services, WorkerRow } from '../../contract/index.ts'
import { type KnownWorker, kernelOf } from '../../ha/index.ts'
import { parseStatement } from '../../sql/index.ts'
import type { CatalogPort } from './catalog/catalog-service.ts'
import { TableCensus } from './catalog/table-census.ts'
import { ClientService } from './client-service.ts'
import { Compactor } from './compaction/compactor.ts'
import { filesOf, Proof, someFiles } from './files/proof.ts'
import { Sweeper } from './files/sweeper.ts'
import type { QueryOptions } from './options.ts'
import { Admission } from './run/admission.ts'
import { Deaths } from './run/deaths.ts'
import { QueryList } from './run/list.ts'
import { Losses } from './run/losses.ts'
import { Publisher } from './run/publisher.ts'
import { isBackground, type Query } from './run/query.ts'
import type { QueryHistory } from './run/query-history.ts'
import { Scheduler } from './run/scheduler.ts'
import { Settler } from './run/settle.ts'
import { TermRecords } from './run/term-records.ts'
import { TrackerService } from './run/tracker-service.ts'
import { Waiters } from './run/waiters.ts'
import { WakingTime } from './run/waking-time.ts'
import { RpcWorkerCalls, type WorkerCalls } from './run/worker-calls.ts'
import { type Worker, WorkerTable } from './run/worker-table.ts'
import { PathRules } from './statements/paths.ts'
import { plan } from './statements/plan.ts'
import { principalOf } from './statements/rights.ts'

export interface TermOptions extends QueryOptions {
  readonly term: number
  /** Aborts with the term. */
  readonly signal: AbortSignal
  /** Told what keeps the catalog from being opened, each time that it is tried. */
  readonly onTrouble: (why: string, cause?: unknown) => void
  readonly address: string
  readonly commit: () => Promise<void>
  /** The same while the term does not serve yet. */
  readonly renewed: () => Promise<void>
  /** Whether requests are taken at this moment: not while the lease is not renewed. */
  readonly mayServe: () => boolean
  /** The catalog can take no more changes under this term, but perhaps under another master's. */
  readonly onBroken: (error: Error) => void
  /** The term has to be given up: the catalog's files were removed, and are written anew, or a higher term has it. */
  readonly onGone: (why: string) => void
  /** Why the shared directory should not be written to but for what has to be; null when it may. */
  readonly lowOnSpace: () => string | null
  readonly clusterId: () => string | null
  readonly secret: () => string
  readonly history: QueryHistory
  readonly clock: Clock
  readonly wallMs: () => number
  readonly log: Log
  /** Left out where nothing is audited. */
  readonly audit?: Audit | undefined
}

/** Ended queries that are kept in memory; the log has more. */
const KEEP_ENDED = 1000
const LOOK_MS = 500
/** A hand-over waits at most so long for the query log. */
const FLUSH_MS = 250

/** Opens the catalog under the term. Rejects CatalogError. */
export async function openTerm(options: TermOptions): Promise<QueryTerm> {
  const { term, signal, commit, onBroken, onGone, clock, log } = options
  const beganMs = clock.nowMs()
  const store = await options.makeStore(options.clusterId())
  const catalog = new Catalog({ store, commit, onBroken, onGone, clock, log })
  try {
    await catalog.open(term, signal, options)
  } catch (error) {
    // What it has learnt is kept for the next try, and it leaves no connection open.
    await store.close()
    throw error
  }
  const tookMs = clock.nowMs() - beganMs
  log('info', `the catalog is open under term ${term}`, { event: 'catalog-opened', tookMs })
  const { clusterId, secret } = options
  const calls = new RpcWorkerCalls({ clusterId, secret, term, clock, log })
  return new QueryTerm(options, { catalog, calls, close: () => catalog.close() })
}

/** What a test puts its own in place of. */
interface TermParts {
  readonly catalog: CatalogPort
  readonly calls: WorkerCalls
  readonly close: () => Promise<void>
}

export class QueryTerm {
  readonly client: ClientService
  readonly tracker: TrackerService
  readonly catalog: CatalogPort
  readonly list: QueryList
  readonly sweeper: Sweeper
  readonly compactor: Compactor
  readonly census: TableCensus
  readonly #options: TermOptions
  readonly #parts: TermParts
  readonly #workers: WorkerTable
  readonly #waiters: Waiters
  readonly #settler: Settler
  readonly #losses: Losses
  readonly #records: TermRecords
  readonly #awake: WakingTime
  readonly #proof: Proof | null
  readonly #admission: Admission
  #cancelLook = (): void => {}
  #over = false

  constructor(options: TermOptions, parts: TermParts) {
    const { term, compaction, clock, wallMs, log, signal } = options
    const { catalog, calls } = parts
    const by = options.address
    this.#options = options
    this.#parts = parts
    this.catalog = catalog
    this.#awake = new WakingTime(clock, LOOK_MS, options.mayServe)
    const awakeMs = (): number => this.#awake.nowMs()
    const waiters = new Waiters(clock)
    const list = new QueryList({
      queue: options.queue,
      keepEnded: KEEP_ENDED,
      onChange: (query) => this.#changed(query),
    })
    this.#records = new TermRecords({ ...options, list, catalog, awakeMs })
    const anewMs = (): number => this.#awake.anewMs
    const workers = new WorkerTable({ ...options, anewMs }, (workerId) => list.countOn(workerId))
    const publisher = new Publisher({
      catalog,
      by,
      clock,
      wallMs,
      log,
      signal,
      onPublished: (queryId) => waiters.wake(queryId),
    })
    const proof = this.#makeProof(workers)
    this.#proof = proof
    const settler = new Settler({
      lookFor: options.lookFor,
      whyNotOurs: async ({ base, tableId }) => {
        const table = tableId === null ? null : catalog.state().table(tableId)
        const known = () => (table?.location === base ? filesOf(table) : [])
        return (await proof?.whyNotOurs(base, known)) ?? null
      },
      list,
      catalog,
      by,
      clock,
      awakeMs,
      wallMs,
      log,
      signal,
      publish: (queryId) => publisher.publish(queryId),
      carriedOut: () => publisher.carriedOut,
      planAgain: ({ queryId, sql, session, submittedMs, names, asUser }, attempt) => {
        const context = {
          request: { queryId, attempt, sql, session },
          term,
          submittedMs,
          paths,
          compaction,
          principal: principalOf(asUser),
          names,
        }
        return plan(parseStatement(sql), catalog.state(), context)
      },
      onQueued: () => scheduler.kick(),
      onDropped: (query, why) => {
        this.#records.dropped(query, why)
        waiters.wake(query.queryId)
      },
      waiters,
      writeWaitMs: options.writeWaitMs,
    })
    const { warehouse, allowedPaths: allowed, systemDirectory } = options
    const paths = new PathRules({ warehouse, allowed, systemDirectory, clock })
    const scheduler: Scheduler = new Scheduler({
      list,
      workers,
      calls,
      clock,
      awakeMs,
      wallMs,
      signal,
      onLost: (query, why) => losses.unsure(query, why),
      onGivesWay: (query) => this.#giveWay(query),
      onUnread: (query) => this.#endUnread(query),
      onImpossible: (query, why) => this.#impossible(query, why),
    })
    this.sweeper = new Sweeper({
      catalog,
      by,
      roots: paths.roots,
      graceMs: options.litterGraceMs,
      oldestQueryMs: () => this.#oldestQueryMs(),
      clock,
      wallMs,
      log,
      signal,
    })
    this.compactor = new Compactor({
      compaction,
      term,
      catalog,
      list,
      hasWorker: () => workers.size > 0,
      onQueued: () => scheduler.kick(),
      whyNot: options.lowOnSpace,
      newId: randomUUID,
      clock,
      wallMs,
      log,
      signal,
    })
    this.census = new TableCensus(catalog, clock)
    const deaths = new Deaths({ workers, calls, clock, signal })
    const queries = { term, list, workers, catalog, scheduler, settler }
    const shared = { ...queries, calls, deaths, clock, wallMs }
    const losses = new Losses({ ...shared, awakeMs, anewMs, log })
    const { admission: rules = null } = options
    this.#admission = new Admission({ rules, workers, calls, clock, log })
    this.tracker = new TrackerService({
      ...shared,
      losses,
      awakeMs,
      proof,
      log,
      signal,
      onOrphan: (directory) => this.sweeper.add(directory),
    })
    this.client = new ClientService({
      ...shared,
      waiters,
      paths,
      compaction,
      awakeMs,
      parse: parseStatement,
      audit: options.audit,
      isPublishing: (queryId) => publisher.isPending(queryId),
    })
    this.list = list
    this.#waiters = waiters
    this.#settler = settler
    this.#losses = losses
    this.#workers = workers
    publisher.redo()
    this.compactor.start()
    this.census.start()
    proof?.start()
    this.#look()
    // What is litter may still be read by a query of an earlier term: it removes nothing before it knows them.
    void this.#records.inherit().then(() => {
      if (!this.#over) this.sweeper.start()
    })
  }

  /** As the tracker does, unless it may not. */
  async register(
    request: RequestOf<Services['tracker']['register']>,
  ): Promise<AnswerOf<Services['tracker']['register']>> {
    const refused = await this.#admission.whyNot(request.worker)
    if (refused === null) return this.tracker.register(request)
    return { epoch: this.#options.term, forget: [], refused }
  }

  /** Of a user's password; null for a user that there is not. */
  verifierOf(user: string): string | null {
    return this.catalog.state().user(user)?.verifier ?? null
  }

  /** What this term knows of its queries, newest last. */
  records(): QueryRecord[] {
    return this.#records.all()
  }

  workers(): WorkerRow[] {
    return this.#workers.rows(this.#awake.nowMs(), this.#options.proof?.limitMs ?? null)
  }

  /** They are those of its own directories, by their keys. */
  troubles(): ReadonlyMap<string, string> {
    return this.#proof?.troubles ?? new Map()
  }

  /** Where they can be asked, for whoever wants to know whether the network reaches them. */
  knownWorkers(): KnownWorker[] {
    return [...this.#workers.all()].map(({ info }) => ({
      address: info.addresses.qm,
      network: info.network ?? null,
    }))
  }

  /** Nobody waits here any more. What is being written to the catalog is finished. */
  async drain(): Promise<void> {
    this.#waiters.endAll()
    await this.#settler.idle()
    // So that the next active knows how the last ones ended; a directory that takes too long holds up nothing.
    await within(this.#options.clock, FLUSH_MS, this.#records.flush(), () => {})
  }

  /** The term is over. Waits for nothing that could hang. */
  async close(): Promise<void> {
    if (this.#over) return
    this.#over = true
    this.#cancelLook()
    this.#waiters.endAll()
    this.sweeper.stop()
    this.compactor.stop()
    this.census.stop()
    this.#proof?.stop()
    this.tracker.close()
    this.#parts.calls.close()
    this.#records.close()
    await this.#parts.close()
  }

  #makeProof(workers: WorkerTable): Proof | null {
    const { proof, lookFor, term, systemDirectory, warehouse, clock, log } = this.#options
    if (proof === undefined || lookFor === undefined) return null
    const sample = (): ReturnType<typeof someFiles> => someFiles(this.catalog.state(), warehouse)
    const { severalHosts = false, network = '', ...facts } = proof
    const isElsewhere = ({ info }: Worker): boolean =>
      info.network !== undefined && kernelOf(info.network) !== kernelOf(network)
    const isShared = (): boolean => severalHosts || [...workers.all()].some(isElsewhere)
    const own = { term, systemDirectory, warehouse, sample, lookFor, isShared, clock, log }
    return new Proof({ ...facts, ...own })
  }

  #look(): void {
    this.#cancelLook = this.#options.clock.after(LOOK_MS, () => {
      this.#losses.look()
      this.#admission.look()
      this.#look()
    })
  }

  #changed(query: Query): void {
    this.#records.note(query)
    if (query.stage === 'ended') this.#records.ended(query)
    this.#waiters.wake(query.queryId)
    if (query.stage === 'ended' && isBackground(query)) this.compactor.ended(query)
  }

  /** Nobody asked for it, and a query waits for its slot. */
  #giveWay(query: Query): void {
    const message = 'a query needs its slot'
    this.#settler.failed(query, { message, place: null, kind: 'killed' }, 'killed')
    const worker = query.spot === null ? null : this.#workers.get(query.spot.workerId)
    if (worker !== null) void this.#parts.calls.kill(worker.info, query)
  }

  /** A client that comes for it all the same begins it again, behind those that wait. */
  #endUnread(query: Query): void {
    const seconds = Math.round(query.unreadMs / 1000)
    const message = `nobody has taken anything of its result for ${seconds} s, while others waited for its slot`
    const error = { message, place: null, kind: 'lost' } as const
    this.list.end(query, { state: 'failed', error }, this.#options.wallMs())
    const worker = query.spot === null ? null : this.#workers.get(query.spot.workerId)
    if (worker !== null) void this.#parts.calls.kill(worker.info, query, message)
  }

  #impossible(query: Query, why: string): void {
    const error = { message: why, place: null, kind: 'internal' } as const
    if (query.kind === 'change') this.#settler.failed(query, error)
    else this.list.end(query, { state: 'failed', error }, this.#options.wallMs())
  }

  /** With the reads that are lost to this master: their clients may read on from the workers. */
  #oldestQueryMs(): number | null {
    const sinceMs = this.#options.wallMs() - this.#options.litterGraceMs
    let oldest: number | null = null
    for (const query of this.list.all()) {
      const { stage, kind, error, finishedMs, submittedMs } = query
      // It reads nothing yet, and it may wait for long.
      if (stage === 'queued' && isBackground(query)) continue
      const mayRun = kind === 'select' && error?.kind === 'lost' && (finishedMs ?? 0) > sinceMs
      if (stage !== 'ended' || mayRun) oldest = Math.min(oldest ?? submittedMs, submittedMs)
    }
    return oldest
  }
}
