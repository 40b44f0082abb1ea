/**
 * From the tables that a query names to the views that it finds under those names, in its own connection.
 *
 * A name means what its master bound it to when the query was submitted: so it is asked for, and what of the answer is
 * meant is judged by it. A name that meant nothing then may be a table's that was made since, but not one's that was called
 * otherwise.
 */
import { hostname } from 'node:os'
import type { PartitionTest, Table } from '../catalog/index.ts'
import { contentVersionOf, testOf } from '../catalog/index.ts'
import type { BoundNames, Manifest } from '../contract/index.ts'
import { type EngineText, type Place, SqlError } from '../sql/index.ts'
import { analyse, keyOfSpelling, type TableUse } from './analyse.ts'
import type { AskedTable, Resolved } from './catalog-reader.ts'
import { type FoundFile, filesOf, tableName } from './data-files.ts'
import type { QueryEngine } from './query-engine.ts'
import { QueryFault, queryErrorOf } from './query-error.ts'
import { reachOf } from './reach.ts'
import { type Roots, within } from './roots.ts'
import { sqlName, sqlText } from './sql-text.ts'
import { foreignProbe, viewBody } from './table-view.ts'

interface Name {
  readonly database: string
  readonly name: string
}

/** Null: nothing is bound, as in a query that changes nothing. */
type Names = BoundNames | null

export function askedFor({ database, name }: Name, names: Names): AskedTable {
  const bound = boundTo({ database, name }, names)
  return bound === null ? { database, name } : { database, name, tableId: bound }
}

export function meantBy(use: Name, found: Table | null, names: Names): Table | null {
  if (found === null || names === null) return found
  const bound = boundTo(use, names)
  const isMeant = bound === null ? found.id >= names.nextTableId : found.id === bound
  return isMeant ? found : null
}

/** The id; null: that name meant no table. */
const boundTo = ({ database, name }: Name, names: Names): number | null =>
  names?.tables.find((one) => one.database === database && one.name === name)?.tableId ?? null

export interface ScopeParts {
  readonly roots: Roots
  readonly toDuckDb: (type: string) => string
  /** For whoever's query it is. */
  readonly resolve: (tables: readonly AskedTable[], signal: AbortSignal) => Promise<Resolved>
  /** Who sees a file in the directory of that table, where this worker sees none; null: nobody. */
  readonly seesFiles?: (table: Table, signal: AbortSignal) => Promise<string | null>
}

interface ScopeInput {
  readonly query: EngineText
  /** The session's. */
  readonly database: string
  /** What its names mean; null: whatever is called so when it begins. */
  readonly names: Names
  /** Where its result is written, symbolic links resolved; null: it goes to its client. */
  readonly writesTo: string | null
  /** Empty: UTC. */
  readonly timeZone: string
  readonly signal: AbortSignal
}

const NOTHING: Resolved = { tables: [], refused: new Map(), confined: new Map() }

/**
 * `query.text` means in that engine what the user meant from then on, and nothing else can be reached. Resolves to the
 * tables that it reads, as they were at that moment. Rejects with SqlError, QueryFault, EngineError, or RpcError when no
 * master answered.
 */
export async function enterScope(
  engine: QueryEngine,
  input: ScopeInput,
  parts: ScopeParts,
): Promise<Manifest['reads']> {
  const { query, database, names, writesTo, signal } = input
  const uses = analyse(JSON.parse(await engine.serialized(query.text)), query, database)
  const asked = uses.map((use) => ({ ...askedFor(use, names), where: use.where ?? undefined }))
  const { tables, refused, confined } =
    uses.length === 0 ? NOTHING : await parts.resolve(asked, signal)
  for (const [at, why] of refused) throw new SqlError(why, uses[at]?.place ?? null)
  const known = uses.map((use, i) => required(use, tables[i] ?? null, names))
  refuseTwins(uses)
  const found: { table: Table; files: readonly FoundFile[] }[] = []
  for (const [i, table] of known.entries()) {
    const test = testOf(uses[i]?.where ?? null, table, tables)
    const roots = await within(parts.roots, confined.get(i))
    found.push({ table, files: await filesFor(table, { ...parts, roots, test, signal }) })
  }
  engine.open(await reachOf(found, { roots: parts.roots, writesTo }))
  const views: string[] = []
  for (const [i, { table, files }] of found.entries()) {
    const body = await bodyOf(engine, { table, files, toDuckDb: parts.toDuckDb })
    for (const { schema, name } of uses[i]?.spellings ?? []) {
      views.push(`CREATE VIEW ${sqlName(schema)}.${sqlName(name)} AS ${body}`)
    }
  }
  const schemas = uses.flatMap(({ spellings }) => spellings.map(({ schema }) => schema))
  // In this order: the names are those of whoever has entered.
  const [, [unknown]] = await Promise.all([
    enter(engine, [...new Set([database, ...schemas])], [...zone(input), ...views]),
    engine.unknownNames(query.text),
  ])
  if (unknown !== undefined) throw noTable(`${database}.${unknown}`, query.placeOf(0))
  return known.map((one) => ({ tableId: one.id, contentVersion: contentVersionOf(one) }))
}

