/**
 * Reading journals that others write, or wrote: where one begins, and its groups from any place on, in bounded reads and
 * slices, whether they are in one file or in many. What stands in a journal of format 1 is told in the same words; it rests
 * on a snapshot beside it.
 */
import { basename, join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import { Slices, type Turns } from '../../base/slices.ts'
import { CatalogError } from '../errors.ts'
import type { Progress } from '../store.ts'
import {
  epochDir,
  journalFile,
  partsOf,
  type Segment,
  segmentsOf,
  snapshotFile,
} from './epoch-names.ts'
import { type Files, isNoFile } from './files.ts'
import {
  after,
  type Basis,
  beginning,
  corrupt,
  type Group,
  type JournalHead,
  NEWEST_JOURNAL_FORMAT,
  type Position,
  tailOf,
  Vanished,
} from './journal.ts'
import { followedByWhole, GroupAssembler, type GroupRecord, takeRecords } from './records.ts'
import { readSnapshotHead, refuseNewer, SNAPSHOT_FORMATS, type SnapshotHead } from './snapshot.ts'

export interface Look {
  readonly files: Files
  readonly directory: string
  /** Ask for names beyond the listing, too: whoever takes over does. */
  readonly takesOver: boolean
  /** A master may be writing meanwhile: what still grows is not read where that would spoil it. */
  readonly besideMasters?: boolean
  /** Between the slices of a long reading; left out: the event loop's. */
  readonly turns?: Turns | undefined
  /** Hears how far a long reading has come. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
}

export interface PartPlace {
  readonly term: number
  readonly part: number
  /** What a listing of the term's directory showed. */
  readonly names: readonly string[]
}

/** A journal whose first record is whole. */
export interface FoundJournal {
  readonly term: number
  readonly part: number
  readonly path: string
  /** Null: all of it is in the file at `path`. */
  readonly segments: readonly Segment[] | null
  /** Stands before the groups in each of its files. */
  readonly head: Buffer
  readonly basis: Basis | { readonly is: 'snapshot' }
  /** Null: as its snapshot says. */
  readonly seq: number | null
}

/** What a part's first file says, if it is there at all. */
export type Found =
  | { readonly is: 'begun'; readonly journal: FoundJournal }
  /** Nothing was ever acknowledged in it, as far as its own files tell. */
  | { readonly is: 'unbegun' }
  | { readonly is: 'missing' }

/** More than any first record: with the one that follows it, where there is one. */
const HEAD_BYTES = 16 * 1024
const CHUNK_BYTES = 1024 * 1024
/** So many files are read at once. */
const READ_AT_ONCE = 16

/**
 * Rejects with FileError, Vanished for what was listed and is not there, CatalogError CORRUPT for what no crash leaves
 * behind, BAD_STORE for a newer format.
 */
export async function findJournal(look: Look, place: PartPlace): Promise<Found> {
  const { files, takesOver } = look
  const { term, part } = place
  const directory = join(look.directory, epochDir(term))
  const path = join(directory, journalFile(part))
  // A part that no listing showed may have files that none showed.
  const isListed = partsOf(place.names).includes(part)
  const relisted = isListed ? place.names : await inItsPlace(directory, files.list(directory))
  const names = relisted === 'missing' ? [] : relisted
  const mayBe = takesOver || names.includes(journalFile(part))
  if (!mayBe || !(await isThere(files, path))) {
    refuseVanished(names, path)
    return { is: 'missing' }
  }
  const segments = segmentsOf(names).filter((one) => one.part === part)
  const at = { term, part, path }
  if (segments.length > 0) return segmented(files, directory, segments, at)
  // Where nobody may read what still grows, an empty one is not read: its groups are files of their own.
  const mayGrow = (await files.growingFilesReadable?.()) ?? true
  if (!mayGrow && (await lengthOf(files, path)) === 0) return unsegmented(look, place, at)
  if (!mayGrow && look.besideMasters === true) throw growing(path)
  const head = await inItsPlace(path, files.readAt(path, 0, HEAD_BYTES))
  if (head === 'missing') throw new Vanished(`${path} was there and is not any more`)
  const begun = begunBy(head, at, null)
  return begun === null ? unsegmented(look, place, at) : { is: 'begun', journal: begun }
}

type At = Pick<FoundJournal, 'term' | 'part' | 'path'>

async function segmented(
  files: Files,
  directory: string,
  segments: readonly Segment[],
  at: At,
): Promise<Found> {
  for (const segment of segments) {
    const bytes = await readSegment(files, directory, segment)
    const begun = bytes === 'short' ? null : begunBy(bytes, at, segments)
    if (begun !== null) return { is: 'begun', journal: begun }
    if (segment !== segments.at(-1)) throw corrupt(join(directory, segment.name), HOLE)
  }
  return { is: 'unbegun' }
}

const HOLE = 'it is damaged, and whole files follow it'

/** No group is there, and no first record: of format 1 that is a part all the same, since its snapshot was there first. */
async function unsegmented(look: Look, place: PartPlace, at: At): Promise<Found> {
  const snapshot = await snapshotHeadOf(look, place)
  if (snapshot === null || !SNAPSHOT_FORMATS.includes(snapshot.snapshot)) return { is: 'unbegun' }
  const basis = { is: 'snapshot' } as const
  const none = { segments: null, head: Buffer.alloc(0), basis, seq: null }
  return { is: 'begun', journal: { ...at, ...none } }
}

async function lengthOf(files: Files, path: string): Promise<number> {
  const found = await inItsPlace(path, files.lookAt(path))
  if (found === 'missing') throw new Vanished(`${path} was there and is not any more`)
  return found.bytes
}

/** Versions that know no closed files write such a journal on any storage, and masters on another kind of mount do. */
function growing(path: string): CatalogError {
  const text = `${path} is a journal in one file, of an earlier version or of a master on another kind of mount, which may still write it, and whoever reads it here meanwhile (HDFS's NFS gateway) leaves this host's master unable to: start the masters of this version, which then keep the catalog in files that can be read at any time`
  return new CatalogError('UNAVAILABLE', text)
}

/** Null where not even that is whole. */
export async function snapshotHeadOf(
  look: Look,
  { term, part }: Pick<PartPlace, 'term' | 'part'>,
): Promise<SnapshotHead | null> {
  const path = join(look.directory, epochDir(term), snapshotFile(part))
  const bytes = await inItsPlace(path, look.files.readAt(path, 0, HEAD_BYTES))
  return bytes === 'missing' ? null : readSnapshotHead(bytes, path)
}

interface OldHead {
  readonly journal: 1
  readonly term: number
  readonly part: number
}

function begunBy(bytes: Buffer, at: At, segments: readonly Segment[] | null): FoundJournal | null {
  let begun: FoundJournal | null = null
  const takeFirst = (value: unknown, record: Buffer): void => {
    const first = value as JournalHead | OldHead
    refuseNewer(first.journal, at.path, NEWEST_JOURNAL_FORMAT)
    if (first.term !== at.term || first.part !== at.part) {
      throw corrupt(at.path, `a file of term ${first.term}, part ${first.part}, is among its own`)
    }
    const head = Buffer.from(record)
    begun = isOld(first)
      ? { ...at, segments, head, basis: { is: 'snapshot' }, seq: null }
      : { ...at, segments, head, basis: first.basis, seq: first.seq }
  }
  const taken = takeRecords(bytes, takeFirst, () => false)
  if (taken === 0 && followedByWhole(bytes, 0)) {
    throw corrupt(at.path, 'its beginning is damaged, and whole records follow it')
  }
  return begun
}

const isOld = (head: JournalHead | OldHead): head is OldHead => head.journal === 1

export interface Reading {
  readonly from: Position
  /** The last groups before `from`, as they were when they were read; they must still be the same. */
  readonly tail: Buffer
  /** Null: to its last whole group. */
  readonly upTo: Position | null
  /** Does something with a group in small steps, which are taken in slices. */
  readonly take: (group: Group) => Iterable<unknown>
}

export interface Read {
  readonly end: Position
  /** The last bytes before `end`. */
  readonly tail: Buffer
}

/**
 * The groups from one place on, to another or to the last whole one. Rejects as `findJournal`, with CatalogError CORRUPT also
 * where the journal ends before `upTo`, or what is there is not what a reference has named, and with Changed where what
 * stands before `from` is not `tail` any more.
 */
export async function readGroups(
  { files, turns, onProgress = () => {} }: Pick<Look, 'files' | 'turns' | 'onProgress'>,
  journal: FoundJournal,
  { from, tail, upTo, take }: Reading,
): Promise<Read> {
  const { path } = journal
  const slices = new Slices(turns)
  const records = new GroupAssembler()
  let end = from
  let known = tail.length
  let carry: Buffer = Buffer.alloc(0)
  let record: Buffer = tail
  /** Before `end`. */
  let last = tail
  /** Behind the last whole record: beyond `end` while a group is not complete. */
  let reached = from
  let group: Group | null = null
  const isDone = (): boolean => upTo !== null && end.bytes >= upTo.bytes
  let steps = 0
  const tellRead = (): void => {
    const of = upTo?.bytes ?? null
    onProgress({ phase: `reading the journal ${path}`, done: reached.bytes, of })
  }
  const tellTaken = (): void => {
    onProgress({ phase: `taking in the journal ${path}`, done: steps, of: null })
  }
  const changed = (): Changed =>
    new Changed(`what stands in ${path} before change ${from.seq + 1} is not what was read`)
  const takeRecord = (value: unknown, bytes: Buffer): void => {
    group = added(records, value as GroupRecord, end.seq, path)
    reached = after(reached, bytes, group?.transactions.length ?? 0)
    record = bytes
  }
  if (tail.length === 0 && from.bytes > 0) await requireReaches(files, journal, from)
  const chunks = chunksOf(files, journal, from.bytes - tail.length)
  while (!isDone()) {
    const next = await chunks(carry.length)
    if (next === null) break
    tellRead()
    if (known > 0) {
      if (!next.subarray(0, known).equals(tail)) throw changed()
    }
    carry = Buffer.concat([carry, next.subarray(known)])
    known = 0
    for (let taken = -1; taken !== 0 && !isDone(); ) {
      taken = takeRecords(carry, takeRecord, () => group === null && !slices.isOver)
      carry = carry.subarray(taken)
      const whole = group as Group | null
      if (whole !== null) {
        for (const _ of take(whole)) {
          steps += 1
          if (!slices.isOver) continue
          await slices.turn()
          tellTaken()
        }
        end = reached
        last = record
        group = null
      }
      if (slices.isOver) {
        await slices.turn()
        tellRead()
        taken = -1
      }
    }
  }
  // Nothing could be compared: it has become shorter.
  if (known > 0 && !isDone()) throw changed()
  if (upTo !== null) requireNamed(path, end, upTo)
  else if (followedByWhole(carry, 0)) {
    const what = `a place after change ${end.seq} is damaged, and whole records follow it`
    throw corrupt(path, what)
  }
  return { end, tail: tailOf(last) }
}

function added(
  records: GroupAssembler,
  record: GroupRecord,
  after: number,
  path: string,
): Group | null {
  try {
    return records.add(record, after)
  } catch (error) {
    throw corrupt(path, messageOf(error), error as Error)
  }
}

/** What was read before is not there any more: everything has to be read. */
export class Changed extends Error {}

/** A checkpoint does not stand in for what its journal has lost: more may be lost than is in it. */
async function requireReaches(
  files: Files,
  { path, head, segments }: FoundJournal,
  { bytes, seq }: Position,
): Promise<void> {
  let there = 0
  if (segments === null) there = Math.min(bytes, (await lengthOf(files, path)) - head.length)
  for (const { sizeBytes } of segments ?? []) {
    if (there >= bytes) break
    there += sizeBytes - head.length
  }
  if (there === bytes) return
  throw corrupt(path, `what stands before its change ${seq + 1} is not there as a whole`)
}

function requireNamed(path: string, end: Position, upTo: Position): void {
  if (end.bytes === upTo.bytes && end.seq === upTo.seq && end.checksum === upTo.checksum) return
  const what =
    end.bytes < upTo.bytes
      ? `it ends after change ${end.seq}, and the part that follows it was begun after its change ${upTo.seq}`
      : `what stands before its change ${upTo.seq + 1} is not what the part that follows it was begun with`
  throw corrupt(path, what)
}

/** Gives the next bytes of a journal's groups, `atLeast` so many if there are, or null at its end: a long group is read in few steps. */
type Chunks = (atLeast: number) => Promise<Buffer | null>

function chunksOf(files: Files, journal: FoundJournal, from: number): Chunks {
  return journal.segments === null
    ? fileChunks(files, journal, from)
    : segmentChunks(files, journal, journal.segments, from)
}

function fileChunks(files: Files, { path, head }: FoundJournal, from: number): Chunks {
  let at = head.length + from
  let isOver = false
  return async (atLeast) => {
    if (isOver) return null
    const length = Math.max(CHUNK_BYTES, atLeast)
    const bytes = await inItsPlace(path, files.readAt(path, at, length))
    if (bytes === 'missing') throw new Vanished(`${path} was there and is not any more`)
    isOver = bytes.length < length
    at += bytes.length
    return bytes.length === 0 ? null : bytes
  }
}

function segmentChunks(
  files: Files,
  { path, head }: FoundJournal,
  segments: readonly Segment[],
  from: number,
): Chunks {
  const directory = path.slice(0, -basename(path).length - 1)
  const left = [...segments]
  let skip = from
  for (let first = left[0]; first !== undefined && skip > 0; first = left[0]) {
    const bytes = first.sizeBytes - head.length
    if (bytes > skip) break
    skip -= bytes
    left.shift()
  }
  let failure: Error | null = null
  return async () => {
    if (failure !== null) throw failure
    const some = left.splice(0, READ_AT_ONCE)
    if (some.length === 0) return null
    const read = await Promise.all(some.map((one) => segmentOrError(files, directory, one)))
    const parts: Buffer[] = []
    for (const [index, bytes] of read.entries()) {
      // Only the last one can be on its way.
      const isLast = index === some.length - 1 && left.length === 0
      if (bytes === 'short' && isLast) break
      if (bytes instanceof Buffer && bytes.subarray(0, head.length).equals(head)) {
        parts.push(bytes.subarray(head.length))
        continue
      }
      const where = join(directory, some[index]?.name ?? '')
      const odd = bytes === 'short' ? HOLE : 'it does not begin as the others of its part'
      failure = bytes instanceof Error ? bytes : corrupt(where, odd)
      break
    }
    // What stands before it is told first.
    if (failure !== null && parts.length === 0) throw failure
    const bytes = Buffer.concat(parts).subarray(skip)
    skip = 0
    return bytes
  }
}

const segmentOrError = (files: Files, directory: string, segment: Segment) =>
  readSegment(files, directory, segment).catch((error: Error) => error)

async function readSegment(
  files: Files,
  directory: string,
  { name, sizeBytes }: Segment,
): Promise<Buffer | 'short'> {
  const path = join(directory, name)
  const read = await inItsPlace(path, files.readWhole(path, sizeBytes))
  if (read === 'missing') throw new Vanished(`${path} was listed and is not there`)
  return read
}

/** Where a journal of format 2 begins. */
export const startOf = ({ seq }: FoundJournal): Position => beginning(seq ?? 0)

/** Asked for by its name, without a byte of it: no file is that long. */
export async function isThere(files: Files, path: string): Promise<boolean> {
  const found = await inItsPlace(path, files.readWhole(path, Number.MAX_SAFE_INTEGER))
  return found !== 'missing'
}

export function refuseVanished(names: readonly string[], path: string): void {
  if (!names.includes(basename(path))) return
  throw new Vanished(`${path} was listed and is not there`)
}

export const WAY_BACK = "'tajo catalog restore' lists what is whole and brings it back"

/** Something else in a file's place is damage; passing trouble stays a FileError. */
export async function inItsPlace<T>(path: string, call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    if (!isNoFile(error)) throw error
    const what = `something else stands in its place (${error.errno}). ${WAY_BACK}`
    throw corrupt(path, what, error)
  }
}
