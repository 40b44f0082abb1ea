/**
 * How long the machine kept the judged processes waiting, so that a promise in time is held against the product alone.
 * Linux counts for each thread how long it was ready to run and had no processor, and for the whole machine how long at
 * least one process waited for a disk. Where the kernel counts neither, it is how late this process's own timers are.
 */
import { readdirSync, readFileSync } from 'node:fs'
import type { Test } from 'tap'

const TICK_MS = 5

export interface Stalled {
  readonly ms: number
  /** By which count, as a phrase. */
  readonly by: string
}

export class StallWatch {
  readonly #fromMs = performance.now()
  readonly #ioMs = ioMs()
  readonly #cpuMs: ReadonlyMap<number, number | null>
  #lateMs = 0
  #dueMs = performance.now() + TICK_MS
  readonly #timer = setInterval(() => {
    const nowMs = performance.now()
    this.#lateMs += Math.max(0, nowMs - this.#dueMs)
    this.#dueMs = nowMs + TICK_MS
  }, TICK_MS).unref()

  /** `pids`: those who may have to act. */
  constructor(pids: readonly number[]) {
    this.#cpuMs = new Map(pids.map((pid) => [pid, waitedMs(pid)]))
  }

  /** Since it was made, of those who did act; never more than the time that has passed. */
  stop(pids: readonly number[]): Stalled {
    clearInterval(this.#timer)
    const passedMs = performance.now() - this.#fromMs
    const waits = pids.map((pid) => {
      const [before, after] = [this.#cpuMs.get(pid) ?? 0, waitedMs(pid)]
      return after === null ? null : Math.max(0, after - before)
    })
    if (waits.some((one) => one === null)) {
      return { ms: Math.min(this.#lateMs, passedMs), by: "how late the test's own timers were" }
    }
    const cpu = waits.reduce((sum: number, one) => sum + (one ?? 0), 0)
    const ms = Math.min(cpu + ioMs() - this.#ioMs, passedMs)
    return { ms, by: 'what the kernel counts as waiting for a processor and for disks' }
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

/** All threads of a process, since they began: `RAN_NS WAITED_NS SLICES`. Null where it can't be known. */
function waitedMs(pid: number): number | null {
  try {
    const tasks = `/proc/${pid}/task`
    const ns = readdirSync(tasks).map((task) => {
      return Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[1])
    })
    return ns.reduce((sum, one) => sum + one, 0) / 1e6
  } catch {
    // It has ended, or the kernel was built without these statistics.
    return null
  }
}

/** Of the whole machine since the boot; 0 for ever where the kernel does not count it. */
function ioMs(): number {
  try {
    const text = readFileSync('/proc/pressure/io', 'utf8')
    return Number(/^some .*total=(\d+)$/m.exec(text)?.[1] ?? 0) / 1000
  } catch {
    // Built without it, or switched off at the boot.
    return 0
  }
}
