/**
 * Who is the active master: asked for by every call, remembered between calls.
 *
 * A call goes to the one that answered last. `NOT_ACTIVE` names another; a master that is gone or says nothing lets the
 * next one be asked; after a whole round there is a pause, so that nothing turns hot. A frozen master still accepts
 * connections: when an answer takes long, the others are asked meanwhile whether one of them is active, and the call
 * moves over as soon as one is. When none of those that are known is active, `findMore` may name others; nobody waits
 * for it. All calls may be repeated (failover.ts).
 *
 * No masters but those of one cluster are asked (cluster.ts). One of another is asked for nothing, as if nobody were there, and what
 * it says of others is not heard.
 */

import { messageOf } from '../base/failures.ts'
import { joinHostPort, splitHostPort } from '../base/host-port.ts'
import { type Clock, pause } from '../base/time.ts'
import { RpcError } from '../rpc/index.ts'
import { type ClusterKnowledge, onlyCluster, silentAreOf, whoAnswers } from './cluster.ts'
import type { Credentials } from './credentials.ts'
import { ClosedError, NoMasterError } from './errors.ts'
import { budgetMs, mayBeAskedAgain, pauseMs, type RetryOptions } from './query.ts'
import { reachedNobody, type Wire } from './wire.ts'

/** Where one master answers clients. */
export interface MasterAddress {
  /** `host:port` of tajo.master.client-rpc.address. */
  readonly client: string
  /** `host:port` of tajo.catalog.client-rpc.address. */
  readonly catalog: string
}

/** As shipped: 26002 and 26005. A master shifts all its ports by the same distance. */
const CATALOG_PORT_DISTANCE = 3

/** Nobody's hints may fill our memory. */
const MOST_LEARNED = 32

/** Between two questions to the others while one is silent, and how long each of them may take. */
const LOOK_EVERY_MS = 500
const LOOK_DEADLINE_MS = 1000

/** A failover is over before; then `findMore` is called, and so often while it goes on. */
const FIND_AFTER_MS = 1000
const FIND_EVERY_MS = 2000

interface MastersOptions {
  readonly masters: readonly MasterAddress[]
  /** Other masters of this cluster, asked for while none of those that are known is active. Its rejection is no news. */
  readonly findMore: () => Promise<readonly MasterAddress[]>
  readonly cluster: ClusterKnowledge
  readonly credentials: Credentials
  readonly retry: RetryOptions
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  readonly wire: Wire
  /** Told after each round in which no active master was found. */
  readonly onWaiting: (said: ReadonlyMap<string, string>, sinceMs: number) => void
}

interface MasterCall {
  readonly service: 'client' | 'catalog'
  readonly method: string
  readonly message: unknown
  /** For whoever has no token yet. */
  readonly isOpen?: boolean
  /** For each single request. */
  readonly deadlineMs: number
  /** So long an answer may take before the others are asked. */
  readonly patienceMs: number
  readonly signal: AbortSignal
  /** Instead of the whole time that retries may take. */
  readonly budgetMs?: number
}

const LOG_IN = {
  service: 'client',
  isOpen: true,
  deadlineMs: 10_000,
  patienceMs: 300,
} as const

export class Masters {
  readonly #options: MastersOptions
  readonly #catalogs = new Map<string, string>()
  readonly #distance: number
  /** Client RPC addresses: the given ones first, then what hints told. */
  #known: string[]
  #active: string | null = null
  /** Those that have named this cluster: nothing is submitted to others. */
  readonly #named = new Set<string>()
  #anybodyThere = false
  #findAfterMs = Number.NEGATIVE_INFINITY
  #term = 0
  /** What the cluster's id was expected to be; undefined before that was asked. */
  #expected: Promise<string | null> | undefined
  /** Nobody expected another cluster, and not all masters have named this one: it holds for this client alone. */
  #isGuess = false
  /** A master of this cluster has answered: from then on there is no other. */
  #confirmed: Promise<void> | null = null

  /** Throws RangeError for a list without a master. */
  constructor(options: MastersOptions) {
    const [first] = options.masters
    if (first === undefined) throw new RangeError('at least one master must be given')
    this.#options = options
    this.#known = options.masters.map(({ client }) => client)
    for (const { client, catalog } of options.masters) this.#catalogs.set(client, catalog)
    this.#distance = portOf(first.catalog) - portOf(first.client) || CATALOG_PORT_DISTANCE
  }

  /** Client RPC address of the master that answered last. */
  get active(): string | null {
    return this.#active
  }

