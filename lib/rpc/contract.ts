/**
 * Every message between the parts of a cluster, in one place: what is asked, what is answered, who may ask, and whether
 * only the active master may answer. Types for both sides follow from it, so a handler that is missing or a field that
 * is misspelt does not compile.
 *
 * A method is `POST /rpc/SERVICE/METHOD` with a JSON body, and can be called with curl. Unknown fields are ignored, so
 * that versions can differ by one. Each service has a port of its own, under the name of its configuration key.
 */
import { z } from 'zod'

/**
 * Each request names the cluster it is meant for (cluster-id.ts). `cluster`: the caller shows the cluster's secret and its
 * epoch as well. `open`: anybody; it never changes the cluster's own state. `who`: also anybody who names no cluster,
 * because he doesn't know which one this is: the answer tells.
 */
export type Access = 'cluster' | 'open' | 'who'

export interface CallMethod<Q extends z.ZodType = z.ZodType, A extends z.ZodType = z.ZodType> {
  readonly kind: 'call'
  readonly access: Access
  /** Answered by the active master; all others say NOT_ACTIVE. */
  readonly activeOnly: boolean
  readonly request: Q
  readonly answer: A
}

/** Lines of JSON until one side ends it, with empty lines as heartbeat (stream.ts). */
export interface StreamMethod<Q extends z.ZodType = z.ZodType, L extends z.ZodType = z.ZodType> {
  readonly kind: 'stream'
  readonly access: Access
  readonly request: Q
  readonly line: L
}

export type ServiceContract = Readonly<Record<string, CallMethod | StreamMethod>>

const call = <Q extends z.ZodType, A extends z.ZodType>(
  rules: { access: Access; activeOnly: boolean },
  request: Q,
  answer: A,
): CallMethod<Q, A> => ({ kind: 'call', ...rules, request, answer })

const address = z.string().min(1).max(300)
const epoch = z.number().int().min(0).max(9_999_999_999)
const nothing = z.object({})
const state = z.enum([
  'starting',
  'backup',
  'activating',
  'active',
  'suspended',
  'stepping-down',
  'stopped',
])

/** How a master stands, in a line. `serving` is judged by the clock at the moment of writing it. */
const standing = z.object({
  address,
  state,
  serving: z.boolean(),
  epoch,
  /** Umbilical address of the active master as this one knows it. */
  active: address.nullable(),
  /** Wall clock of the writer, ms since 1970, and the worst of its last second or two, for status pages. */
  wallMs: z.number().nullish(),
  lastRenewalMs: z.number().nullish(),
  leaseMarginMs: z.number().nullish(),
  /** Why it isn't active, or why no master is; null when all is well. */
  problem: z.string().nullish(),
})

const masterStatus = standing.extend({
  /** Client RPC address of the active master. */
  activeClient: address.nullable(),
  clusterId: z.string().nullable(),
  /** Of the cluster's files: tajo.rootdir. */
  rootDirectory: z.string().nullable(),
  hostname: z.string(),
  pid: z.number().int(),
  version: z.string(),
  priority: z.number(),
  /** Path of the Unix socket on its own host that takes changing commands. */
  adminSocket: z.string().nullable(),
  /** Why it isn't active, or why no master is; null when all is well. */
  problem: z.string().nullable(),
  /** What it tried last and came to nothing, in which term; none once it has served. */
  failure: z.object({ term: epoch, text: z.string() }).optional(),
  /** Of the other masters whose directory is another one, or not known to be this one's. */
  directories: z
    .array(z.object({ address, level: z.enum(['critical', 'warning']), text: z.string() }))
    .optional(),
  warnings: z.array(z.string()),
  /** Those of them that endanger the cluster until somebody mends them. */
  critical: z.array(z.string()).optional(),
  leaseMarginMs: z.number().nullable(),
  /** Of the other masters, by umbilical address. */
  heartbeatAgesMs: z.record(z.string(), z.number()),
})

