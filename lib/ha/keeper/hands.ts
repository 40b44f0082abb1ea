/**
 * The keeper's hands: everything that works on the directory, each kind of file call in a lane of its own with one call in
 * flight, so that a call that hangs holds up only its own kind: renewals go on while a create waits for a file server's
 * grace period. They carry out what the elector wants done, and feed back what came of it; they decide nothing.
 *
 * The order that matters for safety is kept here: a release waits for the renewal under way, so that it is the heartbeat's
 * last touch.
 */
import { askForProof } from '../directory/hand-over-proof.ts'
import { Counter } from '../directory/heartbeat.ts'
import { readHistory } from '../directory/history.ts'
import { Looker } from '../directory/look.ts'
import { Reserve } from '../directory/reserve.ts'
import { Unopened } from '../directory/void-terms.ts'
import type { Delivery } from '../rules/contest-state.ts'
import { PHASES } from '../rules/elector-phases.ts'
import { isMasterReady, type State } from '../rules/elector-state.ts'
import type { Effect, Input } from '../rules/elector-step.ts'
import { periodsOf } from '../rules/periods.ts'
import type { PictureOf } from '../rules/picture.ts'
import { smallestMonitorMs } from '../rules/timing.ts'
import { unreachable } from '../unreachable.ts'
import { HaError, messageOf } from '../words/errors.ts'
import type { Holder } from '../words/layout.ts'
import type { Joined, Start } from '../words/messages.ts'
import { pause } from '../world/clock.ts'
import type { Log } from '../world/ports.ts'
import { Backup } from './backup.ts'
import { CallWatch } from './call-watch.ts'
import { ContestWork } from './contest.ts'
import { joinAs } from './join.ts'
import type { KeeperPorts } from './keeper.ts'
import { Lookout } from './lookout.ts'
import { Bulletin } from './network.ts'
import { Orders } from './orders.ts'
import { TermWork } from './term.ts'
import { Upkeep } from './upkeep.ts'

interface HandsOptions {
  readonly ports: KeeperPorts
  readonly start: Start
  readonly self: Holder
  readonly log: Log
  readonly state: () => State
  readonly input: (input: Input) => void
  /** Something that a picture shows has changed. */
  readonly onReport: () => void
}

export class Hands {
  readonly #o: HandsOptions
  readonly #ports: KeeperPorts
  readonly #looker: Looker
  readonly #counter: Counter
  readonly #backup: Backup
  readonly #bulletin: Bulletin
  readonly #orders: Orders
  readonly #reserve: Reserve
  readonly #upkeep: Upkeep
  readonly #unopened: Unopened
  readonly #contest: ContestWork
  readonly #lookout: Lookout
  #work: TermWork
  #clusterId = ''
  #lastRenewalMs: number | null = null
  #renewal: Promise<void> = Promise.resolve()
  /** What is being written into the history, and swept meanwhile. */
  #recording: Promise<void> = Promise.resolve()

