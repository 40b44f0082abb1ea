/**
 * The client of a cluster: SQL in, rows or a message out, whoever is the active master.
 *
 * The session (database, user, variables) lives here and travels with each statement, so that a failover loses none. A
 * change of data is made once, however often it had to be asked for. Nothing is held open but kept connections: `close`.
 */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { type Clock, waitingClock } from '../base/time.ts'
import { type ClusterKnowledge, NO_KNOWLEDGE } from './cluster.ts'
import { ClosedError, QueryError } from './errors.ts'
import { type MasterAddress, Masters } from './masters.ts'
import {
  asStatusOrNull,
  type Column,
  listIn,
  type QueryRecord,
  type QueryStatus,
  type Row,
  type Session,
  type TableDigest,
  type TablesAsked,
  type WorkerRow,
} from './messages.ts'
import { asQueryError, DEFAULT_RETRY, QueryCourse, type RetryOptions } from './query.ts'
import type { RowStream } from './rows.ts'
import { Wire } from './wire.ts'

export interface TajoClientOptions {
  readonly masters: readonly MasterAddress[]
  /** Other masters of the same cluster, asked for while none of `masters` is active. */
  readonly findMore?: () => Promise<readonly MasterAddress[]>
  /** What is known of the cluster's id; by default all masters are asked before the first call. */
  readonly cluster?: ClusterKnowledge
  /** Default: database `default`, nobody, no variables. */
  readonly session?: Partial<Session>
  readonly retry?: Partial<RetryOptions>
  readonly clock?: Clock
  readonly random?: () => number
  /** Told while no active master is found: what each one said, and for how long already. */
  readonly onWaiting?: (said: ReadonlyMap<string, string>, sinceMs: number) => void
}

export interface Progress {
  readonly queryId: string
  readonly state: QueryStatus['state']
  /** From 0 to 1. */
  readonly progress: number
  readonly worker: string | null
}

export interface QueryCallOptions {
  /** Ends the query in the cluster too. */
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: Progress) => void
  /** Told about each second while it waits for a worker. */
  readonly onQueued?: () => void
  /** Told what holds a change up: another one that it waits for, or why it runs again. */
  readonly onHeldUp?: (why: string) => void
}

export interface QueryResult {
  readonly queryId: string
  /** `select`: rows stream from a worker. `answer`: rows of the master's own. `change`: a message. */
  readonly kind: QueryStatus['kind']
  /** Empty for a change. */
  readonly columns: readonly Column[]
  /** Such as `INSERT 5`. */
  readonly message: string | null
  /** Rows that were changed, where it is known. */
  readonly changed: number | null
  /** It can be called once. Breaking off ends the query. */
  rows(): AsyncGenerator<readonly Row[], void, void>
  /** For a result whose rows aren't wanted, or not to their end. */
  close(): Promise<void>
}

/** Not more at once: they may have so many columns that an answer takes long. */
const TABLES_AT_ONCE = 200
const KILL_BUDGET_MS = 5000
const CALL = { deadlineMs: 10_000, patienceMs: 300 }

export class TajoClient {
  readonly #masters: Masters
  readonly #wire: Wire
  readonly #clock: Clock
  readonly #closed = new AbortController()
  /** Kills that nobody waits for; `close` does. */
  readonly #ending = new Set<Promise<unknown>>()
  #session: Session

