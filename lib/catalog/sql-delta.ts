/**
 * Writes what a batch changes (`Delta`, worked out by the model) as rows, inside the caller's transaction. Costs what
 * changes, not what the catalog holds: of a table with 100,000 files an append inserts the new ones.
 */
import { FileList, type FilePiece, type PieceChanges } from './file-list.ts'
import type { Column, DataFile, Table } from './model.ts'
import { placeholders, type SqlConnection, type SqlValue } from './sql-connection.ts'
import { toSqlText } from './sql-text.ts'
import type { Delta } from './state.ts'

/** Which row is which, so that rows are found by number; as of the last commit. */
export interface RowNumbers {
  /** `file_no` of the files of each piece of each table, in their order. */
  readonly files: WeakMap<FilePiece, readonly number[]>
  /** By name, query id, path, query id. */
  readonly databases: Map<string, number>
  readonly outcomes: Map<string, number>
  readonly litter: Map<string, number>
  readonly publications: Map<string, number>
  /** The next number of whatever is numbered; numbers of what was rolled back are left out. */
  next: number
}

/** One statement stays below this, as MySQL's packets are limited (16 MiB by default in MariaDB). */
const STATEMENT_BYTES = 1024 * 1024
const STATEMENT_ROWS = 500

/** Answers what brings `numbers` up to date once the transaction is committed. Rejects SqlFailure. */
export async function writeDelta(
  connection: SqlConnection,
  delta: Delta,
  numbers: RowNumbers,
): Promise<() => void> {
  const writer = new DeltaWriter(connection, numbers)
  await writer.write(delta)
  return () => {
    for (const note of writer.notes) note()
  }
}

class DeltaWriter {
  /** Carried out after the commit. */
  readonly notes: (() => void)[] = []
  readonly #numbers: RowNumbers
  readonly #connection: SqlConnection

  constructor(connection: SqlConnection, numbers: RowNumbers) {
    this.#connection = connection
    this.#numbers = numbers
  }

