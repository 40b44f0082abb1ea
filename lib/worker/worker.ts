/**
 * A worker is engines in processes of their own, four ports, and a tie to the active master.
 *
 * Only an active master gives it work, fenced by its term: whoever knows an older one than this worker has seen is
 * refused. Results go from here straight to the clients. What runs here outlives every failover of the masters.
 */
import type { FastifyInstance } from 'fastify'
import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import { type Clock, pause } from '../base/time.ts'
import type { Task, WorkerInfo } from '../contract/index.ts'
import { RpcError, requireIfNamed, requireNoPage } from '../rpc/index.ts'
import {
  type Authentication,
  type Bind,
  type Gate,
  Guard,
  type Handlers,
  type Keyed,
  limitedServer,
  type Membership,
  openAll,
  rpcServer,
  type ServerOptions,
} from '../serve/index.ts'
import { CatalogReader } from './catalog-reader.ts'
import { DirectoryTerm, type ShownTermsOptions } from './directory-term.ts'
import { Engines, type EnginesOptions } from './engines.ts'
import { Follow } from './follow.ts'
import { addInfoRoutes } from './info-routes.ts'
import { type MasterAddresses, Masters } from './masters.ts'
import { Proof, type ProofDirectory } from './proof.ts'
import { resultHandlers } from './result-service.ts'
import { RESULT_LIMITS, type ResultLimits, ResultRoom } from './results.ts'
import { Roots } from './roots.ts'
import { RunningQuery } from './running-query.ts'
import { Spill } from './spill.ts'
import { TaskList } from './task-list.ts'
import type { TypeNames } from './write-plan.ts'

type WorkerPort = 'qm' | 'clientRpc' | 'peer' | 'infoHttp'

export interface WorkerOptions {
  readonly worker: WorkerInfo
  readonly binds: Readonly<Record<WorkerPort, Bind>>
  readonly connectionsPerAddress: number
  /** By which browsers may ask its info port, lower case. */
  readonly names: readonly string[]
  readonly masters: readonly MasterAddresses[]
  /** The list of masters as it is now; left out where it never changes. */
  readonly readMasters?: () => Promise<readonly MasterAddresses[]>
  /** The masters that the cluster's directory knows; left out where there is none. */
  readonly readMembers?: () => Promise<readonly MasterAddresses[]>
  readonly engine: Omit<EnginesOptions, 'slots' | 'clock' | 'log'>
  /** Absolute directories, symbolic links resolved: what queries read and write lies below them. */
  readonly roots: readonly string[]
  /** Absolute, symbolic links resolved: the cluster's own files, closed to queries even where they lie in a root. */
  readonly closed: readonly string[]
  readonly types: TypeNames
  readonly authentication: Authentication
  /** From the cluster's directory; null while no master has formed the cluster yet. Rejects when it can't be read. */
  readonly readMembership: () => Promise<Membership | null>
  /** Which terms the cluster's directory shows. */
  readonly terms: ShownTermsOptions
  /** How many processes this host's kernel has killed for want of memory; null: it does not tell. */
  readonly oomKills?: () => number | null
  /** Which directories have to answer, and to be the cluster's; left out where nothing is proven. */
  readonly storage?: {
    readonly directories: readonly ProofDirectory[]
    readonly everyMs: number
    readonly limitMs: number
  }
  readonly idleMs: number
  readonly activeMs: number
  readonly beatMs: number
  readonly silenceMs: number
  /** How long a query waits for an active master's catalog. */
  readonly catalogMs: number
  readonly results?: ResultLimits
  /** A query may run so long; 0: as long as it takes. */
  readonly maxRunMs: number
  readonly clock: Clock
  readonly wallClockMs: () => number
  readonly random: () => number
  readonly log: Log
}

export class Worker {
  readonly #options: WorkerOptions
  readonly #guard: Guard
  readonly #masters: Masters
  readonly #tasks: TaskList
  readonly #follow: Follow
  readonly #proof: Proof | null
  readonly #spill: Spill
  readonly #room = new ResultRoom()
  readonly #apps: FastifyInstance[] = []
  readonly #counts = { begun: 0, fetched: 0 }
  readonly #stopped = new AbortController()
  #engines: Engines | null = null
  #joined: Membership | null = null
  readonly #term: DirectoryTerm

