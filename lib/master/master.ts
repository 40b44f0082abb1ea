/**
 * A master, composed of its parts: five open ports, the seat in the election, the streams to the other masters, the
 * view for the web. It takes plain options and knows no configuration file.
 *
 *     starting → backup → activating → active → stepping down → backup
 *
 * The election says when to move (`Member`); this file opens and closes what belongs to a term, and tells the others.
 * All ports are open from the start and on backups too: what only the active may do is refused there by the gate.
 */
import type { FastifyInstance } from 'fastify'
import type { Log } from '../base/log.ts'
import { type Clock, within } from '../base/time.ts'
import {
  type Addresses,
  type DirectoryNote,
  type Member,
  type MemberView,
  opensBeside,
  type Service,
  type Timing,
} from '../ha/index.ts'
import {
  type Bind,
  Guard,
  type Handlers,
  type LineWriter,
  limitedServer,
  type MasterStatus,
  type Membership,
  openAll,
  type Refused,
  RpcError,
  rpcServer,
  type ServerOptions,
  type ServiceStatus,
  type Standing,
} from '../rpc/index.ts'
import { COMMON_HEADERS } from '../web/headers.ts'
import { Metrics } from '../web/metrics.ts'
import { countQueries } from '../web/query-page.ts'
import { addWebRoutes, type WebDoor } from '../web/server.ts'
import type { ConfigDocument, MetricsFacts, WebRules } from '../web/view.ts'
import { slowActivation, TermsBegun } from './activation-time.ts'
import { ActiveGate } from './active-gate.ts'
import { keepHeapLean } from './lean-heap.ts'
import { LoopPauses } from './loop-pauses.ts'
import { AstrayWorkers } from './network/astray-workers.ts'
import type { ContestLetters } from './network/contest-letters.ts'
import type { ForeignMasters } from './network/foreign-masters.ts'
import { OwnMasters } from './network/foreign-masters.ts'
import type { MasterNetwork, NetworkOptions } from './network/network.ts'
import type { Peers } from './network/peers.ts'
import { PeerNews } from './network/peers.ts'
import { SplitBrainAlarm } from './network/split-brain.ts'
import type { QueryOptions } from './queries/options.ts'
import { QueryServices } from './queries/services.ts'
import { StandingFiles } from './standing-files.ts'
import { troubleOf } from './view/alerts.ts'
import { countWorkers } from './view/cluster-document.ts'
import { type OwnFacts, othersOf, standingOf, statusOf } from './view/cluster-view.ts'
import { HistoryCache } from './view/history-cache.ts'
import { LeaseRecord } from './view/lease-record.ts'
import { MasterWeb } from './view/master-web.ts'

export interface MasterOptions {
  /** Umbilical address: the master's name in the cluster. */
  readonly address: string
  readonly binds: { readonly [K in keyof Addresses]: Bind }
  /** Takes part in the election for `service`. `onFailure` is called when it can't go on later. */
  readonly join: (
    service: Service,
    onFailure: (error: Error) => void,
  ) => Promise<{ readonly member: Member } & Membership>
  /** Of the cluster's files, for those of other clusters: tajo.rootdir. */
  readonly rootDirectory: string
  /** What is wrong with that directory's owners. */
  readonly directoryWarnings: () => readonly string[]
  /** What is wrong with the tables' directory, a sentence each. */
  readonly warehouse: () => readonly string[]
  /** Between two lines on a watch stream. */
  readonly beatMs: number
  /** So long a silence on one means a frozen peer. */
  readonly silenceMs: number
  /** So long may the orderly end take; after it everything is dropped, and the keeper says the last word. */
  readonly stopMs: number
  /** Null: it takes part in the election and serves no queries. */
  readonly queries: QueryOptions | null
  /** Null when high availability is off. */
  readonly timing: Timing | null
  readonly web: WebRules
  /** How it measures the clients' network: whose network it is on, and who is asked beside the members. */
  readonly network: Pick<NetworkOptions, 'network' | 'witnesses'>
  /** The configuration in force, for people; no secrets. */
  readonly config: () => ConfigDocument
  /** Umbilical addresses of all masters, as conf/masters lists them at the moment. */
  readonly listed: () => readonly string[]
  readonly version: string
  /** This master can't take part any more: the process should end. */
  readonly onFailure: (error: Error) => void
  readonly pid: number
  /** Wall clock, seconds since the Unix epoch. */
  readonly startedAtSeconds: number
  readonly clock: Clock
  /** ms since 1970, for records that people read. */
  readonly wallMs: () => number
  readonly log: Log
}

