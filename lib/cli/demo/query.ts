/**
 * The demo's query: a table of numbers, and a SELECT of all of them that is read while the master is killed. What comes
 * back is counted and added up, so that a row too few, too many or wrong would show.
 *
 * How the demo sees that something has happened: it looks again and again, for so long and no longer.
 */
import { pause, waitingClock } from '../../base/time.ts'
import type { TajoClient } from '../../client/index.ts'
import { failure } from '../exit.ts'

const POLL_MS = 10

/** What `look` finds; rejects with `what` in its sentence when it has found nothing within `limitMs`. */
export async function until<T>(
  limitMs: number,
  what: string,
  look: () => Promise<T | null>,
): Promise<T> {
  const endMs = performance.now() + limitMs
  for (;;) {
    const found = await look()
    if (found !== null) return found
    if (performance.now() > endMs) throw failure(`not seen within ${limitMs} ms: ${what}`)
    await pause(waitingClock, POLL_MS)
  }
}

export const DEMO_ROWS = 1_600_000
/**
 * Read at this pace it lasts for four seconds, and the worker holds the rest back. At full speed the reading would keep
 * this process so busy that the times it takes of the failover would be its own.
 */
const ROWS_PER_MS = 400

export class DemoQuery {
  /** Known once the first rows are there. */
  queryId = ''
  rows = 0
  readonly #rowsWanted: number
  #idSum = 0
  #squareSum = 0n
  #ended: Promise<void> = Promise.resolve()
  #readOn: () => void = () => {}
  readonly #mayReadOn = new Promise<void>((resolve) => {
    this.#readOn = resolve
  })

  constructor(rowsWanted: number) {
    this.#rowsWanted = rowsWanted
  }

  /** Resolves with the first rows; `ended` tells the rest. Rejects with the client's errors. */
  async start(client: TajoClient): Promise<void> {
    const result = await client.query('SELECT id, square FROM numbers')
    this.queryId = result.queryId
    this.#ended = this.#read(result.rows())
    // It may fail while something else is waited for; `ended` tells.
    this.#ended.catch(() => {})
  }

  /** Until this is called only half of the rows are read, so that the query can't be over before it was looked at. */
  readOn(): void {
    this.#readOn()
  }

  /** Resolves when all rows have come and are right. Rejects with the client's errors, or with what is wrong. */
  async ended(): Promise<void> {
    await this.#ended
    const n = this.#rowsWanted
    const big = BigInt(n)
    const squares = ((big - 1n) * big * (2n * big - 1n)) / 6n
    if (this.rows !== n) throw failure(`the query returned ${this.rows} rows instead of ${n}`)
    if (this.#idSum !== (n * (n - 1)) / 2 || this.#squareSum !== squares) {
      throw failure('the query returned wrong rows: their sums are not those of the table')
    }
  }

  async #read(batches: AsyncIterable<readonly (readonly unknown[])[]>): Promise<void> {
    const startMs = performance.now()
    for await (const batch of batches) {
      for (const [id, square] of batch) {
        this.#idSum += Number(id)
        this.#squareSum += BigInt(square as string | number)
      }
      this.rows += batch.length
      if (this.rows * 2 >= this.#rowsWanted) await this.#mayReadOn
      const aheadMs = this.rows / ROWS_PER_MS - (performance.now() - startMs)
      if (aheadMs > 1) await pause(waitingClock, aheadMs)
    }
  }
}
