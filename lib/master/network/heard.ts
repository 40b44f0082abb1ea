/**
 * What this master has heard of the others, without asking anybody. A module of its own that loads nothing of the calling
 * side: a master opens its ports before it loads that.
 *
 * `OwnMasters`: where masters of this cluster listen for clients, as far as this master has ever known: for a client that
 * hears a part of its list only. An address of it that is silent may be a master of ours that is down, or another
 * cluster's, and without this answer nobody could tell a failover from a wrong list. Ours are the members in the directory,
 * also those that were there earlier, the holders of the last terms, and whom conf/masters names, unless he has answered
 * for another cluster.
 *
 * `PeerNews`: what the others say of themselves over their streams, as far as status pages show it: the last line of each,
 * and how far its clock is from ours. A line takes some time to arrive, which makes the sender's clock look slow; so of the
 * last lines the one that makes it look least slow is the nearest to the truth.
 */
import { joinHostPort, splitHostPort } from '../../base/host-port.ts'
import type { Standing } from '../../contract/index.ts'
import type { Addresses, HistoryEntry, MemberView } from '../../ha/index.ts'
import { othersOf } from '../view/cluster-view.ts'

interface OwnMastersOptions {
  /** As conf/masters lists them now: umbilical addresses. */
  readonly listed: () => readonly string[]
  /** Of those, the ones that answered for another cluster when they answered last. */
  readonly isForeign: (address: string) => boolean
  /** The last terms, newest first; its rejection is no news. */
  readonly history: () => Promise<readonly HistoryEntry[]>
}

/** So many masters that are gone are remembered. */
const MOST_SEEN = 64

export class OwnMasters {
  readonly #options: OwnMastersOptions
  #seen = new Set<string>()

  constructor(options: OwnMastersOptions) {
    this.#options = options
  }

  /** The members as the directory shows them now. */
  note(view: MemberView): void {
    for (const { hostname, addresses } of othersOf(view)) {
      for (const name of namesOf(addresses.clientRpc, hostname)) {
        this.#seen.delete(name)
        this.#seen.add(name)
      }
    }
    if (this.#seen.size > MOST_SEEN) this.#seen = new Set([...this.#seen].slice(-MOST_SEEN))
  }

  /** Client RPC addresses, each under every name that is known of its host. */
  async names({ self }: MemberView): Promise<string[]> {
    const { listed, isForeign, history } = this.#options
    const past = await history().catch(() => [])
    const umbilical = [
      ...listed().filter((address) => !isForeign(address)),
      ...past.flatMap(({ term }) => namesOf(term.address, term.hostname)),
    ]
    const all = [
      ...namesOf(self.addresses.clientRpc, self.hostname),
      ...this.#seen,
      ...umbilical.flatMap((address) => clientOf(address, self.addresses) ?? []),
    ]
    return [...new Set(all)]
  }
}

function namesOf(address: string, hostname: string): string[] {
  const split = splitHostPort(address)
  if (split === null) return []
  const byHostname = joinHostPort({ host: hostname, port: split.port })
  return splitHostPort(byHostname) === null ? [address] : [address, byHostname]
}

/** A master shifts all its ports by the same distance. */
function clientOf(umbilical: string, own: Addresses): string | null {
  const split = splitHostPort(umbilical)
  const [from, to] = [splitHostPort(own.umbilical), splitHostPort(own.clientRpc)]
  if (split === null || from === null || to === null) return null
  return joinHostPort({ host: split.host, port: split.port + to.port - from.port })
}

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
