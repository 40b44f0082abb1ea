/**
 * The keeper's place among the backups: its own file there while it wants to be listed, and the others' files. Once in two
 * renewal periods it shows its own pulse and takes theirs.
 *
 *     backup/host2_26001.NONCE-7.json     the seventh file of that life of host2:26001
 *
 * Each one that is made has a new name: another host may remember for half a minute that a name was not there, and would
 * take a backup that is there again for absent. One that is whole is left alone. What earlier lives have left, and earlier
 * versions under one name for ever, is swept.
 */
import { answerIfAsked } from '../directory/hand-over-proof.ts'
import type { Counter } from '../directory/heartbeat.ts'
import { type Peer, Peers } from '../directory/peers.ts'
import { Refusals } from '../directory/refusals.ts'
import type { Reserve } from '../directory/reserve.ts'
import type { Candidate } from '../rules/elector-state.ts'
import type { Timing } from '../rules/timing.ts'
import { isNoSpace, messageOf } from '../words/errors.ts'
import {
  BACKUP_DIR,
  CLUSTER_FILE,
  encode,
  type Holder,
  isRegistrationOf,
  refusedFile,
  registrationFile,
} from '../words/layout.ts'
import type { Clock, Disk, Log, Processes, Touched } from '../world/ports.ts'

/**
 * How long a call takes on this host's storage, lately: the median of the last few, so that one peak says nothing and a
 * storage that has become slow is noticed within some renewal periods.
 */
const KEPT = 9

class Pace {
  #lastMs: number[] = []

  /** Takes one in and gives the median, ms. */
  add(ms: number): number {
    this.#lastMs = [...this.#lastMs, ms].slice(-KEPT)
    const sorted = [...this.#lastMs].sort((a, b) => a - b)
    return sorted[Math.floor(sorted.length / 2)] ?? ms
  }
}

interface RegistrationOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly log: Log
  readonly self: Holder
  readonly reserve: Pick<Reserve, 'spend'>
}

class Registration {
  readonly #o: RegistrationOptions
  /** New with every keeper. */
  readonly #life: string
  #n = 0
  #path: string | null = null
  #wanted = false
  /** Made, or being made, and nothing is known to be wrong with it. */
  #whole = false
  #work: Promise<void> = Promise.resolve()
  #trouble: string | null = null

  constructor(options: RegistrationOptions) {
    this.#o = options
    this.#life = `${options.self.nonce}.${Math.round(options.clock.nowMs())}`
  }

  get wanted(): boolean {
    return this.#wanted
  }

  /** Our file, as far as one may be there. */
  get path(): string | null {
    return this.#path
  }

  /** Why it could not be made or removed; null when it could. */
  get trouble(): string | null {
    return this.#trouble
  }

  /** Resolves when the last change of it is done. */
  get settled(): Promise<void> {
    return this.#work
  }

