/**
 * A result of DuckDB's while it is read: rows as text, a few at a time, so that neither a result nor a row takes more memory
 * than there is room for. A row with long lists is made in slices, and can be interrupted.
 */
import type { DuckDBDataChunk, DuckDBResult, DuckDBVector } from '@duckdb/node-api'
import { Slices } from '../base/slices.ts'
import { EngineError, interrupted } from './duckdb-errors.ts'
import { isNested, pieces, plainText } from './duckdb-values.ts'

export interface EngineColumn {
  readonly name: string
  /** In DuckDB's spelling. */
  readonly type: string
}

/** Whoever reads a type's text takes it apart, and is held up by a long one. */
const LONGEST_TYPE_CHARS = 32 * 1024
const LONGEST_COLUMNS_CHARS = 1024 * 1024

/** Throws EngineError for columns whose names and types nobody can be told. */
export function toldColumns(columns: readonly EngineColumn[]): readonly EngineColumn[] {
  let chars = 0
  for (const { name, type } of columns) {
    chars += name.length + type.length
    if (type.length <= LONGEST_TYPE_CHARS && chars <= LONGEST_COLUMNS_CHARS) continue
    const text = `the type of column ${name.slice(0, 100)} is too long: ${type.length} characters, of ${LONGEST_TYPE_CHARS} at most, and ${LONGEST_COLUMNS_CHARS} for all names and types`
    throw new EngineError('statement', text, null)
  }
  return columns
}

interface StreamCalls {
  /** Makes the call, and tells its errors as EngineErrors. */
  readonly call: (call: () => Promise<DuckDBDataChunk | null>) => Promise<DuckDBDataChunk | null>
  readonly isInterrupted: () => boolean
}

/** A result that is computed while it is read: what is not read waits in bounded memory. */
export class EngineStream {
  readonly columns: readonly EngineColumn[]
  readonly #result: DuckDBResult
  readonly #calls: StreamCalls
  #left: ChunkRows | null = null

  constructor(result: DuckDBResult, calls: StreamCalls) {
    this.#result = result
    this.#calls = calls
    const types = result.columnTypes()
    this.columns = toldColumns(
      result.columnNames().map((name, i) => ({ name, type: String(types[i]?.toString()) })),
    )
  }

  /** Returns the next rows, each one a JSON array as text; null at the end. Rejects with EngineError. */
  async next(): Promise<string[] | null> {
    const { call, isInterrupted } = this.#calls
    if (this.#left === null || this.#left.done) {
      const chunk = await call(() => this.#result.fetchChunk())
      if (chunk === null || chunk.rowCount === 0) return null
      this.#left = new ChunkRows(chunk, isInterrupted)
    }
    return this.#left.take()
  }
}

/** A chunk has 2048 rows, whatever their size: as text they are made a few at a time. */
const CHARS_AT_A_TIME = 1024 * 1024
/** What a client takes in one line is more than three times that. */
const LONGEST_ROW_CHARS = 64 * 1024 * 1024

/** The rows of a chunk that nobody has taken yet. */
export class ChunkRows {
  readonly #columns: readonly { readonly vector: DuckDBVector; readonly nested: boolean }[]
  readonly #isInterrupted: () => boolean
  readonly #count: number
  #next = 0

  constructor(chunk: DuckDBDataChunk, isInterrupted: () => boolean) {
    this.#count = chunk.rowCount
    this.#isInterrupted = isInterrupted
    this.#columns = Array.from({ length: chunk.columnCount }, (_, i) => {
      const vector = chunk.getColumnVector(i)
      return { vector, nested: isNested(vector) }
    })
  }

  get done(): boolean {
    return this.#next >= this.#count
  }

  /** Returns some of them. Rejects with EngineError. */
  async take(): Promise<string[]> {
    const rows: string[] = []
    const slices = this.#columns.some(({ nested }) => nested) ? new Slices() : null
    for (let chars = 0; chars < CHARS_AT_A_TIME && !this.done; this.#next++) {
      const text = new RowText()
      for (const { vector, nested } of this.#columns) {
        text.next()
        if (!nested) text.add(() => plainText(vector, this.#next))
        else if (slices !== null) await this.#addParts(text, vector, slices)
      }
      const row = text.end()
      chars += row.length
      rows.push(row)
    }
    return rows
  }

  async #addParts(text: RowText, vector: DuckDBVector, slices: Slices): Promise<void> {
    const parts = pieces(vector, this.#next)
    while (text.add(() => parts.next().value ?? null)) {
      if (!slices.isOver) continue
      await slices.turn()
      if (this.#isInterrupted()) throw interrupted()
    }
  }
}

/** So much is put together at a time: a text that is made of single characters takes thirty times its length. */
const JOINED_CHARS = 16 * 1024

/** A row's text, which has a bound. */
class RowText {
  #text = ''
  #parts: string[] = []
  #chars = 0

  /** Another value begins. */
  next(): void {
    this.#push(this.#text === '' && this.#chars === 0 ? '[' : ',')
  }

  /** False where there is nothing more to be added. Throws EngineError where it gets too long. */
  add(make: () => string | null): boolean {
    try {
      const piece = make()
      this.#push(piece ?? '')
      if (this.#text.length + this.#chars > LONGEST_ROW_CHARS) throw rowTooLong()
      return piece !== null
    } catch (error) {
      throw isTooLong(error) ? rowTooLong(error) : error
    }
  }

  end(): string {
    this.#join()
    return `${this.#text}]`
  }

  #push(piece: string): void {
    this.#parts.push(piece)
    this.#chars += piece.length
    if (this.#chars >= JOINED_CHARS) this.#join()
  }

  #join(): void {
    this.#text += this.#parts.join('')
    this.#parts = []
    this.#chars = 0
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
