/**
 * What a query is in messages, for whoever submits it, carries it out or shows it: its session, its state, its error, its
 * rows, its record in the history.
 */
import { z } from 'zod'
import { QUERY_ERROR_KINDS } from '../rpc/index.ts'
import { address, epoch } from './method.ts'
import { QUERY_KINDS, QUERY_STATE_NAMES } from './query-states.ts'

/** Made by the client, a UUID. It is no key: whose the query is tells `asUser`. */
export const queryId = z.uuid()
/** Counts from 1; a client that lost the worker before it had a row asks for the next. */
export const attempt = z.number().int().min(1).max(100)
export const name = z.string().min(1).max(128)

/** A master keeps them with each statement that waits. */
const VARIABLES_CHARS = 16_000
const charsIn = (variables: Readonly<Record<string, string>>): number =>
  Object.entries(variables).reduce((sum, [name, value]) => sum + name.length + value.length, 0)

/** What a session is, as a whole: it lives in the client and travels with each statement, so that a failover loses none. */
export const session = z.object({
  database: name,
  user: z.string().max(128),
  variables: z
    .record(z.string().max(128), z.string().max(4096))
    .refine(
      (all) => charsIn(all) <= VARIABLES_CHARS,
      `variables may have ${VARIABLES_CHARS} characters together`,
    ),
})

export const place = z.object({ line: z.number().int(), column: z.number().int() })
export const queryError = z.object({
  message: z.string(),
  /** In the statement as it was submitted. */
  place: place.nullable(),
  /** The user's mistake won't go away by itself; `lost` may be submitted again under a new id: nothing was changed. */
  kind: z.enum(QUERY_ERROR_KINDS),
})

export const columnInfo = z.object({ name: z.string(), type: z.string() })
/** JSON values: whole numbers beyond 2^53, decimals, times and blobs as text. */
export const row = z.array(z.unknown())

export const queryState = z.enum(QUERY_STATE_NAMES)

export const queryStatus = z.object({
  queryId,
  attempt,
  state: queryState,
  /** Of an `answer` the rows are in `answer`. */
  kind: z.enum(QUERY_KINDS),
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

export const queryRecord = z.object({
  queryId,
  attempt,
  sql: z.string(),
  user: z.string(),
  /** Whose it is: he and the administrator see it, end it and read its result. Left out: the administrator's. */
  asUser: name.optional(),
  database: z.string(),
  kind: z.enum(QUERY_KINDS),
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

/** Longer statements are refused; the body limit of the ports is wider. */
const LONGEST_SQL = 200_000
export const sql = z.string().max(LONGEST_SQL)

export type Session = z.output<typeof session>
export type QueryError = z.output<typeof queryError>
export type QueryStatus = z.output<typeof queryStatus>
export type QueryRecord = z.output<typeof queryRecord>
export type ColumnInfo = z.output<typeof columnInfo>
