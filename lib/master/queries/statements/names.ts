/** Names of a statement against the catalog: which table is meant, and a clear error where there is none. Pure. */

import { nearest } from '../../../base/nearest.ts'
import type { Column, Table } from '../../../catalog/model.ts'
import type { CatalogState } from '../../../catalog/state.ts'
import { type Place, SqlError, type TableName } from '../../../sql/statement.ts'

export interface FullName {
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

/** Among so many tables one is looked for that may be meant: a hint is not worth a pause of all else. */
const MOST_MEANT = 1000

/** The first `most`, in the order in which they were made. */
export function someNames(state: CatalogState, database: string, most: number): string[] {
  const names: string[] = []
  for (const name of state.tableNames(database)?.keys() ?? []) {
    if (names.length === most) break
    names.push(name)
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
