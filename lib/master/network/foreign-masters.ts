/**
 * Masters that stand in conf/masters, here or there, and belong to another cluster: a mistyped `tajo.rootdir` on one host
 * makes one of what was meant to be a backup, and nothing else would ever tell, since each side sees its own directory only.
 *
 * So the listed masters that are no connected members are asked who they are, now and then, and told who asks: the other
 * side looks back at whoever asked, and both know. Nothing that a stranger says of himself is believed: only what answers
 * at his address.
 */

import { splitHostPort } from '../../base/host-port.ts'
import type { Log } from '../../base/log.ts'
import type { Clock } from '../../base/time.ts'
import { RpcClient } from '../../call/index.ts'
import { RpcError } from '../../rpc/index.ts'
import { foreignText } from '../view/cluster-view.ts'

export interface ForeignMaster {
  /** Umbilical address. */
  readonly address: string
  /** Null: it runs an older state, which names no cluster. */
  readonly clusterId: string | null
  /** `tajo.rootdir` there. */
  readonly rootDirectory: string | null
  /** In this host's conf/masters. Otherwise it has asked here, so it lists this master. */
  readonly listed: boolean
}

interface ForeignOptions {
  /** Own umbilical address. */
  readonly self: string
  readonly clusterId: string
  readonly rootDirectory: string
  /** As conf/masters lists them now. */
  readonly listed: () => readonly string[]
  /** A member whose stream is open: its answers name our cluster. */
  readonly isConnected: (address: string) => boolean
  readonly clock: Clock
  readonly log: Log
}

const LOOK_EVERY_MS = 5000
const ASK_MS = 2000
/** Who has asked here is asked back for so long after the last time. */
const HEARD_MS = 60_000
const MOST_HEARD = 16

export class ForeignMasters {
  readonly #options: ForeignOptions
  readonly #heardMs = new Map<string, number>()
  readonly #ended = new AbortController()
  #found = new Map<string, ForeignMaster>()
  /** Listed ones that answered for another cluster when they answered last; a silent one stays. */
  readonly #strangers = new Set<string>()
  #cancel = (): void => {}
  #looking: Promise<void> = Promise.resolve()

  constructor(options: ForeignOptions) {
    this.#options = options
    this.#look()
  }

  /** Those that answered so at the last look. */
  found(): readonly ForeignMaster[] {
    return [...this.#found.values()]
  }

  /** Also one that is silent by now. */
  wasForeign(address: string): boolean {
    return this.#strangers.has(address)
  }

  /** A master of another cluster asks this one, and says that it listens at `address`. */
  heard(address: string): void {
    if (address === this.#options.self || splitHostPort(address) === null) return
    this.#heardMs.delete(address)
    this.#heardMs.set(address, this.#options.clock.nowMs())
    const [oldest] = this.#heardMs.keys()
    if (this.#heardMs.size > MOST_HEARD && oldest !== undefined) this.#heardMs.delete(oldest)
  }

  async close(): Promise<void> {
    this.#ended.abort()
    this.#cancel()
    await this.#looking
  }

  #look(): void {
    this.#looking = this.#askAll().then(() => {
      if (this.#ended.signal.aborted) return
      this.#cancel = this.#options.clock.after(LOOK_EVERY_MS, () => this.#look())
    })
  }

  async #askAll(): Promise<void> {
    const asked = this.#whom()
    const answers = await Promise.all(
      [...asked].map(([address, listed]) => this.#ask(address, listed)),
    )
    if (this.#ended.signal.aborted) return
    const found = new Map<string, ForeignMaster>()
    for (const one of answers) if (one !== null) found.set(one.address, one)
    this.#tell(found)
    this.#found = found
  }

  /** Each with whether it is listed here. */
  #whom(): Map<string, boolean> {
    const { self, listed, isConnected, clock } = this.#options
    const whom = new Map<string, boolean>()
    for (const [address, atMs] of this.#heardMs) {
      if (clock.nowMs() - atMs > HEARD_MS) this.#heardMs.delete(address)
      else whom.set(address, false)
    }
    for (const address of listed()) if (splitHostPort(address) !== null) whom.set(address, true)
    for (const address of whom.keys()) {
      if (address === self || isConnected(address)) whom.delete(address)
    }
    return whom
  }

  /** Null: one of ours, or nobody. */
  async #ask(address: string, listed: boolean): Promise<ForeignMaster | null> {
    const { self, clusterId: own, clock } = this.#options
    const client = new RpcClient('umbilical', address, {
      // Whoever it is may answer.
      clusterId: () => null,
      secret: () => '',
      term: () => 0,
      clock,
      connectTimeoutMs: ASK_MS,
    })
    try {
      const options = { deadlineMs: ASK_MS, signal: this.#ended.signal }
      const from = { address: self, clusterId: own }
      const { clusterId, rootDirectory } = await client.call('status', { from }, options)
      if (clusterId === own) this.#strangers.delete(address)
      if (clusterId === null || clusterId === own) return null
      if (listed) this.#strangers.add(address)
      return { address, clusterId, rootDirectory, listed }
    } catch (error) {
      // Who does not answer is missing, which is told elsewhere.
      if (!RpcError.is(error, 'OTHER_CLUSTER')) return null
      return { address, clusterId: null, rootDirectory: null, listed }
    } finally {
      await client.close()
    }
  }

  /** Once when it begins, and when it is over. */
  #tell(found: ReadonlyMap<string, ForeignMaster>): void {
    const { log } = this.#options
    for (const one of found.values()) {
      if (this.#found.get(one.address)?.clusterId !== one.clusterId) {
        log('error', foreignText(one, this.#options), { event: 'foreign-master-found' })
      }
    }
    for (const { address } of this.#found.values()) {
      if (!found.has(address))
        log('info', `${address} answers no more for another cluster`, {
          event: 'foreign-master-gone',
        })
    }
  }
}
