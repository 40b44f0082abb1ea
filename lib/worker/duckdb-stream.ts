/**
 * A result of DuckDB's while it is read: rows as text, a few at a time, so that neither a result nor a row takes more memory
 * than there is room for.
 */
import type { DuckDBDataChunk, DuckDBResult, DuckDBType } from '@duckdb/node-api'
import { EngineError } from './duckdb-errors.ts'
import { jsonText } from './duckdb-values.ts'

export interface EngineColumn {
  readonly name: string
  /** In DuckDB's spelling. */
  readonly type: string
}

/** A result that is computed while it is read: what is not read waits in bounded memory. */
export class EngineStream {
  readonly columns: readonly EngineColumn[]
  readonly #result: DuckDBResult
  readonly #call: (call: () => Promise<DuckDBDataChunk | null>) => Promise<DuckDBDataChunk | null>
  readonly #types: readonly DuckDBType[]
  #left: ChunkRows | null = null

  constructor(
    result: DuckDBResult,
    call: (call: () => Promise<DuckDBDataChunk | null>) => Promise<DuckDBDataChunk | null>,
  ) {
    this.#result = result
    this.#call = call
    this.#types = result.columnTypes()
    this.columns = result
      .columnNames()
      .map((name, i) => ({ name, type: String(this.#types[i]?.toString()) }))
  }

  /** Returns the next rows, each one a JSON array as text; null at the end. Rejects with EngineError. */
  async next(): Promise<string[] | null> {
    if (this.#left === null || this.#left.done) {
      const chunk = await this.#call(() => this.#result.fetchChunk())
      if (chunk === null || chunk.rowCount === 0) return null
      this.#left = new ChunkRows(chunk, this.#types)
    }
    return this.#left.take()
  }
}

/** A chunk has 2048 rows, whatever their size: as text they are made a few at a time. */
const CHARS_AT_A_TIME = 1024 * 1024
/** What a client takes in one line is more than three times that. */
const LONGEST_ROW_CHARS = 64 * 1024 * 1024

class ChunkRows {
  readonly #columns: ReturnType<DuckDBDataChunk['getColumnVector']>[]
  readonly #types: readonly DuckDBType[]
  readonly #count: number
  #next = 0

  constructor(chunk: DuckDBDataChunk, types: readonly DuckDBType[]) {
    this.#count = chunk.rowCount
    this.#types = types
    this.#columns = Array.from({ length: chunk.columnCount }, (_, i) => chunk.getColumnVector(i))
  }

  get done(): boolean {
    return this.#next >= this.#count
  }

  take(): string[] {
    const rows: string[] = []
    for (let chars = 0; chars < CHARS_AT_A_TIME && !this.done; this.#next++) {
      const row = this.#row(this.#next)
      chars += row.length
      rows.push(row)
    }
    return rows
  }

  #row(at: number): string {
    let text = '['
    try {
      for (const [i, column] of this.#columns.entries()) {
        text += `${i === 0 ? '' : ','}${jsonText(column.getItem(at), this.#types[i] ?? null)}`
        if (text.length > LONGEST_ROW_CHARS) throw rowTooLong()
      }
    } catch (error) {
      throw isTooLong(error) ? rowTooLong(error) : error
    }
    return `${text}]`
  }
}

const rowTooLong = (cause?: unknown): EngineError =>
  new EngineError(
    'statement',
    `a row of the result is longer than ${LONGEST_ROW_CHARS} characters: select parts of it, or write it with INSERT`,
    null,
    cause,
  )

/** What Node has for a text beyond its longest. */
const isTooLong = (error: unknown): boolean =>
  error instanceof Error &&
  (('code' in error && error.code === 'ERR_STRING_TOO_LONG') ||
    error.message.includes('Cannot create a string longer') ||
    error.message === 'Invalid string length')
