/**
 * A worker's proof that its mount of the shared directory answers: one look there, once an idle interval and never more
 * for a query. A mount that hangs makes no error anywhere else: the worker's reports go on, and it would get queries that
 * never end.
 *
 * One look is in flight at a time, however long it hangs: a file call can't be taken back.
 */
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { messageOf } from '../base/message-of.ts'

export interface StorageLookOptions {
  /** What is told of it, as a path. */
  readonly directory: string
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

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  #ended(late: () => void, trouble: string | null, nextMs: number): void {
    late()
    this.#set(trouble)
    if (!this.#stopped) this.#cancel = this.#options.clock.after(nextMs, () => this.start())
  }

  #set(trouble: string | null): void {
    if (trouble === this.#trouble || this.#stopped) return
    this.#trouble = trouble
    const { log, onChange, directory } = this.#options
    if (trouble === null) log('info', `${directory} answers again`)
    else log('error', `no more queries are taken: ${trouble}`)
    onChange()
  }
}
