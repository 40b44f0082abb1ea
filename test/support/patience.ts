/**
 * How long a wait may last, and what is told when it was in vain: what was waited for, how long, by what measure, and
 * whatever the one who waits knows besides. The measure is the machine's (pace.ts); what the product itself may take by
 * its configuration comes on top.
 */
import { type Pace, pace, paceNow, patienceMs, unitMs } from './pace.ts'

export interface PatienceOptions {
  /** So many times the usual patience, for what takes long. */
  readonly patience?: number
  /** What the product may take on a machine that costs no time at all, ms: its periods and its own time limits. */
  readonly productMs?: number
}

export interface PatienceTold extends PatienceOptions {
  /** What else is known when the wait was in vain. */
  readonly tell?: () => string
  readonly machine?: Machine
}

/** How fast it was at first, and how fast it is now: the slower of the two. */
export interface Machine {
  first(): Pace
  again(): Pace
}

const THIS_MACHINE: Machine = { first: pace, again: paceNow }

/** A timer that is late by more than this share of the limit: the machine, or this process, stood still. */
const STANDSTILL = 0.1

/** Thrown when the patience is over. */
export class InVain extends Error {}

export class Patience {
  readonly #what: string
  readonly #times: number
  readonly #productMs: number
  readonly #tell: () => string
  readonly #machine: Machine
  #pace: Pace
  readonly #startMs = performance.now()
  #endMs: number
  /** For standstills, all together. */
  #givenMs = 0

  constructor(what: string, options: PatienceTold = {}) {
    this.#what = what
    this.#times = options.patience ?? 1
    this.#productMs = options.productMs ?? 0
    this.#tell = options.tell ?? (() => '')
    this.#machine = options.machine ?? THIS_MACHINE
    this.#pace = this.#machine.first()
    this.#endMs = this.#startMs + this.#limitMs
  }

  /** Resolves as `promise` does; rejects with all that is known once the patience is over. */
  async keep<T>(promise: Promise<T>): Promise<T> {
    const lateMs = performance.now() - this.#endMs
    // A wait in steps of a millisecond never meets the timer below: it is due no earlier than the next step.
    if (lateMs >= 0 && !this.#goesOn(lateMs)) {
      promise.catch(() => undefined)
      throw this.#inVain()
    }
    let timer: NodeJS.Timeout | undefined
    const over = new Promise<never>((_, reject) => {
      const arm = (): void => {
        const dueMs = this.#endMs
        timer = setTimeout(
          () => {
            // Thrown here an error would be nobody's: the wait is to end with it.
            try {
              if (this.#goesOn(performance.now() - dueMs)) arm()
              else reject(this.#inVain())
            } catch (error) {
              reject(error)
            }
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

  get #limitMs(): number {
    return this.#productMs + patienceMs(this.#times, this.#pace)
  }

  /** The machine may have become busier since the start, or have stood still so that nobody could be asked. */
  #goesOn(lateMs: number): boolean {
    const stoodStill = lateMs > STANDSTILL * this.#limitMs
    this.#pace = this.#machine.again()
    const graceMs = stoodStill ? Math.min(lateMs, this.#limitMs - this.#givenMs) : 0
    this.#givenMs += graceMs
    this.#endMs = Math.max(this.#startMs + this.#limitMs, performance.now() + graceMs)
    return performance.now() < this.#endMs
  }

  #inVain(): InVain {
    const waited = Math.round(performance.now() - this.#startMs)
    const limit = `${Math.round(this.#limitMs)} ms where Node starts in ${unitMs(this.#pace).toFixed(0)} ms`
    const told = this.#tell()
    return new InVain(
      `waited ${waited} ms in vain for: ${this.#what} (limit: ${limit})${told === '' ? '' : `\n${told}`}`,
    )
  }
}
