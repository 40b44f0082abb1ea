/**
 * What each change does to the catalog, and when it may not be done: the one place where the rules are. Pure; the same
 * transactions give the same state on every master, whether they come from a client or out of a journal.
 *
 * A `Draft` takes one transaction after the other, each all or nothing (`changing-state.ts`). It copies nothing per change: a
 * journal of 100,000 changes is replayed in one draft.
 *
 * Outcomes are what makes a repeated request harmless, so they are kept long, but not for ever: whenever their number is
 * a multiple of 1000, the oldest go that are beyond the newest 10,000 and older than 24 h, and in any case those beyond
 * the newest 100,000.
 */
import { unreachable } from '../ha/index.ts'
import { fallenOf, fallenOfAll } from './changing-state.ts'
import { ChangingUsers } from './changing-users.ts'
import { CatalogError, conflict, exists, missing } from './errors.ts'
import { FileList } from './file-list.ts'
import type { FilePartition } from './file-partition.ts'
import { withInternedColumns } from './interned-columns.ts'
import { joined } from './joined.ts'
import type { Change, Column, Outcome, PlainTable, Table, Transaction } from './model.ts'
import { PersistentMap } from './persistent-map.ts'
import {
  absolutePath,
  type CatalogState,
  contentVersionOf,
  DEFAULT_DATABASE,
  forkMaps,
  rowByRow,
  StateBuilder,
  tableOf,
} from './state.ts'

export const OUTCOMES_KEPT = 10_000
export const OUTCOMES_KEPT_MS = 24 * 3_600_000
export const OUTCOMES_MAX = 100_000
const FORGET_EVERY = 1000

type Do<Name extends Change['do']> = Extract<Change, { do: Name }>

export class Draft extends ChangingUsers {
  static of(state: CatalogState): Draft {
    return new Draft(forkMaps(state.maps), state.nextTableId)
  }

  /**
   * All of it or, when it throws, nothing. CatalogError EXISTS, MISSING, CONFLICT; an outcome that is known already is
   * a CONFLICT: a query's change is done once.
   */
  apply(transaction: Transaction): void {
    for (const _ of this.steps(transaction));
  }

  /**
   * The same, to be taken in slices: one that adds or removes a million files takes long. Until its last step the draft is
   * good for nothing else; one whose steps are not all taken is good for nothing any more.
   */
  *steps({ changes, outcome, atMs }: Transaction): Generator<void, void> {
    this.settle()
    try {
      if (outcome !== null) this.#refuseKnown(outcome)
      for (const change of changes) {
        yield
        yield* this.#change(change, atMs)
      }
      if (outcome !== null) this.#record(outcome, atMs)
    } catch (error) {
      yield* this.takeBack()
      throw error
    } finally {
      this.settle()
    }
  }

  // ---- changes ---------------------------------------------------------------------------------------------------

