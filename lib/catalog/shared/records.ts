/**
 * Records in a file: one line each, with its length and CRC-32 before its JSON, so that a reader knows which ones are
 * whole. Text, so that a person can read it too:
 *
 *     0000002f 5d1c9a03 {"seq":1,"transactions":[…]}
 *
 * Makes records of a journal from a group of transactions, and the group again from them. What is short is one record.
 * What is long is as many as it takes, and the last one completes it: so no record is longer than some hundred thousand
 * characters, however many files a change adds, and each is encoded, written, read and applied by itself.
 *
 *     {"seq":17,"transactions":[…]}                         a short group
 *     {"seq":18,"pieces":[…]} … {"seq":18,"end":3}          a long one, of three records and their end
 *
 * A group without its end, at the end of a journal, is a write that was never told as done: whoever reads passes it over.
 * Its records were made durable one after the other, so whole records behind a damaged one are damage here, too.
 */
import { crc32 } from 'node:zlib'
import type { Transaction } from '../model.ts'
import {
  sizeOf,
  TransactionAssembler,
  type TransactionPiece,
  transactionPieces,
} from '../transaction-pieces.ts'
import type { Group } from './journal.ts'

/** Of a long group: some of its transactions' pieces. */
interface GroupPieces {
  readonly seq: number
  readonly pieces: readonly TransactionPiece[]
}
interface GroupEnd {
  readonly seq: number
  /** So many records are before it. */
  readonly end: number
}
/** All that a journal has, but for its first record. */
export type GroupRecord = Group | GroupPieces | GroupEnd

/** Transactions and rows in them: a group with more is a long one. */
const SHORT_ROWS = 4000
/** A record of pieces is closed when it has so many characters; one piece more is in it at most. */
const RECORD_CHARS = 256 * 1024

export const isLong = (transactions: readonly Transaction[]): boolean =>
  transactions.reduce((sum, one) => sum + 1 + sizeOf(one), 0) > SHORT_ROWS

/** There is one for a short group. Each step is small: they can be taken in slices. */
export function* groupRecords(
  seq: number,
  transactions: readonly Transaction[],
): Generator<Buffer> {
  if (!isLong(transactions)) {
    yield encodeRecord({ seq, transactions } satisfies Group)
    return
  }
  let count = 0
  for (const pieces of textsOf(transactions)) {
    yield encodeText(`{"seq":${seq},"pieces":[${pieces.join(',')}]}`)
    count += 1
  }
  yield encodeRecord({ seq, end: count } satisfies GroupEnd)
}

function* textsOf(transactions: readonly Transaction[]): Generator<string[]> {
  let texts: string[] = []
  let chars = 0
  for (const one of transactions) {
    for (const piece of transactionPieces(one)) {
      const text = JSON.stringify(piece)
      texts.push(text)
      chars += text.length
      if (chars < RECORD_CHARS) continue
      yield texts
      texts = []
      chars = 0
    }
  }
  if (texts.length > 0) yield texts
}

/** Makes groups of their records. */
export class GroupAssembler {
  #seq: number | null = null
  #records = 0
  #transactions: Transaction[] = []
  #pieces = new TransactionAssembler()

  /**
   * The group, once this was its last record; null before. `after`: the number of the last change before it. Throws Error
   * for a record that does not follow.
   */
  add(record: GroupRecord, after: number): Group | null {
    const { seq } = record
    if (seq !== after + 1) throw new Error(`change ${seq} follows change ${after}`)
    if ('transactions' in record) {
      if (this.#seq !== null) throw new Error(`change ${seq} begins a second time`)
      return record
    }
    if ('pieces' in record) {
      this.#seq = seq
      this.#records += 1
      for (const piece of record.pieces) {
        const whole = this.#pieces.add(piece)
        if (whole !== null) this.#transactions.push(whole)
      }
      return null
    }
    return this.#end(record)
  }

  #end({ seq, end }: GroupEnd): Group {
    if (this.#seq === null || this.#records !== end || this.#pieces.isUnfinished) {
      throw new Error(
        `change ${seq} has ${this.#records} records of ${end}, or less than they said`,
      )
    }
    const transactions = this.#transactions
    this.#seq = null
    this.#records = 0
    this.#transactions = []
    return { seq, transactions }
  }
}

const HEX = 8
const PREFIX = 2 * (HEX + 1)
const NEWLINE = 0x0a
const SPACE = 0x20

export const encodeRecord = (value: unknown): Buffer => encodeText(JSON.stringify(value))

/** Makes a record of what is JSON already. */
function encodeText(text: string): Buffer {
  const json = Buffer.from(text)
  const hex = (number: number): string => number.toString(16).padStart(HEX, '0')
  const prefix = `${hex(json.length)} ${hex(crc32(json))} `
  return Buffer.concat([Buffer.from(prefix), json, Buffer.of(NEWLINE)])
}

/**
 * Gives the whole records that `bytes` begins with to `take`, each with its own bytes, one at least, and the next one while
 * `goesOn`; answers how many bytes they were.
 */
export function takeRecords(
  bytes: Buffer,
  take: (value: unknown, record: Buffer) => void,
  goesOn: () => boolean = () => true,
): number {
  let at = 0
  for (let json = recordAt(bytes, at); json !== null; json = recordAt(bytes, at)) {
    const length = PREFIX + json.length + 1
    take(JSON.parse(json.toString()), bytes.subarray(at, at + length))
    at += length
    if (!goesOn()) break
  }
  return at
}

/** Whether a whole record begins at a line somewhere behind `from`. */
export function followedByWhole(bytes: Buffer, from: number): boolean {
  for (let at = bytes.indexOf(NEWLINE, from); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) {
    if (recordAt(bytes, at + 1) !== null) return true
  }
  return false
}

/** The JSON of the record that begins there, or null. */
function recordAt(bytes: Buffer, at: number): Buffer | null {
  const start = at + PREFIX
  if (bytes.length <= start || bytes[at + HEX] !== SPACE || bytes[start - 1] !== SPACE) return null
  const length = hexAt(bytes, at)
  const crc = hexAt(bytes, at + HEX + 1)
  if (length === null || crc === null || bytes[start + length] !== NEWLINE) return null
  const json = bytes.subarray(start, start + length)
  return crc32(json) === crc ? json : null
}

function hexAt(bytes: Buffer, at: number): number | null {
  const text = bytes.toString('latin1', at, at + HEX)
  return /^[0-9a-f]{8}$/.test(text) ? Number.parseInt(text, 16) : null
}
