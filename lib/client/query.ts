/**
 * One statement from its submission to its result, over whatever happens to masters meanwhile.
 *
 * Its id is made here and stays: a master that already knows it begins nothing twice, and one that has never heard of it
 * (null) is told it again. Only a select whose worker is gone before the first row gets another attempt. Once rows come
 * from the worker no master is needed any more.
 *
 * What is asked again after a failure, when, and for how long. All calls that come here may be repeated: a statement
 * carries an id that the client made, and no master begins the same id twice.
 *
 * A failover takes some ten milliseconds as a rule, so the first pauses are short; they grow to the configured one.
 */
import { type Clock, pause } from '../base/time.ts'
import { RPC_ERRORS, RpcError } from '../rpc/index.ts'
import { QueryError } from './errors.ts'
import type { Masters } from './masters.ts'
import { asStatus, asStatusOrNull, type QueryStatus, type Session } from './messages.ts'
import { RowStream, workerIsGone } from './rows.ts'
import type { Wire } from './wire.ts'

/** For how long a call looks for an active master: `maxNum` × `pauseTimeMs`, each counted as 1 at least. */
export interface RetryOptions {
  /** tajo.master.ha.client.read.retry.max-num: with the pause it makes the time after which a call is given up. */
  readonly maxNum: number
  /**
   * It is tajo.master.ha.client.read.retry.pause-time, ms: the longest pause between two rounds through the masters. The first
   * pauses are shorter, and each is a quarter more or less by chance.
   */
  readonly pauseTimeMs: number
  /** So long is asked at most while nobody has ever listened at any of the addresses: a cluster that isn't running. */
  readonly nobodyMs: number
}

/** What holds where `retry` says nothing else: 120 × 500 ms, and 60,000 ms where nobody has ever listened. */
export const DEFAULT_RETRY: RetryOptions = { maxNum: 120, pauseTimeMs: 500, nobodyMs: 60_000 }

/** Never zero, so that a wrong setting can't make a call fail in its first failover. */
export const budgetMs = ({ maxNum, pauseTimeMs }: RetryOptions): number =>
  Math.max(1, maxNum) * Math.max(1, pauseTimeMs)

const FIRST_PAUSES_MS = [10, 20, 50, 100, 200]

/** The pause after the `round`-th round (from 0), up to a quarter more or less, so that clients don't march in step. */
export const pauseMs = (round: number, { pauseTimeMs }: RetryOptions, random: number): number =>
  Math.min(FIRST_PAUSES_MS[round] ?? pauseTimeMs, pauseTimeMs) * (0.75 + random / 2)

/** Whether another master, or the same one later, may answer what this one didn't. */
export const mayBeAskedAgain = (error: unknown): error is RpcError =>
  error instanceof RpcError && (RPC_ERRORS[error.code].passes || error.code === 'OTHER_CLUSTER')

/** How long a master may hold back its answer. Short, because a frozen one is noticed only after it. */
const WAIT_MS = 1000
const PROGRESS_EVERY_MS = 300
/** Beyond what the request itself asks for. */
const DEADLINE_MS = 10_000
const PATIENCE_MS = 300
/** Of a select, when one worker after the other goes away under it. */
const MOST_ATTEMPTS = 6
const PAUSE_MS = 25
const LONGEST_SQL = 200_000

interface QueryOptions {
  readonly queryId: string
  readonly sql: string
  readonly session: Session
  readonly masters: Masters
  readonly wire: Wire
  readonly clock: Clock
  /** Breaks off the waiting; ending the query in the cluster is the caller's business. */
  readonly signal: AbortSignal
  /** Asked for while a select runs only when it is given. */
  readonly onProgress: ((status: QueryStatus) => void) | null
  /** Told with each status that says so, which costs no request of its own. */
  readonly onQueued: () => void
  /** Told what holds a change up, each time that it is something else. */
  readonly onHeldUp: (why: string) => void
}

/** `rows` is set for a select, whose rows are still to come. */
interface Finished {
  readonly status: QueryStatus
  readonly rows: RowStream | null
}

export class QueryCourse {
  readonly #options: QueryOptions
  #attempt = 1
  #heldUpBy: string | null = null

  constructor(options: QueryOptions) {
    this.#options = options
  }

  /** Rejects with QueryError, NoMasterError, ClosedError, or RpcError for a mistake in the software. */
  async run(): Promise<Finished> {
    const { sql, queryId, onProgress, onQueued } = this.#options
    if (sql.length > LONGEST_SQL) {
      const text = `the statement has ${sql.length} characters, ${LONGEST_SQL} are allowed: put the data into a file and read it as an external table`
      throw new QueryError('refused', text, { queryId })
    }
    let status = await this.#submit()
    for (;;) {
      onProgress?.(status)
      if (status.state === 'queued') onQueued()
      this.#tellHeldUp(status)
      const outcome = await this.#outcomeOf(status)
      if (outcome !== null) return outcome
      status = await this.#later(status)
    }
  }