/** Answered by the active only: the proof that it serves. */
const service = z.object({
  epoch,
  address,
  inFlight: z.number().int(),
  /** Why changes have to wait, where they do. */
  trouble: z.string().optional(),
})

const sideOfContest = z.enum(['open', 'exists', 'created', 'unknown'])
const incarnation = z.string().max(300)

/** What a master tells another of itself and its directory (lib/ha, contest-state.ts). */
const contestFacts = z.object({
  address,
  clusterId: z.string().max(100),
  /** Its HA directory, for people. */
  directory: z.string().max(4096),
  priority: z.number(),
  by: incarnation,
  mount: z.number().int(),
  served: epoch,
  holds: z.object({ term: epoch, by: incarnation }).nullable(),
})
const contestTold = contestFacts.extend({ mine: sideOfContest, toward: incarnation.nullable() })
/** A name in the directory, and no path out of it. */
const nonce = z.string().regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,250}$/)
export const contestLetter = contestTold.extend({ nonce: nonce.nullable() })
export const contestReply = contestTold.extend({
  check: z.enum(['exists', 'created', 'unknown']).nullable(),
})

export const umbilical = {
  status: call(
    { access: 'who', activeOnly: false },
    z.object({
      /** A master that asks says who it is. */
      from: z.object({ address, clusterId: z.string().max(100) }).optional(),
    }),
    masterStatus,
  ),
  /** "I have become active", "I have stepped down": the others look at the directory at once. */
  announce: call(
    { access: 'cluster', activeOnly: false },
    z.object({ address, state, epoch }),
    z.object({ epoch }),
  ),
  /** Is your directory mine? `seal`: by the cluster's secret, over what is said (lib/master, contest-letters.ts). */
  contest: call(
    { access: 'who', activeOnly: false },
    z.object({ letter: contestLetter, seal: z.string().max(100) }),
    z.object({
      /** Null: caller and called name different clusters; `facts` then says which this is. */
      reply: contestReply.nullable(),
      facts: contestFacts.nullable(),
      /** The caller is in the list of the called. */
      lists: z.boolean(),
      seal: z.string().max(100),
    }),
  ),
  /** A line at once, at every change, and at least once a heartbeat period. */
  watch: {
    kind: 'stream',
    access: 'cluster',
    request: z.object({ from: address }),
    line: standing,
  },
} as const satisfies ServiceContract

const activeStatus = {
  status: call({ access: 'who', activeOnly: true }, nothing, service),
} as const satisfies ServiceContract

// ---- queries -----------------------------------------------------------------------------------------------------

/** Made by the client, a UUID: whoever knows it may see the query, kill it and read its result. */
const queryId = z.uuid()
/** Counts from 1; a client that lost the worker before it had a row asks for the next. */
const attempt = z.number().int().min(1).max(100)
const name = z.string().min(1).max(128)

/** What a session is, as a whole: it lives in the client and travels with each statement, so that a failover loses none. */
const session = z.object({
  database: name,
  user: z.string().max(128),
  variables: z.record(z.string().max(128), z.string().max(4096)),
})

const place = z.object({ line: z.number().int(), column: z.number().int() })
const queryError = z.object({
  message: z.string(),
  /** In the statement as it was submitted. */
  place: place.nullable(),
  /** The user's mistake won't go away by itself; `lost` may be submitted again under a new id: nothing was changed. */
  kind: z.enum(['user', 'lost', 'killed', 'refused', 'internal']),
})

const columnInfo = z.object({ name: z.string(), type: z.string() })
/** JSON values: whole numbers beyond 2^53, decimals, times and blobs as text. */
const row = z.array(z.unknown())

const queryState = z.enum(['queued', 'running', 'succeeded', 'failed', 'killed'])

