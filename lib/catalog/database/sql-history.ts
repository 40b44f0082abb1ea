/**
 * The history of a catalog in a database. Each transaction leaves a mark in the row with the term, with a random part and with
 * the row's own numbers in it, and beside the tables it leaves what it has changed: the mark before it, the mark that it
 * leads to, and the changes (sql-changes.ts). So whoever knows the catalog as of some mark finds from there what came after,
 * and finds no way to the row's mark where the database was brought back, was made anew, or where too much has come since.
 *
 * A row whose numbers are not those of its mark was changed by somebody who knows nothing of marks: a hand, or a master of an
 * earlier version. It has no mark then, and the next transaction begins a new history. To have all that is there read by
 * everybody, after changing other rows by hand, the mark is set to NULL.
 */
import { randomBytes } from 'node:crypto'
import { Slices } from '../../base/slices.ts'
import { placeholders, type SqlConnection, type SqlRow } from './sql-connection.ts'
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

/** For a transaction that leaves these numbers in the row. */
export const newMark = (row: Counted): string => numbersOf(row) + randomBytes(8).toString('hex')

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

export interface NewChange {
  readonly pieces: readonly string[]
  readonly nextTableId: number
}

/** Where somebody has brought back only the row with the term, the next numbers are taken. */
export async function forgetBeyond(connection: SqlConnection, { no }: Place): Promise<void> {
  await connection.query('DELETE FROM catalog_changes WHERE change_no > ?', [no])
}

/** Inside the caller's transaction, which has to put what this answers into the row with the term. */
export async function keepChange(
  connection: SqlConnection,
  { before, row }: { readonly before: Place; readonly row: Counted },
  { pieces, nextTableId }: NewChange,
): Promise<MarkedPlace> {
  let { no } = before
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