/** What a line on a watch stream tells of renewals: the worst of so long. */
const PULSE_MS = 1000
/** Without high availability there is no monitor interval. */
const UNTIMED_MS = 5000
/** So far back the holder of a term is one of our masters. */
const TERMS_BACK = 50
/** States in which a pause of the event loop keeps nobody waiting. */
const AT_REST: readonly string[] = ['starting', 'backup', 'stopped']
const NOT_JOINED = 'this master has not joined its cluster yet'

export class Master {
  readonly #options: MasterOptions
  readonly #guard: Guard
  readonly #gate: ActiveGate
  readonly #alarm: SplitBrainAlarm
  readonly #history: HistoryCache
  readonly #queries: QueryServices
  readonly #astray: AstrayWorkers
  readonly #metrics = new Metrics()
  readonly #pauses: LoopPauses
  /** Of the term that is served: that its activation took too long, as a sentence. */
  #slowActivation: string | null = null
  readonly #files: StandingFiles
  readonly #news: PeerNews
  readonly #ours: OwnMasters
  readonly #record: LeaseRecord
  readonly #web: MasterWeb
  readonly #termsBegun: TermsBegun
  #door: WebDoor | null = null
  readonly #watchers = new Set<LineWriter<Standing>>()
  #servers: FastifyInstance[] = []
  #secret = ''
  #member: Member | null = null
  #peers: Peers | null = null
  #foreign: ForeignMasters | null = null
  #letters: ContestLetters | null = null
  #listed = ''
  /** Null without high availability, and until it is joined. */
  #network: MasterNetwork | null = null
  #told: Standing | null = null
  /** The newest term that the directory has shown. */
  #epoch = 0
  #transitions = 0
  #cancelBeat = (): void => {}
  #stopping: Promise<void> | null = null

