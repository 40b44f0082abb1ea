/**
 * This is one master among the others: it has the streams to them and from them, the clients' network, the letters of a
 * contest, masters of other clusters. What is heard is given to the election, which alone decides what follows from it,
 * and kept as far as people are shown it.
 *
 * The ports are open before the cluster is joined: until then nobody is called, and who asks is told to come again.
 */

import type { Announcement, MasterStatus, Standing } from '../../contract/index.ts'
import type { HistoryEntry, KnownWorker, Member, MemberView } from '../../ha/index.ts'
import { type LineWriter, RpcError } from '../../rpc/index.ts'
import type { Handlers } from '../../serve/index.ts'
import type { Rights } from '../active-gate.ts'
import { type MasterOptions, UNTIMED_MS } from '../options.ts'
import { othersOf } from '../view/cluster-view.ts'
import type { ContestLetters } from './contest-letters.ts'
import type { ForeignMaster, ForeignMasters } from './foreign-masters.ts'
import { OwnMasters, PeerNews } from './heard.ts'
import type { MasterNetwork } from './network.ts'
import type { Peers } from './peers.ts'
import { SplitBrainAlarm } from './split-brain.ts'

type Plain =
  | 'address'
  | 'rootDirectory'
  | 'listed'
  | 'beatMs'
  | 'silenceMs'
  | 'timing'
  | 'network'
  | 'clock'
  | 'wallMs'
  | 'log'

interface OthersOptions extends Pick<MasterOptions, Plain> {
  readonly rights: Rights
  /** Throws RpcError UNAVAILABLE before the cluster is joined, as `status` and `standing` do. */
  readonly joined: () => Member
  readonly status: () => MasterStatus
  readonly standing: () => Standing
  readonly clusterId: () => string | null
  readonly secret: () => string
  readonly term: () => number
  /** The last terms, newest first. */
  readonly history: (limit: number) => Promise<readonly HistoryEntry[]>
  /** Workers that are registered with this master. */
  readonly registered: () => readonly KnownWorker[]
  /** Another master has said how it stands. */
  readonly onStanding: (standing: Standing) => void
}

/** So far back the holder of a term is one of our masters. */
const TERMS_BACK = 50
export const NOT_JOINED = 'this master has not joined its cluster yet'

/** The calling side of RPC costs a tenth of a second: it is loaded while the election starts, and no port waits for it. */
export async function loadCallers() {
  const [{ Peers }, { MasterNetwork }, { ForeignMasters }, { ContestLetters }] = await Promise.all([
    import('./peers.ts'),
    import('./network.ts'),
    import('./foreign-masters.ts'),
    import('./contest-letters.ts'),
  ])
  return { Peers, MasterNetwork, ForeignMasters, ContestLetters }
}

export type Callers = Awaited<ReturnType<typeof loadCallers>>

export class Others {
  readonly news: PeerNews
  readonly alarm: SplitBrainAlarm
  readonly #options: OthersOptions
  readonly #ours: OwnMasters
  readonly #watchers = new Set<LineWriter<Standing>>()
  #peers: Peers | null = null
  #foreign: ForeignMasters | null = null
  #letters: ContestLetters | null = null
  /** Null without high availability, and until it is joined. */
  #network: MasterNetwork | null = null
  #listed = ''

