/**
 * One file call after the other, each with a limit: a call on a mount that hangs can't be taken back, so whatever comes
 * after it in the same lane is late too, and no more than one file thread is lost to it.
 */
import { type Clock, within } from './time.ts'

class Late extends Error {
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
    let late: Late | null = null
    const turn = this.#last.then(() => {
      if (late !== null) throw late
      return work()
    })
    this.#last = turn.catch(() => undefined)
    return within(this.#clock, this.#limitMs, turn, () => {
      late = new Late(this.#limitMs)
      throw late
    })
  }
}
