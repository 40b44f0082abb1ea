/**
 * The files of the keeper's own term: what it has made of them, the record that says for ever that the term has served, and
 * what becomes of older terms then. Others judge the holder by these files, so it can make each of them again (upkeep.ts).
 *
 * How a term is claimed and given up: term.ts.
 */

import { decodeServed } from '../directory/decode.ts'
import { readEnd } from '../directory/end-below.ts'
import { SWEPT_AT_ONCE, sweep } from '../directory/void-terms.ts'
import type { Effect } from '../rules/elector-step.ts'
import type { Cause } from '../rules/take-over.ts'
import { HaError, isNoSpace, messageOf } from '../words/errors.ts'
import {
  type Claim,
  claimFile,
  type End,
  encode,
  HISTORY_DIR,
  historyFile,
  openedFile,
  type ServedRecord,
  servedCopy,
  servedFile,
  type TermRecord,
} from '../words/layout.ts'
import { pause } from '../world/clock.ts'
import { makeWhole, type Wanted } from '../world/directories.ts'
import type { TermWorkOptions } from './term.ts'

type TermFilesOptions = Pick<
  TermWorkOptions,
  'clock' | 'disk' | 'log' | 'timing' | 'self' | 'reserve'
>

export class TermFiles {
  readonly #o: TermFilesOptions
  /** The last word of the term before the one that is being taken over, as far as it was there. */
  #previous: { readonly term: number; readonly end: Promise<End | null> } | null = null
  /** Texts of the newest term's files. */
  #files: { readonly term: number; readonly texts: Map<string, string> } | null = null

  constructor(options: TermFilesOptions) {
    this.#o = options
  }

  /** By path, as far as this keeper has made them. */
  of(term: number): ReadonlyMap<string, string> {
    return this.#files?.term === term ? this.#files.texts : new Map()
  }

  /** As `claimTerm` writes them. */
  remember(record: TermRecord): void {
    const { term, nonce } = record
    const claim: Claim = { state: 'open', term, holder: this.#o.self, nonce }
    const texts = new Map([
      [historyFile(term), encode(record)],
      [claimFile(term), encode(claim)],
      [openedFile(term), encode(claim)],
    ])
    this.#files = { term, texts }
  }

  /** The last word of the term before is read while the next one's catalog is being opened. */
  readAhead(previousTerm: number): void {
    this.#previous = { term: previousTerm, end: this.#readEnd(previousTerm) }
  }

  /** Makes the record that the term has served. Rejects where it can't be made, or may not be there. */
  async mark(wanted: Effect & { do: 'mark' }): Promise<void> {
    const { term } = wanted
    const path = servedFile(term)
    const served = await this.#served(wanted)
    const text = await this.#makeServed({ purpose: 'mark', path, text: encode(served) })
    this.#note(term, path, text)
  }

  /** Copies that record and sweeps old terms; tries again each M until it is done, or `signal` says that the term is over. */
  async keep(term: number, tombstone: () => TermRecord, signal: AbortSignal): Promise<void> {
    const { disk, log, timing } = this.#o
    const path = servedCopy(term)
    const text = this.of(term).get(servedFile(term))
    const torn = new Set<string>()
    for (let told = ''; !signal.aborted; ) {
      try {
        if (text !== undefined) {
          this.#note(term, path, text)
          await makeWhole(disk, torn, { purpose: 'history', path, text })
        }
        await this.#sweepAll(term, tombstone(), signal)
        return
      } catch (error) {
        const why = `history of term ${term} is incomplete: ${messageOf(error)}`
        if (why !== told) log('warn', why, { event: 'history-incomplete', term })
        told = why
      }
      await pause(this.#o.clock, timing.monitorMs)
    }
  }

  /** Gives the text that stands there: this keeper's, or that of one before it that was not told of its success. */
  async #makeServed(wanted: Wanted): Promise<string> {
    const { path } = wanted
    const torn = new Set<string>()
    let failure: unknown = new HaError('BAD_DIRECTORY', `${path} is not of this master`)
    try {
      const made = await this.#withRoom(() => this.#inHistory(wanted, torn))
      if (made === 'created') return wanted.text
      if (made === 'missing') failure = new HaError('BAD_STORAGE', `${HISTORY_DIR}/ is gone`)
    } catch (error) {
      failure = error
    }
    // An answer may have been lost. Where it can't be read either, the first failure is the one to tell.
    const own = await this.#ownServed(wanted).catch(() => null)
    if (own === null) throw failure
    return own
  }

  async #withRoom<T>(step: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await step()
      } catch (error) {
        if (!isNoSpace(error) || !(await this.#o.reserve.giveUp())) throw error
      }
    }
  }