  /** Rejects with NoMasterError after all retries, ClosedError when `signal` aborts, RpcError for what a retry can't mend. */
  call(call: MasterCall): Promise<unknown> {
    if (call.isOpen === true) return this.#call(call)
    return this.authorized(() => this.#call(call), call.signal)
  }

  /**
   * Does what needs a token, and once more with another one where that was refused. Rejects with what it rejects with, or
   * why there is no token.
   */
  async authorized<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { credentials, wire } = this.#options
    try {
      return await work()
    } catch (error) {
      if (!RpcError.is(error, 'UNAUTHENTICATED')) throw error
      const ask = (method: string, message: unknown): Promise<unknown> =>
        this.#call({ ...LOG_IN, method, message, signal })
      await credentials.renew(error, wire.cluster ?? '', ask, wire.refusedAtMs)
      return work()
    }
  }

  /** What proves to the cluster whose requests these are. */
  async token(): Promise<string | null> {
    const { credentials, wire } = this.#options
    return wire.cluster === null ? null : credentials.token(wire.cluster)
  }

  async #call(call: MasterCall): Promise<unknown> {
    const { clock, retry, random, onWaiting } = this.#options
    const sinceMs = clock.nowMs()
    const tried = new Set<string>()
    const said = new Map<string, string>()
    const foreign = new Map<string, string>()
    let hint: string | null = null
    for (let round = 0; ; ) {
      if (this.#options.wire.cluster === null && tried.size === 0) {
        await this.#identify(said, call.signal)
      }
      const known = this.#options.wire.cluster !== null
      const address = known ? this.#next(tried) : null
      if (address === null) {
        hint = (await this.#otherCluster(foreign, tried)) ?? hint
        foreign.clear()
        const spentMs = clock.nowMs() - sinceMs
        if (spentMs >= this.#budgetMs(call)) throw new NoMasterError(spentMs, said, hint)
        onWaiting(said, spentMs)
        if (spentMs >= FIND_AFTER_MS) void this.#find()
        await pause(clock, pauseMs(round, retry, random()), call.signal)
        if (call.signal.aborted) throw new ClosedError()
        round += 1
        tried.clear()
        continue
      }
      tried.add(address)
      try {
        const answer = await this.#ask(address, call)
        this.#active = address
        this.#anybodyThere = true
        this.#confirm()
        return answer
      } catch (error) {
        if (call.signal.aborted) throw new ClosedError()
        if (!mayBeAskedAgain(error)) throw error
        said.set(address, error.message)
        if (error.code === 'OTHER_CLUSTER' && error.cluster !== null) {
          foreign.set(address, error.cluster)
        }
        this.#note(address, error)
      }
    }
  }

  /**
   * Before the first call, and again while nobody has told. Throws OTHER_CLUSTER where two clusters
   * answer, and where a silent master may be of another one.
   */
  async #identify(said: Map<string, string>, signal: AbortSignal): Promise<void> {
    const { wire, cluster } = this.#options
    this.#expected ??= cluster.expected()
    const expected = await this.#expected
    // Another call may have found it out meanwhile.
    wire.cluster ??= expected
    if (wire.cluster !== null) return
    const told = await whoAnswers(wire, this.#known, signal)
    if (signal.aborted) throw new ClosedError()
    const answering = onlyCluster(told)
    for (const { address, error } of told) {
      if (error instanceof RpcError) said.set(address, error.message)
      if (error instanceof RpcError && error.cluster !== null) this.#anybodyThere = true
    }
    if (answering === null) return
    const silent = told.some((one) => one.cluster === null)
    if (silent && !(await silentAreOf(answering, { wire, told, signal }))) return
    if (signal.aborted) throw new ClosedError()
    this.#isGuess = silent
    wire.cluster ??= answering
  }

  #confirm(): void {
    const { wire, cluster } = this.#options
    if (wire.cluster === null) return
    this.#confirmed ??= this.#isGuess ? Promise.resolve() : cluster.confirmed(wire.cluster)
  }

