/**
 * The keeper's place among the backups: its own file there while it is one, and the others' files. Once in two renewal
 * periods it shows its own pulse and takes theirs.
 */
import type { Counter } from './counter.ts'
import type { Candidate } from './elector-state.ts'
import { isNoSpace, messageOf } from './errors.ts'
import { answerIfAsked } from './hand-over-proof.ts'
import { BACKUP_DIR, backupFile, CLUSTER_FILE, encode, type Holder, refusedFile } from './layout.ts'
import { Pace } from './pace.ts'
import { type Peer, Peers } from './peers.ts'
import type { Clock, Disk, Log, Processes } from './ports.ts'
import { Refusals } from './refusals.ts'
import type { Reserve } from './reserve.ts'
import type { Timing } from './timing.ts'

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
  /** After each scan: those that live, and when the last scan that could be made was begun. */
  /** All names among the backups' files, for whatever else lies there. */
  readonly onNames?: (names: readonly string[], begunMs: number) => Promise<void>
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
  readonly #path: string
  #registration: Promise<void> = Promise.resolve()
  #registered = false
  #underWay: Promise<void> | null = null
  #again = false
  #scannedMs = Number.NEGATIVE_INFINITY
  #stopped = false
  #problem: string | null = null
  /** Of our own file: why it could not be made, or renewed. */
  #unmade: string | null = null
  #unwritable: string | null = null
  #lastRenewalMs: number | null = null
  readonly #pace = new Pace()

  constructor(options: BackupOptions) {
    this.#o = options
    this.#peers = new Peers(options.disk, options.clock, options.processes)
    this.#refusals = new Refusals(options.disk, options.clock)
    this.#path = backupFile(options.self.address)
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
    return this.#registration
  }

  get peers(): readonly Peer[] {
    return this.#peers.all()
  }

  get warnings(): readonly string[] {
    const problems = [this.#problem, this.#unmade].filter((problem) => problem !== null)
    return [...problems, ...this.#refusals.warnings]
  }

  /** Why our own file could not be renewed; null when it could. */
  get unwritable(): string | null {
    return this.#unwritable
  }

  /** How long the last pulse of our own file took; null while there is none. */
  get lastRenewalMs(): number | null {
    return this.#registered ? this.#lastRenewalMs : null
  }

  /** Be listed among the backups, or not. One change of the file after the other. */
  register(wanted: boolean): void {
    const { disk, log, self } = this.#o
    this.#registered = wanted
    this.#registration = this.#registration.then(async () => {
      const before = this.#unmade
      try {
        await disk.unlink('register', this.#path)
        this.#unmade = null
        if (!wanted) return
        await this.#create()
        // Of an earlier start: this one was right.
        await disk.unlink('register', refusedFile(self.address))
      } catch (error) {
        const what = wanted ? 'made' : 'removed'
        this.#unmade = `${this.#path} could not be ${what}: ${messageOf(error)}`
        if (this.#unmade !== before) log('warn', this.#unmade)
      }
    })
  }

  async #create(): Promise<void> {
    const { disk, reserve, self } = this.#o
    const text = encode(self)
    try {
      if ((await disk.create('register', this.#path, text)) !== 'missing') return
      // Removed under the cluster; where all of it is gone, it may only not be mounted.
      const names = await disk.list('register', '.')
      if (names === 'missing' || !names.includes(CLUSTER_FILE)) return
      await disk.makeDirs('register', BACKUP_DIR)
      await disk.create('register', this.#path, text)
    } catch (error) {
      if (!isNoSpace(error) || !(await reserve.spend())) throw error
      if (error.made) await disk.fill('register', this.#path, text)
      else await disk.create('register', this.#path, text)
    }
  }

  async #scan(): Promise<void> {
    const { clock } = this.#o
    try {
      await this.#registration
      if (this.#registered && this.#o.isMasterReady()) await this.#beat()
      const begunMs = clock.nowMs()
      const names = await this.#peers.scan()
      this.#scannedMs = begunMs
      this.#tell()
      await this.#o.onNames?.(names, begunMs)
      this.#repair(names)
      const { disk, reserve, self } = this.#o
      if (this.#registered) void answerIfAsked(disk, reserve, { address: self.address, names })
      await this.#refusals.scan(names)
      this.#problem = null
    } catch (error) {
      this.#problem = `the backups' files can't be used: ${messageOf(error)}`
      this.#tell()
    }
  }

  /** An own file that says nothing (a full disk, a crash between create and write) is as good as none: made again. */
  #repair(names: readonly string[]): void {
    if (!this.#registered || this.#stopped) return
    const isThere = names.some((name) => `${BACKUP_DIR}/${name}` === this.#path)
    const isRead = this.#peers.all().some(({ holder }) => backupFile(holder.address) === this.#path)
    if (isThere && !isRead) this.register(true)
  }

  #tell(): void {
    const { clock, timing, onCandidates } = this.#o
    const candidates = this.#peers.candidates(clock.nowMs(), timing)
    onCandidates(candidates, this.#scannedMs, this.#peers.pulseMs(timing))
  }

  async #beat(): Promise<void> {
    const { clock, counter, disk } = this.#o
    const startedMs = clock.nowMs()
    const outcome = await this.#touched(() => disk.touch('register', this.#path, counter.next()))
    this.#lastRenewalMs = clock.nowMs() - startedMs
    this.#o.onPace(this.#pace.add(this.#lastRenewalMs))
    // Gone under us: the directory was formatted, or the create had failed.
    if (outcome === 'missing' && this.#registered && !this.#stopped) this.register(true)
  }

  async #touched(touch: () => Promise<'touched' | 'missing'>): Promise<'touched' | 'missing'> {
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
