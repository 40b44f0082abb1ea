/**
 * What a batch changes in the tables of a database, as a text that is kept beside them (`catalog_changes`) and written in the
 * same transaction: whoever knows the rows as they were before it (sql-known.ts) has them as they are now, and need not read
 * them all again. Each row is said with its number, so that what is made of the text is what a reading would give.
 *
 * A text is cut in pieces, each of which can be taken for itself. What is longer than is worth while is not kept: in its
 * place stands that it isn't, and everybody reads the tables.
 */
import type { Column, DataFile, Table } from '../model.ts'

/** Those whose rows are found by a number of their own. */
export const NUMBERED = ['databases', 'outcomes', 'litter', 'publications'] as const
export type Numbered = (typeof NUMBERED)[number]

/** All of a table but its columns, options and files. */
export type TableHead = Omit<Table, 'columns' | 'partitionColumns' | 'options' | 'files'>

export type RowChange =
  /** The rows with these keys go, and so do those whose keys are put: a row that is replaced comes last. */
  | {
      readonly do: 'rows'
      readonly of: Numbered
      readonly gone: readonly string[]
      readonly put: readonly (readonly [number, object])[]
    }
  | { readonly do: 'tables-gone'; readonly ids: readonly number[] }
  /** Comes before all else that is said of a new table. */
  | { readonly do: 'head'; readonly head: TableHead }
  | {
      readonly do: 'columns'
      readonly table: number
      readonly columns: readonly Column[]
      readonly partitionColumns: readonly Column[]
    }
  | { readonly do: 'options'; readonly table: number; readonly options: Table['options'] }
  | { readonly do: 'files-gone'; readonly table: number }
  /** Of one partition: rows go by their numbers, and others, with higher numbers, come. */
  | {
      readonly do: 'files'
      readonly table: number
      readonly partition: DataFile['partition']
      readonly gone: readonly number[]
      readonly come: readonly (readonly [number, string, number | null, number])[]
    }
  /** Too much to be said here. */
  | { readonly do: 'read-all' }

const PIECE_CHARS = 256 * 1024
/** A value that is longer by itself, and everything together. */
const CHANGE_CHARS = 1024 * 1024
const BATCH_CHARS = 16 * 1024 * 1024
/** Of a list of changes so many go into one. */
const ROWS = 1000

const READ_ALL: RowChange = { do: 'read-all' }

/** Takes what a batch changes, and gives the pieces of its text: at least one. */
export class ChangeText {
  #pieces: string[] = []
  #piece = ''
  #chars = 0

  add(change: RowChange): void {
    if (this.#chars > BATCH_CHARS) return
    const text = JSON.stringify(change)
    this.#chars += text.length > CHANGE_CHARS ? Number.POSITIVE_INFINITY : text.length
    if (this.#chars > BATCH_CHARS) {
      this.#pieces = []
      this.#piece = JSON.stringify(READ_ALL)
      return
    }
    if (this.#piece.length + text.length > PIECE_CHARS) this.#cut()
    this.#piece += this.#piece === '' ? text : `,${text}`
  }

  addRows(
    of: Numbered,
    gone: readonly string[],
    put: readonly (readonly [number, object])[],
  ): void {
    for (const some of chunks(gone)) this.add({ do: 'rows', of, gone: some, put: [] })
    for (const some of chunks(put)) this.add({ do: 'rows', of, gone: [], put: some })
  }

  addFiles(
    of: Pick<Extract<RowChange, { do: 'files' }>, 'table' | 'partition'>,
    gone: readonly number[],
    come: readonly (readonly [number, string, number | null, number])[],
  ): void {
    for (const some of chunks(gone)) this.add({ do: 'files', ...of, gone: some, come: [] })
    for (const some of chunks(come)) this.add({ do: 'files', ...of, gone: [], come: some })
  }

  pieces(): string[] {
    this.#cut()
    return this.#pieces
  }

  #cut(): void {
    if (this.#piece !== '' || this.#pieces.length === 0) this.#pieces.push(`[${this.#piece}]`)
    this.#piece = ''
  }
}

function* chunks<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += ROWS) yield all.slice(from, from + ROWS)
}

/** Of a piece. Throws SyntaxError where it is none. */
export const changesIn = (piece: string): RowChange[] => JSON.parse(piece) as RowChange[]
