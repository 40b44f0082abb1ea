/**
 * The keeper's place among the backups: its own file there while it is one, and the others' files. Once in two renewal
 * periods it shows its own pulse and takes theirs.
 */
import type { Counter } from './counter.ts'
import type { Candidate } from './elector-state.ts'
import { messageOf } from './errors.ts'
import { backupFile, encode, type Holder, refusedFile } from './layout.ts'
import { type Peer, Peers } from './peers.ts'
import type { Clock, Disk, Log, Processes } from './ports.ts'
import { Refusals } from './refusals.ts'
import type { Timing } from './timing.ts'

export interface BackupOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly processes: Processes
  readonly log: Log
  readonly timing: Timing
  readonly self: Holder
  readonly counter: Counter
  /** Who can't take the role shows no pulse, so that nobody hands it over to a master that stands still. */
  readonly isMasterReady: () => boolean
  /** After each scan: those that live, and when the last scan that could be made was begun. */
  readonly onCandidates: (candidates: readonly Candidate[], begunMs: number) => void
  /** All names among the backups' files, for whatever else lies there. */
  readonly onNames?: (names: readonly string[], begunMs: number) => Promise<void>
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
  #lastRenewalMs: number | null = null

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
    const problems = this.#problem === null ? [] : [this.#problem]
    return [...problems, ...this.#refusals.warnings]
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
      try {
        await disk.unlink('register', this.#path)
        if (!wanted) return
        await disk.create('register', this.#path, encode(self))
        // Of an earlier start: this one was right.
        await disk.unlink('register', refusedFile(self.address))
      } catch (error) {
        const what = wanted ? 'made' : 'removed'
        log('warn', `${this.#path} could not be ${what}: ${messageOf(error)}`)
      }
    })
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
      await this.#refusals.scan(names)
      this.#problem = null
    } catch (error) {
      this.#problem = `the backups' files can't be read: ${messageOf(error)}`
      this.#tell()
    }
  }

  #tell(): void {
    const { clock, timing, onCandidates } = this.#o
    onCandidates(this.#peers.candidates(clock.nowMs(), timing), this.#scannedMs)
  }

  async #beat(): Promise<void> {
    const { clock, counter, disk } = this.#o
    const startedMs = clock.nowMs()
    const outcome = await disk.touch('register', this.#path, counter.next())
    this.#lastRenewalMs = clock.nowMs() - startedMs
    // Gone under us: the directory was formatted, or the create had failed.
    if (outcome === 'missing' && this.#registered && !this.#stopped) this.register(true)
  }
}
