/**
 * The query side of a master for as long as its process lives: the handlers of the client, tracker and catalog ports,
 * and whatever belongs to the term behind them (`term.ts`) while this master has one. A backup answers from the query
 * log only, or names the active where nobody but its writer may read that, and stays light: catalog, parser and all that a
 * term needs are loaded when it has joined, before they are needed, so that a take-over waits for no import.
 */

import { administrator, type Caller, mayTouch, type Principal } from '../../access/index.ts'
import type { Audit } from '../../base/audit.ts'
import { messageOf } from '../../base/failures.ts'
import type { Log } from '../../base/log.ts'
import { yieldingTo } from '../../base/slices.ts'
import type { Clock } from '../../base/time.ts'
import { isTermOver, type Table } from '../../catalog/index.ts'
import type { QueryRecord, ServiceStatus, WorkerRow } from '../../contract/index.ts'
import type { Activation, KnownWorker } from '../../ha/index.ts'
import { RpcError } from '../../rpc/index.ts'
import type { Handlers } from '../../serve/index.ts'
import type { Whereabouts } from '../active-gate.ts'
import type { AstrayWorker } from '../network/astray-workers.ts'
import { CatalogFollower } from './catalog/catalog-follower.ts'
import type { CatalogReads } from './catalog/catalog-service.ts'
import type { TableCounts } from './catalog/table-census.ts'
import { LogInService } from './log-in-service.ts'
import type { QueryOptions } from './options.ts'
import type { QueryHistory } from './run/query-history.ts'
import type { QueryTerm } from './term.ts'

interface ServicesOptions {
  /** Null: a master that only takes part in the election. */
  readonly queries: QueryOptions | null
  /** Umbilical address, for records. */
  readonly address: string
  readonly status: () => ServiceStatus
  /** Where whoever asks for what this master doesn't know should ask. */
  readonly whereabouts: () => Whereabouts
  /** Client RPC addresses of this cluster's masters; rejects while it isn't joined. */
  readonly masters: () => Promise<string[]>
  /** Another master of this host opens the catalog now: to read it here as well would only slow that. */
  readonly othersOpen: () => boolean
  /** A worker says that it has no directory of this cluster. */
  readonly onAstray: (worker: AstrayWorker) => void
  /** `Member.commit`. */
  readonly commit: () => Promise<void>
  /** `Member.mayServe`. */
  readonly mayServe: () => boolean
  /** The catalog can take no more changes under this term, but perhaps under another master's. */
  readonly onBroken: (error: Error) => void
  /** The catalog's files were removed, and are written anew: the term has to be given up. */
  readonly onGone: (why: string) => void
  /** Why the shared directory should not be written to but for what has to be; null when it may. */
  readonly lowOnSpace: () => string | null
  readonly clusterId: () => string | null
  readonly secret: () => string
  readonly clock: Clock
  readonly wallMs: () => number
  readonly log: Log
  /** Left out where nothing is audited. */
  readonly audit?: Audit | undefined
}

/** After it has joined, when what its start leaves to do is mostly over. */
const REHEARSAL_MS = 3000

interface Loaded {
  readonly openTerm: typeof import('./term.ts').openTerm
  readonly history: QueryHistory
}

export class QueryServices {
  readonly #options: ServicesOptions
  #loaded: Promise<Loaded> | null = null
  #follower: CatalogFollower | null = null
  #isActivating = false
  #isClosed = false
  #cancelRehearsal = (): void => {}
  /** Aborts when a term begins here, or the process ends: no rehearsal is of any use any more. */
  readonly #inEarnest = new AbortController()
  readonly #logIn: LogInService
  #term: QueryTerm | null = null
  readonly #reads = new WeakMap<QueryTerm, CatalogReads>()

