/**
 * The changes of one part of a term, in groups that were made durable together: one is there as a whole or not at all. It is
 * a record, or several where it is long (records.ts). A journal is written by one process, and never again after a
 * write whose fate is unknown: that one may land later, and the next part begins with a reference that says how much of
 * this one counts.
 *
 *     journal-0000000002                   one file that grows: its first record, then the groups
 *     journal-0000000002.0000000017-431    or a file for each group, this one of 431 bytes; the one without a number is
 *                                          there then, too, and empty
 *
 * Each file begins with the journal's first record. A file with a length in its name counts only at that length: one that is
 * shorter is being written, or never was written to its end, and not a byte of it is read. So nobody but its writer ever
 * reads a file that still grows, which HDFS's gateway answers with EIO for everything beyond the length that it had, for as
 * long as anybody goes on reading it.
 *
 * A journal in one file that grows by a write for each record, which is durable when it answers. So the records of a long
 * group reach the disk in their order, and one that is damaged before whole ones was never a write that was cut short.
 *
 * A journal whose groups are closed files of their own, a long one some of them: made exclusively, written once, synced,
 * closed, never written again. For storages on which nobody can read what somebody else still appends to (HDFS through its
 * NFS gateway).
 *
 * - A file's name says how long it is when it is whole: whoever reads needs nothing else to pass over one that isn't.
 * - A name is never used again, not after a group that found no space was removed either: the files' numbers only grow,
 *   and have gaps then. That nothing is missing is told by the numbers of the changes.
 * - What fences it is what fences a journal in one file (docs/ha-protocol.md, "Changes are fenced"): a deposed master's
 *   late file lies in its own term, and its commit fails.
 */
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { Slices } from '../../base/slices.ts'
import { CatalogError } from '../errors.ts'
import type { Transaction } from '../model.ts'
import { whyGone } from './by-name.ts'
import { FileError, type Files, type NewFile, type Written } from './files.ts'
import { encodeRecord, groupRecords } from './records.ts'
import { segmentFile } from './term-names.ts'

/** A file of a long group is closed when it is as long. */
const SEGMENT_BYTES = 4 * 1024 * 1024

export class SegmentedJournal implements Journal {
  readonly #files: Files
  readonly #part: number
  readonly #head: Buffer
  /** The file without a number, and the last group's. */
  readonly #first: Written
  #last: Written
  /** Paths of all that are durable. */
  readonly #segments: string[] = []
  #index = 0
  #position: Position
  #tail: Buffer = Buffer.alloc(0)
  readonly format: number
  /** Begun and not durable. */
  #open: { readonly path: string; file: NewFile | null } | null = null
  /** Of the group that is being appended: durable, and nothing without those that follow. */
  #unfinished: Written[] = []

  private constructor(
    files: Files,
    first: Written,
    head: Buffer,
    { part, seq, journal }: JournalHead,
  ) {
    this.#files = files
    this.#part = part
    this.#head = head
    this.#first = first
    this.#last = first
    this.#position = beginning(seq)
    this.format = journal
  }

  /** `file` stays empty, and is closed; the first record is a file of its own, and durable when it resolves. */
  static async begin(files: Files, file: NewFile, head: JournalHead): Promise<Journal> {
    await file.close()
    const record = encodeRecord(head)
    const journal = new SegmentedJournal(files, file.written, record, head)
    try {
      await journal.#write(record)
      journal.#keep()
    } catch (error) {
      await journal.close().catch(() => undefined)
      throw error
    }
    return journal
  }

  get position(): Position {
    return this.#position
  }

  get tail(): Buffer {
    return this.#tail
  }

  get files(): number {
    return this.#segments.length
  }

  async append(transactions: readonly Transaction[]): Promise<void> {
    const slices = new Slices()
    let end = this.#position
    let last = this.#tail
    let waiting: Buffer[] = []
    let bytes = 0
    const write = async (): Promise<void> => {
      await this.#write(Buffer.concat([this.#head, ...waiting]))
      waiting = []
      bytes = 0
    }
    for (const record of groupRecords(end.seq + 1, transactions)) {
      waiting.push(record)
      bytes += record.length
      end = after(end, record, 0)
      last = record
      if (bytes >= SEGMENT_BYTES) await write()
      if (slices.isOver) await slices.turn()
    }
    if (waiting.length > 0) await write()
    this.#keep()
    this.#position = { ...end, seq: end.seq + transactions.length }
    this.#tail = tailOf(last)
  }

