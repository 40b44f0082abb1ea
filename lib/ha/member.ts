/**
 * The master's side: starts the keeper, is told the lease, and turns it into what a service can use: `mayServe()`,
 * `commit()`, `activate`, `drain`, `deactivate`.
 *
 * It promises to act under a term only until the deadline it was last told, whatever becomes of its keeper: a frozen
 * process fires no timers, so `mayServe` reads the clock at the moment of acting. A keeper that dies or falls silent is
 * killed and replaced; the new one goes on with the same term as long as its heartbeat is there.
 *
 * The same class runs in the master and in the simulation.
 */
import { HaError, messageOf } from './errors.ts'
import type { Holder } from './layout.ts'
import type {
  HistoryEntry,
  MasterState,
  Member,
  MemberView,
  PeerView,
  Service,
} from './member-api.ts'
import type { Joined, MasterLink, Picture, Start, ToKeeper, ToMaster } from './messages.ts'
import type { Clock, Log } from './ports.ts'

/** A keeper process, as its master sees it. */
export interface KeeperHandle {
  readonly link: MasterLink
  readonly pid: number
  /** SIGKILL. */
  kill(): void
}

export interface MemberPorts {
  readonly clock: Clock
  readonly log: Log
  readonly spawnKeeper: () => KeeperHandle
  readonly service: Service
}

/** What a keeper is told at its start, less what only this class knows. */
export type MemberStart = Omit<Start, 'resume' | 'joined'>

/** A keeper that can't stay up this often within this time is no bad luck. */
const RESTARTS = 10
const RESTARTS_WITHIN_MS = 60_000

interface Pending<T = void> {
  readonly resolve: (value: T) => void
  readonly reject: (error: HaError) => void
}

type Term =
  | { readonly is: 'none' }
  | { readonly is: 'activating'; readonly term: number; readonly abort: AbortController }
  | { readonly is: 'serving'; readonly term: number; readonly abort: AbortController }
  | { readonly is: 'draining'; readonly term: number; readonly abort: AbortController }

export class MemberCore implements Member {
  readonly #ports: MemberPorts
  readonly #start: MemberStart
  #keeper: KeeperHandle | null = null
  #generation = 0
  #restarts: number[] = []
  #heardMs = 0
  #ready = false
  #cancelCheck = (): void => {}
  #term: Term = { is: 'none' }
  #untilMs = Number.NEGATIVE_INFINITY
  #state: MasterState = 'starting'
  #picture: Picture | null = null
  #known: Start['joined'] = null
  #nextId = 1
  #commits = new Map<number, Pending & { term: number }>()
  #commands = new Map<number, Pending<readonly HistoryEntry[]>>()
  #listeners: ((view: MemberView) => void)[] = []
  #joined: Pending | null = null
  #left: (() => void) | null = null
  #failed: (error: HaError) => void = () => {}

  constructor(ports: MemberPorts, start: MemberStart) {
    this.#ports = ports
    this.#start = start
  }

  /** Starts the keeper; resolves when it has joined the directory, rejects with its refusal. */
  join(): Promise<{ secret: string }> {
    return new Promise((resolve, reject) => {
      this.#joined = { resolve: () => resolve({ secret: this.#known?.secret ?? '' }), reject }
      this.#startKeeper()
    })
  }

  /** Called once if the keeper can't be kept alive: this master can't take part any more. */
  onFailure(listener: (error: HaError) => void): void {
    this.#failed = listener
  }

  mayServe(): boolean {
    return this.#term.is === 'serving' && this.#ports.clock.nowMs() < this.#untilMs
  }

  /** Requests accepted before a planned hand-over may still finish while it drains. */
  mayFinish(): boolean {
    const acting = this.#term.is === 'serving' || this.#term.is === 'draining'
    return acting && this.#ports.clock.nowMs() < this.#untilMs
  }

  term(): number | null {
    return this.mayFinish() && this.#term.is !== 'none' ? this.#term.term : null
  }

