/**
 * Wrong passwords slow down whoever gives them: after a few, log-ins of that user from that address are refused for a
 * second, then for two, for four, up to half a minute. It is the pair that counts, so that nobody keeps a user out who comes
 * from elsewhere; and the administrator, who has the secret, logs in nowhere.
 *
 * Kept by the active master alone, in its memory: a failover forgets it, and what it forgets then is a few free tries.
 */

import { networkOf } from '../base/network-of.ts'

const FREE_TRIES = 5
const FIRST_MS = 1000
const LONGEST_MS = 30_000
/** After so long without a wrong one all is forgotten. */
const FORGOTTEN_MS = 15 * 60_000
/** Pairs; the oldest goes first. Whoever fills the list has guessed once for each. */
const MOST_PAIRS = 10_000

interface Wrong {
  readonly count: number
  readonly lastMs: number
}

export class Guesses {
  readonly #wrong = new Map<string, Wrong>()

  /** So long this pair has to wait before it is heard again; 0: it may try. */
  waitMs(user: string, address: string, nowMs: number): number {
    const wrong = this.#of(keyOf(user, address), nowMs)
    if (wrong === null || wrong.count < FREE_TRIES) return 0
    const pauseMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** (wrong.count - FREE_TRIES))
    return Math.max(0, wrong.lastMs + pauseMs - nowMs)
  }

  wrong(user: string, address: string, nowMs: number): void {
    const key = keyOf(user, address)
    const count = (this.#of(key, nowMs)?.count ?? 0) + 1
    this.#wrong.delete(key)
    this.#wrong.set(key, { count, lastMs: nowMs })
    const [oldest] = this.#wrong.keys()
    if (this.#wrong.size > MOST_PAIRS && oldest !== undefined) this.#wrong.delete(oldest)
  }

  right(user: string, address: string): void {
    this.#wrong.delete(keyOf(user, address))
  }

  #of(key: string, nowMs: number): Wrong | null {
    const wrong = this.#wrong.get(key)
    return wrong === undefined || nowMs - wrong.lastMs > FORGOTTEN_MS ? null : wrong
  }
}

const keyOf = (user: string, address: string): string =>
  JSON.stringify([user, networkOf(address) ?? address])
