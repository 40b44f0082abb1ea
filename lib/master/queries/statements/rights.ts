/**
 * Who may do what with the catalog's things: the one place where it is decided, for statements and for what workers ask of
 * the catalog on somebody's behalf. Pure.
 *
 * - The administrator may do everything.
 * - A table's owner may do all with it. Others may what was granted to them on it, or on its database. ALL is every privilege,
 *   and what changes the thing itself: DROP, ALTER, TRUNCATE.
 * - A path is a privilege of its own: without one nothing may be named that lies in the file system. What stands in the
 *   directory of an external table may be read and written only as long as the table's owner may name that directory.
 * - What one may do nothing with is not there for him: `seenBy` gives the catalog as he sees it, and a name that he may not
 *   know is told as one that does not exist.
 */
import { administrator, type Principal } from '../../../access/index.ts'
import {
  CatalogState,
  type Database,
  DEFAULT_DATABASE,
  type Grant,
  type Privilege,
  type Table,
} from '../../../catalog/index.ts'
import type { Confinement } from '../../../contract/index.ts'
import { unreachable } from '../../../ha/index.ts'
import { quoteName, quoteText } from '../../../sql/index.ts'
import { isInside } from './paths.ts'

export type Need =
  /** Nobody but the administrator; `what`: a statement, for people. */
  | { readonly on: 'cluster'; readonly what: string }
  | { readonly on: 'database'; readonly database: string; readonly privilege: Privilege }
  | { readonly on: 'table'; readonly table: Table; readonly privilege: Privilege }
  /** To give away what one has of it. */
  | { readonly on: 'ownership'; readonly table: Table }
  | { readonly on: 'location'; readonly path: string }
  /** The owner's, to the directory of his external table, or to where that leads by now. */
  | { readonly on: 'ground'; readonly table: Table; readonly path: string }

/** The user that a message between the daemons names; the administrator needs no name. */
export const asUser = ({ kind, name }: Principal): string | undefined =>
  kind === 'user' ? name : undefined

/** Whose a message is. */
export const principalOf = (name: string | undefined): Principal =>
  name === undefined ? administrator('') : { kind: 'user', name }

/** Why he may not, as a sentence that tells what would allow it; null where he may. */
export function whyNot(state: CatalogState, principal: Principal, need: Need): string | null {
  if (principal.kind === 'administrator') return null
  const { name } = principal
  switch (need.on) {
    case 'cluster':
      return `user ${name} may not ${need.what}: that is the administrator's alone`
    case 'database': {
      if (hasOnDatabase(state, name, need.database, need.privilege)) return null
      return lacks(name, need.privilege, `DATABASE ${quoteName(need.database)}`)
    }
    case 'table': {
      if (hasOnTable(state, name, need.table, need.privilege)) return null
      return lacks(name, need.privilege, `TABLE ${sqlNameOf(need.table)}`)
    }
    case 'ownership':
      if (need.table.owner === name) return null
      return `user ${name} may grant nothing on table ${sqlNameOf(need.table)}: that is for its owner and the administrator`
    case 'location':
      if (mayName(state, name, need.path)) return null
      return `user ${name} may not name '${need.path}': GRANT LOCATION ${quoteText(need.path)} TO ${quoteName(name)} would allow it`
    case 'ground': {
      const { path } = need
      const { owner } = need.table
      if (owner === undefined || mayName(state, owner, path)) return null
      return `table ${sqlNameOf(need.table)} is what stands in '${path}', which its owner ${owner} may not name any more: GRANT LOCATION ${quoteText(path)} TO ${quoteName(owner)} would allow it`
    }
    default:
      return unreachable(need)
  }
}

/** Where that is which he may name. */
const placesOf = (state: CatalogState, owner: string): Confinement => ({
  owner,
  within: grantsOf(state, owner).flatMap((one) => (one.on === 'location' ? [one.path] : [])),
})

/**
 * Where the files of a user's table have to be, since he may have put links among them, and partitions of a managed one into
 * directories of his; null: wherever they are.
 */
export function confinementOf(
  state: CatalogState,
  { kind, owner, location }: Table,
): Confinement | null {
  if (owner === undefined) return null
  const { within } = placesOf(state, owner)
  if (kind !== 'external') return { owner, within: [location, ...within] }
  // With none left, nobody but the administrator reads it.
  return { owner, within: within.length > 0 ? within : [location] }
}

