/** Waiting that ends early: by a signal, or because there is news. */
import type { Clock } from '../base/clock.ts'

/** Resolves after `delayMs` or when `signal` aborts, whichever comes first. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Signal().wait(clock, delayMs, signal)
}

/** What wakes one who waits; a call while nobody waits is remembered, once. */
export class Signal {
  #pending = false
  #wake: (() => void) | null = null

  wake(): void {
    if (this.#wake === null) this.#pending = true
    else this.#wake()
  }

  /** Resolves at `wake`, after `delayMs`, or when `signal` aborts. */
  wait(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
    if (this.#pending || signal.aborted) {
      this.#pending = false
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        signal.removeEventListener('abort', done)
        this.#wake = null
        resolve()
      }
      const cancel = clock.after(delayMs, done)
      signal.addEventListener('abort', done, { once: true })
      this.#wake = done
    })
  }
}