  constructor(options: WorkerOptions) {
    const { clock, log } = options
    this.#options = options
    this.#term = new DirectoryTerm({
      ...options.terms,
      onShown: (term) => this.#follow.onNewerTerm(term),
      clock,
      random: options.random,
      log,
    })
    this.#guard = new Guard({
      ...{ authentication: options.authentication, wallMs: options.wallClockMs },
      term: () => this.#term.newest,
      onNewerTerm: async (term) => {
        const why = await this.#term.doubt(term)
        if (why !== null) throw new RpcError('UNAVAILABLE', why)
      },
      onRefused: (_what, from, error) =>
        log('warn', `refused a message: ${error.message}`, { event: 'message-refused', from }),
    })
    this.#masters = new Masters({
      addresses: options.masters,
      readAddresses: options.readMasters ?? (async () => options.masters),
      readMembers: options.readMembers ?? (async () => []),
      clusterId: () => this.#guard.clusterId,
      secret: () => this.#joined?.secret ?? '',
      onForeign: () =>
        void this.#onRefused(`holds cluster ${this.#guard.clusterId}, which is another one`),
      term: () => this.#guard.term(),
      doubt: (term) => this.#term.doubt(term),
      onDoubted: (why) => this.#tellAstray(why),
      clock,
      log,
    })
    this.#tasks = new TaskList({
      slots: options.worker.slots,
      maxRunMs: options.maxRunMs,
      clock,
      start: (task) => this.#start(task),
      onChange: () => this.#follow.poke(),
    })
    const { storage } = options
    this.#proof =
      storage === undefined
        ? null
        : new Proof({
            ...{ ...storage, workerId: options.worker.workerId },
            incarnation: options.worker.incarnation,
            // It begins when the cluster is known.
            clusterId: () => this.#guard.clusterId ?? '',
            onChange: () => this.#follow.poke(),
            clock,
            log,
          })
    this.#spill = new Spill({
      directory: options.engine.spillDirectory,
      everyMs: options.idleMs,
      onChange: () => this.#follow.poke(),
      clock,
      wallClockMs: options.wallClockMs,
      log,
    })
    this.#follow = new Follow({
      ...options,
      storage: () => this.#proof?.trouble ?? null,
      proven: () => this.#proof?.proven() ?? null,
      onRegistered: (active) => this.#proof?.follow(active),
      spill: () => this.#spill.trouble,
      masters: this.#masters,
      tasks: this.#tasks,
      onTerm: (term) => void this.#term.doubt(term),
      onForbidden: () => this.#onRefused('has another secret than this master'),
    })
  }

  /** Resolves when its ports are open, and joins the cluster behind. Rejects with an Error for what can't be opened. */
  async start(): Promise<void> {
    const { binds, engine, worker, clock, log } = this.#options
    this.#engines = await Engines.open({ ...engine, slots: worker.slots, clock, log })
    const server = this.#serverOptions()
    const results = resultHandlers({
      worker,
      tasks: this.#tasks,
      epoch: () => this.#epoch,
      onFetch: () => {
        this.#counts.fetched += 1
      },
    })
    const ports: [WorkerPort, FastifyInstance][] = [
      ['qm', rpcServer('worker', this.#workerHandlers(), server)],
      ['clientRpc', rpcServer('results', results, server)],
      ['peer', this.#peerServer()],
      ['infoHttp', this.#infoServer()],
    ]
    this.#apps.push(...ports.map(([, app]) => app))
    const listeners = ports.map(([port, app]) => ({ app, bind: binds[port] }))
    await openAll(listeners, { perAddress: this.#options.connectionsPerAddress, clock, log })
    this.#spill.start()
    void this.#join()
  }

  /** Ends what runs, tells the master so if it can, and closes all. */
  async stop(why: string): Promise<void> {
    this.#options.log('info', `stopping: ${why}`, { event: 'worker-stopping' })
    this.#stopped.abort()
    this.#proof?.stop()
    this.#spill.stop()
    await this.#tasks.stop()
    await this.#follow.stop()
    await Promise.all(this.#apps.map((app) => app.close()))
    await this.#masters.close()
    await this.#engines?.close()
  }

  status(): WorkerInfo & { epoch: number; running: number } {
    return { ...this.#options.worker, epoch: this.#epoch, running: this.#tasks.running }
  }

  /** Of the master that it follows, where the directory shows none. */
  get #epoch(): number {
    return Math.max(this.#term.newest, this.#follow.active?.term ?? 0)
  }

  #start(task: Task): RunningQuery {
    const { types, clock, wallClockMs, log, engine, roots, closed, catalogMs } = this.#options
    if (this.#engines === null) throw new RpcError('UNAVAILABLE', 'this worker is still starting')
    this.#counts.begun += 1
    log('info', `query ${task.queryId} (attempt ${task.attempt}) begins`, {
      event: 'query-attempt-began',
      queryId: task.queryId,
      mode: task.mode,
      user: task.session.user,
    })
    const reader = new CatalogReader({
      masters: this.#masters,
      active: () => this.#follow.active,
      patienceMs: catalogMs,
      clock,
    })
    return new RunningQuery(task, {
      engines: this.#engines,
      scope: {
        roots: new Roots(roots, [...closed, engine.spillDirectory]),
        toDuckDb: types.toDuckDb,
        resolve: (tables, signal) => reader.resolve(tables, task.asUser, signal),
        seesFiles: ({ id }, signal) => reader.seesFiles(id, signal),
      },
      ready: () => this.#spill.ready(),
      requireOurs: async (path) => (await this.#proof?.require(path)) ?? null,
      types,
      limits: this.#options.results ?? RESULT_LIMITS,
      room: this.#room,
      onSlot: () => this.#follow.poke(),
      clock,
      wallClockMs,
      log,
    })
  }

  #workerHandlers(): Handlers<'worker'> {
    return {
      run: (task) => this.#tasks.run(task),
      kill: ({ queryId, attempt, why = 'the query was killed' }) => {
        this.#tasks.kill(queryId, attempt, why)
        return {}
      },
      manifest: ({ queryId, attempt, page }) => {
        const found = this.#tasks.find(queryId, attempt)?.page(page) ?? null
        if (found !== null) return found
        throw new RpcError('UNAVAILABLE', 'this worker has no such page of a manifest (any more)')
      },
      status: () => this.status(),
    }
  }

  #peerServer(): FastifyInstance {
    const app = this.#limitedServer({ keyed: { guard: this.#guard, isCertified: false } })
    app.addHook('onRequest', async (request) => requireNoPage(request))
    app.post('/rpc/worker/status', () => this.status())
    return app
  }

  #infoServer(): FastifyInstance {
    const app = this.#limitedServer({})
    addInfoRoutes(app, {
      names: this.#options.names,
      status: () => this.status(),
      metrics: () => ({
        running: this.#tasks.running,
        freeSlots: this.#tasks.freeSlots,
        slots: this.#options.worker.slots,
        term: this.#epoch,
        unshownTerms: this.#term.unshown,
        begun: this.#counts.begun,
        fetched: this.#counts.fetched,
        registrations: this.#follow.registrations,
        refusedClusters: this.#guard.refused.cluster,
        refusedSecrets: this.#guard.refused.secret,
        refusedTerms: this.#guard.refused.epoch,
        memoryBytes: process.memoryUsage.rss(),
      }),
    })
    return app
  }

  #limitedServer(more: { readonly keyed?: Keyed }): FastifyInstance {
    const app = limitedServer({
      ...more,
      log: this.#options.log,
      term: () => this.#guard.term(),
      clusterId: () => this.#guard.clusterId,
    })
    app.addHook('onRequest', async (request) => requireIfNamed(request, this.#guard.clusterId))
    return app
  }

  #serverOptions(): ServerOptions {
    const { clock, beatMs, log } = this.#options
    return { guard: this.#guard, gate: NEVER_ACTIVE, clock, beatMs, log }
  }

  /** Workers may be started together with the first master, or before it. */
  async #join(): Promise<void> {
    const { clock, log } = this.#options
    const { signal } = this.#stopped
    for (let turn = 0; this.#joined === null && !signal.aborted; turn++) {
      if (turn > 0) await pause(clock, LEARN_PAUSE_MS, signal)
      const why = await this.#learnMembership(turn % LEARN_TURNS_A_MESSAGE === 0)
      if (why !== null) this.#tellAstray(why)
    }
    if (signal.aborted) return
    log('info', 'the cluster is formed: looking for the active master', { event: 'cluster-found' })
    this.#proof?.start()
    this.#follow.start()
  }

  get #rootText(): string {
    const [root] = this.#options.storage?.directories ?? []
    return root === undefined ? 'directory' : `directory ${root.path} (${root.key})`
  }

  #tellAstray(why: string): void {
    const { workerId, host } = this.#options.worker
    void this.#masters.tellAstray({ workerId, host, why: why.slice(0, 1000) })
  }

  /** What it has read is not what the masters have: perhaps they were made anew, or this directory is another one. */
  async #onRefused(how: string): Promise<void> {
    const before = this.#joined
    const why = await this.#learnMembership(false)
    const { clusterId, secret } = this.#joined ?? {}
    if (why !== null || (before?.clusterId === clusterId && before?.secret === secret))
      this.#tellAstray(why ?? `its ${this.#rootText} ${how}`)
  }

  /** The directory was made anew: terms begin again there, and what runs here belongs to nobody any more. */
  #leaveFormer({ clusterId }: Membership): void {
    const former = this.#joined?.clusterId
    if (former === undefined || former === clusterId) return
    const text = `tajo.rootdir holds cluster ${clusterId} now, and ${former} before: what this worker ran for that one ends`
    this.#options.log('error', text, { event: 'cluster-replaced' })
    this.#tasks.forgetAll()
    this.#term.forget()
  }

  /** Why it knows none; null when it does. */
  async #learnMembership(tell = true): Promise<string | null> {
    const { readMembership, log } = this.#options
    try {
      const membership = await readMembership()
      if (membership === null) {
        if (tell) log('warn', NO_CLUSTER, { event: 'cluster-missing' })
        return `its ${this.#rootText} holds no cluster: is the shared directory mounted there?`
      }
      this.#leaveFormer(membership)
      this.#joined = membership
      this.#guard.join(membership)
      return null
    } catch (error) {
      const text = `the cluster's id and secret can't be read: ${messageOf(error)}`
      if (tell) log('error', text, { event: 'cluster-unreadable' })
      return `its ${this.#rootText} can't be read: ${messageOf(error)}`
    }
  }
}

const LEARN_PAUSE_MS = 200
const LEARN_TURNS_A_MESSAGE = 50
const NO_CLUSTER =
  'waiting: no master has formed the cluster in this directory (tajo.rootdir) yet; start one, or give this worker the same tajo.rootdir as the masters'

/** None of a worker's methods is for the active master only. */
const NEVER_ACTIVE: Gate = {
  enter: () => {
    throw new RpcError('NOT_ACTIVE', 'this is a worker')
  },
}
