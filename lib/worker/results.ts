/**
 * One query's result on its way to the client: rows are computed a bounded amount ahead of what the client has taken,
 * and not further, so neither a slow nor a vanished client costs more memory than that.
 *
 * A result is read once. One that nobody begins to read, or whose reader stands still or goes away, ends its query:
 * `onAbandoned` tells why. A query that ends otherwise drops its result, and waits for no reader any more.
 *
 * What is computed to its end and small needs neither engine nor slot while it waits for its reader. There is room for a
 * bounded number of such results; one that finds none there keeps its slot.
 *
 * The rows of a SELECT, with instants as the session's time zone tells them.
 *
 * DuckDB's values are instants without a zone, so outside of UTC DuckDB itself makes text of them, as for `CAST(… AS
 * TEXT)`: its calendar and ours can't differ then. The columns keep their types.
 */
import type { Clock } from '../base/time.ts'
import type { ColumnInfo, QueryError } from '../contract/index.ts'
import type { LineWriter } from '../rpc/index.ts'
import type { QueryEngine, Rows } from './query-engine.ts'
import { shiftedBack } from './query-error.ts'

/** `timeZone`: empty for UTC. Rejects with EngineError, whose places are in `query`. */
export async function zonedRows(
  engine: QueryEngine,
  query: string,
  timeZone: string,
): Promise<Rows> {
  const columns = timeZone === '' ? [] : await engine.describe(query)
  const values = columns.map(({ type }, i) => {
    const told = inText(type)
    return told === type ? `c${i}` : `CAST(c${i} AS ${told})`
  })
  if (values.every((one, i) => one === `c${i}`)) {
    return engine.stream(query)
  }
  const before = `SELECT ${values.join(', ')} FROM (`
  const back = (error: unknown): never => {
    throw shiftedBack(error, before.length)
  }
  // The line break ends a comment at the end of the query.
  const after = `\n) AS q(${columns.map((_, i) => `c${i}`).join(', ')})`
  const stream = await engine.stream(before + query + after).catch(back)
  return { columns, next: () => stream.next().catch(back) }
}

