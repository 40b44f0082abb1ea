/**
 * The catalog as it is at one moment, for reading: every question that a query or a client asks is answered from here,
 * from memory. A state never changes; `apply.ts` makes the next one from it.
 */
import { isAbsolute, join } from 'node:path/posix'
import { inSlices } from '../base/slices.ts'
import { FileList } from './file-list.ts'
import { withInternedColumns } from './interned-columns.ts'
import type {
  CatalogData,
  Database,
  Litter,
  Outcome,
  PlainTable,
  Publication,
  Table,
  User,
} from './model.ts'
import { PersistentMap } from './persistent-map.ts'

/** Every catalog has it, and it can't be dropped. */
export const DEFAULT_DATABASE = 'default'

/** What a catalog begins with. */
export const EMPTY: CatalogData = {
  databases: [{ name: DEFAULT_DATABASE, createdAt: '1970-01-01T00:00:00.000Z' }],
  tables: [],
  outcomes: [],
  litter: [],
  publications: [],
  nextTableId: 1,
}

/** What a group of transactions changed, as rows: put (new or replaced) and gone. */
export interface Delta {
  readonly databases: Rows<Database, string>
  /** By id. What the files of the two don't share is `before.files.differencesTo(after.files)`. */
  readonly tables: {
    readonly put: readonly { readonly before: Table | null; readonly after: Table }[]
    readonly gone: readonly number[]
  }
  /** By queryId; their order is to be kept. */
  readonly outcomes: Rows<Outcome, string>
  /** By path. */
  readonly litter: Rows<Litter, string>
  /** By queryId. */
  readonly publications: Rows<Publication, string>
  /** By name. */
  readonly users: Rows<User, string>
  readonly nextTableId: number
}
interface Rows<V, K> {
  readonly put: readonly V[]
  readonly gone: readonly K[]
}

/** Ids of a database's tables by name: to be read only. */
export type TableNames = PersistentMap<string, number>

/** The state's tables, as maps. `names`: for each database the ids of its tables by name. */
export interface Maps {
  readonly databases: PersistentMap<string, Database>
  readonly tables: PersistentMap<number, Table>
  readonly names: PersistentMap<string, PersistentMap<string, number>>
  readonly outcomes: PersistentMap<string, Outcome>
  readonly litter: PersistentMap<string, Litter>
  readonly publications: PersistentMap<string, Publication>
  readonly users: PersistentMap<string, User>
}

/** Of the same content, to be changed. */
export const forkMaps = (maps: Maps): Maps => ({
  databases: maps.databases.fork(),
  tables: maps.tables.fork(),
  names: maps.names.fork(),
  outcomes: maps.outcomes.fork(),
  litter: maps.litter.fork(),
  publications: maps.publications.fork(),
  users: maps.users.fork(),
})

export class CatalogState {
  /** For those that make the next state of it (`changing-state.ts`, `sql-known.ts`). */
  readonly maps: Maps
  protected next: number

  constructor(maps: Maps, nextTableId: number) {
    this.maps = maps
    this.next = nextTableId
  }

  static from(data: CatalogData): CatalogState {
    const builder = new StateBuilder()
    builder.add(data)
    return builder.done(data.nextTableId)
  }

  /** The same, and the event loop has its turns meanwhile. */
  static async inSlices(data: CatalogData): Promise<CatalogState> {
    const builder = new StateBuilder()
    await inSlices(rowByRow(data), (rows) => builder.add(rows))
    return builder.done(data.nextTableId)
  }

  /** The id that the next table must have. */
  get nextTableId(): number {
    return this.next
  }

  /** The same, and its next table gets at least this id. */
  withIdsFrom(nextTableId: number): CatalogState {
    return new CatalogState(this.maps, Math.max(this.next, nextTableId))
  }

  /** They are sorted. */
  databaseNames(): string[] {
    return [...this.maps.databases.keys()].sort()
  }

  database(name: string): Database | null {
    return this.maps.databases.get(name) ?? null
  }

