/**
 * Writes what a batch changes (`Delta`, worked out by the model) as rows, inside the caller's transaction. Costs what
 * changes, not what the catalog holds: of a table with 100,000 files an append inserts the new ones.
 */
import type { Column, Table } from './model.ts'
import { placeholders, type SqlConnection, type SqlValue } from './sql-connection.ts'
import { toSqlText } from './sql-text.ts'
import type { Delta } from './state.ts'

/** Which row is which, so that rows are found by number; as of the last commit. */
export interface RowNumbers {
  /** `file_no` of each table's files, in their order. */
  readonly files: Map<number, readonly number[]>
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

  /** What is the same object before and after, in the same order, stays; the rest is deleted and inserted. */
  async #putFiles(before: Table | null, after: Table): Promise<void> {
    const numbersBefore = this.#numbers.files.get(after.id) ?? []
    const numbers: number[] = []
    const gone: number[] = []
    before?.files.forEach((file, at) => {
      const number = numbersBefore[at]
      if (number === undefined) throw new Error(`table ${after.id}: file ${at} has no row number`)
      ;(file === after.files[numbers.length] ? numbers : gone).push(number)
    })
    const fresh = after.files.slice(numbers.length)
    if (gone.length > 0 && numbers.length === 0) {
      await this.#delete('catalog_files', 'table_id', [after.id])
    } else {
      await this.#delete('catalog_files', 'file_no', gone, { table_id: after.id })
    }
    const rows = fresh.map((file) => {
      const number = this.#numbers.next++
      numbers.push(number)
      const values = JSON.stringify(file.partition)
      return [after.id, number, toSqlText(file.path), file.rows, file.bytes, values]
    })
    await this.#insert('catalog_files', rows)
    this.notes.push(() => this.#numbers.files.set(after.id, numbers))
  }

  async #deleteTables(ids: readonly number[]): Promise<void> {
    for (const table of ['files', 'options', 'columns', 'tables']) {
      await this.#delete(`catalog_${table}`, 'table_id', ids)
    }
    this.notes.push(() => {
      for (const id of ids) this.#numbers.files.delete(id)
    })
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
