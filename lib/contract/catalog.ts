/**
 * What may be asked of the catalog: by clients the tables that there are, by the cluster's own daemons the files that a query
 * reads, page by page. A page has a limit, because a table may have more files than a message has room for.
 */
import { z } from 'zod'
import { activeStatus, call, nothing, type ServiceContract } from './method.ts'
import { name } from './query.ts'

export const column = z.object({ name: z.string(), type: z.string() })
export const tableId = z.number().int()
export const dataFile = z.object({
  path: z.string(),
  rows: z.number().int().nullable(),
  bytes: z.number().int(),
  partition: z.array(z.string().nullable()),
})
export const table = z.object({
  id: z.number().int(),
  database: z.string(),
  name: z.string(),
  kind: z.enum(['managed', 'external']),
  format: z.enum(['TEXT', 'JSON', 'PARQUET']),
  options: z.record(z.string(), z.string()),
  columns: z.array(column),
  partitionColumns: z.array(column),
  location: z.string(),
  wholeDirectory: z.boolean(),
  files: z.array(dataFile),
  schemaVersion: z.number().int(),
  contentVersion: z.number().int().optional(),
  createdAt: z.string(),
})

/** In one answer. */
const MOST_TABLES = 1000

/** Files of one partition, whose values are said once. */
export const packedFiles = z.object({
  partition: z.array(z.string().nullable()),
  paths: z.array(z.string()),
  rows: z.array(z.number().int().nullable()),
  bytes: z.array(z.number().int()),
})

const comparison = z.object({
  /** As the query names it. */
  column: z.string(),
  /**
   * Where the query doesn't say whose column it is: which of the tables that are asked for could be meant, too, from 0. If
   * one of them has such a column, nothing is known.
   */
  rivals: z.array(z.number().int()),
  /** How the query writes the values: 'a', 1, DATE '2026-01-01'. */
  written: z.enum(['text', 'integer', 'date']),
  is: z.enum(['in', '<', '<=', '>', '>=']),
  /** Several for `in` only. */
  values: z.array(z.string()),
})
export type Comparison = z.output<typeof comparison>
/** What rows have to meet wherever a query reads a table (lib/catalog, partition-condition.ts). */
export type Condition = { all: Condition[] } | { any: Condition[] } | Comparison
const condition: z.ZodType<Condition> = z.lazy(() =>
  z.union([
    comparison,
    z.object({ all: z.array(condition) }),
    z.object({ any: z.array(condition) }),
  ]),
)

/** A page of the files of the tables that were asked for. */
const filePage = z.object({
  /** `of`: which of the tables that were asked for, from 0. */
  files: z.array(z.object({ of: z.number().int(), packed: packedFiles })),
  /** What `moreFiles` has to be asked with for the next one; null: this was the last. */
  next: z.string().nullable(),
})

/** `owner` may name what is in these directories, and nothing else. */
export const confinement = z.object({ owner: name, within: z.array(z.string()) })
export type Confinement = z.output<typeof confinement>

/** Reads only, answered by the active from memory. */
export const catalog = {
  ...activeStatus,
  databases: call(
    { access: 'user', activeOnly: true },
    nothing,
    z.object({ databases: z.array(z.string()) }),
  ),
  tables: call(
    { access: 'user', activeOnly: true },
    z.object({
      database: name,
      /** Only these, as far as they exist. */
      names: z.array(name).max(MOST_TABLES).optional(),
      /** Only those whose names hold this, whatever the case. */
      search: z.string().max(1000).optional(),
      /** Only those whose names come after this one. */
      after: name.optional(),
      /** Of those that are left so many are passed over. */
      offset: z.number().int().nonnegative().optional(),
      /** At most so many; left out, all, which a large catalog is too large for. */
      limit: z.number().int().positive().max(MOST_TABLES).optional(),
    }),
    /** They come by name, in the order of code units. */
    z.object({
      tables: z.array(
        table
          .omit({ files: true })
          .extend({ rows: z.number().nullable(), bytes: z.number(), fileCount: z.number() }),
      ),
      /** How many there are without offset and limit. Older masters don't tell, and answer all of the database. */
      total: z.number().optional(),
    }),
  ),
  /**
   * All at one moment, in the order asked; null for one that does not exist. Their files come page by page, as they were at
   * that moment. Only for who shows the cluster's secret, since it is believed on whose behalf it asks.
   */
  resolve: call(
    { access: 'cluster', activeOnly: true },
    z.object({
      /** Whose query it is; left out: the administrator's. */
      asUser: name.optional(),
      tables: z
        .array(
          z.object({
            database: name,
            name,
            /** It is that one, whatever it is called by now. */
            tableId: tableId.optional(),
            /** Files of partitions that can't meet it may be left out. */
            where: condition.optional(),
          }),
        )
        .max(1000),
    }),
    filePage.extend({
      tables: z.array(table.omit({ files: true }).nullable()),
      /** Those that he sees and may not read, and why; they are null among the tables. */
      refused: z.array(z.object({ of: z.number().int(), why: z.string() })).optional(),
      /** External tables of users: where their files have to be, wherever links lead. */
      confined: z.array(confinement.extend({ of: z.number().int() })).optional(),
    }),
  ),
  /** UNAVAILABLE for a page that this master doesn't have any more, or never had: resolve again. */
  moreFiles: call(
    { access: 'cluster', activeOnly: true },
    z.object({ next: z.string() }),
    filePage,
  ),
  /** Does the active see a file where an external table is? Asked by a worker that sees none; false for no such table. */
  seesFiles: call(
    { access: 'cluster', activeOnly: true },
    z.object({ tableId }),
    z.object({ sees: z.boolean() }),
  ),
} as const satisfies ServiceContract

export type CatalogTable = z.output<typeof table>
export type ResolveRequest = z.output<(typeof catalog.resolve)['request']>
export type FilePage = z.output<typeof filePage>
