/**
 * A host: its clocks, its processes, and what can befall it as a whole.
 *
 * - Monotonic time runs at a rate of its own (up to 1 % off) from an offset of its own.
 * - `frozen`: nothing runs, time goes on (a stalled hypervisor). `suspended`: monotonic time stands still as well.
 * - The wall clock jumps at will.
 */
import type { Clock, ProcessIdentity } from '../../../lib/ha/world/ports.ts'
import { SimProcess } from './process.ts'
import type { Random } from './random.ts'
import type { Timeline } from './timeline.ts'

/** Longest time by which a timer that is due comes late on a healthy host. */
const TIMER_LATE_MS = 1

export class Host {
  readonly name: string
  readonly timeline: Timeline
  readonly random: Random
  readonly rate: number
  readonly processes = new Set<SimProcess>()
  up = true
  frozen = false
  /** Monotonic time of the host stands still since this moment of the world, or null. */
  suspendedSinceMs: number | null = null
  /** When it was last suspended, and thawed again. */
  frozeMs = Number.NEGATIVE_INFINITY
  thawedMs = Number.NEGATIVE_INFINITY
  boots = 1
  wallOffsetMs = 0
  #monoOffsetMs: number
  #lostMs = 0
  #nextPid = 100

  constructor(name: string, timeline: Timeline, random: Random, rate: number) {
    this.name = name
    this.timeline = timeline
    this.random = random
    this.rate = rate
    this.#monoOffsetMs = random.between(1_000, 1_000_000_000)
    this.wallOffsetMs = 1_790_000_000_000 + random.between(-5_000, 5_000)
  }

  monotonicMs(): number {
    const worldMs = this.suspendedSinceMs ?? this.timeline.nowMs
    return this.#monoOffsetMs + (worldMs - this.#lostMs) * this.rate
  }

  wallMs(): number {
    return Math.floor(this.wallOffsetMs + this.timeline.nowMs)
  }

  get asleep(): boolean {
    return this.frozen || this.suspendedSinceMs !== null
  }

  /** The NFS client that this boot of the host is. */
  get client(): string {
    return `${this.name}/${this.boots}`
  }

  start(name: string): SimProcess {
    this.#nextPid += 1
    const identity: ProcessIdentity = {
      bootId: `${this.name}-boot-${this.boots}`,
      pidNamespace: this.name,
      pid: this.#nextPid,
      startTicks: this.#nextPid,
    }
    const process = new SimProcess(name, this, identity)
    this.processes.add(process)
    return process
  }

  freeze(): void {
    this.frozen = true
  }
  suspend(): void {
    if (!this.up || this.suspendedSinceMs !== null) return
    this.suspendedSinceMs = this.timeline.nowMs
    this.frozeMs = this.timeline.nowMs
  }
  wake(): void {
    if (this.suspendedSinceMs !== null) {
      this.#lostMs += this.timeline.nowMs - this.suspendedSinceMs
      this.suspendedSinceMs = null
      this.thawedMs = this.timeline.nowMs
    }
    this.frozen = false
    for (const process of this.processes) process.drain()
  }

  /** All processes are gone at once and nobody is told. */
  powerOff(): void {
    this.wake()
    this.up = false
    for (const process of [...this.processes]) process.vanish()
  }
  powerOn(): void {
    this.up = true
    this.boots += 1
  }

  verdict(identity: ProcessIdentity): 'alive' | 'dead' | 'unknown' {
    if (identity.pidNamespace !== this.name) return 'unknown'
    for (const process of this.processes) {
      const { pid, bootId } = process.identity
      if (pid === identity.pid && bootId === identity.bootId) return 'alive'
    }
    return identity.bootId === `${this.name}-boot-${this.boots}` ? 'dead' : 'unknown'
  }
}

/** The clock as one process of a host has it. */
export function clockOf(process: SimProcess): Clock {
  const { host } = process
  const { timeline, random } = host
  return {
    nowMs: () => host.monotonicMs(),
    wallMs: () => host.wallMs(),
    after(delayMs, run) {
      const dueMs = host.monotonicMs() + Math.max(0, Math.ceil(delayMs))
      let cancelled = false
      const fire = (): boolean => {
        if (cancelled || !process.alive) return false
        if (host.suspendedSinceMs !== null) {
          process.whenAwake(fire)
          return false
        }
        const leftMs = dueMs - host.monotonicMs()
        // The host was suspended meanwhile: on its clock the time is not over.
        if (leftMs > 0.001) {
          timeline.after(leftMs / host.rate, fire)
          return false
        }
        return process.deliver({
          kind: 'timer',
          run: () => {
            if (cancelled) return false
            run()
            return true
          },
        })
      }
      const lateMs = TIMER_LATE_MS * random.next()
      timeline.after(Math.max(0, Math.ceil(delayMs)) / host.rate + lateMs, fire)
      return () => {
        cancelled = true
      }
    },
  }
}
