/**
 * The keeper's driver: gives the elector time, the directory and its master, and carries out its effects.
 *
 * It decides nothing. Each kind of file call has a lane of its own with one call in flight, so that a call that hangs
 * holds up only its own kind: renewals go on while a create waits for a file server's grace period. The order that
 * matters for safety is kept here: a release waits for the renewal under way, so that it is the heartbeat's last touch.
 *
 * The same class runs in the keeper process and in the simulation.
 */
import { type ClaimOutcome, claimTerm } from './claim.ts'
import { decodeCluster } from './decode.ts'
import { step } from './elector.ts'
import {
  begin,
  type Cause,
  type Effect,
  type Input,
  type Release,
  type State,
  wakeMs,
} from './elector-state.ts'
import { endBelow } from './end-below.ts'
import { HaError, messageOf } from './errors.ts'
import { readHistory } from './history.ts'
import {
  backupFile,
  CLUSTER_FILE,
  type End,
  encode,
  endFile,
  type Holder,
  heartbeatFile,
  LOWEST_COUNTER_MS,
  RELEASED_FOR_MTIME_MS,
  RELEASED_MTIME_MS,
  type ServedRecord,
  servedFile,
  type TermRecord,
} from './layout.ts'
import { Looker } from './look.ts'
import type { KeeperLink, Start, Storage, ToKeeper } from './messages.ts'
import { Peers } from './peers.ts'
import { pictureOf } from './picture.ts'
import type { Clock, Disk, LogLevel, Processes } from './ports.ts'
import { joinDirectory, refuseSameAddress } from './setup.ts'
import { sweep } from './sweep.ts'
import { readEnd } from './term-end.ts'

export interface KeeperPorts {
  readonly clock: Clock
  readonly disk: Disk
  readonly processes: Processes
  readonly link: KeeperLink
  /** Proves that a holder is dead, or not. Never rejects. */
  readonly fence: (holder: Holder) => Promise<{ fenced: boolean; detail: string }>
  /** SIGKILL to the master; the link then closes. */
  readonly killMaster: () => void
  /** Ends this process without waiting for anything. */
  readonly exit: () => void
  readonly storage: Storage
}

/** A dead master's obituary is tried for so long while the storage hangs; then the term just expires. */
const OBITUARY_TRIES_MS = 60_000
/** Hints come in bursts (every renewal of a busy holder is a file event); looks don't. */
const HINT_GAP_MS = 15

export class Keeper {
  readonly #ports: KeeperPorts
  readonly #start: Start
  readonly #self: Holder
  readonly #looker: Looker
  readonly #peers: Peers
  #state: State
  #clusterId = ''
  #counterMs = 0
  #lastRenewalMs: number | null = null
  #renewal: Promise<void> = Promise.resolve()
  #registration: Promise<void> = Promise.resolve()
  #registered = false
  #scanning = false
  #claim = new AbortController()
  #cancelWake = (): void => {}
  #hintMs = Number.NEGATIVE_INFINITY
  #sentPicture = ''
  #sentPictureMs = Number.NEGATIVE_INFINITY
  #warnings = new Map<string, string>()

  constructor(ports: KeeperPorts, start: Start) {
    this.#ports = ports
    this.#start = start
    this.#self = { ...start.self, hostname: start.hostname }
    this.#looker = new Looker(ports.disk, ports.processes)
    this.#peers = new Peers(ports.disk, ports.clock, ports.processes)
    this.#state = this.#beginning()
  }

