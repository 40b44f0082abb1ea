/** A seat in an election without an election: tests say which state comes next, and see what was asked of it. */
import {
  type ContestFacts,
  type Delivery,
  type DirectoryNote,
  HaError,
  type Hearing,
  type HistoryEntry,
  type Letter,
  type LetterReply,
  type MasterState,
  type Member,
  type MemberView,
  type PeerView,
  type Renewal,
  type Service,
} from '../../lib/ha/index.ts'

export const addressesAt = (port: number, infoPort = port + 4) => ({
  umbilical: `localhost:${port}`,
  clientRpc: `localhost:${port + 1}`,
  resourceTracker: `localhost:${port + 2}`,
  catalog: `localhost:${port + 3}`,
  infoHttp: `localhost:${infoPort}`,
})

export function peerAt(port: number, more: Partial<PeerView> = {}): PeerView {
  return {
    address: `localhost:${port}`,
    addresses: addressesAt(port),
    hostname: 'here',
    priority: 100,
    version: '1',
    state: 'backup',
    heartbeatAgeMs: 12,
    pid: 1,
    adminSocket: '/run/x.sock',
    ...more,
  }
}

export class FakeMember implements Member {
  readonly hints: string[] = []
  readonly orders: string[] = []
  service: Service | null = null
  /** What `mayServe` says: a lease that has run out makes it false without any event. */
  leased = true
  state: MasterState = 'backup'
  epoch = 0
  heldTerm: number | null = null
  active: PeerView | null = null
  peers: PeerView[] = []
  problem: string | null = null
  networkTrouble: string | null = null
  directories: DirectoryNote[] = []
  listed: readonly string[] = []
  readonly suspected: string[] = []
  readonly letters: Letter[] = []
  /** What it answers; null: its keeper is gone. */
  reply: LetterReply | null = null
  deliver: ((to: string, letter: Letter) => Promise<Delivery>) | null = null
  readonly heard: Hearing[] = []
  measure: (wanted: boolean) => void = () => {}
  entries: HistoryEntry[] = []
  historyReads = 0
  refusal: Error | null = null
  /** Why a term was given up. */
  readonly givenUp: string[] = []
  readonly #self: PeerView
  readonly #listeners: ((view: MemberView) => void)[] = []
  readonly #renewalListeners: ((renewal: Renewal) => void)[] = []
  #term = new AbortController()

  constructor(port: number) {
    this.#self = peerAt(port)
  }

  /** Becomes active in `term`, as the real one does it. */
  async activate(term: number): Promise<void> {
    this.#term = new AbortController()
    this.heldTerm = term
    await this.service?.activate(term, this.#term.signal, {
      onTrouble: () => {},
      renewed: async () => {},
    })
    this.active = { ...this.#self, state: 'active' }
    this.epoch = term
    this.change('active')
  }

  /** Begins a hand-over; resolves when the service has drained. */
  async drain(): Promise<void> {
    this.change('stepping-down')
    await this.service?.drain(this.heldTerm ?? 0, null)
  }

  async depose(epoch: number, active: PeerView | null): Promise<void> {
    const term = this.heldTerm ?? 0
    this.heldTerm = null
    this.#term.abort()
    this.epoch = epoch
    this.active = active
    await this.service?.deactivate(term, 'deposed')
    this.change('backup')
  }

  change(state: MasterState): void {
    this.state = state
    for (const listener of this.#listeners) listener(this.view())
  }

  mayServe = (): boolean => this.state === 'active' && this.leased && this.heldTerm !== null
  term = (): number | null => (this.leased ? this.heldTerm : null)
  view(): MemberView {
    return {
      clusterId: 'cluster-1',
      state: this.state,
      epoch: this.epoch,
      active: this.active,
      opening: false,
      self: {
        ...this.#self,
        nonce: 'n',
        master: { bootId: 'b', pidNamespace: 'p', pid: process.pid, startTicks: 1 },
        startedAt: '',
      },
      peers: this.peers,
      leaseMarginMs: this.heldTerm === null ? null : 2000,
      lastRenewalMs: null,
      storage: 'ok',
      space: null,
      problem: this.problem,
      failure: null,
      warnings: [],
      network: { trouble: this.networkTrouble, workers: [] },
      directories: this.directories,
    }
  }

  async commit(): Promise<void> {}

  giveUp(why: string): void {
    this.givenUp.push(why)
  }

  lists(addresses: readonly string[]): void {
    this.listed = addresses
  }

  async letter(letter: Letter): Promise<LetterReply> {
    this.letters.push(letter)
    if (this.reply === null) throw new HaError('KEEPER_FAILED', 'the keeper is being replaced')
    return this.reply
  }

  facts(): ContestFacts | null {
    return null
  }

  suspects(address: string): void {
    this.suspected.push(address)
  }

  onLetter(deliver: (to: string, letter: Letter) => Promise<Delivery>): void {
    this.deliver = deliver
  }

  hint(why: string): void {
    this.hints.push(why)
  }

  async handOver(successor: string | null, { by }: { by: string }): Promise<void> {
    this.orders.push(`handOver ${successor} by ${by}`)
    if (this.refusal !== null) throw this.refusal
  }

  async takeOver({ force, by }: { force: boolean; by: string }): Promise<void> {
    this.orders.push(`takeOver ${force} by ${by}`)
    if (this.refusal !== null) throw this.refusal
  }

  async history(limit: number): Promise<HistoryEntry[]> {
    this.historyReads += 1
    if (this.refusal !== null) throw this.refusal
    return this.entries.slice(0, limit)
  }

  hears(hearing: Hearing): void {
    this.heard.push(hearing)
  }

  onMeasure(listener: (wanted: boolean) => void): void {
    this.measure = listener
  }

  async stop(reason: string): Promise<void> {
    this.orders.push(`stop ${reason}`)
    this.heldTerm = null
    this.change('stopped')
  }

  onState(listener: (view: MemberView) => void): void {
    this.#listeners.push(listener)
  }

  renewed(renewal: Renewal): void {
    for (const listener of this.#renewalListeners) listener(renewal)
  }

  onRenewal(listener: (renewal: Renewal) => void): void {
    this.#renewalListeners.push(listener)
  }
}
