/**
 * A part's journal is found by its first record: where that is whole the part was begun, and whoever looks knows what it rests
 * on, and which files its groups are in. What stands in a journal of format 1 is told in the same words; it rests on a snapshot
 * beside it. The groups themselves are read in journal-read.ts.
 *
 * Every question to the storage is asked as bounded and as seldom as can be: what may still grow is not read where that would
 * spoil it, and something else in a file's place is told as damage.
 */
import { basename, join } from 'node:path'
import type { Turns } from '../../base/slices.ts'
import { CatalogError } from '../errors.ts'
import type { Progress } from '../store.ts'
import { type Files, isNoFile } from './files.ts'
import { type Basis, corrupt, type JournalHead, Vanished } from './journal.ts'
import { NEWEST_JOURNAL_FORMAT } from './journal-format.ts'
import { followedByWhole, takeRecords } from './records.ts'
import { readSnapshotHead, refuseNewer, SNAPSHOT_FORMATS, type SnapshotHead } from './snapshot.ts'
import {
  journalFile,
  partsOf,
  type Segment,
  segmentsOf,
  snapshotFile,
  termDir,
} from './term-names.ts'

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

interface PartPlace {
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
type Found =
  | { readonly is: 'begun'; readonly journal: FoundJournal }
  /** Nothing was ever acknowledged in it, as far as its own files tell. */
  | { readonly is: 'unbegun' }
  | { readonly is: 'missing' }

/** More than any first record: with the one that follows it, where there is one. */
const HEAD_BYTES = 16 * 1024

/**
 * Rejects with FileError, Vanished for what was listed and is not there, CatalogError CORRUPT for what no crash leaves
 * behind, BAD_STORE for a newer format.
 */
export async function findJournal(look: Look, place: PartPlace): Promise<Found> {
  const { files, takesOver } = look
  const { term, part } = place
  const directory = join(look.directory, termDir(term))
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

export const HOLE = 'it is damaged, and whole files follow it'

/** No group is there, and no first record: of format 1 that is a part all the same, since its snapshot was there first. */
async function unsegmented(look: Look, place: PartPlace, at: At): Promise<Found> {
  const snapshot = await snapshotHeadOf(look, place)
  if (snapshot === null || !SNAPSHOT_FORMATS.includes(snapshot.snapshot)) return { is: 'unbegun' }
  const basis = { is: 'snapshot' } as const
  const none = { segments: null, head: Buffer.alloc(0), basis, seq: null }
  return { is: 'begun', journal: { ...at, ...none } }
}

export async function lengthOf(files: Files, path: string): Promise<number> {
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
  const path = join(look.directory, termDir(term), snapshotFile(part))
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

export async function readSegment(
  files: Files,
  directory: string,
  { name, sizeBytes }: Segment,
): Promise<Buffer | 'short'> {
  const path = join(directory, name)
  const read = await inItsPlace(path, files.readWhole(path, sizeBytes))
  if (read === 'missing') throw new Vanished(`${path} was listed and is not there`)
  return read
}

/** It is asked for by its name, without a byte of it: no file is that long. */
export async function isThere(files: Files, path: string): Promise<boolean> {
  const found = await inItsPlace(path, files.readWhole(path, Number.MAX_SAFE_INTEGER))
  return found !== 'missing'
}

function refuseVanished(names: readonly string[], path: string): void {
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
