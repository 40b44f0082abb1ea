/**
 * Names of a statement against the catalog: which table is meant, and a clear error where there is none. Pure.
 *
 * The names of a database's tables, sorted, for lists. Sorting a hundred thousand of them would hold everything up for a
 * tenth of a second: it is done in slices, and what was sorted is kept. Where tables came and went since, which a list that
 * is asked for piece by piece meets at each piece, only those are put in and taken out.
 *
 * Which tables and databases the names of a change meant when it was submitted: that one moment is what all its names are
 * of, those that it reads as well as the one that it writes, in each of its attempts. Otherwise one that was planned for a
 * table could read, after two others were renamed, what has got that name, and replace the one with the other; and a table
 * could be made in a database that somebody else has made since. Pure.
 *
 * Which names a query reads is known to its worker's engine alone. So every word of the statement is bound that is a
 * table's name here, be it one or a column's, in each database that is the session's or another word: too many do no
 * harm.
 */
import { nearest } from '../../../base/nearest.ts'
import { sortedInSlices } from '../../../base/slices.ts'
import type { CatalogState, Column, Table, TableNames } from '../../../catalog/index.ts'
import type { BoundNames } from '../../../contract/index.ts'
import type { Place, TableName } from '../../../sql/index.ts'
import { SqlError } from '../../../sql/index.ts'

/** Each word is looked for in each database that is named: so much is done while nobody else is served. */
const MOST_LOOK_UPS = 500_000

/** Throws SqlError for a text that would take too long. */
export function bindNames(state: CatalogState, sql: string, current: string): BoundNames {
  const words = wordsOf(sql)
  const databases = [...new Set([current, ...words])]
    .map((name) => state.database(name))
    .filter((one) => one !== null)
    .map(({ name, createdAt }) => ({ name, createdAt }))
  if (databases.length * words.size > MOST_LOOK_UPS) {
    const text = `${databases.length} of the statement's ${words.size} words are databases: name fewer of them in one statement`
    throw new SqlError(text, null)
  }
  const tables = databases.flatMap(({ name: database }) =>
    [...words].flatMap((name) => {
      const table = state.find(database, name)
      return table === null ? [] : [{ database, name, tableId: table.id }]
    }),
  )
  return { databases, tables, nextTableId: state.nextTableId }
}

/** As it was bound, under whatever name it is there now. Throws SqlError with the name's place. */
export function requireBound(
  state: CatalogState,
  named: TableName,
  current: string,
  names: BoundNames,
): Table {
  const { database, name } = fullName(named, current)
  const bound = names.tables.find((one) => one.database === database && one.name === name)
  if (bound === undefined) return requireTable(state, named, current)
  const table = state.table(bound.tableId)
  if (table !== null) return table
  throw new SqlError(
    `table ${spell({ database, name })} was dropped while the query was under way`,
    named.place,
  )
}

/** Throws SqlError with the table's place. */
export function requireBoundDatabase(
  state: CatalogState,
  named: TableName,
  current: string,
  names: BoundNames,
): void {
  const why = whyOtherDatabase(state, fullName(named, current).database, names)
  if (why !== null) throw new SqlError(why, named.place)
}

/** Why that database is not the one that was bound, as a sentence; null where it is, or nothing is known of it. */
export function whyOtherDatabase(
  state: CatalogState,
  database: string,
  names: BoundNames | undefined,
): string | null {
  const bound = names?.databases?.find((one) => one.name === database)
  if (bound === undefined || state.database(database)?.createdAt === bound.createdAt) return null
  return `database ${database} was dropped while the query was under way`
}

/** What could be a name in it, with and without its case; in comments and texts as well. */
function wordsOf(sql: string): Set<string> {
  const words = new Set<string>()
  for (const [plain] of sql.matchAll(PLAIN)) words.add(plain).add(plain.toLowerCase())
  for (const quote of ['"', "'"]) {
    // From each quote on, since nobody knows here which ones begin a name.
    for (let at = sql.indexOf(quote); at >= 0; at = sql.indexOf(quote, at + 1)) {
      const name = quotedAt(sql, at, quote)
      if (name !== null) words.add(name).add(name.toLowerCase())
    }
  }
  return words
}

