/**
 * Makes one JSON document of the whole catalog, and reads it, for backup and for moving from one store to another. What
 * comes in may have been edited by hand or cut off, so it is checked in full: its shape, and that its parts fit
 * together.
 *
 * It goes out and comes in piece by piece: as a whole its text may be longer than the longest string.
 */
import { z } from 'zod'
import { CatalogError } from './errors.ts'
import { FileList } from './file-list.ts'
import { JsonPieces, type Path } from './json-pieces.ts'
import { type CatalogData, type DataFile, FAILURE_KINDS, PRIVILEGES, type Table } from './model.ts'
import { DEFAULT_DATABASE } from './state.ts'

/** Raised when the meaning of the document changes; a newer one is refused. */
const DUMP_FORMAT = 2
/** Without users: what earlier versions read. */
const FORMAT_WITHOUT_USERS = 1
/** So many mistakes are told at once, and so many are counted. */
const TOLD = 10
const COUNTED = 1000

const count = z.number().int().nonnegative()
const name = z.string().min(1)
const column = z.strictObject({ name, type: name })
const dataFile = z.strictObject({
  path: z.string(),
  rows: count.nullable(),
  bytes: count,
  partition: z.array(z.string().nullable()),
})
const table = z.strictObject({
  id: z.number().int().positive(),
  database: name,
  name,
  kind: z.enum(['managed', 'external']),
  format: z.enum(['TEXT', 'JSON', 'PARQUET']),
  options: z.record(z.string(), z.string()),
  columns: z.array(column),
  partitionColumns: z.array(column),
  location: name,
  wholeDirectory: z.boolean(),
  files: z.array(dataFile),
  schemaVersion: count,
  contentVersion: count.optional(),
  createdAt: z.string(),
  owner: name.optional(),
})
const privilege = z.enum(PRIVILEGES)
const grant = z.discriminatedUnion('on', [
  z.strictObject({ on: z.literal('database'), database: name, privilege }),
  z.strictObject({ on: z.literal('table'), tableId: z.number().int().positive(), privilege }),
  z.strictObject({ on: z.literal('location'), path: name }),
])
const outcome = z.strictObject({
  queryId: name,
  state: z.enum(['done', 'failed']),
  message: z.string(),
  rows: count.nullable(),
  kind: z.enum(FAILURE_KINDS).optional(),
  atMs: z.number(),
})
const LISTS = {
  databases: z.strictObject({ name, createdAt: z.string() }),
  tables: table,
  outcomes: outcome,
  litter: z.strictObject({ path: name, sinceMs: z.number(), joinedMs: z.number().optional() }),
  publications: z.strictObject({ queryId: name, staging: name, location: name }),
  users: z.strictObject({ name, verifier: name, createdAt: z.string(), grants: z.array(grant) }),
} as const
type ListName = keyof typeof LISTS
const document = z.strictObject({
  tajoCatalog: z.literal([FORMAT_WITHOUT_USERS, DUMP_FORMAT]),
  dumpedAt: z.string(),
  catalog: z.strictObject({
    databases: z.array(LISTS.databases),
    tables: z.array(LISTS.tables),
    outcomes: z.array(LISTS.outcomes),
    litter: z.array(LISTS.litter),
    publications: z.array(LISTS.publications),
    users: z.array(LISTS.users).optional(),
    nextTableId: z.number().int().positive(),
  }),
})

/** The document's text in pieces, none longer than a row, or a file's, of which it consists. */
export function* dumpPieces(catalog: CatalogData, dumpedAt: Date): Generator<string> {
  const tajoCatalog = catalog.users === undefined ? FORMAT_WITHOUT_USERS : DUMP_FORMAT
  yield* pieces({ tajoCatalog, dumpedAt: dumpedAt.toISOString(), catalog }, 0)
}

const BATCH_CHARS = 1024 * 1024

/** The same in batches of whole lines, each without its last line's end; `batchChars`: as long as one may get, about. */
export function* dumpLines(
  catalog: CatalogData,
  dumpedAt: Date,
  batchChars = BATCH_CHARS,
): Generator<string> {
  let batch: string[] = []
  let chars = 0
  for (const piece of dumpPieces(catalog, dumpedAt)) {
    if (chars > batchChars && piece.startsWith('\n')) {
      yield batch.join('')
      batch = [piece.slice(1)]
      chars = 0
    } else batch.push(piece)
    chars += piece.length
  }
  yield batch.join('')
}

