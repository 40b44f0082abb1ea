/**
 * The longest pauses of this process's event loop in the last one to two minutes: for so long it answered nobody, also
 * not its keeper. Measured by Node itself with a timer each 10 ms, so each value holds those 10 ms too: a loop at rest
 * shows 0.01 s, and no pause shows less than it was.
 *
 * The timer costs what a backup may use altogether, so it runs only while this master holds a term or is about to.
 *
 * Whoever scrapes resets nothing, several may: a window of a minute is shown together with the one before it, so that a
 * scrape each minute misses no pause.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Of Node's histogram of delays; nanoseconds. */
export interface Delays {
  readonly max: number
  percentile(percentile: number): number
  enable(): boolean
  disable(): boolean
  reset(): void
}

interface Pauses {
  readonly maxMs: number
  readonly p99Ms: number
}

export const PAUSE_WINDOW_MS = 60_000
const RESOLUTION_MS = 10
const NS_PER_MS = 1e6

export class LoopPauses {
  readonly #delays: Delays
  readonly #nowMs: () => number
  /** When the window began that is being measured; null while nothing is. */
  #sinceMs: number | null = null
  #before: Pauses | null = null

  constructor(
    nowMs: () => number,
    delays: Delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS }),
  ) {
    this.#nowMs = nowMs
    this.#delays = delays
  }

  /** What was measured before is forgotten when it begins anew. */
  measure(wanted: boolean): void {
    if (wanted === (this.#sinceMs !== null)) return
    this.#sinceMs = wanted ? this.#nowMs() : null
    this.#before = null
    this.#delays.reset()
    if (wanted) this.#delays.enable()
    else this.#delays.disable()
  }

  /** To be called more often than a window is long. */
  beat(): void {
    if (this.#sinceMs === null || this.#nowMs() - this.#sinceMs < PAUSE_WINDOW_MS) return
    this.#before = this.#window()
    this.#delays.reset()
    this.#sinceMs = this.#nowMs()
  }

  /** The larger of both windows; null while nothing is measured, or before the first 10 ms. */
  read(): Pauses | null {
    const now = this.#window()
    if (now === null || this.#before === null) return now ?? this.#before
    return {
      maxMs: Math.max(now.maxMs, this.#before.maxMs),
      p99Ms: Math.max(now.p99Ms, this.#before.p99Ms),
    }
  }

  #window(): Pauses | null {
    const { max } = this.#delays
    if (this.#sinceMs === null || max === 0) return null
    return { maxMs: max / NS_PER_MS, p99Ms: this.#delays.percentile(99) / NS_PER_MS }
  }
}
