/**
 * What DuckDB has to read so that it sees a catalog table: the text of a SELECT over its files. Pure.
 *
 * It always has the table's columns, in its order, with its types, then the partition columns. Parquet that this
 * software wrote carries each column's number, so columns that were added or renamed later find their place; Parquet of
 * others is read by column name. Text is read by position, JSON by name. Partition values come from the catalog; where
 * the directories say the same, DuckDB takes them from there, which lets it pass over files that can't have what is
 * asked for.
 */
import { join } from 'node:path'
import type { Column, Table } from '../catalog/index.ts'
import { fromDuckDb, textFormat } from '../sql/index.ts'
import type { FoundFile } from './data-files.ts'
import { tableName } from './data-files.ts'
import type { EngineColumn } from './duckdb-stream.ts'
import { QueryFault } from './query-error.ts'
import { sqlFiles, sqlName, sqlText } from './sql-text.ts'
import { LONGEST_LINE_BYTES, LONGEST_OBJECT_BYTES } from './text-checks.ts'

interface ViewInput {
  readonly table: Table
  readonly files: readonly FoundFile[]
  /** The columns that Parquet files of others have; null where there are none. */
  readonly foreign: readonly EngineColumn[] | null
  /** From Tajo's type names to DuckDB's. */
  readonly toDuckDb: (type: string) => string
}

/** The schema of a new table; columns that came later are missing in files that were written before. */
const FIRST_SCHEMA = 1

/** Throws QueryFault for what does not fit. */
export function viewBody(input: ViewInput): string {
  const { files, table } = input
  if (files.length === 0) return emptyBody(input)
  if (table.format !== 'PARQUET') return readBody(input, files, (rest) => textReader(input, rest))
  const own = files.filter((file) => file.own)
  const foreign = files.filter((file) => !file.own)
  return [
    ...(own.length === 0 ? [] : [ownBody(input, own)]),
    ...(foreign.length === 0
      ? []
      : [readBody(input, foreign, foreignReader, { foreign: input.foreign })]),
  ].join(' UNION ALL ')
}

/** Reads nothing but the names and types of columns, to be prepared and not run. */
export const foreignProbe = (table: Table, paths: readonly string[]): string =>
  `SELECT * FROM read_parquet(${sqlFiles(paths)}, union_by_name = ${table.schemaVersion > FIRST_SCHEMA}, hive_partitioning = false)`

/** By number, where the schema has changed since a file may have been written; DuckDB can't have both this and hive. */
function ownBody(input: ViewInput, own: readonly FoundFile[]): string {
  const changed = input.table.schemaVersion > FIRST_SCHEMA
  const reader = (rest: string): string =>
    changed ? ownReader(input, rest) : `read_parquet(${rest})`
  return readBody(input, own, reader, { hive: !changed })
}

function emptyBody({ table, toDuckDb }: ViewInput): string {
  const columns = [...table.columns, ...table.partitionColumns]
  const nulls = columns.map(({ name, type }) => `NULL::${toDuckDb(type)} AS ${sqlName(name)}`)
  return `SELECT ${nulls.join(', ')} WHERE false`
}

/** `reader` makes the call that reads them, from the arguments that they have in common. */
function readBody(
  input: ViewInput,
  files: readonly FoundFile[],
  reader: (common: string) => string,
  how: { foreign?: readonly EngineColumn[] | null; hive?: boolean } = {},
): string {
  const { foreign = null, hive: mayBeHive = true } = how
  const { table, toDuckDb } = input
  const columns = table.columns.map((column) =>
    foreign === null ? ownColumn(input, column) : foreignColumn(input, column, foreign),
  )
  const paths = sqlFiles(files.map(({ path }) => path))
  const parts = table.partitionColumns
  if (parts.length === 0) {
    return `SELECT ${columns.join(', ')} FROM ${reader(`${paths}, hive_partitioning = false`)} AS f`
  }
  if (mayBeHive && files.every((file) => saysTheSame(table, file))) {
    const types = parts.map(({ name, type }) => `${sqlText(name)}: ${sqlText(toDuckDb(type))}`)
    const hive = `${paths}, hive_partitioning = true, hive_types = {${types.join(', ')}}`
    const values = parts.map(({ name }) => `f.${sqlName(name)}`)
    return `SELECT ${[...columns, ...values].join(', ')} FROM ${reader(hive)} AS f`
  }
  const common = `${paths}, hive_partitioning = false, filename = ${sqlText(FILE_COLUMN)}`
  return `SELECT ${[...columns, ...namedValues(input)].join(', ')} FROM ${reader(common)} AS f JOIN ${valuesOf(files)} ON v.path = f.${sqlName(FILE_COLUMN)}`
}