const PLAIN = /[^\s.,;()[\]{}"'+\-*/<>=~!@#%^&|`?:]+/g
const LONGEST_NAME = 128
/** No name has more of them, and a text may be nothing else. */
const MOST_DOUBLED = 16

/** Without its quotes; null where none ends in time. */
function quotedAt(sql: string, start: number, quote: string): string | null {
  let name = ''
  let doubled = 0
  for (let at = start + 1; at < sql.length && name.length <= LONGEST_NAME; at++) {
    if (sql[at] !== quote) name += sql[at]
    else if (sql[at + 1] === quote) {
      doubled += 1
      if (doubled > MOST_DOUBLED) return null
      name += quote
      at += 1
    } else return name
  }
  return null
}

interface Sorted {
  readonly of: TableNames
  readonly names: readonly string[]
}

/** By database; of no more than so many, the last ones. */
const known = new Map<string, Promise<Sorted>>()
const MOST_KNOWN = 16
/** More changes than this are sorted anew. */
const MOST_CHANGES = 1000

/** Null when there is no such database. */
export function sortedNames(
  state: CatalogState,
  database: string,
): Promise<readonly string[]> | null {
  const now = state.tableNames(database)
  if (now === null) return null
  const before = known.get(database) ?? Promise.resolve(null)
  const made = before.then((last) => (last === null ? sorted(now) : changed(last, now)))
  known.delete(database)
  known.set(database, made)
  for (const oldest of known.keys()) {
    if (known.size <= MOST_KNOWN) break
    known.delete(oldest)
  }
  return made.then(({ names }) => names)
}

const sorted = async (of: TableNames): Promise<Sorted> => ({
  of,
  names: await sortedInSlices(of.keys()),
})

async function changed(last: Sorted, now: TableNames): Promise<Sorted> {
  if (last.of === now) return last
  const came: string[] = []
  const went: string[] = []
  for (const [name] of now.changedSince(last.of)) {
    if (!last.of.has(name)) came.push(name)
    if (came.length > MOST_CHANGES) return sorted(now)
  }
  for (const [name] of last.of.changedSince(now)) {
    if (!now.has(name)) went.push(name)
    if (went.length > MOST_CHANGES) return sorted(now)
  }
  const names = [...last.names]
  for (const name of went) names.splice(placeOf(names, name), 1)
  for (const name of came) names.splice(placeOf(names, name), 0, name)
  return { of: now, names }
}

/** Where it stands in the sorted names, or would. */
export function placeOf(names: readonly string[], name: string): number {
  let from = 0
  let to = names.length
  while (from < to) {
    const middle = (from + to) >> 1
    if ((names[middle] ?? '') < name) from = middle + 1
    else to = middle
  }
  return from
}

interface FullName {
  readonly database: string
  readonly name: string
}

export const fullName = ({ database, name }: TableName, current: string): FullName => ({
  database: database ?? current,
  name,
})

export const spell = ({ database, name }: FullName): string => `${database}.${name}`

/** Throws SqlError with the name's place. */
export function requireTable(state: CatalogState, table: TableName, current: string): Table {
  const wanted = fullName(table, current)
  requireDatabase(state, wanted.database, table.place)
  const found = state.find(wanted.database, wanted.name)
  if (found !== null) return found
  const near = nearest(wanted.name, someNames(state, wanted.database, MOST_MEANT))
  const hint = near === null ? '' : ` (did you mean ${near}?)`
  throw new SqlError(`table ${spell(wanted)} does not exist${hint}`, table.place)
}

/** Among so many tables, and no more, one is looked for that may be meant: a hint is not worth a pause of all else. */
const MOST_MEANT = 1000

/** The first `most` that are seen, in the order in which they were made. */
export function someNames(state: CatalogState, database: string, most: number): string[] {
  const names: string[] = []
  for (const name of state.tableNames(database)?.keys() ?? []) {
    if (names.length === most) break
    if (state.find(database, name) !== null) names.push(name)
  }
  return names
}

/** Throws SqlError. */
export function requireDatabase(state: CatalogState, database: string, place: Place | null): void {
  if (state.database(database) !== null) return
  const near = nearest(database, state.databaseNames())
  const hint = near === null ? '' : ` (did you mean ${near}?)`
  throw new SqlError(`database ${database} does not exist${hint}`, place)
}

/** Throws SqlError when two columns have one name; names differ by more than their case. */
export function requireDistinct(names: readonly string[], table: TableName): void {
  const seen = new Set<string>()
  for (const name of names) {
    const key = name.toLowerCase()
    if (seen.has(key)) throw new SqlError(`column ${name} is there twice`, table.place)
    seen.add(key)
  }
}

export const allColumns = ({ columns, partitionColumns }: Table): readonly Column[] => [
  ...columns,
  ...partitionColumns,
]