/** DuckDB's places in these statements are none of the user's. */
async function enter(engine: QueryEngine, schemas: string[], sql: string[]): Promise<void> {
  try {
    await engine.enter(schemas, sql)
  } catch (error) {
    const { kind, message } = queryErrorOf(error, null)
    throw new QueryFault(kind, message, null, error)
  }
}

function required(use: TableUse, found: Table | null, names: Names): Table {
  const table = meantBy(use, found, names)
  if (table !== null) return table
  if (boundTo(use, names) !== null) {
    const text = `table ${use.database}.${use.name} was dropped while the query was under way`
    throw new SqlError(text, use.place)
  }
  throw noTable(`${use.database}.${use.name}`, use.place)
}

function noTable(name: string, place: Place | null): SqlError {
  const isFile = /[./]/.test(name.slice(name.indexOf('.') + 1))
  const hint = isFile ? "; a file becomes a table by CREATE EXTERNAL TABLE … LOCATION '…'" : ''
  return new SqlError(`there is no table ${name}${hint}`, place)
}

/** Names that differ in nothing but case are one name to DuckDB. */
function refuseTwins(uses: readonly TableUse[]): void {
  const seen = new Map<string, TableUse>()
  for (const use of uses) {
    for (const key of use.spellings.map(keyOfSpelling)) {
      const other = seen.get(key) ?? use
      if (other !== use) {
        const names = `${other.database}.${other.name} and ${use.database}.${use.name}`
        throw new SqlError(
          `${names} can't be used in one query: their names differ in case only`,
          use.place,
        )
      }
      seen.set(key, use)
    }
  }
}

interface FileParts extends ScopeParts {
  readonly test: PartitionTest
  readonly signal: AbortSignal
}

async function filesFor(
  table: Table,
  { roots, seesFiles, test, signal }: FileParts,
): Promise<readonly FoundFile[]> {
  const { files, isEmpty } = await filesOf(table, roots, test)
  // No list tells what a directory should hold, and a mount point without its mount is empty.
  const seenBy = (table.wholeDirectory && isEmpty && (await seesFiles?.(table, signal))) || null
  if (seenBy === null) return files
  throw new QueryFault(
    'internal',
    `this worker, on ${hostname()}, sees no file in ${table.location}, the location of ${tableName(table)}, and the active master ${seenBy} does: is it mounted on ${hostname()}?`,
  )
}

const bodyOf = async (
  engine: QueryEngine,
  what: { table: Table; files: readonly FoundFile[]; toDuckDb: (type: string) => string },
): Promise<string> =>
  viewBody({ ...what, foreign: await foreignColumns(engine, what.table, what.files) })

async function foreignColumns(engine: QueryEngine, table: Table, files: readonly FoundFile[]) {
  const foreign = files.filter(({ own }) => !own).map(({ path }) => path)
  if (table.format !== 'PARQUET' || foreign.length === 0) return null
  return engine.describe(foreignProbe(table, foreign)).catch((error: unknown) => {
    const { message } = queryErrorOf(error, null)
    throw new QueryFault('user', `${table.database}.${table.name}: ${message}`, null, error)
  })
}

const zone = ({ timeZone }: ScopeInput): string[] =>
  timeZone === '' ? [] : [`SET SESSION TimeZone = ${sqlText(timeZone)}`]
