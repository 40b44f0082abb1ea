/** A clock that goes on only when a test says so: timers that are due run in their order, with what they set off. */
import type { Clock } from '../../lib/base/time.ts'

interface Timer {
  readonly atMs: number
  readonly run: () => void
}

export class HandClock implements Clock {
  #nowMs = 0
  readonly #timers = new Set<Timer>()

  nowMs = (): number => this.#nowMs

  after = (delayMs: number, run: () => void): (() => void) => {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    await settle()
    for (;;) {
      const due = [...this.#timers].filter(({ atMs }) => atMs <= untilMs)
      const first = due.sort((a, b) => a.atMs - b.atMs)[0]
      if (first === undefined) break
      this.#nowMs = Math.max(this.#nowMs, first.atMs)
      this.#timers.delete(first)
      first.run()
      await settle()
    }
    this.#nowMs = untilMs
  }

  /** So much passes at once, as for a process that was stopped meanwhile: what became due has its turn then, late. */
  async stall(ms: number): Promise<void> {
    this.#nowMs += ms
    await this.advance(0)
  }
}

/** Lets everything go on that waits for nothing but its turn. */
export const settle = (): Promise<void> =>
  new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
