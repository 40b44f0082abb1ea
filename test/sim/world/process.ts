/**
 * A process that can be killed at any moment and stopped at any moment.
 *
 * What reaches a stopped process waits, and is worked off one by one when it goes on: a real one may first see its
 * timers or first its messages, so the order between kinds is drawn; within a kind it is kept.
 */
import type { ProcessIdentity } from '../../../lib/ha/world/ports.ts'
import type { Host } from './host.ts'

export interface Job {
  readonly kind: 'timer' | 'message' | 'disk'
  /** True when code under test was run. */
  readonly run: () => boolean
}

export class SimProcess {
  readonly name: string
  readonly host: Host
  readonly identity: ProcessIdentity
  alive = true
  stopped = false
  /** When it was last woken, by SIGCONT or with its host. */
  wokenMs = Number.NEGATIVE_INFINITY
  #backlog: Job[] = []
  #draining = false
  #awake: (() => unknown)[] = []
  #onDeath: (() => void)[] = []

  constructor(name: string, host: Host, identity: ProcessIdentity) {
    this.name = name
    this.host = host
    this.identity = identity
  }

  get asleep(): boolean {
    return this.stopped || this.host.asleep
  }

  /** True when code under test was run now. */
  deliver(job: Job): boolean {
    if (!this.alive) return false
    if (this.asleep || this.#backlog.length > 0) {
      this.#backlog.push(job)
      return false
    }
    return job.run()
  }

  /** Runs at once or at the next wake-up; for the world's own use. */
  whenAwake(run: () => unknown): void {
    if (this.asleep && this.alive) this.#awake.push(run)
    else run()
  }

  stop(): void {
    this.stopped = true
  }
  continue(): void {
    if (!this.stopped) return
    this.stopped = false
    this.drain()
  }

  drain(): void {
    if (this.asleep || !this.alive) return
    this.wokenMs = this.host.timeline.nowMs
    for (const run of this.#awake.splice(0)) this.host.timeline.after(0, () => run() === true)
    if (this.#backlog.length === 0 || this.#draining) return
    const order = this.host.random.below(3)
    if (order > 0) {
      const timers = this.#backlog.filter((job) => job.kind === 'timer')
      const others = this.#backlog.filter((job) => job.kind !== 'timer')
      this.#backlog = order === 1 ? [...timers, ...others] : [...others, ...timers]
    }
    this.#draining = true
    const one = (): boolean => {
      this.#draining = false
      if (this.asleep || !this.alive) return false
      const job = this.#backlog.shift()
      if (job === undefined) return false
      this.#draining = true
      this.host.timeline.after(0, one)
      return job.run()
    }
    this.host.timeline.after(0, one)
  }

  /** Called at its death by SIGKILL or by itself, when the kernel closes what it had open. */
  onDeath(run: () => void): void {
    this.#onDeath.push(run)
  }

  kill(): void {
    if (!this.alive) return
    this.vanish()
    for (const run of this.#onDeath) run()
  }

  /** Death with the whole host: nobody is left to tell. */
  vanish(): void {
    this.alive = false
    this.#backlog = []
    this.host.processes.delete(this)
  }
}
