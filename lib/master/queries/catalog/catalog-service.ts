/** The catalog port: reads, answered by the active from memory; and what it sees of an external table's directory. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path/posix'
import type { Clock } from '../../../base/clock.ts'
import { inSlices } from '../../../base/slices.ts'
import type { Table } from '../../../catalog/model.ts'
import { isHidden, OWN_PREFIX } from '../../../catalog/own-prefix.ts'
import type { CatalogState } from '../../../catalog/state.ts'
import type { CatalogTable } from '../../../rpc/contract.ts'
import { type Handlers, RpcError } from '../../../rpc/index.ts'
import { placeOf, sortedNames } from '../statements/table-names.ts'
import type { CatalogPort } from './catalog-port.ts'
import { FilePages } from './file-pages.ts'

export type CatalogReads = Omit<Handlers<'catalog'>, 'status'>

/** One for each term: what it has begun to tell ends with it. */
export function catalogService(catalog: CatalogPort, clock: Clock): CatalogReads {
  const pages = new FilePages(clock)
  return {
    databases: () => ({ databases: catalog.state().databaseNames() }),
    tables: async (asked) => {
      const state = catalog.state()
      const { names, total } = await chosen(state, asked)
      const tables: TableSummary[] = []
      await inSlices(names, (name) => {
        const table = state.find(asked.database, name)
        if (table !== null) tables.push(summaryOf(table))
      })
      return { tables, total }
    },
    resolve: async ({ tables: asked }) => {
      const state = catalog.state()
      const found = asked.map((one) => resolved(state, one))
      const page = await pages.begin(asked, found)
      return { ...page, tables: found.map((table) => (table === null ? null : headOf(table))) }
    },
    moreFiles: ({ next }) => pages.more(next),
    seesFiles: async ({ tableId }) => {
      const table = catalog.state().table(tableId)
      return { sees: table !== null && (await hasFile(table.location)) }
    },
  }
}

/** Rejects RpcError BAD_REQUEST where there is no such database. */
async function chosen(
  state: CatalogState,
  { database, names, search, after, offset = 0, limit }: Parameters<CatalogReads['tables']>[0],
): Promise<{ names: readonly string[]; total: number }> {
  const all = await sortedNames(state, database)
  if (all === null) throw new RpcError('BAD_REQUEST', `database ${database} does not exist`)
  const part = (found: readonly string[], first: number) => {
    const from = first + offset
    const to = limit === undefined ? found.length : from + limit
    return { names: found.slice(from, to), total: found.length - first }
  }
  // Just behind it: the next name that there can be.
  const behind = after === undefined ? 0 : placeOf(all, `${after}\0`)
  if (names === undefined && search === undefined) return part(all, behind)
  const word = search?.toLowerCase() ?? ''
  const found: string[] = []
  const among = names === undefined ? all.slice(behind) : [...new Set(names)].sort()
  await inSlices(among, (name) => {
    if (after !== undefined && name <= after) return
    if (!name.toLowerCase().includes(word)) return
    if (names === undefined || state.find(database, name) !== null) found.push(name)
  })
  return part(found, 0)
}

/** One that counts as a table's, there or further down; false where nothing is there. */
async function hasFile(directory: string): Promise<boolean> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw error
  })
  for (const entry of entries) {
    if (isHidden(entry.name)) continue
    if (!entry.isDirectory()) return true
    if (!entry.name.startsWith(OWN_PREFIX) && (await hasFile(join(directory, entry.name)))) {
      return true
    }
  }
  return false
}

/** With an id it is that table, whatever it is called by now. */
export const resolved = (
  state: CatalogState,
  asked: {
    readonly database: string
    readonly name: string
    readonly tableId?: number | undefined
  },
): Table | null =>
  asked.tableId === undefined ? state.find(asked.database, asked.name) : state.table(asked.tableId)

type TableSummary = ReturnType<typeof summaryOf>

const headOf = ({ files: _, ...table }: Table) => table as Omit<CatalogTable, 'files'>

function summaryOf(table: Table) {
  const { rows, bytes, length: fileCount } = table.files
  return { ...headOf(table), rows: table.wholeDirectory ? null : rows, bytes, fileCount }
}
