/** The client's clock: a program that waits for an answer must not end because nothing but a timer is left of it. */
import type { Clock } from '../base/clock.ts'

export const waitingClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.max(0, Math.ceil(delayMs)))
    return () => clearTimeout(timer)
  },
}
