/**
 * The directory for what a worker's queries can't keep in memory stays there as long as the worker runs. The engine makes its
 * files by name and has no second place, so where somebody removes the directory (an age cleaner, a hand) every query that
 * spills would fail from then on. It is looked for before each query and once a period, made again, and told.
 *
 * What can't be made again is told as well, and the worker goes on: queries that need no disk are no worse off.
 */
import { mkdir } from 'node:fs/promises'
import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import { type Clock, within } from '../base/time.ts'

interface SpillOptions {
  /** Absolute; it is there at the start. */
  readonly directory: string
  readonly everyMs: number
  /** What is told of it has changed. */
  readonly onChange: () => void
  readonly clock: Clock
  /** ms since 1970. */
  readonly wallClockMs: () => number
  readonly log: Log
}

/** No query waits longer for the look: its disk may hang, and the query need none. */
const LOOK_MS = 1000

export class Spill {
  readonly #options: SpillOptions
  #looking: Promise<void> | null = null
  #trouble: string | null = null
  #stopped = false
  #cancel = (): void => {}

  constructor(options: SpillOptions) {
    this.#options = options
  }

  /** What an operator should know of it; null while nothing has happened. */
  get trouble(): string | null {
    return this.#trouble
  }

  start(): void {
    const { clock, everyMs } = this.#options
    this.#cancel = clock.after(everyMs, () => {
      void this.#look()
      if (!this.#stopped) this.start()
    })
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  /** It is called before a query. Never rejects, and takes no longer than a moment. */
  async ready(): Promise<void> {
    await within(this.#options.clock, LOOK_MS, this.#look(), () => {})
  }

  /** One at a time: a call that hangs can't be taken back. */
  #look(): Promise<void> {
    this.#looking ??= this.#make().finally(() => {
      this.#looking = null
    })
    return this.#looking
  }

  async #make(): Promise<void> {
    const { directory, wallClockMs } = this.#options
    if (this.#stopped) return
    try {
      const made = await mkdir(directory, { recursive: true, mode: 0o700 })
      if (made === undefined) return
      const at = new Date(wallClockMs()).toISOString()
      this.#tell(
        `its spill directory ${directory} (tajo.worker.tmpdir.locations) was removed, and was made again (${at}): something removes files there; a query that was spilling then has failed`,
        'spill-put-back',
      )
    } catch (error) {
      this.#tell(
        `its spill directory ${directory} (tajo.worker.tmpdir.locations) is gone and can't be made again, and queries that do not fit into memory fail: ${messageOf(error)}`,
        'spill-lost',
      )
    }
  }

  #tell(trouble: string, event: 'spill-put-back' | 'spill-lost'): void {
    if (trouble === this.#trouble) return
    this.#trouble = trouble
    this.#options.log('warn', trouble, { event })
    this.#options.onChange()
  }
}
