/**
 * What each change does to the catalog, and when it may not be done: the one place where the rules are. Pure; the same
 * transactions give the same state on every master, whether they come from a client or out of a journal.
 *
 * A `Draft` takes one transaction after the other, each all or nothing, and seals what it has into a `CatalogState` and
 * a `Delta` when a group is complete. It copies nothing per change: a journal of 100,000 changes is replayed in one draft.
 *
 * Outcomes are what makes a repeated request harmless, so they are kept long, but not for ever: whenever their number is
 * a multiple of 1000, the oldest go that are beyond the newest 10,000 and older than 24 h, and in any case those beyond
 * the newest 100,000.
 */
import { isAbsolute } from 'node:path'
import { unreachable } from '../ha/index.ts'
import { CatalogError } from './errors.ts'
import { FileList } from './file-list.ts'
import type { FilePartition } from './file-partition.ts'
import type { Fresh } from './int-trie.ts'
import { withInternedColumns } from './interned-columns.ts'
import { joined } from './joined.ts'
import type {
  CatalogData,
  Change,
  Column,
  Outcome,
  PlainTable,
  Table,
  Transaction,
} from './model.ts'
import { OWN_PREFIX } from './own-prefix.ts'
import { PersistentMap } from './persistent-map.ts'
import {
  absolutePath,
  CatalogState,
  contentVersionOf,
  DEFAULT_DATABASE,
  type Delta,
  forkMaps,
  type Maps,
  StateBuilder,
  tableOf,
} from './state.ts'

export const OUTCOMES_KEPT = 10_000
export const OUTCOMES_KEPT_MS = 24 * 3_600_000
export const OUTCOMES_MAX = 100_000
const FORGET_EVERY = 1000

type Do<Name extends Change['do']> = Extract<Change, { do: Name }>

/** What was before the first change since the last seal, by key. */
type Touched<K, V> = Map<K, V | undefined>

