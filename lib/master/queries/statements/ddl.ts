/**
 * It makes statements that change the catalog alone into the steps of one transaction. Pure: what has to be looked at in
 * the file system (LOCATION) has been looked at before. Throws SqlError for what does not fit; a step that does not fit
 * what another transaction did meanwhile is refused by the catalog itself.
 *
 * Changes of columns that a table's files don't allow, since those stay as they were written. Both throw SqlError.
 */
import type { CatalogState, Change, DataFile, PlainTable, Table } from '../../../catalog/index.ts'
import { fitsType } from '../../../catalog/index.ts'
import type { AlterAction, Place, Statement, TableName } from '../../../sql/index.ts'
import { requireOptions, SqlError, textFormat } from '../../../sql/index.ts'
import {
  allColumns,
  fullName,
  requireDatabase,
  requireDistinct,
  requireTable,
  someNames,
  spell,
} from './names.ts'
import { type Confined, overlap } from './paths.ts'

/** Where a column is found by its name in files that are there already, a new name would find nothing. */
function requireRenamable(table: Table, column: string, named: TableName): void {
  const inPaths = table.partitionColumns.some(({ name }) => name === column)
  const byName =
    table.format === 'JSON'
      ? table.files.length > 0 || table.wholeDirectory
      : table.wholeDirectory && (table.format === 'PARQUET' || inPaths)
  if (!byName) return
  throw new SqlError(
    `the files of ${spell(table)} name their column ${column} themselves, so it can't be renamed: make a new table of it (CREATE TABLE … AS SELECT ${column} AS …)`,
    named.place,
  )
}

/** NULL alone in a line is an empty one; to a table of more columns, which can be left out at a line's end, it is none. */
function requireWidenable(table: Table, named: TableName): void {
  const hasFiles = table.files.length > 0 || table.wholeDirectory
  if (table.format !== 'TEXT' || table.columns.length > 1 || !hasFiles) return
  if (textFormat(table.options).nullText !== '') return
  const column = table.columns[0]?.name
  throw new SqlError(
    `the files of ${spell(table)} have one column, and NULL in it is an empty line, which would be lost: make a new table of it (CREATE TABLE … AS SELECT ${column}, … AS …)`,
    named.place,
  )
}

export interface Steps {
  readonly changes: readonly Change[]
  /** For people. */
  readonly message: string
}

export interface DdlContext {
  /** The session's. */
  readonly database: string
  /** ISO 8601. */
  readonly now: string
  /** Of a new managed table. */
  readonly newLocation: (name: { database: string; name: string }) => string
  /** What LOCATION came to, where the statement has one. */
  readonly location: Confined | null
  /** What stands there, of ADD PARTITION … LOCATION. */
  readonly files: readonly DataFile[]
  /** Whose a new table is; undefined: the administrator's. */
  readonly owner: string | undefined
  /** Of the password, where the statement has one. */
  readonly verifier: string | null
}

type Of<I extends Statement['is']> = Extract<Statement, { is: I }>

const nothing = (message: string): Steps => ({ changes: [], message })

/** Its tables could not be told from the engine's own. */
const ENGINE_NAMES = new Set(['information_schema', 'memory', 'pg_catalog', 'system', 'temp'])

export function createDatabase(
  state: CatalogState,
  { name, place, ifNotExists }: Of<'create-database'>,
  { now }: DdlContext,
): Steps {
  if (state.database(name) !== null) {
    if (ifNotExists) return nothing(`CREATE DATABASE: ${name} exists already`)
    throw new SqlError(`database ${name} exists already`, place)
  }
  if (ENGINE_NAMES.has(name.toLowerCase())) {
    throw new SqlError(
      `a database can not be called ${name}: the engine has one of that name`,
      place,
    )
  }
  return {
    changes: [{ do: 'create-database', name, createdAt: now }],
    message: 'CREATE DATABASE',
  }
}

export function dropDatabase(
  state: CatalogState,
  { name, place, ifExists }: Of<'drop-database'>,
): Steps {
  if (ifExists && state.database(name) === null) {
    return nothing(`DROP DATABASE: ${name} does not exist`)
  }
  requireDatabase(state, name, place)
  if (name === 'default') throw new SqlError('database default can not be dropped', place)
  const count = state.tableCount(name) ?? 0
  if (count > 0) {
    const some = someNames(state, name, 3).sort().join(', ')
    const more = count > 3 ? ', …' : ''
    throw new SqlError(
      `database ${name} is not empty: drop its tables first (${some}${more})`,
      place,
    )
  }
  return { changes: [{ do: 'drop-database', name }], message: 'DROP DATABASE' }
}

