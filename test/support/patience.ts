/**
 * How long a wait may last, and what is told when it was in vain: what was waited for, how long, by what measure, and
 * whatever the one who waits knows besides. The measure is the machine's (pace.ts); what the product itself may take by
 * its configuration comes on top.
 */
import { pace, paceNow, patienceMs, unitMs } from './pace.ts'

export interface PatienceOptions {
  /** So many times the usual patience, for what takes long. */
  readonly patience?: number
  /** What the product may take on a machine that costs no time at all, ms: its periods and its own time limits. */
  readonly productMs?: number
}

export interface PatienceTold extends PatienceOptions {
  /** What else is known when the wait was in vain. */
  readonly tell?: () => string
}

/** Thrown when the patience is over. */
export class InVain extends Error {}

export class Patience {
  readonly #what: string
  readonly #times: number
  readonly #productMs: number
  readonly #tell: () => string
  readonly #startMs = performance.now()
  #endMs: number

  constructor(what: string, options: PatienceTold = {}) {
    this.#what = what
    this.#times = options.patience ?? 1
    this.#productMs = options.productMs ?? 0
    this.#tell = options.tell ?? (() => '')
    this.#endMs = this.#startMs + this.#productMs + patienceMs(this.#times)
  }

  /** Resolves as `promise` does; rejects with all that is known once the patience is over. */
  async keep<T>(promise: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const over = new Promise<never>((_, reject) => {
      const arm = (): void => {
        const dueMs = this.#endMs
        timer = setTimeout(
          () => {
            if (this.#goesOn(performance.now() - dueMs)) arm()
            else reject(this.#inVain())
          },
          Math.max(0, dueMs - performance.now()),
        )
      }
      arm()
    })
    try {
      return await Promise.race([promise, over])
    } finally {
      clearTimeout(timer)
    }
  }

  /** The machine may have become busier since the start, or have stood still so that nobody could be asked. */
  #goesOn(lateMs: number): boolean {
    const stoodStill = lateMs > unitMs(pace())
    const endMs = this.#startMs + this.#productMs + patienceMs(this.#times, paceNow())
    this.#endMs = Math.max(endMs, this.#endMs + (stoodStill ? lateMs : 0))
    return performance.now() < this.#endMs
  }

  #inVain(): InVain {
    const waited = Math.round(performance.now() - this.#startMs)
    const product = this.#productMs === 0 ? '' : `${Math.round(this.#productMs)} ms and `
    const unit = unitMs(pace()).toFixed(0)
    const measure = `the limit is ${product}${patienceMs(this.#times)} ms, by a machine that starts Node in ${unit} ms`
    const told = this.#tell()
    return new InVain(
      `waited ${waited} ms in vain for: ${this.#what} (${measure})${told === '' ? '' : `\n${told}`}`,
    )
  }
}