/**
 * JSON has no bytes: a BLOB is written as a text, `\\xFF` for what is none, and DuckDB would read the bytes of that text. One
 * of another's that isn't of that kind is its own bytes.
 */
function ownColumn({ table, toDuckDb }: ViewInput, { name, type }: Column): string {
  const value = `f.${sqlName(name)}`
  const wanted = toDuckDb(type)
  if (table.format !== 'JSON' || inJson(wanted) === wanted) return value
  const read = wanted === 'BLOB' ? `coalesce(TRY_CAST(${value} AS BLOB), encode(${value}))` : null
  return `${read ?? `CAST(${value} AS ${wanted})`} AS ${sqlName(name)}`
}

/** As which type DuckDB's reader of JSON gets it right. */
const inJson = (type: string): string =>
  type.replace(BLOB_OR_NAME, (one) => (one.startsWith('"') ? one : 'VARCHAR'))

/** A field's quoted name may look like a type. */
const BLOB_OR_NAME = /"(?:[^"]|"")*"|\bBLOB\b/g

/** No column of a user's has this name. */
const FILE_COLUMN = '\u0001file'

const namedValues = ({ table, toDuckDb }: ViewInput): string[] =>
  table.partitionColumns.map(
    ({ name, type }, i) => `CAST(v.p${i} AS ${toDuckDb(type)}) AS ${sqlName(name)}`,
  )

function valuesOf(files: readonly FoundFile[]): string {
  const rows = files.map(
    ({ path, partition }) =>
      `(${[sqlText(path), ...partition.map((one) => (one === null ? 'NULL::VARCHAR' : sqlText(one)))].join(', ')})`,
  )
  const names = files[0]?.partition.map((_, i) => `p${i}`) ?? []
  return `(VALUES ${rows.join(', ')}) AS v(${['path', ...names].join(', ')})`
}

const PLAIN_NAME = /^[a-z0-9_]+$/

/** Whether DuckDB, too, would read the catalog's partition values from the path. */
function saysTheSame(table: Table, { path, partition }: FoundFile): boolean {
  const directories = path.split('/').slice(0, -1)
  return table.partitionColumns.every(({ name }, i) => {
    const value = partition[i]
    if (value === undefined || !PLAIN_NAME.test(name)) return false
    // Which the engine takes for no value, in any case of its letters.
    if (value?.toUpperCase() === 'NULL') return false
    const mine = directories.filter((one) => one.startsWith(`${name}=`))
    return mine.length === 1 && mine[0] === hiveDirectory(name, value)
  })
}

const HIVE_NULL = '__HIVE_DEFAULT_PARTITION__'

/** How a partition's directory is called; null when its value can't be told from NULL by its name. */
export function hiveDirectory(name: string, value: string | null): string | null {
  if (value === HIVE_NULL) return null
  return `${encoded(name)}=${value === null ? HIVE_NULL : encoded(value)}`
}

/** As Hive and DuckDB do it: all but letters, digits and a few is %XX. */
const encoded = (text: string): string =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  )

function textReader(input: ViewInput, common: string): string {
  return input.table.format === 'JSON' ? jsonReader(input, common) : csvReader(input, common)
}

const structOf = ({ table, toDuckDb }: ViewInput, as = (type: string): string => type): string =>
  `{${table.columns.map(({ name, type }) => `${sqlText(name)}: ${sqlText(as(toDuckDb(type)))}`).join(', ')}}`

