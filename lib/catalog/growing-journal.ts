/** A journal in one file that grows by a record for each group: one write, which is durable when it answers. */
import { whyGone } from './by-name.ts'
import type { Files, NewFile } from './files.ts'
import { encodeGroup, encodeHead, type Journal, type JournalHead } from './journal.ts'
import type { Transaction } from './model.ts'

export class GrowingJournal implements Journal {
  readonly #files: Files
  readonly #file: NewFile
  /** What is known to be durable. */
  #bytes = 0

  private constructor(files: Files, file: NewFile) {
    this.#files = files
    this.#file = file
  }

  static async begin(
    files: Files,
    file: NewFile,
    head: Omit<JournalHead, 'journal'>,
  ): Promise<Journal> {
    const journal = new GrowingJournal(files, file)
    await journal.#write(encodeHead(head))
    return journal
  }

  append(seq: number, transactions: readonly Transaction[]): Promise<void> {
    return this.#write(encodeGroup(seq, transactions))
  }

  cutBack(): Promise<void> {
    return this.#file.cutTo(this.#bytes)
  }

  hasReached({ bytes }: { readonly bytes: number }): boolean {
    return this.#bytes >= bytes
  }

  whyGone(): Promise<string | null> {
    return whyGone(this.#files, this.#file.written)
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  async #write(record: Buffer): Promise<void> {
    await this.#file.write(record)
    this.#bytes += record.length
  }
}