  view(): MemberView {
    const { clock } = this.#ports
    const self: Holder = { ...this.#start.self, hostname: this.#start.hostname }
    const picture = this.#picture
    const term = this.#term
    const acting = term.is === 'serving' || term.is === 'draining'
    const active = this.mayFinish() ? this.#selfView() : (picture?.active ?? null)
    return {
      clusterId: picture?.clusterId ?? null,
      state: this.#currentState(),
      epoch: Math.max(picture?.epoch ?? 0, term.is === 'none' ? 0 : term.term),
      active: active?.address === self.address && !acting ? null : active,
      self,
      peers: picture?.peers ?? [],
      leaseMarginMs: acting ? Math.max(0, this.#untilMs - clock.nowMs()) : null,
      lastRenewalMs: acting ? (picture?.lastRenewalMs ?? null) : null,
      storage: picture?.storage ?? 'ok',
      problem: picture?.problem ?? null,
      warnings: picture?.warnings ?? [],
    }
  }

  commit(): Promise<void> {
    const term = this.#term
    if (term.is !== 'serving' && term.is !== 'draining') {
      return Promise.reject(new HaError('NOT_ACTIVE', 'this master is not active'))
    }
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#commits.set(id, { resolve, reject, term: term.term })
      this.#keeper?.link.send({ type: 'commit', id, term: term.term })
    })
  }

  hint(why: string): void {
    this.#keeper?.link.send({ type: 'hint', why })
  }

  handOver(successor: string | null, { force, by }: { force: boolean; by: string }): Promise<void> {
    return this.#order((id) => ({ type: 'hand-over', id, successor, force, by }))
  }

  takeOver({ force, by }: { force: boolean; by: string }): Promise<void> {
    return this.#order((id) => ({ type: 'take-over', id, force, by }))
  }

  /** Rejects TIMEOUT when the shared directory does not answer within the monitor interval. */
  async history(limit: number): Promise<HistoryEntry[]> {
    const { clock } = this.#ports
    const limitMs = this.#start.timing.monitorMs
    let cancel = (): void => {}
    const late = new Promise<never>((_, reject) => {
      const error = new HaError('TIMEOUT', `the shared directory did not answer in ${limitMs} ms`)
      cancel = clock.after(limitMs, () => reject(error))
    })
    const asked = this.#command((id) => ({ type: 'history', id, limit }))
    try {
      return [...(await Promise.race([asked, late]))]
    } finally {
      cancel()
    }
  }

  stop(reason: string): Promise<void> {
    if (this.#state === 'stopped' || this.#keeper === null) return Promise.resolve()
    return new Promise((resolve) => {
      this.#left = resolve
      this.#keeper?.link.send({ type: 'leave', reason })
    })
  }

  onState(listener: (view: MemberView) => void): void {
    this.#listeners.push(listener)
  }

  /** The keeper's pid, for tests and status. */
  get keeperPid(): number | null {
    return this.#keeper?.pid ?? null
  }

  // ---- the keeper ------------------------------------------------------------------------------------------------

  #startKeeper(): void {
    const nowMs = this.#ports.clock.nowMs()
    this.#restarts = [...this.#restarts.filter((ms) => nowMs - ms < RESTARTS_WITHIN_MS), nowMs]
    if (this.#restarts.length > RESTARTS) {
      this.#fail(new HaError('KEEPER_FAILED', `the keeper died ${RESTARTS} times in a minute`))
      return
    }
    this.#generation += 1
    const generation = this.#generation
    this.#ready = false
    const keeper = this.#ports.spawnKeeper()
    this.#keeper = keeper
    this.#heardMs = nowMs
    keeper.link.onMessage((message) => {
      if (generation !== this.#generation) return
      this.#heardMs = this.#ports.clock.nowMs()
      this.#onMessage(message)
    })
    keeper.link.onClose(() => {
      if (generation === this.#generation) this.#onKeeperGone('it ended')
    })
    const term = this.#term
    keeper.link.send({
      ...this.#start,
      joined: this.#known,
      resume:
        term.is === 'none'
          ? null
          : { term: term.term, serving: term.is !== 'activating', untilMs: this.#untilMs },
    })
    this.#watchKeeper()
  }

  /** Pings come every renewal period; a keeper that is silent for some is as good as dead. */
  #watchKeeper(): void {
    const { clock } = this.#ports
    const { renewMs, monitorMs } = this.#start.timing
    // Node's own start and the first look at a slow directory take longer than a period; on a busy host everything does.
    const silentMs = this.#ready ? Math.max(2.5 * renewMs, 500) : Math.max(monitorMs, 10_000)
    this.#cancelCheck()
    const generation = this.#generation
    const checkedMs = clock.nowMs()
    this.#cancelCheck = clock.after(renewMs / 2, () => {
      if (generation !== this.#generation || this.#state === 'stopped') return
      // Whoever stalled itself can't blame the keeper.
      if (clock.nowMs() - checkedMs > renewMs) this.#heardMs = clock.nowMs()
      if (clock.nowMs() - this.#heardMs > silentMs) this.#onKeeperGone('it fell silent')
      else this.#watchKeeper()
    })
  }

  #onKeeperGone(why: string): void {
    if (this.#state === 'stopped') return
    this.#ports.log('warn', `the keeper is gone: ${why}`, { pid: this.#keeper?.pid })
    this.#keeper?.kill()
    this.#keeper = null
    for (const [id, command] of this.#commands) {
      this.#commands.delete(id)
      command.reject(new HaError('KEEPER_FAILED', 'the keeper died during the command'))
    }
    if (this.#left !== null) {
      this.#finish()
      return
    }
    this.#startKeeper()
  }

  #fail(error: HaError): void {
    this.#ports.log('error', error.message)
    this.#endTerm(error.message)
    const joined = this.#joined
    this.#joined = null
    this.#finish()
    if (joined !== null) joined.reject(error)
    else this.#failed(error)
  }

  #finish(): void {
    this.#cancelCheck()
    this.#generation += 1
    this.#setState('stopped')
    this.#left?.()
    this.#left = null
  }

