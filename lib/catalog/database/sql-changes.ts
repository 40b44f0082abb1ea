/**
 * What a batch changes in the tables of a database, as a text that is kept beside them (`catalog_changes`) and written
 * in the same transaction: whoever knows the rows as they were before it (sql-known.ts) has them as they are now, and
 * need not read them all again. Each row is said with its number, so that what is made of the text is what a reading
 * would give.
 *
 * A text is cut in pieces, each of which can be taken for itself. What is longer than is worth while is not kept: in its
 * place stands that it isn't, and everybody reads the tables.
 *
 * The history of a catalog is kept in its database. Each transaction leaves a mark in the row with the term, with a
 * random part and with the row's own numbers in it, and beside the tables it leaves what it has changed: the mark before
 * it, the mark that it leads to, and the changes. So whoever knows the catalog as of some mark finds from there what
 * came after, and finds no way to the row's mark where the database was brought back, was made anew, or where too much
 * has come since.
 *
 * A row whose numbers are not those of its mark was changed by somebody who knows nothing of marks: a hand, or a master
 * of an earlier version. It has no mark then, and the next transaction begins a new history. To have all that is there
 * read by everybody, after changing other rows by hand, the mark is set to NULL.
 */
import { randomBytes } from 'node:crypto'
import { Slices } from '../../base/slices.ts'
import type { Column, DataFile, Table } from '../model.ts'
import { placeholders, type SqlConnection, type SqlRow, type SqlSession } from './sql-connection.ts'
import type { KeptChange, KnownRows } from './sql-known.ts'

/** What the row with the term says of itself. */
export interface Place {
  /** Of the last change that is kept; 0 for none. */
  readonly no: number
  /** Null: nobody can tell. */
  readonly mark: string | null
}
export type MarkedPlace = Place & { readonly mark: string }

interface Counted {
  readonly term: number
  readonly opening: number
  readonly kept: number
}

const numbersOf = ({ term, opening, kept }: Counted): string => `${term}.${opening}.${kept}.`

/** Makes the mark of a transaction that leaves these numbers in the row. */
const newMark = (row: Counted): string => numbersOf(row) + randomBytes(8).toString('hex')

/** An earlier version's row has neither column. */
export function placeIn(row: SqlRow, counted: Counted): Place {
  const { change_no: no, mark } = row
  const isGood = typeof mark === 'string' && mark.startsWith(numbersOf(counted))
  return { no: Number(no ?? 0), mark: isGood ? mark : null }
}

/** So many changes are kept: whoever is farther behind reads all. */
const KEPT_CHANGES = 5000
/** They go so many at a time. */
const GONE_CHANGES = 1000
/** A page is held as a whole: of changes as long as they may be, 25 MB. */
const PAGE_CHANGES = 100

interface NewChange {
  readonly pieces: readonly string[]
  readonly nextTableId: number
}

/**
 * Removes what is kept beyond that place: where somebody has brought back only the row with the term, the next changes take
 * these numbers.
 */
export async function forgetBeyond(connection: SqlConnection, { no }: Place): Promise<void> {
  await connection.query('DELETE FROM catalog_changes WHERE change_no > ?', [no])
}

/**
 * Inside the caller's transaction, which has to put what this answers into the row with the term. What changes is kept for
 * those who follow, where there may be any.
 */
export async function keepChange(
  { connection, dialect }: SqlSession,
  { before, row }: { readonly before: Place; readonly row: Counted },
  { pieces, nextTableId }: NewChange,
): Promise<MarkedPlace> {
  let { no } = before
  if (!dialect.isFollowed) return { no, mark: newMark(row) }
  // Follows nothing, where nobody can tell what was before.
  let mark = before.mark ?? ''
  for (const piece of pieces) {
    const follows = mark
    mark = newMark(row)
    no += 1
    await connection.query(
      `INSERT INTO catalog_changes (change_no, follows, mark, next_table_id, changes) VALUES ${placeholders(1, 5)}`,
      [no, follows, mark, nextTableId, piece],
    )
    if (no % GONE_CHANGES === 0) {
      await connection.query('DELETE FROM catalog_changes WHERE change_no <= ?', [
        no - KEPT_CHANGES,
      ])
    }
  }
  return { no, mark }
}

/**
 * Brings what is known up to that place, or beyond where more has come meanwhile. False where no way leads there: it is good
 * for nothing any more. `isOurs` is asked before each change: false ends it, and another one has what is known in hand.
 * Rejects SqlFailure.
 */
export async function catchUp(
  connection: SqlConnection,
  known: KnownRows,
  to: MarkedPlace,
  isOurs: () => boolean = () => true,
): Promise<boolean> {
  const slices = new Slices()
  let isReached = known.mark === to.mark
  while (!isReached) {
    const rows = await connection.query(
      `SELECT * FROM catalog_changes WHERE change_no > ? ORDER BY change_no LIMIT ${PAGE_CHANGES}`,
      [known.no],
    )
    for (const row of rows) {
      if (!isOurs()) return true
      if (!hasTaken(known, keptIn(row))) return false
      isReached ||= known.mark === to.mark
      if (slices.isOver) await slices.turn()
    }
    if (rows.length === 0) return false
  }
  return true
}

function hasTaken(known: KnownRows, change: KeptChange): boolean {
  try {
    known.take(change)
    return true
  } catch {
    // Whatever it was: the tables say what is true, and they are read next.
    return false
  }
}

const keptIn = (row: SqlRow): KeptChange => ({
  no: Number(row.change_no),
  follows: String(row.follows),
  mark: String(row.mark),
  changes: String(row.changes),
  nextTableId: Number(row.next_table_id),
})

/** Those whose rows are found by a number of their own. */
const NUMBERED = ['databases', 'outcomes', 'litter', 'publications', 'users'] as const
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
