/**
 * What the engine of one query may open: the files of its tables, and where it writes. Whatever else a statement brings the
 * engine to, it finds there nothing but what the query may read anyway.
 *
 * A list of files costs the engine some twenty microseconds for each. Of a table of very many files that this software
 * wrote, the directory stands for them, since nothing else lies in it.
 */
import { sep } from 'node:path'
import type { Table } from '../catalog/index.ts'
import type { FoundFile } from './data-files.ts'
import { realPathOf } from './roots.ts'

export interface Reach {
  /** Absolute, symbolic links resolved, as are the directories: all below those may be read and written. */
  readonly files: readonly string[]
  readonly directories: readonly string[]
}

export const NOTHING: Reach = { files: [], directories: [] }

/** Two engines of one key may open the same. */
export const keyOfReach = ({ files, directories }: Reach): string =>
  JSON.stringify([[...files].sort(), [...directories].sort()])

/** Of one table; of more than one they are listed by its directory. */
const MOST_LISTED = 2000

/** `writesTo`: where its result goes, real; null: to nobody but its client. */
export async function reachOf(
  tables: readonly { readonly table: Table; readonly files: readonly FoundFile[] }[],
  writesTo: string | null,
): Promise<Reach> {
  const parts = await Promise.all(tables.map(({ table, files }) => reachOfTable(table, files)))
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

async function reachOfTable(table: Table, found: readonly FoundFile[]): Promise<Reach> {
  const paths = found.map(({ path }) => path)
  const own = found.filter((one) => one.own)
  if (own.length <= MOST_LISTED) return { files: paths, directories: [] }
  const directory = await realPathOf(table.location)
  const isBelow = (path: string): boolean => path.startsWith(`${directory}${sep}`)
  const isCovered = ({ own, path }: FoundFile): boolean => own && isBelow(path)
  const others = found.filter((one) => !isCovered(one)).map(({ path }) => path)
  return { files: others, directories: [directory] }
}
