/**
 * The changes since a snapshot, one record for each group that was made durable together: it is there as a whole or not
 * at all. A journal is written by one process, and never again after a write whose fate is unknown: that one may land
 * later, and only a new part (snapshot and journal) decides whether it counts.
 *
 *     journal-0000000002                   one file that grows: its head, then the groups (growing-journal.ts)
 *     journal-0000000002.0000000017-431    or a file for each group, this one of 431 bytes (segmented-journal.ts); the one
 *                                          without a number is there then, too, and empty
 *
 * Which of the two it is stands in the head of its snapshot. Each file begins with the same head. A file with a length in
 * its name counts only at that length: one that is shorter is being written, or never was written to its end, and not a
 * byte of it is read. So nobody but its writer ever reads a file that still grows, which HDFS's gateway answers with EIO for
 * everything beyond the length that it had, for as long as anybody goes on reading it.
 */
import { join } from 'node:path'
import type { Draft } from './apply.ts'
import { CatalogError } from './errors.ts'
import type { Files } from './files.ts'
import type { Transaction } from './model.ts'
import { encodeRecord, scanRecords } from './records.ts'
import { refuseNewer } from './snapshot.ts'

const JOURNAL_FORMAT = 1

const number10 = (number: number): string => String(number).padStart(10, '0')
export const journalFile = (part: number): string => `journal-${number10(part)}`
export const segmentFile = (part: number, index: number, bytes: number): string =>
  `${journalFile(part)}.${number10(index)}-${bytes}`

export interface Segment {
  readonly name: string
  readonly part: number
  readonly index: number
  readonly bytes: number
}

/** Those among names, in their order. */
export function segmentsOf(names: readonly string[]): Segment[] {
  return names
    .map((name) => /^journal-(\d{10})\.(\d{10})-(\d{1,15})$/.exec(name))
    .filter((match) => match !== null)
    .map(([name, part, index, bytes]) => ({
      name,
      part: Number(part),
      index: Number(index),
      bytes: Number(bytes),
    }))
    .sort((a, b) => a.part - b.part || a.index - b.index)
}

export interface JournalHead {
  readonly journal: number
  readonly term: number
  readonly part: number
  /**
   * Where its snapshot was taken from: that part's state after so many changes. Should the snapshot be lost, it can be made
   * anew from there. Null: from nothing. Journals of earlier versions don't say.
   */
  readonly base?: Base | null
}

/** The state of a part after its change `seq`. */
export interface Base {
  readonly term: number
  readonly part: number
  readonly seq: number
}

interface Group {
  /** Number of the first transaction. */
  readonly seq: number
  readonly transactions: readonly Transaction[]
}

export const encodeHead = (head: Omit<JournalHead, 'journal'>): Buffer =>
  encodeRecord({ journal: JOURNAL_FORMAT, ...head } satisfies JournalHead)

export const encodeGroup = (seq: number, transactions: readonly Transaction[]): Buffer =>
  encodeRecord({ seq, transactions } satisfies Group)

/** What a part's changes are written to, by one process. */
export interface Journal {
  /** Durable when it resolves, all of them. */
  append(seq: number, transactions: readonly Transaction[]): Promise<void>
  /** After an `append` that found no space: makes sure that nothing of it stays. */
  cutBack(): Promise<void>
  /** Whether it has reached one of these, so that a new part should follow. */
  hasReached(limit: { readonly bytes: number; readonly files: number }): boolean
  /** Why what was appended last, or all of it, is not under its name any more; null when it is. */
  whyGone(what: 'appended' | 'everything'): Promise<string | null>
  close(): Promise<void>
}

export interface Replay {
  readonly path: string
  /** Of the last transaction that the draft has. */
  readonly seq: number
  /** Groups beyond this number are left out. */
  readonly upTo?: number
  /** Hears the number of each that is applied. */
  readonly onChange?: (seq: number) => void
}

/** So many files are read at once. */
const READ_AT_ONCE = 16

export interface JournalPlace {
  readonly directory: string
  /** What a listing of it showed. */
  readonly names: readonly string[]
  readonly part: number
}