  async #inHistory(wanted: Wanted, torn: Set<string>): Promise<'created' | 'exists' | 'missing'> {
    const { disk } = this.#o
    const made = await makeWhole(disk, torn, wanted)
    if (made !== 'missing') return made
    // Removed under the cluster. Numbers stay taken by their directories.
    await disk.makeDirs(wanted.purpose, HISTORY_DIR)
    return makeWhole(disk, torn, wanted)
  }

  /** Null where nothing stands there, or nothing whole that this master has made. */
  async #ownServed({ purpose, path }: Wanted): Promise<string | null> {
    const text = await this.#o.disk.read(purpose, path)
    const isOwn = text !== 'missing' && decodeServed(text)?.nonce === this.#o.self.nonce
    return isOwn ? text : null
  }

  async #served({
    term,
    takeOver,
    openedMs,
    keeps,
  }: Effect & { do: 'mark' }): Promise<ServedRecord> {
    const { cause, wonMs, endedMs, settledMs } = takeOver
    return {
      term,
      nonce: this.#o.self.nonce,
      servedAt: new Date(this.#o.clock.wallMs()).toISOString(),
      previousEnd: await this.#endBefore(cause),
      ...(cause.trouble === null ? {} : { trouble: cause.trouble }),
      phases: {
        noticedMs: cause.noticedMs - cause.lastBeatMs,
        decidedMs: cause.decidedMs - cause.noticedMs,
        claimedMs: wonMs - cause.decidedMs,
        endedMs: endedMs - wonMs,
        settledMs: settledMs - endedMs,
        openedMs: openedMs - settledMs,
        totalMs: openedMs - cause.lastBeatMs,
      },
      ...(keeps === null ? {} : { catalog: keeps }),
    }
  }

  /** What was read while the catalog was being opened; a word that came later is read now. Information: no term fails for it. */
  async #endBefore({ previousTerm }: Cause): Promise<End | null> {
    const early = this.#previous?.term === previousTerm ? await this.#previous.end : null
    return early ?? (await this.#readEnd(previousTerm))
  }

  #readEnd(term: number): Promise<End | null> {
    return readEnd(this.#o.disk, term).catch((error) => {
      this.#o.log('warn', `the end of term ${term} can't be read: ${messageOf(error)}`, {
        event: 'end-unreadable',
        term,
      })
      return null
    })
  }

  /** Sweeps a few at a time, for as long as there are more: failed claims can have left thousands. */
  async #sweepAll(term: number, tombstone: TermRecord, signal: AbortSignal): Promise<void> {
    const { disk, log, timing } = this.#o
    let swept: readonly number[] = []
    do {
      if (swept.length > 0) await pause(this.#o.clock, timing.renewMs)
      swept = await sweep(disk, term, tombstone)
      if (swept.length > 0) log('debug', 'old terms swept', { event: 'terms-swept', swept })
    } while (swept.length === SWEPT_AT_ONCE && !signal.aborted)
  }

  /** Notes one more of the term's own files. A keeper that goes on with an earlier one's term knows of none before. */
  #note(term: number, path: string, text: string): void {
    if (this.#files?.term !== term) this.#files = { term, texts: new Map() }
    this.#files.texts.set(path, text)
  }
}
