/**
 * Terms that are of no use any more, and how they go, so that a look stays cheap: void ones, old ones, and what failed
 * claims have left.
 *
 * Void terms are numbers that were closed before anybody opened them, and of which no directory is left. Claims that fail
 * (a full disk, for hours) can leave thousands of numbers with an empty directory each. All of them have to be closed by
 * whoever takes over, since their claimants may only be paused, and every look lists them.
 *
 *     history/0000000042.opened.json         made here, exclusively: whoever claims 42 finds it, and gives up
 *     active/epoch-0000000042/               removed, if it is empty: then there is nothing a claimant could go on with
 *     history/0000000018-0000000529.void     made last: all of these numbers are void
 *
 * Anybody may do so at any time, since nothing that somebody holds is touched: a term that was opened has its file in the
 * history already, and a directory with a file in it can't be removed. Closing takes no room but that of a name, and
 * removing works on a full disk. The range is told by a name alone, which is true however old a listing is: without it
 * the next one would have to ask for each of these numbers.
 *
 * Old terms, far behind the newest that served, are removed. A contender may have decided long ago to claim a number that is swept meanwhile, and make its directory again; and one
 * that has the number may have been paused before its heartbeat. So before a directory goes, both files of `history/` that
 * a claim must create exclusively (claim.ts) are created. The history therefore only grows, by three small files a term.
 *
 * What failed claims have left is cleared away while nobody serves: thousands of numbers that nobody opened become void in
 * the background, so that a take-over finds little to close. It works on a full disk as well, where the names find room.
 * The first of those who may become active does so; two at once would only be in each other's way. It is stopped
 * before a take-over of our own.
 */
import { DiskError, isNoSpace, messageOf } from '../words/errors.ts'
import {
  ACTIVE_DIR,
  encode,
  HISTORY_DIR,
  historyFile,
  openedFile,
  type TermRecord,
  termDir,
  termOf,
  voidFile,
  voidRangeOf,
} from '../words/layout.ts'
import { atOnce } from '../world/directories.ts'
import type { Clock, Disk, Log, Purpose } from '../world/ports.ts'

interface UnopenedOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly log: Log
  /** After a failure it rests for so long, ms. */
  readonly restMs: number
}

/** So many in one run; one name tells of them all. */
const IN_ONE_RUN = 512
/** A guest among the keeper's file threads. */
const AT_ONCE = 3

export class Unopened {
  readonly #o: UnopenedOptions
  /** Those that are void, by this process's own doing: a take-over needs no call for them. */
  readonly closed = new Set<number>()
  /** Not to be had: opened, with files, or closed by somebody else. */
  readonly #left = new Set<number>()
  #work: Promise<void> = Promise.resolve()
  #busy = false
  #stopped = false
  #nextMs = Number.NEGATIVE_INFINITY

  constructor(options: UnopenedOptions) {
    this.#o = options
  }

  /** Clears the last of them, which are the lowest, if it does nothing yet. Resolves when that is done; what fails is tried again later. */
  async clear(terms: readonly number[]): Promise<void> {
    if (this.#busy || this.#o.clock.nowMs() < this.#nextMs) return
    const some = terms.filter((term) => !this.#left.has(term)).slice(-IN_ONE_RUN)
    if (some.length === 0) return
    this.#busy = true
    this.#stopped = false
    this.#work = this.#clear(some).finally(() => {
      this.#busy = false
    })
    await this.#work
  }

  /** Resolves when it touches nothing any more. */
  stop(): Promise<void> {
    this.#stopped = true
    return this.#work
  }