  async write(delta: Delta): Promise<void> {
    const { databases, tables, outcomes, litter, publications } = delta
    await this.#deleteTables(tables.gone)
    for (const { before, after } of tables.put) await this.#putTable(before, after)
    await this.#putNumbered('databases', 'database_no', databases, ({ name, createdAt }) => ({
      key: name,
      row: [toSqlText(name), createdAt],
    }))
    await this.#putNumbered('outcomes', 'outcome_no', outcomes, (outcome) => ({
      key: outcome.queryId,
      row: [
        toSqlText(outcome.queryId),
        outcome.state,
        toSqlText(outcome.message),
        outcome.rows,
        Math.round(outcome.atMs),
        outcome.kind ?? null,
      ],
    }))
    await this.#putNumbered('litter', 'litter_no', litter, ({ path, sinceMs }) => ({
      key: path,
      row: [toSqlText(path), Math.round(sinceMs)],
    }))
    await this.#putNumbered('publications', 'publication_no', publications, (publication) => ({
      key: publication.queryId,
      row: [publication.queryId, publication.staging, publication.location].map(toSqlText),
    }))
  }

  /** Rows that are there already under their key are replaced, and go to the end. */
  async #putNumbered<V>(
    name: 'databases' | 'outcomes' | 'litter' | 'publications',
    column: string,
    { put, gone }: { readonly put: readonly V[]; readonly gone: readonly string[] },
    toRow: (value: V) => { key: string; row: readonly SqlValue[] },
  ): Promise<void> {
    const known = this.#numbers[name]
    const rows = put.map(toRow)
    const old = [...gone, ...rows.map(({ key }) => key)].map((key) => known.get(key))
    const numbers = old.filter((number) => number !== undefined)
    await this.#delete(`catalog_${name}`, column, numbers)
    const fresh = rows.map(({ key, row }) => ({ key, number: this.#numbers.next++, row }))
    await this.#insert(
      `catalog_${name}`,
      fresh.map(({ number, row }) => [number, ...row]),
    )
    this.notes.push(() => {
      for (const key of gone) known.delete(key)
      for (const { key, number } of fresh) known.set(key, number)
    })
  }

  async #putTable(before: Table | null, after: Table): Promise<void> {
    const table = headOf(after)
    if (before === null) {
      await this.#insert('catalog_tables', [[after.id, ...table]])
    } else if (headOf(before).some((value, at) => value !== table[at])) {
      await this.#connection.query(
        'UPDATE catalog_tables SET database_name = ?, name = ?, kind = ?, format = ?, location = ?, whole_directory = ?, schema_version = ?, created_at = ?, content_version = ? WHERE table_id = ?',
        [...table, after.id],
      )
    }
    if (before?.columns !== after.columns || before.partitionColumns !== after.partitionColumns) {
      if (before !== null) await this.#delete('catalog_columns', 'table_id', [after.id])
      await this.#insert('catalog_columns', [
        ...columnRows(after.id, false, after.columns),
        ...columnRows(after.id, true, after.partitionColumns),
      ])
    }
    if (before?.options !== after.options) {
      if (before !== null) await this.#delete('catalog_options', 'table_id', [after.id])
      await this.#insert(
        'catalog_options',
        Object.entries(after.options).map(([name, value], at) => [
          after.id,
          at,
          toSqlText(name),
          toSqlText(value),
        ]),
      )
    }
    await this.#putFiles(before, after)
  }

  async #putFiles(before: Table | null, after: Table): Promise<void> {
    const old = before?.files ?? FileList.EMPTY
    const gone: number[] = []
    const rows: SqlValue[][] = []
    for (const changes of old.differencesTo(after.files)) {
      this.#putPieces(changes, gone, ({ path, rows: count, bytes, partition }) => {
        const number = this.#numbers.next++
        const values = JSON.stringify(partition)
        rows.push([after.id, number, toSqlText(path), count, bytes, values])
        return number
      })
    }
    if (gone.length > 0 && gone.length === old.length) {
      await this.#delete('catalog_files', 'table_id', [after.id])
    } else {
      await this.#delete('catalog_files', 'file_no', gone, { table_id: after.id })
    }
    await this.#insert('catalog_files', rows)
  }

  /**
   * A file that is the same before and after stays, unless one that comes anew stands before it in its partition: their
   * numbers are their order. Its row goes, and it comes anew, too.
   */
  #putPieces(changes: PieceChanges, gone: number[], insert: (file: DataFile) => number): void {
    if (this.#putInOrder(changes, gone, insert)) return
    for (const piece of changes.behind()) {
      for (const number of this.#numbers.files.get(piece) ?? []) gone.push(number)
      const numbers = Array.from(piece, insert)
      this.notes.push(() => this.#numbers.files.set(piece, numbers))
    }
  }

  /** False when those behind have to come anew as well. */
  #putInOrder(changes: PieceChanges, gone: number[], insert: (file: DataFile) => number): boolean {
    const left = new Map<string, number>()
    for (const file of filesOf(changes.come))
      left.set(keyOf(file), (left.get(keyOf(file)) ?? 0) + 1)
    const stay: { key: string; number: number }[] = []
    for (const piece of changes.gone) {
      const numbers = this.#numbers.files.get(piece) ?? []
      for (const [at, file] of [...piece].entries()) {
        const number = numbers[at]
        if (number === undefined) throw new Error(`${file.path} has no row number`)
        const key = keyOf(file)
        const count = left.get(key) ?? 0
        left.set(key, count - 1)
        if (count > 0) stay.push({ key, number })
        else gone.push(number)
      }
    }
    let next = 0
    let inOrder = true
    for (const piece of changes.come) {
      const numbers = Array.from(piece, (file) => {
        const known = stay[next]
        inOrder = inOrder && known?.key === keyOf(file)
        if (!inOrder || known === undefined) return insert(file)
        next += 1
        return known.number
      })
      this.notes.push(() => this.#numbers.files.set(piece, numbers))
    }
    for (const { number } of stay.slice(next)) gone.push(number)
    return inOrder
  }

  async #deleteTables(ids: readonly number[]): Promise<void> {
    for (const table of ['files', 'options', 'columns', 'tables']) {
      await this.#delete(`catalog_${table}`, 'table_id', ids)
    }
  }

  async #delete(
    table: string,
    column: string,
    keys: readonly SqlValue[],
    within: Readonly<Record<string, SqlValue>> = {},
  ): Promise<void> {
    const more = Object.keys(within).map((name) => `${name} = ? AND `)
    for (const chunk of chunksOf(keys.map((key) => [key]))) {
      const list = placeholders(1, chunk.length)
      await this.#connection.query(
        `DELETE FROM ${table} WHERE ${more.join('')}${column} IN ${list}`,
        [...Object.values(within), ...chunk.flat()],
      )
    }
  }

  async #insert(table: string, rows: readonly (readonly SqlValue[])[]): Promise<void> {
    for (const chunk of chunksOf(rows)) {
      const values = placeholders(chunk.length, chunk[0]?.length ?? 0)
      await this.#connection.query(`INSERT INTO ${table} VALUES ${values}`, chunk.flat())
    }
  }
}

const filesOf = (pieces: readonly FilePiece[]) => pieces.flatMap((piece) => [...piece])
const keyOf = ({ path, rows, bytes }: DataFile): string => JSON.stringify([path, rows, bytes])

const headOf = (table: Table): SqlValue[] => [
  toSqlText(table.database),
  toSqlText(table.name),
  table.kind,
  table.format,
  toSqlText(table.location),
  table.wholeDirectory,
  table.schemaVersion,
  table.createdAt,
  table.contentVersion ?? null,
]

const columnRows = (
  tableId: number,
  isPartition: boolean,
  columns: readonly Column[],
): SqlValue[][] =>
  columns.map(({ name, type }, at) => [tableId, isPartition, at, toSqlText(name), toSqlText(type)])

/** Cuts rows into what one statement takes; a single row may be larger. */
function* chunksOf(rows: readonly (readonly SqlValue[])[]): Generator<(readonly SqlValue[])[]> {
  let chunk: (readonly SqlValue[])[] = []
  let bytes = 0
  for (const row of rows) {
    const rowBytes = row.reduce<number>(
      (sum, value) => sum + (typeof value === 'string' ? value.length * 3 : 8),
      0,
    )
    if (
      chunk.length === STATEMENT_ROWS ||
      (chunk.length > 0 && bytes + rowBytes > STATEMENT_BYTES)
    ) {
      yield chunk
      chunk = []
      bytes = 0
    }
    chunk.push(row)
    bytes += rowBytes
  }
  if (chunk.length > 0) yield chunk
}