  /** The group is whole. */
  #keep(): void {
    for (const { path } of this.#unfinished) this.#segments.push(path)
    this.#last = this.#unfinished.at(-1) ?? this.#last
    this.#unfinished = []
  }

  async #write(bytes: Buffer): Promise<void> {
    const directory = dirname(this.#first.path)
    const path = join(directory, segmentFile(this.#part, this.#index, bytes.length))
    this.#index += 1
    const open = { path, file: null as NewFile | null }
    this.#open = open
    const file = await this.#files.create(path, { durable: true })
    if (file === 'exists') {
      throw new FileError('EEXIST', `${path} is there, and this master has not made it`)
    }
    open.file = file
    await Promise.all([file.write(bytes), this.#files.syncDir(directory)])
    await file.close()
    this.#open = null
    this.#unfinished.push(file.written)
  }

  /** From the last one on: what is left, should it end in between, is a group without an end. */
  async cutBack(): Promise<void> {
    const open = this.#open
    if (open !== null) {
      await open.file?.close()
      await this.#files.unlink(open.path)
      this.#open = null
    }
    for (let last = this.#unfinished.at(-1); last !== undefined; last = this.#unfinished.at(-1)) {
      await this.#files.unlink(last.path)
      this.#unfinished.pop()
    }
  }

  hasReached({ bytes, files }: { readonly bytes: number; readonly files: number }): boolean {
    return this.#position.bytes >= bytes || this.#segments.length >= files
  }

  async whyGone(what: 'appended' | 'everything'): Promise<string | null> {
    if (what === 'appended') return whyGone(this.#files, this.#last)
    // Before the listing: what is made while it runs may not be in it.
    const segments = [...this.#segments]
    const directory = dirname(this.#first.path)
    const listed = await this.#files.list(directory)
    const names = new Set(listed === 'missing' ? [] : listed)
    const gone = segments.find((path) => !names.has(path.slice(directory.length + 1)))
    if (gone !== undefined) return `${gone} is gone: somebody has removed it`
    return (await whyGone(this.#files, this.#first)) ?? (await whyGone(this.#files, this.#last))
  }

  async close(): Promise<void> {
    await this.#open?.file?.close()
  }
}

export class GrowingJournal implements Journal {
  readonly #files: Files
  readonly #file: NewFile
  readonly #headBytes: number
  readonly format: number
  #position: Position
  #tail: Buffer = Buffer.alloc(0)

  private constructor(
    files: Files,
    file: NewFile,
    headBytes: number,
    { seq, journal }: JournalHead,
  ) {
    this.#files = files
    this.#file = file
    this.#headBytes = headBytes
    this.#position = beginning(seq)
    this.format = journal
  }

  /** Its first record is durable when it resolves. */
  static async begin(files: Files, file: NewFile, head: JournalHead): Promise<Journal> {
    const record = encodeRecord(head)
    await file.write(record)
    return new GrowingJournal(files, file, record.length, head)
  }

  get position(): Position {
    return this.#position
  }

  get tail(): Buffer {
    return this.#tail
  }

  get files(): number {
    return 1
  }

  async append(transactions: readonly Transaction[]): Promise<void> {
    const slices = new Slices()
    let end = this.#position
    let last = this.#tail
    for (const record of groupRecords(end.seq + 1, transactions)) {
      await this.#file.write(record)
      end = after(end, record, 0)
      last = record
      if (slices.isOver) await slices.turn()
    }
    this.#position = { ...end, seq: end.seq + transactions.length }
    this.#tail = tailOf(last)
  }

  cutBack(): Promise<void> {
    return this.#file.cutTo(this.#headBytes + this.#position.bytes)
  }

  hasReached({ bytes }: { readonly bytes: number }): boolean {
    return this.#position.bytes >= bytes
  }

  whyGone(): Promise<string | null> {
    return whyGone(this.#files, this.#file.written)
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

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
  /** Groups that ask for no later one may be appended (journal-format.ts). */
  readonly format: number
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
