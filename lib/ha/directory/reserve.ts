/**
 * The room that a master keeps for its next term: files as many and as large as a claim and the opening of the catalog
 * write, given up at the claim where space is short. So a failover works on a full disk, and a hand-over can ask first
 * whether its successor will be able to make its files.
 *
 *     reserve/host2_26001/spare-0 …     for the master's own way: a last word, its place among the backups
 *     reserve/host2_26001/claim-00 …    one for each file of a claim
 *     reserve/host2_26001/opening-0 …   as large as what the opening writes; another one when the catalog has grown
 *     reserve/host2_26001/whole.json    made last, removed first: whose they are, and that they are all there
 *
 * It is made only where space is not low already, so that it never takes the last of it. Names here are used again and
 * mean nothing to anybody else but whole.json. One piece of work after the other; nothing here blocks a lease.
 */
import { judgeSpace, type Low, type Need, NOTHING_LOW, type SpaceReport } from '../rules/space.ts'
import type { Timing } from '../rules/timing.ts'
import { DiskError, isDefinite, messageOf } from '../words/errors.ts'
import { encode, type Holder, type ReserveFile, reserveDir } from '../words/layout.ts'
import type { Clock, Disk, Log } from '../world/ports.ts'
import { decodeReserve } from './decode.ts'
import { ReserveLeftovers } from './reserve-leftovers.ts'

interface ReserveOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly log: Log
  readonly timing: Timing
  readonly self: Holder
  /** How much the opening of a term writes, as far as can be seen now. */
  readonly openingBytes: () => Promise<number>
  /** Not while a term is being claimed or opened: then it is given up. */
  readonly mayMake: () => boolean
  /** Addresses of all masters that take part, on the active; null on any other. */
  readonly members: () => readonly string[] | null
  /** Something that people see has changed. */
  readonly onReport: () => void
}

/** A block, about: what a small file takes. */
const SMALL_BYTES = 4096
/**
 * The term's directory, n.json, heartbeat, claim.json, opened, served; of the catalog the directory, journal, mark and what
 * stops older versions; and some for lower terms that have to be closed.
 */
const CLAIM_FILES = 12
/** end.json and backup/….json. */
const SPARE_FILES = 2
/** The opening's own records and directories, beside the catalog's. */
const OPENING_EXTRA_BYTES = 16 * 1024
/** More than is needed now, so that a growing catalog has it made anew rarely. */
const GROWTH = 1.25

const WHOLE = 'whole.json'
const SMALL_NAMES: readonly string[] = [
  ...Array.from({ length: SPARE_FILES }, (_, i) => `spare-${i}`),
  ...Array.from({ length: CLAIM_FILES }, (_, i) => `claim-${String(i).padStart(2, '0')}`),
]

/** Of a claim and the opening. */
const claimNeed = (openingBytes: number): Need => ({
  bytes: SMALL_NAMES.length * SMALL_BYTES + openingBytes + OPENING_EXTRA_BYTES,
  files: SMALL_NAMES.length + 1,
})

/** What a term writes before a copy of everything is due: a catalog's journal grows to this. */
const TERM_BYTES = 4 * 1024 * 1024

/** The same, what a term writes until the next copy is due, and that copy. */
const alarmNeed = (openingBytes: number): Need => {
  const { bytes, files } = claimNeed(openingBytes)
  return { bytes: bytes + TERM_BYTES + openingBytes + OPENING_EXTRA_BYTES, files: files + 2 }
}

/** What stands there. */
interface Held {
  readonly names: readonly string[]
  readonly openingBytes: number
  /** whole.json says so, in this process's name. */
  readonly marked: boolean
}

const isSpare = (name: string): boolean => name.startsWith('spare-')
const isOpening = (name: string): boolean => name.startsWith('opening-')

export class Reserve {
  readonly #o: ReserveOptions
  readonly #directory: string
  readonly #leftovers: ReserveLeftovers
  /** Null while nothing is known to stand there. */
  #held: Held | null = null
  #openingBytes = 0
  #low: Low = NOTHING_LOW
  #report: Omit<SpaceReport, 'refused'> | null = null
  #refused: string | null = null
  #work: Promise<unknown> = Promise.resolve()
  #stopped = false
  #told = ''

  constructor(options: ReserveOptions) {
    this.#o = options
    this.#directory = reserveDir(options.self.address)
    this.#leftovers = new ReserveLeftovers(options.disk, options.clock)
  }