const queryStatus = z.object({
  queryId,
  attempt,
  state: queryState,
  /** `select`: rows come from the worker. `change`: a message is all there is. `answer`: rows are in `answer`. */
  kind: z.enum(['select', 'change', 'answer']),
  /** Of the worker: client RPC address. Null while it waits for one. */
  worker: address.nullable(),
  /** From 0 to 1. */
  progress: z.number().min(0).max(1),
  rows: z.number().int().nullable(),
  /** Of a change that is done, such as `INSERT 5`. */
  message: z.string().nullable(),
  error: queryError.nullable(),
  answer: z.object({ columns: z.array(columnInfo), rows: z.array(row) }).nullable(),
  /** What the session has become, after SET, UNSET and \c. */
  session: session.nullable(),
  epoch,
})

const queryRecord = z.object({
  queryId,
  attempt,
  sql: z.string(),
  user: z.string(),
  database: z.string(),
  kind: z.enum(['select', 'change', 'answer']),
  state: queryState,
  /** Wall clocks of the masters that saw it, ms since 1970. */
  submittedMs: z.number(),
  startedMs: z.number().nullable(),
  finishedMs: z.number().nullable(),
  progress: z.number(),
  rows: z.number().nullable(),
  message: z.string().nullable(),
  error: queryError.nullable(),
  /** Worker id, and the master and term that saw its newest state. */
  worker: z.string().nullable(),
  master: z.string(),
  epoch,
  /** Of a change: the attempts whose worker died, and what of. */
  failures: z
    .array(z.object({ attempt, worker: z.string().nullable(), why: z.string() }))
    .optional(),
})

const workerRow = z.object({
  /** Peer address: its name. */
  address: z.string(),
  /** `silent`: its stream to the active master broke, and it has not been heard since. */
  /** `stuck`: its mount of the shared directory does not answer, and it gets no queries (`trouble`). */
  state: z.enum(['live', 'silent', 'stuck']),
  trouble: z.string().nullish(),
  /** What has happened to its spill directory; it gets queries all the same. */
  spill: z.string().nullish(),
  host: z.string(),
  pid: z.number().int(),
  version: z.string(),
  /** Queries that it can run at a time, and that it runs. */
  slots: z.number().int(),
  running: z.number().int(),
  heartbeatAgeMs: z.number(),
  webPage: z.string(),
})

/** Longer statements are refused; the body limit of the ports is wider. */
const LONGEST_SQL = 200_000
const sql = z.string().max(LONGEST_SQL)

export const client = {
  ...activeStatus,
  /**
   * Client RPC addresses of this cluster's masters, those that are down included, each under every name that is known of
   * its host: for whoever hears a part of his list only and has to know whose the rest is.
   */
  masters: call(
    { access: 'open', activeOnly: false },
    nothing,
    z.object({ masters: z.array(address) }),
  ),
  /** Begins it, or tells how it stands: the same id and attempt begin nothing twice, on any master. */
  submit: call(
    { access: 'open', activeOnly: true },
    z.object({ queryId, attempt, session, sql }),
    queryStatus,
  ),
  /**
   * Answers when it stands otherwise than `state` and `attempt` say, or after `waitMs`, or at once when this master
   * steps down. Null: this master has never heard of it; submit it again under the same id.
   */
  wait: call(
    { access: 'open', activeOnly: true },
    z.object({
      queryId,
      state: queryState,
      attempt,
      worker: address.nullable(),
      waitMs: z.number().int().min(0).max(30_000),
    }),
    queryStatus.nullable(),
  ),
  kill: call({ access: 'open', activeOnly: true }, z.object({ queryId }), queryStatus.nullable()),
  /**
   * Newest first; running ones of this term and the history of all terms. NOT_ACTIVE from a backup that may not read the
   * query log (HDFS's NFS gateway).
   */
  queries: call(
    { access: 'open', activeOnly: false },
    z.object({ limit: z.number().int().min(1).max(10_000) }),
    z.object({ queries: z.array(queryRecord) }),
  ),
  /** As status pages show them. */
  workers: call(
    { access: 'open', activeOnly: true },
    nothing,
    z.object({ workers: z.array(workerRow) }),
  ),
} as const satisfies ServiceContract

