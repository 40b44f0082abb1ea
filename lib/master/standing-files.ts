/**
 * What the active master rests on is looked for once in a monitor interval: a file that somebody has removed is missed by
 * nobody as long as nothing is written to it, and the next active would be the first to notice. Whoever keeps files in the
 * shared directory adds a look of its own, which does itself what has to be done.
 */

import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import type { Clock } from '../base/time.ts'

interface StandingFilesOptions {
  readonly everyMs: number
  /** Only the active looks. */
  readonly mayServe: () => boolean
  readonly clock: Clock
  readonly log: Log
}

interface Kept {
  readonly what: string
  readonly look: () => Promise<void>
  /** A look that hangs on a dead mount is not joined by others. */
  busy: boolean
}

export class StandingFiles {
  readonly #options: StandingFilesOptions
  readonly #kept: Kept[] = []
  #cancel = (): void => {}

  constructor(options: StandingFilesOptions) {
    this.#options = options
  }

  /** `what`: for the log, in the plural. */
  add(what: string, look: () => Promise<void>): void {
    this.#kept.push({ what, look, busy: false })
  }

  start(): void {
    const { clock, everyMs, mayServe } = this.#options
    this.#cancel = clock.after(everyMs, () => {
      if (mayServe()) for (const kept of this.#kept) void this.#look(kept)
      this.start()
    })
  }

  close(): void {
    this.#cancel()
  }

  async #look(kept: Kept): Promise<void> {
    if (kept.busy) return
    kept.busy = true
    try {
      await kept.look()
    } catch (error) {
      this.#options.log('warn', `${kept.what} could not be looked for: ${messageOf(error)}`, {
        event: 'standing-files-unproven',
      })
    } finally {
      kept.busy = false
    }
  }
}