export function createTable(
  state: CatalogState,
  statement: Of<'create-table'>,
  context: DdlContext,
): Steps {
  const { table, columns, external, storage, partitionBy } = statement
  const name = fullName(table, context.database)
  if (existsAlready(state, statement, name))
    return nothing(`CREATE TABLE: ${spell(name)} exists already`)
  const partitionColumns = partitionBy.map((column) => {
    if (column.type === null) throw new SqlError(`column ${column.name} has no type`, table.place)
    return { name: column.name, type: column.type }
  })
  if (columns === null) throw new SqlError(`table ${spell(name)} has no columns`, table.place)
  requireDistinct(
    [...columns, ...partitionColumns].map((column) => column.name),
    table,
  )
  const format = storage.format ?? 'TEXT'
  requireOptions(format, storage.options)
  const fresh = {
    ...name,
    format,
    options: storage.options,
    columns,
    partitionColumns,
  } as const
  return made(state, { ...fresh, ...placeOf(state, external, name, context, table) }, context)
}

export function createTableLike(
  state: CatalogState,
  statement: Of<'create-table-like'>,
  context: DdlContext,
): Steps {
  const { table, like } = statement
  const name = fullName(table, context.database)
  if (existsAlready(state, statement, name))
    return nothing(`CREATE TABLE: ${spell(name)} exists already`)
  const { format, options, columns, partitionColumns } = requireTable(state, like, context.database)
  const fresh = { ...name, format, options, columns, partitionColumns }
  return made(state, { ...fresh, ...placeOf(state, false, name, context, table) }, context)
}

/** True when IF NOT EXISTS lets it pass. Throws SqlError when it exists, or its database does not. */
export function existsAlready(
  state: CatalogState,
  { table, ifNotExists }: { readonly table: TableName; readonly ifNotExists: boolean },
  name: { database: string; name: string },
): boolean {
  requireDatabase(state, name.database, table.place)
  if (state.find(name.database, name.name) === null) return false
  if (ifNotExists) return true
  throw new SqlError(`table ${spell(name)} exists already`, table.place)
}

type TablePlace = Pick<Table, 'kind' | 'location' | 'wholeDirectory'>
type Fresh = Omit<Table, 'id' | 'files' | 'schemaVersion' | 'createdAt'>

function placeOf(
  state: CatalogState,
  external: boolean,
  name: { database: string; name: string },
  { location, newLocation, owner }: DdlContext,
  table: TableName,
): TablePlace {
  if (!external) {
    if (location !== null) {
      throw new SqlError(
        'LOCATION is for CREATE EXTERNAL TABLE; other tables live in the warehouse',
        table.place,
      )
    }
    return { kind: 'managed', location: newLocation(name), wholeDirectory: false }
  }
  if (location === null) throw new SqlError('CREATE EXTERNAL TABLE needs a LOCATION', table.place)
  if (location.is === 'nothing') {
    throw new SqlError(`LOCATION '${location.path}' does not exist`, table.place)
  }
  refuseManaged(state, location.path, table.place)
  refuseOthers(state, location.path, owner, table.place)
  return { kind: 'external', location: location.path, wholeDirectory: true }
}

/** What the catalog manages itself may not be somebody's external data too. Throws SqlError. */
function refuseManaged(state: CatalogState, path: string, place: Place | null): void {
  const owner = state.findTable(
    ({ kind, location }) => kind === 'managed' && overlap(path, location),
  )
  if (owner !== null) throw new SqlError(`'${path}' belongs to ${spellSeen(state, owner)}`, place)
}

/** What one owner can change in his directory would be another one's data. Throws SqlError. */
function refuseOthers(
  state: CatalogState,
  path: string,
  owner: string | undefined,
  place: Place | null,
): void {
  const other = state.findTable(
    (one) => one.kind === 'external' && one.owner !== owner && overlap(path, one.location),
  )
  if (other === null) return
  const text = `'${path}' overlaps with the location of ${spellSeen(state, other)}, which is another owner's: external tables of two owners have nothing in common`
  throw new SqlError(text, place)
}

/** Its name is for those who may know it. */
const spellSeen = (state: CatalogState, table: Table): string =>
  state.table(table.id) === null ? 'a table' : `table ${spell(table)}`

function made(state: CatalogState, fresh: Fresh, { now, owner }: DdlContext): Steps {
  const table: PlainTable = {
    ...fresh,
    id: state.nextTableId,
    files: [],
    schemaVersion: 1,
    createdAt: now,
    ...(owner === undefined ? {} : { owner }),
  }
  return { changes: [{ do: 'create-table', table }], message: 'CREATE TABLE' }
}

export function dropTable(
  state: CatalogState,
  { table, ifExists }: Of<'drop-table'>,
  { database }: DdlContext,
): Steps {
  const name = fullName(table, database)
  if (ifExists && state.find(name.database, name.name) === null) {
    return nothing(`DROP TABLE: ${spell(name)} does not exist`)
  }
  const { id, kind, location } = requireTable(state, table, database)
  const litter = kind === 'managed' ? [location] : []
  return { changes: [{ do: 'drop-table', tableId: id, litter }], message: 'DROP TABLE' }
}

