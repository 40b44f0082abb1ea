/**
 * One look at the directory: which terms there are and what their heartbeats say.
 *
 * New names are found by listing their directory, never by asking for the name: on NFS a cached absence lasts up to
 * 30 s, a listing is fresh. A heartbeat that was seen once is glimpsed directly from then on: its absence is news then.
 * In a quiet cluster a look costs one listing and one open + fstat + close, and a term that was ended or released costs
 * nothing more: looks that take longer than two of their periods would never add up to a patience. The same where claims have failed
 * by the thousand: only the newest terms are listed one by one, of those far below only what history/ says was opened,
 * since nobody serves before that. And history/ is read again only when the newest terms have changed, or one of them
 * beats, or now and then: names come into it by claims, which begin with a new term, and by the claims of those far
 * below, whom a take-over ends by number, seen or not.
 */
import { largest, type Periods } from '../rules/periods.ts'
import type { Pulse, Seen } from '../rules/watch.ts'
import { DiskError } from '../words/errors.ts'
import {
  ACTIVE_DIR,
  claimFile,
  HISTORY_DIR,
  type Holder,
  heartbeatFile,
  historyFile,
  historyTermOf,
  openedTermOf,
  releaseOf,
  type TermRecord,
  termDir,
  termOf,
} from '../words/layout.ts'
import { atOnce } from '../world/directories.ts'
import type { Disk, Processes } from '../world/ports.ts'
import { decodeClaim, decodeTerm } from './decode.ts'
import { readEnd } from './end-below.ts'
import { numberIn } from './past.ts'
import { KEPT_TERMS } from './void-terms.ts'

/**
 * Numbers are taken one after the other, so a name this far above the history is nobody's term; ending all terms
 * between them, one by one, would never end.
 */
const FARTHEST_TERM = 1_000_000

/** None of the living can tell a removed directory from one that is not mounted, so nobody makes it again by himself. */
const GONE = `${ACTIVE_DIR}/ is gone from the HA directory: it was removed, or isn't mounted on this host. Mount it, put it back from a backup, or stop all masters and run 'tajo haadmin -formatHA' where it is mounted, which keeps the catalog and goes on above its term`

/** So many of the newest terms are looked into, whatever history/ says: one of them may be claimed just now. */
const NEAR_TERMS = KEPT_TERMS
/** At the same time: one after the other would take longer than two periods of looks where the storage is slow. */
const LISTED_AT_ONCE = 4

/** So many looks may go by on what history/ said before: about an M. */
const LOOKS_PER_READING = 20

/** A name like a term's that no master made: nothing is concluded while it is there, and whoever put it there removes it. */
const stray = (term: number, why: string): DiskError =>
  new DiskError('EINVAL', termDir(term), `${termDir(term)} is foreign (${why}): remove it`)

type Names = readonly string[] | 'missing'

interface Reading {
  /** Which were the newest terms then, and which of them were released. */
  readonly of: string
  /** Looks since. */
  looks: number
}

/** They come highest first. Thousands are sorted as numbers, without a call for each comparison. */
function termsIn(names: readonly string[]): number[] {
  const terms = names.map(termOf).filter((term) => term !== null)
  return [...Float64Array.from(terms).sort().reverse()]
}

/** Looks at one HA directory and remembers what can't change: who opened a term, that it served. */
export class Looker {
  readonly #disk: Disk
  readonly #processes: Processes
  readonly #served = new Set<number>()
  readonly #beating = new Set<number>()
  /**
   * No heartbeat, and a claim.json that is whole: an open one came after its heartbeat, whose name is never used again; a
   * closed one ends whatever heartbeat may still come. A torn one says neither, and the term is looked at again.
   */
  readonly #ended = new Set<number>()
  readonly #opened = new Set<number>()
  /** Mtimes of heartbeats that were released: nobody touches them again. */
  readonly #released = new Map<number, number>()
  readonly #holders = new Map<number, Holder>()
  /** The highest number that was ever seen: it never goes back, though its files may be gone. */
  #newest: number
  /** The highest number in history/. */
  #recorded = 0
  /** When history/ was last read. */
  #reading: Reading | null = null
  #unopened: readonly number[] = []
  readonly #own: Periods | null
  /** By which a term is to be judged, once they can't change any more. */
  readonly #periods = new Map<number, Periods>()
  /** What each holder was last known to use. */
  readonly #lastKnown = new Map<string, Periods>()
  /** Of the newest beating term, at the last look. */
  #lastPulse: Pulse | null = null

  /** `own`: the observer's periods; null for one that judges nobody by time. */
  constructor(disk: Disk, processes: Processes, own: Periods | null, knownTerm = 0) {
    this.#disk = disk
    this.#processes = processes
    this.#own = own
    this.#newest = knownTerm
  }

