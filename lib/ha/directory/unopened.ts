/**
 * Clears away what failed claims have left, while nobody serves: thousands of numbers that nobody opened become void
 * (void-terms.ts) in the background, so that the looks stay cheap and a take-over finds little to close. It works on a
 * full disk as well, where the names find room.
 *
 * The first of those who may become active does so; two at once would only be in each other's way. A take-over of our own
 * stops it first.
 */
import { DiskError, messageOf } from '../words/errors.ts'
import type { Clock, Disk, Log } from '../world/ports.ts'
import { tellVoid, voidTerms } from './void-terms.ts'

export interface UnopenedOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly log: Log
  /** After a failure it rests for so long, ms. */
  readonly restMs: number
}

/** So many in one run; one name tells of them all. */
const IN_ONE_RUN = 512
/** A guest among the keeper's file threads. */
const AT_ONCE = 3

export class Unopened {
  readonly #o: UnopenedOptions
  /** Those that are void, by this process's own doing: a take-over needs no call for them. */
  readonly closed = new Set<number>()
  /** Not to be had: opened, with files, or closed by somebody else. */
  readonly #left = new Set<number>()
  #work: Promise<void> = Promise.resolve()
  #busy = false
  #stopped = false
  #nextMs = Number.NEGATIVE_INFINITY

  constructor(options: UnopenedOptions) {
    this.#o = options
  }

  /** Clears the last of them, which are the lowest, if it does nothing yet. Resolves when that is done; what fails is tried again later. */
  async clear(terms: readonly number[]): Promise<void> {
    if (this.#busy || this.#o.clock.nowMs() < this.#nextMs) return
    const some = terms.filter((term) => !this.#left.has(term)).slice(-IN_ONE_RUN)
    if (some.length === 0) return
    this.#busy = true
    this.#stopped = false
    this.#work = this.#clear(some).finally(() => {
      this.#busy = false
    })
    await this.#work
  }

  /** Resolves when it touches nothing any more. */
  stop(): Promise<void> {
    this.#stopped = true
    return this.#work
  }

  async #clear(terms: readonly number[]): Promise<void> {
    const { clock, disk, log, restMs } = this.#o
    const how = { purpose: 'void', most: AT_ONCE, goesOn: () => !this.#stopped } as const
    try {
      const done = await voidTerms(disk, terms, how)
      for (const term of done) this.closed.add(term)
      if (!this.#stopped) for (const term of terms) if (!this.closed.has(term)) this.#left.add(term)
      await tellVoid(disk, 'void', done)
      if (done.length > 0) log('debug', 'terms that nobody opened are void', { terms: done.length })
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#nextMs = clock.nowMs() + restMs
      log('debug', `terms that nobody opened stay: ${messageOf(error)}`)
    }
  }
}