  /** The message of a change that is not done yet is no result. */
  #tellHeldUp({ state, kind, message }: QueryStatus): void {
    const isOpen = state === 'queued' || state === 'running'
    if (!isOpen || kind !== 'change' || message === this.#heldUpBy) return
    this.#heldUpBy = message
    if (message !== null) this.#options.onHeldUp(message)
  }

  /** Null: not yet. */
  async #outcomeOf(status: QueryStatus): Promise<Finished | null> {
    const { state, kind, error } = status
    if (state === 'failed' || state === 'killed') {
      if (kind === 'select' && error?.kind === 'lost') return this.#again(error.message)
      throw errorOf(status)
    }
    if (kind === 'select') {
      if (status.worker !== null && state !== 'queued') return this.#fetch(status, status.worker)
      if (state !== 'succeeded') return null
      return this.#again('its result is no longer there')
    }
    if (state !== 'succeeded') return null
    return { status, rows: null }
  }

  async #fetch(status: QueryStatus, worker: string): Promise<Finished | null> {
    const { wire, clock, signal, queryId, masters } = this.#options
    const stopWatching = this.#watchProgress(status)
    try {
      const options = { wire, clock, signal, queryId, worker, attempt: status.attempt }
      const open = async (): Promise<RowStream> =>
        RowStream.open({ ...options, token: await masters.token() })
      return { status, rows: await masters.authorized(open, signal) }
    } catch (error) {
      if (signal.aborted || !workerIsGone(error)) throw error
      return await this.#again((error as Error).message)
    } finally {
      stopWatching()
    }
  }

  /** The next attempt; null, so that its status is asked for. */
  async #again(why: string): Promise<Finished | null> {
    const { queryId } = this.#options
    if (this.#attempt >= MOST_ATTEMPTS) {
      const text = `the workers that ran it were lost, one after the other, in ${MOST_ATTEMPTS} attempts (last: ${why})`
      throw new QueryError('lost', text, { queryId })
    }
    await pause(this.#options.clock, PAUSE_MS * this.#attempt)
    this.#attempt += 1
    const status = await this.#submit()
    this.#options.onProgress?.(status)
    return this.#outcomeOf(status)
  }

  async #submit(): Promise<QueryStatus> {
    const { queryId, sql, session, masters, signal } = this.#options
    const attempt = this.#attempt
    const answer = await masters.call({
      service: 'client',
      method: 'submit',
      message: { queryId, attempt, session, sql },
      deadlineMs: DEADLINE_MS,
      patienceMs: PATIENCE_MS,
      signal,
    })
    return asStatus(answer)
  }

  /** Asks for the next status. */
  async #later(status: QueryStatus): Promise<QueryStatus> {
    const { clock, onProgress } = this.#options
    const sinceMs = clock.nowMs()
    const next = await this.#wait(status, onProgress === null ? WAIT_MS : PROGRESS_EVERY_MS)
    // A master that is stepping down answers at once: the next one is asked a moment later.
    const nothingNew = next === null || (next.state === status.state && next.worker === null)
    if (nothingNew && clock.nowMs() - sinceMs < PAUSE_MS) await pause(clock, PAUSE_MS)
    return next ?? this.#submit()
  }

  async #wait(status: QueryStatus, waitMs: number): Promise<QueryStatus | null> {
    const { masters, queryId, signal } = this.#options
    const { state, attempt, worker } = status
    const answer = await masters.call({
      service: 'client',
      method: 'wait',
      message: { queryId, state, attempt, worker, waitMs },
      deadlineMs: waitMs + DEADLINE_MS,
      patienceMs: waitMs + PATIENCE_MS,
      signal,
    })
    return asStatusOrNull(answer)
  }

  /** While rows are waited for the master is asked how far it is. It may fail: the rows don't depend on it. */
  #watchProgress(status: QueryStatus): () => void {
    const { clock, onProgress, signal } = this.#options
    if (onProgress === null) return () => {}
    let watching = true
    const look = async (): Promise<void> => {
      const now = await this.#wait(status, 0).catch(() => null)
      if (!watching || signal.aborted) return
      if (now !== null) onProgress(now)
      cancel = clock.after(PROGRESS_EVERY_MS, () => void look())
    }
    let cancel = clock.after(PROGRESS_EVERY_MS, () => void look())
    return () => {
      watching = false
      cancel()
    }
  }
}

function errorOf({ error, state, queryId }: QueryStatus): QueryError {
  if (error === null) {
    return state === 'killed'
      ? new QueryError('killed', 'the query was killed', { queryId })
      : new QueryError('internal', 'the query failed, and nobody said why', { queryId })
  }
  return new QueryError(error.kind, error.message, { place: error.place, queryId })
}

const REFUSALS: ReadonlySet<string> = new Set([
  'BAD_REQUEST',
  'OTHER_CLUSTER',
  'FORBIDDEN',
  'UNAUTHENTICATED',
])

/** A request that the master takes for wrong is the caller's mistake or ours, but no reason to ask again. */
export const asQueryError = (error: unknown, queryId: string): unknown =>
  error instanceof RpcError
    ? new QueryError(REFUSALS.has(error.code) ? 'refused' : 'internal', error.message, {
        queryId,
        cause: error,
      })
    : error