/** The text is that of JSON.stringify with an indent of 1. `depth`: of what it stands in. */
function* pieces(value: unknown, depth: number): Generator<string> {
  const isList = Array.isArray(value) || value instanceof FileList
  // Rows that are not tables are small.
  if (!isList && depth > 2 && !isTable(value)) {
    yield JSON.stringify(value, null, 1).replaceAll('\n', `\n${' '.repeat(depth)}`)
    return
  }
  const [open, close] = isList ? ['[', ']'] : ['{', '}']
  let isFirst = true
  for (const [key, inner] of isList ? unnamed(value) : Object.entries(value as object)) {
    if (inner === undefined) continue
    yield isFirst ? open : ','
    yield `\n${' '.repeat(depth + 1)}${key === null ? '' : `${JSON.stringify(key)}: `}`
    isFirst = false
    if (typeof inner === 'object' && inner !== null) yield* pieces(inner, depth + 1)
    else yield JSON.stringify(inner)
  }
  yield isFirst ? `${open}${close}` : `\n${' '.repeat(depth)}${close}`
}

function* unnamed(list: Iterable<unknown>): Generator<[null, unknown]> {
  for (const one of list) yield [null, one]
}

const isTable = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'files' in value && 'location' in value

/** Reads a dump as its text comes. */
export class DumpReader {
  readonly #json = new JsonPieces({
    isLarge: (path) => isLarge(path),
    onValue: (path, value) => this.#take(path, value),
    onEnd: (path, kind) => this.#end(path, kind),
  })
  readonly #mistakes: string[] = []
  /** The document without what is large in it, and with what is wrong in its place. */
  readonly #top: Record<string, unknown> = {}
  readonly #catalog: Record<string, unknown> = {}
  readonly #rows: { [L in ListName]: unknown[] } = {
    ...{ databases: [], tables: [], outcomes: [], litter: [], publications: [], users: [] },
  }
  #table: Record<string, unknown> = {}
  #files = FileList.EMPTY
  #newFiles: DataFile[] = []

  /** CatalogError CORRUPT for what is no JSON. */
  push(text: string): void {
    this.#asJson(() => this.#json.push(text))
  }

  /** CatalogError CORRUPT, with what is wrong and where, for anything that wasn't a whole and coherent dump. */
  end(): CatalogData {
    this.#asJson(() => this.#json.end())
    const format = this.#top.tajoCatalog
    if (typeof format === 'number' && format > DUMP_FORMAT) {
      throw bad([`it has format ${format}, this version knows up to ${DUMP_FORMAT}`])
    }
    const whole = this.#top['']
    this.#check(document, whole === undefined ? this.#top : whole, [])
    if (this.#mistakes.length > 0) throw bad(this.#mistakes)
    const { nextTableId } = this.#catalog
    const { users, ...lists } = this.#rows
    const some = users.length > 0 ? { users } : {}
    const catalog = { ...lists, ...some, nextTableId } as CatalogData
    const mistakes = [...incoherences(catalog)]
    if (mistakes.length > 0) throw bad(mistakes)
    return catalog
  }

  #asJson(read: () => void): void {
    try {
      read()
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      throw bad([`it is not JSON: ${error.message}`])
    }
  }

  #take(path: Path, value: unknown): void {
    const [top, list, row, field] = path
    if (path.length === 0) this.#put(this.#top, '', value, path)
    else if (path.length === 1) this.#put(this.#top, top, value, path)
    else if (path.length === 2) this.#put(this.#catalog, list, value, path)
    else if (path.length === 3) this.#addRow(list as ListName, value, path)
    else if (path.length === 4) this.#put(this.#table, field, value, path)
    else this.#addFile(value, ['catalog', 'tables', row ?? 0, 'files', path[4] ?? 0])
  }

  /** A list that is large stands there as an empty one, which is what is left to be checked of it. */
  #end(path: Path, kind: 'object' | 'list'): void {
    const [top, list, , field] = path
    const nothing = kind === 'list' ? [] : {}
    if (path.length === 1) this.#put(this.#top, top, kind === 'list' ? [] : this.#catalog, path)
    else if (path.length === 2) this.#put(this.#catalog, list, nothing, path)
    else if (path.length === 3) this.#endTable(path, kind)
    else if (path.length === 4) this.#put(this.#table, field, nothing, path)
  }

  #put(into: Record<string, unknown>, key: unknown, value: unknown, path: Path): void {
    if (Object.hasOwn(into, String(key))) this.#mistake(`${path.join('.')} is there twice`)
    into[String(key)] = value
  }

  #addRow(list: ListName, value: unknown, path: Path): void {
    if (this.#check(LISTS[list], value, path)) this.#rows[list].push(value)
  }

  #addFile(value: unknown, path: Path): void {
    if (!this.#check(dataFile, value, path)) return
    this.#newFiles.push(value as DataFile)
    if (this.#newFiles.length >= FILES_AT_ONCE) this.#appendFiles()
  }

  #appendFiles(): void {
    this.#files = this.#files.append(this.#newFiles)
    this.#newFiles = []
  }

  #endTable(path: Path, kind: 'object' | 'list'): void {
    this.#appendFiles()
    const fields = kind === 'list' ? [] : this.#table
    if (this.#check(table, fields, path)) {
      this.#rows.tables.push({ ...(fields as unknown as Table), files: this.#files })
    }
    this.#table = {}
    this.#files = FileList.EMPTY
  }

  #check(schema: z.ZodType, value: unknown, at: Path): boolean {
    const parsed = schema.safeParse(value)
    for (const { path, message } of parsed.error?.issues ?? []) {
      this.#mistake(`${[...at, ...path].join('.')}: ${message}`)
    }
    return parsed.success
  }

  #mistake(text: string): void {
    if (this.#mistakes.length < COUNTED) this.#mistakes.push(text)
  }
}

