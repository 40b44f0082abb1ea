/**
 * Puts INSERTs through the masters' doors (door.ts): writes the files of a batch as a worker does, each in a directory named
 * for its attempt, and asks whichever master has the catalog until it acknowledges all of them. An id is asked for again as
 * the client library does it, so that no fate stays unknown.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import type { DataFile } from '../../../lib/catalog/index.ts'
import { attemptName } from '../../../lib/master/queries/statements/write-plan.ts'
import type { Delivered } from './door.ts'
import { type Fates, formatOf, type Insert, noteOf, tableName } from './numbers.ts'

export interface WriterOptions {
  readonly fates: Fates
  /** Of each table. */
  readonly locations: readonly string[]
  /** For files on their way, in the same file system. */
  readonly temporary: string
  /** Sockets. */
  readonly doors: readonly string[]
  /** INSERTs in all. */
  readonly count: number
  readonly perSecond: number
}

const BATCH = 200
/** Batches under way at a time. */
const LANES = 2
const ASK_MS = 10_000
const AGAIN_MS = 20
const GIVE_UP_MS = 120_000

export class Writer {
  readonly #options: WriterOptions
  readonly #duckdb: DuckDBConnection
  #taken = 0
  #startedMs = 0
  #stopped = false
  done = 0
  /** Requests that had to be made again. */
  again = 0

  private constructor(options: WriterOptions, duckdb: DuckDBConnection) {
    this.#options = options
    this.#duckdb = duckdb
  }

  static async make(options: WriterOptions): Promise<Writer> {
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
    return new Writer(options, await instance.connect())
  }

  stop(): void {
    this.#stopped = true
  }

  /** Rejects when nobody acknowledges a batch. */
  async run(): Promise<void> {
    this.#startedMs = performance.now()
    await Promise.all(Array.from({ length: LANES }, (_, lane) => this.#lane(lane)))
    this.#duckdb.closeSync()
  }

  async #lane(lane: number): Promise<void> {
    const { fates, count, perSecond, temporary } = this.#options
    while (!this.#stopped && this.#taken < count) {
      const inserts = fates.take(Math.min(BATCH, count - this.#taken))
      this.#taken += inserts.length
      const aheadMs = (this.#taken / perSecond) * 1000 - (performance.now() - this.#startedMs)
      if (aheadMs > 0) await sleep(aheadMs)
      const delivered = await this.#write(inserts, join(temporary, `lane-${lane}`))
      await this.#deliver(JSON.stringify(delivered))
      for (const insert of inserts) fates.acknowledged(insert)
      this.done += inserts.length
    }
  }

  async #write(inserts: readonly Insert[], temporary: string): Promise<Delivered[]> {
    const parquet = inserts.filter(({ table }) => formatOf(table) === 'PARQUET')
    const files = await this.#parquetOf(parquet, temporary)
    return inserts.map((insert) => {
      const queryId = randomUUID()
      const table = tableName(insert.table)
      const attempt = attemptName({ queryId, attempt: 1, term: 1 })
      const { partition } = insert
      const directory = partition === null ? attempt : join(attempt, `p=${partition}`)
      const base = this.#options.locations[insert.table] ?? ''
      mkdirSync(join(base, directory), { recursive: true })
      const made = files.get(insert.number)
      const path = join(directory, `part-0.${made === undefined ? 'csv' : 'parquet'}`)
      if (made === undefined) writeFileSync(join(base, path), linesOf(insert))
      else renameSync(made, join(base, path))
      const { size: bytes } = statSync(join(base, path))
      const values = partition === null ? [] : [partition]
      const file: DataFile = { path, rows: insert.rows, bytes, partition: values }
      return { queryId, table, file }
    })
  }

  /** Of all at once, which is cheaper by far: the path of each, by its number. */
  async #parquetOf(inserts: readonly Insert[], temporary: string): Promise<Map<number, string>> {
    const files = new Map<number, string>()
    const [first] = inserts
    if (first === undefined) return files
    await rm(temporary, { recursive: true, force: true })
    mkdirSync(temporary, { recursive: true })
    const numbers = inserts.map(({ number }) => number).join(', ')
    const key = `n * ${first.rows} + i`
    await this.#duckdb.run(
      `COPY (SELECT CAST(${key} AS BIGINT) AS id, 'row ' || (${key}) || ' of the day' AS note, n FROM unnest([${numbers}]) a(n), range(${first.rows}) b(i)) TO '${temporary}' (FORMAT parquet, COMPRESSION snappy, FIELD_IDS {id: 1, note: 2}, PARTITION_BY (n), OVERWRITE_OR_IGNORE)`,
    )
    for (const { number } of inserts) {
      const directory = join(temporary, `n=${number}`)
      const names = await readdir(directory)
      if (names.length !== 1) throw new Error(`${names.length} files of INSERT ${number}`)
      files.set(number, join(directory, String(names[0])))
    }
    return files
  }

  /** To one master after the other until one has acknowledged it. */
  async #deliver(body: string): Promise<void> {
    const { doors } = this.#options
    const untilMs = performance.now() + GIVE_UP_MS
    for (let round = 0; ; round += 1) {
      const { status, text } = await post(doors[this.#at] ?? '', body)
      if (status === 200) return
      if (status === 500 || performance.now() > untilMs) {
        throw new Error(`a batch was not acknowledged: ${status} ${text}`)
      }
      this.again += Number(status === 0)
      this.#at = (this.#at + 1) % doors.length
      if (round % doors.length === doors.length - 1) await sleep(AGAIN_MS)
    }
  }
  /** The door that answered last. */
  #at = 0
}

const linesOf = ({ firstKey, rows }: Insert): string =>
  Array.from({ length: rows }, (_, i) => `${firstKey + i}|${noteOf(firstKey + i)}\n`).join('')

/** Status 0: no answer. Never rejects. */
function post(socketPath: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve) => {
    const none = (error: Error): void => resolve({ status: 0, text: error.message })
    const call = request({ socketPath, method: 'POST', path: '/' }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.on('error', none)
    })
    call.setTimeout(ASK_MS, () => call.destroy(new Error('it does not answer')))
    call.on('error', none)
    call.end(body)
  })
}
