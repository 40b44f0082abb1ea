/**
 * The names of a database's tables, sorted, for lists. Sorting a hundred thousand of them would hold everything up for a
 * tenth of a second: it is done in slices, and what was sorted is kept. Where tables came and went since, which a list that
 * is asked for piece by piece meets at each piece, only those are put in and taken out.
 */
import { sortedInSlices } from '../../../base/slices.ts'
import type { CatalogState, TableNames } from '../../../catalog/state.ts'

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
