/**
 * One look at the directory: which terms there are and what their heartbeats say.
 *
 * New names are found by listing their directory, never by asking for the name: on NFS a cached absence lasts up to
 * 30 s, a listing is fresh. A heartbeat that was seen once is glimpsed directly from then on: its absence is news then.
 * In a quiet cluster a look costs one listing and one open + fstat + close, and a term that was ended or released costs
 * nothing more: looks that take longer than two polls would never add up to a patience. The same where claims have failed
 * by the thousand: only the newest terms are listed one by one, of those far below only what history/ says was opened,
 * since nobody serves before that.
 */

import { decodeClaim } from './decode.ts'
import { DiskError } from './errors.ts'
import {
  ACTIVE_DIR,
  claimFile,
  HISTORY_DIR,
  type Holder,
  heartbeatFile,
  historyTermOf,
  openedTermOf,
  releaseOf,
  termDir,
  termOf,
} from './layout.ts'
import type { Disk, Processes } from './ports.ts'
import { readEnd } from './term-end.ts'
import type { Pulse, Seen } from './watch.ts'

/**
 * Numbers are taken one after the other, so a name this far above the history is nobody's term; ending all terms
 * between them, one by one, would never end.
 */
const FARTHEST_TERM = 1_000_000

/** So many of the newest terms are looked into, whatever history/ says: one of them may be claimed just now. */
const NEAR_TERMS = 16

/** A name like a term's that no master made: nothing is concluded while it is there, and whoever put it there removes it. */
const stray = (term: number, why: string): DiskError =>
  new DiskError('EINVAL', termDir(term), `${termDir(term)} is foreign (${why}): remove it`)

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
  /** Of the newest beating term, at the last look. */
  #lastPulse: Pulse | null = null

  constructor(disk: Disk, processes: Processes) {
    this.#disk = disk
    this.#processes = processes
  }

  /** Rejects with DiskError where the directory can't be read: that is "unknown", never "dead". */
  async look(): Promise<Seen> {
    const names = await this.#disk.list('observe', ACTIVE_DIR)
    if (names === 'missing') {
      throw new DiskError('ENOENT', ACTIVE_DIR, `${ACTIVE_DIR}/ is gone from the HA directory`)
    }
    const terms = names.map(termOf).filter((term) => term !== null)
    terms.sort((a, b) => b - a)
    this.#forgetBelow(terms.at(-1) ?? 0)
    const pulses: Pulse[] = []
    let servedTerm = 0
    let historyRead = false
    for (const [i, term] of terms.entries()) {
      if (i < NEAR_TERMS || this.#served.has(term) || this.#opened.has(term)) {
        const isNewest = pulses.every(({ mtimeMs }) => mtimeMs === null)
        pulses.push({ term, mtimeMs: await this.#pulse(term, isNewest) })
      }
      if (!this.#served.has(term) && !historyRead) {
        const recorded = await this.#readHistory()
        historyRead = true
        if (term > recorded + FARTHEST_TERM) throw stray(term, `the newest term is ${recorded}`)
      }
      if (this.#served.has(term)) {
        servedTerm = term
        break
      }
    }
    const beating = pulses.find((pulse) => pulse.mtimeMs !== null)
    const holder = beating === undefined ? null : await this.#holder(beating.term)
    // Whoever renewed since the last look is not worth a question to the kernel.
    const moved =
      beating?.term === this.#lastPulse?.term && beating?.mtimeMs !== this.#lastPulse?.mtimeMs
    this.#lastPulse = beating ?? null
    const given = beating !== undefined && releaseOf(beating.mtimeMs ?? 0) === 'released-for'
    return {
      newest: terms[0] ?? 0,
      pulses,
      servedTerm,
      holder,
      holderTerm: holder === null || beating === undefined ? 0 : beating.term,
      holderDead: holder !== null && !moved && this.#processes.verdict(holder.master) === 'dead',
      successor: given ? ((await readEnd(this.#disk, beating.term))?.successor ?? null) : null,
    }
  }

  /** A term of ours serves: no listing is needed to know it. */
  noteServed(term: number): void {
    this.#served.add(term)
  }

  /** `isNewest`: none above it beats. */
  async #pulse(term: number, isNewest: boolean): Promise<number | null> {
    if (this.#ended.has(term)) return null
    const released = this.#released.get(term)
    if (released !== undefined && !isNewest) return released
    if (!this.#beating.has(term)) {
      const names = await this.#listTerm(term)
      if (names === 'missing') return null
      if (!names.includes('heartbeat')) {
        if (names.includes('claim.json') && (await this.#isDecided(term))) this.#ended.add(term)
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

  /** Gives its newest term, 0 for none. */
  async #readHistory(): Promise<number> {
    let newest = 0
    const names = await this.#disk.list('observe', HISTORY_DIR)
    for (const name of names === 'missing' ? [] : names) {
      const entry = historyTermOf(name)
      if (entry?.served) this.#served.add(entry.term)
      const opened = openedTermOf(name)
      if (opened !== null) this.#opened.add(opened)
      newest = Math.max(newest, entry?.term ?? 0)
    }
    return newest
  }

  async #listTerm(term: number): Promise<string[] | 'missing'> {
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

  async #holder(term: number): Promise<Holder | null> {
    const known = this.#holders.get(term)
    if (known !== undefined) return known
    const names = await this.#disk.list('observe', termDir(term))
    if (names === 'missing' || !names.includes('claim.json')) return null
    const text = await this.#disk.read('observe', claimFile(term))
    const claim = text === 'missing' ? null : decodeClaim(text)
    if (claim?.state !== 'open') return null
    this.#holders.set(term, claim.holder)
    return claim.holder
  }

  #forgetBelow(term: number): void {
    for (const known of [this.#served, this.#beating, this.#ended, this.#opened]) {
      for (const old of known) if (old < term) known.delete(old)
    }
    for (const known of [this.#holders, this.#released]) {
      for (const old of known.keys()) if (old < term) known.delete(old)
    }
  }
}
