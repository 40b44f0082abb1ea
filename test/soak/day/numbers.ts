/**
 * The INSERTs of the day by their numbers, from 0: which table and partition each goes to, which keys its rows have, and what
 * is known of its fate. Pure.
 *
 * One that was acknowledged is there exactly once, with all its rows; one whose fate nobody was told is there once or not at
 * all; and nothing else is there.
 */
export interface Shape {
  readonly inserts: number
  /** Of each INSERT. */
  readonly rows: number
  readonly tables: number
  /** Of a table that has any. */
  readonly partitions: number
}

export type Format = 'TEXT' | 'PARQUET'

export const tableName = (table: number): string => `t${table}`
/** Of each five tables two are Parquet; of each three one is partitioned. */
export const formatOf = (table: number): Format => (table % 5 < 2 ? 'PARQUET' : 'TEXT')
export const isPartitioned = (table: number): boolean => table % 3 === 0

/** What one INSERT of the day is. */
export interface Insert {
  readonly number: number
  readonly table: number
  /** Null in a table without partitions. */
  readonly partition: string | null
  readonly firstKey: number
  readonly rows: number
}

export function insertOf(number: number, { rows, tables, partitions }: Shape): Insert {
  const table = number % tables
  const part = Math.floor(number / tables) % partitions
  const partition = isPartitioned(table) ? partitionName(part) : null
  return { number, table, partition, firstKey: number * rows, rows }
}

export const partitionName = (part: number): string => `p${part}`

export const noteOf = (key: number): string => `row ${key} of the day`

/** What a table was found to hold of one INSERT. */
export interface Found {
  readonly number: number
  readonly rows: number
  readonly distinct: number
  /** Of the rows that have the note and the partition that belong to their keys. */
  readonly right: number
}

export interface Verdict {
  readonly acknowledged: number
  /** Of unknown fate: all, and those that are there. */
  readonly unknown: number
  readonly unknownThere: number
  /** Numbers of INSERTs. */
  readonly lost: readonly number[]
  readonly doubled: readonly number[]
  /** Partly there, with wrong values, in a wrong table, or never sent. */
  readonly wrong: readonly number[]
}

const [UNSENT, SENT, ACKNOWLEDGED] = [0, 1, 2] as const

export class Fates {
  readonly #shape: Shape
  readonly #fates: Uint8Array
  readonly #sent: number[]
  readonly #acknowledged: number[]
  #next = 0

  constructor(shape: Shape) {
    this.#shape = shape
    this.#fates = new Uint8Array(shape.inserts)
    this.#sent = Array(shape.tables).fill(0)
    this.#acknowledged = Array(shape.tables).fill(0)
  }

  /** The next INSERTs, `count` of them or what is left; from now on they may be there. */
  take(count: number): Insert[] {
    const taken: Insert[] = []
    for (; taken.length < count && this.#next < this.#shape.inserts; this.#next += 1) {
      const insert = insertOf(this.#next, this.#shape)
      this.#fates[insert.number] = SENT
      this.#sent[insert.table] = this.sentTo(insert.table) + 1
      taken.push(insert)
    }
    return taken
  }

  acknowledged({ number, table }: Insert): void {
    if (this.#fates[number] !== SENT) throw new Error(`INSERT ${number} was not waited for`)
    this.#fates[number] = ACKNOWLEDGED
    this.#acknowledged[table] = this.acknowledgedOf(table) + 1
  }

  sentTo(table: number): number {
    return this.#sent[table] ?? 0
  }

  acknowledgedOf(table: number): number {
    return this.#acknowledged[table] ?? 0
  }

  get allAcknowledged(): number {
    return this.#acknowledged.reduce((sum, one) => sum + one, 0)
  }

  /** `found`: all that a table holds, each INSERT once. */
  judge(table: number, found: Iterable<Found>): Verdict {
    const { tables, rows: each, inserts } = this.#shape
    const there = new Set<number>()
    const doubled: number[] = []
    const wrong: number[] = []
    for (const { number, rows, distinct, right } of found) {
      there.add(number)
      const isOurs = number < inserts && number % tables === table && this.#fates[number] !== UNSENT
      if (!isOurs || distinct !== each || right !== rows) wrong.push(number)
      else if (rows !== each) doubled.push(number)
    }
    const lost: number[] = []
    let [unknown, unknownThere] = [0, 0]
    for (let number = table; number < inserts; number += tables) {
      const fate = this.#fates[number]
      if (fate === ACKNOWLEDGED && !there.has(number)) lost.push(number)
      if (fate !== SENT) continue
      unknown += 1
      unknownThere += Number(there.has(number))
    }
    return { acknowledged: this.acknowledgedOf(table), unknown, unknownThere, lost, doubled, wrong }
  }
}
