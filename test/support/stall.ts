/**
 * How long the machine kept somebody waiting who had work to do, so that a promise in time is held against the product
 * alone. Linux counts it (pressure stall information): the time in which at least one process waited for a processor or
 * for a disk. Where the kernel doesn't, it is how late this process's own timers are.
 */
import { readFileSync } from 'node:fs'
import type { Test } from 'tap'

const TICK_MS = 5

export interface Stalled {
  readonly ms: number
  /** By which count, as a phrase. */
  readonly by: string
}

export class StallWatch {
  readonly #fromMs = pressureMs()
  #lateMs = 0
  #dueMs = performance.now() + TICK_MS
  readonly #timer = setInterval(() => {
    const nowMs = performance.now()
    this.#lateMs += Math.max(0, nowMs - this.#dueMs)
    this.#dueMs = nowMs + TICK_MS
  }, TICK_MS).unref()

  /** Since it was made. */
  stop(): Stalled {
    clearInterval(this.#timer)
    const toMs = pressureMs()
    return this.#fromMs === null || toMs === null
      ? { ms: this.#lateMs, by: "how late the test's own timers were" }
      : {
          ms: toMs - this.#fromMs,
          by: 'what the kernel counts as waiting for processors and disks',
        }
  }
}

/** Holds what was measured, less what the machine stood still meanwhile, against what the product promises; tells both. */
export function judgeTime(
  t: Test,
  what: string,
  time: { readonly tookMs: number; readonly promisedMs: number; readonly stalled: Stalled },
): void {
  const { tookMs, promisedMs, stalled } = time
  const told = `${what} ${tookMs.toFixed(1)} ms, promised within ${promisedMs} ms; stalled for ${stalled.ms.toFixed(1)} ms, ${stalled.by}`
  t.comment(told)
  t.ok(tookMs - stalled.ms <= promisedMs, told)
}

/** Since the boot; null where the kernel does not count it. */
function pressureMs(): number | null {
  try {
    return ['cpu', 'io'].reduce((sum, of) => sum + someMs(of), 0)
  } catch {
    // Built without it, or switched off at the boot: then reading fails, and the own timers tell.
    return null
  }
}

/** The line is `some avg10=… avg60=… avg300=… total=MICROSECONDS`. */
function someMs(of: string): number {
  const found = /^some .*total=(\d+)$/m.exec(readFileSync(`/proc/pressure/${of}`, 'utf8'))
  if (found === null) throw new Error(`/proc/pressure/${of} has no total`)
  return Number(found[1]) / 1000
}
