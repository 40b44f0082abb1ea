/**
 * Void terms: numbers that were closed before anybody opened them, and of which no directory is left. Claims that fail
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
 */

import { DiskError, isNoSpace } from '../words/errors.ts'
import { HISTORY_DIR, openedFile, termDir, voidFile, voidRangeOf } from '../words/layout.ts'
import { atOnce } from '../world/at-once.ts'
import type { Disk, Purpose } from '../world/ports.ts'

export interface Voiding {
  readonly purpose: Purpose
  /** So many at the same time. */
  readonly most: number
  /** Asked before each; false leaves the rest as it is. */
  readonly goesOn: () => boolean
}

/** Gives those that are void now; the others were opened, or are just being claimed. Rejects with DiskError. */
export async function voidTerms(
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

/** So that a claimant of that term finds it closed at its last step. `exists`: it was opened, or closed before. */
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