  constructor(options: ServicesOptions) {
    this.#options = options
    this.#logIn = new LogInService({
      ...options,
      verifierOf: (user) => this.#openTerm().verifierOf(user),
    })
  }

  /** Loads what a term needs; to be called when this master has joined and nothing waits for it. */
  preload(): void {
    if (this.#options.queries === null) return
    const loaded = this.#load(this.#options.queries).then(() => import('./catalog/rehearsal.ts'))
    const ready = loaded.then(({ warmUp }) => warmUp())
    ready.catch((error: unknown) => {
      const text = 'the query services can not be loaded'
      // It is tried again when it is needed, and fails the activation then.
      this.#options.log('error', text, { event: 'services-unloaded', error })
    })
    this.#follower = this.#makeFollower(this.#options.queries)
    this.#follower.start()
    this.#rehearseLater(this.#options.queries)
  }

  /** How old what this master knows of the catalog is; null for a backup that knows nothing of it yet. */
  catalogAgeMs(): number | null {
    return this.#term === null ? (this.#follower?.ageMs ?? null) : 0
  }

  /** The process ends, or this master takes no part any more. */
  close(): void {
    this.#isClosed = true
    this.#inEarnest.abort()
    this.#cancelRehearsal()
    this.#follower?.stop()
  }

  /** Whoever has had a term needs none. */
  #rehearseLater(queries: QueryOptions): void {
    const { clock, othersOpen } = this.#options
    const { scratch } = queries
    if (scratch === undefined) return
    this.#cancelRehearsal = clock.after(REHEARSAL_MS, () => {
      if (this.#inEarnest.signal.aborted) return
      if (othersOpen()) this.#rehearseLater(queries)
      else void this.#rehearse(queries, scratch)
    })
  }

  async #rehearse(queries: QueryOptions, scratch: string): Promise<void> {
    const { address, clock, wallMs, log } = this.#options
    const { signal } = this.#inEarnest
    const beganMs = clock.nowMs()
    try {
      const { rehearse } = await import('./catalog/rehearsal.ts')
      await rehearse({ queries, scratch, address, clock, wallMs, signal })
      log('debug', 'a take-over was rehearsed', {
        event: 'rehearsal-ended',
        tookMs: clock.nowMs() - beganMs,
      })
    } catch (error) {
      if (signal.aborted) return
      const text = `a take-over can't be rehearsed in ${scratch}, so the first one takes a little longer: ${messageOf(error)}`
      log('info', text, { event: 'rehearsal-failed' })
    }
  }

  #makeFollower({ makeStore, followMs }: QueryOptions): CatalogFollower {
    const { clusterId, clock, log } = this.#options
    return new CatalogFollower({
      open: async () => {
        const store = await makeStore(clusterId())
        const follow = store.follow?.bind(store)
        return follow === undefined ? null : { follow, close: () => store.close() }
      },
      mayFollow: () => this.#term === null && !this.#isActivating,
      turns: yieldingTo(() => !this.#isClosed && this.#options.othersOpen()),
      everyMs: followMs,
      clock,
      log,
    })
  }

  /** Opens the catalog under `term`. Rejects CatalogError; the term can't be served then. */
  async activate(
    term: number,
    signal: AbortSignal,
    { onTrouble, renewed }: Activation,
  ): Promise<void> {
    const {
      queries,
      status: _status,
      whereabouts: _whereabouts,
      masters: _masters,
      onAstray: _onAstray,
      ...options
    } = this.#options
    if (queries === null) return
    const { openTerm, history } = await this.#load(queries)
    this.#isActivating = true
    this.#inEarnest.abort()
    try {
      this.#term = await openTerm({
        ...{ ...options, ...queries, history, term, signal, onTrouble, renewed },
      })
    } finally {
      this.#isActivating = false
    }
  }

  /** What the open term keeps, for its record. */
  keeps(): string | null {
    return this.#term?.catalog.note?.() ?? null
  }

  /** Why changes of the catalog have to wait; null when they don't, or where no term is open. */
  trouble(): string | null {
    return this.#term?.catalog.trouble?.() ?? null
  }

  /** How many files its tables have; null where no term is open, or before they were counted. */
  tableCounts(): TableCounts | null {
    return this.#term?.census.counts ?? null
  }

  /** Why workers can't prove that a directory is this master's, and no change is recorded there; by its key. */
  directoryTroubles(): ReadonlyMap<string, string> {
    return this.#term?.troubles() ?? new Map()
  }

  /** Has some table files below this directory? False where no term is open. */
  keepsFilesIn(directory: string): boolean {
    const state = this.#term?.catalog.state()
    const isThere = ({ location, files }: Table): boolean =>
      files.length > 0 && location.startsWith(`${directory}/`)
    return (state?.findTable(isThere) ?? null) !== null
  }

  /** Looks for all that the open term rests on; `onGone` follows where it isn't there. */
  async prove(): Promise<void> {
    await this.#term?.catalog.prove?.()
  }

  /** Long polls end, and what is being written to the catalog is finished. */
  async drain(): Promise<void> {
    await this.#term?.drain()
  }

  async deactivate(): Promise<void> {
    const term = this.#term
    this.#term = null
    await term?.close()
  }

  client(): Handlers<'client'> {
    return {
      status: this.#options.status,
      masters: async () => ({ masters: await this.#options.masters() }),
      beginLogIn: ({ message }, { from }) => this.#logIn.begin(message, from),
      endLogIn: ({ message, state }, { from }) => this.#logIn.end(message, state, from),
      submit: (request, { caller, from }) => {
        const who = (): Principal => this.#logIn.who(caller, request.session.user)
        return this.#inTerm(({ client }) => client.submit(request, who(), from))
      },
      wait: (request, { caller }) =>
        this.#inTerm(({ client }) => client.wait(request, this.#logIn.who(caller))),
      kill: (request, { caller, from }) => {
        this.#options.audit?.('kill', {
          queryId: request.queryId,
          user: caller?.principal.name,
          from,
        })
        return this.#inTerm(({ client }) => client.kill(request, this.#logIn.who(caller)))
      },
      workers: () => ({ workers: [...this.workers()] }),
      queries: async ({ limit }, { caller }) => {
        if (this.#term !== null) this.#logIn.who(caller)
        return { queries: await this.newest(limit, caller?.principal) }
      },
    }
  }

  tracker(): Handlers<'tracker'> {
    return {
      status: this.#options.status,
      register: async (request, { from }) => {
        const answer = await this.#inTerm((term) => term.register(request))
        const { workerId: address, host } = request.worker
        const { refused: why } = answer
        if (why != null) this.#options.onAstray({ address, host, why, from })
        return answer
      },
      heartbeat: (request) => this.#inTerm(({ tracker }) => tracker.heartbeat(request)),
      prove: (request) => this.#inTerm(({ tracker }) => tracker.prove(request)),
      astray: ({ workerId: address, host, why }, { from }) => {
        this.#options.onAstray({ address, host, why, from })
        return {}
      },
      ended: (request) => this.#inTerm(({ tracker }) => tracker.ended(request)),
      follow: (request, writer) => {
        if (this.#term === null) writer.end()
        else this.#term.tracker.follow(request, writer)
      },
    }
  }

  catalog(): Handlers<'catalog'> {
    type Work<T> = (reads: CatalogReads) => T | Promise<T>
    const reads = <T>(work: Work<T>): Promise<T> =>
      this.#inTerm(async (term) => work(await this.#readsOf(term)))
    const shown = <T>({ caller }: { readonly caller: Caller | null }, work: Work<T>): Promise<T> =>
      reads((one) => this.#logIn.who(caller) && work(one))
    return {
      status: this.#options.status,
      databases: (request, context) => shown(context, (one) => one.databases(request, context)),
      tables: (request, context) => shown(context, (one) => one.tables(request, context)),
      resolve: (request, context) => reads((one) => one.resolve(request, context)),
      moreFiles: (request, context) => reads((one) => one.moreFiles(request, context)),
      seesFiles: (request, context) => reads((one) => one.seesFiles(request, context)),
    }
  }

  async #readsOf(term: QueryTerm): Promise<CatalogReads> {
    const { catalogService } = await import('./catalog/catalog-service.ts')
    const known = this.#reads.get(term) ?? catalogService(term.catalog, this.#options.clock)
    this.#reads.set(term, known)
    return known
  }

  /**
   * Queries of all terms, newest first: the log's, and over them what this term knows itself. Rejects with RpcError
   * NOT_ACTIVE where only the active knows them. `who`: only those that are his to see.
   */
  async newest(limit: number, who: Principal = administrator('')): Promise<QueryRecord[]> {
    const { queries, whereabouts } = this.#options
    if (queries === null) return []
    const { history } = await this.#load(queries)
    const logged = await history.newest(queries.historyLimit)
    if (history.isSealed && this.#term === null) {
      const { active, epoch } = whereabouts()
      const where = active === null ? 'none is known' : `it is at ${active}`
      const text = `the list of queries is told by the active master alone, since nobody else may read the query log here while it grows (HDFS's NFS gateway); ${where}`
      throw new RpcError('NOT_ACTIVE', text, { active, epoch })
    }
    const records = new Map(logged.map((query) => [query.queryId, query]))
    for (const record of this.#term?.records() ?? []) records.set(record.queryId, record)
    const his = [...records.values()].filter(({ asUser }) => mayTouch(who, asUser))
    return his.sort((a, b) => b.submittedMs - a.submittedMs).slice(0, limit)
  }

  /** What this term knows of its queries; none on a backup. */
  ofThisTerm(): QueryRecord[] {
    return this.#term?.records() ?? []
  }

  /** Whether that user is there and has that password; where no term is open nobody knows, and it is believed. */
  isCurrent(caller: Caller): boolean {
    return this.#term === null || this.#logIn.isCurrent(caller)
  }

  /** On the active; elsewhere nobody knows. */
  workers(): readonly WorkerRow[] {
    return this.#term?.workers() ?? []
  }

  /** They are registered with this master. */
  knownWorkers(): KnownWorker[] {
    return this.#term?.knownWorkers() ?? []
  }

  #openTerm(): QueryTerm {
    if (this.#term !== null) return this.#term
    throw new RpcError('UNAVAILABLE', 'this master runs no queries')
  }

  async #inTerm<T>(work: (term: QueryTerm) => T | Promise<T>): Promise<T> {
    const term = this.#openTerm()
    try {
      return await work(term)
    } catch (error) {
      if (!isTermOver(error)) throw error
      throw new RpcError('NOT_ACTIVE', error.message, { cause: error })
    }
  }

  #load(queries: QueryOptions): Promise<Loaded> {
    this.#loaded ??= this.#import(queries).catch((error: unknown) => {
      this.#loaded = null
      throw error
    })
    return this.#loaded
  }

  async #import({
    preload,
    logDirectory,
    historyLimit,
    historyMaxAgeMs,
    logDisk,
  }: QueryOptions): Promise<Loaded> {
    const { clock, wallMs, log } = this.#options
    const [{ openTerm }, { QueryHistory }] = await Promise.all([
      import('./term.ts'),
      import('./run/query-history.ts'),
      import('./catalog/catalog-service.ts'),
      preload(),
    ])
    const options = {
      directory: logDirectory,
      limit: historyLimit,
      maxAgeMs: historyMaxAgeMs,
      clock,
      wallMs,
      log,
      ...(logDisk === undefined ? {} : { disk: logDisk }),
    }
    return { openTerm, history: new QueryHistory(options) }
  }
}
