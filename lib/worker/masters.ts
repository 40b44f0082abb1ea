/**
 * The masters that this worker knows from its configuration, and which of them is active: asked all at once, the first
 * that says so and shows a term that counts here is it. Clients are kept, connections too.
 *
 * A master that was added to the configuration after this worker's start may be the one that takes over, so the list is
 * read again before each search. A master may have a configuration of its own and stand in nobody else's: when none of
 * the list is active, the cluster's directory is asked for its members as well, and nobody waits for it, since its mount
 * may hang. None is forgotten: who is taken off the list stays a member until it is stopped.
 *
 * A master of another cluster is none of ours, however it came into the list: it is told of and never followed.
 */

import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import type { Clock } from '../base/time.ts'
import { RpcClient } from '../call/index.ts'
import { RpcError } from '../rpc/index.ts'

export interface MasterAddresses {
  readonly tracker: string
  readonly catalog: string
}

interface MastersOptions {
  readonly addresses: readonly MasterAddresses[]
  /** The list as it is now; rejects when it can't be read. */
  readonly readAddresses: () => Promise<readonly MasterAddresses[]>
  /** The members that the cluster's directory knows; rejects when it can't be read. */
  readonly readMembers: () => Promise<readonly MasterAddresses[]>
  readonly clusterId: () => string | null
  readonly secret: () => string
  /** A master of another cluster answered, and none of ours: perhaps ours has been made anew. */
  readonly onForeign: () => void
  /** The newest term that counts here: who shows an older one is none of ours any more. */
  readonly term: () => number
  /** Why a master's term does not count here; null where it does. Never rejects. */
  readonly doubt: (term: number) => Promise<string | null>
  /** None is active but one whose term does not count: a sentence that names it. */
  readonly onDoubted: (why: string) => void
  readonly clock: Clock
  readonly log: Log
}

/** It said that it is active under a term that does not count here. */
class DoubtedTerm extends Error {}

interface MasterCalls {
  readonly addresses: MasterAddresses
  readonly tracker: RpcClient<'tracker'>
  readonly catalog: RpcClient<'catalog'>
}

interface KnownMaster extends MasterCalls {
  /** Under which it was found active last: it is spoken to under this one, or under a newer one that counts here. */
  readonly said: { term: number }
}

export interface ActiveMaster extends MasterCalls {
  readonly term: number
}

/** An active master answers in a millisecond; a frozen one must not hold up the answer of the other. */
const ASK_MS = 1000
const CONNECT_MS = 1000
/** Between two looks into the directory. */
const LOOK_EVERY_MS = 1000
/** How often they are told that this worker has another directory, or none. */
const ASTRAY_EVERY_MS = 1000
/** A foreign master is told of again after so long. */
const TOLD_EVERY_MS = 60_000

export class Masters {
  readonly #options: MastersOptions
  readonly #masters: KnownMaster[] = []
  #unread: string | null = null
  #closed = false
  #looking = false
  #unseen: string | null = null
  #lookedMs = Number.NEGATIVE_INFINITY
  /** When which foreign master was told of. */
  readonly #toldMs = new Map<string, number>()
  #astrayMs = Number.NEGATIVE_INFINITY

  constructor(options: MastersOptions) {
    this.#options = options
    for (const addresses of options.addresses) this.#add(addresses)
  }

