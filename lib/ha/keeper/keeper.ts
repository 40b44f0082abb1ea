/**
 * The keeper's driver: gives the elector time, the directory and its master, and carries out its effects.
 *
 * It decides nothing. Each kind of file call has a lane of its own with one call in flight, so that a call that hangs
 * holds up only its own kind: renewals go on while a create waits for a file server's grace period. The order that
 * matters for safety is kept here: a release waits for the renewal under way, so that it is the heartbeat's last touch.
 *
 * The same class runs in the keeper process and in the simulation.
 */
import type { MountAlerts } from '../check/mount-admission.ts'
import { MountStanding } from '../check/mount-admission.ts'
import { decodeClusterLoosely } from '../directory/decode.ts'
import { askForProof } from '../directory/hand-over-proof.ts'
import { Counter } from '../directory/heartbeat.ts'
import { readHistory } from '../directory/history.ts'
import { Looker } from '../directory/look.ts'
import { Reserve } from '../directory/reserve.ts'
import { Unopened } from '../directory/void-terms.ts'
import { processText } from '../rules/contest-state.ts'
import { step } from '../rules/elector.ts'
import { rankOf } from '../rules/elector-decision.ts'
import { PHASES } from '../rules/elector-phases.ts'
import { begin, hangLimitMs, isMasterReady, type State, wakeMs } from '../rules/elector-state.ts'
import type { Effect, Input, Step } from '../rules/elector-step.ts'
import { periodsOf } from '../rules/periods.ts'
import { pictureOf } from '../rules/picture.ts'
import { smallestMonitorMs } from '../rules/timing.ts'
import { unreachable } from '../unreachable.ts'
import { DiskError, HaError, messageOf } from '../words/errors.ts'
import { ACTIVE_DIR, CLUSTER_FILE, FORMAT_VERSION, type Holder } from '../words/layout.ts'
import type { Joined, KeeperLink, Start, Storage, ToKeeper } from '../words/messages.ts'
import type { Clock, Disk, Log, Processes } from '../world/ports.ts'
import { Backup } from './backup.ts'
import { CallWatch } from './call-watch.ts'
import { ContestWork } from './contest.ts'
import { joinAs } from './join.ts'
import { Bulletin } from './network.ts'
import { Orders } from './orders.ts'
import { TermWork } from './term.ts'
import { Upkeep } from './upkeep.ts'

export interface KeeperPorts {
  readonly clock: Clock
  readonly disk: Disk
  readonly processes: Processes
  readonly link: KeeperLink
  /** Proves that a holder is dead, or not. Never rejects. */
  readonly fence: (holder: Holder) => Promise<{ fenced: boolean; detail: string }>
  /** SIGKILL to the master; the link then closes. `why` is for people: a log that goes through the master dies with it. */
  readonly killMaster: (why: string) => void
  /** CPU time that the master has used, ms, and whether it wants to run now; null where that can't be read. */
  readonly masterCpu: () => { readonly runnable: boolean; readonly cpuMs: number } | null
  /** Ends this process without waiting for anything. */
  readonly exit: () => void
  readonly storage: Storage
  /** Why this member could not make a claim's files now; null when it has shown that it can. Never rejects. */
  readonly proveClaim?: () => Promise<string | null>
  /** The directory's mount, which left out never changes: as `MountWatch` names it, and what has become of it. */
  readonly mount?: {
    name(): string
    /** For people; null while it is the one that was joined. Never rejects. */
    trouble(clusterId: string): Promise<string | null>
    /** What is to be told of it as it is now; left out: as at the start. Rejects where nobody can tell. */
    judge?(): Promise<MountAlerts>
  }
  /** How much the opening of a term writes, as far as can be seen now. */
  readonly openingBytes: () => Promise<number>
}

/** Hints come in bursts (every renewal of a busy holder is a file event); looks don't. */
const HINT_GAP_MS = 15