  constructor(options: HandsOptions) {
    const { start, self, log, state, input, onReport } = options
    const calls = new CallWatch(options.ports.clock)
    const ports = { ...options.ports, disk: calls.over(options.ports.disk) }
    const { clock, disk, processes, link } = ports
    const world = { clock, disk, log }
    this.#o = options
    this.#ports = ports
    this.#looker = new Looker(disk, processes, periodsOf(start.timing), start.knownTerm)
    this.#counter = new Counter(clock, ports.storage.granularityMs)
    this.#bulletin = new Bulletin({
      ...world,
      self,
      onPosted: (publications, begunMs) => input({ type: 'posted', publications, begunMs }),
    })
    this.#orders = new Orders({
      ...world,
      address: self.address,
      newest: () => Math.max(state().lease?.term ?? 0, state().watch.seen?.newest ?? 0),
      input,
    })
    this.#reserve = new Reserve({
      ...world,
      timing: start.timing,
      self,
      openingBytes: ports.openingBytes,
      mayMake: () => PHASES[state().phase.name].rests === true,
      members: () => this.#members(),
      onReport,
    })
    this.#backup = new Backup({
      ...world,
      processes,
      timing: start.timing,
      self,
      counter: this.#counter,
      reserve: this.#reserve,
      isMasterReady: () => isMasterReady(state(), clock.nowMs()),
      onNames: async (names, begunMs) => {
        await this.#bulletin.scan(names, begunMs)
        await this.#orders.scan(names)
      },
      onCandidates: (candidates, begunMs, pulseMs) =>
        input({ type: 'candidates', candidates, begunMs, pulseMs }),
      onPace: (renewalMs) => input({ type: 'pace', monitorMs: smallestMonitorMs(renewalMs) }),
    })
    this.#contest = new ContestWork({
      ...world,
      address: self.address,
      limitMs: 2 * start.timing.renewMs,
    })
    this.#upkeep = new Upkeep({
      ...world,
      directory: start.directory,
      periodMs: start.timing.monitorMs,
      held: () => this.#held(),
      onPutBack: (path) => this.#work.onPutBack(path),
    })
    this.#unopened = new Unopened({ ...world, restMs: start.timing.monitorMs })
    this.#lookout = new Lookout({
      ...ports,
      log,
      start,
      looker: this.#looker,
      unopened: this.#unopened,
      calls,
      state,
      input,
      clusterId: () => this.#clusterId,
      tellLost: (text) => link.send({ type: 'lost-call', text }),
      onNoActive: () => this.#upkeep.remakeActive(),
    })
    this.#work = this.#termWork(null)
  }

  /** Empty before the directory is joined. */
  get clusterId(): string {
    return this.#clusterId
  }

  /** What they know for the picture. */
  get report(): Pick<
    PictureOf,
    'peers' | 'space' | 'unwritable' | 'lastRenewalMs' | 'critical' | 'warnings'
  > {
    const { lease, unwritable } = this.#o.state()
    const { alerts, callWarnings } = this.#lookout
    const { storage } = this.#ports
    return {
      peers: this.#backup.peers,
      space: this.#reserve.report,
      unwritable: unwritable ?? this.#backup.unwritable,
      lastRenewalMs: lease === null ? this.#backup.lastRenewalMs : this.#lastRenewalMs,
      critical: [...alerts.critical, ...(storage.critical ?? [])],
      warnings: [
        ...alerts.warnings,
        ...storage.warnings,
        ...this.#backup.warnings,
        ...this.#upkeep.warnings,
        ...this.#contest.warnings,
        ...callWarnings,
      ],
    }
  }

  /** Rejects with the refusal; see `joinAs`. */
  async join(): Promise<Joined> {
    const { log, self, start } = this.#o
    const joined = await joinAs({ ...this.#ports, log, self, start, looker: this.#looker })
    return { ...joined, storage: this.#ports.storage }
  }

  /** Works on the directory as that cluster's from now on. */
  use(joined: Joined): void {
    this.#clusterId = joined.clusterId
    this.#work = this.#termWork(joined)
    this.#upkeep.start(joined)
  }

  /** What goes on by itself, once the directory is joined. */
  begin(): void {
    if (this.#o.start.resume === null) this.#backup.register(true)
    this.#backup.start()
    this.#reserve.start()
  }

  /** The master could not begin to serve. */
  noteFailed(): void {
    this.#work.noteFailed()
  }

  /** What could be created where its own file was removed proves nothing. Never rejects. */
  confirm(delivery: Delivery, nonce: string | null): Promise<Delivery> {
    return this.#contest.confirm(delivery, nonce)
  }

  /**
   * No file system tells what a quota leaves: the claim may have found room and the opening none, while what was kept for
   * both still stands.
   */
  async makeRoomFor(term: number): Promise<void> {
    const { phase } = this.#o.state()
    if (phase.name !== 'activating' || phase.term !== term || !(await this.#reserve.giveUp()))
      return
    const text = `the opening of term ${term} found no room: what was kept for it is given up now`
    this.#o.log('warn', text, { event: 'reserve-given-up', term })
  }

  /** For the master, which keeps its own file threads away from the shared directory. */
  async history(id: number, limit: number): Promise<void> {
    const { disk, link } = this.#ports
    try {
      link.send({ type: 'history', id, entries: await readHistory(disk, limit) })
    } catch (error) {
      const message = `the history can't be read: ${messageOf(error)}`
      link.send({ type: 'reply', id, error: { code: 'BAD_STORAGE', message } })
    }
  }

  /** Carries it out; what comes of it is an input, later. */
  act(effect: Effect): void {
    const { link, killMaster } = this.#ports
    switch (effect.do) {
      case 'tell':
        if (effect.message.type === 'reply' && this.#orders.onReply(effect.message)) return
        link.send(effect.message)
        return
      case 'log':
        this.#o.log(effect.level, effect.message, effect.facts)
        return
      case 'look':
        void this.#lookout.look()
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
          .then((made) => this.#o.input({ type: 'contest-made', id: effect.id, made }))
        return
      case 'contest-drop':
        this.#contest.drop(effect.nonce)
        return
      case 'contest-try':
        void this.#contest.try(effect).then((check) => {
          this.#o.input({ type: 'contest-checked', id: effect.id, from: effect.from, check })
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

  #termWork(joined: Joined | null): TermWork {
    const { clock, disk, link } = this.#ports
    const { input, log, self, start } = this.#o
    const { timing, directory } = start
    return new TermWork({
      clock,
      disk,
      log,
      timing,
      directory,
      joined,
      self,
      reserve: this.#reserve,
      unopened: this.#unopened,
      input,
      refuse: (message) => link.send({ type: 'refused', code: 'BAD_DIRECTORY', message }),
      onServed: (term) => this.#looker.noteServed(term),
    })
  }

  #members(): string[] | null {
    if (this.#o.state().phase.name !== 'active') return null
    return [this.#o.self.address, ...this.#backup.peers.map(({ holder }) => holder.address)]
  }

  async #askForProof({ id, address }: Effect & { do: 'ask-proof' }): Promise<void> {
    const { clock, disk } = this.#ports
    const peer = this.#backup.peers.find(({ holder }) => holder.address === address)
    const options = { clock, disk, timing: this.#o.start.timing, reserve: this.#reserve }
    const proof =
      peer === undefined
        ? { can: false as const, why: 'it has left the backups' }
        : await askForProof(options, peer.holder)
    this.#o.input({ type: 'proof', id, proof })
  }

  /** The term that it may act under, and its files as far as they are known. */
  #held(): { term: number; files: ReadonlyMap<string, string> } | null {
    const { phase, lease } = this.#o.state()
    if (phase.name !== 'active' || lease === null || lease.suspended !== null) return null
    return { term: lease.term, files: this.#work.files(lease.term) }
  }

  async #renew(term: number): Promise<void> {
    const { clock } = this.#ports
    const startedMs = clock.nowMs()
    try {
      const outcome = await this.#work.renew(term, this.#counter.next())
      // After it: what was touched, or not found, may have been in another place. That ends no term, and keeps none.
      const trouble = await this.#lookout.mountTrouble()
      if (trouble !== null) throw new HaError('BAD_STORAGE', trouble)
      this.#lastRenewalMs = clock.nowMs() - startedMs
      this.#o.input({ type: 'renewed', term, startedMs, outcome, why: '' })
    } catch (error) {
      this.#o.input({ type: 'renewed', term, startedMs, outcome: 'failed', why: messageOf(error) })
    }
  }

  async #release({ term, release }: Effect & { do: 'release' }): Promise<void> {
    await this.#renewal
    await this.#work.release(term, release, () => this.#o.state().masterGone)
  }

  async #fence(term: number): Promise<void> {
    const { seen } = this.#o.state().watch
    if (seen?.holder == null || seen.holderTerm !== term) return
    const { fenced, detail } = await this.#ports.fence(seen.holder)
    this.#o.input({ type: 'fenced', term, fenced, detail })
  }

  async #prove(nonce: string): Promise<void> {
    const { proveClaim } = this.#ports
    const trouble = await (proveClaim?.() ?? this.#reserve.prove().then(() => null, messageOf))
    this.#o.input({ type: 'proven', nonce, trouble })
  }

  /** Gives the last change of our backup file and the term's record a moment, and no more: the storage may hang. */
  async #exit(): Promise<void> {
    const { clock, exit } = this.#ports
    this.#reserve.stop()
    const moment = pause(clock, this.#o.start.timing.renewMs)
    const ends = [this.#backup.stop(), this.#bulletin.stop(), this.#recording]
    await Promise.race([Promise.all(ends), moment])
    exit()
  }
}
