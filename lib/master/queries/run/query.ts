/**
 * One query as this term's master knows it, and its two faces: the status that its client is told, and the record that
 * the history keeps. Only `list.ts` changes a query.
 */
import type {
  EndState,
  QueryError,
  QueryKind,
  QueryRecord,
  QueryStatus,
  Session,
  Task,
} from '../../../contract/index.ts'
import type { Asked } from './asked.ts'

export type Answer = NonNullable<QueryStatus['answer']>

/**
 * `queued`: waits for a worker. `dispatching`: one was asked to run it. `running`: on that worker, or, without one, in
 * this master. `expected`: its worker has yet to tell of it, an earlier term's or one that it was given while it told
 * what it runs. `applying`: its end is known and being written to the catalog. `waiting`: for its turn to be written
 * there, since another query holds the table. `ended`: for good.
 */
type Stage = 'queued' | 'dispatching' | 'running' | 'expected' | 'applying' | 'waiting' | 'ended'

export type { EndState, QueryKind }

/** Where a query runs. */
export interface Spot {
  readonly workerId: string
  readonly incarnation: string
  /** Where its client fetches the result. */
  readonly clientRpc: string
  /** `WorkerInfo.network`: another one later means that its host was started anew. */
  readonly network?: string | undefined
}

/** How a query ended. */
export interface End {
  readonly state: EndState
  readonly rows?: number | null
  readonly message?: string | null
  readonly error?: QueryError | null
  readonly answer?: Answer | null
  /** What the session has become. */
  readonly session?: Session | null
}

export interface Query {
  readonly queryId: string
  /** Of a read its client counts them, of a change its masters do. */
  attempt: number
  /** As its record keeps it; the whole statement is in the task, for as long as somebody needs it. */
  readonly sql: string
  readonly user: string
  /** Whose it is; left out: the administrator's. */
  readonly asUser?: string | undefined
  readonly database: string
  readonly kind: QueryKind
  readonly submittedMs: number
  /** Null for what the master does itself, and for an earlier term's until its worker tells. */
  task: Task | null
  stage: Stage
  state: EndState | null
  spot: Spot | null
  /** Its worker has a slot for it: from the moment that it is given until its end there is heard of. */
  hasSlot: boolean
  /** Monotonic: since when it is in this stage. */
  sinceMs: number
  startedMs: number | null
  finishedMs: number | null
  progress: number
  rows: number | null
  message: string | null
  error: QueryError | null
  answer: Answer | null
  session: Session | null
  /** Its attempts whose worker died. */
  failures: NonNullable<QueryRecord['failures']>
  /** Where earlier attempts of a read ran. */
  tried: readonly Spot[]
  /** For so long its client has taken nothing of a result that takes a slot, when that was last heard. */
  unreadMs: number
  /** Waking time: until then its client waits for it, as far as it has told. */
  awaitedMs: number
  /** For auditors, until its end; null for what nobody has asked this master, or an earlier one that it knows of. */
  asked: Asked | null
}

/** What a query begins with. */
export type NewQuery = Pick<
  Query,
  'queryId' | 'attempt' | 'sql' | 'user' | 'asUser' | 'database' | 'kind' | 'submittedMs'
> & {
  readonly task: Task | null
  readonly failures?: Query['failures'] | undefined
  readonly tried?: Query['tried']
  readonly asked?: Asked | null
}

export function stateOf({ stage, state }: Query): QueryStatus['state'] {
  if (stage === 'ended') return state ?? 'failed'
  return stage === 'queued' || stage === 'dispatching' ? 'queued' : 'running'
}

/** What its client is told of it. */
export const kindOf = ({ mode }: Task): QueryKind =>
  mode === 'write' || mode === 'compact' ? 'change' : 'select'

/** Nobody asked for it: with its worker, or when it is killed, it is gone, and begins anew in its own time. */
export const isBackground = ({ task }: Pick<Query, 'task'>): boolean =>
  task?.compaction?.background === true

/** It runs in slots that no other query needs. */
export const givesWay = (query: Pick<Query, 'task'>): boolean =>
  isBackground(query) && query.task?.compaction?.inTurn !== true

/** Whether its end changes data or schema, so that it must be in the catalog before it is told. */
export const changesData = ({ kind }: Query): boolean => kind === 'change'

export function statusOf(query: Query, term: number): QueryStatus {
  const state = stateOf(query)
  return {
    queryId: query.queryId,
    attempt: query.attempt,
    state,
    kind: query.kind,
    worker: state === 'queued' ? null : (query.spot?.clientRpc ?? null),
    progress: query.progress,
    rows: query.rows,
    message: query.message,
    error: query.error,
    answer: query.answer,
    session: query.session,
    epoch: term,
  }
}

/** Statements in records are cut at so many characters. */
const LONGEST_RECORDED_SQL = 2000
/** What is told of the cut takes less. A statement that is longer by no more is kept whole, and so is one that was cut. */
const CUT_NOTE_CHARS = 100

/** Longer than a record keeps it. */
export const isLong = (chars: number): boolean => chars > LONGEST_RECORDED_SQL + CUT_NOTE_CHARS

/** The statement as records, lists and pages show it. */
export const recordedSql = (sql: string): string =>
  isLong(sql.length) ? cutText(sql, LONGEST_RECORDED_SQL) : sql

/** It says that it is cut. It holds nothing of the whole text in memory, as a mere part of a text does. */
export function cutText(text: string, most: number): string {
  if (text.length <= most) return text
  // Not between the two halves of one character.
  const end = /[\uD800-\uDBFF]/.test(text[most - 1] ?? '') ? most - 1 : most
  return JSON.parse(JSON.stringify(`${text.slice(0, end)}… (cut: ${text.length} characters)`))
}

/** What is still needed of a task whose statement nobody here will send or plan again. */
export const withoutStatement = (task: Task): Task => {
  const { names: _names, ...rest } = task
  const { sql, query, session } = task
  return {
    ...rest,
    sql: recordedSql(sql),
    query: { ...query, text: '' },
    session: { ...session, variables: {} },
  }
}

export function recordOf(
  query: Query,
  by: { readonly master: string; readonly term: number },
): QueryRecord {
  return {
    queryId: query.queryId,
    attempt: query.attempt,
    sql: query.sql,
    user: query.user,
    ...(query.asUser !== undefined && { asUser: query.asUser }),
    database: query.database,
    kind: query.kind,
    state: stateOf(query),
    submittedMs: query.submittedMs,
    startedMs: query.startedMs,
    finishedMs: query.finishedMs,
    progress: query.progress,
    rows: query.rows,
    message: query.message,
    error: query.error,
    worker: query.spot?.workerId ?? null,
    ...(query.failures.length === 0 ? {} : { failures: query.failures }),
    master: by.master,
    epoch: by.term,
  }
}