  /** Sorted by name, in one piece; null when there is no such database. */
  tablesOf(database: string): Table[] | null {
    const names = this.maps.names.get(database)
    if (names === undefined) return null
    const tables = [...names.values()].map((id) => this.maps.tables.get(id))
    return tables
      .filter((table) => table !== undefined)
      .sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)))
  }

  /** Null when there is no such database. */
  tableCount(database: string): number | null {
    return this.maps.names.get(database)?.size ?? null
  }

  /**
   * Names of a database's tables in the order in which they were made or renamed; null when there is no such database.
   * The same object for as long as no table there is made, dropped or renamed.
   */
  tableNames(database: string): TableNames | null {
    return this.maps.names.get(database) ?? null
  }

  /** In the order in which they came, as are the outcomes and publications: to be taken in slices, too. */
  allDatabases(): Iterable<Database> {
    return this.maps.databases.values()
  }

  allOutcomes(): Iterable<Outcome> {
    return this.maps.outcomes.values()
  }

  allPublications(): Iterable<Publication> {
    return this.maps.publications.values()
  }

  /** Of all databases, in the order in which they were made: to be taken in slices where there may be many. */
  allTables(): Iterable<Table> {
    return this.maps.tables.values()
  }

  /** Those of this state that are another value there, or not there: quick where one was made from the other. */
  *tablesChangedSince(before: CatalogState): Iterable<Table> {
    for (const [, table] of this.maps.tables.changedSince(before.maps.tables)) yield table
  }

  /** The first table that passes, looked for in one piece: `test` has to be quick. */
  findTable(test: (table: Table) => boolean): Table | null {
    return this.maps.tables.find(test) ?? null
  }

  find(database: string, name: string): Table | null {
    const id = this.maps.names.get(database)?.get(name)
    return id === undefined ? null : this.table(id)
  }

  table(id: number): Table | null {
    return this.maps.tables.get(id) ?? null
  }

  /** How the change with this query id ended; null when it is not known, or was forgotten long after. */
  outcome(queryId: string): Outcome | null {
    return this.maps.outcomes.get(queryId) ?? null
  }

  litter(): Litter[] {
    return [...this.allLitter()]
  }

  get litterCount(): number {
    return this.maps.litter.size
  }

  /** It is to be taken in slices. */
  allLitter(): Iterable<Litter> {
    return this.maps.litter.values()
  }

  publications(): Publication[] {
    return [...this.maps.publications.values()]
  }

  user(name: string): User | null {
    return this.maps.users.get(name) ?? null
  }

  /** In the order in which they were made. */
  allUsers(): Iterable<User> {
    return this.maps.users.values()
  }

  /** Whether there is anything in it that versions before there were users can't read: no table has an owner without one. */
  get hasUsers(): boolean {
    return this.maps.users.size > 0
  }

  /** All of it, in the order in which it came. */
  toData(): CatalogData {
    return {
      databases: [...this.maps.databases.values()],
      tables: [...this.maps.tables.values()],
      outcomes: [...this.maps.outcomes.values()],
      litter: this.litter(),
      publications: this.publications(),
      ...(this.hasUsers ? { users: [...this.allUsers()] } : {}),
      nextTableId: this.next,
    }
  }
}

/** Makes a state of its rows, which may come in any order and in as many calls as one likes, each as short as its rows. */
export class StateBuilder {
  readonly #maps: Maps = {
    databases: new PersistentMap(),
    tables: new PersistentMap(),
    names: new PersistentMap(),
    outcomes: new PersistentMap(),
    litter: new PersistentMap(),
    publications: new PersistentMap(),
    users: new PersistentMap(),
  }

  add(rows: Partial<Omit<CatalogData, 'nextTableId'>>): void {
    const { databases, outcomes, litter, publications, users } = this.#maps
    for (const one of rows.databases ?? []) this.#addDatabase(databases, one)
    for (const table of rows.tables ?? []) this.#addTable(tableOf(table))
    for (const one of rows.outcomes ?? []) outcomes.set(one.queryId, one)
    for (const one of rows.litter ?? []) litter.set(one.path, one)
    for (const one of rows.publications ?? []) publications.set(one.queryId, one)
    for (const one of rows.users ?? []) users.set(one.name, one)
  }

  /** Nothing may be added after it. */
  done(nextTableId: number): CatalogState {
    const { databases, names } = this.#maps
    for (const name of [...names.keys()]) if (!databases.has(name)) names.set(name, undefined)
    return new CatalogState(this.#maps, nextTableId)
  }

  #addDatabase(databases: Maps['databases'], one: Database): void {
    databases.set(one.name, one)
    this.#namesOf(one.name)
  }

  #addTable(table: Table): void {
    this.#maps.tables.set(table.id, withInternedColumns(table))
    this.#namesOf(table.database).set(table.name, table.id)
  }

  #namesOf(database: string): PersistentMap<string, number> {
    const { names } = this.#maps
    const known = names.get(database)
    if (known !== undefined) return known
    const made = new PersistentMap<string, number>()
    names.set(database, made)
    return made
  }
}

/** The steps are small ones for a `StateBuilder`, in the order of the lists. */
export function* rowByRow({
  databases,
  tables,
  outcomes,
  litter,
  publications,
  users = [],
}: CatalogData) {
  yield { databases, publications, users }
  for (const one of tables) yield { tables: [one] }
  for (const one of outcomes) yield { outcomes: [one] }
  for (const one of litter) yield { litter: [one] }
}

/** Of what a message, a journal or a dump says; one that has its list already stays the same. */
export const tableOf = (plain: PlainTable): Table =>
  isTable(plain) ? plain : { ...plain, files: FileList.of(plain.files) }

const isTable = (plain: PlainTable): plain is Table => plain.files instanceof FileList

/**
 * So many tables may have been made in what is lost of a damaged catalog: workers that outlive it may come with writes to
 * them, so no other table may get their ids.
 */
export const IDS_OF_THE_LOST = 1_000_000

/** Which content of the table this is. */
export const contentVersionOf = (table: Pick<Table, 'contentVersion'>): number =>
  table.contentVersion ?? 0

/** Where a data file is. */
export const absolutePath = (table: Pick<Table, 'location'>, path: string): string =>
  isAbsolute(path) ? path : join(table.location, path)