export class Draft extends CatalogState {
  #undo: (() => void)[] = []
  #touched = noTouches()
  /** Name tables of databases that are this draft's own. */
  #ownNames = new WeakSet<object>()

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
    this.#undo = []
    try {
      if (outcome !== null) this.#refuseKnown(outcome)
      for (const change of changes) {
        yield
        yield* this.#change(change, atMs)
      }
      if (outcome !== null) this.#record(outcome, atMs)
    } catch (error) {
      for (const undo of this.#undo.reverse()) {
        undo()
        yield
      }
      throw error
    } finally {
      this.#undo = []
    }
  }

  /**
   * The state as it is now, and what was changed since the last seal, which is looked for when it is asked for. The draft
   * goes on from there.
   */
  seal(): Sealed {
    const maps = forkMaps(this.maps)
    const { next } = this
    const state = new CatalogState(maps, next)
    const touched = this.#touched
    this.#touched = noTouches()
    this.#ownNames = new WeakSet()
    return {
      state,
      get delta() {
        return deltaOf(maps, touched, next)
      },
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
          this.#set('litter', path, undefined)
          yield
        }
        break
      case 'publish':
        this.#publish(change)
        break
      case 'published':
        this.#set('publications', change.queryId, undefined)
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
    this.#set('databases', name, { name, createdAt })
    this.#set('names', name, new PersistentMap())
  }

  #dropDatabase(name: string): void {
    this.#demandDatabase(name)
    if (name === DEFAULT_DATABASE) throw conflict(`database '${name}' can't be dropped`)
    const count = this.maps.names.get(name)?.size ?? 0
    if (count > 0) throw conflict(`database '${name}' is not empty: ${count} tables are in it`)
    this.#set('databases', name, undefined)
    this.#set('names', name, undefined)
  }

  *#createTable(plain: PlainTable): Generator<void, void> {
    const table = withInternedColumns(tableOf(plain))
    this.#demandFree(table.database, table.name)
    if (table.id !== this.next) {
      throw conflict(`table id ${table.id} is not the next one, which is ${this.next}`)
    }
    yield* this.#checkPartitions(table, table.files)
    this.#setNext(table.id + 1)
    this.#set('tables', table.id, table)
    this.#name(table.database, table.name, table.id)
  }

  *#dropTable({ tableId, litter }: Do<'drop-table'>, atMs: number): Generator<void, void> {
    const table = this.#demandTable(tableId)
    this.#set('tables', tableId, undefined)
    this.#name(table.database, table.name, undefined)
    yield* this.#addLitter(litter, atMs)
  }

  #renameTable({ tableId, name }: Do<'rename-table'>): void {
    const table = this.#demandTable(tableId)
    this.#demandFree(table.database, name)
    this.#set('tables', tableId, { ...table, name })
    this.#name(table.database, table.name, undefined)
    this.#name(table.database, name, tableId)
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
    this.#set('tables', table.id, withInternedColumns({ ...table, ...change, schemaVersion }))
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
      this.#replaceFiles(changed(table, atMs), yield* appended(table.files, added))
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
    this.#replaceFiles({ ...table, wholeDirectory: false }, yield* appended(kept, added))
    if (partial) yield* this.#dropFiles(table, fallen, added, atMs)
    else yield* this.#dropAllFiles(table, added, atMs)
  }

  *#dropPartition({ tableId, partition }: Do<'drop-partition'>, atMs: number) {
    const table = this.#demandTable(tableId)
    const files = table.files.partition(partition)
    if (files === null) {
      throw missing(`partition (${partition.join(', ')}) of table ${nameOf(table)}`)
    }
    this.#replaceFiles(changed(table, atMs), table.files.withoutPartition(partition))
    // What is in an external table is the user's; only a write was his order to replace it.
    if (table.kind === 'managed') yield* this.#dropFiles(table, [files], FileList.EMPTY, atMs)
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
      this.#set('litter', path, { path, sinceMs: atMs + keepMs, ...keeping })
      yield
    }
  }

  #publish({ publication }: Do<'publish'>): void {
    const { queryId } = publication
    if (this.maps.publications.has(queryId)) throw exists(`publication of query ${queryId}`)
    this.#set('publications', queryId, publication)
  }

  *#load({ data }: Do<'load'>): Generator<void, void> {
    const builder = new StateBuilder()
    for (const rows of rowByRow(data)) {
      builder.add(rows)
      yield
    }
    const { maps } = builder.done(data.nextTableId)
    for (const slot of SLOTS) {
      for (const key of [...this.maps[slot].keys()]) {
        this.#setAny(slot, key, undefined)
        yield
      }
      for (const [key, value] of maps[slot].entries()) {
        this.#setAny(slot, key, value)
        yield
      }
    }
    this.#setNext(data.nextTableId)
    if (!maps.databases.has(DEFAULT_DATABASE)) throw missing(`database '${DEFAULT_DATABASE}'`)
  }

  // ---- files and litter ------------------------------------------------------------------------------------------

  #replaceFiles(table: Table, files: FileList): void {
    this.#set('tables', table.id, { ...table, files })
  }

  /** Those that are not among the new ones; but for files that the user brought (ADD PARTITION … LOCATION). */
  *#dropFiles(
    table: Table,
    partitions: readonly FilePartition[],
    added: FileList,
    atMs: number,
  ): Generator<void, void> {
    const still = new Set<string>()
    for (const piece of added.pieces()) {
      for (const path of piece.paths()) still.add(absolutePath(table, path))
      yield
    }
    for (const partition of partitions) {
      for (const piece of partition.pieces()) {
        const own = piece.paths().filter((path) => !isAbsolute(path))
        const fallen = own.map((path) => absolutePath(table, path))
        yield* this.#addLitter(
          fallen.filter((path) => !still.has(path)),
          atMs,
        )
      }
    }
  }

  /** The directories that queries have made, where no new file is in them: there are far more files. */
  *#dropAllFiles(table: Table, added: FileList, atMs: number): Generator<void, void> {
    const still = new Set<string>()
    for (const piece of added.pieces()) {
      for (const path of piece.paths()) still.add(path).add(topOf(path))
      yield
    }
    const fallen = new Set<string>()
    for (const piece of table.files.pieces()) {
      for (const path of piece.paths()) {
        if (isAbsolute(path)) continue
        const top = topOf(path)
        const isOwn = top.startsWith(OWN_PREFIX) && !still.has(top)
        if (isOwn) fallen.add(top)
        else if (!still.has(path)) fallen.add(path)
      }
      yield
    }
    for (const path of fallen) yield* this.#addLitter([absolutePath(table, path)], atMs)
  }

  *#addLitter(paths: readonly string[], sinceMs: number): Generator<void, void> {
    for (const path of paths) {
      this.#set('litter', path, { path, sinceMs })
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
    this.#set('outcomes', outcome.queryId, outcome)
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
    for (const queryId of forgotten) this.#set('outcomes', queryId, undefined)
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

  #name(database: string, name: string, id: number | undefined): void {
    let names = this.maps.names.get(database)
    if (names === undefined) throw missing(`database '${database}'`)
    if (!this.#ownNames.has(names)) {
      names = names.fork()
      this.#set('names', database, names)
      this.#ownNames.add(names)
    }
    this.#undo.push(names.set(name, id))
  }

  #setNext(next: number): void {
    const before = this.next
    this.next = next
    this.#undo.push(() => {
      this.next = before
    })
  }

  #set<Slot extends keyof Maps>(slot: Slot, key: KeyOf<Slot>, value: ValueOf<Slot> | undefined) {
    this.#setAny(slot, key, value)
  }

  /** The one way in which a map changes: noted for the delta, and can be taken back. */
  #setAny(slot: keyof Maps, key: string | number, value: object | undefined): void {
    const map = this.maps[slot] as unknown as PersistentMap<string | number, object>
    const touched = this.#touched[slot] as Touched<unknown, unknown>
    const before = map.get(key)
    if (!touched.has(key)) touched.set(key, before)
    this.#undo.push(map.set(key, value))
  }
}

