/**
 * A journal in one file that grows by a write for each record, which is durable when it answers. So the records of a long
 * group reach the disk in their order, and one that is damaged before whole ones was never a write that was cut short.
 */
import { Slices } from '../../base/slices.ts'
import type { Transaction } from '../model.ts'
import { whyGone } from './by-name.ts'
import type { Files, NewFile } from './files.ts'
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

export class GrowingJournal implements Journal {
  readonly #files: Files
  readonly #file: NewFile
  readonly #headBytes: number
  readonly takesLong: boolean
  #position: Position
  #tail: Buffer = Buffer.alloc(0)

  private constructor(files: Files, file: NewFile, headBytes: number, { seq, long }: NewHead) {
    this.#files = files
    this.#file = file
    this.#headBytes = headBytes
    this.#position = beginning(seq)
    this.takesLong = long
  }

  /** Its first record is durable when it resolves. */
  static async begin(files: Files, file: NewFile, head: NewHead): Promise<Journal> {
    const record = encodeHead(head)
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
