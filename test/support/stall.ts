/**
 * How long the judged processes themselves were kept waiting, so that a promise in time is held against the product alone:
 * ready to run without a processor, which Linux counts for each thread, or inside a call for a disk, seen by looking at
 * them again and again. What others meet at the same time excuses nobody, and no process is excused that waits for its
 * own timers or for an answer. Where the kernel counts no waits, it is how late this process's own timers are.
 */
import { readdirSync, readFileSync } from 'node:fs'
import type { Test } from 'tap'

/** A look at each thread of a few processes takes a twentieth of it. */
const TICK_MS = 10

export interface Stalled {
  readonly ms: number
  /** By which count, as a phrase. */
  readonly by: string
}

export class StallWatch {
  readonly #fromMs = performance.now()
  readonly #cpuMs: ReadonlyMap<number, number>
  /** When each look was, and who was inside a call for a disk then. */
  readonly #looks: { readonly atMs: number; readonly inDisk: ReadonlySet<number> }[] = []
  #lateMs = 0
  #dueMs = performance.now() + TICK_MS
  readonly #timer = setInterval(() => this.#look(), TICK_MS).unref()

  /** `pids`: those who may have to act. */
  constructor(pids: readonly number[]) {
    this.#cpuMs = new Map(pids.map((pid) => [pid, waitedMs(pid)]))
    this.#look()
  }

  /** Since it was made, of those who did act; never more than the time that has passed. */
  stop(pids: readonly number[]): Stalled {
    clearInterval(this.#timer)
    const passedMs = performance.now() - this.#fromMs
    if (!KERNEL_COUNTS) {
      return { ms: Math.min(this.#lateMs, passedMs), by: "how late the test's own timers were" }
    }
    const cpuMs = pids.map((pid) => Math.max(0, waitedMs(pid) - (this.#cpuMs.get(pid) ?? 0)))
    const ms = cpuMs.reduce((sum, one) => sum + one, 0) + this.#diskMs(pids)
    return {
      ms: Math.min(ms, passedMs),
      by: 'what they themselves waited for a processor and for disks',
    }
  }

  #look(): void {
    const atMs = performance.now()
    this.#lateMs += Math.max(0, atMs - this.#dueMs)
    this.#dueMs = atMs + TICK_MS
    const inDisk = [...this.#cpuMs.keys()].filter((pid) =>
      threadsOf(pid, 'stat').some(waitsForDisk),
    )
    this.#looks.push({ atMs, inDisk: new Set(inDisk) })
  }

  /** From a look that found one of them in such a call to the next: a look that comes late counts as one in time. */
  #diskMs(pids: readonly number[]): number {
    return this.#looks.reduce((sum, { atMs, inDisk }, i) => {
      if (!pids.some((pid) => inDisk.has(pid))) return sum
      const untilMs = this.#looks[i + 1]?.atMs ?? performance.now()
      return sum + Math.min(TICK_MS, untilMs - atMs)
    }, 0)
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

/** What the kernel says of each thread of a process; none when it has ended, or where there is no /proc. */
function threadsOf(pid: number, file: 'stat' | 'schedstat'): string[] {
  const tasks = `/proc/${pid}/task`
  return unlessGone(() => readdirSync(tasks)).flatMap((task) =>
    unlessGone(() => [readFileSync(`${tasks}/${task}/${file}`, 'utf8')]),
  )
}

function unlessGone(read: () => string[]): string[] {
  try {
    return read()
  } catch {
    return []
  }
}

/** `PID (NAME) STATE …`, where NAME may be anything: D is a sleep inside the kernel that no signal ends. */
export const waitsForDisk = (stat: string): boolean =>
  stat
    .slice(stat.lastIndexOf(')') + 1)
    .trimStart()
    .startsWith('D')

/** All threads of a process, since they began: `RAN_NS WAITED_NS SLICES`. */
const waitedMs = (pid: number): number =>
  threadsOf(pid, 'schedstat').reduce((sum, text) => sum + Number(text.split(' ')[1]), 0) / 1e6

/** False where the kernel was built without these statistics, or is no Linux. */
const KERNEL_COUNTS = threadsOf(process.pid, 'schedstat').length > 0
