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
import type { ContestFacts, Delivery, Letter, LetterReply } from '../rules/contest-state.ts'
import { type Hearing, onClock } from '../rules/network-rank.ts'
import { unheardOf } from '../unreachable.ts'
import { HaError } from '../words/errors.ts'
import type { Joined, LostCall, Picture, Start, ToMaster } from '../words/messages.ts'
import { HeldTerm } from './held-term.ts'
import { KeeperRequests, Letters } from './keeper-requests.ts'
import type {
  HistoryEntry,
  MasterState,
  Member,
  MemberView,
  Renewal,
  Service,
} from './member-api.ts'
import { viewOf } from './member-view.ts'
import { type KeeperPorts, SupervisedKeeper } from './supervised-keeper.ts'
import { TermDuty } from './term-duty.ts'

interface MemberPorts extends KeeperPorts {
  readonly service: Service
}

/** What a keeper is told at its start, less what only this class knows. */
export type MemberStart = Omit<Start, 'resume' | 'joined' | 'knownTerm' | 'contest' | 'lost'>

/** A call that was never answered is told for so long after its keeper was replaced. */
const LOST_TOLD_MS = 600_000

export class MemberCore implements Member {
  readonly #ports: MemberPorts
  readonly #start: MemberStart
  readonly #keeper: SupervisedKeeper
  readonly #requests: KeeperRequests
  readonly #term: HeldTerm
  readonly #duty: TermDuty
  #state: MasterState = 'starting'
  #picture: Picture | null = null
  #begunTerm = 0
  /** The newest number that is known to be taken. */
  #newestTerm = 0
  #known: Start['joined'] = null
  #lost: LostCall | null = null
  #listeners: ((view: MemberView) => void)[] = []
  readonly #renewalListeners: ((renewal: Renewal) => void)[] = []
  #listed: readonly string[]
  readonly #letters: Letters
  #measure: (wanted: boolean) => void = () => {}
  #joined: { resolve(): void; reject(error: HaError): void } | null = null
  #left: (() => void) | null = null
  #failed: (error: HaError) => void = () => {}