export function truncate(
  state: CatalogState,
  { tables }: Of<'truncate'>,
  { database }: DdlContext,
): Steps {
  const changes = tables.map((named): Change => {
    const table = requireTable(state, named, database)
    if (table.kind === 'external') {
      throw new SqlError(
        `table ${spell(table)} is external: its data is not ours to remove`,
        named.place,
      )
    }
    const { id: tableId, schemaVersion } = table
    return { do: 'write', tableId, schemaVersion, mode: 'overwrite', files: [] }
  })
  return { changes, message: 'TRUNCATE TABLE' }
}

export function alterTable(
  state: CatalogState,
  { table: named, action }: Of<'alter-table'>,
  context: DdlContext,
): Steps {
  const table = requireTable(state, named, context.database)
  const message = 'ALTER TABLE'
  const tableId = table.id
  switch (action.do) {
    case 'rename-table':
      existsAlready(state, { table: named, ifNotExists: false }, { ...table, name: action.name })
      return { changes: [{ do: 'rename-table', tableId, name: action.name }], message }
    case 'rename-column': {
      const { from, to } = action
      const names = allColumns(table).map(({ name }) => name)
      if (!names.includes(from))
        throw new SqlError(`table ${spell(table)} has no column ${from}`, named.place)
      requireDistinct([...names.filter((name) => name !== from), to], named)
      requireRenamable(table, from, named)
      return { changes: [{ do: 'rename-column', tableId, from, to }], message }
    }
    case 'add-column': {
      const { column } = action
      requireDistinct(
        [...allColumns(table), column].map(({ name }) => name),
        named,
      )
      requireWidenable(table, named)
      return { changes: [{ do: 'add-column', tableId, column }], message }
    }
    case 'set-property':
      requireOptions(table.format, action.options, table.options)
      return { changes: [{ do: 'set-options', tableId, options: action.options }], message }
    case 'add-partition':
      return addPartition(state, { table, named, action }, context)
    case 'drop-partition':
      return dropPartition(table, named, action)
  }
}

function addPartition(
  state: CatalogState,
  what: {
    readonly table: Table
    readonly named: TableName
    readonly action: Extract<AlterAction, { do: 'add-partition' }>
  },
  { location, files }: DdlContext,
): Steps {
  const { table, named, action } = what
  const partition = partitionOf(table, named, action.partition)
  if (hasPartition(table, partition)) {
    if (action.ifNotExists) return nothing('ALTER TABLE: the partition exists already')
    throw new SqlError(`table ${spell(table)} has that partition already`, named.place)
  }
  // A partition is what its files say: without any there is nothing to keep.
  if (location === null) return nothing('ALTER TABLE')
  for (const [i, { name, type }] of table.partitionColumns.entries()) {
    const value = partition[i] ?? null
    if (value === null || fitsType(value, type)) continue
    throw new SqlError(`'${value}' is no ${type}, which column ${name} is`, named.place)
  }
  refuseManaged(state, location.path, named.place)
  refuseOthers(state, location.path, table.owner, named.place)
  const { id: tableId, schemaVersion } = table
  const added = files.map((file) => ({ ...file, partition }))
  return {
    changes: [{ do: 'write', tableId, schemaVersion, mode: 'append', files: added }],
    message: 'ALTER TABLE',
  }
}

function dropPartition(
  table: Table,
  named: TableName,
  action: Extract<AlterAction, { do: 'drop-partition' }>,
): Steps {
  const partition = partitionOf(table, named, action.partition)
  if (hasPartition(table, partition)) {
    return {
      changes: [{ do: 'drop-partition', tableId: table.id, partition }],
      message: 'ALTER TABLE',
    }
  }
  if (table.wholeDirectory) {
    throw new SqlError(
      `the partitions of ${spell(table)} are the directories in ${table.location}: remove the directory`,
      named.place,
    )
  }
  if (action.ifExists) return nothing('ALTER TABLE: there is no such partition')
  throw new SqlError(`table ${spell(table)} has no such partition`, named.place)
}

function partitionOf(
  table: Table,
  named: TableName,
  values: readonly { column: string; value: string | null }[],
): (string | null)[] {
  const names = table.partitionColumns.map(({ name }) => name)
  if (names.length === 0) throw new SqlError(`table ${spell(table)} has no partitions`, named.place)
  const fits =
    values.length === names.length && values.every(({ column }) => names.includes(column))
  if (!fits) {
    const text = `a partition of ${spell(table)} is named by ${names.join(', ')}, each once`
    throw new SqlError(text, named.place)
  }
  return names.map((name) => values.find(({ column }) => column === name)?.value ?? null)
}

const hasPartition = ({ files }: Table, partition: readonly (string | null)[]): boolean =>
  files.partition(partition) !== null
