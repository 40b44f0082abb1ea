/**
 * The whole catalog in one file of records: a head, the tables one by one, the rest in bundles, and an end that counts
 * them. Without its end it is not whole, and counts for nothing.
 */
import { CatalogError } from './errors.ts'
import type { NewFile } from './files.ts'
import type { CatalogData } from './model.ts'
import { encodeRecord, scanRecords } from './records.ts'
import type { CatalogState } from './state.ts'

/** Raised when the meaning of a file changes; files of a newer version are refused. */
const SHARED_FORMAT = 1
/** The changes since are in files of their own: who knows only a journal in one file would see none, and must refuse. */
const SEGMENTED_FORMAT = 2

export interface SnapshotHead {
  readonly snapshot: number
  readonly term: number
  readonly part: number
  /** How many transactions of this term are in it. */
  readonly seq: number
  readonly nextTableId: number
  readonly at: string
}

type Lists = Omit<CatalogData, 'nextTableId'>
type Bundle = Partial<Lists>

const BUNDLE = 500
const WRITE_BYTES = 1024 * 1024

function* bundles(state: CatalogState): IterableIterator<Bundle> {
  const { tables, databases, outcomes, litter, publications } = state.toData()
  const rest: Lists = { databases, tables: [], outcomes, litter, publications }
  for (const [list, rows] of Object.entries(rest)) {
    for (let from = 0; from < rows.length; from += BUNDLE) {
      yield { [list]: rows.slice(from, from + BUNDLE) }
    }
  }
  for (const table of tables) yield { tables: [table] }
}

export interface NewSnapshot extends Omit<SnapshotHead, 'snapshot' | 'nextTableId'> {
  /** Whether its journal's groups are files of their own. */
  readonly segmented: boolean
}

/** Writes and syncs it. Between two writes the event loop has its turn. */
export async function writeSnapshot(
  file: NewFile,
  { segmented, ...head }: NewSnapshot,
  state: CatalogState,
): Promise<void> {
  let waiting: Buffer[] = []
  let waitingBytes = 0
  const flush = async (): Promise<void> => {
    await file.write(Buffer.concat(waiting))
    waiting = []
    waitingBytes = 0
  }
  const put = async (value: unknown): Promise<void> => {
    const record = encodeRecord(value)
    waiting.push(record)
    waitingBytes += record.length
    if (waitingBytes >= WRITE_BYTES) await flush()
  }
  let count = 0
  const snapshot = segmented ? SEGMENTED_FORMAT : SHARED_FORMAT
  await put({ snapshot, ...head, nextTableId: state.nextTableId } satisfies SnapshotHead)
  for (const bundle of bundles(state)) {
    await put(bundle)
    count += 1
  }
  await put({ end: count })
  await flush()
  await file.sync()
}

export interface Snapshot {
  readonly head: SnapshotHead
  /** Whether its journal's groups are files of their own. */
  readonly segmented: boolean
  readonly data: CatalogData
}

/** Null when it is not whole. CatalogError BAD_STORE for a newer format. */
export function readSnapshot(bytes: Buffer, path: string): Snapshot | null {
  const lists = {
    ...{ databases: [], tables: [], outcomes: [], litter: [], publications: [] },
  } as { [List in keyof Lists]: Lists[List][number][] }
  let head: SnapshotHead | null = null
  let count = 0
  let complete = false
  const ending = scanRecords(bytes, (value) => {
    if (head === null) {
      head = value as SnapshotHead
      refuseNewer(head.snapshot, path, SEGMENTED_FORMAT)
      return
    }
    const record = value as Bundle & { end?: number }
    if (record.end !== undefined) {
      complete = record.end === count
      return
    }
    count += 1
    for (const [list, rows] of Object.entries(record)) {
      const into = lists[list as keyof Lists] as unknown[]
      for (const row of rows as readonly unknown[]) into.push(row)
    }
  })
  const found = head as SnapshotHead | null
  if (found === null || !complete || ending !== 'whole') return null
  const data = { ...lists, nextTableId: found.nextTableId }
  return { head: found, segmented: found.snapshot === SEGMENTED_FORMAT, data }
}

export function refuseNewer(format: unknown, path: string, known: number): void {
  if (typeof format === 'number' && format <= known) return
  throw new CatalogError(
    'BAD_STORE',
    `${path} has format ${String(format)}, this version knows up to ${known}: a newer version has written it`,
  )
}
