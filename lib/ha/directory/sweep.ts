/**
 * Removing terms that are far behind the newest that served, so that a look stays cheap.
 *
 * A contender may have decided long ago to claim a number that is swept meanwhile, and make its directory again; and one
 * that has the number may have been paused before its heartbeat. So before a directory goes, both files of `history/` that
 * a claim must create exclusively (claim.ts) are created. The history therefore only grows, by three small files a term.
 */
import {
  ACTIVE_DIR,
  encode,
  historyFile,
  openedFile,
  type TermRecord,
  termDir,
  termOf,
} from '../words/layout.ts'
import type { Disk } from '../world/ports.ts'

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
