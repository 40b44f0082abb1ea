/**
 * Writes what a batch changes (`Delta`, worked out by the model) as rows, inside the caller's transaction. Costs what
 * changes, not what the catalog holds: of a table with 100,000 files an append inserts the new ones. What it has done to the
 * rows it gives as a text, too, for those who follow (sql-changes.ts).
 */
import { FileList } from '../file-list.ts'
import type { FilePiece, PieceChanges } from '../file-partition.ts'
import type { Column, DataFile, Table } from '../model.ts'
import type { Delta } from '../state.ts'
import { ChangeText, type Numbered, type TableHead } from './sql-changes.ts'
import { placeholders, type SqlConnection, type SqlValue, toSqlText } from './sql-connection.ts'

/** Which row is which, so that rows are found by number; as of the last commit. */
export interface RowNumbers {
  /** Holds `file_no` of the files of each piece of each table, in their order. */
  readonly files: WeakMap<FilePiece, readonly number[]>
  /** By name, query id, path, query id, name. */
  readonly databases: Map<string, number>
  readonly outcomes: Map<string, number>
  readonly litter: Map<string, number>
  readonly publications: Map<string, number>
  readonly users: Map<string, number>
  /** The next number of whatever is numbered; numbers of what was rolled back are left out. */
  next: number
}

/** One statement stays below this, as MySQL's packets are limited (16 MiB by default in MariaDB). */
const STATEMENT_BYTES = 1024 * 1024
const STATEMENT_ROWS = 500

interface Written {
  /** What was done, in pieces. */
  readonly changes: readonly string[]
  /** To be called once the transaction is committed: brings the numbers up to date. */
  readonly note: () => void
}

/** Rejects SqlFailure. */
export async function writeDelta(
  connection: SqlConnection,
  delta: Delta,
  numbers: RowNumbers,
): Promise<Written> {
  const writer = new DeltaWriter(connection, numbers)
  await writer.write(delta)
  const note = () => {
    for (const each of writer.notes) each()
  }
  return { changes: writer.text.pieces(), note }
}

class DeltaWriter {
  /** Carried out after the commit. */
  readonly notes: (() => void)[] = []
  readonly text = new ChangeText()
  readonly #numbers: RowNumbers
  readonly #connection: SqlConnection

  constructor(connection: SqlConnection, numbers: RowNumbers) {
    this.#connection = connection
    this.#numbers = numbers
  }