export class Keeper {
  readonly #ports: KeeperPorts
  readonly #start: Start
  readonly #self: Holder
  readonly #looker: Looker
  readonly #counter: Counter
  readonly #backup: Backup
  readonly #bulletin: Bulletin
  readonly #orders: Orders
  readonly #reserve: Reserve
  readonly #upkeep: Upkeep
  readonly #unopened: Unopened
  readonly #contest: ContestWork
  readonly #calls: CallWatch
  readonly #standing: MountStanding
  #placedMs = Number.NEGATIVE_INFINITY
  #placedMount = ''
  #state: State
  #clusterId = ''
  #work: TermWork
  #lastRenewalMs: number | null = null
  #pongCpuMs = 0
  #renewal: Promise<void> = Promise.resolve()
  #cancelWake = (): void => {}
  #hintMs = Number.NEGATIVE_INFINITY
  #broken = false
  /** Into the history, with what is swept meanwhile. */
  #recording: Promise<void> = Promise.resolve()
  #sentPicture = ''
  #sentPictureMs = Number.NEGATIVE_INFINITY

  constructor(given: KeeperPorts, start: Start) {
    this.#calls = new CallWatch(given.clock)
    const ports = { ...given, disk: this.#calls.over(given.disk) }
    const { clock, disk, processes } = ports
    this.#ports = ports
    this.#start = start
    const periods = periodsOf(start.timing)
    this.#self = { ...start.self, hostname: start.hostname, periods, format: FORMAT_VERSION }
    this.#looker = new Looker(disk, processes, periods, start.knownTerm)
    this.#counter = new Counter(clock, ports.storage.granularityMs)
    this.#bulletin = new Bulletin({
      clock,
      disk,
      log: this.#log,
      self: this.#self,
      onPosted: (publications, begunMs) => this.input({ type: 'posted', publications, begunMs }),
    })
    this.#orders = new Orders({
      clock,
      disk,
      log: this.#log,
      address: this.#self.address,
      newest: () => Math.max(this.#state.lease?.term ?? 0, this.#state.watch.seen?.newest ?? 0),
      input: (input) => this.input(input),
    })
    this.#reserve = new Reserve({
      clock,
      disk,
      log: this.#log,
      timing: start.timing,
      self: this.#self,
      openingBytes: ports.openingBytes,
      mayMake: () => PHASES[this.#state.phase.name].rests === true,
      members: () => this.#members(),
      onReport: () => this.#sendPicture(),
    })
    this.#backup = new Backup({
      clock,
      disk,
      processes,
      log: this.#log,
      timing: start.timing,
      self: this.#self,
      counter: this.#counter,
      reserve: this.#reserve,
      isMasterReady: () => isMasterReady(this.#state, clock.nowMs()),
      onNames: async (names, begunMs) => {
        await this.#bulletin.scan(names, begunMs)
        await this.#orders.scan(names)
      },
      onCandidates: (candidates, begunMs, pulseMs) =>
        this.input({ type: 'candidates', candidates, begunMs, pulseMs }),
      onPace: (renewalMs) => this.input({ type: 'pace', monitorMs: smallestMonitorMs(renewalMs) }),
    })
    this.#contest = new ContestWork({
      clock,
      disk,
      log: this.#log,
      address: this.#self.address,
      limitMs: 2 * start.timing.renewMs,
    })
    this.#upkeep = new Upkeep({
      clock,
      disk,
      log: this.#log,
      directory: start.directory,
      periodMs: start.timing.monitorMs,
      held: () => this.#held(),
      onPutBack: (path) => this.#work.onPutBack(path),
    })
    const { mount } = ports
    this.#standing = new MountStanding(
      {
        clock,
        log: this.#log,
        periodMs: start.timing.monitorMs,
        judge: mount?.judge ?? null,
      },
      ports.storage.mount ?? { critical: [], warnings: [] },
    )
    const restMs = start.timing.monitorMs
    this.#unopened = new Unopened({ clock, disk, log: this.#log, restMs })
    this.#work = this.#termWork(null)
    this.#state = this.#beginning()
  }

  /** Joins the directory and begins. A refusal is told to the master, then the keeper ends. */
  async run(): Promise<void> {
    const { link, exit } = this.#ports
    // The master may die before the directory is ready.
    let gone = false
    link.onClose(() => {
      gone = true
    })
    try {
      const joined = this.#start.joined ?? (await this.#join())
      this.#clusterId = joined.clusterId
      this.#work = this.#termWork(joined)
      this.#upkeep.start(joined)
      link.send({ type: 'ready', joined })
    } catch (error) {
      const code = error instanceof HaError ? error.code : 'BAD_STORAGE'
      link.send({ type: 'refused', code, message: messageOf(error) })
      exit()
      return
    }
    this.#state = this.#beginning()
    link.onMessage((message) => this.#onMessage(message))
    link.onClose(() => this.input({ type: 'master-gone' }))
    if (this.#start.resume === null) this.#backup.register(true)
    this.#backup.start()
    this.#reserve.start()
    this.input({ type: 'listed', addresses: this.#start.listed ?? [] })
    this.input(gone ? { type: 'master-gone' } : { type: 'tick' })
  }

  /**
   * Feeds the elector and carries out what it answers. A mistake of ours in it ends this process, wherever the input came
   * from: whoever has called this may take what it throws for an error of the storage, and try again for ever.
   */
  input(input: Input): void {
    if (this.#broken) return
    const { clock } = this.#ports
    const before = this.#state
    let next: Step
    try {
      next = step(before, input, clock.nowMs())
    } catch (error) {
      this.#break(error)
      return
    }
    this.#state = next.state
    for (const effect of next.effects) this.#act(effect)
    if (mayDiffer(before, next.state) || this.#isPictureOld()) this.#sendPicture()
    this.#cancelWake()
    const wake = wakeMs(this.#state)
    if (this.#state.phase.name === 'ended' || wake === Number.POSITIVE_INFINITY) return
    const delayMs = Math.max(0, wake - clock.nowMs())
    this.#cancelWake = clock.after(delayMs, () => {
      if (this.#isMasterStarved()) this.input({ type: 'starved' })
      this.input({ type: 'tick' })
    })
  }

  #break(error: unknown): void {
    const { link, exit } = this.#ports
    this.#broken = true
    this.#cancelWake()
    const message = 'a mistake in the software ends this keeper; its master starts another one'
    link.send({ type: 'log', level: 'error', message, facts: { error: String(error) } })
    exit()
  }

  /** Something was heard. A holder has nothing to look for in a hurry. */
  hint(why: string): void {
    if (this.#state.lease !== null || this.#state.phase.name === 'ended') return
    const { clock } = this.#ports
    const waitMs = this.#hintMs + HINT_GAP_MS - clock.nowMs()
    if (waitMs > HINT_GAP_MS) return // one is due already
    this.#hintMs = clock.nowMs() + Math.max(0, waitMs)
    if (waitMs <= 0) this.input({ type: 'hint', why })
    else clock.after(waitMs, () => this.input({ type: 'hint', why }))
  }

  get state(): State {
    return this.#state
  }

  async #join(): Promise<Joined> {
    const joined = await joinAs({
      ...this.#ports,
      log: this.#log,
      self: this.#self,
      start: this.#start,
      looker: this.#looker,
    })
    return { ...joined, storage: this.#ports.storage }
  }

  #beginning(): State {
    const { self, timing, resume, fencing, directory, contest = null } = this.#start
    return begin({
      address: self.address,
      priority: self.priority,
      timing,
      nowMs: this.#ports.clock.nowMs(),
      canFence: fencing.length > 0,
      resume,
      identity: { clusterId: this.#clusterId, directory, by: processText(self.master) },
      contest,
    })
  }

  #termWork(joined: Joined | null): TermWork {
    const { clock, disk, link } = this.#ports
    const { timing, directory } = this.#start
    return new TermWork({
      clock,
      disk,
      log: this.#log,
      timing,
      directory,
      joined,
      self: this.#self,
      reserve: this.#reserve,
      unopened: this.#unopened,
      input: (input) => this.input(input),
      refuse: (message) => link.send({ type: 'refused', code: 'BAD_DIRECTORY', message }),
      onServed: (term) => this.#looker.noteServed(term),
    })
  }

  readonly #log: Log = (level, message, facts = {}) => {
    this.#ports.link.send({ type: 'log', level, message, facts })
  }

  #onMessage(message: ToKeeper): void {
    if (message.type === 'start') return
    if (message.type === 'activation-failed') this.#work.noteFailed()
    if (message.type === 'pong') this.#pongCpuMs = this.#ports.masterCpu()?.cpuMs ?? 0
    if (message.type === 'hint') this.hint(message.why)
    else if (message.type === 'history') void this.#history(message.id, message.limit)
    else if (message.type === 'no-room') void this.#makeRoomFor(message.term)
    else if (message.type === 'delivered') void this.#delivered(message)
    else this.input(message)
  }

  async #delivered(message: ToKeeper & { type: 'delivered' }): Promise<void> {
    const { call } = this.#state.contest.peers.find((peer) => peer.call?.id === message.id) ?? {}
    const delivery = await this.#contest.confirm(message.delivery, call?.nonce ?? null)
    this.input({ ...message, delivery })
  }

  /** Where the directory is, at a look: what was proven of another place proves nothing of this one. */
  async #place(): Promise<void> {
    const { clock, disk, mount } = this.#ports
    const { peers, place } = this.#state.contest
    if (peers.length === 0) return
    const isSoon = clock.nowMs() - this.#placedMs < this.#start.timing.renewMs
    if (place !== null && !this.#isMountNew() && isSoon) return
    this.#placedMs = clock.nowMs()
    const name = mount?.name() ?? ''
    const text = await disk.read('contest', CLUSTER_FILE)
    // It may be missing for a while, and is put back.
    const id = text === 'missing' ? null : (decodeClusterLoosely(text)?.clusterId ?? null)
    this.#placedMount = name
    this.input({ type: 'place', place: `${name} ${id ?? this.#clusterId}` })
  }

  #isMountNew(): boolean {
    return (this.#ports.mount?.name() ?? '') !== this.#placedMount
  }

  /**
   * No file system tells what a quota leaves: the claim may have found room and the opening none, while what was kept for
   * both still stands.
   */
  async #makeRoomFor(term: number): Promise<void> {
    const { phase } = this.#state
    if (phase.name !== 'activating' || phase.term !== term || !(await this.#reserve.giveUp()))
      return
    const text = `the opening of term ${term} found no room: what was kept for it is given up now`
    this.#log('warn', text, { term })
  }

  #act(effect: Effect): void {
    const { link, killMaster } = this.#ports
    switch (effect.do) {
      case 'tell':
        if (effect.message.type === 'reply' && this.#orders.onReply(effect.message)) return
        link.send(effect.message)
        return
      case 'log':
        this.#log(effect.level, effect.message, effect.facts)
        return
      case 'look':
        void this.#look()
        return
      case 'scan':
        void this.#backup.scan()
        return
      case 'ask-proof':
        void this.#askForProof(effect)
        return
      case 'claim':
        void this.#work.claim(effect.term, effect.cause)
        return
      case 'end-below':
        void this.#work.endBelow(effect)
        return
      case 'renew':
        this.#renewal = this.#renew(effect.term)
        return
      case 'abandon':
        void this.#work.abandon(effect.term)
        return
      case 'release':
        void this.#release(effect)
        return
      case 'publish': {
        const { do: _, ...said } = effect
        this.#bulletin.publish(said)
        return
      }
      case 'prove':
        void this.#prove(effect.nonce)
        return
      case 'fence':
        void this.#fence(effect.term)
        return
      case 'contest-make':
        void this.#contest
          .make(effect)
          .then((made) => this.input({ type: 'contest-made', id: effect.id, made }))
        return
      case 'contest-drop':
        this.#contest.drop(effect.nonce)
        return
      case 'contest-try':
        void this.#contest.try(effect).then((check) => {
          this.input({ type: 'contest-checked', id: effect.id, from: effect.from, check })
        })
        return
      case 'kill-master':
        killMaster(effect.why)
        return
      case 'register':
        this.#backup.register(true)
        return
      case 'unregister':
        this.#backup.register(false)
        return
      case 'mark':
        void this.#work.mark(effect)
        return
      case 'record':
        this.#recording = this.#work.record(effect).then(() => this.#upkeep.look())
        return
      case 'exit':
        void this.#exit()
        return
      default:
        unreachable(effect)
    }
  }

  /** About to be killed, wanting to run, and given less than half of the time since its last answer: the host is to blame. */
  #isMasterStarved(): boolean {
    const { lease, pongMs, spared } = this.#state
    const { renewMs } = this.#start.timing
    const nowMs = this.#ports.clock.nowMs()
    const silentMs = nowMs - pongMs
    if (lease === null || spared) return false
    const { suspended } = lease
    const isUnconfirmed = suspended?.confirmed === false && nowMs >= suspended.sinceMs + renewMs
    if (!isUnconfirmed && silentMs < hangLimitMs(this.#state)) return false
    const cpu = this.#ports.masterCpu()
    return cpu?.runnable === true && cpu.cpuMs - this.#pongCpuMs < silentMs / 2
  }

  async #look(): Promise<void> {
    const startedMs = this.#ports.clock.nowMs()
    try {
      const looked = this.#looker.look()
      // What it shows is of no use where the mount is another one, and why it fails is told by the mount best.
      looked.catch(() => undefined)
      const trouble = await this.#mountTrouble()
      if (trouble !== null) throw new HaError('BAD_STORAGE', trouble)
      const seen = await looked
      // What another mount shows counts only where it is known that nothing is proven of it.
      if (this.#isMountNew()) await this.#place()
      this.input({ type: 'looked', seen, startedMs })
      this.#tellLostTouch(startedMs)
      // A look that hangs here would hold up the next one.
      void this.#place().catch(() => {})
      void this.#standing.consider()
      const { phase } = this.#state
      if (phase.name === 'watching' && rankOf(this.#state) === 0) {
        void this.#unopened.clear(this.#looker.unopened)
      }
    } catch (error) {
      this.input({ type: 'look-failed', why: messageOf(error) })
      if (error instanceof DiskError && error.path === ACTIVE_DIR) await this.#upkeep.remakeActive()
    }
  }

  /** The look has shown that the directory answers: what is without an answer still is lost. */
  #tellLostTouch(lookedMs: number): void {
    const { deadlineMs } = this.#start.timing
    const lost = this.#calls.lostTouch(lookedMs, deadlineMs)
    if (lost === null || this.#state.phase.name === 'ended') return
    const text = `a call on the shared directory is never answered while others are, ${this.#start.directory}: ${lost.text}. This master's keeper is replaced, which gives the call up; on HDFS its file was removed by another host, elsewhere look at the file server or gateway`
    this.#ports.link.send({ type: 'lost-call', text })
  }

  /** What hangs now, and what was given up lately. */
  #callWarnings(): string[] {
    const { directory, timing, lost } = this.#start
    const hanging = this.#calls.hanging(timing.deadlineMs, directory)
    const given = lost != null && this.#ports.clock.nowMs() < lost.untilMs ? [lost.text] : []
    return [...given, ...(hanging === null ? [] : [hanging])]
  }

  async #mountTrouble(): Promise<string | null> {
    return (await this.#ports.mount?.trouble(this.#clusterId)) ?? null
  }

  #members(): string[] | null {
    if (this.#state.phase.name !== 'active') return null
    return [this.#self.address, ...this.#backup.peers.map(({ holder }) => holder.address)]
  }

  async #askForProof({ id, address }: Effect & { do: 'ask-proof' }): Promise<void> {
    const { clock, disk } = this.#ports
    const peer = this.#backup.peers.find(({ holder }) => holder.address === address)
    const options = { clock, disk, timing: this.#start.timing, reserve: this.#reserve }
    const proof =
      peer === undefined
        ? { can: false as const, why: 'it has left the backups' }
        : await askForProof(options, peer.holder)
    this.input({ type: 'proof', id, proof })
  }

  /** The term that it may act under, and its files as far as they are known. */
  #held(): { term: number; files: ReadonlyMap<string, string> } | null {
    const { phase, lease } = this.#state
    if (phase.name !== 'active' || lease === null || lease.suspended !== null) return null
    return { term: lease.term, files: this.#work.files(lease.term) }
  }

  async #renew(term: number): Promise<void> {
    const { clock } = this.#ports
    const startedMs = clock.nowMs()
    try {
      const outcome = await this.#work.renew(term, this.#counter.next())
      // After it: what was touched, or not found, may have been in another place. That ends no term, and keeps none.
      const trouble = await this.#mountTrouble()
      if (trouble !== null) throw new HaError('BAD_STORAGE', trouble)
      this.#lastRenewalMs = clock.nowMs() - startedMs
      this.input({ type: 'renewed', term, startedMs, outcome, why: '' })
    } catch (error) {
      this.input({ type: 'renewed', term, startedMs, outcome: 'failed', why: messageOf(error) })
    }
  }

  async #release({ term, release }: Effect & { do: 'release' }): Promise<void> {
    await this.#renewal
    await this.#work.release(term, release, () => this.#state.masterGone)
  }

  async #fence(term: number): Promise<void> {
    const { seen } = this.#state.watch
    if (seen?.holder == null || seen.holderTerm !== term) return
    const { fenced, detail } = await this.#ports.fence(seen.holder)
    this.input({ type: 'fenced', term, fenced, detail })
  }

  async #prove(nonce: string): Promise<void> {
    const { proveClaim } = this.#ports
    const trouble = await (proveClaim?.() ?? this.#reserve.prove().then(() => null, messageOf))
    this.input({ type: 'proven', nonce, trouble })
  }

  /** For the master, which keeps its own file threads away from the shared directory. */
  async #history(id: number, limit: number): Promise<void> {
    const { disk, link } = this.#ports
    try {
      link.send({ type: 'history', id, entries: await readHistory(disk, limit) })
    } catch (error) {
      const message = `the history can't be read: ${messageOf(error)}`
      link.send({ type: 'reply', id, error: { code: 'BAD_STORAGE', message } })
    }
  }

  #isPictureOld(): boolean {
    return this.#ports.clock.nowMs() - this.#sentPictureMs >= 2 * this.#start.timing.renewMs
  }

  #sendPicture(): void {
    const nowMs = this.#ports.clock.nowMs()
    const picture = pictureOf({
      state: this.#state,
      self: this.#self,
      clusterId: this.#clusterId,
      peers: this.#backup.peers,
      space: this.#reserve.report,
      unwritable: this.#state.unwritable ?? this.#backup.unwritable,
      lastRenewalMs: this.#state.lease === null ? this.#backup.lastRenewalMs : this.#lastRenewalMs,
      critical: [...this.#standing.told.critical, ...(this.#ports.storage.critical ?? [])],
      warnings: [
        ...this.#standing.told.warnings,
        ...this.#ports.storage.warnings,
        ...this.#backup.warnings,
        ...this.#upkeep.warnings,
        ...this.#contest.warnings,
        ...this.#callWarnings(),
      ],
      nowMs,
    })
    // Ages change all the time; they alone are sent once in two renewal periods.
    const { low, refused } = picture.space ?? {}
    const gist = `${picture.epoch} ${picture.active?.address} ${picture.opening} ${picture.storage} ${picture.problem} ${picture.peers.length} ${picture.warnings} ${picture.critical} ${low?.bytes} ${low?.files} ${refused} ${JSON.stringify(picture.network)} ${JSON.stringify(picture.directories)} ${JSON.stringify(picture.facts)}`
    if (gist === this.#sentPicture && !this.#isPictureOld()) return
    this.#sentPicture = gist
    this.#sentPictureMs = nowMs
    this.#ports.link.send({ type: 'picture', picture })
  }

  /** Gives the last change of our backup file and the term's record a moment, and no more: the storage may hang. */
  async #exit(): Promise<void> {
    const { clock, exit } = this.#ports
    this.#reserve.stop()
    const moment = new Promise<void>((done) => clock.after(this.#start.timing.renewMs, done))
    const ends = [this.#backup.stop(), this.#bulletin.stop(), this.#recording]
    await Promise.race([Promise.all(ends), moment])
    exit()
  }
}

/** What a picture shows beside ages; most steps change none of it. */
const mayDiffer = (a: State, b: State): boolean =>
  a.phase !== b.phase ||
  a.watch.seen !== b.watch.seen ||
  a.unreadable !== b.unreadable ||
  a.unwritable !== b.unwritable ||
  a.failure !== b.failure ||
  (a.lease?.suspended ?? null) !== (b.lease?.suspended ?? null) ||
  a.network.posted !== b.network.posted ||
  a.contest !== b.contest