// ---- catalog -----------------------------------------------------------------------------------------------------

const column = z.object({ name: z.string(), type: z.string() })
const tableId = z.number().int()
const dataFile = z.object({
  path: z.string(),
  rows: z.number().int().nullable(),
  bytes: z.number().int(),
  partition: z.array(z.string().nullable()),
})
const table = z.object({
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
export const MOST_TABLES = 1000

/** Files of one partition, whose values are said once. */
const packedFiles = z.object({
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

/** Reads only, answered by the active from memory. */
export const catalog = {
  ...activeStatus,
  databases: call(
    { access: 'open', activeOnly: true },
    nothing,
    z.object({ databases: z.array(z.string()) }),
  ),
  tables: call(
    { access: 'open', activeOnly: true },
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
    /** By name, in the order of code units. */
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
   * that moment.
   */
  resolve: call(
    { access: 'open', activeOnly: true },
    z.object({
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
    filePage.extend({ tables: z.array(table.omit({ files: true }).nullable()) }),
  ),
  /** UNAVAILABLE for a page that this master doesn't have any more, or never had: resolve again. */
  moreFiles: call({ access: 'open', activeOnly: true }, z.object({ next: z.string() }), filePage),
  /** Does the active see a file where an external table is? Asked by a worker that sees none; false for no such table. */
  seesFiles: call(
    { access: 'cluster', activeOnly: true },
    z.object({ tableId }),
    z.object({ sees: z.boolean() }),
  ),
} as const satisfies ServiceContract

// ---- workers -----------------------------------------------------------------------------------------------------

const workerId = z.string().min(1).max(200)

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
  /** What the files' paths in the manifest are relative to: the table's location. */
  base: z.string(),
  format: z.enum(['TEXT', 'JSON', 'PARQUET']),
  options: z.record(z.string(), z.string()),
  /** Of the table, partition columns last; null: the query's own (CREATE TABLE AS). */
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
})

/** Everything a master must know to carry a query on that another one began. */
const task = z.object({
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
  /** The tables that the query read, all at one moment, and which content of them. */
  reads: z.array(z.object({ tableId: z.number().int(), contentVersion: z.number().int() })),
  columns: z.array(column),
  partitionColumns: z.array(column),
  files: z.array(dataFile),
  /** Of a compaction: which group each file was made of. */
  groups: z.array(z.number().int()).optional(),
  rows: z.number().int(),
  bytes: z.number().int(),
})

/** A part of a manifest. Its files in their order: those that follow each other and are of one partition say its values once. */
const manifestPage = z.object({
  /** All but the files; in the first page, 0. */
  head: manifest.omit({ files: true, groups: true }).nullish(),
  files: z.array(packedFiles),
  /** As the manifest's, of these files. */
  groups: z.array(z.number().int()).optional(),
  /** The number of the next page; null: this was the last. */
  next: z.number().int().min(1).nullable(),
})

/** How a task stands on its worker. `ended` stays until a master has taken note of it. */
const taskReport = z.object({
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
})

/** Of a directory that a worker proves to be the cluster's (lib/worker, proof.ts). */
const directoryKey = z.string().min(1).max(100)
/** This term's nonces that a worker has found, one for each directory; left out by one that proves nothing (0.1). */
const proven = z.array(nonce).max(10).nullish()

const workerInfo = z.object({
  workerId,
  /** Changes with each start of the worker's process. */
  incarnation: z.string().min(1).max(100),
  host: z.string(),
  pid: z.number().int(),
  version: z.string(),
  /** Where masters give it tasks, where clients fetch results, its web page. */
  addresses: z.object({ qm: address, clientRpc: address, peer: address, infoHttp: address }),
  cores: z.number(),
  memoryBytes: z.number(),
  /** Queries it runs at a time. */
  slots: z.number().int().min(1),
  /** Whose network it is on: who says the same answers without any (lib/ha, `hostNetwork`). */
  network: z.string().max(200).optional(),
  /** Whoever started it tells how it ends (`tracker.ended`). */
  watched: z.boolean().optional(),
})

/** How many processes the kernel of a worker's host has killed for want of memory since it was booted; null: not known. */
const oomKills = z.number().int().min(0).nullish()

export const tracker = {
  ...activeStatus,
  /** First words to each new active: who it is and all that it runs, with the tasks, so that they can be adopted. */
  register: call(
    { access: 'cluster', activeOnly: true },
    z.object({
      worker: workerInfo,
      tasks: z.array(z.object({ task, report: taskReport })),
      storage: z.string().max(2000).nullish(),
      spill: z.string().max(2000).nullish(),
      proven,
      oomKills,
    }),
    z.object({
      epoch,
      /** Ended ones it may forget, and running ones to stop. */ forget: z.array(queryId),
    }),
  ),
  /** Each idle or active interval, and at once when a task ends. */
  heartbeat: call(
    { access: 'cluster', activeOnly: true },
    z.object({
      workerId,
      incarnation: z.string(),
      freeSlots: z.number().int(),
      reports: z.array(taskReport),
      /** What is wrong with its mount of the shared directory; null when nothing is. */
      storage: z.string().max(2000).nullish(),
      /** What has happened to its spill directory; null when nothing has. */
      spill: z.string().max(2000).nullish(),
      proven,
      oomKills,
    }),
    z.object({
      epoch,
      /** False: register first. */
      known: z.boolean(),
      forget: z.array(queryId),
    }),
  ),
  /** Are its directories ours? The answer to what it has made there, and what it has to look for. */
  prove: call(
    { access: 'cluster', activeOnly: true },
    z.object({
      workerId,
      incarnation: z.string(),
      /** Files that it has just made, with its incarnation in them; none: it asks what to look for. */
      made: z.array(z.object({ key: directoryKey, nonce })).max(10),
    }),
    z.object({
      /** This master's host, for people. */
      host: z.string(),
      places: z.array(
        z.object({
          key: directoryKey,
          /** Where the files lie, as this master has it. */
          path: z.string(),
          /** The file of this term in it; null: nobody can prove it now (`why`). */
          nonce: nonce.nullable(),
          why: z.string().nullable(),
        }),
      ),
      found: z.array(z.object({ nonce, check: sideOfContest })),
    }),
  ),
  /** A worker that has another directory under `tajo.rootdir`, or none, says so to every master: it can't register. */
  astray: call(
    { access: 'who', activeOnly: false },
    z.object({ workerId, host: z.string().max(300), why: z.string().max(1000) }),
    nothing,
  ),
  /** How a worker's process ended, by whoever had started it: nobody else is told the signal. */
  ended: call(
    { access: 'cluster', activeOnly: true },
    z.object({
      workerId,
      incarnation: z.string(),
      /** As a shell has it: 128 and the signal's number, or the exit code. */
      code: z.number().int().min(0).max(255),
      oomKills,
      /** The same when it was started. */
      oomKillsBefore: oomKills,
    }),
    nothing,
  ),
  /** Open while this master is active; its end makes the worker look for the new active at once. */
  follow: {
    kind: 'stream',
    access: 'cluster',
    request: z.object({ workerId, incarnation: z.string() }),
    line: z.object({ epoch }),
  },
} as const satisfies ServiceContract

/** On a worker's qm port, called by the active master: its term fences it. */
export const worker = {
  run: call(
    { access: 'cluster', activeOnly: false },
    task,
    z.object({ accepted: z.boolean(), why: z.string().nullable() }),
  ),
  /** This attempt and earlier ones: the order to end one may arrive after the next has begun. */
  kill: call(
    { access: 'cluster', activeOnly: false },
    z.object({ queryId, attempt: attempt.optional() }),
    nothing,
  ),
  /** What a change has written, where its report says that it is `paged`. UNAVAILABLE for what this worker doesn't have (any more). */
  manifest: call(
    { access: 'cluster', activeOnly: false },
    z.object({ queryId, attempt, page: z.number().int().min(0) }),
    manifestPage,
  ),
  status: call(
    { access: 'who', activeOnly: false },
    nothing,
    workerInfo.extend({ epoch, running: z.number().int() }),
  ),
} as const satisfies ServiceContract

/** On a worker's client port: a result, straight to whoever knows the query's id. */
export const results = {
  /** Once: columns, then batches of rows, then the end or the error. A stream that ends without either is cut. */
  fetch: {
    kind: 'stream',
    access: 'open',
    request: z.object({ queryId, attempt }),
    line: z.union([
      z.object({ columns: z.array(columnInfo) }),
      z.object({ rows: z.array(row) }),
      z.object({ end: z.object({ rows: z.number().int() }) }),
      z.object({ error: queryError }),
    ]),
  },
  status: call(
    { access: 'who', activeOnly: false },
    nothing,
    z.object({
      workerId,
      epoch,
      /** As in `WorkerInfo`. */
      incarnation: z.string().optional(),
      network: z.string().optional(),
    }),
  ),
} as const satisfies ServiceContract

/** Under the names that paths carry. */
export const services = { umbilical, client, tracker, catalog, worker, results } as const

export type ServiceName = keyof typeof services
export type Services = typeof services
export type MethodName<N extends ServiceName> = keyof Services[N] & string

export type RequestOf<M> = M extends { request: infer Q extends z.ZodType } ? z.output<Q> : never
export type AnswerOf<M> = M extends { answer: infer A extends z.ZodType } ? z.output<A> : never
export type LineOf<M> = M extends { line: infer L extends z.ZodType } ? z.output<L> : never

export type Standing = z.output<typeof standing>
export type MasterStatus = z.output<typeof masterStatus>
export type ServiceStatus = z.output<typeof service>
export type Session = z.output<typeof session>
export type QueryError = z.output<typeof queryError>
export type QueryState = z.output<typeof queryState>
export type QueryStatus = z.output<typeof queryStatus>
export type WorkerRow = z.output<typeof workerRow>
export type QueryRecord = z.output<typeof queryRecord>
export type ColumnInfo = z.output<typeof columnInfo>
export type ResultLine = z.output<(typeof results.fetch)['line']>
export type CatalogTable = z.output<typeof table>
export type ResolveRequest = z.output<(typeof catalog.resolve)['request']>
export type FilePage = z.output<typeof filePage>
export type Task = z.output<typeof task>
export type TableDraft = z.output<typeof tableDraft>
export type Compaction = z.output<typeof compaction>
export type BoundNames = z.output<typeof boundNames>
export type WriteTarget = z.output<typeof writeTarget>
export type Manifest = z.output<typeof manifest>
export type ManifestPage = z.output<typeof manifestPage>
export type TaskReport = z.output<typeof taskReport>
export type WorkerInfo = z.output<typeof workerInfo>
export type Ended = z.output<(typeof tracker.ended)['request']>
export type ContestRequest = z.output<(typeof umbilical.contest)['request']>
export type ContestAnswer = z.output<(typeof umbilical.contest)['answer']>
export type Announcement = z.output<(typeof umbilical.announce)['request']>

export const EPOCH_HEADER = 'x-tajo-epoch'
export const SECRET_HEADER = 'x-tajo-secret'
/** On a stream's request: so many milliseconds, at most, the reader wants to wait for a sign of life. */
export const BEAT_HEADER = 'x-tajo-beat-ms'

/** The first thing wrong with a message, as a phrase: `from: Invalid input: expected string, received number`. */
export function faultOf(error: z.ZodError): string {
  const issue = error.issues[0]
  if (issue === undefined) return 'not what the contract says'
  const where = issue.path.map(String).join('.')
  return where === '' ? issue.message : `${where}: ${issue.message}`
}