  async write(delta: Delta): Promise<void> {
    const { databases, tables, outcomes, litter, publications, users } = delta
    await this.#deleteTables(tables.gone)
    if (tables.gone.length > 0) this.text.add({ do: 'tables-gone', ids: tables.gone })
    for (const { before, after } of tables.put) await this.#putTable(before, after)
    await this.#putNumbered('databases', databases, (database) => {
      const { name, createdAt } = database
      return { key: name, value: database, row: [toSqlText(name), createdAt] }
    })
    await this.#putNumbered('outcomes', outcomes, (outcome) => {
      const { queryId, state, message, rows, kind } = outcome
      const atMs = Math.round(outcome.atMs)
      return {
        key: queryId,
        value: { ...outcome, atMs },
        row: [toSqlText(queryId), state, toSqlText(message), rows, atMs, kind ?? null],
      }
    })
    await this.#putNumbered('litter', litter, (one) => {
      const { path } = one
      const sinceMs = Math.round(one.sinceMs)
      const joinedMs = one.joinedMs === undefined ? null : Math.round(one.joinedMs)
      const value = { path, sinceMs, ...(joinedMs === null ? {} : { joinedMs }) }
      return { key: path, value, row: [toSqlText(path), sinceMs, joinedMs] }
    })
    await this.#putNumbered('publications', publications, (publication) => {
      const { queryId, staging, location } = publication
      return { key: queryId, value: publication, row: [queryId, staging, location].map(toSqlText) }
    })
    await this.#putNumbered('users', users, (user) => {
      const { name, verifier, createdAt, grants } = user
      const row = [name, verifier, createdAt, JSON.stringify(grants)]
      return { key: name, value: user, row: row.map(toSqlText) }
    })
  }

  /** Rows that are there already under their key are replaced, and go to the end. */
  async #putNumbered<V>(
    name: Numbered,
    { put, gone }: { readonly put: readonly V[]; readonly gone: readonly string[] },
    toRow: (value: V) => { key: string; value: object; row: readonly SqlValue[] },
  ): Promise<void> {
    const known = this.#numbers[name]
    const rows = put.map(toRow)
    const old = [...gone, ...rows.map(({ key }) => key)].map((key) => known.get(key))
    const numbers = old.filter((number) => number !== undefined)
    await this.#delete(`catalog_${name}`, NUMBER_COLUMNS[name], numbers)
    const fresh = rows.map((one) => ({ ...one, number: this.#numbers.next++ }))
    await this.#insert(
      `catalog_${name}`,
      fresh.map(({ number, row }) => [number, ...row]),
    )
    this.text.addRows(
      name,
      gone,
      fresh.map(({ number, value }) => [number, value]),
    )
    this.notes.push(() => {
      for (const key of gone) known.delete(key)
      for (const { key, number } of fresh) known.set(key, number)
    })
  }

  async #putTable(before: Table | null, after: Table): Promise<void> {
    const table = headOf(after)
    const { id, columns, partitionColumns, options } = after
    if (before === null) {
      await this.#insert('catalog_tables', [[after.id, ...table]])
      this.text.add({ do: 'head', head: plainHeadOf(after) })
    } else if (headOf(before).some((value, at) => value !== table[at])) {
      await this.#connection.query(
        'UPDATE catalog_tables SET database_name = ?, name = ?, kind = ?, format = ?, location = ?, whole_directory = ?, schema_version = ?, created_at = ?, content_version = ?, owner = ? WHERE table_id = ?',
        [...table, after.id],
      )
      this.text.add({ do: 'head', head: plainHeadOf(after) })
    }
    if (before?.columns !== after.columns || before.partitionColumns !== after.partitionColumns) {
      if (before !== null) await this.#delete('catalog_columns', 'table_id', [after.id])
      await this.#insert('catalog_columns', [
        ...columnRows(after.id, false, after.columns),
        ...columnRows(after.id, true, after.partitionColumns),
      ])
      this.text.add({ do: 'columns', table: id, columns, partitionColumns })
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
      this.text.add({ do: 'options', table: id, options })
    }
    await this.#putFiles(before, after)
  }

  async #putFiles(before: Table | null, { id, files }: Table): Promise<void> {
    const old = before?.files ?? FileList.EMPTY
    const parts: PartitionRows[] = []
    let [gone, come] = [0, 0]
    for (const changes of old.differencesTo(files)) {
      const part: PartitionRows = { partition: partitionOf(changes), gone: [], come: [] }
      this.#putPieces(changes, part.gone, ({ path, rows, bytes }) => {
        const number = this.#numbers.next++
        part.come.push([number, path, rows, bytes])
        return number
      })
      parts.push(part)
      gone += part.gone.length
      come += part.come.length
    }
    if (gone + come === 0) return
    const allGo = gone > 0 && gone === old.length
    if (allGo) {
      await this.#delete('catalog_files', 'table_id', [id])
      this.text.add({ do: 'files-gone', table: id })
    } else {
      const numbers = parts.flatMap((part) => part.gone)
      await this.#delete('catalog_files', 'file_no', numbers, { table_id: id })
    }
    const rows: SqlValue[][] = []
    for (const { partition, ...part } of parts) {
      const values = JSON.stringify(partition)
      for (const [number, path, count, bytes] of part.come) {
        rows.push([id, number, toSqlText(path), count, bytes, values])
      }
      this.text.addFiles({ table: id, partition }, allGo ? [] : part.gone, part.come)
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

/** What happens to the rows of one partition's files. */
interface PartitionRows {
  readonly partition: DataFile['partition']
  readonly gone: number[]
  readonly come: [number, string, number | null, number][]
}

const partitionOf = ({ gone, come }: PieceChanges): DataFile['partition'] =>
  (gone[0] ?? come[0])?.partition ?? []

const NUMBER_COLUMNS: Readonly<Record<Numbered, string>> = {
  databases: 'database_no',
  outcomes: 'outcome_no',
  litter: 'litter_no',
  publications: 'publication_no',
  users: 'user_no',
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
  table.owner === undefined ? null : toSqlText(table.owner),
]

function plainHeadOf(table: Table): TableHead {
  const { columns: _, partitionColumns: _p, options: _o, files: _f, ...head } = table
  return head
}

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