  constructor(ports: MemberPorts, start: MemberStart) {
    this.#ports = ports
    this.#start = start
    this.#listed = start.listed ?? []
    this.#letters = new Letters((message) => this.#keeper.send(message))
    this.#term = new HeldTerm(ports.clock)
    this.#keeper = new SupervisedKeeper(ports, start.timing, {
      introduction: () => ({
        ...start,
        joined: this.#known,
        resume: this.#term.resume(),
        knownTerm: this.#newestTerm,
        listed: this.#listed,
        contest: this.#picture?.contest ?? null,
        lost: this.#lost,
      }),
      onMessage: (message) => this.#onMessage(message),
      onGone: () => this.#onKeeperGone(),
      onHopeless: (error) => this.#fail(error),
    })
    this.#requests = new KeeperRequests((message) => this.#keeper.send(message))
    this.#duty = new TermDuty({
      service: ports.service,
      log: ports.log,
      term: this.#term,
      requests: this.#requests,
      send: (message) => this.#keeper.send(message),
      onState: (state) => this.#setState(state),
      onTrouble: () => this.#announce(),
    })
  }

  /** Starts the keeper; resolves when it has joined the directory, rejects with its refusal. */
  join(): Promise<{ clusterId: string; secret: string }> {
    return new Promise((resolve, reject) => {
      const told = (): void => {
        const { clusterId = '', secret = '' } = this.#known ?? {}
        resolve({ clusterId, secret })
      }
      this.#joined = { resolve: told, reject }
      this.#keeper.start()
    })
  }

  /** Called once if the keeper can't be kept alive: this master can't take part any more. */
  onFailure(listener: (error: HaError) => void): void {
    this.#failed = listener
  }

  mayServe(): boolean {
    return this.#term.mayServe()
  }

  /** Requests accepted before a planned hand-over may still finish while it drains. */
  mayFinish(): boolean {
    return this.#term.mayFinish()
  }

  term(): number | null {
    return this.mayFinish() ? this.#term.number : null
  }

  view(): MemberView {
    return viewOf({
      start: this.#start,
      picture: this.#picture,
      term: this.#term,
      state: this.#currentState(),
      begunTerm: this.#begunTerm,
      trouble: this.#duty.trouble,
    })
  }

  /** Waits for a renewal. What is asked before the term serves waits for that, too. */
  commit(): Promise<void> {
    if (!this.#term.hasOpened) {
      return Promise.reject(new HaError('NOT_ACTIVE', 'this master is not active'))
    }
    return this.#requests.commit(this.#term.number, this.#term.acting)
  }

  giveUp(why: string): void {
    if (this.#term.hasOpened) this.#keeper.send({ type: 'give-up', term: this.#term.number, why })
  }

  hint(why: string): void {
    this.#keeper.send({ type: 'hint', why })
  }

  async handOver(
    successor: string | null,
    { force, by }: { force: boolean; by: string },
  ): Promise<void> {
    await this.#requests.command((id) => ({ type: 'hand-over', id, successor, force, by }))
  }

  async takeOver({ force, by }: { force: boolean; by: string }): Promise<void> {
    await this.#requests.command((id) => ({ type: 'take-over', id, force, by }))
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
    const asked = this.#requests.command((id) => ({ type: 'history', id, limit }))
    try {
      return [...(await Promise.race([asked, late]))]
    } finally {
      cancel()
    }
  }

  hears(hearing: Hearing): void {
    this.#keeper.send({ type: 'hears', hearing: onClock(hearing, this.#ports.clock.nowMs()) })
  }

  onMeasure(listener: (wanted: boolean) => void): void {
    this.#measure = listener
  }

  lists(addresses: readonly string[]): void {
    if (addresses.join() === this.#listed.join()) return
    this.#listed = addresses
    this.#keeper.send({ type: 'listed', addresses })
  }

  letter(letter: Letter): Promise<LetterReply> {
    return this.#letters.take(letter)
  }

  onLetter(deliver: (to: string, letter: Letter) => Promise<Delivery>): void {
    this.#letters.use(deliver)
  }

  facts(): ContestFacts | null {
    return this.#picture?.facts ?? null
  }

  suspects(address: string): void {
    this.#keeper.send({ type: 'suspect', address })
  }

  stop(reason: string): Promise<void> {
    if (this.#state === 'stopped' || this.#keeper.pid === null) return Promise.resolve()
    return new Promise((resolve) => {
      this.#left = resolve
      this.#keeper.send({ type: 'leave', reason })
    })
  }

  onState(listener: (view: MemberView) => void): void {
    this.#listeners.push(listener)
  }

  onRenewal(listener: (renewal: Renewal) => void): void {
    this.#renewalListeners.push(listener)
  }

  /** This is the keeper's pid, for tests and status. */
  get keeperPid(): number | null {
    return this.#keeper.pid
  }

  // ---- the keeper ------------------------------------------------------------------------------------------------

  #onKeeperGone(): boolean {
    this.#requests.failCommands()
    this.#letters.forget()
    if (this.#left === null) return true
    this.#finish()
    return false
  }

  #fail(error: HaError): void {
    this.#ports.log('error', error.message, { event: 'member-failed' })
    this.#duty.end(error.message)
    const joined = this.#joined
    this.#joined = null
    this.#finish()
    if (joined !== null) joined.reject(error)
    else this.#failed(error)
  }

  #finish(): void {
    this.#keeper.end()
    this.#setState('stopped')
    this.#left?.()
    this.#left = null
  }

  // ---- its messages ----------------------------------------------------------------------------------------------

  #onMessage(message: ToMaster): void {
    switch (message.type) {
      case 'ready':
        this.#onReady(message.joined)
        return
      case 'refused':
        // Final, also for a keeper that was started anew: the directory isn't ours any more.
        this.#fail(new HaError(message.code, message.message))
        return
      case 'ping':
        this.#keeper.send({ type: 'pong', ping: message.ping })
        return
      case 'activate':
        this.#learn(message.term)
        void this.#duty.activate(message)
        return
      case 'serve':
        this.#duty.serve(message.term)
        return
      case 'lease':
        this.#onRenewed(message.tookMs)
        this.#term.extend(message.term, message.untilMs)
        this.#setState(this.#currentState())
        return
      case 'suspend':
        this.#term.suspend(message.term)
        this.#keeper.send({ type: 'suspended', term: message.term })
        this.#setState(this.#currentState())
        return
      case 'drain':
        void this.#duty.drain(message.term, message.successor)
        return
      case 'deactivate':
        void this.#duty.deactivate(message.term, message.reason)
        return
      case 'measure':
        this.#measure(message.wanted)
        return
      case 'send-letter':
        this.#letters.send(message)
        return
      case 'letter-reply':
        this.#letters.onReply(message.id, message.reply)
        return
      case 'committed':
        this.#requests.onCommitted(message.ids, this.#term)
        return
      case 'reply':
        if (message.error === null) this.#requests.onAnswer(message.id, [])
        else this.#requests.onRefusal(message.id, message.error)
        return
      case 'picture':
        this.#picture = message.picture
        this.#learn(message.picture.begunTerm)
        this.#newestTerm = Math.max(this.#newestTerm, message.picture.newestTerm)
        if (this.#state === 'starting') this.#setState('backup')
        else this.#announce()
        return
      case 'history':
        this.#requests.onAnswer(message.id, message.entries)
        return
      case 'log':
        this.#ports.log(message.level, message.message, message.facts)
        return
      case 'lost-call':
        this.#onLostCall(message.text)
        return
      case 'left':
        this.#duty.end('stopped')
        this.#finish()
        return
      default:
        // After an upgrade under it, a keeper that is started anew is of the later version.
        this.#ports.log('error', `from the keeper: ${unheardOf(message)}`, {
          event: 'keeper-message-unknown',
        })
    }
  }

  /** With one file thread less, and whatever waits for that call, the keeper is half of one. */
  #onLostCall(text: string): void {
    const before = this.#lost
    this.#lost = { text, untilMs: this.#ports.clock.nowMs() + LOST_TOLD_MS }
    if (!this.#keeper.replace(text)) this.#lost = before
  }

  #onRenewed(tookMs: number): void {
    const renewal = { tookMs, marginMs: this.#term.marginMs }
    for (const listener of this.#renewalListeners) listener(renewal)
  }

  #onReady(joined: Joined): void {
    this.#known = joined
    this.#joined?.resolve()
    this.#joined = null
    // Its predecessor may have died with our last word about a term that is over: this one knows of none.
    if (this.#term.is === null && this.#state !== 'starting') this.#setState('backup')
    if (this.#term.is === 'opened') this.#duty.tellOpened()
    this.#requests.repeat(this.#term.acting ? 'all' : 'renewals')
  }

  // ---- its state -------------------------------------------------------------------------------------------------

  #currentState(): MasterState {
    return this.#term.state() ?? this.#state
  }

  /** A new keeper knows no term before its first look; what was known stays known. */
  #learn(term: number): void {
    this.#begunTerm = Math.max(this.#begunTerm, term)
    this.#newestTerm = Math.max(this.#newestTerm, term)
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
}