  /** Throws RangeError without a master. */
  constructor(options: TajoClientOptions) {
    this.#clock = options.clock ?? waitingClock
    this.#wire = new Wire(this.#clock)
    // One for each query under way; Node takes more than ten for a leak.
    setMaxListeners(0, this.#closed.signal)
    this.#session = { database: 'default', user: '', variables: {}, ...options.session }
    this.#masters = new Masters({
      masters: options.masters,
      findMore: options.findMore ?? (async () => []),
      cluster: options.cluster ?? NO_KNOWLEDGE,
      retry: { ...DEFAULT_RETRY, ...options.retry },
      clock: this.#clock,
      random: options.random ?? Math.random,
      wire: this.#wire,
      onWaiting: options.onWaiting ?? (() => {}),
    })
  }

  get session(): Session {
    return this.#session
  }

  /** Id of the cluster; null while it isn't known. */
  get clusterId(): string | null {
    return this.#wire.cluster
  }

  /** Client RPC address of the master that answered last; null before the first answer. */
  get activeMaster(): string | null {
    return this.#masters.active
  }

  /**
   * Runs one statement; resolves when it is done, a select when its first rows are there.
   * Rejects with QueryError, NoMasterError, ClosedError.
   */
  async query(sql: string, options: QueryCallOptions = {}): Promise<QueryResult> {
    const queryId = randomUUID()
    const { onProgress, onQueued, onHeldUp, signal } = options
    const end = new AbortController()
    const leave = (): void => end.abort()
    const release = this.#follow(leave, signal)
    const course = new QueryCourse({
      queryId,
      sql,
      session: this.#session,
      masters: this.#masters,
      wire: this.#wire,
      clock: this.#clock,
      signal: end.signal,
      onProgress: onProgress === undefined ? null : (status) => onProgress(progressOf(status)),
      onQueued: onQueued ?? (() => {}),
      onHeldUp: onHeldUp ?? (() => {}),
    })
    try {
      const { status, rows } = await course.run()
      if (status.session !== null) this.#session = status.session
      if (rows === null) release()
      return this.#result(status, rows, { signal, release })
    } catch (error) {
      release()
      throw this.#failure(error, queryId, signal)
    }
  }

  /** For a statement without rows, or whose rows aren't wanted: its message. Rejects as `query`. */
  async execute(sql: string, options: QueryCallOptions = {}): Promise<string | null> {
    const result = await this.query(sql, options)
    for await (const _ of result.rows());
    return result.message
  }

  /** Ends a query, also of another client. False: no master knows it. */
  async kill(queryId: string): Promise<boolean> {
    const answer = await this.#call('client', 'kill', { queryId }, KILL_BUDGET_MS)
    return asStatusOrNull(answer) !== null
  }

  /** They come newest first: running ones and the history. */
  async queries(limit: number): Promise<QueryRecord[]> {
    return listIn<QueryRecord>(await this.#call('client', 'queries', { limit }), 'queries')
  }

  /** As the active master knows them. */
  async workers(): Promise<WorkerRow[]> {
    return listIn<WorkerRow>(await this.#call('client', 'workers', {}), 'workers')
  }

  /** Why changes have to wait at the active master, for people; null when they don't. */
  async trouble(): Promise<string | null> {
    const { trouble } = (await this.#call('client', 'status', {})) as { trouble?: unknown }
    return typeof trouble === 'string' ? trouble : null
  }

  async databases(): Promise<string[]> {
    return listIn<string>(await this.#call('catalog', 'databases', {}), 'databases')
  }

  /** Lists those of the session's database by default, by name. It asks piece by piece, so they are not of one moment. */
  async tables(database = this.#session.database): Promise<TableDigest[]> {
    const all: TableDigest[] = []
    for (;;) {
      const after = all.at(-1)?.name
      const some = { ...(after !== undefined && { after }), limit: TABLES_AT_ONCE }
      const { tables, total } = await this.tablesAmong(database, some)
      for (const table of tables) all.push(table)
      if (tables.length === 0 || tables.length >= total) return all
    }
  }

  /** Some of a database's tables, by name, and how many there are in all of those. */
  async tablesAmong(
    database: string,
    which: TablesAsked,
  ): Promise<{ readonly tables: TableDigest[]; readonly total: number }> {
    const answer = await this.#call('catalog', 'tables', { database, ...which })
    const tables = listIn<TableDigest>(answer, 'tables')
    return { tables, total: (answer as { total?: number }).total ?? tables.length }
  }

  /** One table of the session's database or of the given one; null when there is none. */
  async describe(name: string, database = this.#session.database): Promise<TableDigest | null> {
    const { tables } = await this.tablesAmong(database, { names: [name] })
    return tables.find((table) => table.name === name) ?? null
  }

  /** Changes the session's database. Rejects with QueryError when there is none of that name. */
  async use(database: string): Promise<void> {
    if (!(await this.databases()).includes(database)) {
      throw new QueryError('user', `database "${database}" does not exist`)
    }
    this.#session = { ...this.#session, database }
  }

  /** Breaks off what is under way and lets all connections go. What was submitted goes on in the cluster. */
  async close(): Promise<void> {
    await Promise.all([...this.#ending, this.#masters.close()])
    this.#closed.abort()
    this.#wire.close()
  }

  async #call(
    service: 'client' | 'catalog',
    method: string,
    message: unknown,
    budgetMs?: number,
  ): Promise<unknown> {
    const call = { ...CALL, service, method, message, signal: this.#closed.signal }
    try {
      return await this.#masters.call(budgetMs === undefined ? call : { ...call, budgetMs })
    } catch (error) {
      throw asQueryError(error, '')
    }
  }

  #follow(leave: () => void, signal: AbortSignal | undefined): () => void {
    const sources = signal === undefined ? [this.#closed.signal] : [this.#closed.signal, signal]
    for (const source of sources) source.addEventListener('abort', leave)
    if (sources.some((source) => source.aborted)) leave()
    return () => {
      for (const source of sources) source.removeEventListener('abort', leave)
    }
  }

  #failure(error: unknown, queryId: string, signal: AbortSignal | undefined): unknown {
    if (this.#closed.signal.aborted) return new ClosedError()
    if (signal?.aborted !== true) return asQueryError(error, queryId)
    this.#killLater(queryId)
    return new QueryError('killed', 'the query was cancelled', { queryId })
  }

  /** Whoever gave up doesn't wait for it; that it may fail makes no difference to him. */
  #killLater(queryId: string): void {
    if (this.#closed.signal.aborted) return
    const ending: Promise<unknown> = this.kill(queryId).catch(() => false)
    this.#ending.add(ending)
    void ending.then(() => this.#ending.delete(ending))
  }

  #result(
    status: QueryStatus,
    stream: RowStream | null,
    { signal, release }: { signal: AbortSignal | undefined; release: () => void },
  ): QueryResult {
    const { queryId, kind, answer } = status
    let failed = false
    const finish = async (): Promise<void> => {
      release()
      if (stream === null) return
      await stream.close()
      if (!stream.complete && !failed) this.#killLater(queryId)
    }
    const failure = (error: unknown): unknown => {
      failed = true
      return this.#failure(error, queryId, signal)
    }
    return {
      queryId,
      kind,
      columns: stream?.columns ?? answer?.columns ?? [],
      message: status.message,
      changed: kind === 'change' ? status.rows : null,
      async *rows() {
        try {
          if (stream !== null) yield* stream.batches()
          else if (answer !== null) yield answer.rows
        } catch (error) {
          throw failure(error)
        } finally {
          await finish()
        }
      },
      close: finish,
    }
  }
}

const progressOf = ({ queryId, state, progress, worker }: QueryStatus): Progress => ({
  queryId,
  state,
  progress,
  worker,
})
