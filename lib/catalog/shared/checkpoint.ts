/**
 * The whole catalog after one change of a part, so that whoever reads needs nothing from before it: a file of records with a
 * head, the tables one by one, the rest in bundles, and an end that counts them. It is made beside the work, in slices; it
 * counts from the moment when a second file says that it is whole, and how long: before, nobody reads a byte of it.
 *
 * Snapshots of formats 1 and 2 are the same records with another head, and are read here, too.
 */
import { dirname, join } from 'node:path'
import { Slices } from '../../base/slices.ts'
import { CatalogError } from '../errors.ts'
import type { CatalogData, User } from '../model.ts'
import { type CatalogState, StateBuilder } from '../state.ts'
import { TableAssembler, type TablePiece, tablePieces } from '../table-pieces.ts'
import { type Files, isNoSpace, type NewFile, type Written } from './files.ts'
import { inItsPlace, type Look } from './found-journal.ts'
import type { Place, Position } from './journal.ts'
import { encodeRecord, takeRecords } from './records.ts'
import { refuseNewer, SNAPSHOT_FORMATS, type SnapshotHead } from './snapshot.ts'
import { checkpointFile, termDir, wholeFile } from './term-names.ts'

/** 2: with users. A catalog without them is written as 1, which versions before there were any can read. */
const FORMAT = 1
const FORMAT_WITH_USERS = 2

interface CheckpointHead {
  readonly checkpoint: number
  readonly cluster: string | null
  readonly term: number
  readonly part: number
  readonly position: Position
  readonly nextTableId: number
  /** As of when it is: nothing that it lacks is older, by the clock of whoever made it. */
  readonly at: string
}

type Lists = Omit<CatalogData, 'nextTableId' | 'tables' | 'users'> & {
  readonly users: readonly User[]
}
/** Rows of one kind, or a piece of a table; snapshots have whole tables. */
type Bundle = { readonly [List in keyof Lists]?: Lists[List] } & {
  readonly piece?: TablePiece
  readonly tables?: CatalogData['tables']
}

const BUNDLE = 500
const WRITE_BYTES = 1024 * 1024
const READ_BYTES = 1024 * 1024
/** The first record is much shorter. */
const HEAD_BYTES = 4096

function* bundles(state: CatalogState): IterableIterator<Bundle> {
  yield* bundled('databases', state.allDatabases())
  yield* bundled('outcomes', state.allOutcomes())
  yield* bundled('litter', state.allLitter())
  yield* bundled('publications', state.allPublications())
  yield* bundled('users', state.allUsers())
  for (const table of state.allTables()) {
    for (const piece of tablePieces(table)) yield { piece }
  }
}

function* bundled<List extends keyof Lists>(
  list: List,
  rows: Iterable<Lists[List][number]>,
): IterableIterator<Bundle> {
  let some: Lists[List][number][] = []
  for (const row of rows) {
    some.push(row)
    if (some.length < BUNDLE) continue
    yield { [list]: some }
    some = []
  }
  if (some.length > 0) yield { [list]: some }
}

interface NewCheckpoint extends Place {
  readonly cluster: string | null
  readonly state: CatalogState
  readonly at: string
}

/** A checkpoint that is whole, as it was made or read. */
export interface Checkpoint extends Place {
  readonly written: Written
  /** The path of what says that it is whole. */
  readonly sign: string
}

/**
 * Makes one, durably; null where `goesOn` said that nobody wants it any more. `directory`: of the catalog. Rejects with
 * FileError, and leaves nothing behind where there was no room.
 */
export async function makeCheckpoint(
  files: Files,
  directory: string,
  { state, ...head }: NewCheckpoint,
  goesOn: () => boolean = () => true,
): Promise<Checkpoint | null> {
  const { term, part, position } = head
  const at = join(directory, termDir(term))
  const path = join(at, checkpointFile(part, position.seq))
  const file = await files.create(path, { durable: false })
  if (file === 'exists') {
    throw new CatalogError('UNAVAILABLE', `${path} is there, and is not whole`)
  }
  try {
    const done = await write(file, state, head, goesOn)
    await file.close()
    if (!done) {
      await files.unlink(path)
      return null
    }
  } catch (error) {
    void file.close().catch(() => undefined)
    await files.unlink(path).catch(() => undefined)
    throw error
  }
  const sign = join(at, wholeFile(part, position.seq, file.written.bytes))
  try {
    await makeSign(files, sign)
  } catch (error) {
    // Any other failure says nothing: it may count already, and stays.
    if (isNoSpace(error)) for (const one of [sign, path]) await files.unlink(one)
    throw error
  }
  return { term, part, position, written: file.written, sign }
}

/** Says durably that a checkpoint is whole. */
export async function makeSign(files: Files, sign: string): Promise<void> {
  const made = await files.create(sign, { durable: true })
  if (made !== 'exists') await made.close()
  await files.syncDir(dirname(sign))
}

