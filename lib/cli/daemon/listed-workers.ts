/**
 * Which workers `conf/workers` lists, for the masters: the file as it is now, read again when it is asked for and a while
 * has passed, since no event comes for what another host changes on a network file system.
 *
 * A worker started by the scripts is called as its line is. One that was started otherwise calls itself by its host's
 * name, and a host has several, so names are compared by what they resolve to here as well. What counts is where a worker
 * answers: with the name of a line, and orders to it going elsewhere, it is on no line. A line with a loopback name is
 * this very host, by whatever name.
 */
import { isIP } from 'node:net'
import { messageOf } from '../../base/failures.ts'
import { splitHostPort } from '../../base/host-port.ts'
import type { Log } from '../../base/log.ts'
import type { Clock } from '../../base/time.ts'
import { type HostEntry, hostIdentity, isLoopback, readWorkers } from '../../conf/index.ts'
import type { Listing } from '../../master/index.ts'
import type { HostFacts } from '../address.ts'

interface ListedWorkersOptions {
  readonly confDir: string
  /** The peer port of a line that names none. */
  readonly defaultPort: number
  readonly facts: HostFacts
  /** The file is read again after so long. */
  readonly everyMs: number
  readonly clock: Clock
  readonly log: Log
}

/** What a name resolves to is remembered for so long. */
const RESOLVED_MS = 60_000
/** What all names of this host have in common, and no host is called. */
const HERE = '(this host)'

export class ListedWorkers {
  readonly #options: ListedWorkersOptions
  /** Null: there is no such file. */
  #entries: readonly HostEntry[] | null = null
  /** By name and port. */
  #named: ReadonlySet<string> = new Set()
  #lines: {
    readonly made: Promise<ReadonlyMap<string, readonly number[]>>
    readonly version: number
    readonly untilMs: number
  } | null = null
  #text = ''
  #version = 0
  #readMs = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | null = null
  #unread: string | null = null
  readonly #resolved = new Map<string, { readonly at: Promise<Set<string>>; untilMs: number }>()

  constructor(options: ListedWorkersOptions) {
    this.#options = options
  }

  /** Reads the file where that is due; another number than before: it lists others. Never rejects. */
  async version(): Promise<number> {
    const { clock, everyMs } = this.#options
    if (clock.nowMs() - this.#readMs >= everyMs) {
      this.#reading ??= this.#read().finally(() => {
        this.#reading = null
      })
      await this.#reading
    }
    return this.#version
  }

  /** `workerId` and `qm`, where it takes orders: `host:port`. Never rejects. */
  async judge({ workerId, qm }: { workerId: string; qm: string }): Promise<Listing> {
    await this.version()
    const [name, orders] = [splitHostPort(workerId), splitHostPort(qm)]
    if (this.#entries === null) return 'no-list'
    if (name === null || orders === null) return 'unlisted'
    if (same(name.host, orders.host) && this.#named.has(lineKey(name.host, name.port)))
      return 'listed'
    const lines = await this.#linesByAddress()
    const linesOf = async (host: string): Promise<Set<number>> => {
      const found = new Set<number>()
      for (const address of await this.#at(host)) {
        for (const line of lines.get(lineKey(address, name.port)) ?? []) found.add(line)
      }
      return found
    }
    const [ofName, ofOrders] = await Promise.all([linesOf(name.host), linesOf(orders.host)])
    return [...ofName].some((line) => ofOrders.has(line)) ? 'listed' : 'unlisted'
  }

  /** Which lines mean a host with that address and port; made once for a list, since there may be thousands. */
  #linesByAddress(): Promise<ReadonlyMap<string, readonly number[]>> {
    const { clock } = this.#options
    const known = this.#lines
    if (known !== null && known.version === this.#version && clock.nowMs() < known.untilMs)
      return known.made
    const made = this.#makeLines(this.#entries ?? [])
    this.#lines = { made, version: this.#version, untilMs: clock.nowMs() + RESOLVED_MS }
    return made
  }

  /** One name after the other: the resolver has few threads, which files need as well. */
  async #makeLines(entries: readonly HostEntry[]): Promise<Map<string, number[]>> {
    const lines = new Map<string, number[]>()
    for (const { host, port, line } of entries) {
      for (const address of await this.#at(host)) {
        const key = lineKey(address, port ?? this.#options.defaultPort)
        lines.set(key, [...(lines.get(key) ?? []), line])
      }
    }
    return lines
  }

  async #read(): Promise<void> {
    const { confDir, defaultPort, clock, log } = this.#options
    try {
      const { entries, warnings } = await readWorkers(confDir, defaultPort)
      // One that is missing is told as a warning.
      const isThere = entries.length > 0 || warnings.length === 0
      const text = isThere ? entries.map(({ name }) => name).join('\n') : 'none'
      if (text !== this.#text) this.#version += 1
      this.#text = text
      this.#entries = isThere ? entries : null
      this.#named = new Set(entries.map(({ host, port }) => lineKey(host, port ?? defaultPort)))
      this.#unread = null
    } catch (error) {
      const why = messageOf(error)
      if (why !== this.#unread)
        log('warn', `the list of workers stays as it was: ${why}`, { event: 'workers-list-kept' })
      this.#unread = why
    }
    this.#readMs = clock.nowMs()
  }

  /** What the host is, by its addresses. */
  #at(host: string): Promise<Set<string>> {
    const { clock } = this.#options
    const known = this.#resolved.get(host)
    if (known !== undefined && clock.nowMs() < known.untilMs) return known.at
    const at = this.#resolve(host)
    if (this.#resolved.size >= MOST_RESOLVED) this.#resolved.clear()
    this.#resolved.set(host, { at, untilMs: clock.nowMs() + RESOLVED_MS })
    return at
  }

  async #resolve(host: string): Promise<Set<string>> {
    const { facts } = this.#options
    const addresses = isIP(host) === 0 ? await facts.resolve(host) : [host]
    const isHere = (address: string): boolean => isLoopback(address) || facts.addresses.has(address)
    const all = new Set([...addresses, hostIdentity(host.toLowerCase())])
    if (isLoopback(host) || addresses.some(isHere)) all.add(HERE)
    return all
  }
}

/** Anybody may name hosts who has the secret. */
const MOST_RESOLVED = 50_000

const same = (a: string, b: string): boolean =>
  hostIdentity(a.toLowerCase()) === hostIdentity(b.toLowerCase())
const lineKey = (host: string, port: number): string =>
  `${hostIdentity(host.toLowerCase())} ${port}`
