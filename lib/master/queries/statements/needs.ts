/**
 * What a statement needs, as the privileges of whoever submits it (rights.ts). Pure. What a query reads is not among it: that
 * is known to its worker alone, which asks the catalog for those tables on behalf of the same user, and is refused there.
 *
 * A table that isn't there, or that he doesn't see, needs nothing: the statement itself says that it does not exist.
 */
import type { Principal } from '../../../access/index.ts'
import type { CatalogState, Privilege, Table } from '../../../catalog/index.ts'
import { unreachable } from '../../../ha/index.ts'
import {
  type AlterAction,
  type Granted,
  type InsertTarget,
  type Place,
  SqlError,
  type Statement,
  type TableName,
} from '../../../sql/index.ts'
import { fullName } from './names.ts'
import type { Confined } from './paths.ts'
import { type Need, whyNot } from './rights.ts'

interface NeedsContext {
  readonly principal: Principal
  /** The session's. */
  readonly database: string
  /** What LOCATION came to, where the statement has one. */
  readonly location: Confined | null
}

interface Needed {
  readonly need: Need
  readonly place: Place | null
}

/** Throws SqlError, with the privilege that is missing and what would give it. `state`: as he sees it. */
export function requireAllowed(
  state: CatalogState,
  statement: Statement,
  context: NeedsContext,
): void {
  for (const { need, place } of needsOf(state, statement, context)) {
    const why = whyNot(state, context.principal, need)
    if (why !== null) throw new SqlError(why, place)
  }
}

function needsOf(
  state: CatalogState,
  statement: Statement,
  { principal, database: current, location }: NeedsContext,
): readonly Needed[] {
  const onTable = (named: TableName, privilege: Privilege): Needed[] =>
    tableOf(state, named, current).map((table) => ({
      need: { on: 'table', table, privilege },
      place: named.place,
    }))
  const toMake = ({ table }: { readonly table: TableName }): Needed => ({
    need: { on: 'database', database: fullName(table, current).database, privilege: 'CREATE' },
    place: table.place,
  })
  const atLocation = (place: Place | null): Needed[] =>
    location === null ? [] : [{ need: { on: 'location', path: location.path }, place }]
  const cluster = (what: string, place: Place): Needed[] => [
    { need: { on: 'cluster', what }, place },
  ]
  switch (statement.is) {
    case 'query':
    case 'explain':
    case 'set':
    case 'unset':
    case 'describe':
      return []
    case 'show': {
      const { what, named } = statement
      if (what !== 'grants' || named === null || named.name === principal.name) return []
      return cluster('see what others were granted', named.place)
    }
    case 'create-database':
      return cluster('CREATE DATABASE', statement.place)
    case 'drop-database': {
      const { name: database, place } = statement
      if (state.database(database) === null) return []
      return [{ need: { on: 'database', database, privilege: 'ALL' }, place }]
    }
    case 'create-table':
      return [toMake(statement), ...atLocation(statement.location?.place ?? null)]
    case 'create-table-like':
      return [toMake(statement)]
    case 'insert':
      return intoNeeds(statement.into, { onTable, atLocation, path: location?.path ?? null })
    case 'drop-table':
      return onTable(statement.table, 'ALL')
    case 'truncate':
      return statement.tables.flatMap((named) => onTable(named, 'ALL'))
    case 'optimize':
      return onTable(statement.table, 'INSERT')
    case 'alter-table':
      return [...onTable(statement.table, 'ALL'), ...atLocation(placeOf(statement.action))]
    case 'create-user':
      return cluster('CREATE USER', statement.place)
    case 'drop-user':
      return cluster('DROP USER', statement.place)
    case 'alter-user':
      if (statement.name === principal.name) return []
      return cluster("change another one's password", statement.place)
    case 'grant':
      return grantNeeds(state, statement.what, { current, word: 'GRANT' })
    case 'revoke':
      return grantNeeds(state, statement.what, { current, word: 'REVOKE' })
    default:
      return unreachable(statement)
  }
}

/** What is written into an external table goes where its owner says. */
function intoNeeds(
  into: InsertTarget,
  needs: {
    readonly onTable: (named: TableName, privilege: Privilege) => Needed[]
    readonly atLocation: (place: Place) => Needed[]
    /** Where it leads; null: it was not looked at yet. */
    readonly path: string | null
  },
): readonly Needed[] {
  if (into.to === 'location') return needs.atLocation(into.location.place)
  return needs.onTable(into.table, 'INSERT').flatMap((one) => {
    const table = one.need.on === 'table' ? one.need.table : null
    if (table?.kind !== 'external') return [one]
    return [
      one,
      { need: { on: 'ground', table, path: needs.path ?? table.location }, place: one.place },
    ]
  })
}

function grantNeeds(
  state: CatalogState,
  what: Granted,
  { current, word }: { readonly current: string; readonly word: string },
): readonly Needed[] {
  if (what.on === 'table') {
    const { place } = what.table
    return tableOf(state, what.table, current).map((table) => ({
      need: { on: 'ownership', table },
      place,
    }))
  }
  const isPath = what.on === 'location'
  const place = isPath ? what.location.place : what.database.place
  return [
    { need: { on: 'cluster', what: `${word} on a ${isPath ? 'location' : 'database'}` }, place },
  ]
}

const placeOf = (action: AlterAction): Place | null =>
  action.do === 'add-partition' ? (action.location?.place ?? null) : null

/** None where he sees none of that name. */
function tableOf(state: CatalogState, named: TableName, current: string): Table[] {
  const { database, name } = fullName(named, current)
  const table = state.find(database, name)
  return table === null ? [] : [table]
}