/**
 * The segments of a part's journal, in their order. Rejects with FileError, and with Vanished where a file that was listed is
 * not there any more; where `onUnreadable` takes that, with what stands before it.
 */
export async function readSegments(
  files: Files,
  { directory, names, part }: JournalPlace,
  onUnreadable?: (error: Error) => void,
): Promise<Buffer[]> {
  const segments = segmentsOf(names).filter((one) => one.part === part)
  const journal: Buffer[] = []
  for (let from = 0; from < segments.length; from += READ_AT_ONCE) {
    const some = segments.slice(from, from + READ_AT_ONCE)
    const read = await Promise.all(some.map((one) => readSegment(files, directory, one)))
    for (const [index, bytes] of read.entries()) {
      if (bytes instanceof Error) {
        if (onUnreadable === undefined) throw bytes
        onUnreadable(bytes)
        return journal
      }
      // Only the last one can be on its way; of another one nothing is left, which the replay tells.
      if (bytes !== 'short') journal.push(bytes)
      else if (from + index < segments.length - 1) journal.push(Buffer.alloc(0))
    }
  }
  return journal
}

async function readSegment(files: Files, directory: string, { name, bytes }: Segment) {
  const path = join(directory, name)
  try {
    const read = await files.readWhole(path, bytes)
    return read === 'missing' ? new Vanished(`${path} was listed and is not there`) : read
  } catch (error) {
    return error as Error
  }
}

/** A file that was listed and isn't there has been swept meanwhile: everything is to be looked at again. */
export class Vanished extends Error {}

/**
 * Applies what a journal holds, up to its last whole group, to a draft that stands where its snapshot ended; answers the
 * number of the last transaction. CatalogError CORRUPT for what no crash leaves behind, BAD_STORE for a newer format: the
 * draft then has what stands before.
 */
export function replayJournal(journal: readonly Buffer[], draft: Draft, from: Replay): number {
  const { upTo = Number.POSITIVE_INFINITY, onChange = () => {} } = from
  let seq = from.seq
  const take = (group: Group): void => {
    if (group.seq > upTo) return
    if (group.seq !== seq + 1) {
      throw corrupt(from.path, `change ${group.seq} follows change ${seq}`)
    }
    for (const transaction of group.transactions) {
      seq += 1
      applyKept(draft, transaction, `${from.path}, change ${seq}`)
      onChange(seq)
    }
  }
  let first: JournalHead | null = null
  for (const [index, bytes] of journal.entries()) {
    let head: JournalHead | null = null
    const ending = scanRecords(bytes, (value) => {
      if (head !== null) return take(value as Group)
      head = value as JournalHead
      refuseNewer(head.journal, from.path, JOURNAL_FORMAT)
      first ??= head
      if (head.term === first.term && head.part === first.part) return
      throw corrupt(from.path, `a file of term ${head.term}, part ${head.part}, is among its own`)
    })
    const isLast = index === journal.length - 1
    if (ending === 'damaged' || (!isLast && (ending === 'torn' || head === null))) {
      const what = `a place after change ${seq} is damaged, and whole records follow it`
      throw corrupt(from.path, what)
    }
  }
  return seq
}

/** What a journal says of its beginning; null where that is torn. */
export function journalHead(journal: readonly Buffer[]): JournalHead | null {
  const [bytes = Buffer.alloc(0)] = journal
  let head: JournalHead | null = null
  const end = bytes.indexOf('\n')
  scanRecords(bytes.subarray(0, end + 1), (value) => {
    head ??= value as JournalHead
  })
  return head
}

/** It fitted when it was written; that it doesn't now means that something before it is lost. */
function applyKept(draft: Draft, transaction: Transaction, where: string): void {
  try {
    draft.apply(transaction)
  } catch (error) {
    throw new CatalogError('CORRUPT', `${where} does not fit what stands before it`, {
      cause: error,
    })
  }
}

export const corrupt = (path: string, what: string, cause?: Error): CatalogError =>
  new CatalogError('CORRUPT', `${path} can't be trusted: ${what}`, { cause })