  /** Joins the directory and begins. A refusal is told to the master, then the keeper ends. */
  async run(): Promise<void> {
    const { clock, disk, link, exit } = this.#ports
    const start = this.#start
    // The master may die, and hints may come, before the directory is ready.
    let gone = false
    link.onClose(() => {
      gone = true
    })
    try {
      const createdAt = this.#now()
      const joined = await joinDirectory(disk, clock, { ...start, createdAt })
      if (start.resume === null) await refuseSameAddress(this.#ports, this.#self, start.timing)
      refuseOtherCluster(start, joined.clusterId)
      this.#clusterId = joined.clusterId
      link.send({ type: 'ready', ...joined, storage: this.#ports.storage })
    } catch (error) {
      const code = error instanceof HaError ? error.code : 'BAD_STORAGE'
      link.send({ type: 'refused', code, message: messageOf(error) })
      exit()
      return
    }
    this.#state = this.#beginning()
    link.onMessage((message) => this.#onMessage(message))
    link.onClose(() => this.input({ type: 'master-gone' }))
    if (start.resume === null) this.#act({ do: 'register' })
    this.#scanPeers()
    this.input(gone ? { type: 'master-gone' } : { type: 'tick' })
  }

  /** Feeds the elector and carries out what it answers. */
  input(input: Input): void {
    const { clock } = this.#ports
    const next = step(this.#state, input, clock.nowMs())
    this.#state = next.state
    for (const effect of next.effects) this.#act(effect)
    this.#sendPicture()
    this.#cancelWake()
    const wake = wakeMs(this.#state)
    if (this.#state.phase.name === 'ended' || wake === Number.POSITIVE_INFINITY) return
    const delayMs = Math.max(0, wake - clock.nowMs())
    this.#cancelWake = clock.after(delayMs, () => this.input({ type: 'tick' }))
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
    const { self, timing, resume, fencing } = this.#start
    return begin({
      address: self.address,
      priority: self.priority,
      timing,
      nowMs: this.#ports.clock.nowMs(),
      canFence: fencing.length > 0,
      resume,
    })
  }

  #now(): string {
    return new Date(this.#ports.clock.wallMs()).toISOString()
  }

  #onMessage(message: ToKeeper): void {
    if (message.type === 'start') return
    if (message.type === 'hint') this.hint(message.why)
    else if (message.type === 'history') void this.#history(message.id, message.limit)
    else this.input(message)
  }

  #log(level: LogLevel, message: string, facts: Readonly<Record<string, unknown>> = {}): void {
    this.#ports.link.send({ type: 'log', level, message, facts })
  }

  #act(effect: Effect): void {
    const { link, killMaster } = this.#ports
    switch (effect.do) {
      case 'tell':
        link.send(effect.message)
        return
      case 'log':
        this.#log(effect.level, effect.message, effect.facts)
        return
      case 'look':
        void this.#look()
        return
      case 'claim':
        void this.#claimTerm(effect.term, effect.cause)
        return
      case 'end-below':
        void this.#endBelow(effect.term, effect.provenTerm)
        return
      case 'renew':
        this.#renewal = this.#renew(effect.term)
        return
      case 'abandon':
        void this.#abandon(effect.term)
        return
      case 'release':
        void this.#release(effect.term, effect.release)
        return
      case 'fence':
        void this.#fence(effect.term)
        return
      case 'kill-master':
        killMaster()
        return
      case 'register':
        this.#register(true)
        return
      case 'unregister':
        this.#register(false)
        return
      case 'record':
        void this.#record(effect)
        return
      case 'exit':
        void this.#exit()
        return
    }
  }

  async #look(): Promise<void> {
    const startedMs = this.#ports.clock.nowMs()
    try {
      const seen = await this.#looker.look()
      this.input({ type: 'looked', seen, startedMs })
    } catch (error) {
      this.input({ type: 'look-failed', why: messageOf(error) })
    }
  }

  /** Strictly growing, and near the wall clock only so that `ls -l` reads well. */
  #nextCounter(): number {
    const { clock, storage } = this.#ports
    const atLeast = Math.max(this.#counterMs + storage.granularityMs, LOWEST_COUNTER_MS)
    this.#counterMs = Math.max(atLeast, clock.wallMs())
    return this.#counterMs
  }

  async #renew(term: number): Promise<void> {
    const { clock, disk } = this.#ports
    const startedMs = clock.nowMs()
    try {
      const outcome = await disk.touch('renew', heartbeatFile(term), this.#nextCounter())
      this.#lastRenewalMs = clock.nowMs() - startedMs
      this.input({ type: 'renewed', term, startedMs, outcome, why: '' })
    } catch (error) {
      this.input({ type: 'renewed', term, startedMs, outcome: 'failed', why: messageOf(error) })
    }
  }

  async #claimTerm(term: number, cause: Cause): Promise<void> {
    const { clock, disk } = this.#ports
    this.#claim = new AbortController()
    const nonce = `${this.#self.nonce}-${term}`
    const record: TermRecord = {
      term,
      address: this.#self.address,
      hostname: this.#self.hostname,
      nonce,
      reason: cause.reason,
      evidence: cause.evidence,
      previousTerm: cause.previousTerm,
      previousAddress: cause.basis.holder?.address ?? null,
      at: this.#now(),
    }
    const startedMs = clock.nowMs()
    let made = false
    const onHeartbeat = (): void => {
      made = true
      this.input({ type: 'heartbeat-made', term, startedMs })
    }
    try {
      const formatted = await this.#formatted()
      if (formatted !== null) {
        this.input({ type: 'claim-lost', term, why: formatted, failed: false })
        this.#ports.link.send({ type: 'refused', code: 'BAD_DIRECTORY', message: formatted })
        this.input({ type: 'leave', reason: formatted })
        return
      }
      const outcome: ClaimOutcome = await claimTerm(disk, {
        term,
        holder: this.#self,
        record,
        onHeartbeat,
      })
      if (outcome.won) this.input({ type: 'claim-won', term })
      else this.input({ type: 'claim-lost', term, why: outcome.why, failed: false })
    } catch (error) {
      this.input({ type: 'claim-lost', term, why: messageOf(error), failed: true })
      if (made) void this.#abandon(term)
    }
  }

  /** A master that was cut off while the directory was formatted must not come back as the new cluster's active. */
  async #formatted(): Promise<string | null> {
    const { directory } = this.#start
    const text = await this.#ports.disk.read('claim', CLUSTER_FILE)
    const found =
      text === 'missing'
        ? 'no cluster'
        : `cluster ${decodeCluster(text, `${directory}/${CLUSTER_FILE}`).clusterId}`
    if (found === `cluster ${this.#clusterId}`) return null
    return `${directory} was formatted: it belongs to ${found} now, this master joined cluster ${this.#clusterId}. Start it anew`
  }

  async #endBelow(term: number, provenTerm: number | null): Promise<void> {
    const { disk } = this.#ports
    const { signal } = this.#claim
    const nonce = `${this.#self.nonce}-${term}`
    for (;;) {
      try {
        const pause = (why: string): Promise<void> => this.#pause(signal, why)
        const { proven } = await endBelow(disk, { term, nonce, provenTerm, pause })
        if (!signal.aborted) this.input({ type: 'below-ended', term, proven })
        return
      } catch (error) {
        if (signal.aborted) return
        this.#log('warn', `ending the terms below ${term} failed: ${messageOf(error)}`, { term })
        await this.#sleep(this.#start.timing.pollMs)
        if (signal.aborted) return
      }
    }
  }

