/**
 * Snapshots of formats 1 and 2: the whole catalog when a part began, in one file of records: a head, the tables one by one,
 * the rest in bundles, and an end that counts them. Without its end it is not whole, and counts for nothing. They are read,
 * and written no more: a part of today begins with a reference (journal.ts).
 *
 * In their place each part has a file of that name and a later format, whose one record makes a reader of the older formats
 * stop: it would pass over the term and open an older one.
 */
import { CatalogError } from '../errors.ts'
import { encodeRecord, takeRecords } from './records.ts'

/** 1: its changes are in one journal. 2: in files of their own, so that who knows only one journal refuses. */
export const SNAPSHOT_FORMATS = [1, 2]
/** Nothing but a sign for readers of those. */
const STOP_FORMAT = 3

export interface SnapshotHead {
  readonly snapshot: number
  readonly term: number
  readonly part: number
  /** How many transactions of this term are in it. */
  readonly seq: number
  readonly nextTableId: number
  readonly at: string
}

export const encodeStop = (term: number, part: number): Buffer =>
  encodeRecord({ snapshot: STOP_FORMAT, term, part })

/** Null when not even that is whole. A newer format is CatalogError BAD_STORE. */
export function readSnapshotHead(bytes: Buffer, path: string): SnapshotHead | null {
  let head: SnapshotHead | null = null
  const takeFirst = (value: unknown): void => {
    head = value as SnapshotHead
  }
  takeRecords(bytes, takeFirst, () => false)
  const found = head as SnapshotHead | null
  if (found !== null) refuseNewer(found.snapshot, path, STOP_FORMAT)
  return found
}

export function refuseNewer(format: unknown, path: string, known: number): void {
  if (typeof format === 'number' && format <= known) return
  throw new CatalogError(
    'BAD_STORE',
    `${path} has format ${String(format)}, this version knows up to ${known}: a newer version has written it`,
  )
}
