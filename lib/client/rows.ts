/**
 * A result as it comes from its worker: columns first, then batches of rows, then the end or an error. What isn't pulled
 * isn't read, and the worker has to wait; nothing is gathered here but the one batch that says that rows are coming.
 *
 * A stream that stops without an end is cut: before the first row the query may run again elsewhere (LOST), after it the
 * rows that were handed out can't be taken back, which is an error for whoever got them.
 */
import type { Clock } from '../base/time.ts'
import { pullLines, RpcError } from '../rpc/index.ts'
import { QueryError } from './errors.ts'
import { asResultLine, type Column, type ResultLine, type Row } from './messages.ts'
import type { Wire } from './wire.ts'

/** A worker sends an empty line each second or so when it has nothing to say. */
const SILENCE_MS = 15_000
const OPENING_MS = 10_000
/** A batch is far smaller; a single value may be long. */
const LONGEST_LINE = 256 * 1024 * 1024

/** With OTHER_CLUSTER its address is another one's by now. */
const GONE: ReadonlySet<string> = new Set(['UNAVAILABLE', 'TIMEOUT', 'NOT_FOUND', 'OTHER_CLUSTER'])

interface FetchOptions {
  readonly wire: Wire
  readonly clock: Clock
  /** Client RPC address of the worker. */
  readonly worker: string
  readonly queryId: string
  readonly attempt: number
  readonly signal: AbortSignal
  /** By which the worker knows whose the result is. */
  readonly token: string | null
}

/** Whether the worker or the way to it is gone, rather than the query wrong. */
export const workerIsGone = (error: unknown): boolean =>
  (error instanceof QueryError && error.kind === 'lost') ||
  (error instanceof RpcError && GONE.has(error.code))

export class RowStream {
  readonly columns: readonly Column[]
  readonly #lines: AsyncGenerator<ResultLine, void, void>
  readonly #queryId: string
  #first: readonly Row[]
  #ended: boolean

  private constructor(
    lines: AsyncGenerator<ResultLine, void, void>,
    head: { columns: readonly Column[]; first: readonly Row[]; ended: boolean; queryId: string },
  ) {
    this.columns = head.columns
    this.#first = head.first
    this.#ended = head.ended
    this.#queryId = head.queryId
    this.#lines = lines
  }

  /** Opens it and waits for the first rows or the end. Rejects with QueryError, or RpcError for what `workerIsGone`. */
  static async open(options: FetchOptions): Promise<RowStream> {
    const { wire, clock, worker, queryId, attempt, signal, token } = options
    const message = { queryId, attempt }
    const opening = { deadlineMs: OPENING_MS, signal, token }
    const body = await wire.open(worker, '/rpc/results/fetch', message, opening)
    const pulling = { clock, silenceMs: SILENCE_MS, longestLine: LONGEST_LINE }
    const lines = checked(pullLines(body, pulling), queryId)
    try {
      let columns: readonly Column[] | null = null
      for (;;) {
        const { value: line } = await lines.next()
        if (line === undefined) throw new RpcError('UNAVAILABLE', 'the result was cut off')
        if ('columns' in line) columns = line.columns
        else if (columns === null) throw new RpcError('INTERNAL', 'a result without columns')
        else if ('rows' in line && line.rows.length > 0) {
          return new RowStream(lines, { columns, first: line.rows, ended: false, queryId })
        } else if ('end' in line) {
          await lines.return()
          return new RowStream(lines, { columns, first: [], ended: true, queryId })
        }
      }
    } catch (error) {
      await lines.return()
      throw error
    }
  }

  /** Once. Rejects with QueryError; kind `lost` when it was cut off in the middle. */
  async *batches(): AsyncGenerator<readonly Row[], void, void> {
    let delivered = this.#first.length
    try {
      if (delivered > 0) yield this.#first
      this.#first = []
      if (this.#ended) return
      for await (const line of this.#lines) {
        if ('end' in line) {
          this.#ended = true
          return
        }
        if (!('rows' in line) || line.rows.length === 0) continue
        delivered += line.rows.length
        yield line.rows
      }
      throw new RpcError('UNAVAILABLE', 'the stream ended too early')
    } catch (cause) {
      if (!workerIsGone(cause)) throw cause
      throw this.#cut(delivered, cause)
    } finally {
      await this.close()
    }
  }

  /** Whether all of it has come. */
  get complete(): boolean {
    return this.#ended
  }

  async close(): Promise<void> {
    await this.#lines.return()
  }

  #cut(delivered: number, cause: unknown): QueryError {
    const why = cause instanceof Error ? cause.message : String(cause)
    return new QueryError(
      'lost',
      `the result broke off after ${delivered} rows, because its worker is gone (${why}): run the query again`,
      { queryId: this.#queryId, cause },
    )
  }
}

async function* checked(
  lines: AsyncGenerator<unknown, void, void>,
  queryId: string,
): AsyncGenerator<ResultLine, void, void> {
  for await (const raw of lines) {
    const line = asResultLine(raw)
    if ('error' in line) {
      const { kind, message, place } = line.error
      throw new QueryError(kind, message, { place, queryId })
    }
    yield line
  }
}
