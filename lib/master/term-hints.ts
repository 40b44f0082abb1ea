/**
 * Terms that messages of this cluster's members show, and that this master's directory has not shown. They are hints to
 * look there: at once, and then an M later at the earliest, and half an M more by chance. Nothing else follows from them,
 * since one large number would part this master from all others for good. A number that stays unshown is told to people:
 * somebody has another directory, or the cluster's secret.
 */
import type { Clock } from '../base/time.ts'

interface TermHintsOptions {
  /** The newest term that the directory has shown. */
  readonly term: () => number
  readonly look: (why: string) => void
  /** M. */
  readonly everyMs: number
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
}

/** It is told so long after it was heard last. */
const TOLD_MS = 60_000

export class TermHints {
  readonly #options: TermHintsOptions
  #nextMs = Number.NEGATIVE_INFINITY
  #heard: { term: number; readonly sinceMs: number; lastMs: number } | null = null

  constructor(options: TermHintsOptions) {
    this.#options = options
  }

  /** Somebody who has the secret said this term. */
  hear(term: number): void {
    const { clock, everyMs, random, look } = this.#options
    const nowMs = clock.nowMs()
    this.#forgetOld(nowMs)
    this.#heard ??= { term, sinceMs: nowMs, lastMs: nowMs }
    this.#heard.term = Math.max(this.#heard.term, term)
    this.#heard.lastMs = nowMs
    if (nowMs < this.#nextMs) return
    this.#nextMs = nowMs + everyMs * (1 + random() / 2)
    look(`term ${term} was heard of`)
  }

  /** A sentence where one was heard that the directory doesn't show after M. */
  warnings(): string[] {
    const { clock, everyMs, term } = this.#options
    const nowMs = clock.nowMs()
    this.#forgetOld(nowMs)
    const heard = this.#heard
    if (heard === null || nowMs - heard.sinceMs < everyMs) return []
    return [
      `a message of this cluster named term ${heard.term}, and tajo.rootdir shows none above ${term()}: a member with another directory, or somebody who has the cluster's secret, is mistaken or lies. Nothing follows from it`,
    ]
  }

  #forgetOld(nowMs: number): void {
    const heard = this.#heard
    if (heard === null) return
    if (heard.term <= this.#options.term() || nowMs - heard.lastMs > TOLD_MS) this.#heard = null
  }
}
