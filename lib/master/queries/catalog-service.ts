/** The catalog port: reads, answered by the active from memory; and what it sees of an external table's directory. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path/posix'
import type { Table } from '../../catalog/model.ts'
import { isHidden, OWN_PREFIX } from '../../catalog/own-prefix.ts'
import type { CatalogState } from '../../catalog/state.ts'
import type { CatalogTable } from '../../rpc/contract.ts'
import { type Handlers, RpcError } from '../../rpc/index.ts'
import type { CatalogPort } from './catalog-port.ts'

type Reads = Pick<Handlers<'catalog'>, 'databases' | 'tables' | 'resolve' | 'seesFiles'>

export function catalogService(catalog: CatalogPort): Reads {
  return {
    databases: () => ({ databases: catalog.state().databaseNames() }),
    tables: ({ database }) => {
      const tables = catalog.state().tablesOf(database)
      if (tables === null) throw new RpcError('BAD_REQUEST', `database ${database} does not exist`)
      return { tables: tables.map(summaryOf) }
    },
    resolve: ({ tables }) => {
      const state = catalog.state()
      return { tables: tables.map((asked) => resolved(state, asked) as CatalogTable | null) }
    },
    seesFiles: async ({ tableId }) => {
      const table = catalog.state().table(tableId)
      return { sees: table !== null && (await hasFile(table.location)) }
    },
  }
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

function summaryOf({ files, ...table }: Table) {
  const { rows, bytes, length: fileCount } = files
  const known = table.wholeDirectory ? null : rows
  return { ...(table as Omit<CatalogTable, 'files'>), rows: known, bytes, fileCount }
}