  *#change(change: Change, atMs: number): Generator<void, void> {
    switch (change.do) {
      case 'create-database':
        this.#createDatabase(change)
        break
      case 'drop-database':
        this.#dropDatabase(change.name)
        break
      case 'create-table':
        yield* this.#createTable(change.table)
        break
      case 'drop-table':
        yield* this.#dropTable(change, atMs)
        break
      case 'rename-table':
        this.#renameTable(change)
        break
      case 'rename-column':
        this.#renameColumn(change)
        break
      case 'add-column':
        this.#addColumn(change)
        break
      case 'set-options':
        this.#setOptions(change)
        break
      case 'write':
        yield* this.#write(change, atMs)
        break
      case 'drop-partition':
        yield* this.#dropPartition(change, atMs)
        break
      case 'compact':
        yield* this.#compact(change, atMs)
        break
      case 'add-litter':
        yield* this.#addLitter(change.paths, atMs)
        break
      case 'litter-removed':
        for (const path of change.paths) {
          this.set('litter', path, undefined)
          yield
        }
        break
      case 'publish':
        this.#publish(change)
        break
      case 'published':
        this.set('publications', change.queryId, undefined)
        break
      case 'create-user':
      case 'set-verifier':
      case 'drop-user':
      case 'grant':
      case 'revoke':
        yield* this.changeUsers(change)
        break
      case 'load':
        yield* this.#load(change)
        break
      default:
        unreachable(change)
    }
  }

  #createDatabase({ name, createdAt }: Do<'create-database'>): void {
    if (this.maps.databases.has(name)) throw exists(`database '${name}'`)
    this.set('databases', name, { name, createdAt })
    this.set('names', name, new PersistentMap())
  }

  #dropDatabase(name: string): void {
    this.#demandDatabase(name)
    if (name === DEFAULT_DATABASE) throw conflict(`database '${name}' can't be dropped`)
    const count = this.maps.names.get(name)?.size ?? 0
    if (count > 0) throw conflict(`database '${name}' is not empty: ${count} tables are in it`)
    this.set('databases', name, undefined)
    this.set('names', name, undefined)
    this.forgetGrants({ database: name })
  }

  *#createTable(plain: PlainTable): Generator<void, void> {
    const table = withInternedColumns(this.owned(tableOf(plain)))
    this.#demandFree(table.database, table.name)
    if (table.id !== this.next) {
      throw conflict(`table id ${table.id} is not the next one, which is ${this.next}`)
    }
    yield* this.#checkPartitions(table, table.files)
    this.setNext(table.id + 1)
    this.set('tables', table.id, table)
    this.name(table.database, table.name, table.id)
  }

  *#dropTable({ tableId, litter }: Do<'drop-table'>, atMs: number): Generator<void, void> {
    const table = this.#demandTable(tableId)
    this.set('tables', tableId, undefined)
    this.name(table.database, table.name, undefined)
    this.forgetGrants(table)
    yield* this.#addLitter(litter, atMs)
  }

  #renameTable({ tableId, name }: Do<'rename-table'>): void {
    const table = this.#demandTable(tableId)
    this.#demandFree(table.database, name)
    this.set('tables', tableId, { ...table, name })
    this.name(table.database, table.name, undefined)
    this.name(table.database, name, tableId)
  }

  #renameColumn({ tableId, from, to }: Do<'rename-column'>): void {
    const table = this.#demandTable(tableId)
    const known = [...table.columns, ...table.partitionColumns]
    if (!known.some((column) => column.name === from)) throw missing(columnOf(table, from))
    if (known.some((column) => column.name === to)) throw exists(columnOf(table, to))
    const renamed = (column: Column): Column =>
      column.name === from ? { ...column, name: to } : column
    this.#changeSchema(table, {
      columns: table.columns.map(renamed),
      partitionColumns: table.partitionColumns.map(renamed),
    })
  }

  #addColumn({ tableId, column }: Do<'add-column'>): void {
    const table = this.#demandTable(tableId)
    const known = [...table.columns, ...table.partitionColumns]
    if (known.some(({ name }) => name === column.name)) throw exists(columnOf(table, column.name))
    this.#changeSchema(table, { columns: [...table.columns, column] })
  }

  /** A write that was planned with other options (a delimiter) must not land either. */
  #setOptions({ tableId, options }: Do<'set-options'>): void {
    const table = this.#demandTable(tableId)
    this.#changeSchema(table, { options: { ...table.options, ...options } })
  }

  #changeSchema(table: Table, change: Partial<Table>): void {
    const schemaVersion = table.schemaVersion + 1
    this.set('tables', table.id, withInternedColumns({ ...table, ...change, schemaVersion }))
  }

  *#write(write: Do<'write'>, atMs: number): Generator<void, void> {
    const table = this.#demandTable(write.tableId)
    const { basedOn } = write
    const isAltered = write.schemaVersion !== table.schemaVersion
    if (basedOn !== undefined && (isAltered || basedOn !== contentVersionOf(table))) {
      throw new CatalogError(
        'CHANGED',
        `table ${nameOf(table)} was changed while the query that replaces it read it`,
      )
    }
    this.#demandUnaltered(table, write.schemaVersion)
    const added = FileList.of(write.files)
    yield* this.#checkPartitions(table, added)
    const { mode } = write
    if (mode !== 'append') yield* this.#overwrite(changed(table, atMs), { added, mode }, atMs)
    else if (added.length > 0) {
      this.#replaceFiles(changed(table, atMs), yield* table.files.withAll(added))
    }
  }

  *#overwrite(
    table: Table,
    { added, mode }: { readonly added: FileList; readonly mode: Do<'write'>['mode'] },
    atMs: number,
  ): Generator<void, void> {
    const partial = mode === 'overwrite-partitions' && table.partitionColumns.length > 0
    if (partial && table.wholeDirectory) {
      throw conflict(
        `table ${nameOf(table)} is whatever stands in ${table.location}: single partitions of it can't be overwritten`,
      )
    }
    const fallen: FilePartition[] = []
    let kept = partial ? table.files : FileList.EMPTY
    for (const { values } of partial ? added.partitions() : []) {
      const partition = kept.partition(values)
      if (partition !== null) fallen.push(partition)
      kept = kept.withoutPartition(values)
      yield
    }
    this.#replaceFiles({ ...table, wholeDirectory: false }, yield* kept.withAll(added))
    if (partial) yield* this.#addAllLitter(fallenOf(table, fallen, added), atMs)
    else yield* this.#addAllLitter(fallenOfAll(table, added), atMs)
  }

  *#dropPartition({ tableId, partition }: Do<'drop-partition'>, atMs: number) {
    const table = this.#demandTable(tableId)
    const files = table.files.partition(partition)
    if (files === null) {
      throw missing(`partition (${partition.join(', ')}) of table ${nameOf(table)}`)
    }
    this.#replaceFiles(changed(table, atMs), table.files.withoutPartition(partition))
    // What is in an external table is the user's; only a write was his order to replace it.
    if (table.kind !== 'managed') return
    yield* this.#addAllLitter(fallenOf(table, [files], FileList.EMPTY), atMs)
  }

  *#compact({ tableId, schemaVersion, joins, keepMs }: Do<'compact'>, atMs: number) {
    const table = this.#demandTable(tableId)
    this.#demandUnaltered(table, schemaVersion)
    for (const { files } of joins) yield* this.#checkPartitions(table, FileList.of(files))
    const files = joined(table, joins)
    if (typeof files === 'string') throw conflict(`table ${nameOf(table)}: ${files}`)
    this.#replaceFiles(table, files)
    for (const one of joins.flatMap((join) => join.replaced)) {
      const path = absolutePath(table, one)
      const keeping = keepMs > 0 ? { joinedMs: atMs } : {}
      this.set('litter', path, { path, sinceMs: atMs + keepMs, ...keeping })
      yield
    }
  }

  #publish({ publication }: Do<'publish'>): void {
    const { queryId } = publication
    if (this.maps.publications.has(queryId)) throw exists(`publication of query ${queryId}`)
    this.set('publications', queryId, publication)
  }

  *#load({ data }: Do<'load'>): Generator<void, void> {
    const builder = new StateBuilder()
    for (const rows of rowByRow(data)) {
      builder.add(rows)
      yield
    }
    const { maps } = builder.done(data.nextTableId)
    yield* this.replaceAll(maps, data.nextTableId)
    if (!maps.databases.has(DEFAULT_DATABASE)) throw missing(`database '${DEFAULT_DATABASE}'`)
  }

  // ---- files and litter ------------------------------------------------------------------------------------------

  #replaceFiles(table: Table, files: FileList): void {
    this.set('tables', table.id, { ...table, files })
  }

  *#addAllLitter(lists: Iterable<readonly string[]>, sinceMs: number): Generator<void, void> {
    for (const paths of lists) {
      yield
      yield* this.#addLitter(paths, sinceMs)
    }
  }

  *#addLitter(paths: readonly string[], sinceMs: number): Generator<void, void> {
    for (const path of paths) {
      this.set('litter', path, { path, sinceMs })
      yield
    }
  }

  *#checkPartitions(table: Table, files: FileList): Generator<void, void> {
    const width = table.partitionColumns.length
    for (const partition of files.partitions()) {
      yield
      const { length } = partition.values
      if (length === width) continue
      const [file] = partition
      throw conflict(
        `file ${file?.path} has ${length} partition values, table ${nameOf(table)} has ${width} partition columns`,
      )
    }
  }

  // ---- outcomes --------------------------------------------------------------------------------------------------

  #refuseKnown({ queryId }: Outcome): void {
    const known = this.maps.outcomes.get(queryId)
    if (known === undefined) return
    throw conflict(`query ${queryId} has ended already (${known.state}): ${known.message}`)
  }

  #record(outcome: Outcome, atMs: number): void {
    this.set('outcomes', outcome.queryId, outcome)
    const { size } = this.maps.outcomes
    if (size % FORGET_EVERY !== 0 || size <= OUTCOMES_KEPT) return
    let kept = size
    const forgotten: string[] = []
    for (const old of this.maps.outcomes.values()) {
      const aged = kept > OUTCOMES_KEPT && atMs - old.atMs > OUTCOMES_KEPT_MS
      if (!aged && kept <= OUTCOMES_MAX) break
      forgotten.push(old.queryId)
      kept -= 1
    }
    for (const queryId of forgotten) this.set('outcomes', queryId, undefined)
  }

  // ---- what every change rests on --------------------------------------------------------------------------------

  #demandDatabase(name: string): void {
    if (!this.maps.databases.has(name)) throw missing(`database '${name}'`)
  }

  #demandTable(id: number): Table {
    const table = this.maps.tables.get(id)
    if (table === undefined) throw missing(`table with id ${id}`)
    return table
  }

  #demandUnaltered(table: Table, schemaVersion: number): void {
    if (schemaVersion === table.schemaVersion) return
    throw conflict(
      `table ${nameOf(table)} was altered meanwhile: its schema is version ${table.schemaVersion}, the query was planned with ${schemaVersion}; run it again`,
    )
  }

  #demandFree(database: string, name: string): void {
    this.#demandDatabase(database)
    if (this.find(database, name) !== null) throw exists(`table ${database}.${name}`)
  }
}

/**
 * The version goes by the clock too, so that a catalog that was brought back to an earlier day gives none a second time.
 */
const changed = (table: Table, atMs: number): Table => ({
  ...table,
  contentVersion: Math.max(contentVersionOf(table) + 1, Math.round(atMs)),
})

const nameOf = (table: Table): string => `${table.database}.${table.name}`
const columnOf = (table: Table, column: string): string =>
  `column '${column}' of table ${nameOf(table)}`
