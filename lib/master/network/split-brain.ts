/**
 * The alarm that must never ring: another master serves while this one does.
 *
 * A line that was sent before a hand-over may arrive after it, so a suspicion is no alarm yet: the other master is asked
 * again. If it says that it serves, and this one held one and the same term from before the question until after the
 * answer, both served at one moment. Nothing here ends a lease; people must learn of it.
 *
 * One question to a witness: an address of the clients' network that is no member of the cluster, such as its gateway.
 *
 * Any answer counts, since it only has to come from there: a connection, one that is refused, the reply to a ping. With a
 * port that is asked for by TCP; without one a ping is sent, and a connection to the echo port is tried beside it, since
 * not every host has the ping program and not every gateway answers it. An address of this host answers without any
 * network, and does not count.
 */
import { execFile } from 'node:child_process'
import { lookup } from 'node:dns/promises'
import { connect, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { splitHostPort } from '../../base/host-port.ts'
import type { Log } from '../../base/log.ts'
import { type Clock, waitingClock, within } from '../../base/time.ts'
import type { Standing } from '../../contract/index.ts'
import type { Answer } from '../../ha/index.ts'
import type { Rights } from '../active-gate.ts'

const ECHO_PORT = 7

/** Never rejects; takes `limitMs` at most. */
export async function askWitness(witness: string, limitMs: number): Promise<Answer> {
  const split = splitHostPort(witness)
  const host = split?.host ?? witness.replace(/^\[(.*)\]$/, '$1')
  const ip = await addressOf(host, limitMs)
  if (ip === null || isOwn(ip)) return 'silent'
  if (split !== null) return (await connects(ip, split.port, limitMs)) ? 'answered' : 'silent'
  const tries = [connects(ip, ECHO_PORT, limitMs), pings(ip, limitMs)]
  const first = Promise.any(tries.map(async (one) => ((await one) ? true : Promise.reject())))
  return (await first.catch(() => false)) ? 'answered' : 'silent'
}

/** Names are looked up while that works; a cut network takes the name server along. */
const known = new Map<string, string>()

async function addressOf(host: string, limitMs: number): Promise<string | null> {
  if (isIP(host) !== 0) return host
  const looking = lookup(host).catch(() => null)
  const found = await within(waitingClock, limitMs / 2, looking, () => null)
  if (found !== null) known.set(host, found.address)
  return known.get(host) ?? null
}

const isOwn = (ip: string): boolean =>
  Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === ip))

function connects(host: string, port: number, limitMs: number): Promise<boolean> {
  const socket = connect({ host, port })
  const answered = new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'))
  })
  return within(waitingClock, limitMs, answered, () => false).finally(() => socket.destroy())
}

function pings(ip: string, limitMs: number): Promise<boolean> {
  const seconds = String(Math.max(1, Math.ceil(limitMs / 1000)))
  return new Promise((resolve) => {
    const options = { timeout: limitMs, killSignal: 'SIGKILL' as const }
    execFile('ping', ['-q', '-c', '1', '-W', seconds, ip], options, (error) =>
      resolve(error === null),
    )
  })
}

/** A warning stays on the status page for so long after the last time. */
const SHOWN_MS = 24 * 3600 * 1000

interface SplitBrainOptions {
  readonly rights: Rights
  readonly clock: Clock
  readonly log: Log
  /** Asks a master how it stands now; null when it doesn't answer. */
  readonly ask: (address: string) => Promise<Standing | null>
}

export class SplitBrainAlarm {
  readonly #options: SplitBrainOptions
  readonly #asking = new Set<string>()
  #last: { readonly atMs: number; readonly text: string } | null = null
  #count = 0

  constructor(options: SplitBrainOptions) {
    this.#options = options
  }

  /** How often it has rung. */
  get count(): number {
    return this.#count
  }

  warnings(): string[] {
    const last = this.#last
    return last !== null && this.#options.clock.nowMs() - last.atMs < SHOWN_MS ? [last.text] : []
  }

  /** To be called for everything that another master says of itself. */
  async heard(other: Standing): Promise<void> {
    const { rights, ask } = this.#options
    if (!other.serving || !rights.mayServe() || this.#asking.has(other.address)) return
    this.#asking.add(other.address)
    try {
      const term = rights.term()
      const now = await ask(other.address)
      if (now?.serving === true && rights.mayServe() && rights.term() === term && term !== null) {
        this.#ring(now, term)
      }
    } finally {
      this.#asking.delete(other.address)
    }
  }

  #ring(other: Standing, term: number): void {
    this.#count += 1
    const text = `two masters serve at once: ${other.address} in term ${other.epoch}, this one in term ${term}. Stop one of them now; the shared directory does not do what the protocol needs (tajo haadmin -checkSharedDir)`
    this.#last = { atMs: this.#options.clock.nowMs(), text }
    this.#options.log('error', text, {
      event: 'split-brain-heard',
      other: other.address,
      otherEpoch: other.epoch,
      term,
    })
  }
}
