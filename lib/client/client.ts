/**
 * The client of a cluster: SQL in, rows or a message out, whoever is the active master.
 *
 * The session (database, user, variables) lives here and travels with each statement, so that a failover loses none. A
 * change of data is made once, however often it had to be asked for. Nothing is held open but kept connections: `close`.
 */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { type Clock, waitingClock } from '../base/time.ts'
import type { QueryKind, QueryState } from '../contract/index.ts'
import { type ClusterKnowledge, NO_KNOWLEDGE } from './cluster.ts'
import { configuredSecret } from './configured-secret.ts'
import {
  type Credentials,
  NO_CREDENTIALS,
  OperatorCredentials,
  PasswordCredentials,
} from './credentials.ts'
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
import { secretIn } from './secret-file.ts'
import { TokenFile } from './token-file.ts'
import { AuthoritiesInMemory, type KnownAuthorities, Trust } from './trust.ts'
import { Wire } from './wire.ts'

/** What a client needs to know; only `masters` has no default. */
export interface TajoClientOptions {
  /** Some masters of the cluster, at least one. Others that are active are found by what these say. */
  readonly masters: readonly MasterAddress[]
  /** Names other masters of the same cluster: called about every 2 s while none of those known is active. It may reject. */
  readonly findMore?: () => Promise<readonly MasterAddress[]>
  /** What is known of the cluster's id; by default all masters are asked before the first call. */
  readonly cluster?: ClusterKnowledge
  /**
   * Where the cluster's secret is, `system/ha` in `tajo.rootdir`: whoever can read it there is an administrator and needs no
   * password. Default: where this install's configuration has it, looked for when a master asks.
   */
  readonly haDirectory?: string
  /** A directory, made with mode 0700, where an administrator's token is kept for the next run of a short program. */
  readonly keepTokensIn?: string
  /** A token that proves who this is, instead of a password, or where to get it: called for each request. */
  readonly token?: string | (() => string)
  /** As whom to log in, with `password`, where the secret is not to be read or `haDirectory` is left out. */
  readonly user?: string
  /** The user's password, or where to get it: called when a master wants it. It may reject, which ends what was asked for. */
  readonly password?: string | (() => Promise<string>)
  /** By what a cluster's ports are known; by default each client believes what the first one shows. */
  readonly authorities?: KnownAuthorities
  /** Default: database `default`, nobody, no variables. */
  readonly session?: Partial<Session>
  /** Default: `DEFAULT_RETRY`. */
  readonly retry?: Partial<RetryOptions>
  /** For tests; by default the real time, whose timers keep the process alive. */
  readonly clock?: Clock
  /** For tests: a number from 0 to 1, which spreads the pauses. Default: `Math.random`. */
  readonly random?: () => number
  /** Called after each round in which no active master was found: with what each one said, by address, and the ms so far. */
  readonly onWaiting?: (said: ReadonlyMap<string, string>, sinceMs: number) => void
}

/** How far a statement is. */
export interface Progress {
  /** The statement's id, for `kill`. */
  readonly queryId: string
  /** How it stands. */
  readonly state: QueryState
  /** From 0 to 1. */
  readonly progress: number
  /** Client RPC address of the worker that runs it; null while it waits for one. */
  readonly worker: string | null
}

/** What one statement may be given beside its text. */
export interface QueryCallOptions {
  /** When it aborts, the call rejects with QueryError, kind `killed`, and the query is ended in the cluster too. */
  readonly signal?: AbortSignal
  /** Called with each status that comes until the result is there: about each 300 ms, for a little more work of the master. */
  readonly onProgress?: (progress: Progress) => void
  /** Called about each second while it waits for a worker. */
  readonly onQueued?: () => void
  /** Told what holds a change up, each time that it is something else: another change, or why it runs again. */
  readonly onHeldUp?: (why: string) => void
}

/** What a statement has given. */
export interface QueryResult {
  /** The statement's id. */
  readonly queryId: string
  /** `select`: rows stream from a worker. `answer`: rows of the master's own. `change`: a message. */
  readonly kind: QueryKind
  /** Empty for a change. */
  readonly columns: readonly Column[]
  /** What a change has done, such as `INSERT 5`; null for none. */
  readonly message: string | null
  /** Of a change: how many rows it has changed; null where that is not known, and for all else. */
  readonly changed: number | null
  /**
   * The rows in batches as they come, to be called once; rows that nobody reads are not computed far ahead. Breaking off the
   * loop ends the query. Throws QueryError (kind `lost`: the worker died after rows had been handed out) and ClosedError.
   */
  rows(): AsyncGenerator<readonly Row[], void, void>
  /** For a result whose rows aren't wanted, or not to their end: lets the worker go, and ends the query if it still runs. */
  close(): Promise<void>
}