  /** Rejects with DiskError where the directory can't be read: that is "unknown", never "dead". */
  async look(): Promise<Seen> {
    const names = await this.#disk.list('observe', ACTIVE_DIR)
    if (names === 'missing') {
      throw new DiskError('ENOENT', ACTIVE_DIR, GONE)
    }
    const terms = termsIn(names)
    this.#forgetBelow(terms.at(-1) ?? 0)
    const isRead = await this.#seeNewest(terms[0] ?? 0)
    if (this.#newest > (terms[0] ?? 0)) terms.unshift(this.#newest)
    const near = await this.#pulsesOf(terms.slice(0, NEAR_TERMS))
    if (!this.#served.has(this.#newest)) await this.#readIfNews(near, isRead)
    const isOver = this.#downToServed(near).servedTerm > 0
    const { held, unopened } = this.#sorted(isOver ? [] : terms.slice(NEAR_TERMS))
    this.#unopened = unopened
    const { pulses, servedTerm } = this.#downToServed(await this.#pulsesOf(held, near))
    const beating = pulses.find((pulse) => pulse.mtimeMs !== null)
    const unreadable: string[] = []
    const judged: Pulse[] = []
    for (const pulse of pulses) judged.push(await this.#withPeriods(pulse, unreadable))
    const holder = beating === undefined ? null : await this.#holder(beating.term, unreadable)
    // Whoever renewed since the last look is not worth a question to the kernel.
    const moved =
      beating?.term === this.#lastPulse?.term && beating?.mtimeMs !== this.#lastPulse?.mtimeMs
    this.#lastPulse = beating ?? null
    const given = beating !== undefined && releaseOf(beating.mtimeMs ?? 0) === 'released-for'
    return {
      newest: this.#newest,
      pulses: judged,
      servedTerm,
      holder,
      holderTerm: holder === null || beating === undefined ? 0 : beating.term,
      holderDead: holder !== null && !moved && this.#processes.verdict(holder.master) === 'dead',
      successor: given ? ((await readEnd(this.#disk, beating.term))?.successor ?? null) : null,
      ...(unreadable[0] !== undefined && { unreadable: unreadable[0] }),
    }
  }

  /** A term of ours serves: no listing is needed to know it. */
  noteServed(term: number): void {
    this.#served.add(term)
  }

  /**
   * Far below the newest, above the newest that served, and never opened as far as is known. They are those of the last
   * look.
   */
  get unopened(): readonly number[] {
    return this.#unopened
  }

  /** `near`: those above them, where they are far below; all of them are the answer. */
  async #pulsesOf(listed: readonly number[], near: readonly Pulse[] | null = null) {
    const end = listed.findIndex((term) => this.#served.has(term))
    const terms = end < 0 ? listed : listed.slice(0, end + 1)
    const unknown = terms.filter((term) => !this.#ended.has(term) && !this.#beating.has(term))
    const names = await atOnce(LISTED_AT_ONCE, unknown, (term) => this.#listTerm(term))
    const pulses = [...(near ?? [])]
    for (const term of terms) {
      const isNewest = pulses.every(({ mtimeMs }) => mtimeMs === null)
      const isFar = near !== null
      const mtimeMs = await this.#pulse(term, {
        isNewest,
        isFar,
        names: names[unknown.indexOf(term)],
      })
      pulses.push({ term, mtimeMs })
    }
    return pulses
  }

  /** Whoever served has ended all below it. */
  #downToServed(pulses: readonly Pulse[]): { pulses: readonly Pulse[]; servedTerm: number } {
    const end = pulses.findIndex(({ term }) => this.#served.has(term))
    if (end < 0) return { pulses, servedTerm: 0 }
    return { pulses: pulses.slice(0, end + 1), servedTerm: pulses[end]?.term ?? 0 }
  }

  /** Those far below that somebody may hold, and those that nobody has opened. */
  #sorted(far: readonly number[]): { held: number[]; unopened: number[] } {
    const held: number[] = []
    const unopened: number[] = []
    for (const term of far) {
      if (this.#served.has(term) || this.#opened.has(term)) held.push(term)
      else unopened.push(term)
      if (this.#served.has(term)) break
    }
    return { held, unopened }
  }

  /**
   * `isNewest`: none above it beats. `isFar`: asked only since history/ says that it was opened, or closed there: a
   * heartbeat that is missing now has gone for good, whatever its claim.json says. `names`: in its directory, where it was
   * listed for this look.
   */
  async #pulse(
    term: number,
    { isNewest, isFar, names }: { isNewest: boolean; isFar: boolean; names: Names | undefined },
  ): Promise<number | null> {
    if (this.#ended.has(term)) return null
    const released = this.#released.get(term)
    if (released !== undefined && !isNewest) return released
    if (!this.#beating.has(term)) {
      if (names === undefined || names === 'missing') return null
      if (!names.includes('heartbeat')) {
        const isOver = isFar || (names.includes('claim.json') && (await this.#isDecided(term)))
        if (isOver) this.#ended.add(term)
        return null
      }
      this.#beating.add(term)
    }
    const glimpse = await this.#disk.glimpse('observe', heartbeatFile(term))
    if (glimpse !== 'missing') {
      if (releaseOf(glimpse.mtimeMs) !== 'no') this.#released.set(term, glimpse.mtimeMs)
      return glimpse.mtimeMs
    }
    this.#beating.delete(term)
    this.#released.delete(term)
    return null
  }

  /**
   * A number is taken by its directory and by its record, and one of them may have been removed: the newest is the highest
   * that either shows, or that was seen before. The history is read for it at the first look, and where a directory is
   * gone. `top`: the newest directory. Gives whether the history was read.
   */
  async #seeNewest(top: number): Promise<boolean> {
    const isStray = (): boolean => top > this.#recorded + FARTHEST_TERM
    const asks = this.#reading === null || top < this.#newest || isStray()
    if (asks) await this.#readHistory()
    if (isStray()) throw stray(top, `the newest term is ${this.#recorded}`)
    this.#newest = Math.max(this.#newest, top, this.#recorded)
    return asks
  }

  /** While one of them beats it may begin to serve at any moment. */
  async #readIfNews(near: readonly Pulse[], isRead: boolean): Promise<void> {
    const of = near.map(({ term, mtimeMs }) => `${term} ${releaseOf(mtimeMs ?? 0)}`).join()
    const beats = near.some(({ mtimeMs }) => mtimeMs !== null && releaseOf(mtimeMs) === 'no')
    const before = this.#reading
    if (!beats && before?.of === of && before.looks < LOOKS_PER_READING) {
      before.looks += 1
      return
    }
    if (!isRead) await this.#readHistory()
    this.#reading = { of, looks: 0 }
  }

  async #readHistory(): Promise<void> {
    const names = await this.#disk.list('observe', HISTORY_DIR)
    for (const name of names === 'missing' ? [] : names) {
      const entry = historyTermOf(name)
      if (entry?.served) this.#served.add(entry.term)
      const opened = openedTermOf(name)
      if (opened !== null) this.#opened.add(opened)
      this.#recorded = Math.max(this.#recorded, numberIn(name))
    }
    this.#reading ??= { of: '', looks: 0 }
  }

  async #listTerm(term: number): Promise<Names> {
    try {
      return await this.#disk.list('observe', termDir(term))
    } catch (error) {
      if (!(error instanceof DiskError) || error.errno !== 'ENOTDIR') throw error
      throw stray(term, "it is a file, and a term's name is a directory")
    }
  }

  async #isDecided(term: number): Promise<boolean> {
    const text = await this.#disk.read('observe', claimFile(term))
    return text !== 'missing' && decodeClaim(text) !== null
  }

  /** A claim that is there and can't be read is told in `unreadable`: the heartbeat beside it can be. */
  async #holder(term: number, unreadable: string[]): Promise<Holder | null> {
    const known = this.#holders.get(term)
    if (known !== undefined) return known
    const names = await this.#disk.list('observe', termDir(term))
    if (names === 'missing' || !names.includes('claim.json')) return null
    try {
      const text = await this.#disk.read('observe', claimFile(term))
      const claim = text === 'missing' ? null : decodeClaim(text)
      if (claim?.state !== 'open') return null
      this.#holders.set(term, claim.holder)
      return claim.holder
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      unreadable.push(error.message)
      return null
    }
  }

  async #withPeriods(pulse: Pulse, unreadable: string[]): Promise<Pulse> {
    const own = this.#own
    const { term, mtimeMs } = pulse
    if (own === null || (mtimeMs !== null && releaseOf(mtimeMs) !== 'no')) return pulse
    // Whoever has served may not know yet that its heartbeat is gone: it acts for as long as its own periods say.
    if (mtimeMs === null && !this.#served.has(term)) return pulse
    const known = this.#periods.get(term)
    if (known !== undefined) return { ...pulse, periods: known }
    const holder = await this.#holder(term, unreadable)
    const record = holder?.periods === undefined ? await this.#record(term) : null
    const written = holder?.periods ?? record?.periods
    const address = holder?.address ?? record?.address
    const periods = written ?? this.#assumed(own, address)
    // A claim that isn't whole yet may say more at the next look.
    if (written !== undefined || holder !== null) this.#periods.set(term, periods)
    if (written !== undefined && address !== undefined) this.#lastKnown.set(address, written)
    return { ...pulse, periods }
  }

  /** Where a term has none (an older version's), or none that can be read: too long is safe, too short is not. */
  #assumed(own: Periods, address: string | undefined): Periods {
    const last = address === undefined ? undefined : this.#lastKnown.get(address)
    const known = last === undefined ? [...this.#lastKnown.values()] : [last]
    return known.reduce(largest, own)
  }

  /** Reads the term's record, which is there since before the heartbeat was. */
  async #record(term: number): Promise<TermRecord | null> {
    try {
      const text = await this.#disk.read('observe', historyFile(term))
      return text === 'missing' ? null : decodeTerm(text)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      return null
    }
  }

  #forgetBelow(term: number): void {
    for (const known of [this.#served, this.#beating, this.#ended, this.#opened]) {
      for (const old of known) if (old < term) known.delete(old)
    }
    for (const known of [this.#holders, this.#released, this.#periods]) {
      for (const old of known.keys()) if (old < term) known.delete(old)
    }
  }
}
