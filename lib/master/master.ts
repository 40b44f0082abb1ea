/**
 * A master is composed of its parts: five open ports, the seat in the election, the other masters, the view for the web. It
 * takes plain options and knows no configuration file.
 *
 *     starting → backup → activating → active → stepping down → backup
 *
 * The election says when to move (`Member`); this file opens and closes what belongs to a term, and tells the others.
 * All ports are open from the start and on backups too: what only the active may do is refused there by the gate.
 */

import type { FastifyInstance } from 'fastify'
import { within } from '../base/time.ts'
import type { MasterStatus } from '../contract/index.ts'
import { type Member, type MemberView, opensBeside, type Service } from '../ha/index.ts'
import { RpcError } from '../rpc/index.ts'
import {
  Guard,
  limitedServer,
  type Membership,
  openAll,
  type Refused,
  rpcServer,
  type ServerOptions,
} from '../serve/index.ts'
import { COMMON_HEADERS } from '../web/headers.ts'
import { Metrics } from '../web/metrics.ts'
import { addWebRoutes, type WebDoor } from '../web/server.ts'
import { TermsBegun } from './activation-time.ts'
import { ActiveGate } from './active-gate.ts'
import { keepHeapLean } from './lean-heap.ts'
import { LoopPauses } from './loop-pauses.ts'
import { AstrayWorkers } from './network/astray-workers.ts'
import { type Callers, loadCallers, NOT_JOINED, Others } from './network/others.ts'
import { type MasterOptions, UNTIMED_MS } from './options.ts'
import { QueryServices } from './queries/services.ts'
import { StandingFiles } from './standing-files.ts'
import { TermHints } from './term-hints.ts'
import { statusOf } from './view/cluster-view.ts'
import { HistoryCache } from './view/history-cache.ts'
import { LeaseRecord } from './view/lease-record.ts'
import { MasterWeb } from './view/master-web.ts'
import { OwnView } from './view/own-view.ts'

/** States in which a pause of the event loop keeps nobody waiting. */
const AT_REST: readonly string[] = ['starting', 'backup', 'stopped']

export class Master {
  readonly #options: MasterOptions
  readonly #guard: Guard
  readonly #hints: TermHints
  readonly #gate: ActiveGate
  readonly #history: HistoryCache
  readonly #queries: QueryServices
  readonly #astray: AstrayWorkers
  readonly #metrics = new Metrics()
  readonly #pauses: LoopPauses
  readonly #files: StandingFiles
  readonly #record: LeaseRecord
  readonly #others: Others
  readonly #own: OwnView
  readonly #web: MasterWeb
  readonly #termsBegun: TermsBegun
  #door: WebDoor | null = null
  #servers: FastifyInstance[] = []
  #secret = ''
  #member: Member | null = null
  /** The newest term that the directory has shown. */
  #term = 0
  #cancelBeat = (): void => {}
  #stopping: Promise<void> | null = null

