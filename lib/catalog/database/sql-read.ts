/**
 * Reads the whole catalog from its tables. Rows that contradict each other, as after somebody's hand in the database,
 * are CORRUPT with the place; they are never left out in silence. An older form of the tables is read as well: a dump
 * and a look at the term must not have to change it first.
 *
 * Rows are asked for in pages and taken in slices: a catalog may have millions, and the event loop has its turn meanwhile.
 */
import { inSlices } from '../../base/slices.ts'
import { FileList } from '../file-list.ts'
import type { FilePiece } from '../file-partition.ts'
import {
  type CatalogData,
  type Column,
  type DataFile,
  FAILURE_KINDS,
  type FailureKind,
  type Table,
} from '../model.ts'
import type { SqlConnection, SqlRow } from './sql-connection.ts'
import type { RowNumbers } from './sql-delta.ts'
import { corrupt, flag, oneOf, text, whole, wholeOrNull } from './sql-rows.ts'
import { grantsIn } from './sql-users.ts'

/** So many rows are asked for at a time: an answer that takes long would count as none, and is held as a whole. */
const PAGE_ROWS = 10_000
/** The columns and options of so many tables are. */
const PAGE_TABLES = 200
/** Versions below of the tables have no such table. */
const VERSION_WITH_USERS = 6
/** Files that are taken without a turn of the event loop. */
const SLICE_ROWS = 1000

export interface ReadCatalog {
  readonly data: CatalogData
  readonly numbers: RowNumbers
}

/** It works inside the caller's transaction. Rejects SqlFailure and CatalogError CORRUPT. */
export async function readCatalog(connection: SqlConnection): Promise<ReadCatalog> {
  const rows = async <T>(sql: string, make: (row: SqlRow) => T): Promise<T[]> =>
    (await connection.query(sql)).map(make)

  const term = await rows('SELECT next_table_id FROM catalog_term', (row) =>
    whole(row, 'next_table_id'),
  )
  const [nextTableId] = term
  if (nextTableId === undefined || term.length > 1) {
    throw corrupt(`catalog_term has ${term.length} rows instead of one`)
  }
  const paged = <T>(table: string, column: string, make: (row: SqlRow) => T) =>
    readPaged(connection, { table, column, make })
  const databases = await paged('catalog_databases', 'database_no', (row) =>
    numbered(row, 'database_no', {
      name: text(row, 'name'),
      createdAt: text(row, 'created_at'),
    }),
  )
  const heads = await paged('catalog_tables', 'table_id', (row) => row)
  const ids = heads.map((row) => whole(row, 'table_id'))
  const parts = await readParts(connection, ids)
  refuseOrphans(parts, new Set(ids))
  const tables: Table[] = []
  await inSlices(heads, (row) => tables.push(tableOf(row, parts)))
  const outcomes = await paged('catalog_outcomes', 'outcome_no', (row) =>
    numbered(row, 'outcome_no', {
      queryId: text(row, 'query_id'),
      state: oneOf(row, 'state', ['done', 'failed'] as const),
      message: text(row, 'message'),
      rows: wholeOrNull(row, 'row_count'),
      ...failureKindOf(row),
      atMs: whole(row, 'at_ms'),
    }),
  )
  const litter = await paged('catalog_litter', 'litter_no', (row) =>
    numbered(row, 'litter_no', {
      path: text(row, 'path'),
      sinceMs: whole(row, 'since_ms'),
      ...joinedMsIn(row),
    }),
  )
  const publications = await paged('catalog_publications', 'publication_no', (row) =>
    numbered(row, 'publication_no', {
      queryId: text(row, 'query_id'),
      staging: text(row, 'staging'),
      location: text(row, 'location'),
    }),
  )
  const hasUsers = (
    await rows('SELECT MAX(version) AS version FROM catalog_schema', (row) => row)
  ).some(({ version }) => Number(version) >= VERSION_WITH_USERS)
  const users = !hasUsers
    ? []
    : await paged('catalog_users', 'user_no', (row) =>
        numbered(row, 'user_no', {
          name: text(row, 'name'),
          verifier: text(row, 'verifier'),
          createdAt: text(row, 'created_at'),
          grants: grantsIn(row),
        }),
      )
  const numbers = {
    databases: new Map(databases.map(({ no, value }) => [value.name, no])),
    outcomes: new Map(outcomes.map(({ no, value }) => [value.queryId, no])),
    litter: new Map(litter.map(({ no, value }) => [value.path, no])),
    publications: new Map(publications.map(({ no, value }) => [value.queryId, no])),
    users: new Map(users.map(({ no, value }) => [value.name, no])),
  }
  return {
    data: {
      databases: databases.map(plain),
      tables,
      outcomes: outcomes.map(plain),
      litter: litter.map(plain),
      publications: publications.map(plain),
      ...(users.length > 0 ? { users: users.map(plain) } : {}),
      nextTableId,
    },
    numbers: {
      ...{ ...numbers, files: parts.files.numbers },
      next: Math.max(parts.files.highest, highest(numbers)) + 1,
    },
  }
}

