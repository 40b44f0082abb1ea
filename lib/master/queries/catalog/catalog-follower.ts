/**
 * A backup follows the catalog of the active master in its memory, so that it has almost nothing to read when it takes over.
 * What can't be read meanwhile is told once, and concludes nothing: an opening tells what it means.
 */

import { messageOf } from '../../../base/failures.ts'
import type { Log } from '../../../base/log.ts'
import type { Turns } from '../../../base/slices.ts'
import type { Clock } from '../../../base/time.ts'

/** A store that can be followed. */
interface Followed {
  follow(turns: Turns): Promise<void>
  close(): Promise<void>
}

interface FollowerOptions {
  /** Null where the store has nothing to follow. */
  readonly open: () => Promise<Followed | null>
  /** Not while a term is open here, which knows more. */
  readonly mayFollow: () => boolean
  /** Between the slices of a long reading. */
  readonly turns: Turns
  /** Between two looks. */
  readonly everyMs: number
  readonly clock: Clock
  readonly log: Log
}

export class CatalogFollower {
  readonly #options: FollowerOptions
  #cancel = (): void => {}
  #isOver = false
  #store: Followed | null = null
  #told = ''
  /** When the last look began of those that were whole; null before. */
  #knownMs: number | null = null

  constructor(options: FollowerOptions) {
    this.#options = options
  }

  start(): void {
    void this.#run()
  }

  stop(): void {
    this.#isOver = true
    this.#cancel()
    void this.#store?.close()
  }

  /** How old what is known is; null while nothing is: a take-over reads the whole catalog then. */
  get ageMs(): number | null {
    return this.#knownMs === null ? null : this.#options.clock.nowMs() - this.#knownMs
  }

  async #run(): Promise<void> {
    const { open, mayFollow, turns, everyMs, clock, log } = this.#options
    const beganMs = clock.nowMs()
    try {
      if (mayFollow()) {
        this.#store ??= await open()
        if (this.#store === null) return
        if (this.#isOver) return await this.#store.close()
        await this.#store.follow(turns)
        if (this.#knownMs === null) {
          const tookMs = clock.nowMs() - beganMs
          log('info', 'the catalog is known: a take-over reads what is new', {
            event: 'catalog-followed',
            tookMs,
          })
        }
        this.#knownMs = beganMs
      }
      this.#told = ''
    } catch (error) {
      const why = messageOf(error)
      if (why !== this.#told && !this.#isOver)
        log('info', `the catalog can't be followed: ${why}`, { event: 'catalog-unfollowed' })
      this.#told = why
    }
    if (this.#isOver) return
    this.#cancel = clock.after(everyMs, () => void this.#run())
  }
}
