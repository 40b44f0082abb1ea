/**
 * Reads the whole catalog from its tables. Rows that contradict each other, as after somebody's hand in the database,
 * are CORRUPT with the place; they are never left out in silence. An older form of the tables is read as well: a dump
 * and a look at the term must not have to change it first.
 */
import { CatalogError } from './errors.ts'
import { FileList, type FilePiece } from './file-list.ts'
import {
  type CatalogData,
  type Column,
  type DataFile,
  FAILURE_KINDS,
  type FailureKind,
  type Table,
} from './model.ts'
import type { SqlConnection, SqlRow } from './sql-connection.ts'
import type { RowNumbers } from './sql-delta.ts'
import { fromSqlText } from './sql-text.ts'

/** So many files and outcomes are asked for at a time: an answer that takes long would count as none. */
const PAGE_ROWS = 20_000

export interface ReadCatalog {
  readonly data: CatalogData
  readonly numbers: RowNumbers
}

/** Inside the caller's transaction. Rejects SqlFailure and CatalogError CORRUPT. */
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
  const databases = await rows('SELECT * FROM catalog_databases ORDER BY database_no', (row) =>
    numbered(row, 'database_no', {
      name: text(row, 'name'),
      createdAt: text(row, 'created_at'),
    }),
  )
  const parts = await readParts(connection)
  const tables = await rows('SELECT * FROM catalog_tables ORDER BY table_id', (row) =>
    tableOf(row, parts),
  )
  refuseOrphans(parts, new Set(tables.map(({ id }) => id)))
  const outcomes = await readPaged(
    connection,
    (after) => [
      `SELECT * FROM catalog_outcomes WHERE outcome_no > ? ORDER BY outcome_no LIMIT ${PAGE_ROWS}`,
      [Number(after?.outcome_no ?? 0)],
    ],
    (row) =>
      numbered(row, 'outcome_no', {
        queryId: text(row, 'query_id'),
        state: oneOf(row, 'state', ['done', 'failed'] as const),
        message: text(row, 'message'),
        rows: wholeOrNull(row, 'row_count'),
        ...failureKindOf(row),
        atMs: whole(row, 'at_ms'),
      }),
  )
  const litter = await rows('SELECT * FROM catalog_litter ORDER BY litter_no', (row) =>
    numbered(row, 'litter_no', { path: text(row, 'path'), sinceMs: whole(row, 'since_ms') }),
  )
  const publications = await rows(
    'SELECT * FROM catalog_publications ORDER BY publication_no',
    (row) =>
      numbered(row, 'publication_no', {
        queryId: text(row, 'query_id'),
        staging: text(row, 'staging'),
        location: text(row, 'location'),
      }),
  )
  const numbers = {
    databases: new Map(databases.map(({ no, value }) => [value.name, no])),
    outcomes: new Map(outcomes.map(({ no, value }) => [value.queryId, no])),
    litter: new Map(litter.map(({ no, value }) => [value.path, no])),
    publications: new Map(publications.map(({ no, value }) => [value.queryId, no])),
  }
  return {
    data: {
      databases: databases.map(plain),
      tables,
      outcomes: outcomes.map(plain),
      litter: litter.map(plain),
      publications: publications.map(plain),
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

async function readParts(connection: SqlConnection): Promise<Parts> {
  const parts: Parts = {
    columns: new Map(),
    partitionColumns: new Map(),
    options: new Map(),
    files: new FilesRead(),
  }
  const order = 'ORDER BY table_id, position'
  for (const row of await connection.query(`SELECT * FROM catalog_columns ${order}`)) {
    const side = flag(row, 'is_partition') ? parts.partitionColumns : parts.columns
    add(side, whole(row, 'table_id'), { name: text(row, 'name'), type: text(row, 'type') })
  }
  for (const row of await connection.query(`SELECT * FROM catalog_options ${order}`)) {
    add(parts.options, whole(row, 'table_id'), [text(row, 'name'), text(row, 'value')])
  }
  const pages = pagesOf(connection, (after) => {
    const id = Number(after?.table_id ?? 0)
    const no = Number(after?.file_no ?? 0)
    return [
      `SELECT * FROM catalog_files WHERE table_id > ? OR (table_id = ? AND file_no > ?) ORDER BY table_id, file_no LIMIT ${PAGE_ROWS}`,
      [id, id, no],
    ]
  })
  for await (const rows of pages) parts.files.add(rows)
  parts.files.end()
  return parts
}

/** The files of one table after the other, as their rows come. */
class FilesRead {
  /** By table. */
  readonly lists = new Map<number, FileList>()
  readonly numbers = new WeakMap<FilePiece, readonly number[]>()
  highest = 0
  #id = 0
  #list = FileList.EMPTY
  /** Of the files of the table, by partition, in the order of its list. */
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

  /** Of a table, or of all. */
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

async function readPaged<T>(
  connection: SqlConnection,
  page: (after: SqlRow | undefined) => [string, number[]],
  make: (row: SqlRow) => T,
): Promise<T[]> {
  const made: T[] = []
  for await (const rows of pagesOf(connection, page)) for (const row of rows) made.push(make(row))
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

function text(row: SqlRow, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw corrupt(`${column} is ${value} instead of a text`)
  try {
    return fromSqlText(value)
  } catch (error) {
    throw corrupt(`${column} can't be decoded: ${value}`, error)
  }
}

function whole(row: SqlRow, column: string): number {
  const value = row[column]
  if (Number.isSafeInteger(value)) return value as number
  throw corrupt(`${column} is ${value} instead of a whole number`)
}

const wholeOrNull = (row: SqlRow, column: string): number | null =>
  row[column] === null ? null : whole(row, column)

/** MySQL has no type of its own for it and answers 0 or 1. */
function flag(row: SqlRow, column: string): boolean {
  const value = row[column]
  if (typeof value === 'boolean') return value
  return whole(row, column) !== 0
}

function oneOf<T extends string>(row: SqlRow, column: string, allowed: readonly T[]): T {
  const value = text(row, column)
  const found = allowed.find((one) => one === value)
  if (found !== undefined) return found
  throw corrupt(`${column} is ${value}, not one of ${allowed.join(', ')}`)
}

/** Version 1 of the tables has no such column. */
const failureKindOf = (row: SqlRow): { kind?: FailureKind } =>
  (row.failure_kind ?? null) === null ? {} : { kind: oneOf(row, 'failure_kind', FAILURE_KINDS) }

/** Versions 1 and 2 of the tables have no such column. */
const contentVersionIn = (row: SqlRow): { contentVersion?: number } =>
  (row.content_version ?? null) === null ? {} : { contentVersion: whole(row, 'content_version') }

const corrupt = (message: string, cause?: unknown): CatalogError =>
  new CatalogError('CORRUPT', `the catalog's tables in the database: ${message}`, { cause })