  /** Null: none says so now. */
  async findActive(signal: AbortSignal): Promise<ActiveMaster | null> {
    await this.#readAgain()
    try {
      return await Promise.any(this.#masters.map((master) => this.#ask(master, signal)))
    } catch (error) {
      // Each of them has refused or is out of reach, as in every moment between two active ones.
      for (const one of (error as AggregateError).errors) this.#tell(one)
      void this.#lookIntoDirectory()
      return null
    }
  }

  /**
   * That this worker can't register, and why, to all of them: nobody would hear of it otherwise. Not more often than once a
   * second, and never rejects: who is not there can't be told.
   */
  async tellAstray(request: {
    readonly workerId: string
    readonly host: string
    readonly why: string
  }): Promise<void> {
    const { clock, log } = this.#options
    if (this.#closed || clock.nowMs() - this.#astrayMs < ASTRAY_EVERY_MS) return
    this.#astrayMs = clock.nowMs()
    await this.#readAgain()
    await Promise.all(
      this.#masters.map(async ({ addresses: { tracker } }) => {
        // It may not know which cluster this is, and shows it no secret of another one.
        const nobody = { clusterId: () => null, secret: () => '', term: () => 0, clock }
        const client = new RpcClient('tracker', tracker, {
          ...nobody,
          connectTimeoutMs: CONNECT_MS,
        })
        try {
          await client.call('astray', request, { deadlineMs: ASK_MS })
        } catch (error) {
          log('debug', `${tracker} was not told: ${messageOf(error)}`, { event: 'master-untold' })
        } finally {
          await client.close()
        }
      }),
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(
      this.#masters.flatMap(({ tracker, catalog }) => [tracker.close(), catalog.close()]),
    )
  }

  #add(addresses: MasterAddresses): void {
    const { term } = this.#options
    const said = { term: 0 }
    const client = {
      ...this.#options,
      term: () => Math.max(said.term, term()),
      connectTimeoutMs: CONNECT_MS,
    }
    this.#masters.push({
      addresses,
      said,
      tracker: new RpcClient('tracker', addresses.tracker, client),
      catalog: new RpcClient('catalog', addresses.catalog, client),
    })
  }

  async #readAgain(): Promise<void> {
    const { log, readAddresses } = this.#options
    let list: readonly MasterAddresses[]
    try {
      list = await readAddresses()
      this.#unread = null
    } catch (error) {
      const why = messageOf(error)
      // Searches follow each other quickly; once is enough.
      if (why !== this.#unread)
        log('warn', `the list of masters stays as it was: ${why}`, { event: 'masters-list-kept' })
      this.#unread = why
      return
    }
    this.#learn(list)
  }

  /** Looks into the directory, for the next search. Never rejects. */
  async #lookIntoDirectory(): Promise<void> {
    const { clock, log, readMembers } = this.#options
    if (this.#looking || clock.nowMs() - this.#lookedMs < LOOK_EVERY_MS) return
    this.#looking = true
    try {
      this.#learn(await readMembers())
      this.#unseen = null
    } catch (error) {
      const why = messageOf(error)
      if (why !== this.#unseen)
        log('warn', `the cluster's directory tells no masters: ${why}`, { event: 'masters-unread' })
      this.#unseen = why
    } finally {
      this.#looking = false
      this.#lookedMs = clock.nowMs()
    }
  }

  #tell(error: unknown): void {
    if (error instanceof DoubtedTerm) this.#options.onDoubted(error.message)
    if (!RpcError.is(error, 'OTHER_CLUSTER')) return
    const { clock, log, onForeign } = this.#options
    onForeign()
    const nowMs = clock.nowMs()
    if (nowMs - (this.#toldMs.get(error.message) ?? Number.NEGATIVE_INFINITY) < TOLD_EVERY_MS)
      return
    this.#toldMs.set(error.message, nowMs)
    const what = 'either tajo.rootdir or conf/masters is wrong, here or there'
    log('error', `${error.message}: ${what}. This worker does not register there`, {
      event: 'foreign-master-refused',
    })
  }

  #learn(list: readonly MasterAddresses[]): void {
    if (this.#closed) return
    for (const addresses of list) {
      if (this.#masters.some((known) => known.addresses.tracker === addresses.tracker)) continue
      this.#add(addresses)
      this.#options.log('info', `one more master is known: ${addresses.tracker}`, {
        event: 'master-learnt',
      })
    }
  }

  async #ask({ said, ...master }: KnownMaster, signal: AbortSignal): Promise<ActiveMaster> {
    const { term, doubt } = this.#options
    const { epoch } = await master.tracker.call('status', {}, { deadlineMs: ASK_MS, signal })
    const why = await doubt(epoch)
    const { tracker } = master.addresses
    if (why !== null) throw new DoubtedTerm(`master ${tracker} says that it is active, but ${why}`)
    // Perhaps the look has shown a newer one.
    if (epoch < term()) throw new Error(`term ${epoch} is over`)
    said.term = epoch
    return { ...master, term: epoch }
  }
}