  async #pause(signal: AbortSignal, why: string): Promise<void> {
    this.#log('warn', `waiting: ${why}`)
    await this.#sleep(this.#start.timing.pollMs)
    if (signal.aborted) throw new HaError('NOT_ACTIVE', 'the claim is over')
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((done) => this.#ports.clock.after(delayMs, done))
  }

  /** Its heartbeat goes, so that nobody waits for it; a name is never reused, so nobody else's can be hit. */
  async #abandon(term: number): Promise<void> {
    this.#claim.abort()
    try {
      await this.#ports.disk.unlink('claim', heartbeatFile(term))
    } catch (error) {
      this.#log('warn', `heartbeat of the abandoned term ${term} stays: ${messageOf(error)}`)
    }
  }

  async #release(term: number, release: Release): Promise<void> {
    const { clock, disk } = this.#ports
    this.#claim.abort()
    await this.#renewal
    const end: End = {
      reason: release.reason,
      by: release.by,
      successor: release.successor,
      at: this.#now(),
    }
    const named = release.successor !== null
    const mtimeMs = named ? RELEASED_FOR_MTIME_MS : RELEASED_MTIME_MS
    const deadlineMs = clock.nowMs() + OBITUARY_TRIES_MS
    // Begun before the touch and not waited for: a create can hang where a touch works (after a file server's outage).
    const note = disk.create('obituary', endFile(term), encode(end)).catch((error) => {
      this.#log('warn', `the reason of term ${term}'s end is not on file: ${messageOf(error)}`)
      return 'failed'
    })
    for (;;) {
      try {
        // A successor's name must be there before the heartbeat points to it.
        if (named && (await note) === 'failed') {
          await disk.create('release', endFile(term), encode(end))
        }
        await disk.touch('release', heartbeatFile(term), mtimeMs)
        break
      } catch (error) {
        this.#log('warn', `release of term ${term} failed: ${messageOf(error)}`, { term })
        if (this.#state.masterGone && clock.nowMs() >= deadlineMs) break
        await this.#sleep(this.#start.timing.renewMs / 4)
      }
    }
    if (!this.#state.masterGone) await note
    else await Promise.race([note, this.#sleep(this.#start.timing.renewMs)])
    this.input({ type: 'released', term })
  }

  async #fence(term: number): Promise<void> {
    const { seen } = this.#state.watch
    if (seen?.holder == null || seen.holderTerm !== term) return
    const { fenced, detail } = await this.#ports.fence(seen.holder)
    this.input({ type: 'fenced', term, fenced, detail })
  }

  async #record(done: Effect & { do: 'record' }): Promise<void> {
    const { disk } = this.#ports
    const { term, cause } = done
    this.#looker.noteServed(term)
    try {
      const record: ServedRecord = {
        term,
        servedAt: this.#now(),
        previousEnd: await readEnd(disk, cause.previousTerm),
        phases: {
          noticedMs: cause.noticedMs - cause.lastBeatMs,
          decidedMs: cause.decidedMs - cause.noticedMs,
          claimedMs: done.wonMs - cause.decidedMs,
          endedMs: done.endedMs - done.wonMs,
          settledMs: done.settledMs - done.endedMs,
          openedMs: done.servedMs - done.settledMs,
          totalMs: done.servedMs - cause.lastBeatMs,
        },
      }
      await disk.create('history', servedFile(term), encode(record))
      const tombstone: TermRecord = {
        term,
        address: this.#self.address,
        hostname: this.#self.hostname,
        nonce: this.#self.nonce,
        reason: 'swept',
        evidence: `swept by the holder of term ${term}`,
        previousTerm: 0,
        previousAddress: null,
        at: this.#now(),
      }
      const swept = await sweep(disk, term, tombstone)
      if (swept.length > 0) this.#log('debug', 'old terms swept', { swept })
    } catch (error) {
      this.#log('warn', `history of term ${term} is incomplete: ${messageOf(error)}`, { term })
    }
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

  // ---- backups ---------------------------------------------------------------------------------------------------

  /** One change of our own backup file after the other. */
  #register(wanted: boolean): void {
    const { disk } = this.#ports
    const path = backupFile(this.#self.address)
    this.#registered = wanted
    this.#registration = this.#registration.then(async () => {
      try {
        await disk.unlink('register', path)
        if (wanted) await disk.create('register', path, encode(this.#self))
      } catch (error) {
        this.#log(
          'warn',
          `${path} could not be ${wanted ? 'made' : 'removed'}: ${messageOf(error)}`,
        )
      }
    })
  }

  /** Every second renewal period: show our own pulse as a backup, take the others'. */
  #scanPeers(): void {
    const { clock } = this.#ports
    if (this.#state.phase.name === 'ended') return
    clock.after(2 * this.#start.timing.renewMs, () => this.#scanPeers())
    if (this.#scanning) return // the last one hangs
    this.#scanning = true
    void this.#scan().finally(() => {
      this.#scanning = false
    })
  }

  async #scan(): Promise<void> {
    const { clock, disk } = this.#ports
    const { timing } = this.#start
    try {
      await this.#registration
      const path = backupFile(this.#self.address)
      const ours = this.#registered ? await disk.touch('register', path, this.#nextCounter()) : null
      // Gone under us: the directory was formatted, or the create had failed.
      if (ours === 'missing' && this.#registered) this.#register(true)
      await this.#peers.scan()
      this.#warnings.delete('peers')
    } catch (error) {
      this.#warnings.set('peers', `the backups' files can't be read: ${messageOf(error)}`)
    }
    this.input({ type: 'candidates', candidates: this.#peers.candidates(clock.nowMs(), timing) })
  }

  #sendPicture(): void {
    const nowMs = this.#ports.clock.nowMs()
    const picture = pictureOf({
      state: this.#state,
      self: this.#self,
      clusterId: this.#clusterId,
      peers: this.#peers.all(),
      lastRenewalMs: this.#lastRenewalMs,
      warnings: [...this.#warnings.values()],
      nowMs,
    })
    // Ages change all the time; they alone are sent once a renewal period.
    const gist = `${picture.epoch} ${picture.active?.address} ${picture.storage} ${picture.problem} ${picture.peers.length} ${picture.warnings}`
    const fresh = nowMs - this.#sentPictureMs < this.#start.timing.renewMs
    if (gist === this.#sentPicture && fresh) return
    this.#sentPicture = gist
    this.#sentPictureMs = nowMs
    this.#ports.link.send({ type: 'picture', picture })
  }

  /** Gives the last change of our backup file a moment, and no more: the storage may hang. */
  async #exit(): Promise<void> {
    await Promise.race([this.#registration, this.#sleep(this.#start.timing.renewMs)])
    this.#ports.exit()
  }
}

function refuseOtherCluster(start: Start, found: string): void {
  if (start.clusterId === null || start.clusterId === found) return
  const message = `${start.directory} belongs to cluster ${found} now, this master joined ${start.clusterId}: it was formatted meanwhile. Start this master anew`
  throw new HaError('BAD_DIRECTORY', message)
}
