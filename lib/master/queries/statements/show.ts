/** What SHOW answers from the catalog and the session: to each what he may see. */
import type { Principal } from '../../../access/index.ts'
import { inSlices } from '../../../base/slices.ts'
import type { CatalogState } from '../../../catalog/index.ts'
import type { Session } from '../../../contract/index.ts'
import type { Named, Statement } from '../../../sql/index.ts'
import type { Answer } from '../run/query.ts'
import { requireDatabase, sortedNames } from './names.ts'
import { variableRows } from './session.ts'
import { grantRows, userRows } from './users.ts'

type Shown = Exclude<Extract<Statement, { is: 'show' }>['what'], 'functions'>

/** `state`: as he sees it. Rejects SqlError. */
export async function show(
  { what, named }: { readonly what: Shown; readonly named: Named | null },
  state: CatalogState,
  { principal, session }: { readonly principal: Principal; readonly session: Session },
): Promise<Answer> {
  const columns = (titles: readonly string[], rows: string[][]): Answer => ({
    columns: titles.map((name) => ({ name, type: 'TEXT' })),
    rows,
  })
  const column = (title: string, rows: string[][]): Answer => columns([title], rows)
  switch (what) {
    case 'databases':
      return column(
        'database',
        state.databaseNames().map((one) => [one]),
      )
    case 'tables': {
      const database = named?.name ?? session.database
      requireDatabase(state, database, named?.place ?? null)
      const rows: string[][] = []
      await inSlices((await sortedNames(state, database)) ?? [], (name) => {
        if (state.find(database, name) !== null) rows.push([name])
      })
      return column('table', rows)
    }
    case 'variables':
    case 'variable':
      return columns(['variable', 'value'], variableRows(session, named))
    case 'users':
      return columns(['user', 'created'], userRows(state, principal))
    case 'grants':
      return columns(['user', 'privilege', 'on'], await grantRows(state, principal, named))
  }
}
