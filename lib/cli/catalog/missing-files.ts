/**
 * Which files of a catalog are not where it says, for whoever brings an earlier one back: what was dropped, overwritten or
 * joined into other files since may have been removed. Looks at each file of the tables that are ours, up to a number; one
 * that can't be looked at counts as there.
 */
import { lstat } from 'node:fs/promises'
import { absolutePath, type CatalogState } from '../../catalog/state.ts'

export interface MissingFiles {
  readonly files: number
  /** `database.table`, in the order of the catalog. */
  readonly tables: readonly string[]
  /** There are more files than were looked for. */
  readonly cut: boolean
}

const MOST_LOOKS = 100_000
const AT_A_TIME = 16

export async function missingFiles(
  state: CatalogState,
  mostLooks = MOST_LOOKS,
): Promise<MissingFiles> {
  const wanted = filesOf(state)
  const tables = new Set<string>()
  let [looks, files] = [0, 0]
  let cut = false
  const lane = async (): Promise<void> => {
    for (let next = wanted.next(); next.done !== true; next = wanted.next()) {
      if (looks === mostLooks) {
        cut = true
        return
      }
      looks += 1
      const { table, path } = next.value
      if (!(await isGone(path))) continue
      files += 1
      tables.add(table)
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, lane))
  return { files, tables: [...tables], cut }
}

function* filesOf(state: CatalogState): Generator<{ table: string; path: string }> {
  for (const table of state.allTables()) {
    if (table.kind === 'external') continue
    const name = `${table.database}.${table.name}`
    for (const { path } of table.files) yield { table: name, path: absolutePath(table, path) }
  }
}

const isGone = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => false,
    ({ code }: NodeJS.ErrnoException) => code === 'ENOENT' || code === 'ENOTDIR',
  )

const NAMED = 5

/** For people; null where nothing is missing. */
export function toldMissing({ files, tables, cut }: MissingFiles): string | null {
  if (files === 0) return null
  const more = tables.length > NAMED ? ` and ${tables.length - NAMED} more` : ''
  const least = cut ? 'at least ' : ''
  return `${least}${files} files that it names are gone (dropped, overwritten, or joined into others and kept no longer (tajo.table.compaction.retention-hour), or the warehouse is not mounted on this host): a query of the whole of ${tables.slice(0, NAMED).join(', ')}${more} fails`
}
