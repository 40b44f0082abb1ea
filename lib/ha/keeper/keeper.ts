/**
 * The keeper's driver: gives the elector time and what its master says, and has its effects carried out (hands.ts). It
 * decides nothing. Its master is told what the elector knows whenever a reader would see a difference.
 *
 * The same class runs in the keeper process and in the simulation.
 */
import type { MountAlerts } from '../check/mount-admission.ts'
import { processText } from '../rules/contest-state.ts'
import { step } from '../rules/elector.ts'
import { begin, hangLimitMs, type State, wakeMs } from '../rules/elector-state.ts'
import type { Input, Step } from '../rules/elector-step.ts'
import { periodsOf } from '../rules/periods.ts'
import { pictureOf } from '../rules/picture.ts'
import { asHaError } from '../words/errors.ts'
import { FORMAT_VERSION, type Holder } from '../words/layout.ts'
import type { KeeperLink, Start, Storage, ToKeeper } from '../words/messages.ts'
import type { Clock, Disk, Log, Processes } from '../world/ports.ts'
import { Hands } from './hands.ts'

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
  readonly #hands: Hands
  #state: State
  #pongCpuMs = 0
  #cancelWake = (): void => {}
  #hintMs = Number.NEGATIVE_INFINITY
  #broken = false
  #sentPicture = ''
  #sentPictureMs = Number.NEGATIVE_INFINITY

  constructor(ports: KeeperPorts, start: Start) {
    this.#ports = ports
    this.#start = start
    const periods = periodsOf(start.timing)
    this.#self = { ...start.self, hostname: start.hostname, periods, format: FORMAT_VERSION }
    this.#hands = new Hands({
      ports,
      start,
      self: this.#self,
      log: this.#log,
      state: () => this.#state,
      input: (input) => this.input(input),
      onReport: () => this.#sendPicture(),
    })
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
      const joined = this.#start.joined ?? (await this.#hands.join())
      this.#hands.use(joined)
      link.send({ type: 'ready', joined })
    } catch (error) {
      const { code, message } = asHaError(error, 'BAD_STORAGE')
      link.send({ type: 'refused', code, message })
      exit()
      return
    }
    this.#state = this.#beginning()
    link.onMessage((message) => this.#onMessage(message))
    link.onClose(() => this.input({ type: 'master-gone' }))
    this.#hands.begin()
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
    for (const effect of next.effects) this.#hands.act(effect)
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
    link.send({
      type: 'log',
      level: 'error',
      message,
      facts: { event: 'keeper-broken', error: String(error) },
    })
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

  #beginning(): State {
    const { self, timing, resume, fencing, directory, contest = null } = this.#start
    return begin({
      address: self.address,
      priority: self.priority,
      timing,
      nowMs: this.#ports.clock.nowMs(),
      canFence: fencing.length > 0,
      resume,
      identity: { clusterId: this.#hands.clusterId, directory, by: processText(self.master) },
      contest,
    })
  }

  readonly #log: Log = (level, message, facts) => {
    this.#ports.link.send({ type: 'log', level, message, facts })
  }

  #onMessage(message: ToKeeper): void {
    if (message.type === 'start') return
    if (message.type === 'activation-failed') this.#hands.noteFailed()
    if (message.type === 'pong') this.#pongCpuMs = this.#ports.masterCpu()?.cpuMs ?? 0
    if (message.type === 'hint') this.hint(message.why)
    else if (message.type === 'history') void this.#hands.history(message.id, message.limit)
    else if (message.type === 'no-room') void this.#hands.makeRoomFor(message.term)
    else if (message.type === 'delivered') void this.#delivered(message)
    else this.input(message)
  }

  async #delivered(message: ToKeeper & { type: 'delivered' }): Promise<void> {
    const { call } = this.#state.contest.peers.find((peer) => peer.call?.id === message.id) ?? {}
    const delivery = await this.#hands.confirm(message.delivery, call?.nonce ?? null)
    this.input({ ...message, delivery })
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

  #isPictureOld(): boolean {
    return this.#ports.clock.nowMs() - this.#sentPictureMs >= 2 * this.#start.timing.renewMs
  }

  #sendPicture(): void {
    const nowMs = this.#ports.clock.nowMs()
    const picture = pictureOf({
      state: this.#state,
      self: this.#self,
      clusterId: this.#hands.clusterId,
      ...this.#hands.report,
      nowMs,
    })
    // Ages change all the time; they alone are sent once in two renewal periods.
    const { low, refused } = picture.space ?? {}
    const gist = `${picture.begunTerm} ${picture.active?.address} ${picture.opening} ${picture.storage} ${picture.problem} ${picture.peers.length} ${picture.warnings} ${picture.critical} ${low?.bytes} ${low?.files} ${refused} ${JSON.stringify(picture.network)} ${JSON.stringify(picture.directories)} ${JSON.stringify(picture.facts)}`
    if (gist === this.#sentPicture && !this.#isPictureOld()) return
    this.#sentPicture = gist
    this.#sentPictureMs = nowMs
    this.#ports.link.send({ type: 'picture', picture })
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