  async #clear(terms: readonly number[]): Promise<void> {
    const { clock, disk, log, restMs } = this.#o
    const how = { purpose: 'void', most: AT_ONCE, goesOn: () => !this.#stopped } as const
    try {
      const done = await voidTerms(disk, terms, how)
      for (const term of done) this.closed.add(term)
      if (!this.#stopped) for (const term of terms) if (!this.closed.has(term)) this.#left.add(term)
      await tellVoid(disk, 'void', done)
      if (done.length > 0)
        log('debug', 'terms that nobody opened are void', {
          event: 'terms-voided',
          terms: done.length,
        })
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#nextMs = clock.nowMs() + restMs
      log('debug', `terms that nobody opened stay: ${messageOf(error)}`, {
        event: 'voiding-failed',
      })
    }
  }
}

/** So many terms below the newest are kept with all their files. */
export const KEPT_TERMS = 16
/** So many are swept at most in one run: the sweep is a guest in the keeper, which calls it again while there are more. */
export const SWEPT_AT_ONCE = 32

/** `servedTerm` is a term that serves: all below it have been ended. Gives the numbers that were swept. */
export async function sweep(disk: Disk, servedTerm: number, record: TermRecord): Promise<number[]> {
  const names = await disk.list('sweep', ACTIVE_DIR)
  if (names === 'missing') return []
  const old = names.map(termOf).filter((term) => term !== null && term < servedTerm - KEPT_TERMS)
  const swept: number[] = []
  for (const term of old.slice(0, SWEPT_AT_ONCE)) {
    if (term === null) continue
    if (await sweepTerm(disk, term, record)) swept.push(term)
  }
  return swept
}

/** Removes one ended term's directory and makes its number unusable. False when somebody puts files into it. */
export async function sweepTerm(disk: Disk, term: number, record: TermRecord): Promise<boolean> {
  const tombstone = encode({ ...record, term, reason: 'swept' })
  await disk.create('sweep', historyFile(term), tombstone)
  // Nobody reads it, and there may be thousands: that it exists is all.
  await disk.create('sweep', openedFile(term), '')
  const files = await disk.list('sweep', termDir(term))
  for (const file of files === 'missing' ? [] : files) {
    await disk.unlink('sweep', `${termDir(term)}/${file}`)
  }
  return (await disk.removeDir('sweep', termDir(term))) !== 'kept'
}

interface Voiding {
  readonly purpose: Purpose
  /** So many at the same time. */
  readonly most: number
  /** Asked before each; false leaves the rest as it is. */
  readonly goesOn: () => boolean
}

/** Gives those that are void now; the others were opened, or are just being claimed. Rejects with DiskError. */
async function voidTerms(
  disk: Disk,
  terms: readonly number[],
  { purpose, most, goesOn }: Voiding,
): Promise<number[]> {
  const done: number[] = []
  await atOnce(most, terms, async (term) => {
    if (goesOn() && (await voidTerm(disk, purpose, term))) done.push(term)
  })
  return done
}

/** False: it was opened, it has files, or somebody has closed it before. */
export async function voidTerm(disk: Disk, purpose: Purpose, term: number): Promise<boolean> {
  if ((await closeInHistory(disk, purpose, { term, text: '' })) === 'exists') return false
  return (await disk.removeDir(purpose, termDir(term))) !== 'kept'
}

/** Tells whoever comes later, in one name for each run of numbers that follow each other. */
export async function tellVoid(
  disk: Disk,
  purpose: Purpose,
  terms: readonly number[],
): Promise<void> {
  for (const { from, to } of runsOf(terms)) {
    if (to - from + 1 >= LEAST_RUN) await disk.create(purpose, voidFile(from, to), '')
  }
}

/** Fewer are asked for one by one, sooner than that a name is kept for them for ever. */
const LEAST_RUN = 16

/** Whether the names of the history say that a term is void. */
export function voidIn(names: readonly string[]): (term: number) => boolean {
  const ranges = names.map(voidRangeOf).filter((range) => range !== null)
  return (term) => ranges.some(({ from, to }) => from <= term && term <= to)
}

interface Run {
  readonly from: number
  to: number
}

function runsOf(terms: readonly number[]): Run[] {
  const runs: Run[] = []
  for (const term of [...terms].sort((a, b) => a - b)) {
    const last = runs.at(-1)
    if (last?.to === term - 1) last.to = term
    else runs.push({ from: term, to: term })
  }
  return runs
}

/**
 * Closes it there, so that a claimant of that term finds it closed at its last step. `exists`: it was opened, or closed
 * before.
 */
export async function closeInHistory(
  disk: Disk,
  purpose: Purpose,
  { term, text }: { readonly term: number; readonly text: string },
): Promise<'created' | 'exists'> {
  for (;;) {
    const made = await createClosed(disk, purpose, { path: openedFile(term), text })
    if (made !== 'missing') return made
    await disk.makeDirs(purpose, HISTORY_DIR)
  }
}

/** That it exists closes it: one that no space was left to fill does as well. */
export async function createClosed(
  disk: Disk,
  purpose: Purpose,
  { path, text }: { readonly path: string; readonly text: string },
): Promise<'created' | 'exists' | 'missing'> {
  try {
    return await disk.create(purpose, path, text)
  } catch (error) {
    if (error instanceof DiskError && isNoSpace(error) && error.made) return 'created'
    throw error
  }
}