/** Where he may write, who writes into no table but a directory. */
export const placesToWrite = (
  state: CatalogState,
  { kind, name }: Principal,
): Confinement | null => (kind === 'administrator' ? null : placesOf(state, name))

/** What reading a table needs. */
export const needsToRead = (table: Table): readonly Need[] => [
  { on: 'table', table, privilege: 'SELECT' },
  ...(table.wholeDirectory ? [{ on: 'ground', table, path: table.location } as const] : []),
]

const lacks = (user: string, privilege: Privilege, thing: string): string =>
  `user ${user} has no ${privilege} on ${thing.replace(/^\w+/, (word) => word.toLowerCase())}: GRANT ${privilege} ON ${thing} TO ${quoteName(user)} would allow it`

export const sqlNameOf = ({ database, name }: Pick<Table, 'database' | 'name'>): string =>
  `${quoteName(database)}.${quoteName(name)}`

const grantsOf = (state: CatalogState, user: string): readonly Grant[] =>
  state.user(user)?.grants ?? []

function hasOnDatabase(
  state: CatalogState,
  user: string,
  database: string,
  privilege: Privilege,
): boolean {
  return grantsOf(state, user).some(
    (one) => one.on === 'database' && one.database === database && covers(one.privilege, privilege),
  )
}

function hasOnTable(
  state: CatalogState,
  user: string,
  table: Table,
  privilege: Privilege,
): boolean {
  if (state.user(user) === null) return false
  if (table.owner === user || hasOnDatabase(state, user, table.database, privilege)) return true
  return grantsOf(state, user).some(
    (one) => one.on === 'table' && one.tableId === table.id && covers(one.privilege, privilege),
  )
}

const covers = (has: Privilege, needs: Privilege): boolean => has === 'ALL' || has === needs

const mayName = (state: CatalogState, user: string, path: string): boolean =>
  grantsOf(state, user).some((one) => one.on === 'location' && isInside(path, one.path))

// ---- what one sees -------------------------------------------------------------------------------------------------

/** The catalog as he sees it; to the administrator, as it is. */
export function seenBy(state: CatalogState, principal: Principal): CatalogState {
  return principal.kind === 'administrator' ? state : new SeenState(state, principal.name)
}

/**
 * Names lead to what he may see. Whoever asks for tables by another way (`findTable`, `allTables`) has all of them: two tables
 * may not lie in one place, whether he sees both or not.
 */
class SeenState extends CatalogState {
  readonly #user: string
  readonly #grants: readonly Grant[]

  constructor(state: CatalogState, user: string) {
    super(state.maps, state.nextTableId)
    this.#user = user
    this.#grants = grantsOf(state, user)
  }

  /** Each session begins in the first database, so everybody sees that. */
  override database(name: string): Database | null {
    const found = super.database(name)
    const isSeen = found !== null && (name === DEFAULT_DATABASE || this.#seesDatabase(name))
    return isSeen ? found : null
  }

  override databaseNames(): string[] {
    const owned = new Set<string>()
    for (const { owner, database } of super.allTables())
      if (owner === this.#user) owned.add(database)
    return super
      .databaseNames()
      .filter((name) => name === DEFAULT_DATABASE || owned.has(name) || this.#isGranted(name))
  }

  override find(database: string, name: string): Table | null {
    return this.#seen(super.find(database, name))
  }

  override table(id: number): Table | null {
    return this.#seen(super.table(id))
  }

  #seen(table: Table | null): Table | null {
    return table !== null && this.#seesTable(table) ? table : null
  }

  #seesTable({ id, database, owner }: Table): boolean {
    if (super.user(this.#user) === null) return false
    if (owner === this.#user) return true
    return this.#grants.some((one) =>
      one.on === 'table'
        ? one.tableId === id
        : // Who may only make tables there sees his own.
          one.on === 'database' && one.database === database && one.privilege !== 'CREATE',
    )
  }

  #seesDatabase(name: string): boolean {
    if (this.#isGranted(name)) return true
    const isHis = (table: Table): boolean => table.database === name && table.owner === this.#user
    return super.findTable(isHis) !== null
  }

  #isGranted(database: string): boolean {
    return this.#grants.some((one) => {
      if (one.on === 'location') return false
      const of = one.on === 'table' ? super.table(one.tableId)?.database : one.database
      return of === database
    })
  }
}