  /**
   * After a round in which masters of other clusters answered and none of ours: perhaps our cluster has got a new id.
   * Resolves to what to do about it, if there is nothing to be done here; rejects where every master has said so.
   */
  async #otherCluster(
    foreign: ReadonlyMap<string, string>,
    tried: ReadonlySet<string>,
  ): Promise<string | null> {
    const { wire, cluster } = this.#options
    const [other] = new Set(foreign.values())
    if (other === undefined || this.#confirmed !== null) return null
    try {
      wire.cluster = await cluster.instead(other)
      return null
    } catch (error) {
      if (foreign.size < tried.size) return messageOf(error)
      throw new RpcError('OTHER_CLUSTER', messageOf(error), { cause: error })
    }
  }

  /** Resolves when what was learnt of the cluster is written down. */
  async close(): Promise<void> {
    await this.#confirmed
  }

  #budgetMs(call: MasterCall): number {
    const { retry } = this.#options
    const wholeMs = call.budgetMs ?? budgetMs(retry)
    return this.#anybodyThere ? wholeMs : Math.min(wholeMs, retry.nobodyMs)
  }

  #next(tried: ReadonlySet<string>): string | null {
    if (this.#active !== null && !tried.has(this.#active)) return this.#active
    return this.#known.find((address) => !tried.has(address)) ?? null
  }

  #note(address: string, error: RpcError): void {
    const isNobody = reachedNobody(error) || error.code === 'OTHER_CLUSTER'
    if (!isNobody) {
      this.#anybodyThere = true
      // It names our cluster in whatever it answers.
      if (error.cluster !== null) this.#confirm()
    }
    if (error.active !== null && error.active !== address) this.#learn(error.active)
    else if (this.#active === address) this.#active = null
  }

  #learn(address: string): void {
    if (splitHostPort(address) === null) return
    this.#active = address
    this.#add(address)
  }

  #add(address: string): void {
    if (this.#known.includes(address)) return
    const given = this.#options.masters.length
    if (this.#known.length >= given + MOST_LEARNED) this.#known.splice(given, 1)
    this.#known.push(address)
  }

  /** For the next round; never rejects. */
  async #find(): Promise<void> {
    const { clock, findMore } = this.#options
    if (clock.nowMs() < this.#findAfterMs) return
    this.#findAfterMs = Number.POSITIVE_INFINITY
    try {
      for (const { client, catalog } of await findMore()) {
        this.#catalogs.set(client, catalog)
        this.#add(client)
      }
    } catch {
      // Whoever can't be told of others goes on with those that are known, and hears what they say.
    } finally {
      this.#findAfterMs = clock.nowMs() + FIND_EVERY_MS
    }
  }

  /** One request; given up as TIMEOUT or UNAVAILABLE once another master turns out to be active. */
  async #ask(address: string, call: MasterCall): Promise<unknown> {
    const { clock, wire } = this.#options
    const { service, method, message, deadlineMs, signal } = call
    const moved = new AbortController()
    const leave = (): void => moved.abort()
    signal.addEventListener('abort', leave)
    let answered = false
    const look = async (): Promise<void> => {
      if (answered) return
      const active = await this.#lookElsewhere(address, moved.signal)
      if (answered) return
      if (active === null) {
        cancel = clock.after(LOOK_EVERY_MS, () => void look())
        void this.#find()
      } else {
        this.#learn(active)
        moved.abort()
      }
    }
    let cancel = clock.after(call.patienceMs, () => void look())
    if (signal.aborted) leave()
    try {
      const at = service === 'client' ? address : this.#catalogOf(address)
      const options = { deadlineMs, signal: moved.signal }
      if (method === 'submit' && !this.#named.has(address)) {
        // One of an older state passes over the cluster's name: it would make the change, and only its answer be refused.
        await wire.call(address, '/rpc/client/status', {}, options)
        this.#named.add(address)
      }
      const path = `/rpc/${service}/${method}`
      const token = call.isOpen === true ? null : await this.token()
      const { body, term } = await wire.call(at, path, message, { ...options, token })
      this.#requireNewestTerm(address, term)
      return body
    } finally {
      answered = true
      cancel()
      moved.abort()
      signal.removeEventListener('abort', leave)
    }
  }

  /** Whoever has seen a term takes no answer from an older one. */
  #requireNewestTerm(address: string, term: number | null): void {
    if (term === null) return
    if (term < this.#term) {
      const text = `${address} answers under term ${term}, and term ${this.#term} has been seen`
      throw new RpcError('NOT_ACTIVE', text)
    }
    this.#term = term
  }

  /** Another master that says that it is active; never rejects. */
  async #lookElsewhere(silent: string, signal: AbortSignal): Promise<string | null> {
    const others = this.#known.filter((address) => address !== silent)
    const options = { deadlineMs: LOOK_DEADLINE_MS, signal }
    const asked = others.map(async (address) => {
      await this.#options.wire.call(address, '/rpc/client/status', {}, options)
      return address
    })
    // None of them is active: what they say instead is told by the next round.
    return Promise.any(asked).catch(() => null)
  }

  #catalogOf(client: string): string {
    const known = this.#catalogs.get(client)
    const split = splitHostPort(client)
    if (known !== undefined || split === null) return known ?? client
    return joinHostPort({ host: split.host, port: split.port + this.#distance })
  }
}

const portOf = (address: string): number => splitHostPort(address)?.port ?? 0
