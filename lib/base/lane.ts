/**
 * One file call after the other, each with a limit: a call on a mount that hangs can't be taken back, so whatever comes
 * after it in the same lane is late too, and no more than one file thread is lost to it.
 */
import type { Clock } from './clock.ts'

export class Late extends Error {
  constructor(limitMs: number) {
    super(`its file system has not answered for ${Math.round(limitMs)} ms`)
    this.name = 'Late'
  }
}

export class Lane {
  readonly #clock: Clock
  readonly #limitMs: number
  #last: Promise<unknown> = Promise.resolve()

  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock
    this.#limitMs = limitMs
  }

  /** Rejects as `work` does, or with Late; what is late before its turn has come is not begun. */
  run<T>(work: () => Promise<T>): Promise<T> {
    let isLate = false
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(this.#limitMs, () => {
        isLate = true
        reject(new Late(this.#limitMs))
      })
      this.#last = this.#last.then(async () => {
        if (isLate) return
        await work().then(resolve, reject)
        cancel()
      })
    })
  }
}
