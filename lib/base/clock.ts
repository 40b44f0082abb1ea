/** Monotonic time and timers as an argument, so that tests can hold them in their hands. */

export interface Clock {
  /** Milliseconds with fraction; never goes back. */
  nowMs(): number
  /** Calls `run` once after `delayMs`; the answer cancels it. A waiting timer keeps no process alive. */
  after(delayMs: number, run: () => void): () => void
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.max(0, Math.ceil(delayMs)))
    timer.unref()
    return () => clearTimeout(timer)
  },
}