export interface Sealed {
  readonly state: CatalogState
  readonly delta: Delta
}

/** What differs from before the touches. */
function deltaOf(maps: Maps, touched: ReturnType<typeof noTouches>, nextTableId: number): Delta {
  const rows = <K extends string | number, V extends NonNullable<unknown>>(
    map: PersistentMap<K, V>,
    keys: Touched<K, V>,
  ) => {
    const put: V[] = []
    const gone: K[] = []
    for (const [key, before] of keys) {
      const after = map.get(key)
      if (after === before) continue
      if (after === undefined) gone.push(key)
      else put.push(after)
    }
    return { put, gone }
  }
  const tables = rows(maps.tables, touched.tables)
  return {
    databases: rows(maps.databases, touched.databases),
    tables: {
      put: tables.put.map((after) => ({ before: touched.tables.get(after.id) ?? null, after })),
      gone: tables.gone,
    },
    outcomes: rows(maps.outcomes, touched.outcomes),
    litter: rows(maps.litter, touched.litter),
    publications: rows(maps.publications, touched.publications),
    nextTableId,
  }
}

type KeyOf<Slot extends keyof Maps> = Maps[Slot] extends PersistentMap<infer K, infer _> ? K : never
type ValueOf<Slot extends keyof Maps> =
  Maps[Slot] extends PersistentMap<infer _, infer V> ? V : never

const SLOTS = ['databases', 'tables', 'names', 'outcomes', 'litter', 'publications'] as const

const noTouches = () => ({
  databases: new Map() as Touched<KeyOf<'databases'>, ValueOf<'databases'>>,
  tables: new Map() as Touched<KeyOf<'tables'>, ValueOf<'tables'>>,
  names: new Map() as Touched<KeyOf<'names'>, ValueOf<'names'>>,
  outcomes: new Map() as Touched<KeyOf<'outcomes'>, ValueOf<'outcomes'>>,
  litter: new Map() as Touched<KeyOf<'litter'>, ValueOf<'litter'>>,
  publications: new Map() as Touched<KeyOf<'publications'>, ValueOf<'publications'>>,
})

/** By the clock too, so that a catalog that was brought back to an earlier day gives no version a second time. */
const changed = (table: Table, atMs: number): Table => ({
  ...table,
  contentVersion: Math.max(contentVersionOf(table) + 1, Math.round(atMs)),
})

/** The first name of a path; all of one that leads upwards. Asked of millions. */
function topOf(path: string): string {
  const end = path.indexOf('/')
  return end < 0 || path.includes('..') ? path : path.slice(0, end)
}

function* appended(files: FileList, added: FileList): Generator<void, FileList> {
  if (files.length === 0) return added
  let list = files
  const fresh: Fresh = new Set()
  for (const piece of added.pieces()) {
    list = list.appendPacked(piece.packed(), fresh)
    yield
  }
  return list
}

/** In the order of the lists. */
function* rowByRow({ databases, tables, outcomes, litter, publications }: CatalogData) {
  yield { databases, publications }
  for (const one of tables) yield { tables: [one] }
  for (const one of outcomes) yield { outcomes: [one] }
  for (const one of litter) yield { litter: [one] }
}

const nameOf = (table: Table): string => `${table.database}.${table.name}`
const columnOf = (table: Table, column: string): string =>
  `column '${column}' of table ${nameOf(table)}`

const exists = (what: string): CatalogError => new CatalogError('EXISTS', `${what} exists already`)
const missing = (what: string): CatalogError =>
  new CatalogError('MISSING', `${what} does not exist`)
const conflict = (message: string): CatalogError => new CatalogError('CONFLICT', message)
