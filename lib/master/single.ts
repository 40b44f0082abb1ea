/**
 * A master without high availability (`tajo.master.ha.enable` false) is the only one. It is active from its start until
 * its end, in one and the same term at every start. It takes part in no election, so nothing would depose it; who starts
 * it sees to it that nobody else uses the same directory (`lib/cli/daemon/rootdir-use.ts`).
 */
import {
  HaError,
  type HistoryEntry,
  type Member,
  type MemberOptions,
  type MemberView,
  type PeerView,
  type Service,
} from '../ha/index.ts'
import type { SingleStorage } from './single-storage.ts'

type SingleState = 'starting' | 'active' | 'stepping-down' | 'stopped'
const NO_HA = 'high availability is off (tajo.master.ha.enable): there is one master only'

interface SingleOptions {
  readonly self: MemberOptions['self']
  readonly hostname: string
  readonly pid: number
  readonly clusterId: string
  readonly startedAt: string
  readonly service: Service
  readonly storage: Pick<SingleStorage, 'start' | 'stop' | 'view'>
  /**
   * The highest that the catalog knows, at least 1: neither is this master refused by a catalog that was used with high
   * availability before, nor will masters with it be refused later.
   */
  readonly term: number
  /** The term can't be served any longer, and there is no other one: the process has to end. */
  readonly onFailure: (error: Error) => void
}

export class SingleMember implements Member {
  readonly #options: SingleOptions
  readonly #ended = new AbortController()
  readonly #listeners: ((view: MemberView) => void)[] = []
  #state: SingleState = 'starting'

  constructor(options: SingleOptions) {
    this.#options = options
  }

  /** Opens the services; resolves when they serve. */
  async start(): Promise<void> {
    const { service, term } = this.#options
    // Nobody can ask this master before it serves: its log says what keeps it waiting.
    await service.activate(term, this.#ended.signal, {
      onTrouble: () => {},
      renewed: async () => {},
    })
    this.#setState('active')
    this.#options.storage.start(() => this.#tell())
  }

  mayServe(): boolean {
    return this.#state === 'active'
  }

  term(): number | null {
    return this.#state === 'active' || this.#state === 'stepping-down' ? this.#options.term : null
  }

  view(): MemberView {
    const { self, hostname, pid, clusterId, startedAt } = this.#options
    const active: PeerView = {
      ...self,
      hostname,
      state: 'active',
      heartbeatAgeMs: 0,
      pid,
    }
    return {
      clusterId,
      state: this.#state,
      epoch: this.#options.term,
      active: this.term() === null ? null : active,
      opening: false,
      self: {
        ...self,
        hostname,
        nonce: clusterId,
        master: { bootId: '', pidNamespace: '', pid, startTicks: 0 },
        startedAt,
      },
      peers: [],
      leaseMarginMs: null,
      lastRenewalMs: null,
      ...this.#options.storage.view(),
      failure: null,
      warnings: [],
      network: { trouble: null, workers: [] },
      directories: [],
    }
  }

  /** There is nobody who could take the term away. */
  async commit(): Promise<void> {
    if (this.term() === null) throw new HaError('NOT_ACTIVE', 'this master has stopped')
  }

  giveUp(why: string): void {
    this.#options.onFailure(new Error(`${why}; this master ends, start it again`))
  }

  hint(): void {}

  async handOver(): Promise<void> {
    throw new HaError('UNSAFE', `nobody to hand over to: ${NO_HA}`)
  }

  async takeOver(): Promise<void> {
    if (!this.mayServe()) throw new HaError('NOT_ACTIVE', NO_HA)
  }

  async history(): Promise<HistoryEntry[]> {
    return []
  }

  async stop(reason: string): Promise<void> {
    if (this.#state !== 'active') return
    this.#setState('stepping-down')
    this.#options.storage.stop()
    await this.#options.service.drain(this.#options.term, null)
    this.#setState('stopped')
    this.#ended.abort(new HaError('NOT_ACTIVE', reason))
    await this.#options.service.deactivate(this.#options.term, reason)
  }

  onState(listener: (view: MemberView) => void): void {
    this.#listeners.push(listener)
  }

  /** It holds no lease. */
  onRenewal(): void {}

  /** Whatever it hears, there is nobody to hand over to. */
  hears(): void {}

  onMeasure(): void {}

  /** There is no other master, and so none of another directory. */
  lists(): void {}

  async letter(): Promise<never> {
    throw new HaError('NOT_ACTIVE', NO_HA)
  }

  onLetter(): void {}

  facts(): null {
    return null
  }

  suspects(): void {}

  #setState(state: SingleState): void {
    this.#state = state
    this.#tell()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener(this.view())
  }
}