  /** Looks each M whether it is there, large enough and allowed; not at once, when everybody starts. */
  start(): void {
    this.#o.clock.after(this.#o.timing.monitorMs, () => {
      if (this.#stopped) return
      void this.check()
      this.start()
    })
  }

  stop(): void {
    this.#stopped = true
  }

  /** It is null before the first look. */
  get report(): SpaceReport | null {
    return this.#report === null ? null : { ...this.#report, refused: this.#refused }
  }

  /** Measures, and makes or enlarges it where there is enough. Never rejects. */
  check(): Promise<void> {
    return this.#next(async () => {
      try {
        await this.#measure()
        await this.#lookAgain()
        if (this.#o.mayMake() && !this.#isComplete() && (await this.#hasRoomToSpare())) {
          await this.#make()
        }
        const members = this.#o.members()
        if (members !== null) await this.#leftovers.sweep(members)
        this.#tell('')
      } catch (error) {
        this.#noteRefused(error)
        this.#tell(`no room is kept for the next term: ${messageOf(error)}`)
      }
    })
  }

  /**
   * Shows that a claim and the opening find room: it is there already, or it is made now, low space or not. Rejects with
   * the DiskError of what could not be made; nothing of it stays then.
   */
  prove(): Promise<void> {
    return this.#next(async () => {
      try {
        this.#openingBytes = await this.#o.openingBytes()
        await this.#lookAgain()
        if (!this.#isWhole()) await this.#make()
        this.#refused = null
      } catch (error) {
        this.#noteRefused(error)
        throw error
      }
    })
  }

  /** For a claim that is under way; false where there is room enough without it, or nothing to give up. Never rejects. */
  giveUpIfLow(): Promise<boolean> {
    return this.#given(async () => {
      if (this.#held === null) return false
      const { freeBytes, freeFiles } = await this.#o.disk.space()
      const { bytes, files } = alarmNeed(this.#openingBytes)
      const isLow = freeBytes < bytes || (freeFiles !== null && freeFiles < files)
      return isLow && (await this.#giveUp())
    })
  }

  /** It gives up all of it. False when there was nothing to give up. Never rejects. */
  giveUp(): Promise<boolean> {
    return this.#given(() => this.#giveUp())
  }

  /** One file, for something small that is no claim; the rest stays whole. False when none is left for that. */
  spend(): Promise<boolean> {
    return this.#next(async () => {
      const spare = this.#held?.names.find(isSpare)
      if (this.#held === null || spare === undefined) return false
      this.#held = { ...this.#held, names: this.#held.names.filter((name) => name !== spare) }
      await this.#o.disk.unlink('reserve', this.#path(spare))
      return true
    }).catch(() => false)
  }

  #given(work: () => Promise<boolean>): Promise<boolean> {
    return this.#next(work).catch((error: unknown) => {
      this.#tell(`the room kept for this term stays: ${messageOf(error)}`)
      return false
    })
  }

  // ---- one at a time ---------------------------------------------------------------------------------------------

  #next<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work, work)
    this.#work = done.catch(() => undefined)
    return done
  }

  async #measure(): Promise<void> {
    const { disk, openingBytes, onReport } = this.#o
    this.#openingBytes = await openingBytes()
    const space = await disk.space()
    const need = alarmNeed(this.#openingBytes)
    this.#low = judgeSpace(space, need, this.#low)
    const before = this.#report?.low
    this.#report = { ...space, need, low: this.#low }
    if (before?.bytes !== this.#low.bytes || before.files !== this.#low.files) onReport()
  }

  /** What was made yesterday may have been removed since: an age cleaner, or the sweep of a master that was long away. */
  async #lookAgain(): Promise<void> {
    const held = this.#held
    if (held === null) return
    const listed = await this.#o.disk.list('reserve', this.#directory)
    const found = new Set(listed === 'missing' ? [] : listed)
    const names = held.names.filter((name) => found.has(name))
    const gone = held.names.filter((name) => !found.has(name) && !isSpare(name))
    const isMarkGone = held.marked && !found.has(WHOLE)
    if (gone.length === 0 && !isMarkGone) {
      this.#held = { ...held, names }
      return
    }
    this.#o.log('warn', `the room kept for the next term is gone from ${this.#directory}`, {
      event: 'reserve-gone',
      gone,
    })
    // What is left of it is no measure: #make() begins anew.
    this.#held = null
  }

  /** It is enough for a claim and the opening. */
  #isWhole(): boolean {
    return this.#held?.marked === true && this.#held.openingBytes >= this.#openingBytes
  }
  #isComplete(): boolean {
    const { names = [] } = this.#held ?? {}
    return this.#isWhole() && SMALL_NAMES.every((name) => names.includes(name))
  }

  /** Space is not low, and would not be after it either. */
  async #hasRoomToSpare(): Promise<boolean> {
    if (this.#report === null || this.#low.bytes || this.#low.files) return false
    const { freeBytes, freeFiles, ...rest } = this.#report
    const { bytes, files } = claimNeed(GROWTH * this.#openingBytes)
    const left = {
      ...rest,
      freeBytes: freeBytes - bytes,
      freeFiles: freeFiles === null ? null : freeFiles - files,
    }
    const after = judgeSpace(left, this.#report.need, this.#low)
    return !after.bytes && !after.files
  }

  /**
   * Adopts what an earlier life left whole; adds what is missing. Where that fails, what was there before stays and the
   * rest goes: half a reserve keeps room from others and gives none.
   */
  async #make(): Promise<void> {
    const { disk } = this.#o
    await disk.makeDirs('reserve', this.#directory)
    const before = this.#held ?? (await this.#adopted())
    this.#held = before
    const files = this.#missingFrom(before)
    try {
      for (const [name, bytes] of files) await this.#occupy(name, bytes)
      const names = [...before.names, ...files.keys()]
      const openingBytes = Math.max(before.openingBytes, this.#wantedBytes(before))
      this.#held = { names, openingBytes, marked: false }
      await this.#mark(names, openingBytes)
      this.#held = { names, openingBytes, marked: true }
      this.#refused = null
    } catch (error) {
      this.#held = { ...before, marked: before.marked && this.#held?.marked !== false }
      for (const name of files.keys()) await disk.unlink('reserve', this.#path(name))
      throw error
    }
  }

  #wantedBytes({ openingBytes }: Held): number {
    const enough = openingBytes > 0 && openingBytes >= this.#openingBytes
    return enough ? openingBytes : Math.ceil(GROWTH * this.#openingBytes) + OPENING_EXTRA_BYTES
  }

  /** Tells names and sizes. */
  #missingFrom(before: Held): Map<string, number> {
    const small = SMALL_NAMES.filter((name) => !before.names.includes(name))
    const files = new Map(small.map((name) => [name, SMALL_BYTES]))
    const more = this.#wantedBytes(before) - before.openingBytes
    if (more > 0) files.set(`opening-${before.names.filter(isOpening).length}`, more)
    return files
  }

  async #occupy(name: string, bytes: number): Promise<void> {
    const path = this.#path(name)
    if ((await this.#o.disk.occupy('reserve', path, bytes)) !== 'missing') return
    throw new DiskError('ENOENT', path, `can't create ${path} (reserve): its directory is gone`)
  }

  async #mark(all: readonly string[], openingBytes: number): Promise<void> {
    const { disk, self } = this.#o
    const names = all.filter((name) => !isSpare(name))
    const whole: ReserveFile = { address: self.address, nonce: self.nonce, names, openingBytes }
    await disk.unlink('reserve', this.#path(WHOLE))
    await disk.create('reserve', this.#path(WHOLE), encode(whole))
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`
  }

  async #adopted(): Promise<Held> {
    const { disk } = this.#o
    const listed = await disk.list('reserve', this.#directory)
    const found = listed === 'missing' ? [] : listed
    const whole = await readReserve(disk, this.#o.self.address, found)
    const names = whole === null ? [] : [...whole.names, ...found.filter(isSpare)]
    // Of a life that ended while it made or gave it up.
    for (const name of found) {
      if (!names.includes(name)) await disk.unlink('reserve', this.#path(name))
    }
    return { names, openingBytes: whole?.openingBytes ?? 0, marked: false }
  }

  async #giveUp(): Promise<boolean> {
    const { disk } = this.#o
    const held = this.#held
    this.#held = null
    if (held === null) return false
    await disk.unlink('reserve', this.#path(WHOLE))
    await Promise.all(held.names.map((name) => disk.unlink('reserve', this.#path(name))))
    return held.names.length > 0
  }

  #noteRefused(error: unknown): void {
    const before = this.#refused
    this.#refused = isDefinite(error) ? error.message : null
    if (before !== this.#refused) this.#o.onReport()
  }

  /** Says each sentence once. */
  #tell(text: string): void {
    if (text !== '' && text !== this.#told) this.#o.log('warn', text, { event: 'reserve-failed' })
    this.#told = text
  }
}

/** What `whole.json` says, where everything that it names is there; null otherwise. `names`: its directory's listing. */
async function readReserve(
  disk: Disk,
  address: string,
  names: readonly string[],
): Promise<ReserveFile | null> {
  if (!names.includes(WHOLE)) return null
  const text = await disk.read('reserve', `${reserveDir(address)}/${WHOLE}`)
  const whole = text === 'missing' ? null : decodeReserve(text)
  return whole?.names.every((name) => names.includes(name)) === true ? whole : null
}

/**
 * Has this very process of a master its room for a claim and an opening, by the directory? A proof for whoever wants to
 * give it the role: what stands there can be given up, whatever the disk has left by then.
 */
export async function hasReserve(
  disk: Disk,
  { address, nonce }: Pick<Holder, 'address' | 'nonce'>,
): Promise<boolean> {
  const names = await disk.list('reserve', reserveDir(address))
  if (names === 'missing') return false
  return (await readReserve(disk, address, names))?.nonce === nonce
}
