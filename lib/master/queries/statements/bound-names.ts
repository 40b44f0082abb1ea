/**
 * Which tables and databases the names of a change meant when it was submitted: that one moment is what all its names are
 * of, those that it reads as well as the one that it writes, in each of its attempts. Otherwise one that was planned for a
 * table could read, after two others were renamed, what has got that name, and replace the one with the other; and a table
 * could be made in a database that somebody else has made since. Pure.
 *
 * Which names a query reads is known to its worker's engine alone. So every word of the statement is bound that is a
 * table's name here, be it one or a column's, in each database that is the session's or another word: too many do no
 * harm.
 */
import type { Table } from '../../../catalog/model.ts'
import type { CatalogState } from '../../../catalog/state.ts'
import type { BoundNames } from '../../../rpc/contract.ts'
import { SqlError, type TableName } from '../../../sql/statement.ts'
import { fullName, requireTable, spell } from './names.ts'

export function bindNames(state: CatalogState, sql: string, current: string): BoundNames {
  const words = wordsOf(sql)
  const databases = [...new Set([current, ...words])]
    .map((name) => state.database(name))
    .filter((one) => one !== null)
    .map(({ name, createdAt }) => ({ name, createdAt }))
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

/** Without its quotes; null where none ends in time. */
function quotedAt(sql: string, start: number, quote: string): string | null {
  let name = ''
  for (let at = start + 1; at < sql.length && name.length <= LONGEST_NAME; at++) {
    if (sql[at] !== quote) name += sql[at]
    else if (sql[at + 1] === quote) {
      name += quote
      at += 1
    } else return name
  }
  return null
}
