/**
 * Calls to a disk whose end and failure nobody needs, one at a time. A call to a disk that hangs can't be taken back, and
 * keeps one of Node's few threads: no second one may follow it there.
 */
import { type Clock, within } from '../base/time.ts'

export class SlowDisk {
  readonly #clock: Clock
  readonly #limitMs: number
  #last: Promise<unknown> = Promise.resolve()
  #hangs = false

  /** Nobody waits for longer than `limitMs`, in ms. */
  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock
    this.#limitMs = limitMs
  }

  /** A call takes longer than that. */
  get hangs(): boolean {
    return this.#hangs
  }

  /** Resolves when it is done, or takes too long; at once while an earlier one does. */
  async call(work: () => Promise<unknown>): Promise<void> {
    const done = this.#last.then(work).then(
      () => undefined,
      () => undefined,
    )
    this.#last = done.then(() => {
      this.#hangs = false
    })
    if (this.#hangs) return
    await within(this.#clock, this.#limitMs, done, () => {
      this.#hangs = true
    })
  }
}
