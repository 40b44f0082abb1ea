/**
 * Everything about queries that belongs to one term: it is made when the term begins, from the catalog as it is then, and
 * thrown away as a whole with it. Loaded only by masters that may become active.
 */
import { randomUUID } from 'node:crypto'
import type { Log } from '../../base/log.ts'
import { type Clock, pause, within } from '../../base/time.ts'
import { Catalog } from '../../catalog/catalog.ts'
import type { Outcome } from '../../catalog/model.ts'
import { type KnownWorker, kernelOf } from '../../ha/index.ts'
import type { QueryRecord, WorkerRow } from '../../rpc/contract.ts'
import { parseStatement } from '../../sql/index.ts'
import type { CatalogPort } from './catalog/catalog-service.ts'
import { TableCensus } from './catalog/table-census.ts'
import { ClientService } from './client-service.ts'
import { Compactor } from './compaction/compactor.ts'
import { filesOf, Proof, someFiles } from './files/proof.ts'
import { Sweeper } from './files/sweeper.ts'
import type { QueryOptions } from './options.ts'
import { Deaths } from './run/deaths.ts'
import { failureOf, QueryList } from './run/list.ts'
import { Publisher } from './run/publisher.ts'
import { isBackground, type Query, recordOf } from './run/query.ts'
import type { QueryHistory } from './run/query-history.ts'
import { type LogLine, QueryLog } from './run/query-log.ts'
import { Scheduler } from './run/scheduler.ts'
import { endOf, Settler } from './run/settle.ts'
import { TrackerService } from './run/tracker-service.ts'
import { Waiters } from './run/waiters.ts'
import { WakingTime } from './run/waking-time.ts'
import { RpcWorkerCalls, type WorkerCalls } from './run/worker-calls.ts'
import { type Worker, WorkerTable } from './run/worker-table.ts'
import { isGivenUp } from './run/write-end.ts'
import { PathRules } from './statements/paths.ts'
import { plan } from './statements/plan.ts'

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
}

/** Ended queries that are kept in memory; the log has more. */
const KEEP_ENDED = 1000
const LOOK_MS = 500
/** A hand-over waits at most so long for the query log. */
const FLUSH_MS = 250
/** Between two tries to read the earlier terms' query log. */
const INHERIT_PAUSE_MS = 1000

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
  log('info', `the catalog is open under term ${term}`, { tookMs: clock.nowMs() - beganMs })
  const { clusterId, secret } = options
  const calls = new RpcWorkerCalls({ clusterId, secret, epoch: term, clock, log })
  const close = (): Promise<void> => catalog.close()
  return new QueryTerm(options, { catalog, calls, close })
}

/** What a test puts its own in place of. */
export interface TermParts {
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
  readonly #log: QueryLog
  readonly #awake: WakingTime
  readonly #proof: Proof | null
  #cancelLook = (): void => {}
  #over = false