  /** Be listed, or not. One change is made after the other. */
  want(wanted: boolean): void {
    if (wanted && this.#whole) return
    this.#wanted = wanted
    this.#whole = wanted
    this.#work = this.#work.then(() => this.#change(wanted))
  }

  /** It is gone, or says nothing (a full disk, a crash between create and write). */
  again(): void {
    this.#whole = false
    if (this.#wanted) this.want(true)
  }

  /** Removes our names among those that were listed, but for the one that stands. Rejects with DiskError. */
  async sweep(names: readonly string[]): Promise<void> {
    const { disk, self } = this.#o
    for (const name of names) {
      const path = `${BACKUP_DIR}/${name}`
      if (path === this.#path || !isRegistrationOf(self.address, name)) continue
      await disk.unlink('register', path)
    }
  }

  async #change(wanted: boolean): Promise<void> {
    const { disk, log, self } = this.#o
    const before = this.#trouble
    try {
      // First, since on a full disk it gives the room for the next one.
      if (this.#path !== null) await disk.unlink('register', this.#path)
      this.#path = null
      const names = await disk.list('register', BACKUP_DIR)
      await this.sweep(names === 'missing' ? [] : names)
      this.#trouble = null
      if (!wanted) return
      await this.#make()
      // Of an earlier start: this one was right.
      await disk.unlink('register', refusedFile(self.address))
    } catch (error) {
      this.#whole = false
      const what = wanted ? 'made' : 'removed'
      this.#trouble = `this master's file in ${BACKUP_DIR}/ could not be ${what}: ${messageOf(error)}`
      if (this.#trouble !== before) log('warn', this.#trouble, { event: 'registration-failed' })
    }
  }

  async #make(): Promise<void> {
    const { disk, reserve, self } = this.#o
    const text = encode(self)
    this.#n += 1
    const path = registrationFile(self.address, this.#life, this.#n)
    // Even a failed create may have made it.
    this.#path = path
    try {
      if ((await disk.create('register', path, text)) !== 'missing') return
      // Removed under the cluster; where all of it is gone, it may only not be mounted.
      const names = await disk.list('register', '.')
      if (names === 'missing' || !names.includes(CLUSTER_FILE)) return
      await disk.makeDirs('register', BACKUP_DIR)
      await disk.create('register', path, text)
    } catch (error) {
      if (!isNoSpace(error) || !(await reserve.spend())) throw error
      if (error.made) await disk.fill('register', path, text)
      else await disk.create('register', path, text)
    }
  }
}

export interface BackupOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly processes: Processes
  readonly log: Log
  readonly timing: Timing
  readonly self: Holder
  readonly counter: Counter
  readonly reserve: Pick<Reserve, 'spend' | 'prove'>
  /** Who can't take the role shows no pulse, so that nobody hands it over to a master that stands still. */
  readonly isMasterReady: () => boolean
  /** All names among the backups' files, for whatever else lies there. */
  readonly onNames?: (names: readonly string[], begunMs: number) => Promise<void>
  /** Called after each look at the backups: those that live, and when the last look that could be made was begun. */
  readonly onCandidates: (
    candidates: readonly Candidate[],
    begunMs: number,
    pulseMs: number,
  ) => void
  /** After each pulse: how long a renewal takes on this host's storage, lately. */
  readonly onPace: (renewalMs: number) => void
}

export class Backup {
  readonly #o: BackupOptions
  readonly #peers: Peers
  readonly #refusals: Refusals
  readonly #own: Registration
  #underWay: Promise<void> | null = null
  #again = false
  #scannedMs = Number.NEGATIVE_INFINITY
  #stopped = false
  #problem: string | null = null
  /** Why our own file could not be renewed. */
  #unwritable: string | null = null
  #lastRenewalMs: number | null = null
  readonly #pace = new Pace()

  constructor(options: BackupOptions) {
    this.#o = options
    this.#peers = new Peers(options.disk, options.clock, options.processes)
    this.#refusals = new Refusals(options.disk, options.clock)
    this.#own = new Registration(options)
  }

  start(): void {
    const { clock, timing } = this.#o
    if (this.#stopped) return
    clock.after(2 * timing.renewMs, () => this.start())
    if (this.#underWay === null) void this.scan()
  }

  /**
   * Now, besides the regular ones; once more after the one that is under way, which may have read already what has
   * changed. Resolves when the present one is done.
   */
  async scan(): Promise<void> {
    if (this.#stopped) return
    this.#again = this.#underWay !== null
    this.#underWay ??= this.#scan().finally(() => {
      this.#underWay = null
      if (this.#again) void this.scan()
    })
    await this.#underWay
  }

  /** No more pulses; resolves when the last change of our own file is done. */
  stop(): Promise<void> {
    this.#stopped = true
    return this.#own.settled
  }

  get peers(): readonly Peer[] {
    return this.#peers.all()
  }

  get warnings(): readonly string[] {
    const problems = [this.#problem, this.#own.trouble].filter((problem) => problem !== null)
    return [...problems, ...this.#refusals.warnings]
  }

  /** Why our own file could not be renewed; null when it could. */
  get unwritable(): string | null {
    return this.#unwritable
  }

  /** How long the last pulse of our own file took; null while there is none. */
  get lastRenewalMs(): number | null {
    return this.#own.wanted ? this.#lastRenewalMs : null
  }

  /** Be listed among the backups, or not. */
  register(wanted: boolean): void {
    this.#own.want(wanted)
  }

  async #scan(): Promise<void> {
    const { clock } = this.#o
    try {
      await this.#own.settled
      if (this.#own.wanted && this.#o.isMasterReady()) await this.#beat()
      const begunMs = clock.nowMs()
      const names = await this.#peers.scan()
      this.#scannedMs = begunMs
      this.#tell()
      await this.#o.onNames?.(names, begunMs)
      await this.#repair(names)
      const { disk, reserve, self } = this.#o
      if (this.#own.wanted) void answerIfAsked(disk, reserve, { address: self.address, names })
      await this.#refusals.scan(names)
      this.#problem = null
    } catch (error) {
      this.#problem = `the backups' files can't be used: ${messageOf(error)}`
      this.#tell()
    }
  }

  /** An own file that says nothing is as good as none; one that is another life's is in the way. */
  async #repair(names: readonly string[]): Promise<void> {
    if (this.#stopped) return
    const own = names.find((name) => `${BACKUP_DIR}/${name}` === this.#own.path)
    if (own !== undefined && !this.#peers.canRead(own)) this.#own.again()
    else await this.#own.sweep(names)
  }

  #tell(): void {
    const { clock, timing, onCandidates } = this.#o
    const candidates = this.#peers.candidates(clock.nowMs(), timing)
    onCandidates(candidates, this.#scannedMs, this.#peers.pulseMs(timing))
  }

  async #beat(): Promise<void> {
    const { clock, counter, disk } = this.#o
    const startedMs = clock.nowMs()
    const { path } = this.#own
    const outcome =
      path === null
        ? 'missing'
        : await this.#touched(() => disk.touch('register', path, counter.next()))
    this.#lastRenewalMs = clock.nowMs() - startedMs
    this.#o.onPace(this.#pace.add(this.#lastRenewalMs))
    // Gone under us: the directory was formatted, or the create had failed.
    if (outcome === 'missing' && !this.#stopped) this.#own.again()
  }

  async #touched(touch: () => Promise<Touched>): Promise<Touched> {
    try {
      const outcome = await touch()
      this.#unwritable = null
      return outcome
    } catch (error) {
      this.#unwritable = messageOf(error)
      throw error
    }
  }
}
