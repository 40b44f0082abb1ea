/**
 * How many files all tables have, and how large the largest is, for whoever watches the cluster: counted anew once in a
 * while in the background, since there may be very many tables, so the figures may be as old as that.
 */

import { background, inSlices } from '../../../base/slices.ts'
import type { Clock } from '../../../base/time.ts'
import type { Table } from '../../../catalog/index.ts'
import type { CatalogPort } from './catalog-service.ts'

export interface TableCounts {
  readonly tables: number
  readonly files: number
  readonly bytes: number
  /** Of the table that has the most. */
  readonly mostFiles: number
  readonly mostBytes: number
}

/** Not at once: its first slice alone would be a twentieth of a take-over. */
const FIRST_MS = 1000
const EVERY_MS = 15_000

export class TableCensus {
  readonly #catalog: CatalogPort
  readonly #clock: Clock
  #counts: TableCounts | null = null
  #cancel = (): void => {}
  #stopped = false

  constructor(catalog: CatalogPort, clock: Clock) {
    this.#catalog = catalog
    this.#clock = clock
  }

  /** Null before they were counted. */
  get counts(): TableCounts | null {
    return this.#counts
  }

  start(): void {
    this.#after(FIRST_MS)
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  #after(ms: number): void {
    this.#cancel = this.#clock.after(ms, () => {
      void this.count().then(() => {
        if (!this.#stopped) this.#after(EVERY_MS)
      })
    })
  }

  async count(): Promise<void> {
    let [tables, files, bytes, mostFiles, mostBytes] = [0, 0, 0, 0, 0]
    const count = ({ files: list }: Table): void => {
      tables += 1
      files += list.length
      bytes += list.bytes
      mostFiles = Math.max(mostFiles, list.length)
      mostBytes = Math.max(mostBytes, list.bytes)
    }
    await inSlices(this.#catalog.state().allTables(), count, background)
    this.#counts = { tables, files, bytes, mostFiles, mostBytes }
  }
}
