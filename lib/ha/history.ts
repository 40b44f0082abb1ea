/**
 * The history of terms: one file when a number is taken, one when it serves. Both are written once and never changed;
 * a torn one (its writer died) is shown as far as it can be read.
 */
import { decodeServed, decodeTerm } from './decode.ts'
import { HISTORY_DIR, historyFile, historyTermOf, servedFile } from './layout.ts'
import type { HistoryEntry } from './member-api.ts'
import type { Disk } from './ports.ts'

/** Newest first, at most `limit`. Tombstones of swept numbers that nobody ever held are left out. */
export async function readHistory(disk: Disk, limit: number): Promise<HistoryEntry[]> {
  const names = await disk.list('history', HISTORY_DIR)
  if (names === 'missing') return []
  const terms = new Set<number>()
  const served = new Set<number>()
  for (const name of names) {
    const entry = historyTermOf(name)
    if (entry !== null) (entry.served ? served : terms).add(entry.term)
  }
  const entries: HistoryEntry[] = []
  for (const term of [...terms].sort((a, b) => b - a)) {
    if (entries.length >= limit) break
    const text = await disk.read('history', historyFile(term))
    const record = text === 'missing' ? null : decodeTerm(text)
    if (record === null || record.reason === 'swept') continue
    const how = served.has(term) ? await disk.read('history', servedFile(term)) : 'missing'
    entries.push({ term: record, served: how === 'missing' ? null : decodeServed(how) })
  }
  return entries
}
