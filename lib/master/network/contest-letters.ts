/**
 * Letters of the contest (lib/ha, contest.ts) go over the network: to the other masters' umbilical ports, and from them.
 *
 * Masters whose directories are two may name one cluster, show one secret and know different terms (a restored copy), or
 * name two clusters. So neither terms nor the cluster are looked at on the way; who knows the secret shows it by a seal
 * over what he says. Without it nothing is believed but what somebody answers at an address in conf/masters, and only
 * that he belongs to another cluster, where he lists this master as well: a list that names a stranger by mistake bars
 * nobody.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { splitHostPort } from '../../base/host-port.ts'
import type { Log } from '../../base/log.ts'
import type { Clock } from '../../base/time.ts'
import { RpcClient } from '../../call/index.ts'
import {
  type ContestAnswer,
  type ContestRequest,
  contestLetter,
  contestReply,
} from '../../contract/index.ts'
import type { ContestFacts, Delivery, Letter, LetterReply } from '../../ha/index.ts'
import { RpcError } from '../../rpc/index.ts'

interface LettersOptions {
  readonly clusterId: () => string
  readonly secret: () => string
  readonly term: () => number
  /** Umbilical addresses in conf/masters. */
  readonly listed: () => readonly string[]
  /** The member's own answer to a letter of our cluster. */
  readonly take: (letter: Letter) => Promise<LetterReply>
  /** What this master would say of itself; null before its keeper's first look. */
  readonly facts: () => ContestFacts | null
  /** Somebody at that address has called whose word does not count: he is to be asked. */
  readonly suspect: (address: string) => void
  /** For a whole letter, ms. */
  readonly limitMs: number
  readonly clock: Clock
  readonly log: Log
}

export class ContestLetters {
  readonly #options: LettersOptions
  readonly #clients = new Map<string, RpcClient<'umbilical'>>()
  readonly #ended = new AbortController()

  constructor(options: LettersOptions) {
    this.#options = options
  }

  /** Never rejects. */
  async deliver(to: string, letter: Letter): Promise<Delivery> {
    if (splitHostPort(to) === null || this.#ended.signal.aborted) return { is: 'unreachable' }
    const { limitMs, log } = this.#options
    try {
      const seal = sealed(this.#options.secret(), 'letter', contestLetter.parse(letter))
      const options = { deadlineMs: Math.ceil(limitMs), signal: this.#ended.signal }
      return this.#read(to, seal, await this.#client(to).call('contest', { letter, seal }, options))
    } catch (error) {
      log('debug', `no contest with ${to}`, { event: 'contest-failed', error })
      return { is: whatFailed(error) }
    }
  }

  /** By whoever has sent it. Rejects UNAVAILABLE when nothing can be said now. */
  async take({ letter, seal }: ContestRequest): Promise<ContestAnswer> {
    const { clusterId, secret, listed, take, facts, suspect } = this.#options
    const lists = listed().includes(letter.address)
    if (letter.clusterId === clusterId()) {
      if (isSealed(seal, secret(), 'letter', letter)) {
        const reply = await take(letter)
        return {
          reply,
          facts: null,
          lists,
          seal: sealed(secret(), seal, contestReply.parse(reply)),
        }
      }
      if (lists) suspect(letter.address)
      throw new RpcError('FORBIDDEN', "the letter's seal is not by this cluster's secret")
    }
    const own = facts()
    if (own === null)
      throw new RpcError('UNAVAILABLE', 'this master has not looked at its directory')
    if (lists) suspect(letter.address)
    return { reply: null, facts: own, lists, seal: '' }
  }

  async close(): Promise<void> {
    this.#ended.abort()
    await Promise.all([...this.#clients.values()].map((client) => client.close()))
  }

  #read(to: string, asked: string, { reply, facts, lists, seal }: ContestAnswer): Delivery {
    const { clusterId, secret, listed } = this.#options
    if (reply !== null) {
      const known = reply.clusterId === clusterId() && isSealed(seal, secret(), asked, reply)
      return known ? { is: 'answered', reply } : { is: 'wrong-secret' }
    }
    const stranger = facts !== null && facts.clusterId !== clusterId()
    // Whom one of the two does not list is told of elsewhere (foreign-masters.ts).
    if (!stranger || !lists || !listed().includes(to)) return { is: 'unreachable' }
    return { is: 'stranger', facts }
  }

  #client(address: string): RpcClient<'umbilical'> {
    const known = this.#clients.get(address)
    if (known !== undefined) return known
    const { secret, term, clock, limitMs } = this.#options
    // Whoever it is may answer.
    const made = new RpcClient('umbilical', address, {
      clusterId: () => null,
      secret,
      term,
      clock,
      connectTimeoutMs: Math.ceil(limitMs),
    })
    this.#clients.set(address, made)
    return made
  }
}

function whatFailed(error: unknown): 'unreachable' | 'older' | 'wrong-secret' {
  if (!(error instanceof RpcError)) return 'unreachable'
  if (error.code === 'FORBIDDEN') return 'wrong-secret'
  return ['NOT_FOUND', 'BAD_REQUEST', 'OTHER_CLUSTER'].includes(error.code)
    ? 'older'
    : 'unreachable'
}

/** `what`: that no letter passes for the answer to another one. */
const sealed = (secret: string, what: string, said: object): string =>
  createHmac('sha256', secret)
    .update(`${what} ${JSON.stringify(said)}`)
    .digest('hex')

function isSealed(seal: string, secret: string, what: string, said: object): boolean {
  const wanted = Buffer.from(sealed(secret, what, said))
  const shown = Buffer.from(seal)
  return wanted.length === shown.length && timingSafeEqual(wanted, shown)
}
