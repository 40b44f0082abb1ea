/**
 * The keeper's place among the backups: its own file there while it is one (registration.ts), and the others' files. Once
 * in two renewal periods it shows its own pulse and takes theirs.
 */

import { answerIfAsked } from '../directory/hand-over-proof.ts'
import { type Peer, Peers } from '../directory/peers.ts'
import { Refusals } from '../directory/refusals.ts'
import { Registration } from '../directory/registration.ts'
import type { Reserve } from '../directory/reserve.ts'
import type { Counter } from '../rules/counter.ts'
import type { Candidate } from '../rules/elector-state.ts'
import { Pace } from '../rules/pace.ts'
import type { Timing } from '../rules/timing.ts'
import { messageOf } from '../words/errors.ts'
import { BACKUP_DIR, type Holder } from '../words/layout.ts'
import type { Clock, Disk, Log, Processes, Touched } from '../world/ports.ts'

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