  constructor(options: MasterOptions) {
    const { clock, log } = options
    const rights = {
      mayServe: () => this.#member?.mayServe() ?? false,
      term: () => this.#member?.term() ?? null,
    }
    this.#options = options
    this.#hints = new TermHints({
      term: () => this.#term,
      look: (why) => this.#member?.hint(why),
      everyMs: options.timing?.monitorMs ?? UNTIMED_MS,
      clock,
      random: Math.random,
    })
    this.#guard = new Guard({
      authentication: options.authentication,
      wallMs: options.wallMs,
      term: () => this.#term,
      onNewerTerm: (term) => this.#hints.hear(term),
      onRefused: (what, from, error) => this.#logRefused(what, from, error),
    })
    this.#gate = new ActiveGate(rights, () => this.#own.whereabouts())
    this.#history = new HistoryCache((limit) => this.#joined().history(limit), clock)
    this.#astray = new AstrayWorkers(clock)
    this.#queries = new QueryServices({
      queries: options.queries,
      address: options.address,
      status: () => this.#own.service(),
      whereabouts: () => this.#own.whereabouts(),
      masters: async () => this.#others.clientNames(this.#joined().view()),
      othersOpen: () => this.#member !== null && opensBeside(this.#member.view()),
      onAstray: (worker) => {
        // Before, there may be no cluster yet.
        if (this.#member !== null) this.#astray.hear(worker)
      },
      commit: () => this.#joined().commit(),
      mayServe: rights.mayServe,
      onBroken: (error) => options.onFailure(brokenCatalog(error)),
      onGone: (why) => this.#member?.giveUp(why),
      lowOnSpace: () => this.#own.lowOnSpace(),
      clusterId: () => this.clusterId,
      secret: () => this.#secret,
      clock,
      wallMs: options.wallMs,
      log,
      audit: options.audit,
    })
    this.#files = new StandingFiles({
      everyMs: options.timing?.monitorMs ?? UNTIMED_MS,
      mayServe: rights.mayServe,
      clock,
      log,
    })
    this.#files.add("the catalog's files", () => this.#queries.prove())
    this.#record = new LeaseRecord(options.wallMs)
    this.#pauses = new LoopPauses(() => clock.nowMs())
    this.#termsBegun = new TermsBegun({ newest: () => this.#joined().history(1), clock })
    this.#others = new Others({
      ...options,
      rights,
      joined: () => this.#joined(),
      status: () => this.status(),
      standing: () => this.#own.standingOf(this.#joined().view()),
      clusterId: () => this.clusterId,
      secret: () => this.#secret,
      term: () => this.term(),
      history: (limit) => this.#history.newest(limit),
      registered: () => this.#queries.knownWorkers(),
      onStanding: ({ address, lastRenewalMs = null, leaseMarginMs = null }) =>
        this.#record.note(address, { renewalMs: lastRenewalMs, marginMs: leaseMarginMs }),
    })
    this.#own = new OwnView({
      options,
      member: () => this.#member,
      guard: this.#guard,
      hints: this.#hints,
      gate: this.#gate,
      queries: this.#queries,
      astray: this.#astray,
      others: this.#others,
      record: this.#record,
      pauses: this.#pauses,
      termsBegun: this.#termsBegun,
    })
    this.#web = this.#makeWeb()
  }

  /**
   * Opens all ports, then joins the election; resolves when it takes part. Rejects with an Error that names the key of
   * a port that can't be opened, or with the election's HaError; nothing stays open then.
   */
  async start(): Promise<void> {
    await this.#open()
    try {
      // Loaded while the election starts; the parser, made with the first statement, would hold up a new active.
      const [joined, callers] = await Promise.all([
        this.#options.join(this.#service(), this.#options.onFailure),
        loadCallers(),
        import('../sql/index.ts').then(({ prepareParser }) => prepareParser()),
      ])
      this.#joinedAs(joined, callers)
      this.#guard.certificate = await this.#options.certify(joined.clusterId)
    } catch (error) {
      await this.#member?.stop('its start has failed')
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
    return statusOf(this.#joined().view(), this.#own.facts())
  }

  term(): number {
    return this.#guard.term()
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
      term: () => this.term(),
      clusterId: () => this.clusterId,
      headers: COMMON_HEADERS,
    })
    const { web: rules, version, audit } = this.#options
    const web = { view: this.#web, rules, metrics: this.#metrics, version, clock, log, audit }
    this.#door = addWebRoutes(info, web)
    const listeners = [
      { bind: binds.umbilical, app: rpcServer('umbilical', this.#others.umbilical(), server) },
      { bind: binds.clientRpc, app: rpcServer('client', this.#queries.client(), server) },
      { bind: binds.resourceTracker, app: rpcServer('tracker', this.#queries.tracker(), server) },
      { bind: binds.catalog, app: rpcServer('catalog', this.#queries.catalog(), server) },
      { bind: binds.infoHttp, app: info },
    ]
    await openAll(listeners, { perAddress: this.#options.connectionsPerAddress, clock, log })
    this.#servers = listeners.map(({ app }) => app)
  }

  #joinedAs({ member, ...membership }: { member: Member } & Membership, callers: Callers): void {
    const { address } = this.#options
    this.#member = member
    this.#secret = membership.secret
    this.#guard.join(membership)
    // Known before anybody is called.
    this.#term = member.view().epoch
    this.#others.join(member, membership.clusterId, callers)
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

  async #stop(reason: string): Promise<void> {
    const { clock, log, stopMs } = this.#options
    log('info', `stopping: ${reason}`, { event: 'master-stopping' })
    await within(clock, stopMs, this.#member?.stop(reason) ?? Promise.resolve(), () =>
      log('warn', `the election has not let go within ${stopMs} ms`, { event: 'election-unleft' }),
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
    await Promise.all([this.#others.close(), ...this.#servers.map((app) => app.close())])
  }

  // ---- what belongs to a term ------------------------------------------------------------------------------------

  #service(): Service {
    return {
      activate: async (term, signal, activation) => {
        const beganMs = this.#options.clock.nowMs()
        await this.#queries.activate(term, signal, activation)
        this.#own.activated(term, this.#options.clock.nowMs() - beganMs)
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

  #onState(view: MemberView): void {
    const { log, audit } = this.#options
    this.#term = view.epoch
    this.#others.follow(view)
    this.#noteOwnPulse(view)
    const before = this.#own.told
    const now = this.#own.tell(view)
    if (now === null) return
    this.#others.tell(now)
    this.#web.changed()
    if (before?.state === now.state) return
    this.#pauses.measure(!AT_REST.includes(now.state))
    keepHeapLean(now.state !== 'active' && now.state !== 'activating')
    log('info', `${before?.state ?? 'new'} → ${now.state}`, { event: 'state-changed', ...now })
    if ([before?.state, now.state].includes('active'))
      audit?.('role', { state: now.state, before: before?.state ?? null, term: now.epoch })
    if (now.state === 'active') {
      const { address, state, epoch } = now
      this.#others.announce({ address, state, epoch })
      this.#termsBegun.began(epoch)
    }
  }

  /** A backup's renewals are of its own file; those of a lease are told one by one. */
  #noteOwnPulse({ state, lastRenewalMs }: MemberView): void {
    const { address } = this.#options
    if (state === 'backup') this.#record.note(address, { renewalMs: lastRenewalMs, marginMs: null })
  }

  // ---- what the others ask and hear ------------------------------------------------------------------------------

  #beat(): void {
    const { clock, beatMs } = this.#options
    const dueMs = clock.nowMs() + beatMs
    this.#cancelBeat = clock.after(beatMs, () => {
      this.#metrics.late(clock.nowMs() - dueMs)
      this.#pauses.beat()
      this.#others.beat(this.#member)
      this.#beat()
    })
  }

  #logRefused(what: Refused, from: string, error: RpcError): void {
    this.#options.audit?.('refusal', { what, from, why: error.message })
    const count = this.#guard.refused[what]
    // The 1st, 2nd, 4th, 8th, …: enough to notice it, and nobody fills the log.
    if ((count & (count - 1)) !== 0) return
    this.#options.log('warn', `refused a message: ${error.message}`, {
      event: 'message-refused',
      from,
      count,
    })
  }

  // ---- its view --------------------------------------------------------------------------------------------------

  #joined(): Member {
    if (this.#member === null) throw new RpcError('UNAVAILABLE', NOT_JOINED)
    return this.#member
  }

  #makeWeb(): MasterWeb {
    const { address, timing, config, listed, names, clock, wallMs } = this.#options
    return new MasterWeb({
      self: address,
      joined: () => this.#joined(),
      isJoined: () => this.#member !== null,
      own: () => this.#own.facts(),
      state: () => this.#own.state(),
      serving: () => this.#member?.mayServe() ?? false,
      peers: () => this.#others,
      news: this.#others.news,
      record: this.#record,
      history: this.#history,
      queries: this.#queries,
      metrics: () => this.#own.metrics(),
      config,
      listed,
      names,
      secret: () => this.#secret,
      authority: () => this.#guard.certificate?.authority ?? null,
      timing,
      clock,
      wallMs,
    })
  }
}

/** The end of the process gives the term up, in good order. */
const brokenCatalog = (cause: Error): Error =>
  new Error(`the catalog takes no more changes from this master, so it ends: ${cause.message}`, {
    cause,
  })
