/**
 * What each change of users and their privileges does to the catalog, and what becomes of privileges when their thing goes: a
 * dropped table's or database's are gone with it, so that one that is made later under its name is nobody's by accident.
 *
 * A table has an owner only as long as there is such a user: whoever gets a dropped user's name later has none of his
 * tables.
 */
import { unreachable } from '../ha/index.ts'
import { ChangingState } from './changing-state.ts'
import { exists, missing } from './errors.ts'
import type { Grant, Table, User, UserChange } from './model.ts'

export class ChangingUsers extends ChangingState {
  protected *changeUsers(change: UserChange): Generator<void, void> {
    switch (change.do) {
      case 'create-user':
        if (this.maps.users.has(change.user.name)) throw exists(`user '${change.user.name}'`)
        this.set('users', change.user.name, change.user)
        return
      case 'set-verifier':
        this.#put({ ...this.#demandUser(change.user), verifier: change.verifier })
        return
      case 'drop-user':
        yield* this.#dropUser(change.user)
        return
      case 'grant': {
        for (const grant of change.grants) this.#demandThing(grant)
        const user = this.#demandUser(change.user)
        const kept = user.grants.filter((one) => !change.grants.some((grant) => same(one, grant)))
        this.#put({ ...user, grants: [...kept, ...change.grants] })
        return
      }
      case 'revoke': {
        const user = this.#demandUser(change.user)
        this.#keepGrants(user, (one) => !change.grants.some((grant) => same(one, grant)))
        return
      }
      default:
        unreachable(change)
    }
  }

  /** What is granted on it goes with it. */
  protected forgetGrants(gone: Pick<Table, 'id'> | { readonly database: string }): void {
    for (const user of [...this.maps.users.values()]) {
      this.#keepGrants(user, (grant) =>
        'id' in gone
          ? grant.on !== 'table' || grant.tableId !== gone.id
          : grant.on !== 'database' || grant.database !== gone.database,
      )
    }
  }

  /** As it is to be kept: the query that makes it may have outlived its user. */
  protected owned(table: Table): Table {
    const { owner, ...rest } = table
    return owner === undefined || this.maps.users.has(owner) ? table : rest
  }

  *#dropUser(name: string): Generator<void, void> {
    this.#demandUser(name)
    for (const table of [...this.maps.tables.values()]) {
      yield
      if (table.owner !== name) continue
      const { owner: _, ...rest } = table
      this.set('tables', table.id, rest)
    }
    this.set('users', name, undefined)
  }

  #keepGrants(user: User, stays: (grant: Grant) => boolean): void {
    const grants = user.grants.filter(stays)
    if (grants.length < user.grants.length) this.#put({ ...user, grants })
  }

  #put(user: User): void {
    this.set('users', user.name, user)
  }

  #demandUser(name: string): User {
    const user = this.maps.users.get(name)
    if (user === undefined) throw missing(`user '${name}'`)
    return user
  }

  #demandThing(grant: Grant): void {
    if (grant.on === 'database' && !this.maps.databases.has(grant.database)) {
      throw missing(`database '${grant.database}'`)
    }
    if (grant.on === 'table' && !this.maps.tables.has(grant.tableId)) {
      throw missing(`table with id ${grant.tableId}`)
    }
  }
}

/** Whether both say that the same may be done with the same thing. */
const same = (a: Grant, b: Grant): boolean => {
  if (a.on === 'location' || b.on === 'location') {
    return a.on === 'location' && b.on === 'location' && a.path === b.path
  }
  if (a.privilege !== b.privilege) return false
  if (a.on === 'table') return b.on === 'table' && a.tableId === b.tableId
  return b.on === 'database' && a.database === b.database
}
