/**
 * A proof that a mount answers: one look there, once a period. A mount that hangs makes no error anywhere else: a worker's
 * reports go on, and it would get queries that never end; a master without high availability serves its page, and says
 * that all is well.
 *
 * One look is in flight at a time, however long it hangs: a file call can't be taken back.
 */

import { messageOf } from './failures.ts'
import type { Log } from './log.ts'
import type { Clock } from './time.ts'

interface StorageLookOptions {
  /** What is told of it, as a path. */
  readonly directory: string
  /** What trouble means for whoever looks, for its log. */
  readonly means: string
  /** Rejects when something is wrong there. */
  readonly look: () => Promise<void>
  readonly everyMs: number
  /** A look that takes longer is trouble. */
  readonly limitMs: number
  /** What is wrong has changed. */
  readonly onChange: () => void
  readonly clock: Clock
  readonly log: Log
}

export class StorageLook {
  readonly #options: StorageLookOptions
  #trouble: string | null = null
  #stopped = false
  #isLooking = false
  #again = false
  #cancel = (): void => {}

  constructor(options: StorageLookOptions) {
    this.#options = options
  }

  /** Null while the directory answers. */
  get trouble(): string | null {
    return this.#trouble
  }

  start(): void {
    if (this.#stopped) return
    const { look, clock, directory, limitMs, everyMs } = this.#options
    this.#isLooking = true
    this.#again = false
    const late = clock.after(limitMs, () =>
      this.#set(
        `${directory} has not answered for ${Math.round(limitMs)} ms: its mount hangs, or the file server is away`,
      ),
    )
    look().then(
      () => this.#ended(late, null, everyMs),
      // What failed may work again soon; nobody gets a query for that in between.
      (error) => this.#ended(late, messageOf(error), Math.min(everyMs, limitMs)),
    )
  }

  /** Looks now, or once more when the look that is under way has ended. */
  soon(): void {
    if (this.#isLooking) this.#again = true
    else {
      this.#cancel()
      this.start()
    }
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  #ended(late: () => void, trouble: string | null, nextMs: number): void {
    late()
    this.#isLooking = false
    this.#set(trouble)
    if (this.#stopped) return
    if (this.#again) this.start()
    else this.#cancel = this.#options.clock.after(nextMs, () => this.start())
  }

  #set(trouble: string | null): void {
    if (trouble === this.#trouble || this.#stopped) return
    this.#trouble = trouble
    const { log, onChange, directory, means } = this.#options
    if (trouble === null) log('info', `${directory} answers again`, { event: 'directory-answers' })
    else log('error', `${means}: ${trouble}`, { event: 'directory-silent' })
    onChange()
  }
}
