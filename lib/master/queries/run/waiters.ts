/**
 * Long polls: who waits for a query to change. All end at once when the term does, so that none holds up a hand-over.
 */
import type { Clock } from '../../../base/time.ts'

export class Waiters {
  readonly #clock: Clock
  readonly #waiting = new Map<string, Set<() => void>>()
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** True from the moment that nobody should wait any more. */
  get closed(): boolean {
    return this.#closed
  }

  /** Resolves at the query's next change, after `ms`, or when all end. */
  next(queryId: string, ms: number): Promise<void> {
    if (this.#closed || ms <= 0) return Promise.resolve()
    return new Promise((resolve) => {
      const here = this.#waiting.get(queryId) ?? new Set()
      this.#waiting.set(queryId, here)
      const done = (): void => {
        cancel()
        here.delete(done)
        if (here.size === 0 && this.#waiting.get(queryId) === here) this.#waiting.delete(queryId)
        resolve()
      }
      const cancel = this.#clock.after(ms, done)
      here.add(done)
    })
  }

  wake(queryId: string): void {
    for (const done of [...(this.#waiting.get(queryId) ?? [])]) done()
  }

  endAll(): void {
    this.#closed = true
    for (const queryId of [...this.#waiting.keys()]) this.wake(queryId)
  }
}