interface Numbered<T> {
  readonly no: number
  readonly value: T
}
const numbered = <T>(row: SqlRow, column: string, value: T): Numbered<T> => ({
  no: whole(row, column),
  value,
})
const plain = <T>({ value }: Numbered<T>): T => value

function highest(numbers: Omit<RowNumbers, 'next' | 'files'>): number {
  let most = 0
  for (const map of Object.values(numbers)) for (const no of map.values()) most = Math.max(most, no)
  return most
}

interface Parts {
  readonly columns: Map<number, Column[]>
  readonly partitionColumns: Map<number, Column[]>
  readonly options: Map<number, [string, string][]>
  readonly files: FilesRead
}

/** `ids`: of all tables, in their order. */
async function readParts(connection: SqlConnection, ids: readonly number[]): Promise<Parts> {
  const parts: Parts = {
    columns: new Map(),
    partitionColumns: new Map(),
    options: new Map(),
    files: new FilesRead(),
  }
  const ofTables = 'WHERE table_id > ? AND table_id <= ? ORDER BY table_id, position'
  for (const range of rangesOf(ids)) {
    const columns = await connection.query(`SELECT * FROM catalog_columns ${ofTables}`, range)
    await inSlices(columns, (row) => {
      const side = flag(row, 'is_partition') ? parts.partitionColumns : parts.columns
      add(side, whole(row, 'table_id'), { name: text(row, 'name'), type: text(row, 'type') })
    })
    const options = await connection.query(`SELECT * FROM catalog_options ${ofTables}`, range)
    await inSlices(options, (row) => {
      add(parts.options, whole(row, 'table_id'), [text(row, 'name'), text(row, 'value')])
    })
  }
  const pages = pagesOf(connection, (after) => {
    const id = Number(after?.table_id ?? BELOW_ALL)
    const no = Number(after?.file_no ?? BELOW_ALL)
    return [
      `SELECT * FROM catalog_files WHERE table_id > ? OR (table_id = ? AND file_no > ?) ORDER BY table_id, file_no LIMIT ${PAGE_ROWS}`,
      [id, id, no],
    ]
  })
  for await (const rows of pages) {
    await inSlices(chunksOf(rows), (some) => parts.files.add(some))
  }
  parts.files.end()
  return parts
}

/** Below the number of any row, and above. */
const BELOW_ALL = Number.MIN_SAFE_INTEGER
const ABOVE_ALL = Number.MAX_SAFE_INTEGER

/** From one to the next, both without holes between them: rows of a table that is not there are met, too. */
function* rangesOf(ids: readonly number[]): Generator<[number, number]> {
  let from = BELOW_ALL
  for (let at = PAGE_TABLES; at < ids.length; at += PAGE_TABLES) {
    const to = ids[at] ?? ABOVE_ALL
    yield [from, to]
    from = to
  }
  yield [from, ABOVE_ALL]
}

function* chunksOf(rows: readonly SqlRow[]): Generator<readonly SqlRow[]> {
  for (let from = 0; from < rows.length; from += SLICE_ROWS)
    yield rows.slice(from, from + SLICE_ROWS)
}

/** The files of one table after the other, as their rows come. */
class FilesRead {
  /** By table. */
  readonly lists = new Map<number, FileList>()
  readonly numbers = new WeakMap<FilePiece, readonly number[]>()
  highest = 0
  #id = 0
  #list = FileList.EMPTY
  /** These are the counts of the table's files, by partition, in the order of its list. */
  #ofPartitions = new Map<string, number[]>()

  add(rows: readonly SqlRow[]): void {
    let files: DataFile[] = []
    for (const row of rows) {
      const id = whole(row, 'table_id')
      if (id !== this.#id) {
        this.#list = this.#list.append(files)
        files = []
        this.end()
        this.#id = id
      }
      const file = fileIn(row)
      files.push(file)
      this.#number(file, whole(row, 'file_no'))
    }
    this.#list = this.#list.append(files)
  }

