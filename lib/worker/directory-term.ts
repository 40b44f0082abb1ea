/**
 * Which term counts for this worker: the newest that the cluster's directory shows as one that serves or has served. A
 * term that is heard, in a message or from a master that says that it is active, is a hint to look there, and no more.
 * Whoever has the secret, or is mistaken, could part all workers from their masters for good with one large number.
 *
 * A look is made for a term above the known one only. One that shows that term may be followed by the next at once, since
 * it takes a real failover each time. After one that doesn't, the next comes an M later at the earliest, and half an M more
 * by chance, so that a number that all have heard doesn't bring all of them to the file server together. While the
 * directory hangs, or can't be read, the known term goes on to count, and the log says so.
 *
 * A master without high availability keeps no terms in the directory, but the mark that it is alone. Its word counts
 * there, and nothing follows from it for others: no term is refused for it.
 */
import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import { type Clock, within } from '../base/time.ts'

/** What a look finds. */
export interface TermsShown {
  /** The newest term that serves or has served; 0 before the first. */
  readonly newest: number
  /** A master without high availability uses the directory. */
  readonly isAlone: boolean
}

export interface ShownTermsOptions {
  /** As it is told. */
  readonly directory: string
  /** Rejects where the directory can't be read. */
  readonly read: () => Promise<TermsShown>
  /** M: between two looks of which the first has not shown what was heard. One that takes longer hangs. */
  readonly everyMs: number
}

interface DirectoryTermOptions extends ShownTermsOptions {
  /** The directory has shown a newer term. */
  readonly onShown: (term: number) => void
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  readonly log: Log
}

export class DirectoryTerm {
  readonly #options: DirectoryTermOptions
  #known = 0
  /** What a master that is alone has said. */
  #alone = 0
  /** One at a time: a file call can't be taken back. */
  #looking: { readonly ended: Promise<void>; readonly sinceMs: number } | null = null
  #nextMs = Number.NEGATIVE_INFINITY
  /** Why the last look came to nothing; null when it did not. */
  #trouble: string | null = null
  /** Counted on when the directory is another cluster's: what was asked of the former one says nothing. */
  #cluster = 0
  #unshown = 0

  constructor(options: DirectoryTermOptions) {
    this.#options = options
  }

  /** Older ones are over. */
  get newest(): number {
    return this.#known
  }

  /** How many looks have not shown the term that was heard. */
  get unshown(): number {
    return this.#unshown
  }

  /** Null where that term counts, perhaps after a look; otherwise why it doesn't. Never rejects. */
  async doubt(term: number): Promise<string | null> {
    if (this.#counts(term)) return null
    const { clock, everyMs } = this.#options
    if (this.#looking === null && clock.nowMs() >= this.#nextMs) this.#look(term)
    if (this.#looking !== null) {
      const { ended, sinceMs } = this.#looking
      const leftMs = sinceMs + everyMs - clock.nowMs()
      if (leftMs > 0) await within(clock, leftMs, ended, () => undefined)
    }
    return this.#counts(term) ? null : this.#whyNot(term)
  }

  /** The directory holds another cluster now, which counts terms of its own. */
  forget(): void {
    this.#cluster += 1
    this.#known = 0
    this.#alone = 0
    this.#nextMs = Number.NEGATIVE_INFINITY
    this.#looking = null
    this.#trouble = null
  }

  #counts(term: number): boolean {
    return term <= Math.max(this.#known, this.#alone)
  }

  #look(term: number): void {
    const { clock, everyMs, random, directory } = this.#options
    const sinceMs = clock.nowMs()
    this.#nextMs = sinceMs + everyMs * (1 + random() / 2)
    const cluster = this.#cluster
    const stillMs = Math.round(everyMs)
    const late = clock.after(everyMs, () =>
      this.#failed(cluster, term, `${directory} has not answered for ${stillMs} ms`),
    )
    const ended = this.#read(term, cluster).finally(() => {
      late()
      if (cluster === this.#cluster) this.#looking = null
    })
    this.#looking = { ended, sinceMs }
  }

  async #read(term: number, cluster: number): Promise<void> {
    const { read, onShown, log, directory } = this.#options
    try {
      const { newest, isAlone } = await read()
      if (cluster !== this.#cluster) return
      this.#trouble = null
      const isNewer = newest > this.#known
      this.#known = Math.max(this.#known, newest)
      if (isAlone) this.#alone = Math.max(this.#alone, term)
      if (isNewer) onShown(newest)
      if (this.#counts(term)) {
        this.#nextMs = Number.NEGATIVE_INFINITY
        return
      }
      this.#unshown += 1
      const text = `term ${term} was heard of, and ${directory} does not show it: a master with another directory, or somebody who has the cluster's secret, is mistaken or lies. This worker goes on under term ${this.#known}`
      log('warn', text, { event: 'term-unshown', term, epoch: this.#known })
    } catch (error) {
      this.#failed(cluster, term, `${directory} can't be read: ${messageOf(error)}`)
    }
  }

  #failed(cluster: number, term: number, trouble: string): void {
    if (cluster !== this.#cluster) return
    this.#trouble = trouble
    this.#options.log('warn', `term ${term} was heard of, and ${this.#goesOn(trouble)}`, {
      event: 'term-unread',
      term,
      epoch: this.#known,
    })
  }

  #goesOn(trouble: string): string {
    return `${trouble}: this worker goes on under term ${this.#known}`
  }

  #whyNot(term: number): string {
    const { directory } = this.#options
    if (this.#trouble !== null)
      return `term ${term} can't be looked for, since ${this.#goesOn(this.#trouble)}`
    return `${directory} has not shown term ${term} here when it was last looked at: this worker goes on under term ${this.#known}`
  }
}
