/**
 * The changes since a snapshot, one record for each group that was made durable together: it is there as a whole or not
 * at all. A journal is written by one process, and never again after a write whose fate is unknown: that one may land
 * later, and only a new part (snapshot and journal) decides whether it counts.
 */
import type { Draft } from './apply.ts'
import { CatalogError } from './errors.ts'
import type { NewFile, Written } from './files.ts'
import type { Transaction } from './model.ts'
import { encodeRecord, scanRecords } from './records.ts'
import { refuseNewer, SHARED_FORMAT } from './snapshot.ts'

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

export class Journal {
  readonly #file: NewFile
  #bytes = 0

  constructor(file: NewFile) {
    this.#file = file
  }

  /** What is known to be durable. */
  get bytes(): number {
    return this.#bytes
  }

  /** What is known to be durable, to be looked for by its name. */
  get written(): Written {
    return this.#file.written
  }

  async begin(head: Omit<JournalHead, 'journal'>): Promise<void> {
    await this.#write({ journal: SHARED_FORMAT, ...head })
  }

  async append(seq: number, transactions: readonly Transaction[]): Promise<void> {
    const group: Group = { seq, transactions }
    await this.#write(group)
  }

  /** After a write that found no space: makes sure that nothing of it stays. */
  async cutBack(): Promise<void> {
    await this.#file.cutTo(this.#bytes)
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  async #write(value: unknown): Promise<void> {
    const record = encodeRecord(value)
    await this.#file.write(record)
    this.#bytes += record.length
  }
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

/**
 * Applies what a journal holds, up to its last whole group, to a draft that stands where its snapshot ended; answers the
 * number of the last transaction. CatalogError CORRUPT for what no crash leaves behind, BAD_STORE for a newer format: the
 * draft then has what stands before.
 */
export function replayJournal(bytes: Buffer, draft: Draft, from: Replay): number {
  const { upTo = Number.POSITIVE_INFINITY, onChange = () => {} } = from
  let seq = from.seq
  let head: JournalHead | null = null
  const ending = scanRecords(bytes, (value) => {
    if (head === null) {
      head = value as JournalHead
      refuseNewer(head.journal, from.path)
      return
    }
    const group = value as Group
    if (group.seq > upTo) return
    if (group.seq !== seq + 1) {
      throw corrupt(from.path, `change ${group.seq} follows change ${seq}`)
    }
    for (const transaction of group.transactions) {
      seq += 1
      applyKept(draft, transaction, `${from.path}, change ${seq}`)
      onChange(seq)
    }
  })
  if (ending === 'damaged') {
    throw corrupt(from.path, `a place after change ${seq} is damaged, and whole records follow it`)
  }
  return seq
}

/** What a journal says of its beginning; null where that is torn. */
export function journalHead(bytes: Buffer): JournalHead | null {
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