  constructor(options: TermOptions, parts: TermParts) {
    const { term: epoch, compaction, clock, wallMs, log, signal } = options
    const { catalog, calls } = parts
    const by = options.address
    this.#options = options
    this.#parts = parts
    this.catalog = catalog
    this.#awake = new WakingTime(clock, LOOK_MS, options.mayServe)
    const awakeMs = (): number => this.#awake.nowMs()
    const waiters = new Waiters(clock)
    const queryLog = new QueryLog({
      directory: options.logDirectory,
      term: epoch,
      clock,
      log,
      listener: options.history,
      onPart: () => void options.history.removeSpent(epoch),
      onGone: () => {
        for (const query of this.list.all()) this.#log.add(this.#lineOf(query))
      },
    })
    const list = new QueryList({
      queueLimit: options.queueLimit,
      keepEnded: KEEP_ENDED,
      onChange: (query) => this.#changed(query),
    })
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
      planAgain: ({ queryId, sql, session, submittedMs, names }, attempt) => {
        const context = {
          request: { queryId, attempt, sql, session },
          epoch,
          submittedMs,
          paths,
          compaction,
          names,
        }
        return plan(parseStatement(sql), catalog.state(), context)
      },
      onQueued: () => scheduler.kick(),
      onDropped: (query, why) => this.#dropped(query, why),
      waiters,
      writeWaitMs: options.writeWaitMs,
    })
    const paths = new PathRules({
      warehouse: options.warehouse,
      allowed: options.allowedPaths,
      systemDirectory: options.systemDirectory,
      clock,
    })
    const scheduler: Scheduler = new Scheduler({
      list,
      workers,
      calls,
      clock,
      awakeMs,
      wallMs,
      signal,
      onLost: (query, why) => this.tracker.unsure(query, why),
      onGivesWay: (query) => this.#giveWay(query),
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
      epoch,
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
    const queries = { epoch, list, workers, catalog, scheduler, settler }
    const shared = { ...queries, calls, deaths, clock, wallMs }
    this.tracker = new TrackerService({
      ...shared,
      awakeMs,
      anewMs,
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
      parse: parseStatement,
      isPublishing: (queryId) => publisher.isPending(queryId),
    })
    this.list = list
    this.#waiters = waiters
    this.#settler = settler
    this.#workers = workers
    this.#log = queryLog
    publisher.redo()
    this.compactor.start()
    this.census.start()
    proof?.start()
    this.#look()
    // What is litter may still be read by a query of an earlier term: it removes nothing before it knows them.
    void this.#inherit().then(() => {
      if (!this.#over) this.sweeper.start()
    })
  }

  /** What this term knows of its queries, newest last. */
  records(): QueryRecord[] {
    return [...this.list.all()].map((query) => this.#recordOf(query))
  }

  workers(): WorkerRow[] {
    const nowMs = this.#awake.nowMs()
    return [...this.#workers.all()].map((worker) => ({
      ...this.#stateOf(worker, nowMs),
      ...this.#rowOf(worker, nowMs),
    }))
  }

  #stateOf(
    { storage, brokenMs, unprovenMs }: Worker,
    nowMs: number,
  ): Pick<WorkerRow, 'state' | 'trouble'> {
    // Its own word says what is wrong; that it says nothing for so long is wrong as well.
    const waitedMs = unprovenMs === null ? 0 : nowMs - unprovenMs
    const isLate = waitedMs > 2 * (this.#options.proof?.limitMs ?? waitedMs)
    const late = `it has not proven for ${Math.round(waitedMs / 1000)} s that it has the cluster's directories (its log says why)`
    const trouble = storage ?? (isLate ? late : null)
    return { state: brokenMs !== null ? 'silent' : trouble === null ? 'live' : 'stuck', trouble }
  }

  #rowOf({ info, heardMs, spill }: Worker, nowMs: number): Omit<WorkerRow, 'state' | 'trouble'> {
    return {
      address: info.workerId,
      spill,
      host: info.host,
      pid: info.pid,
      version: info.version,
      slots: info.slots,
      running: this.list.countOn(info.workerId),
      heartbeatAgeMs: Math.round(nowMs - heardMs),
      webPage: `http://${info.addresses.infoHttp}/`,
    }
  }

  /** Of its own directories, by their keys. */
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
    await within(this.#options.clock, FLUSH_MS, this.#log.flush(), () => {})
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
    this.#log.close()
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
      this.tracker.look()
      this.#look()
    })
  }

  #changed(query: Query): void {
    this.#log.add(this.#lineOf(query))
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

  /** Unless its client submits it again this is its end. */
  #dropped(query: Query, why: string): void {
    const { query: record, spot } = this.#lineOf(query)
    const failures = [...query.failures, failureOf(query, why)]
    this.#log.add({ query: { ...endedWithMaster(record), failures }, spot })
    this.#waiters.wake(query.queryId)
  }

  #lineOf(query: Query): LogLine {
    return { query: this.#recordOf(query), spot: query.spot }
  }

  #recordOf(query: Query): QueryRecord {
    const { address: master, term: epoch } = this.#options
    return recordOf(query, { master, epoch })
  }

  #impossible(query: Query, why: string): void {
    const error = { message: why, place: null, kind: 'internal' } as const
    if (query.kind === 'change') this.#settler.failed(query, error)
    else this.list.end(query, { state: 'failed', error }, this.#options.wallMs())
  }

  /** With the reads that are lost to this master: their clients may read on from the workers all the time. */
  #oldestQueryMs(): number | null {
    const { wallMs, litterGraceMs } = this.#options
    const sinceMs = wallMs() - litterGraceMs
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

  /**
   * What the earlier terms' log tells: queries whose workers should come back with them, and the history, which goes
   * into this term's file so that the old ones can be removed. Nothing waits for it: a worker that is back before its
   * query was read is believed all the same.
   */
  async #inherit(): Promise<void> {
    const { history, term, clock } = this.#options
    let lines = await history.allLines()
    while (lines === null && !this.#over) {
      await pause(clock, INHERIT_PAUSE_MS)
      lines = await history.allLines()
    }
    if (this.#over) return
    for (const { query, spot } of lines?.values() ?? []) {
      // Its own file has them already; a master without high availability is in term 1 at each start.
      if (this.list.get(query.queryId) !== null || query.epoch > term) continue
      const isOpen = query.state === 'running' || query.state === 'queued'
      const outcome = this.catalog.state().outcome(query.queryId)
      const over = isGivenUp(this.catalog.state(), query.queryId, query.attempt)
      if (isOpen && spot !== null && outcome === null && !over) {
        this.list.expect({ ...query, task: null }, spot, query.startedMs, this.#awake.nowMs())
      } else if (isOpen || query.epoch < term) {
        this.#log.add({ query: isOpen ? closed(query, outcome) : query, spot })
      }
    }
    await this.#log.flush()
    if (!this.#over && this.#log.dropped === 0) await history.removeBelow(term)
    await history.removeSpent(term)
  }
}

const endedWithMaster = (query: QueryRecord): QueryRecord => ({
  ...query,
  state: 'failed',
  error: { message: 'its master ended before it did', place: null, kind: 'lost' },
})

/** Its end is in the catalog, or nobody ever gave it to a worker: its client asks again, if he still wants to know. */
function closed(query: QueryRecord, outcome: Outcome | null): QueryRecord {
  if (outcome === null) return endedWithMaster(query)
  const { state, rows = null, message = null, error = null } = endOf(outcome)
  return { ...query, state, rows, message, error, finishedMs: outcome.atMs }
}
