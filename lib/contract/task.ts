/**
 * What a master gives a worker to do, and what the worker tells of it: the task, its report, the manifest of what it wrote.
 * A task says everything, so that another master can carry it on.
 */
import { z } from 'zod'
import { column, confinement, dataFile, packedFiles, table, tableId } from './catalog.ts'
import { attempt, name, place, queryError, queryId, session, sql } from './query.ts'

/** What a change's names meant when it was submitted, and the id that the next table was to have. */
const boundNames = z.object({
  /** A name and when its database was made: one of that name that was made anew is another one. */
  databases: z.array(z.object({ name, createdAt: z.string() })).optional(),
  tables: z.array(z.object({ database: name, name, tableId })),
  nextTableId: tableId,
})

/** What a worker is to write, and where. `directory` is the attempt's own, below a path that carries the query's id. */
const writeTarget = z.object({
  /** Null: INSERT OVERWRITE INTO LOCATION or a table that does not exist yet. */
  tableId: z.number().int().nullable(),
  schemaVersion: z.number().int(),
  mode: z.enum(['append', 'overwrite', 'overwrite-partitions']),
  /** Absolute; made by the worker. */
  directory: z.string(),
  /** Where that has to be, wherever links lead; left out: anywhere that queries may reach. */
  confined: confinement.optional(),
  /** What the files' paths in the manifest are relative to: the table's location. */
  base: z.string(),
  format: z.enum(['TEXT', 'JSON', 'PARQUET']),
  options: z.record(z.string(), z.string()),
  /** These are the table's, partition columns last; null: the query's own (CREATE TABLE AS). */
  columns: z.array(column).nullable(),
  /** `INSERT INTO t (b, a)`: which column each of the query's is; null: in order. */
  into: z.array(z.string()).nullable(),
  partitionBy: z.array(z.object({ name: z.string(), type: z.string().nullable() })),
})

/** Small files of a table that a worker joins: each group, of one partition, into one file with its rows in their order. */
const compaction = z.object({
  table: table.omit({ files: true }),
  groups: z.array(z.object({ files: z.array(dataFile).min(1) })),
  /** What is replaced is kept so long (ms) for `tajo catalog restore`. */
  keepMs: z.number().min(0),
  /** Small files that were left for another time. */
  left: z.number().int().min(0),
  /** Nobody asked for it: it gives way to queries. */
  background: z.boolean(),
  /** It has given way for long enough: it waits for a slot like a query, and keeps it. */
  inTurn: z.boolean().optional(),
})

/** What CREATE TABLE AS makes, but for its columns, its files and its id. */
const tableDraft = z.object({
  database: z.string().min(1),
  name: z.string().min(1),
  ifNotExists: z.boolean(),
  format: table.shape.format,
  options: table.shape.options,
  location: z.string().min(1),
  /** Left out: it is the administrator's. */
  owner: name.optional(),
})

/** Everything a master must know to carry a query on that another one began. */
export const task = z.object({
  queryId,
  attempt,
  sql,
  /** Where in `sql` the part that the worker runs begins (place) and its text. */
  query: z.object({ text: z.string(), place }),
  /** `explain…`: the rows are the plan's lines. `functions`: what a query may call; `query` is not looked at. */
  mode: z.enum(['select', 'write', 'compact', 'explain', 'explain-analyze', 'functions']),
  session,
  write: writeTarget.nullable(),
  /** Of `compact`; `write` says where. */
  compaction: compaction.optional(),
  /** On whose behalf tables are read, and who gets the result; left out: the administrator's. */
  asUser: name.optional(),
  /** Of a change. */
  names: boundNames.optional(),
  /** CREATE TABLE AS: the table to make of it. */
  create: tableDraft.nullable(),
  /** INSERT OVERWRITE INTO LOCATION: where it is published. */
  publishTo: z.string().nullable(),
  /** How often it was overtaken: what it read and was to replace had been changed when it was done. */
  overtaken: z.number().int().min(0).optional(),
  submittedMs: z.number(),
})

const manifest = z.object({
  /** These are the tables that the query read, all at one moment, and which content of them. */
  reads: z.array(z.object({ tableId: z.number().int(), contentVersion: z.number().int() })),
  columns: z.array(column),
  partitionColumns: z.array(column),
  files: z.array(dataFile),
  /** Where files are joined: which group each file was made of. */
  groups: z.array(z.number().int()).optional(),
  rows: z.number().int(),
  bytes: z.number().int(),
})

/** A part of a manifest. Its files in their order: those that follow each other and are of one partition say its values once. */
export const manifestPage = z.object({
  /** All but the files; in the first page, 0. */
  head: manifest.omit({ files: true, groups: true }).nullish(),
  files: z.array(packedFiles),
  /** As the manifest's, of these files. */
  groups: z.array(z.number().int()).optional(),
  /** The number of the next page; null: this was the last. */
  next: z.number().int().min(1).nullable(),
})

/** How a task stands on its worker. `ended` stays until a master has taken note of it. */
export const taskReport = z.object({
  queryId,
  attempt,
  state: z.enum(['running', 'succeeded', 'failed', 'killed']),
  progress: z.number().min(0).max(1),
  /** Delivered or written so far. */
  rows: z.number().int(),
  startedMs: z.number(),
  error: queryError.nullable(),
  manifest: manifest.nullable(),
  /**
   * Of a change whose manifest this message has no room for (`manifest` is null then, so that a master that doesn't know of
   * this takes it for failed): so many files are in it, and `worker.manifest` has it page by page.
   */
  paged: z.number().int().min(0).optional(),
  /** It ended because its worker was told to stop. */
  stopped: z.boolean().optional(),
  /** Of a read that runs: all its rows are computed and few, and wait for its client. It takes no slot any more. */
  computed: z.boolean().optional(),
  /** Of one that takes a slot: for so long its client has taken nothing of what waits for it. */
  unreadMs: z.number().min(0).optional(),
})

export type Task = z.output<typeof task>
export type TableDraft = z.output<typeof tableDraft>
export type Compaction = z.output<typeof compaction>
export type BoundNames = z.output<typeof boundNames>
export type WriteTarget = z.output<typeof writeTarget>
export type Manifest = z.output<typeof manifest>
export type ManifestPage = z.output<typeof manifestPage>
export type TaskReport = z.output<typeof taskReport>
