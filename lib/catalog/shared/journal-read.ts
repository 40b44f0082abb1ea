/**
 * The groups of a journal that others write, or wrote, are read from any place on, in bounded reads and slices, whether they
 * are in one file or in many. What was read before is compared where the reading goes on from it, so that nobody goes on from
 * what another hand has put there.
 */
import { basename, join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import { Slices } from '../../base/slices.ts'
import type { Files } from './files.ts'
import {
  type FoundJournal,
  HOLE,
  inItsPlace,
  type Look,
  lengthOf,
  readSegment,
} from './found-journal.ts'
import {
  after,
  beginning,
  corrupt,
  type Group,
  type Position,
  tailOf,
  Vanished,
} from './journal.ts'
import { followedByWhole, GroupAssembler, type GroupRecord, takeRecords } from './records.ts'
import type { Segment } from './term-names.ts'

const CHUNK_BYTES = 1024 * 1024
/** So many files are read at once. */
const READ_AT_ONCE = 16

interface Reading {
  readonly from: Position
  /** The last groups before `from`, as they were when they were read; they must still be the same. */
  readonly tail: Buffer
  /** Null: to its last whole group. */
  readonly upTo: Position | null
  /** Does something with a group in small steps, which are taken in slices. */
  readonly take: (group: Group) => Iterable<unknown>
}

interface Read {
  readonly end: Position
  /** The last bytes before `end`. */
  readonly tail: Buffer
}

/**
 * Reads the groups from one place on, to another or to the last whole one. Rejects as `findJournal`, with CatalogError
 * CORRUPT also where the journal ends before `upTo`, or what is there is not what a reference has named, and with
 * Changed where what stands before `from` is not `tail` any more.
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

/** Where a journal of format 2 begins. */
export const startOf = ({ seq }: FoundJournal): Position => beginning(seq ?? 0)