  async #order(make: (id: number) => ToKeeper): Promise<void> {
    await this.#command(make)
  }

  #command(make: (id: number) => ToKeeper): Promise<readonly HistoryEntry[]> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      if (this.#keeper === null) {
        reject(new HaError('KEEPER_FAILED', 'there is no keeper at the moment'))
        return
      }
      this.#commands.set(id, { resolve, reject })
      this.#keeper.link.send(make(id))
    })
  }

  // ---- its messages ----------------------------------------------------------------------------------------------

  #onMessage(message: ToMaster): void {
    switch (message.type) {
      case 'ready':
        this.#onReady(message.joined)
        return
      case 'refused':
        this.#onRefused(new HaError(message.code, message.message))
        return
      case 'ping':
        this.#keeper?.link.send({ type: 'pong', ping: message.ping })
        return
      case 'activate':
        void this.#activate(message.term, message.untilMs)
        return
      case 'lease':
        if (this.#holds(message.term)) this.#untilMs = message.untilMs
        this.#setState(this.#currentState())
        return
      case 'suspend':
        if (this.#holds(message.term)) this.#untilMs = Number.NEGATIVE_INFINITY
        this.#keeper?.link.send({ type: 'suspended', term: message.term })
        this.#setState(this.#currentState())
        return
      case 'drain':
        void this.#drain(message.term, message.successor)
        return
      case 'deactivate':
        void this.#deactivate(message.term, message.reason)
        return
      case 'committed':
        this.#onCommitted(message.ids)
        return
      case 'reply':
        this.#reply(message.id, message.error)
        return
      case 'picture':
        this.#picture = message.picture
        if (this.#state === 'starting') this.#setState('backup')
        else this.#announce()
        return
      case 'history':
        this.#commands.get(message.id)?.resolve(message.entries)
        this.#commands.delete(message.id)
        return
      case 'log':
        this.#ports.log(message.level, message.message, message.facts)
        return
      case 'left':
        this.#endTerm('stopped')
        this.#finish()
        return
    }
  }

  #onReady(joined: Joined): void {
    this.#ready = true
    this.#known = joined
    this.#joined?.resolve()
    this.#joined = null
    // A keeper that died took the commits it knew with it; asking twice does no harm.
    for (const [id, { term }] of this.#commits)
      this.#keeper?.link.send({ type: 'commit', id, term })
  }

  /** The word may come after the deadline, when this process or its host stood still: then it takes a newer renewal. */
  #onCommitted(ids: readonly number[]): void {
    for (const id of ids) {
      const commit = this.#commits.get(id)
      if (commit === undefined) continue
      if (!this.mayFinish()) {
        this.#keeper?.link.send({ type: 'commit', id, term: commit.term })
        continue
      }
      this.#commits.delete(id)
      commit.resolve()
    }
  }

  /** A refusal is final, also for a keeper that was started anew: the directory isn't ours any more. */
  #onRefused(error: HaError): void {
    this.#generation += 1
    this.#fail(error)
  }

  #reply(id: number, error: { code: HaError['code']; message: string } | null): void {
    const command = this.#commands.get(id)
    this.#commands.delete(id)
    if (error === null) command?.resolve([])
    else command?.reject(new HaError(error.code, error.message))
  }

  // ---- the term --------------------------------------------------------------------------------------------------

  #holds(term: number): boolean {
    return this.#term.is !== 'none' && this.#term.term === term
  }

  async #activate(term: number, untilMs: number): Promise<void> {
    const { service } = this.#ports
    const abort = new AbortController()
    this.#term = { is: 'activating', term, abort }
    this.#untilMs = untilMs
    this.#setState('activating')
    try {
      await service.activate(term, abort.signal)
    } catch (error) {
      if (!this.#holds(term)) return
      this.#endTerm(messageOf(error))
      this.#keeper?.link.send({ type: 'activation-failed', term, why: messageOf(error) })
      return
    }
    if (!this.#holds(term)) return
    this.#term = { is: 'serving', term, abort }
    this.#keeper?.link.send({ type: 'serving', term })
    this.#setState(this.#currentState())
  }

  /**
   * Nothing new from here on; what was accepted may finish and commit. `drained` is the word on which the keeper
   * releases the term, and a successor then serves at once: so the term is dropped for good before it is given. Were it
   * only paused, a new keeper could take it up again beside the successor.
   */
  async #drain(term: number, successor: string | null): Promise<void> {
    if (this.#term.is !== 'serving' || this.#term.term !== term) return
    this.#term = { ...this.#term, is: 'draining' }
    this.#setState('stepping-down')
    try {
      await this.#ports.service.drain(term, successor)
    } catch (error) {
      this.#ports.log('error', `draining term ${term} failed: ${messageOf(error)}`, { term })
    }
    await this.#drop(term, 'handed over')
    this.#keeper?.link.send({ type: 'drained', term })
  }

  async #deactivate(term: number, reason: string): Promise<void> {
    await this.#drop(term, reason)
    this.#keeper?.link.send({ type: 'deactivated', term })
    if (this.#term.is === 'none') this.#setState('backup')
  }

  async #drop(term: number, reason: string): Promise<void> {
    if (!this.#holds(term)) return
    this.#endTerm(reason)
    this.#setState('stepping-down')
    try {
      await this.#ports.service.deactivate(term, reason)
    } catch (error) {
      this.#ports.log('error', `deactivating term ${term} failed: ${messageOf(error)}`, { term })
    }
  }

  /** Synchronous, so that not one request is served after it. */
  #endTerm(reason: string): void {
    if (this.#term.is === 'none') return
    const { abort } = this.#term
    this.#term = { is: 'none' }
    this.#untilMs = Number.NEGATIVE_INFINITY
    abort.abort(new HaError('NOT_ACTIVE', reason))
    for (const commit of this.#commits.values()) commit.reject(new HaError('NOT_ACTIVE', reason))
    this.#commits.clear()
  }

  #currentState(): MasterState {
    if (this.#term.is === 'none') return this.#state
    if (this.#term.is === 'activating') return 'activating'
    if (this.#term.is === 'draining') return 'stepping-down'
    return this.#ports.clock.nowMs() < this.#untilMs ? 'active' : 'suspended'
  }

  #setState(state: MasterState): void {
    if (state === this.#state) return
    this.#state = state
    this.#announce()
  }

  #announce(): void {
    const view = this.view()
    for (const listener of this.#listeners) listener(view)
  }

  #selfView(): PeerView {
    const { self, hostname } = this.#start
    return {
      address: self.address,
      addresses: self.addresses,
      hostname,
      priority: self.priority,
      version: self.version,
      state: 'active',
      heartbeatAgeMs: 0,
      pid: self.master.pid,
      adminSocket: self.adminSocket,
    }
  }
}
