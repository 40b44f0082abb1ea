/**
 * The changes of one part of a term, in groups that were made durable together: one is there as a whole or not at all. It is
 * a record, or several where it is long (group-records.ts). A journal is written by one process, and never again after a
 * write whose fate is unknown: that one may land later, and the next part begins with a reference that says how much of
 * this one counts.
 *
 *     journal-0000000002                   one file that grows: its first record, then the groups (growing-journal.ts)
 *     journal-0000000002.0000000017-431    or a file for each group, this one of 431 bytes (segmented-journal.ts); the one
 *                                          without a number is there then, too, and empty
 *
 * Each file begins with the journal's first record. A file with a length in its name counts only at that length: one that is
 * shorter is being written, or never was written to its end, and not a byte of it is read. So nobody but its writer ever
 * reads a file that still grows, which HDFS's gateway answers with EIO for everything beyond the length that it had, for as
 * long as anybody goes on reading it.
 */
import { crc32 } from 'node:zlib'
import { CatalogError } from '../errors.ts'
import type { Transaction } from '../model.ts'
import { encodeRecord } from './records.ts'

/**
 * 1: each part begins with a snapshot. 2: with what its first record says. 3: the same, and a group may be several records.
 * A part is of format 3 only where one is, so that a version that knows no such groups reads all others.
 */
const FORMAT = 2
const FORMAT_OF_LONG_GROUPS = 3
export const NEWEST_JOURNAL_FORMAT = FORMAT_OF_LONG_GROUPS

/** A place between two groups of a journal, whatever files they are in. */
export interface Position {
  /** Of all groups before it. */
  readonly bytes: number
  /** Of the last change before it; a term's changes are numbered through its parts. */
  readonly seq: number
  /** CRC-32 of all groups before it. */
  readonly checksum: number
}

/** What a part rests on: the state that it begins with. */
export type Basis =
  | { readonly is: 'empty' }
  /** Another part's journal, to exactly that place and not to its end. */
  | ({ readonly is: 'journal' } & Place)
  /** Its own checkpoint at its beginning: nothing else of it is left. */
  | { readonly is: 'checkpoint' }

export interface Place {
  readonly term: number
  readonly part: number
  readonly position: Position
}

/** The first record. */
export interface JournalHead {
  readonly journal: number
  /** The cluster's id; null where nobody has one. */
  readonly cluster: string | null
  readonly term: number
  readonly part: number
  /** The number of the last change before it. */
  readonly seq: number
  readonly basis: Basis
}

export interface Group {
  /** Number of the first transaction. */
  readonly seq: number
  readonly transactions: readonly Transaction[]
}

export type NewHead = Omit<JournalHead, 'journal'> & {
  /** Whether groups of several records may follow. */
  readonly long: boolean
}

export function encodeHead({ long, ...head }: NewHead): Buffer {
  const journal = long ? FORMAT_OF_LONG_GROUPS : FORMAT
  return encodeRecord({ journal, ...head } satisfies JournalHead)
}

/** Where a journal begins. */
export const beginning = (seq: number): Position => ({ bytes: 0, seq, checksum: 0 })

/** The place behind one more record, of which a group's last one brings its transactions. */
export const after = (position: Position, record: Buffer, transactions: number): Position => ({
  bytes: position.bytes + record.length,
  seq: position.seq + transactions,
  checksum: crc32(record, position.checksum),
})

/** So much is kept of the record that was read last, to know it again: most of them whole, with their checksum. */
const TAIL_BYTES = 4096
export const tailOf = (record: Buffer): Buffer => Buffer.from(record.subarray(-TAIL_BYTES))

export const samePosition = (a: Position, b: Position): boolean =>
  a.bytes === b.bytes && a.seq === b.seq && a.checksum === b.checksum

/** What a part's changes are written to, by one process. */
export interface Journal {
  /** Of all that is durable. */
  readonly position: Position
  /** The last bytes before that; none where nothing was appended. */
  readonly tail: Buffer
  /** How many have to be read. */
  readonly files: number
  /** Whether groups of several records may be appended. */
  readonly takesLong: boolean
  /** Durable when it resolves, all of them; in slices. */
  append(transactions: readonly Transaction[]): Promise<void>
  /** After an `append` that found no space: makes sure that nothing of it stays. */
  cutBack(): Promise<void>
  /** Whether it has reached one of these, so that a new part should follow. */
  hasReached(limit: { readonly bytes: number; readonly files: number }): boolean
  /** Why what was appended last, or all of it, is not under its name any more; null when it is. */
  whyGone(what: 'appended' | 'everything'): Promise<string | null>
  close(): Promise<void>
}

/** A file that was listed and isn't there has been swept meanwhile: everything is to be looked at again. */
export class Vanished extends Error {}

export const corrupt = (path: string, what: string, cause?: Error): CatalogError =>
  new CatalogError('CORRUPT', `${path} can't be trusted: ${what}`, { cause })