/** Not more at once: they may have so many columns that an answer takes long. */
const TABLES_AT_ONCE = 200
const KILL_BUDGET_MS = 5000
const CALL = { deadlineMs: 10_000, patienceMs: 300 }

/**
 * It speaks with one cluster, and is meant for many statements at once. Each method looks for the active master as long as
 * `retry` says. It rejects with NoMasterError when there is none, and with ClosedError when `close` comes first. It rejects
 * with QueryError where the cluster refuses what is asked (`refused`), or an answer makes no sense (`internal`).
 */
export class TajoClient {
  readonly #masters: Masters
  readonly #wire: Wire
  readonly #clock: Clock
  readonly #closed = new AbortController()
  /** Kills that nobody waits for; `close` does. */
  readonly #ending = new Set<Promise<unknown>>()
  #session: Session

  /** Connects to nobody yet. Throws RangeError without a master. */
  constructor(options: TajoClientOptions) {
    this.#clock = options.clock ?? waitingClock
    const known = options.authorities ?? new AuthoritiesInMemory()
    const trust = new Trust(known, Date.now)
    this.#wire = new Wire(this.#clock, trust)
    // One for each query under way; Node takes more than ten for a leak.
    setMaxListeners(0, this.#closed.signal)
    this.#session = { database: 'default', user: '', variables: {}, ...options.session }
    this.#masters = new Masters({
      masters: options.masters,
      findMore: options.findMore ?? (async () => []),
      cluster: options.cluster ?? NO_KNOWLEDGE,
      credentials: credentialsOf(options, trust),
      retry: { ...DEFAULT_RETRY, ...options.retry },
      clock: this.#clock,
      random: options.random ?? Math.random,
      wire: this.#wire,
      onWaiting: options.onWaiting ?? (() => {}),
    })
  }

  /** What the next statement is sent with: SET, UNSET, `\c` and `use` change it. */
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
   * Runs one statement of at most 200,000 characters; resolves when it is done, a select when its first rows are there. A
   * change is made once, however often it had to be asked for. Rejects with QueryError, NoMasterError, ClosedError.
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

  /** Ends a query, also of another client; false: no master knows it. Looks for an active master for about 5 s. */
  async kill(queryId: string): Promise<boolean> {
    const answer = await this.#call('client', 'kill', { queryId }, KILL_BUDGET_MS)
    return asStatusOrNull(answer) !== null
  }

  /** The newest `limit` statements (1 to 10,000), newest first: those that run, and the history. */
  async queries(limit: number): Promise<QueryRecord[]> {
    return listIn<QueryRecord>(await this.#call('client', 'queries', { limit }), 'queries')
  }

  /** The workers, as the active master knows them. */
  async workers(): Promise<WorkerRow[]> {
    return listIn<WorkerRow>(await this.#call('client', 'workers', {}), 'workers')
  }

  /** Why changes have to wait at the active master, for people; null when they don't. */
  async trouble(): Promise<string | null> {
    const { trouble } = (await this.#call('client', 'status', {})) as { trouble?: unknown }
    return typeof trouble === 'string' ? trouble : null
  }

  /** Lists the names of all databases. */
  async databases(): Promise<string[]> {
    return listIn<string>(await this.#call('catalog', 'databases', {}), 'databases')
  }

  /** Lists all tables of a database, by default of the session's, by name. It asks piece by piece, so they are not of one moment. */
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

  /** Lists some of a database's tables by name, and tells how many there are without `offset` and `limit`. */
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

function credentialsOf(options: TajoClientOptions, trust: Trust): Credentials {
  const { user, password, haDirectory, token, keepTokensIn } = options
  if (token !== undefined) {
    return { ...NO_CREDENTIALS, token: async () => (typeof token === 'string' ? token : token()) }
  }
  const others =
    user === undefined
      ? NO_CREDENTIALS
      : new PasswordCredentials(user, async () => {
          if (typeof password === 'function') return password()
          if (password !== undefined) return password
          const text = `user '${user}' has to log in: give the option password as well`
          throw new QueryError('refused', text)
        })
  if (user !== undefined && haDirectory === undefined) return others
  const kept = keepTokensIn === undefined ? undefined : new TokenFile(keepTokensIn)
  const readSecret = haDirectory === undefined ? configuredSecret : () => secretIn(haDirectory)
  const pin = (clusterId: string, authority: string): void => trust.pin(clusterId, authority)
  const eager = haDirectory !== undefined
  return new OperatorCredentials({ readSecret, others, eager, pin, kept })
}

const progressOf = ({ queryId, state, progress, worker }: QueryStatus): Progress => ({
  queryId,
  state,
  progress,
  worker,
})
