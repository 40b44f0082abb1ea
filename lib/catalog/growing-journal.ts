/** A journal in one file that grows by a record for each group: one write, which is durable when it answers. */
import { whyGone } from './by-name.ts'
import type { Files, NewFile } from './files.ts'
import {
  after,
  beginning,
  encodeGroup,
  encodeHead,
  type Journal,
  type JournalHead,
  type Position,
  tailOf,
} from './journal.ts'
import type { Transaction } from './model.ts'

export class GrowingJournal implements Journal {
  readonly #files: Files
  readonly #file: NewFile
  readonly #headBytes: number
  #position: Position
  #tail: Buffer = Buffer.alloc(0)

  private constructor(files: Files, file: NewFile, headBytes: number, seq: number) {
    this.#files = files
    this.#file = file
    this.#headBytes = headBytes
    this.#position = beginning(seq)
  }

  /** Its first record is durable when it resolves. */
  static async begin(
    files: Files,
    file: NewFile,
    head: Omit<JournalHead, 'journal'>,
  ): Promise<Journal> {
    const record = encodeHead(head)
    await file.write(record)
    return new GrowingJournal(files, file, record.length, head.seq)
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
    const record = encodeGroup(this.#position.seq + 1, transactions)
    await this.#file.write(record)
    this.#position = after(this.#position, record, transactions.length)
    this.#tail = tailOf(record)
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
