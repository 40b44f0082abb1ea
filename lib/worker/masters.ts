/**
 * The masters that this worker knows from its configuration, and which of them is active: asked all at once, the first
 * that says so and shows no older term than we know is it. Clients are kept, connections too.
 */
import type { Clock } from '../base/clock.ts'
import { RpcClient } from '../rpc/client.ts'

export interface MasterAddresses {
  readonly tracker: string
  readonly catalog: string
}

export interface MastersOptions {
  readonly addresses: readonly MasterAddresses[]
  readonly secret: () => string
  readonly epoch: () => number
  readonly clock: Clock
}

export interface KnownMaster {
  readonly addresses: MasterAddresses
  readonly tracker: RpcClient<'tracker'>
  readonly catalog: RpcClient<'catalog'>
}

export interface ActiveMaster extends KnownMaster {
  readonly epoch: number
}

/** An active master answers in a millisecond; a frozen one must not hold up the answer of the other. */
const ASK_MS = 1000
const CONNECT_MS = 1000

export class Masters {
  readonly #options: MastersOptions
  readonly #masters: readonly KnownMaster[]

  constructor(options: MastersOptions) {
    this.#options = options
    const client = { ...options, connectTimeoutMs: CONNECT_MS }
    this.#masters = options.addresses.map((addresses) => ({
      addresses,
      tracker: new RpcClient('tracker', addresses.tracker, client),
      catalog: new RpcClient('catalog', addresses.catalog, client),
    }))
  }

  /** Null: none says so now. */
  async findActive(signal: AbortSignal): Promise<ActiveMaster | null> {
    try {
      return await Promise.any(this.#masters.map((master) => this.#ask(master, signal)))
    } catch {
      // Each of them has refused or is out of reach, as in every moment between two active ones.
      return null
    }
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#masters.flatMap(({ tracker, catalog }) => [tracker.close(), catalog.close()]),
    )
  }

  async #ask(master: KnownMaster, signal: AbortSignal): Promise<ActiveMaster> {
    const { epoch } = await master.tracker.call('status', {}, { deadlineMs: ASK_MS, signal })
    if (epoch < this.#options.epoch()) throw new Error(`term ${epoch} is over`)
    return { ...master, epoch }
  }
}
