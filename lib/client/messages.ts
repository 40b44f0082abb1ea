/**
 * The contract's messages as the client sees them; what arrives is checked here for what the client relies on, by hand:
 * loading the schemas would take longer than a short query.
 *
 * What callers of the library get in hand is written out, so that their editors show it with its comments and need no
 * schemas. That it is what the contract says, the compiler compares (test/unit/api.test.ts).
 */

import type { AnswerOf, LineOf, QueryKind, QueryState, Services } from '../contract/index.ts'
import type { QueryErrorKind } from '../rpc/index.ts'
import { RpcError } from '../rpc/index.ts'
import type { Place } from './errors.ts'

export type QueryStatus = AnswerOf<Services['client']['submit']>
export type ResultLine = LineOf<Services['results']['fetch']>

/** In what a statement runs. The client keeps it and sends it with each statement, so that a failover loses none of it. */
export interface Session {
  /** Where names of tables without a database are looked up; 1 to 128 characters. */
  database: string
  /** Who asks, for the history. No password belongs to it; at most 128 characters, empty for nobody. */
  user: string
  /** What SET has set, by name; names of at most 128 and values of at most 4096 characters. */
  variables: Record<string, string>
}

/** A column of a result or of a table. */
export interface Column {
  /** As the query or the table calls it. */
  readonly name: string
  /** Its SQL type, such as `INT4`. */
  readonly type: string
}

/**
 * The values of one row stand in the order of the columns, as JSON has them. Whole numbers beyond 2^53, decimals, times and
 * blobs are strings, and NULL is null.
 */
export type Row = readonly unknown[]

/** Why a statement failed, as the history tells it. */
export interface QueryFailure {
  /** A sentence for whoever wrote the statement. */
  message: string
  /** Where in the statement the mistake is; null where that is not known. */
  place: Place | null
  /** Whose business it is. */
  kind: QueryErrorKind
}

/** An attempt of a change that came to nothing. */
export interface LostAttempt {
  /** Its number, from 1. */
  attempt: number
  /** Id of the worker that ran it; null where it had none. */
  worker: string | null
  /** What became of that worker, as a sentence. */
  why: string
}

/** A statement in the list of those that run and have run. Times are ms since 1970 by the clock of the master that saw it. */
export interface QueryRecord {
  /** The UUID that its client made for it: `kill` takes it. */
  queryId: string
  /** Number of the newest attempt, from 1. */
  attempt: number
  /** The statement; of one longer than 2000 characters its beginning and `…`. */
  sql: string
  /** The session's user; empty for nobody. */
  user: string
  /** The user whose it is, as he has proven; left out: it is the administrator's. */
  asUser?: string | undefined
  /** The session's database. */
  database: string
  /** What it gives. */
  kind: QueryKind
  /** How it stands, or how it ended. */
  state: QueryState
  /** When a master took it. */
  submittedMs: number
  /** When a worker began with it; null before that. */
  startedMs: number | null
  /** When it ended; null before that. */
  finishedMs: number | null
  /** How much is done, from 0 to 1. */
  progress: number
  /** Rows of its result, or rows that it has changed; null while that is not known. */
  rows: number | null
  /** What a change has done, such as `INSERT 5`; null for none. */
  message: string | null
  /** Why it failed; null where it has not. */
  error: QueryFailure | null
  /** Id of the worker that it runs or ran on; null for none. */
  worker: string | null
  /** The master that saw its newest state. */
  master: string
  /** The term in which that master saw it. */
  epoch: number
  /** Of a change: the attempts whose worker died. */
  failures?: LostAttempt[] | undefined
}

/** A worker as the active master knows it. */
export interface WorkerRow {
  /** Its peer address `host:port`, which is its name. */
  address: string
  /**
   * `live`: it gets queries. `silent`: its stream to the active master broke, and it has not been heard since. `stuck`: its
   * mount of the shared directory does not answer, and it gets no queries.
   */
  state: 'live' | 'silent' | 'stuck'
  /** Why it is `stuck`, as a sentence; null or left out when it is not. */
  trouble?: string | null | undefined
  /** What has happened to its spill directory; it gets queries all the same. Null or left out for nothing. */
  spill?: string | null | undefined
  /** It has the cluster's secret, gets queries, and is not in `conf/workers`. Null or left out: it is, or nobody knows. */
  unlisted?: boolean | null | undefined
  /** Name of its host. */
  host: string
  /** Id of its process on that host. */
  pid: number
  /** Version of its software. */
  version: string
  /** How many queries it can run at a time. */
  slots: number
  /** How many it runs. */
  running: number
  /** How long ago the active master last heard of it, ms. */
  heartbeatAgeMs: number
  /** URL of its own page. */
  webPage: string
}