const FILES_AT_ONCE = 1000

/** The document, the catalog, its lists, each table and its files; whatever kind of value stands there. */
function isLarge([top, list, row, field, ...more]: Path): boolean {
  if (top === undefined) return true
  if (top !== 'catalog' || more.length > 0) return false
  if (list === undefined) return true
  if (!Object.hasOwn(LISTS, list)) return false
  if (row === undefined) return true
  return list === 'tables' && (field === undefined || field === 'files')
}

/** What each part alone doesn't show. */
function* incoherences(catalog: CatalogData): IterableIterator<string> {
  const { databases, tables, outcomes, litter, publications, users = [], nextTableId } = catalog
  yield* twice(
    'database',
    databases.map(({ name }) => name),
  )
  yield* twice(
    'table id',
    tables.map(({ id }) => String(id)),
  )
  yield* twice(
    'table',
    tables.map((one) => `${one.database}.${one.name}`),
  )
  yield* twice(
    'outcome of query',
    outcomes.map(({ queryId }) => queryId),
  )
  yield* twice(
    'litter',
    litter.map(({ path }) => path),
  )
  yield* twice(
    'publication of query',
    publications.map(({ queryId }) => queryId),
  )
  yield* twice(
    'user',
    users.map((user) => user.name),
  )
  yield* strayGrants(catalog)
  const known = new Set(databases.map(({ name }) => name))
  if (!known.has(DEFAULT_DATABASE)) yield `there is no database '${DEFAULT_DATABASE}'`
  for (const one of tables) {
    const title = `table ${one.database}.${one.name}`
    if (!known.has(one.database)) yield `${title}: there is no such database`
    if (one.owner !== undefined && !users.some((user) => user.name === one.owner)) {
      yield `${title}: there is no user '${one.owner}', whose it is`
    }
    if (one.id >= nextTableId) yield `${title}: its id ${one.id} is not below nextTableId`
    const columns = [...one.columns, ...one.partitionColumns].map((each) => each.name)
    yield* twice(`${title}: column`, columns)
    const width = one.partitionColumns.length
    for (const { path, partition } of one.files) {
      if (partition.length !== width)
        yield `${title}: file ${path} has not ${width} partition values`
    }
  }
}

function* strayGrants({ databases, tables, users = [] }: CatalogData): IterableIterator<string> {
  const known = new Set(databases.map((one) => one.name))
  const ids = new Set(tables.map(({ id }) => id))
  for (const { name: user, grants } of users) {
    for (const one of grants) {
      if (one.on === 'database' && !known.has(one.database)) {
        yield `user '${user}': there is no database '${one.database}', on which he has ${one.privilege}`
      }
      if (one.on === 'table' && !ids.has(one.tableId)) {
        yield `user '${user}': there is no table with id ${one.tableId}, on which he has ${one.privilege}`
      }
    }
  }
}

function* twice(what: string, names: readonly string[]): IterableIterator<string> {
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name)) yield `${what} '${name}' is there twice`
    seen.add(name)
  }
}

/** Nothing in it that anybody could miss. */
export const isEmptyCatalog = (data: CatalogData): boolean =>
  data.tables.length === 0 &&
  data.databases.every(({ name }) => name === DEFAULT_DATABASE) &&
  data.publications.length === 0 &&
  (data.users ?? []).length === 0

function bad(mistakes: readonly string[]): CatalogError {
  const more = mistakes.length > TOLD ? [`and ${mistakes.length - TOLD} more`] : []
  const list = [...mistakes.slice(0, TOLD), ...more].join('; ')
  return new CatalogError('CORRUPT', `this is no whole dump of a catalog: ${list}`)
}
