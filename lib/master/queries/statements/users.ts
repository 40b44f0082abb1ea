/**
 * Makes statements about users and privileges into the steps of one transaction, and answers which there are. Whether whoever
 * submits one may do so has been looked at before (needs.ts). Pure; throws SqlError.
 */
import type { Principal } from '../../../access/index.ts'
import { inSlices } from '../../../base/slices.ts'
import type { CatalogState, Grant, Privilege, User } from '../../../catalog/index.ts'
import {
  type Granted,
  type Named,
  quoteName,
  quoteText,
  SqlError,
  type Statement,
} from '../../../sql/index.ts'
import type { DdlContext, Steps } from './ddl.ts'
import { requireDatabase, requireTable } from './names.ts'
import type { Confined } from './paths.ts'
import { sqlNameOf } from './rights.ts'

type Of<I extends Statement['is']> = Extract<Statement, { is: I }>

const nothing = (message: string): Steps => ({ changes: [], message })

/** `verifier`: of the statement's password. */
export function createUser(
  state: CatalogState,
  { name, place, ifNotExists }: Of<'create-user'>,
  { now, verifier }: Pick<DdlContext, 'now' | 'verifier'>,
): Steps {
  if (state.user(name) !== null) {
    if (ifNotExists) return nothing(`CREATE USER: ${name} exists already`)
    throw new SqlError(`user ${name} exists already`, place)
  }
  const user: User = { name, verifier: given(verifier), createdAt: now, grants: [] }
  return { changes: [{ do: 'create-user', user }], message: 'CREATE USER' }
}

export function alterUser(
  state: CatalogState,
  named: Of<'alter-user'>,
  { verifier }: Pick<DdlContext, 'verifier'>,
): Steps {
  const { name: user } = requireUser(state, named)
  const change = { do: 'set-verifier', user, verifier: given(verifier) } as const
  return { changes: [change], message: 'ALTER USER' }
}

export function dropUser(state: CatalogState, named: Of<'drop-user'>): Steps {
  const { name, ifExists } = named
  if (ifExists && state.user(name) === null) return nothing(`DROP USER: ${name} does not exist`)
  requireUser(state, named)
  return { changes: [{ do: 'drop-user', user: name }], message: 'DROP USER' }
}

type GrantContext = Pick<DdlContext, 'database' | 'location'>

export function grant(
  state: CatalogState,
  { what, user: named }: Of<'grant'>,
  context: GrantContext,
): Steps {
  const { name: user } = requireUser(state, named)
  const grants = grantsFor(state, what, context)
  return { changes: [{ do: 'grant', user, grants }], message: 'GRANT' }
}

export function revoke(
  state: CatalogState,
  { what, user: named }: Of<'revoke'>,
  context: GrantContext,
): Steps {
  const user = requireUser(state, named)
  const grants = grantsFor(state, what, context)
  const has = (one: Grant): boolean => user.grants.some((known) => isSame(known, one))
  const absent = grants.find((one) => !has(one))
  if (absent !== undefined) throw new SqlError(whyNothing(state, user, absent), named.place)
  return { changes: [{ do: 'revoke', user: user.name, grants }], message: 'REVOKE' }
}

/** He would go on doing what whoever revokes it believes is over. */
function whyNothing(state: CatalogState, { name, grants }: User, absent: Grant): string {
  const text = `user ${name} was not granted ${spellGrant(state, absent)}`
  if (absent.on === 'location' || absent.privilege === 'ALL') return text
  const all = grants.find((one) => isSame(one, { ...absent, privilege: 'ALL' }))
  return all === undefined ? text : `${text}, but ALL: revoke that, and grant what is left`
}

function grantsFor(
  state: CatalogState,
  what: Granted,
  { database: current, location }: GrantContext,
): readonly Grant[] {
  switch (what.on) {
    case 'database': {
      const { name: database, place } = what.database
      requireDatabase(state, database, place)
      return what.privileges.map((privilege) => ({ on: 'database', database, privilege }))
    }
    case 'table': {
      const { id: tableId } = requireTable(state, what.table, current)
      return what.privileges.map((privilege) => ({ on: 'table', tableId, privilege }))
    }
    case 'location':
      return [{ on: 'location', path: given<Confined>(location).path }]
  }
}

function given<T>(value: T | null): T {
  if (value === null) throw new Error('what the statement gives was not looked at')
  return value
}

function isSame(a: Grant, b: Grant): boolean {
  const key = (one: Grant): string =>
    JSON.stringify(
      one.on === 'location'
        ? [one.on, one.path]
        : [one.on, one.on === 'table' ? one.tableId : one.database, one.privilege],
    )
  return key(a) === key(b)
}

function requireUser(state: CatalogState, { name, place }: Named): User {
  const user = state.user(name)
  if (user !== null) return user
  throw new SqlError(`user ${name} does not exist`, place)
}

// ---- answers -------------------------------------------------------------------------------------------------------

/** A user sees himself. */
const usersFor = (state: CatalogState, principal: Principal): User[] =>
  [...state.allUsers()]
    .filter(({ name }) => principal.kind === 'administrator' || name === principal.name)
    .sort((a, b) => (a.name < b.name ? -1 : 1))

export const userRows = (state: CatalogState, principal: Principal): string[][] =>
  usersFor(state, principal).map(({ name, createdAt }) => [name, createdAt])

/** `named`: whose; null: of all that whoever asks may see. */
export async function grantRows(
  state: CatalogState,
  principal: Principal,
  named: Named | null,
): Promise<string[][]> {
  const users = named === null ? usersFor(state, principal) : [requireUser(state, named)]
  const rows = users.flatMap(({ name, grants }) =>
    grants.map((one) => [
      name,
      one.on === 'location' ? 'LOCATION' : one.privilege,
      thingOf(state, one),
    ]),
  )
  const owners = new Set(users.map(({ name }) => name))
  await inSlices(state.allTables(), (table) => {
    const { owner } = table
    if (owner !== undefined && owners.has(owner))
      rows.push([owner, 'OWNER', `TABLE ${sqlNameOf(table)}`])
  })
  return rows.sort((a, b) => (a.join('\0') < b.join('\0') ? -1 : 1))
}

function spellGrant(state: CatalogState, one: Grant): string {
  if (one.on === 'location') return `LOCATION ${thingOf(state, one)}`
  return `${one.privilege satisfies Privilege} ON ${thingOf(state, one)}`
}

function thingOf(state: CatalogState, one: Grant): string {
  if (one.on === 'location') return quoteText(one.path)
  if (one.on === 'database') return `DATABASE ${quoteName(one.database)}`
  const table = state.table(one.tableId)
  // It is dropped with its grants; a state is of one moment.
  if (table === null)
    throw new Error(`there is no table ${one.tableId}, on which something is granted`)
  return `TABLE ${sqlNameOf(table)}`
}