/** A table as lists of tables show it, without its files. */
export interface TableDigest {
  /** A number that no other table of the catalog has ever had. */
  id: number
  /** The database that it is in. */
  database: string
  /** Its name in there. */
  name: string
  /** The data of a `managed` one is the cluster's and goes with it; that of an `external` one is the user's. */
  kind: 'managed' | 'external'
  /** The format of its files. */
  format: 'TEXT' | 'JSON' | 'PARQUET'
  /** As in `WITH (…)`, by name: `text.delimiter` and the like. */
  options: Record<string, string>
  /** Without the partition columns. */
  columns: Column[]
  /** Columns by whose values its files are parted; none where it is not partitioned. */
  partitionColumns: Column[]
  /** Absolute path of its directory; of an external table it may be a single file. */
  location: string
  /** External only: whatever files stand in `location` belong to it. */
  wholeDirectory: boolean
  /** It rises with each change of the schema. */
  schemaVersion: number
  /** It rises with each change of the rows; left out means 0. */
  contentVersion?: number | undefined
  /** When it was created, in ISO 8601. */
  createdAt: string
  /** How many rows its files have; null where nobody has counted them. */
  rows: number | null
  /** Size of its known files. */
  bytes: number
  /** How many files of it the catalog knows. */
  fileCount: number
}

/** Which tables of a database are asked for; all conditions hold together. */
export interface TablesAsked {
  /** Only those of these names, as far as they exist; at most 1000. */
  names?: string[] | undefined
  /** Only those whose names hold this are meant, whatever the case; it has at most 1000 characters. */
  search?: string | undefined
  /** Only those whose names come after this one, in the order of code units. */
  after?: string | undefined
  /** So many of those that are left are passed over, from 0. */
  offset?: number | undefined
  /** At most so many are told, from 1 to 1000; left out: all. */
  limit?: number | undefined
}

const STATES = ['queued', 'running', 'succeeded', 'failed', 'killed']
const KINDS = ['select', 'change', 'answer']

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const strange = (what: string): RpcError =>
  new RpcError('INTERNAL', `the answer is not what the contract says: ${what}`)

/** Throws RpcError INTERNAL for what is no status. */
export function asStatus(value: unknown): QueryStatus {
  if (!isRecord(value)) throw strange('no object')
  const { queryId, attempt, state, kind, worker, session } = value
  if (typeof queryId !== 'string' || typeof attempt !== 'number') throw strange('no query id')
  if (!STATES.includes(String(state))) throw strange(`state ${String(state)}`)
  if (!KINDS.includes(String(kind))) throw strange(`kind ${String(kind)}`)
  if (worker !== null && typeof worker !== 'string') throw strange('worker')
  if (session !== null && !(isRecord(session) && isRecord(session.variables))) {
    throw strange('session')
  }
  return value as unknown as QueryStatus
}

/** Null: the master has never heard of it. */
export const asStatusOrNull = (value: unknown): QueryStatus | null =>
  value === null ? null : asStatus(value)

/** The list in the field `name`; throws RpcError INTERNAL where there is none. */
export function listIn<T>(value: unknown, name: string): T[] {
  const list = isRecord(value) ? value[name] : undefined
  if (!Array.isArray(list)) throw strange(`no list '${name}'`)
  return list as T[]
}

/** Throws RpcError INTERNAL for what is no line of a result. */
export function asResultLine(value: unknown): ResultLine {
  const known =
    isRecord(value) &&
    (Array.isArray(value.rows) ||
      Array.isArray(value.columns) ||
      isRecord(value.end) ||
      isRecord(value.error))
  if (!known) throw strange('a line of a result')
  return value as unknown as ResultLine
}