  /** This is the end of a table, or of all. */
  end(): void {
    if (this.#list.length > 0) this.lists.set(this.#id, this.#list)
    for (const partition of this.#list.partitions()) {
      const numbers = this.#ofPartitions.get(JSON.stringify(partition.values)) ?? []
      let at = 0
      for (const piece of partition.pieces()) {
        this.numbers.set(piece, numbers.slice(at, at + piece.length))
        at += piece.length
      }
    }
    this.#list = FileList.EMPTY
    this.#ofPartitions = new Map()
  }

  #number({ partition }: DataFile, number: number): void {
    this.highest = Math.max(this.highest, number)
    const key = JSON.stringify(partition)
    const numbers = this.#ofPartitions.get(key)
    if (numbers === undefined) this.#ofPartitions.set(key, [number])
    else numbers.push(number)
  }
}

const fileIn = (row: SqlRow): DataFile => ({
  path: text(row, 'path'),
  rows: wholeOrNull(row, 'row_count'),
  bytes: whole(row, 'bytes'),
  partition: partitionOf(row),
})

const tableOf = (row: SqlRow, parts: Parts): Table => {
  const id = whole(row, 'table_id')
  return {
    id,
    database: text(row, 'database_name'),
    name: text(row, 'name'),
    kind: oneOf(row, 'kind', ['managed', 'external'] as const),
    format: oneOf(row, 'format', ['TEXT', 'JSON', 'PARQUET'] as const),
    options: Object.fromEntries(parts.options.get(id) ?? []),
    columns: parts.columns.get(id) ?? [],
    partitionColumns: parts.partitionColumns.get(id) ?? [],
    location: text(row, 'location'),
    wholeDirectory: flag(row, 'whole_directory'),
    files: parts.files.lists.get(id) ?? FileList.EMPTY,
    schemaVersion: whole(row, 'schema_version'),
    ...contentVersionIn(row),
    createdAt: text(row, 'created_at'),
    ...((row.owner ?? null) === null ? {} : { owner: text(row, 'owner') }),
  }
}

function refuseOrphans(parts: Parts, ids: ReadonlySet<number>): void {
  const { columns, partitionColumns, options, files } = parts
  const maps = { columns, partitionColumns, options, files: files.lists }
  for (const [name, map] of Object.entries(maps)) {
    for (const id of map.keys()) {
      if (!ids.has(id)) throw corrupt(`there are ${name} of table ${id}, which is not there`)
    }
  }
}

interface Paging<T> {
  readonly table: string
  /** A number of its own for each row. */
  readonly column: string
  readonly make: (row: SqlRow) => T
}

/** Reads all rows, by that number. */
async function readPaged<T>(
  connection: SqlConnection,
  { table, column, make }: Paging<T>,
): Promise<T[]> {
  const sql = `SELECT * FROM ${table} WHERE ${column} > ? ORDER BY ${column} LIMIT ${PAGE_ROWS}`
  const pages = pagesOf(connection, (after) => [sql, [Number(after?.[column] ?? BELOW_ALL)]])
  const made: T[] = []
  for await (const rows of pages) await inSlices(rows, (row) => made.push(make(row)))
  return made
}

async function* pagesOf(
  connection: SqlConnection,
  page: (after: SqlRow | undefined) => [string, number[]],
): AsyncGenerator<SqlRow[]> {
  for (let last: SqlRow | undefined; ; ) {
    const rows = await connection.query(...page(last))
    yield rows
    if (rows.length < PAGE_ROWS) return
    last = rows.at(-1)
  }
}

function add<T>(map: Map<number, T[]>, id: number, value: T): void {
  const list = map.get(id)
  if (list === undefined) map.set(id, [value])
  else list.push(value)
}

function partitionOf(row: SqlRow): (string | null)[] {
  const kept = text(row, 'partition_values')
  try {
    const values: unknown = JSON.parse(kept)
    const good = (value: unknown) => value === null || typeof value === 'string'
    if (Array.isArray(values) && values.every(good)) return values
  } catch {
    // Said below, as for JSON of another shape.
  }
  throw corrupt(`partition_values is no JSON array of texts: ${kept}`)
}

/** Version 1 of the tables has no such column. */
const failureKindOf = (row: SqlRow): { kind?: FailureKind } =>
  (row.failure_kind ?? null) === null ? {} : { kind: oneOf(row, 'failure_kind', FAILURE_KINDS) }

/** Versions below 5 of the tables have no such column. */
const joinedMsIn = (row: SqlRow): { joinedMs?: number } =>
  (row.joined_ms ?? null) === null ? {} : { joinedMs: whole(row, 'joined_ms') }

/** Versions 1 and 2 of the tables have no such column. */
const contentVersionIn = (row: SqlRow): { contentVersion?: number } =>
  (row.content_version ?? null) === null ? {} : { contentVersion: whole(row, 'content_version') }