  constructor(options: MasterOptions) {
    const { clock, log } = options
    const rights = {
      mayServe: () => this.#member?.mayServe() ?? false,
      term: () => this.#member?.term() ?? null,
    }
    this.#options = options
    this.#guard = new Guard({
      epoch: () => this.#epoch,
      onNewerEpoch: (epoch) => this.#member?.hint(`term ${epoch} was heard of`),
      onRefused: (what, from, error) => this.#logRefused(what, from, error),
    })
    this.#gate = new ActiveGate(rights, () => this.#whereabouts())
    this.#alarm = new SplitBrainAlarm({
      rights,
      clock,
      log,
      ask: async (address) => (await this.#peers?.ask(address)) ?? null,
    })
    this.#history = new HistoryCache((limit) => this.#joined().history(limit), clock)
    this.#astray = new AstrayWorkers(clock)
    this.#queries = new QueryServices({
      queries: options.queries,
      address: options.address,
      status: () => this.#serviceStatus(),
      whereabouts: () => this.#whereabouts(),
      masters: async () => this.#ours.names(this.#joined().view()),
      othersOpen: () => this.#member !== null && opensBeside(this.#member.view()),
      onAstray: (worker) => {
        // Before, there may be no cluster yet.
        if (this.#member !== null) this.#astray.hear(worker)
      },
      commit: () => this.#joined().commit(),
      mayServe: rights.mayServe,
      onBroken: (error) => options.onFailure(brokenCatalog(error)),
      onGone: (why) => this.#member?.giveUp(why),
      lowOnSpace: () => this.#lowOnSpace(),
      clusterId: () => this.clusterId,
      secret: () => this.#secret,
      clock,
      wallMs: options.wallMs,
      log,
    })
    this.#files = new StandingFiles({
      everyMs: options.timing?.monitorMs ?? UNTIMED_MS,
      mayServe: rights.mayServe,
      clock,
      log,
    })
    this.#files.add("the catalog's files", () => this.#queries.prove())
    this.#news = new PeerNews(options.wallMs)
    this.#ours = new OwnMasters({
      listed: options.listed,
      isForeign: (address) => this.#foreign?.wasForeign(address) ?? false,
      history: () => this.#history.newest(TERMS_BACK),
    })
    this.#record = new LeaseRecord(options.wallMs)
    this.#pauses = new LoopPauses(() => clock.nowMs())
    this.#termsBegun = new TermsBegun({ newest: () => this.#joined().history(1), clock })
    this.#web = this.#makeWeb()
  }

  /**
   * Opens all ports, then joins the election; resolves when it takes part. Rejects with an Error that names the key of
   * a port that can't be opened, or with the election's HaError; nothing stays open then.
   */
  async start(): Promise<void> {
    await this.#open()
    try {
      // Loaded while the election starts: the calling side of RPC costs a tenth of a second, and no port waits for it. So
      // does the parser of statements: made with the first of them, it would hold up everything else of a new active.
      const [joined, { Peers }, { MasterNetwork }, { ForeignMasters }, { ContestLetters }] =
        await Promise.all([
          this.#options.join(this.#service(), this.#options.onFailure),
          import('./network/peers.ts'),
          import('./network/network.ts'),
          import('./network/foreign-masters.ts'),
          import('./network/contest-letters.ts'),
          import('../sql/index.ts').then(({ prepareParser }) => prepareParser()),
        ])
      this.#joinedAs(joined, { Peers, MasterNetwork })
      this.#letters = this.#makeLetters(joined.member, ContestLetters)
      this.#foreign = new ForeignMasters({
        self: this.#options.address,
        clusterId: joined.clusterId,
        rootDirectory: this.#options.rootDirectory,
        listed: this.#options.listed,
        isConnected: (address) => this.#peers?.isConnected(address) ?? false,
        clock: this.#options.clock,
        log: this.#options.log,
      })
    } catch (error) {
      await this.#close()
      throw error
    }
  }

  /** Releases the term or leaves the backups, then closes everything. Takes little more than `stopMs` at most. */
  stop(reason: string): Promise<void> {
    this.#stopping ??= this.#stop(reason)
    return this.#stopping
  }

  /** Null until the cluster is joined. */
  get member(): Member | null {
    return this.#member
  }

  /** Rejects requests of the admin socket, too, until the cluster is joined. */
  status(): MasterStatus {
    return statusOf(this.#joined().view(), this.#own())
  }

  epoch(): number {
    return this.#guard.epoch()
  }

  /** Does the catalog name files below this directory? False on a master that does not serve. */
  keepsFilesIn(directory: string): boolean {
    return this.#queries.keepsFilesIn(directory)
  }

  /** Null until the cluster is joined. */
  get clusterId(): string | null {
    return this.#guard.clusterId
  }

  // ---- its beginning and its end ---------------------------------------------------------------------------------

  async #open(): Promise<void> {
    const { binds, clock, log, beatMs } = this.#options
    const server: ServerOptions = {
      guard: this.#guard,
      gate: this.#gate,
      clock,
      log,
      // Streams carry a line each beat by themselves; the empty line is for a process that is late with it.
      beatMs: 2 * beatMs,
      onCall: (call) => this.#metrics.call(call),
    }
    const info = limitedServer({
      log,
      epoch: () => this.epoch(),
      clusterId: () => this.clusterId,
      headers: COMMON_HEADERS,
    })
    const { web: rules, version } = this.#options
    const web = { view: this.#web, rules, metrics: this.#metrics, version, clock, log }
    this.#door = addWebRoutes(info, web)
    const listeners = [
      { bind: binds.umbilical, app: rpcServer('umbilical', this.#umbilical(), server) },
      { bind: binds.clientRpc, app: rpcServer('client', this.#queries.client(), server) },
      { bind: binds.resourceTracker, app: rpcServer('tracker', this.#queries.tracker(), server) },
      { bind: binds.catalog, app: rpcServer('catalog', this.#queries.catalog(), server) },
      { bind: binds.infoHttp, app: info },
    ]
    await openAll(listeners)
    this.#servers = listeners.map(({ app }) => app)
  }

  #joinedAs(
    { member, clusterId, secret }: { member: Member } & Membership,
    loaded: { Peers: typeof Peers; MasterNetwork: typeof MasterNetwork },
  ): void {
    const { address, beatMs, clock, log, silenceMs } = this.#options
    this.#member = member
    this.#secret = secret
    this.#guard.join({ clusterId, secret })
    this.#peers = new loaded.Peers({
      self: address,
      clusterId: () => clusterId,
      secret: () => secret,
      epoch: () => this.epoch(),
      clock,
      log,
      beatMs,
      silenceMs,
      hint: (why) => member.hint(why),
      onBroken: (peer) => member.suspects(peer),
      onStanding: (standing) => this.#onStanding(standing),
    })
    this.#network = this.#makeNetwork(member, loaded.MasterNetwork)
    member.onRenewal(({ tookMs, marginMs }) => {
      this.#metrics.renewal(tookMs)
      this.#record.note(address, { renewalMs: tookMs, marginMs })
    })
    member.onState((view) => this.#onState(view))
    this.#onState(member.view())
    this.#beat()
    this.#files.start()
    this.#queries.preload()
  }

  /** Until it is there the election writes its letters, and waits with its first claim. */
  #makeLetters(member: Member, Letters: typeof ContestLetters): ContestLetters {
    const { clock, log, listed, timing } = this.#options
    const letters = new Letters({
      clusterId: () => this.clusterId ?? '',
      secret: () => this.#secret,
      epoch: () => this.epoch(),
      listed,
      take: (letter) => member.letter(letter),
      facts: () => member.facts(),
      suspect: (address) => member.suspects(address),
      limitMs: (timing?.monitorMs ?? UNTIMED_MS) / 2,
      clock,
      log,
    })
    member.onLetter((to, letter) => letters.deliver(to, letter))
    return letters
  }

  #makeNetwork(member: Member, Network: typeof MasterNetwork): MasterNetwork | null {
    const { timing, network, clock } = this.#options
    if (timing === null) return null
    const made = new Network({
      ...network,
      timing,
      clusterId: () => this.clusterId ?? '',
      secret: () => this.#secret,
      epoch: () => this.epoch(),
      quietSinceMs: (limitMs) => this.#peers?.quietSinceMs(limitMs) ?? null,
      registered: () => this.#queries.knownWorkers(),
      tell: (hearing) => member.hears(hearing),
      clock,
    })
    member.onMeasure((wanted) => made.want(wanted))
    return made
  }

  async #stop(reason: string): Promise<void> {
    const { clock, log, stopMs } = this.#options
    log('info', `stopping: ${reason}`)
    await within(clock, stopMs, this.#member?.stop(reason) ?? Promise.resolve(), () =>
      log('warn', `the election has not let go within ${stopMs} ms`),
    )
    this.#gate.close()
    await this.#queries.deactivate()
    this.#door?.close('this master stops')
    await this.#close()
  }

  async #close(): Promise<void> {
    this.#cancelBeat()
    this.#queries.close()
    this.#pauses.measure(false)
    this.#files.close()
    this.#door?.close('this master stops')
    await this.#web.close()
    for (const watcher of this.#watchers) watcher.end()
    await Promise.all([
      this.#peers?.close(),
      this.#foreign?.close(),
      this.#letters?.close(),
      this.#network?.close(),
      ...this.#servers.map((app) => app.close()),
    ])
  }

  // ---- what belongs to a term ------------------------------------------------------------------------------------

  #service(): Service {
    return {
      activate: async (term, signal, activation) => {
        const beganMs = this.#options.clock.nowMs()
        await this.#queries.activate(term, signal, activation)
        this.#noteActivation(term, this.#options.clock.nowMs() - beganMs)
        this.#gate.open(term, signal)
      },
      keeps: () => this.#queries.keeps(),
      // Long polls end first, so that what was accepted can be answered.
      drain: async () => {
        await this.#queries.drain()
        await this.#gate.drained()
      },
      deactivate: async () => {
        this.#gate.close()
        await this.#queries.deactivate()
      },
    }
  }

  #noteActivation(term: number, tookMs: number): void {
    const { timing, log } = this.#options
    this.#slowActivation = timing === null ? null : slowActivation(term, tookMs, timing)
    if (this.#slowActivation !== null) log('warn', this.#slowActivation, { term, tookMs })
  }

  #onState(view: MemberView): void {
    const { log } = this.#options
    this.#epoch = view.epoch
    this.#ours.note(view)
    this.#peers?.follow(othersOf(view).map(({ address }) => address))
    this.#network?.follow(view, this.#member?.mayServe() ?? false)
    this.#noteOwnPulse(view)
    const before = this.#told
    const now = this.#standingOf(view)
    this.#told = now
    if (before !== null && sameStanding(before, now)) return
    this.#tell(now)
    this.#web.changed()
    if (before?.state === now.state) return
    this.#pauses.measure(!AT_REST.includes(now.state))
    keepHeapLean(now.state !== 'active' && now.state !== 'activating')
    this.#transitions += 1
    log('info', `${before?.state ?? 'new'} → ${now.state}`, { ...now })
    if (now.state === 'active') {
      const { address, state, epoch } = now
      void this.#peers?.announce({ address, state, epoch })
      this.#termsBegun.began(epoch)
    }
  }

  /** A backup's renewals are of its own file; those of a lease are told one by one. */
  #noteOwnPulse({ state, lastRenewalMs }: MemberView): void {
    const { address } = this.#options
    if (state === 'backup') this.#record.note(address, { renewalMs: lastRenewalMs, marginMs: null })
  }

  #onStanding(standing: Standing): void {
    const { address, lastRenewalMs = null, leaseMarginMs = null } = standing
    void this.#alarm.heard(standing)
    this.#news.heard(standing)
    this.#record.note(address, { renewalMs: lastRenewalMs, marginMs: leaseMarginMs })
  }

  // ---- what the others ask and hear ------------------------------------------------------------------------------

  #umbilical(): Handlers<'umbilical'> {
    return {
      status: ({ from }) => {
        if (from !== undefined && from.clusterId !== this.clusterId) {
          this.#foreign?.heard(from.address)
        }
        return this.status()
      },
      contest: (request) => {
        if (this.#letters === null) throw new RpcError('UNAVAILABLE', NOT_JOINED)
        return this.#letters.take(request)
      },
      announce: ({ address, state, epoch }) => {
        this.#joined().hint(`${address} announced: ${state} in term ${epoch}`)
        return { epoch: this.epoch() }
      },
      watch: (_request, writer) => {
        this.#watchers.add(writer)
        writer.onClose(() => this.#watchers.delete(writer))
        writer.send(this.#standing())
      },
    }
  }

  #tell(standing: Standing): void {
    for (const watcher of this.#watchers) watcher.send(standing)
  }

  #beat(): void {
    const { clock, beatMs } = this.#options
    const dueMs = clock.nowMs() + beatMs
    this.#cancelBeat = clock.after(beatMs, () => {
      this.#metrics.late(clock.nowMs() - dueMs)
      this.#pauses.beat()
      if (this.#watchers.size > 0) this.#tell(this.#standing())
      this.#noteListed()
      this.#beat()
    })
  }

  /** conf/masters may be another one by now. */
  #noteListed(): void {
    const listed = this.#options.listed()
    if (listed.join() === this.#listed) return
    this.#listed = listed.join()
    this.#member?.lists(listed)
  }

  #serviceStatus(): ServiceStatus {
    const { address } = this.#options
    const epoch = this.#member?.term() ?? this.epoch()
    const trouble = this.#queries.trouble()
    return { epoch, address, inFlight: this.#gate.inFlight, ...(trouble !== null && { trouble }) }
  }

  #whereabouts(): { active: string | null; epoch: number } {
    const active = this.#member?.view().active ?? null
    // While it drains, this master still holds the term, but sending the caller here again would not help him.
    const elsewhere = active !== null && active.address !== this.#options.address
    return { active: elsewhere ? active.addresses.clientRpc : null, epoch: this.epoch() }
  }

  #logRefused(what: Refused, from: string, error: RpcError): void {
    const count = this.#guard.refused[what]
    // The 1st, 2nd, 4th, 8th, …: enough to notice it, and nobody fills the log.
    if ((count & (count - 1)) !== 0) return
    this.#options.log('warn', `refused a message: ${error.message}`, { from, count })
  }

  // ---- its view --------------------------------------------------------------------------------------------------

  #joined(): Member {
    if (this.#member === null) throw new RpcError('UNAVAILABLE', NOT_JOINED)
    return this.#member
  }

  #own(): OwnFacts {
    return {
      serving: this.#member?.mayServe() ?? false,
      epoch: this.#guard.epoch(),
      pid: this.#options.pid,
      clusterId: this.clusterId,
      rootDirectory: this.#options.rootDirectory,
      directoryDangers: [...this.#queries.directoryTroubles().values()],
      workerTroubles: this.#queries.workers().flatMap(troubleOf),
      astrayWorkers: this.#astray.told(this.#queries.workers()),
      directoryWarnings: [...this.#options.directoryWarnings(), ...this.#options.warehouse()],
      warnings: this.#alarm.warnings(),
      trouble: this.#queries.trouble(),
      // Whoever is not active any more has heard of it from the next one's history.
      givenUp: (this.#member?.mayServe() ?? false) ? this.#termsBegun.givenUp : null,
      slowActivation: (this.#member?.mayServe() ?? false) ? this.#slowActivation : null,
      foreign: this.#foreign?.found() ?? [],
    }
  }

  #standing(): Standing {
    return this.#standingOf(this.#joined().view())
  }

  #standingOf(view: MemberView): Standing {
    const { address, wallMs } = this.#options
    const { renewalMs, marginMs } = this.#record.worst(address, PULSE_MS)
    const pulse = { wallMs: wallMs(), lastRenewalMs: renewalMs, leaseMarginMs: marginMs }
    return standingOf(view, this.#own(), pulse)
  }

  #makeWeb(): MasterWeb {
    const { address, timing, config, listed, clock, wallMs } = this.#options
    return new MasterWeb({
      self: address,
      joined: () => this.#joined(),
      isJoined: () => this.#member !== null,
      own: () => this.#own(),
      state: () => this.#currentState(),
      serving: () => this.#member?.mayServe() ?? false,
      peers: () => this.#peers,
      news: this.#news,
      record: this.#record,
      history: this.#history,
      queries: this.#queries,
      metrics: () => this.#metricsFacts(),
      config,
      listed,
      secret: () => this.#secret,
      timing,
      clock,
      wallMs,
    })
  }

  /** Without building a view: a lease that has run out makes no event. */
  #currentState(): string {
    const state = this.#told?.state ?? 'starting'
    return state === 'active' && !this.#member?.mayServe() ? 'suspended' : state
  }

  /** Of this master and of those that have said, while none is active. */
  #problems(view: MemberView): Map<string, string> {
    const found = new Map<string, string>()
    if (view.active !== null) return found
    if (view.problem !== null) found.set(view.self.address, view.problem)
    for (const { address } of othersOf(view)) {
      const problem = this.#news.of(address)?.problem ?? null
      if (problem !== null) found.set(address, problem)
    }
    return found
  }

  #lowOnSpace(): string | null {
    const space = this.#member?.view().space ?? null
    if (space === null) return null
    const { low, refused } = space
    if (refused !== null) return `the shared directory takes nothing more: ${refused}`
    return low.bytes || low.files ? 'the shared directory has little room left' : null
  }

  #metricsFacts(): MetricsFacts {
    const view = this.#member?.view() ?? null
    const others = view === null ? [] : othersOf(view)
    const active = this.#member?.mayServe() ?? false
    return {
      state: view?.state ?? 'starting',
      serving: active,
      epoch: this.epoch(),
      leaseMarginMs: view?.leaseMarginMs ?? null,
      lastRenewalMs: view?.lastRenewalMs ?? null,
      storageReadable: view !== null && view.storage !== 'unreadable',
      storageWritable: view?.storage === 'ok',
      catalogWaits: this.#queries.trouble() !== null,
      catalogAgeMs: this.#queries.catalogAgeMs(),
      warehouseAnswers:
        this.#options.warehouse().length === 0 &&
        !this.#queries.directoryTroubles().has('tajo.warehouse.directory'),
      space: view?.space ?? null,
      problems: view === null ? new Map() : this.#problems(view),
      peersKnown: others.length,
      peersConnected: this.#peers?.connected ?? 0,
      heartbeatAgesMs: new Map(
        others.flatMap(({ address, heartbeatAgeMs }): [string, number][] =>
          heartbeatAgeMs === null ? [] : [[address, heartbeatAgeMs]],
        ),
      ),
      termsBegun: this.#termsBegun.counts,
      stuckWorkers: active ? this.#queries.workers().flatMap(troubleOf).length : null,
      workers: active ? countWorkers(this.#queries.workers()) : null,
      queries: active ? countQueries(this.#queries.ofThisTerm()) : null,
      tables: active ? this.#queries.tableCounts() : null,
      transitions: this.#transitions,
      foreignMasters: this.#foreign?.found().length ?? 0,
      otherDirectories: countLevel(view, 'critical'),
      unprovenDirectories: countLevel(view, 'warning'),
      storageDangers: (view?.critical?.length ?? 0) + this.#queries.directoryTroubles().size,
      refusedClusters: this.#guard.refused.cluster,
      refusedSecrets: this.#guard.refused.secret,
      refusedEpochs: this.#guard.refused.epoch,
      splitBrainAlarms: this.#alarm.count,
      requestsInFlight: this.#gate.inFlight,
      pauses: this.#pauses.read(),
      memoryBytes: process.memoryUsage.rss(),
      startedAtSeconds: this.#options.startedAtSeconds,
    }
  }
}

const countLevel = (view: MemberView | null, level: DirectoryNote['level']): number =>
  (view?.directories ?? []).filter((note) => note.level === level).length

const sameStanding = (a: Standing, b: Standing): boolean =>
  a.state === b.state &&
  a.serving === b.serving &&
  a.epoch === b.epoch &&
  a.active === b.active &&
  a.problem === b.problem

/** The end of the process gives the term up, in good order. */
const brokenCatalog = (cause: Error): Error =>
  new Error(`the catalog takes no more changes from this master, so it ends: ${cause.message}`, {
    cause,
  })
