/**
 * How the lease has been of late, of each master: by the second, how long the slowest renewal took and what was least
 * left of the lease. This master's own is exact; the others' is what they say of themselves once a beat. Bounded: a
 * quarter of an hour, and masters that are not heard of any more are forgotten with their last second.
 */

export const BUCKET_MS = 1000
const KEPT = 900
const MOST_MASTERS = 32

interface LeaseSecond {
  /** Wall clock of its beginning. */
  readonly atMs: number
  renewalMs: number | null
  marginMs: number | null
}

export interface LeaseReading {
  readonly renewalMs: number | null
  readonly marginMs: number | null
}

export class LeaseRecord {
  readonly #wallMs: () => number
  readonly #seconds = new Map<string, LeaseSecond[]>()

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs
  }

  /** Takes a reading of a master; the worst of its second counts. */
  note(address: string, { renewalMs, marginMs }: LeaseReading): void {
    if (renewalMs === null && marginMs === null) return
    const second = this.#secondOf(address)
    if (second === null) return
    second.renewalMs = worse(second.renewalMs, rounded(renewalMs), Math.max)
    second.marginMs = worse(second.marginMs, rounded(marginMs), Math.min)
  }

  /** Oldest first, the present one included. */
  secondsOf(address: string): readonly LeaseSecond[] {
    return this.#seconds.get(address) ?? []
  }

  addresses(): string[] {
    return [...this.#seconds.keys()].sort()
  }

  /** Tells the worst since `sinceMs` ago. */
  worst(address: string, sinceMs: number): LeaseReading {
    const fromMs = this.#wallMs() - sinceMs - BUCKET_MS
    const found: { renewalMs: number | null; marginMs: number | null } = {
      renewalMs: null,
      marginMs: null,
    }
    const seconds = this.secondsOf(address)
    for (let at = seconds.length - 1; at >= 0; at -= 1) {
      const second = seconds[at]
      if (second === undefined || second.atMs < fromMs) break
      found.renewalMs = worse(found.renewalMs, second.renewalMs, Math.max)
      found.marginMs = worse(found.marginMs, second.marginMs, Math.min)
    }
    return found
  }

  #secondOf(address: string): LeaseSecond | null {
    const atMs = Math.floor(this.#wallMs() / BUCKET_MS) * BUCKET_MS
    let seconds = this.#seconds.get(address)
    if (seconds === undefined) {
      if (this.#seconds.size >= MOST_MASTERS) this.#forgetOldest()
      seconds = []
      this.#seconds.set(address, seconds)
    }
    const last = seconds.at(-1)
    if (last?.atMs === atMs) return last
    const fresh: LeaseSecond = { atMs, renewalMs: null, marginMs: null }
    seconds.push(fresh)
    if (seconds.length > KEPT) seconds.shift()
    return fresh
  }

  #forgetOldest(): void {
    let oldest: { address: string; atMs: number } | null = null
    for (const [address, seconds] of this.#seconds) {
      const atMs = seconds.at(-1)?.atMs ?? 0
      if (oldest === null || atMs < oldest.atMs) oldest = { address, atMs }
    }
    if (oldest !== null) this.#seconds.delete(oldest.address)
  }
}

const worse = (
  a: number | null,
  b: number | null,
  pick: (a: number, b: number) => number,
): number | null => (a === null ? b : b === null ? a : pick(a, b))

const rounded = (ms: number | null): number | null =>
  ms === null ? null : Math.round(ms * 100) / 100
