/**
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
import { Slices } from '../../base/slices.ts'
import type { Transaction } from '../model.ts'
import { whyGone } from './by-name.ts'
import { segmentFile } from './epoch-names.ts'
import { FileError, type Files, type NewFile, type Written } from './files.ts'
import { groupRecords } from './group-records.ts'
import {
  after,
  beginning,
  encodeHead,
  type Journal,
  type NewHead,
  type Position,
  tailOf,
} from './journal.ts'

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
  readonly takesLong: boolean
  /** Begun and not durable. */
  #open: { readonly path: string; file: NewFile | null } | null = null
  /** Of the group that is being appended: durable, and nothing without those that follow. */
  #unfinished: Written[] = []

  private constructor(files: Files, first: Written, head: Buffer, { part, seq, long }: NewHead) {
    this.#files = files
    this.#part = part
    this.#head = head
    this.#first = first
    this.#last = first
    this.#position = beginning(seq)
    this.takesLong = long
  }

  /** `file` stays empty, and is closed; the first record is a file of its own, and durable when it resolves. */
  static async begin(files: Files, file: NewFile, head: NewHead): Promise<Journal> {
    await file.close()
    const record = encodeHead(head)
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
