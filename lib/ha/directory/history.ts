/**
 * The history of terms: one file when a number is taken, one when it serves. Both are written once and never changed;
 * a torn one (its writer died) is shown as far as it can be read.
 *
 * That a term has served decides whether a missing catalog is damage, so it stands in a second place, the term's own
 * directory: one hand that slips removes one of them.
 */
import type { HistoryEntry } from '../member/member-api.ts'
import {
  ACTIVE_DIR,
  HISTORY_DIR,
  historyFile,
  historyTermOf,
  openedTermOf,
  servedCopy,
  servedFile,
  type TermRecord,
  termDir,
  termOf,
} from '../words/layout.ts'
import { atOnce } from '../world/directories.ts'
import type { Disk } from '../world/ports.ts'
import { decodeServed, decodeTerm } from './decode.ts'
import { recordOf } from './past.ts'

/** The terms up to `upTo` that have served, newest first, and whether any below it has left a record. */
export async function servedTerms(
  disk: Disk,
  upTo: number,
): Promise<{ recorded: boolean; served: number[] }> {
  const listed = await disk.list('history', HISTORY_DIR)
  const names = listed === 'missing' ? [] : listed
  const entries = names.map(historyTermOf).filter((one) => one !== null)
  const served = entries.filter((one) => one.served && one.term <= upTo).map(({ term }) => term)
  served.sort((a, b) => b - a)
  const unrecorded = await servedByCopy(disk, { names, above: served[0] ?? 0, upTo })
  return { recorded: entries.some(({ term }) => term < upTo), served: [...unrecorded, ...served] }
}

/**
 * Those above the newest record that say in their own directory alone that they served, newest first. Only what was opened
 * can have served: failed claims may have left thousands of directories.
 */
async function servedByCopy(
  disk: Disk,
  { names, above, upTo }: { names: readonly string[]; above: number; upTo: number },
): Promise<number[]> {
  const opened = names.map(openedTermOf).filter((term) => term !== null)
  const asked = new Set(opened.filter((term) => above < term && term <= upTo))
  if (asked.size === 0) return []
  const listed = await disk.list('history', ACTIVE_DIR)
  const there = (listed === 'missing' ? [] : listed)
    .map(termOf)
    .filter((term) => term !== null)
    .filter((term) => asked.has(term))
  const found = await atOnce(LISTED_AT_ONCE, there, async (term) => {
    const files = await disk.list('history', termDir(term))
    return files !== 'missing' && files.includes(nameIn(servedCopy(term), termDir(term)))
  })
  return there.filter((_, i) => found[i]).sort((a, b) => b - a)
}

const LISTED_AT_ONCE = 8
const nameIn = (path: string, directory: string): string => path.slice(directory.length + 1)

/** What a term that has served says of its catalog, and whether it was formatHA's. */
export async function servedRecord(
  disk: Disk,
  term: number,
): Promise<{ note: string | null; isFormat: boolean }> {
  const [served, begun] = await Promise.all([
    disk.read('history', servedFile(term)),
    disk.read('history', historyFile(term)),
  ])
  const text = served === 'missing' ? await disk.read('history', servedCopy(term)) : served
  const record = text === 'missing' ? null : decodeServed(text)
  const by = begun === 'missing' ? null : decodeTerm(begun)
  return { note: record?.catalog ?? null, isFormat: by?.reason === 'format' }
}

/** Failed claims may have left thousands of records that say nothing: so many more than wanted are asked. */
const MORE_ASKED = 100

/**
 * They come newest first, at most `limit`. Tombstones of swept numbers that nobody ever held are left out, and so are
 * old ones that never served, where there are many of them.
 */
export async function readHistory(disk: Disk, limit: number): Promise<HistoryEntry[]> {
  const names = await disk.list('history', HISTORY_DIR)
  if (names === 'missing') return []
  const read = (term: number): Promise<TermRecord | null> =>
    recordOf(disk, 'history', { names, term })
  const terms = new Set<number>()
  const served = new Set<number>()
  for (const name of names) {
    const entry = historyTermOf(name)
    if (entry !== null) (entry.served ? served : terms).add(entry.term)
  }
  const entries: HistoryEntry[] = []
  let unserved = 0
  for (const term of [...terms].sort((a, b) => b - a)) {
    if (entries.length >= limit) break
    if (!served.has(term)) unserved += 1
    if (!served.has(term) && unserved > limit + MORE_ASKED) continue
    const record = await read(term)
    if (record === null || record.reason === 'swept') continue
    const how = served.has(term) ? await disk.read('history', servedFile(term)) : 'missing'
    entries.push({ term: record, served: how === 'missing' ? null : decodeServed(how) })
  }
  const known = new Map(entries.map(({ term }) => [term.term, term]))
  return atOnce(LISTED_AT_ONCE, entries, async (entry) => {
    const { previousTerm } = entry.term
    const before = known.get(previousTerm) ?? (await read(previousTerm))
    return { ...entry, afterFormat: before?.reason === 'format' }
  })
}
