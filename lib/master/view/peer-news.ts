/**
 * What the other masters say of themselves over their streams, as far as status pages show it: the last line of each,
 * and how far its clock is from ours. A line takes some time to arrive, which makes the sender's clock look slow; so of
 * the last lines the one that makes it look least slow is the nearest to the truth.
 */
import type { Standing } from '../../rpc/index.ts'

/** Lines of which the fastest counts. */
const LINES = 10
const MOST_PEERS = 32

interface News {
  standing: Standing
  readonly offsetsMs: number[]
}

export class PeerNews {
  readonly #wallMs: () => number
  readonly #news = new Map<string, News>()

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs
  }

  heard(standing: Standing): void {
    const news = this.#news.get(standing.address) ?? { standing, offsetsMs: [] }
    news.standing = standing
    if (standing.wallMs != null) {
      news.offsetsMs.push(standing.wallMs - this.#wallMs())
      if (news.offsetsMs.length > LINES) news.offsetsMs.shift()
    }
    this.#news.delete(standing.address)
    this.#news.set(standing.address, news)
    const [oldest] = this.#news.keys()
    if (this.#news.size > MOST_PEERS && oldest !== undefined) this.#news.delete(oldest)
  }

  /** Its last word, whenever that was; null when it has said nothing. */
  of(address: string): Standing | null {
    return this.#news.get(address)?.standing ?? null
  }

  /** Above 0: its clock is ahead of ours. Null: it has not told. */
  clockOffsetMs(address: string): number | null {
    const offsets = this.#news.get(address)?.offsetsMs ?? []
    return offsets.length === 0 ? null : Math.round(Math.max(...offsets))
  }
}
