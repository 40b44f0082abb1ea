/**
 * The history for web pages, from the election's own lane to the shared directory: whoever reloads a page, however
 * often, costs the directory at most one reading a second, and never two at once.
 */
import type { Clock } from '../../base/time.ts'
import { HaError, type HistoryEntry } from '../../ha/index.ts'
import { RpcError } from '../../rpc/index.ts'

const FRESH_MS = 1000

interface Reading {
  readonly limit: number
  readonly atMs: number
  readonly entries: Promise<readonly HistoryEntry[]>
}

export class HistoryCache {
  readonly #read: (limit: number) => Promise<readonly HistoryEntry[]>
  readonly #clock: Clock
  #last: Reading | null = null

  constructor(read: (limit: number) => Promise<readonly HistoryEntry[]>, clock: Clock) {
    this.#read = read
    this.#clock = clock
  }

  /** They come newest first. Rejects with RpcError TIMEOUT or UNAVAILABLE when the directory can't be read. */
  async newest(limit: number): Promise<readonly HistoryEntry[]> {
    const nowMs = this.#clock.nowMs()
    let reading = this.#last
    if (reading === null || reading.limit < limit || nowMs - reading.atMs > FRESH_MS) {
      reading = { limit, atMs: nowMs, entries: this.#read(limit) }
      this.#last = reading
    }
    try {
      return (await reading.entries).slice(0, limit)
    } catch (error) {
      if (this.#last === reading) this.#last = null
      const late = error instanceof HaError && error.code === 'TIMEOUT'
      const message = `the history can't be read: ${error instanceof Error ? error.message : error}`
      throw new RpcError(late ? 'TIMEOUT' : 'UNAVAILABLE', message, { cause: error })
    }
  }
}