  constructor(options: OthersOptions) {
    const { rights, clock, log, listed, history, wallMs } = options
    this.#options = options
    this.news = new PeerNews(wallMs)
    this.alarm = new SplitBrainAlarm({
      rights,
      clock,
      log,
      ask: async (address) => (await this.#peers?.ask(address)) ?? null,
    })
    this.#ours = new OwnMasters({
      listed,
      isForeign: (address) => this.#foreign?.wasForeign(address) ?? false,
      history: () => history(TERMS_BACK),
    })
  }

  /** It is called once, when the cluster is joined. */
  join(member: Member, clusterId: string, loaded: Callers): void {
    const { address, rootDirectory, listed, secret, term, beatMs, silenceMs, clock, log } =
      this.#options
    this.#peers = new loaded.Peers({
      self: address,
      clusterId: () => clusterId,
      secret,
      term,
      clock,
      log,
      beatMs,
      silenceMs,
      hint: (why) => member.hint(why),
      onBroken: (peer) => member.suspects(peer),
      onStanding: (standing) => this.#onStanding(standing),
    })
    this.#network = this.#makeNetwork(member, loaded.MasterNetwork)
    this.#letters = this.#makeLetters(member, loaded.ContestLetters)
    this.#foreign = new loaded.ForeignMasters({
      self: address,
      clusterId,
      rootDirectory,
      listed,
      isConnected: (other) => this.isConnected(other),
      clock,
      log,
    })
  }

  /** It is to be called at each new view of the election. */
  follow(view: MemberView): void {
    this.#ours.note(view)
    this.#peers?.follow(othersOf(view).map(({ address }) => address))
    this.#network?.follow(view, this.#options.rights.mayServe())
  }

  /** Tells all who can be reached of a new term; nobody waits for that. */
  announce(news: Announcement): void {
    void this.#peers?.announce(news)
  }

  /** Where masters of this cluster listen for clients, as far as this one has ever known. */
  clientNames(view: MemberView): Promise<string[]> {
    return this.#ours.names(view)
  }

  /** How many streams are open. */
  get connected(): number {
    return this.#peers?.connected ?? 0
  }

  isConnected(address: string): boolean {
    return this.#peers?.isConnected(address) ?? false
  }

  /** Masters of other clusters that the last look has found. */
  foreign(): readonly ForeignMaster[] {
    return this.#foreign?.found() ?? []
  }

  umbilical(): Handlers<'umbilical'> {
    const { clusterId, status, joined, standing } = this.#options
    return {
      status: ({ from }) => {
        if (from !== undefined && from.clusterId !== clusterId()) {
          this.#foreign?.heard(from.address)
        }
        return status()
      },
      contest: (request) => {
        if (this.#letters === null) throw new RpcError('UNAVAILABLE', NOT_JOINED)
        return this.#letters.take(request)
      },
      announce: ({ address, state, epoch }) => {
        joined().hint(`${address} announced: ${state} in term ${epoch}`)
        return { epoch: this.#options.term() }
      },
      watch: (_request, writer) => {
        this.#watchers.add(writer)
        writer.onClose(() => this.#watchers.delete(writer))
        writer.send(standing())
      },
    }
  }

  /** Tells all who watch this master. */
  tell(standing: Standing): void {
    for (const watcher of this.#watchers) watcher.send(standing)
  }

  /** A sign of life, and where nothing has changed too. conf/masters may be another one by now. */
  beat(member: Member | null): void {
    const { standing, listed } = this.#options
    if (this.#watchers.size > 0) this.tell(standing())
    const names = listed()
    if (names.join() === this.#listed) return
    this.#listed = names.join()
    member?.lists(names)
  }

  async close(): Promise<void> {
    for (const watcher of this.#watchers) watcher.end()
    await Promise.all([
      this.#peers?.close(),
      this.#foreign?.close(),
      this.#letters?.close(),
      this.#network?.close(),
    ])
  }

  /** Until it is there the election writes its letters, and waits with its first claim. */
  #makeLetters(member: Member, Letters: Callers['ContestLetters']): ContestLetters {
    const { clusterId, secret, term, clock, log, listed, timing } = this.#options
    const letters = new Letters({
      clusterId: () => clusterId() ?? '',
      secret,
      term,
      listed,
      take: (letter) => member.letter(letter),
      facts: () => member.facts(),
      suspect: (address) => member.suspects(address),
      limitMs: (timing?.monitorMs ?? UNTIMED_MS) / 2,
      clock,
      log,
    })
    member.onLetter((to, letter) => letters.deliver(to, letter))
    return letters
  }

  #makeNetwork(member: Member, Network: Callers['MasterNetwork']): MasterNetwork | null {
    const { clusterId, secret, term, registered, timing, network, clock } = this.#options
    if (timing === null) return null
    const made = new Network({
      ...network,
      timing,
      clusterId: () => clusterId() ?? '',
      secret,
      term,
      quietSinceMs: (limitMs) => this.#peers?.quietSinceMs(limitMs) ?? null,
      registered,
      tell: (hearing) => member.hears(hearing),
      clock,
    })
    member.onMeasure((wanted) => made.want(wanted))
    return made
  }

  #onStanding(standing: Standing): void {
    void this.alarm.heard(standing)
    this.news.heard(standing)
    this.#options.onStanding(standing)
  }
}
