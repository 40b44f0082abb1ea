/**
 * This is the master's ear at the others: one watch stream to each known peer. What it hears makes the election look at the
 * shared directory at once instead of at its next turn: the stream broke, fell silent, or told of a change. None of it
 * ends a lease.
 */

import { messageOf } from '../../base/failures.ts'
import { splitHostPort } from '../../base/host-port.ts'
import type { Log } from '../../base/log.ts'
import { type Clock, pause } from '../../base/time.ts'
import { RpcClient } from '../../call/index.ts'
import type { Announcement, Standing } from '../../contract/index.ts'
import { RpcError } from '../../rpc/index.ts'

interface PeersOptions {
  /** This master's own umbilical address. */
  readonly self: string
  readonly clusterId: () => string
  readonly secret: () => string
  readonly term: () => number
  readonly clock: Clock
  readonly log: Log
  /** How often a sign of life is wanted on a stream, whatever the peer's own periods are. */
  readonly beatMs: number
  /** So long a silence on a stream means a frozen peer. */
  readonly silenceMs: number
  readonly hint: (why: string) => void
  readonly onStanding: (standing: Standing) => void
  /** The stream of that peer has broken. */
  readonly onBroken: (address: string) => void
}

const FIRST_RETRY_MS = 100
const LONGEST_RETRY_MS = 5000
const CALL_MS = 2000

export class Peers {
  readonly #options: PeersOptions
  readonly #peers = new Map<string, Peer>()

  constructor(options: PeersOptions) {
    this.#options = options
  }

  /**
   * The masters that the shared directory shows now: new ones are watched. One that it doesn't show any more is given
   * up when its stream is broken too: a suspended active is in no list, and yet the one to keep an ear on.
   */
  follow(addresses: readonly string[]): void {
    // The directory may hold files of strangers: what is no address can't be connected to.
    const wanted = new Set(
      addresses.filter((one) => one !== this.#options.self && splitHostPort(one) !== null),
    )
    for (const [address, peer] of this.#peers) {
      if (wanted.has(address) || peer.connected) continue
      this.#peers.delete(address)
      void peer.close()
    }
    for (const address of wanted) {
      if (!this.#peers.has(address)) this.#peers.set(address, new Peer(address, this.#options))
    }
  }

  /** Tells all; resolves when each has answered or failed. A peer that misses it finds out by its next look. */
  async announce(news: Announcement): Promise<void> {
    await Promise.all([...this.#peers.values()].map((peer) => peer.announce(news)))
  }

  /** How that peer stands now, by its own word; null when it gives none. */
  async ask(address: string): Promise<Standing | null> {
    return (await this.#peers.get(address)?.ask()) ?? null
  }

  /** When the last sign of life came on the stream that has been silent longest, if that is more than `limitMs` ago. */
  quietSinceMs(limitMs: number): number | null {
    const latest = this.#options.clock.nowMs() - limitMs
    const times = [...this.#peers.values()].flatMap(({ signMs }) => signMs ?? [])
    const quiet = times.filter((ms) => ms < latest)
    return quiet.length === 0 ? null : Math.min(...quiet)
  }

  /** How many streams are open. */
  get connected(): number {
    return [...this.#peers.values()].filter((peer) => peer.connected).length
  }

  /** Whether its stream is open. */
  isConnected(address: string): boolean {
    return this.#peers.get(address)?.connected ?? false
  }

  async close(): Promise<void> {
    const peers = [...this.#peers.values()]
    this.#peers.clear()
    await Promise.all(peers.map((peer) => peer.close()))
  }
}

class Peer {
  readonly #address: string
  readonly #options: PeersOptions
  readonly #client: RpcClient<'umbilical'>
  readonly #ended = new AbortController()
  #last: Standing | null = null
  #signMs: number | null = null
  #retryMs = FIRST_RETRY_MS

  constructor(address: string, options: PeersOptions) {
    this.#address = address
    this.#options = options
    this.#client = new RpcClient('umbilical', address, {
      clusterId: options.clusterId,
      secret: options.secret,
      term: options.term,
      clock: options.clock,
      connectTimeoutMs: Math.max(500, options.silenceMs),
    })
    void this.#run()
  }

  get connected(): boolean {
    return this.#last !== null
  }

  /** Of the newest sign of life on the stream that is open or broke last; null before the first. */
  get signMs(): number | null {
    return this.#signMs
  }

  async announce(news: Announcement): Promise<void> {
    try {
      await this.#client.call('announce', news, this.#callOptions())
    } catch (error) {
      this.#options.log('debug', `${this.#address} was not told of term ${news.epoch}`, {
        event: 'peer-untold',
        error,
      })
    }
  }

  async ask(): Promise<Standing | null> {
    try {
      return await this.#client.call('status', {}, this.#callOptions())
    } catch (error) {
      this.#options.log('debug', `${this.#address} does not tell how it stands`, {
        event: 'peer-silent',
        error,
      })
      return null
    }
  }

  async close(): Promise<void> {
    this.#ended.abort()
    await this.#client.close()
  }

  #callOptions(): { deadlineMs: number; signal: AbortSignal } {
    return { deadlineMs: CALL_MS, signal: this.#ended.signal }
  }

  async #run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      try {
        await this.#client.stream(
          'watch',
          { from: this.#options.self },
          {
            beatMs: this.#options.beatMs,
            silenceMs: this.#options.silenceMs,
            onSign: () => {
              this.#signMs = this.#options.clock.nowMs()
            },
            signal: this.#ended.signal,
            onLine: (line) => this.#onLine(line),
          },
        )
      } catch (error) {
        this.#onBroken(error)
      }
      await this.#pause()
    }
  }

  #onLine(line: Standing): void {
    const last = this.#last
    this.#last = line
    this.#retryMs = FIRST_RETRY_MS
    if (last === null)
      this.#options.log('info', `connected to ${this.#address}`, {
        event: 'peer-connected',
        ...line,
      })
    if (last?.state !== line.state || last.epoch !== line.epoch || last.active !== line.active) {
      this.#options.hint(`${this.#address} is ${line.state} in term ${line.epoch}`)
    }
    this.#options.onStanding(line)
  }

  #onBroken(error: unknown): void {
    if (this.#ended.signal.aborted) return
    const { log, hint } = this.#options
    const stale = RpcError.is(error, 'STALE_EPOCH')
    if (this.#last !== null) this.#options.onBroken(this.#address)
    if (this.#last !== null || stale) hint(`${this.#address}: ${messageOf(error)}`)
    if (stale) void this.#lookAtNewer()
    const level = this.#last === null ? 'debug' : 'warn'
    log(level, `not connected to ${this.#address} any more: ${messageOf(error)}`, {
      event: 'peer-disconnected',
    })
    this.#last = null
  }

  /** It knows a newer term than this master. Should both serve, neither stream would ever open to tell. */
  async #lookAtNewer(): Promise<void> {
    const standing = await this.ask()
    if (standing !== null) this.#options.onStanding(standing)
  }

  /** Grows while nobody answers: a peer that is gone for good costs next to nothing. */
  #pause(): Promise<void> {
    const delayMs = this.#retryMs
    this.#retryMs = Math.min(LONGEST_RETRY_MS, delayMs * 2)
    return pause(this.#options.clock, delayMs, this.#ended.signal)
  }
}