const inText = (type: string): string =>
  type.replace(ZONED, (one) => (/^["']/.test(one) ? one : 'VARCHAR'))

/** Names of fields and values of an ENUM may look like it. */
const ZONED = /"(?:[^"]|"")*"|'(?:[^']|'')*'|TIMESTAMP WITH TIME ZONE/g

export interface ResultLimits {
  /** Rows wait here until so much text is waiting. */
  readonly aheadBytes: number
  /** A result that nobody has begun to read by then is dropped. */
  readonly fetchMs: number
  /** A reader that takes nothing for so long is given up. */
  readonly stallMs: number
}

export const RESULT_LIMITS: ResultLimits = {
  aheadBytes: 4 * 1024 * 1024,
  fetchMs: 120_000,
  stallMs: 300_000,
}

/** Of a worker, for results that wait without a slot. */
const ROOM_CHARS = 64 * 1024 * 1024
/** The smallest takes so much of it: each of them is told of in all reports. */
const LEAST_CHARS = Math.floor(ROOM_CHARS / 100)

export class ResultRoom {
  #left = ROOM_CHARS

  /** Null: there is no room; else what gives it back. */
  take(chars: number): (() => void) | null {
    const taken = Math.max(chars, LEAST_CHARS)
    if (taken > this.#left) return null
    this.#left -= taken
    return () => {
      this.#left += taken
    }
  }
}

/** Lines have about this size: small enough for steady progress, large enough to cost little each. */
const LINE_CHARS = 64 * 1024

export class ResultQueue {
  readonly #limits: ResultLimits
  readonly #clock: Clock
  readonly #onAbandoned: (why: string) => void
  /** JSON lines. */
  readonly #lines: string[] = []
  #chars = 0
  #state: 'unread' | 'reading' | 'over' = 'unread'
  #last: string | null = null
  /** Nothing but an error is told any more. */
  #dropped = false
  #complete = false
  /** Rows that have been handed to the connection. */
  #delivered = 0
  readonly #counts: number[] = []
  /** Since when something waits for the reader, who has taken nothing; null: nothing does. */
  #standsMs: number | null = null
  #wakeReader = (): void => {}
  #wakeWriter = (): void => {}
  #cancelTimer: () => void

  constructor(options: {
    limits: ResultLimits
    clock: Clock
    /** Called at most once. */
    onAbandoned: (why: string) => void
  }) {
    this.#limits = options.limits
    this.#clock = options.clock
    this.#onAbandoned = options.onAbandoned
    const { fetchMs } = this.#limits
    const seconds = Math.round(fetchMs / 1000)
    this.#cancelTimer = this.#clock.after(fetchMs, () =>
      this.#abandon(`nobody came to read the result within ${seconds} s`),
    )
  }

  get delivered(): number {
    return this.#delivered
  }

  /** What waits for the reader. */
  get chars(): number {
    return this.#chars
  }

  /** For so long the reader has taken nothing of what waits for him. */
  get unreadMs(): number {
    return this.#standsMs === null ? 0 : this.#clock.nowMs() - this.#standsMs
  }

  columns(columns: readonly ColumnInfo[]): void {
    this.#push(JSON.stringify({ columns }), 0)
  }

  /** Rows as JSON texts. Resolves when there is room for more; false when nobody wants them any more. */
  async rows(rows: readonly string[]): Promise<boolean> {
    let first = 0
    let chars = 0
    for (let i = 0; i < rows.length; i++) {
      chars += rows[i]?.length ?? 0
      if (chars < LINE_CHARS && i < rows.length - 1) continue
      this.#push(`{"rows":[${rows.slice(first, i + 1).join(',')}]}`, i + 1 - first)
      first = i + 1
      chars = 0
    }
    while (this.#chars > this.#limits.aheadBytes && this.#wanted) await this.#reader()
    return this.#wanted
  }

  /**
   * Says the last word. Resolves when it has left, nobody will read it, or the result was dropped: whether the reader has
   * got everything.
   */
  async end(outcome: { rows: number } | { error: QueryError }): Promise<boolean> {
    this.#last = JSON.stringify('error' in outcome ? outcome : { end: outcome })
    this.#wakeReader()
    while (this.#wanted) await this.#reader()
    return this.#complete
  }

  /** The query has failed, and what was computed ahead is of no use: the reader gets the error next. Ends all waits. */
  drop(): void {
    this.#dropped = true
    this.#last = null
    this.#lines.length = 0
    this.#counts.length = 0
    this.#chars = 0
    this.#wakeWriter()
  }

  /** False when it is being read already, or is over. */
  fetch(writer: LineWriter<unknown>): boolean {
    if (this.#state !== 'unread') return false
    this.#cancelTimer()
    this.#state = 'reading'
    writer.onClose(() => this.#abandon('the client went away before it had the whole result'))
    void this.#send(writer)
    return true
  }

  get #wanted(): boolean {
    return this.#state !== 'over' && !this.#dropped
  }

  /** Resolves when the reader has taken something, or will take nothing more. */
  #reader(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeWriter = resolve
    })
  }

  #push(line: string, rows: number): void {
    if (!this.#wanted) return
    this.#lines.push(line)
    this.#counts.push(rows)
    this.#chars += line.length
    this.#standsMs ??= this.#clock.nowMs()
    this.#wakeReader()
  }

  async #send(writer: LineWriter<unknown>): Promise<void> {
    while (this.#state === 'reading') {
      const line = this.#lines.shift()
      if (line !== undefined) {
        this.#chars -= line.length
        const rows = this.#counts.shift() ?? 0
        if (!(await writer.sendText(line, this.#limits.stallMs))) return
        this.#delivered += rows
        this.#standsMs = this.#lines.length > 0 ? this.#clock.nowMs() : null
        this.#wakeWriter()
      } else if (this.#last !== null) {
        const last = this.#last
        if (!(await writer.sendText(last, this.#limits.stallMs))) return
        this.#complete = true
        this.#over()
        writer.end()
      } else {
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve
        })
      }
    }
  }

  #abandon(why: string): void {
    if (this.#state === 'over') return
    this.#over()
    this.#onAbandoned(why)
  }

  #over(): void {
    this.#cancelTimer()
    this.#state = 'over'
    this.#standsMs = null
    this.#lines.length = 0
    this.#chars = 0
    this.#wakeReader()
    this.#wakeWriter()
  }
}
