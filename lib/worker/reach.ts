/**
 * What the engine of one query may open: the files of its tables, and where it writes. Whatever else a statement brings the
 * engine to, it finds there nothing but what the query may read anyway.
 *
 * A list of files costs the engine some twenty microseconds for each. Of a managed table of very many files its directory
 * stands for them, since nothing else lies in it. In that of an external one lies whatever its owner likes.
 */
import { sep } from 'node:path'
import type { Table } from '../catalog/index.ts'
import type { FoundFile } from './data-files.ts'
import { type Roots, realPathOf } from './roots.ts'

export interface Reach {
  /** Absolute, symbolic links resolved, as are the directories: all below those may be read and written. */
  readonly files: readonly string[]
  readonly directories: readonly string[]
}

export const NOTHING: Reach = { files: [], directories: [] }

/** Two engines of one key may open the same. */
export const keyOfReach = ({ files, directories }: Reach): string =>
  JSON.stringify([[...files].sort(), [...directories].sort()])

/** So many files of one table are listed, whatever it is. */
const MOST_LISTED = 2000

interface ReachParts {
  readonly roots: Roots
  /** Where its result goes, symbolic links resolved; null: to nobody but its client. */
  readonly writesTo: string | null
}

export async function reachOf(
  tables: readonly { readonly table: Table; readonly files: readonly FoundFile[] }[],
  { roots, writesTo }: ReachParts,
): Promise<Reach> {
  const parts = await Promise.all(
    tables.map(({ table, files }) => reachOfTable(table, files, roots)),
  )
  return {
    files: [...new Set(parts.flatMap(({ files }) => files))],
    directories: [
      ...new Set([
        ...parts.flatMap(({ directories }) => directories),
        ...(writesTo === null ? [] : [writesTo]),
      ]),
    ],
  }
}

async function reachOfTable(
  table: Table,
  found: readonly FoundFile[],
  roots: Roots,
): Promise<Reach> {
  const paths = found.map(({ path }) => path)
  const listed = { files: paths, directories: [] }
  if (table.kind !== 'managed' || paths.length <= MOST_LISTED) return listed
  const directory = await realPathOf(table.location)
  if (!roots.isOpen(directory)) return listed
  const isBelow = (path: string): boolean => path.startsWith(`${directory}${sep}`)
  const isCovered = ({ own, path }: FoundFile): boolean => own && isBelow(path)
  const others = found.filter((one) => !isCovered(one)).map(({ path }) => path)
  return { files: others, directories: [directory] }
}
