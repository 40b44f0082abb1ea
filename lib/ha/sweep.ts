/**
 * Removing terms that are far behind the newest that served, so that a look stays cheap.
 *
 * A contender may have decided long ago to claim a number that is swept meanwhile, and make its directory again. So
 * before a directory goes, its number is taken for ever in `history/`: an exclusive create there is the last step of
 * every claim (claim.ts), and it fails. The history therefore only grows, by two small files a term.
 */
import { ACTIVE_DIR, encode, historyFile, type TermRecord, termDir, termOf } from './layout.ts'
import type { Disk } from './ports.ts'

/** So many terms below the newest are kept with all their files. */
export const KEPT_TERMS = 16
/** So many are swept at most in one run: the sweep is a guest in the keeper. */
const SWEPT_AT_ONCE = 32

/** `servedTerm` is a term that serves: all below it have been ended. Gives the numbers that were swept. */
export async function sweep(disk: Disk, servedTerm: number, record: TermRecord): Promise<number[]> {
  const names = await disk.list('sweep', ACTIVE_DIR)
  if (names === 'missing') return []
  const old = names.map(termOf).filter((term) => term !== null && term < servedTerm - KEPT_TERMS)
  const swept: number[] = []
  for (const term of old.slice(0, SWEPT_AT_ONCE)) {
    if (term === null) continue
    await disk.create('sweep', historyFile(term), encode({ ...record, term, reason: 'swept' }))
    const files = await disk.list('sweep', termDir(term))
    for (const file of files === 'missing' ? [] : files) {
      await disk.unlink('sweep', `${termDir(term)}/${file}`)
    }
    if ((await disk.removeDir('sweep', termDir(term))) !== 'kept') swept.push(term)
  }
  return swept
}
