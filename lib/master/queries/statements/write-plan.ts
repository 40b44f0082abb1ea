/**
 * What a worker is to write: INSERT, CREATE TABLE AS, INSERT OVERWRITE INTO LOCATION. Pure.
 *
 * Each attempt under each term has a directory of its own, at the files' final place: a table's content is a list of
 * files, so nothing is moved when the write becomes valid.
 */
import { basename, dirname, join } from 'node:path/posix'
import type { CatalogState, Table } from '../../../catalog/index.ts'
import { OWN_PREFIX } from '../../../catalog/index.ts'
import type { TableDraft, Task, WriteTarget } from '../../../contract/index.ts'
import type { Location, SqlText, Statement } from '../../../sql/index.ts'
import { requireOptions, SqlError } from '../../../sql/index.ts'
import { existsAlready } from './ddl.ts'
import { allColumns, fullName, requireDistinct, spell } from './names.ts'
import { type Confined, overlap, whyTaken } from './paths.ts'

interface WriteContext {
  readonly queryId: string
  readonly attempt: number
  readonly term: number
  /** The session's. */
  readonly database: string
  readonly newLocation: (name: { database: string; name: string }) => string
  /** What LOCATION came to, where the statement has one. */
  readonly location: Confined | null
  /** Whose a new table is; undefined: the administrator's. */
  readonly owner: string | undefined
}

/** What `Task` needs of a write; null when IF NOT EXISTS leaves nothing to do. */
export interface WritePlan {
  readonly query: SqlText
  readonly write: WriteTarget
  readonly create: Task['create']
  readonly publishTo: string | null
}

type Of<I extends Statement['is']> = Extract<Statement, { is: I }>

export function planCreateAs(
  state: CatalogState,
  statement: Of<'create-table'>,
  query: SqlText,
  context: WriteContext,
): WritePlan | null {
  const { table, columns, external, storage, partitionBy, ifNotExists } = statement
  const name = fullName(table, context.database)
  if (external) throw new SqlError('an external table can not be made of a query', table.place)
  if (statement.location !== null) {
    throw new SqlError(
      'LOCATION is for CREATE EXTERNAL TABLE; other tables live in the warehouse',
      table.place,
    )
  }
  if (existsAlready(state, statement, name)) return null
  requireDistinct(
    [...(columns ?? []), ...partitionBy].map((column) => column.name),
    table,
  )
  const format = storage.format ?? 'TEXT'
  requireOptions(format, storage.options)
  const location = context.newLocation(name)
  const draft: TableDraft = {
    ...name,
    ifNotExists,
    format,
    options: storage.options,
    location,
    ...(context.owner === undefined ? {} : { owner: context.owner }),
  }
  const write: WriteTarget = {
    tableId: null,
    schemaVersion: 1,
    mode: 'append',
    directory: join(location, attemptName(context)),
    base: location,
    format: draft.format,
    options: draft.options,
    columns: columns === null ? null : [...columns, ...typed(partitionBy)],
    into: null,
    partitionBy: partitionBy.map((column) => ({ ...column })),
  }
  return { query, write, create: draft, publishTo: null }
}

/** With the columns' types given, those of the partition columns may be left to the query. */
const typed = (partitionBy: Of<'create-table'>['partitionBy']): { name: string; type: string }[] =>
  partitionBy.flatMap(({ name, type }) => (type === null ? [] : [{ name, type }]))

export function planInsert(
  state: CatalogState,
  { into, overwrite, query }: Of<'insert'>,
  context: WriteContext & {
    /** The one that INTO names; null: it is a location. */
    readonly table: Table | null
  },
): WritePlan {
  if (into.to === 'location') return planLocation(state, { overwrite, query, into }, context)
  const { table } = context
  if (table === null) throw new Error('INTO was not looked for')
  const columns = allColumns(table)
  if (into.columns !== null) requireColumns(columns, into.columns, into.table)
  if (context.location?.is === 'file') {
    throw new SqlError(
      `table ${spell(table)} is one file: nothing can be written to it`,
      into.table.place,
    )
  }
  const partitioned = table.partitionColumns.length > 0
  if (partitioned && overwrite && table.wholeDirectory) {
    const text = `table ${spell(table)} is whatever stands in ${table.location}: single partitions of it can't be overwritten`
    throw new SqlError(text, into.table.place)
  }
  const write: WriteTarget = {
    tableId: table.id,
    schemaVersion: table.schemaVersion,
    mode: overwrite ? (partitioned ? 'overwrite-partitions' : 'overwrite') : 'append',
    directory: join(table.location, attemptName(context)),
    base: table.location,
    format: table.format,
    options: { ...table.options },
    columns: columns.map((column) => ({ ...column })),
    into: into.columns === null ? null : [...into.columns],
    partitionBy: table.partitionColumns.map((column) => ({ ...column })),
  }
  return { query, write, create: null, publishTo: null }
}

function requireColumns(
  columns: readonly { name: string }[],
  wanted: readonly string[],
  table: Parameters<typeof requireDistinct>[1],
): void {
  requireDistinct(wanted, table)
  const unknown = wanted.find((name) => !columns.some((column) => column.name === name))
  if (unknown === undefined) return
  const names = columns.map(({ name }) => name).join(', ')
  throw new SqlError(`table ${table.name} has no column ${unknown}, it has ${names}`, table.place)
}

function planLocation(
  state: CatalogState,
  {
    overwrite,
    query,
    into,
  }: Pick<Of<'insert'>, 'overwrite' | 'query'> & {
    into: Extract<Of<'insert'>['into'], { to: 'location' }>
  },
  context: WriteContext,
): WritePlan {
  const { location } = context
  const { place } = into.location
  if (location === null) throw new Error('LOCATION was not looked at')
  if (!overwrite) {
    throw new SqlError(
      'INSERT INTO LOCATION can only overwrite: INSERT OVERWRITE INTO LOCATION',
      place,
    )
  }
  if (location.is === 'file') throw new SqlError(`LOCATION '${location.path}' is a file`, place)
  const { path } = location
  refuseDatabase(state, { path, place }, context)
  const taken = whyTaken(state, path)
  if (taken !== null) throw new SqlError(taken, place)
  const format = into.storage.format ?? 'TEXT'
  requireOptions(format, into.storage.options)
  const directory = join(dirname(path), `.${basename(path)}-${idOf(context)}`)
  const write: WriteTarget = {
    tableId: null,
    schemaVersion: 1,
    mode: 'overwrite',
    directory,
    base: directory,
    format,
    options: { ...into.storage.options },
    columns: null,
    into: null,
    partitionBy: [],
  }
  return { query, write, create: null, publishTo: path }
}

/** There tables are written that the catalog may not have yet. */
function refuseDatabase(
  state: CatalogState,
  { path, place }: Location,
  { newLocation }: Pick<WriteContext, 'newLocation'>,
): void {
  for (const database of state.databaseNames()) {
    const directory = dirname(newLocation({ database, name: 'any' }))
    if (!overlap(path, directory)) continue
    throw new SqlError(`'${path}' belongs to database ${database}: name another directory`, place)
  }
}

type Attempt = Pick<WriteContext, 'queryId' | 'attempt' | 'term'>

const idOf = ({ queryId, attempt, term }: Attempt): string => `${queryId}-${attempt}-${term}`

/** Of its directory. */
export const attemptName = (context: Attempt): string => `${OWN_PREFIX}${idOf(context)}`
