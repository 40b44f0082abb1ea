/**
 * The names of a database's tables, sorted, for lists. Sorting a hundred thousand of them holds everything up for a tenth of
 * a second: it is done in slices, and what was made is kept as long as no table there is made, dropped or renamed.
 */
import { sortedInSlices } from '../../base/slices.ts'
import type { CatalogState } from '../../catalog/state.ts'

const sorted = new WeakMap<object, Promise<readonly string[]>>()

/** Null when there is no such database. */
export function sortedNames(
  state: CatalogState,
  database: string,
): Promise<readonly string[]> | null {
  const names = state.tableNames(database)
  if (names === null) return null
  let made = sorted.get(names)
  if (made === undefined) {
    made = sortedInSlices(names.keys())
    sorted.set(names, made)
  }
  return made
}
