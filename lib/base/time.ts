/**
 * Time, and the one way to wait for it: a pause, and a bound on how long one waits for others, are made of these, so that no
 * timer is forgotten when the waiting has ended early. Where a limit starts anew with progress, or breaks off what it
 * bounds, it stands with what it belongs to. The clock is an argument, so that tests can hold it in their hands.
 * The election has a clock of its own (lib/ha), since its deadlines hold between processes.
 */

/** A clock that only goes forward, and its timers. */
export interface Clock {
  /** Milliseconds with fraction since some moment of the past; never goes back. */
  nowMs(): number
  /** Calls `run` once after `delayMs`, as soon as may be for 0 or less; calling the function that it gives cancels that. */
  after(delayMs: number, run: () => void): () => void
}

const realClock = ({ isWaitedFor }: { isWaitedFor: boolean }): Clock => ({
  nowMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.max(0, Math.ceil(delayMs)))
    if (!isWaitedFor) timer.unref()
    return () => clearTimeout(timer)
  },
})

/** For what goes on in a daemon: a waiting timer keeps no process alive. */
export const systemClock = realClock({ isWaitedFor: false })
/** For a program that waits for an answer: it must not end because nothing but a timer is left of it. */
export const waitingClock = realClock({ isWaitedFor: true })

/** Resolves after `delayMs` or when `signal` aborts, whichever comes first; at once where it has aborted. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Signal().wait(clock, delayMs, signal)
}

/**
 * What `work` comes to, if it does within `limitMs`; otherwise what `late` answers or throws. Work that is late goes on, and
 * nobody hears how it ends.
 */
export async function within<T, L>(
  clock: Clock,
  limitMs: number,
  work: Promise<T>,
  late: () => L,
): Promise<T | L> {
  let cancel = (): void => {}
  const over = new Promise<void>((resolve) => {
    cancel = clock.after(limitMs, resolve)
  })
  try {
    return await Promise.race([work, over.then(late)])
  } finally {
    cancel()
  }
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
  wait(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
    if (this.#pending || signal?.aborted === true) {
      this.#pending = false
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        signal?.removeEventListener('abort', done)
        this.#wake = null
        resolve()
      }
      const cancel = clock.after(delayMs, done)
      signal?.addEventListener('abort', done, { once: true })
      this.#wake = done
    })
  }
}
