/**
 * This is the real clock. `nowMs` reads CLOCK_MONOTONIC itself (process.hrtime), not performance.now: that one counts
 * from the start of its own process, and a keeper tells its master deadlines on this clock, which is one for all
 * processes of a host. It stands still while the host is suspended, and so does everything that a process could do
 * meanwhile.
 */
import type { Clock } from './ports.ts'

/** The longest wait a Node timer knows; a longer one would fire at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1

export const realClock: Clock = {
  nowMs(): number {
    const [seconds, nanoseconds] = process.hrtime()
    return seconds * 1000 + nanoseconds / 1e6
  },
  after(delayMs: number, run: () => void): () => void {
    if (!(delayMs <= LONGEST_DELAY_MS)) {
      throw new RangeError(
        `a delay of ${delayMs} ms can't be timed: at most ${LONGEST_DELAY_MS} ms are allowed`,
      )
    }
    const dueMs = realClock.nowMs() + delayMs
    let timer: NodeJS.Timeout
    // Node counts in whole milliseconds, of its last look at the clock: a timer may fire before its time, and whoever
    // set it would find nothing due.
    const wait = (): void => {
      const leftMs = dueMs - realClock.nowMs()
      if (leftMs <= 0) run()
      else timer = setTimeout(wait, Math.ceil(leftMs))
    }
    timer = setTimeout(wait, Math.max(0, Math.ceil(delayMs)))
    return () => clearTimeout(timer)
  },
  wallMs: () => Date.now(),
}

/** Resolves after `delayMs` of that clock. */
export const pause = (clock: Pick<Clock, 'after'>, delayMs: number): Promise<void> =>
  new Promise((done) => void clock.after(delayMs, done))