async function write(
  file: NewFile,
  state: CatalogState,
  head: Omit<NewCheckpoint, 'state'>,
  goesOn: () => boolean,
): Promise<boolean> {
  const { cluster, term, part, position, at } = head
  const slices = new Slices()
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
    if (slices.isOver) await slices.turn()
  }
  const { nextTableId } = state
  const checkpoint = state.hasUsers ? FORMAT_WITH_USERS : FORMAT
  const first = { checkpoint, cluster, term, part, position, nextTableId, at }
  await put(first satisfies CheckpointHead)
  let count = 0
  for (const bundle of bundles(state)) {
    if (!goesOn()) return false
    await put(bundle)
    count += 1
  }
  await put({ end: count })
  await flush()
  await file.sync()
  return true
}

/** What a checkpoint or a snapshot says. */
export interface CheckpointRead {
  readonly state: CatalogState
  readonly position: Position
  readonly at: string
  readonly written: Written
  /** The path of what says that it is whole; null for a snapshot. */
  readonly sign: string | null
}

/** One of which it is known how long it is, or, where only its own end tells whether it is whole, not. */
interface UnsignedCheckpoint {
  readonly seq: number
  readonly sizeBytes: number | null
}

/** Null when it is not there as a whole. Rejects with FileError; CatalogError BAD_STORE for a newer format. */
export async function readCheckpoint(
  look: Look,
  of: { readonly term: number; readonly part: number } & UnsignedCheckpoint,
): Promise<CheckpointRead | null> {
  const path = join(look.directory, termDir(of.term), checkpointFile(of.part, of.seq))
  const read = await readRecords<CheckpointHead>(look, path, of.sizeBytes, (head) =>
    refuseNewer(head.checkpoint, path, FORMAT_WITH_USERS),
  )
  if (read === 'missing' || read === null) return null
  const { head, state, written } = read
  const { term, part, position } = head
  if (term !== of.term || part !== of.part || position.seq !== of.seq) return null
  const { seq, part: ofPart } = of
  const sign = join(look.directory, termDir(of.term), wholeFile(ofPart, seq, written.bytes))
  return { state, position, at: head.at, written, sign }
}

/** As of when a whole checkpoint is, ms since 1970; null where it is gone or damaged. Rejects as `readCheckpoint`. */
export async function checkpointMs(
  { files, directory }: Pick<Look, 'files' | 'directory'>,
  { term, part, seq }: { readonly term: number; readonly part: number; readonly seq: number },
): Promise<number | null> {
  const path = join(directory, termDir(term), checkpointFile(part, seq))
  const bytes = await files.readAt(path, 0, HEAD_BYTES)
  let head: CheckpointHead | null = null
  const take = (value: unknown): void => {
    head = value as CheckpointHead
  }
  if (bytes !== 'missing') takeRecords(bytes, take, () => false)
  return head === null ? null : Date.parse((head as CheckpointHead).at)
}

/** Reads the same of a snapshot of format 1 or 2. */
export async function readSnapshot(
  look: Look,
  path: string,
): Promise<CheckpointRead | 'missing' | null> {
  const read = await readRecords<SnapshotHead>(look, path, null, (head) =>
    refuseNewer(head.snapshot, path, Math.max(...SNAPSHOT_FORMATS)),
  )
  if (read === 'missing' || read === null) return read
  const { head, state, written } = read
  const position = { bytes: 0, seq: head.seq, checksum: 0 }
  return { state, position, at: head.at, written, sign: null }
}

interface RecordsRead<Head> {
  readonly head: Head
  readonly state: CatalogState
  readonly written: Written
}

/** `sizeBytes` null: as long as it is. */
async function readRecords<Head extends { readonly nextTableId: number }>(
  { files, turns, onProgress = () => {} }: Look,
  path: string,
  sizeBytes: number | null,
  refuse: (head: Head) => void,
): Promise<RecordsRead<Head> | 'missing' | null> {
  const slices = new Slices(turns)
  const builder = new StateBuilder()
  const assembler = new TableAssembler()
  let head: Head | null = null
  let count = 0
  let isWhole = false
  const take = (value: unknown): void => {
    if (head === null) {
      head = value as Head
      refuse(head)
      return
    }
    const record = value as Bundle & { end?: number }
    if (record.end !== undefined) {
      isWhole = record.end === count
      return
    }
    count += 1
    const table = record.piece === undefined ? null : assembler.add(record.piece)
    builder.add(table === null ? record : { tables: [table] })
  }
  let carry: Buffer = Buffer.alloc(0)
  let at = 0
  for (;;) {
    const wanted = Math.max(READ_BYTES, carry.length)
    const length = sizeBytes === null ? wanted : Math.min(wanted, sizeBytes - at)
    const bytes = await inItsPlace(path, files.readAt(path, at, length))
    if (bytes === 'missing') return 'missing'
    at += bytes.length
    carry = Buffer.concat([carry, bytes])
    for (let taken = -1; taken !== 0; ) {
      taken = takeRecords(carry, take, () => !slices.isOver)
      carry = carry.subarray(taken)
      onProgress({ phase: `reading ${path}`, done: at - carry.length, of: sizeBytes })
      if (!slices.isOver) continue
      await slices.turn()
      taken = -1
    }
    if (bytes.length < length || (sizeBytes !== null && at >= sizeBytes)) break
  }
  const found = head as Head | null
  if (found === null || !isWhole || carry.length > 0) return null
  const state = builder.done(found.nextTableId)
  // What it is on the disk is told by its end, since this process has not made it.
  const written = { path, fileId: '', bytes: at, tail: Buffer.alloc(0) }
  return { head: found, state, written }
}
