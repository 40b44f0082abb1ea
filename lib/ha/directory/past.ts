/**
 * What terms and history say of a directory, beside its cluster.json: how far its numbers have gone, whose it is, and
 * whether a format is the last thing that happened to it. Files can vanish (an age cleaner, a hand that slipped), so
 * nobody concludes from a missing cluster.json that a directory is new.
 *
 * The number of a term is in two places, the name of its directory and its record in the history; the newest is the
 * highest that either shows. A format leaves its mark there: its term's record says so, with the cluster's id and the
 * next generation, and counts once that term was opened.
 */

import {
  ACTIVE_DIR,
  HISTORY_DIR,
  historyFile,
  openedFile,
  type TermRecord,
  termOf,
} from '../words/layout.ts'
import type { Disk, Purpose } from '../world/ports.ts'
import { decodeClaim, decodeTerm } from './decode.ts'

export interface Past {
  /** The highest number that was ever taken; 0 where there is no trace of any. */
  readonly newest: number
  /** The newest term's record, where that term is a format's. */
  readonly mark: TermRecord | null
  /** The newest term's record, whoever's it is; null where it is gone or torn. */
  readonly record: TermRecord | null
}

/** The number in any name of `history/`, be it a record or what else stands there of a term. */
export function numberIn(name: string): number {
  const match = /^(\d{10})(\.\w+)?\.json$/.exec(name)
  return match ? Number(match[1]) : 0
}

/** Rejects with DiskError. */
export async function readPast(disk: Disk, purpose: Purpose): Promise<Past> {
  const active = await disk.list(purpose, ACTIVE_DIR)
  const history = await disk.list(purpose, HISTORY_DIR)
  const names = history === 'missing' ? [] : history
  const terms = active === 'missing' ? [] : active.map((name) => termOf(name) ?? 0)
  const newest = [...terms, ...names.map(numberIn)].reduce((a, b) => Math.max(a, b), 0)
  const record = await recordOf(disk, purpose, { names, term: newest })
  const mark = record === null ? null : await markIn(disk, purpose, { names, record })
  return { newest, mark, record }
}

/** The record, where it is a format's that has opened its term: one that was closed before is nobody's. */
export async function markIn(
  disk: Disk,
  purpose: Purpose,
  { names, record }: { readonly names: readonly string[]; readonly record: TermRecord },
): Promise<TermRecord | null> {
  const opened = openedFile(record.term)
  if (record.reason !== 'format' || !names.includes(nameOf(opened))) return null
  const text = await disk.read(purpose, opened)
  const claim = text === 'missing' ? null : decodeClaim(text)
  return claim?.state === 'open' && claim.nonce === record.nonce ? record : null
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

/** Lists first, so that no absence gets cached on NFS. */
export async function recordOf(
  disk: Disk,
  purpose: Purpose,
  { names, term }: { names: readonly string[]; term: number },
): Promise<TermRecord | null> {
  if (term === 0 || !names.includes(nameOf(historyFile(term)))) return null
  const text = await disk.read(purpose, historyFile(term))
  return text === 'missing' ? null : decodeTerm(text)
}

/** The newest record that names its cluster, for a format that may find no cluster.json. Null where none does. */
export async function newestIdentity(disk: Disk, purpose: Purpose): Promise<TermRecord | null> {
  const listed = await disk.list(purpose, HISTORY_DIR)
  const names = listed === 'missing' ? [] : listed
  const terms = [...new Set(names.map(numberIn))].sort((a, b) => b - a).slice(0, RECORDS_ASKED)
  for (const term of terms) {
    const record = await recordOf(disk, purpose, { names, term })
    if (typeof record?.clusterId === 'string' && record.clusterId !== '') return record
  }
  return null
}

/** Tombstones and torn records are skipped, but not for ever. */
const RECORDS_ASKED = 50