function csvReader(input: ViewInput, common: string): string {
  const { table } = input
  const format = textFormat(table.options)
  // Lines that were written before a column was added are shorter.
  const padded = table.schemaVersion > FIRST_SCHEMA
  return `read_csv(${[
    common,
    `columns = ${structOf(input)}`,
    'auto_detect = false',
    'header = false',
    `skip = ${format.headerLines}`,
    `delim = ${sqlText(format.delimiter)}`,
    `quote = ${sqlText(format.quote)}`,
    `escape = ${sqlText(format.escape)}`,
    `nullstr = ${sqlText(format.nullText)}`,
    'allow_quoted_nulls = false',
    `null_padding = ${padded}`,
    `parallel = ${!padded}`,
    `ignore_errors = ${format.tolerant}`,
    `max_line_size = ${LONGEST_LINE_BYTES + 1}`,
  ].join(', ')})`
}

const jsonReader = (input: ViewInput, common: string): string =>
  `read_json(${[
    common,
    `columns = ${structOf(input, inJson)}`,
    "format = 'newline_delimited'",
    'auto_detect = false',
    `ignore_errors = ${textFormat(input.table.options).tolerant}`,
    `maximum_object_size = ${LONGEST_OBJECT_BYTES}`,
  ].join(', ')})`

/** It finds columns by their numbers. */
function ownReader({ table, toDuckDb }: ViewInput, common: string): string {
  const columns = table.columns.map(
    ({ name, type }, i) =>
      `${i + 1}: {name: ${sqlText(name)}, type: ${sqlText(toDuckDb(type))}, default_value: NULL}`,
  )
  return `read_parquet(${common}, schema = MAP {${columns.join(', ')}})`
}

const foreignReader = (common: string): string => `read_parquet(${common}, union_by_name = true)`

function foreignColumn(
  { table, toDuckDb, files }: ViewInput,
  column: Column,
  foreign: readonly EngineColumn[],
): string {
  const { name, type } = column
  const wanted = toDuckDb(type)
  const there =
    foreign.find((one) => one.name === name) ??
    foreign.find((one) => one.name.toLowerCase() === name.toLowerCase())
  if (there === undefined) {
    if (table.schemaVersion > FIRST_SCHEMA) return `NULL::${wanted} AS ${sqlName(name)}`
    const file = files.find((one) => !one.own)?.path ?? join(table.location, '*')
    throw new QueryFault(
      'user',
      `${file}, a data file of ${tableName(table)}, has no column ${name}; it has ${foreign.map((one) => one.name).join(', ')}`,
    )
  }
  const value = `f.${sqlName(there.name)}`
  if (there.type === wanted) return `${value} AS ${sqlName(name)}`
  const given = `column ${name} of ${tableName(table)} is ${type}, and in its Parquet files ${fromDuckDb(there.type)}: a value there does not fit: `
  return `${converted(value, there.type, { wanted, given })} AS ${sqlName(name)}`
}

/** Each fits into those after it. */
const NUMBERS = ['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'FLOAT', 'DOUBLE']

const alwaysFits = (there: string, wanted: string): boolean =>
  wanted === 'VARCHAR' ||
  (there.startsWith('TIMESTAMP') && wanted.startsWith('TIMESTAMP')) ||
  (NUMBERS.includes(there) && NUMBERS.indexOf(there) < NUMBERS.indexOf(wanted))

/** Where a value may not fit, the error names table and column, which DuckDB's own does not. */
function converted(
  value: string,
  there: string,
  { wanted, given }: { wanted: string; given: string },
): string {
  const plain = `CAST(${value} AS ${wanted})`
  // DuckDB can see through a plain one and pass over files; of lists and records TRY_CAST would leave parts out.
  if (alwaysFits(there, wanted) || /[[]|STRUCT|MAP/.test(`${there} ${wanted}`)) return plain
  return `CASE WHEN TRY_CAST(${value} AS ${wanted}) IS NULL AND ${value} IS NOT NULL THEN error(${sqlText(given)} || CAST(${value} AS VARCHAR)[:100]) ELSE TRY_CAST(${value} AS ${wanted}) END`
}
