/**
 * The whole catalog as one JSON document, for backup and for moving from one store to another. What comes in may have
 * been edited by hand or cut off, so it is checked in full: its shape, and that its parts fit together.
 */
import { z } from 'zod'
import { CatalogError } from './errors.ts'
import { type CatalogData, FAILURE_KINDS } from './model.ts'
import { DEFAULT_DATABASE } from './state.ts'

/** Raised when the meaning of the document changes; a newer one is refused. */
const DUMP_FORMAT = 1
/** So many mistakes are told at once. */
const TOLD = 10

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
})
const outcome = z.strictObject({
  queryId: name,
  state: z.enum(['done', 'failed']),
  message: z.string(),
  rows: count.nullable(),
  kind: z.enum(FAILURE_KINDS).optional(),
  atMs: z.number(),
})
const document = z.strictObject({
  tajoCatalog: z.literal(DUMP_FORMAT),
  dumpedAt: z.string(),
  catalog: z.strictObject({
    databases: z.array(z.strictObject({ name, createdAt: z.string() })),
    tables: z.array(table),
    outcomes: z.array(outcome),
    litter: z.array(z.strictObject({ path: name, sinceMs: z.number() })),
    publications: z.array(z.strictObject({ queryId: name, staging: name, location: name })),
    nextTableId: z.number().int().positive(),
  }),
})

export function encodeDump(catalog: CatalogData, dumpedAt: Date): string {
  const whole = { tajoCatalog: DUMP_FORMAT, dumpedAt: dumpedAt.toISOString(), catalog }
  return JSON.stringify(whole, null, 1)
}

/** CatalogError CORRUPT, with what is wrong and where, for anything that isn't a whole and coherent dump. */
export function decodeDump(text: string): CatalogData {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw bad([`it is not JSON: ${(error as Error).message}`])
  }
  const format = (value as { tajoCatalog?: unknown } | null)?.tajoCatalog
  if (typeof format === 'number' && format > DUMP_FORMAT) {
    throw bad([`it has format ${format}, this version knows up to ${DUMP_FORMAT}`])
  }
  const parsed = document.safeParse(value)
  if (!parsed.success) {
    throw bad(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`))
  }
  const { catalog } = parsed.data
  const mistakes = [...incoherences(catalog)]
  if (mistakes.length > 0) throw bad(mistakes)
  return catalog
}

/** What each part alone doesn't show. */
function* incoherences(catalog: CatalogData): IterableIterator<string> {
  const { databases, tables, outcomes, litter, publications, nextTableId } = catalog
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
  const known = new Set(databases.map(({ name }) => name))
  if (!known.has(DEFAULT_DATABASE)) yield `there is no database '${DEFAULT_DATABASE}'`
  for (const one of tables) {
    const title = `table ${one.database}.${one.name}`
    if (!known.has(one.database)) yield `${title}: there is no such database`
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
  data.publications.length === 0

function bad(mistakes: readonly string[]): CatalogError {
  const more = mistakes.length > TOLD ? [`and ${mistakes.length - TOLD} more`] : []
  const list = [...mistakes.slice(0, TOLD), ...more].join('; ')
  return new CatalogError('CORRUPT', `this is no whole dump of a catalog: ${list}`)
}
