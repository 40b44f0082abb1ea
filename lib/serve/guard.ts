/**
 * Who may speak here: daemons in the cluster's name, and clients in their own.
 *
 * In the cluster's name speaks whoever means this cluster, has proven its secret and knows no older term than we do.
 * The cluster comes first: secrets and terms of two clusters are never compared.
 *
 * The secret is proven when a connection is made (keyed-port.ts), by the key that is derived from it. A connection counts
 * as long as its key does: when this process has another secret, those of the former one are refused.
 *
 * The term is the fencing token: whoever has seen n refuses n−1. A refused message is counted and never acted upon. Seen
 * means in the directory. A newer term than ours, of a caller that has proven the secret, is a hint to look there, and
 * refuses nobody: one message with a large number would part this process from all others for good.
 *
 * A client shows a token, which the cluster's secret has sealed: an administrator's, or a user's.
 *
 * What the server asks of whoever knows whether this process may act as the active master. `master/active-gate.ts` is
 * the real one.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { type Caller, readToken, Seals } from '../access/index.ts'
import {
  clusterKey,
  clusterOfIdentity,
  EPOCH_HEADER,
  type Key,
  RpcError,
  requireForUs,
  TOKEN_HEADER,
  whoKey,
} from '../rpc/index.ts'

/** The right to answer one request under one term. */
export interface Pass {
  readonly term: number
  /** Aborts when the term is lost: the work under it is in vain. */
  readonly signal: AbortSignal
  /** To be called right before the answer is sent: throws NOT_ACTIVE if the term is lost meanwhile. */
  confirm(): void
  /** The answer is out, or there is none. */
  leave(): void
}

export interface Gate {
  /** Throws NOT_ACTIVE, naming the active master if it is known. */
  enter(): Pass
}

/** `tajo.security.authentication`. `none`: whoever reaches a port may do what a client may. */
export type Authentication = 'password' | 'none'

interface GuardOptions {
  readonly authentication: Authentication
  /** By which tokens end. */
  readonly wallMs: () => number
  /** The newest term that this process knows from the directory. */
  readonly term: () => number
  /** A caller with the proven secret says a newer term. Rejects with RpcError where its message may not be taken for that. */
  readonly onNewerTerm: (term: number) => void | Promise<void>
  readonly onRefused: (what: Refused, from: string, error: RpcError) => void
}

/** What a message was refused for. */
export type Refused = 'cluster' | 'secret' | 'epoch' | 'token'

/** What a process has to know of its cluster before it lets anybody in. */
export interface Membership {
  readonly clusterId: string
  readonly secret: string
  /** What is shown to people's programs. Left out: such ports take nobody but those with the key. */
  readonly certificate?: Certificate
}

/** PEM. */
export interface Certificate {
  readonly key: string
  /** With those by which it is signed behind it. */
  readonly chain: string
  /** By whom. */
  readonly authority: string
}

const TOKEN_FAULTS = {
  missing: 'log in first: this cluster asks for a password (tajo.security.authentication)',
  strange: "the token is none of this cluster's: log in again",
  ended: 'the token has ended: log in again',
} as const

/** Terms have ten digits in file names. */
const LARGEST_TERM = 9_999_999_999

interface Joined extends Membership {
  /** Of its connections. */
  readonly key: Key
  /** Of its tokens. */
  readonly seals: Seals
}

export class Guard {
  /** Null until the cluster is joined, or where it has none. */
  certificate: Certificate | null = null
  readonly refused: Record<Refused, number> = {
    cluster: 0,
    secret: 0,
    epoch: 0,
    token: 0,
  }
  readonly #options: GuardOptions
  #joined: Joined | null = null

  constructor(options: GuardOptions) {
    this.#options = options
  }

  /** Until it is called nobody gets in: UNAVAILABLE. */
  join({ clusterId, secret, certificate }: Membership): void {
    if (certificate !== undefined) this.certificate = certificate
    const same = this.#joined?.clusterId === clusterId && this.#joined.secret === secret
    if (same) return
    const key = clusterKey(clusterId, secret)
    this.#joined = { clusterId, secret, key, seals: new Seals(secret) }
  }

  /** Null until the cluster is joined. */
  get clusterId(): string | null {
    return this.#joined?.clusterId ?? null
  }

  /** The newest term that the directory has shown. */
  term(): number {
    return this.#options.term()
  }

  /**
   * What a connection has to be made with whose caller names that identity; null: with nothing, it comes to no connection.
   * `from` is for logs.
   */
  keyOf(identity: string, from: string): Key | null {
    if (identity === whoKey.identity) return whoKey
    if (identity === this.#joined?.key.identity) return this.#joined.key
    const named = clusterOfIdentity(identity)
    if (this.#joined !== null && named !== null) {
      const text = `this is cluster ${this.#joined.clusterId}, and a connection was for ${named}`
      this.#refuse('cluster', from, new RpcError('OTHER_CLUSTER', text))
    }
    return null
  }

  /** Somebody has named this cluster, and its key was not his. */
  refuseKey(from: string): void {
    const text = "a connection was not made with this cluster's secret, but with another one"
    this.#refuse('secret', from, new RpcError('FORBIDDEN', text))
  }

  /** Lets in whoever means this cluster, or throws OTHER_CLUSTER, BAD_REQUEST or UNAVAILABLE. `from` is for logs. */
  requireOurs(headers: IncomingHttpHeaders, from: string): void {
    try {
      requireForUs(headers, this.#requireJoined().clusterId)
    } catch (error) {
      if (error instanceof RpcError && error.code !== 'UNAVAILABLE') {
        this.#refuse('cluster', from, error)
      }
      throw error
    }
  }

  /**
   * Lets a message in that speaks in the cluster's name, or rejects with FORBIDDEN, STALE_EPOCH, with what `onNewerTerm`
   * does, or as `requireOurs` throws. `shown`: the key of its connection.
   */
  async admit(headers: IncomingHttpHeaders, from: string, shown: Key | null): Promise<void> {
    this.requireOurs(headers, from)
    if (shown !== this.#requireJoined().key) {
      const text = "the connection was not made with this cluster's secret"
      throw this.#refuse('secret', from, new RpcError('FORBIDDEN', text))
    }
    this.requireNewest(headers, from)
    const term = readTerm(headers[EPOCH_HEADER])
    if (term > this.term()) await this.#options.onNewerTerm(term)
  }

  /**
   * Tells whose request it is, or throws UNAUTHENTICATED, or as `requireOurs` does. Null: nobody has to prove anything here.
   */
  requireUser(headers: IncomingHttpHeaders, from: string): Caller | null {
    this.requireOurs(headers, from)
    const { authentication, wallMs } = this.#options
    if (authentication === 'none') return null
    const shown = /^Bearer ([\w.-]+)$/.exec(headers[TOKEN_HEADER] ?? '')?.[1]
    const token =
      shown === undefined ? 'missing' : readToken(this.#requireJoined().seals, shown, wallMs())
    if (typeof token === 'object') return token
    throw this.#refuse('token', from, new RpcError('UNAUTHENTICATED', TOKEN_FAULTS[token]))
  }

  /**
   * The term alone, again when the body has come: that may take its time, and the term may have ended meanwhile. Throws
   * STALE_EPOCH.
   */
  requireNewest(headers: IncomingHttpHeaders, from: string): void {
    const term = readTerm(headers[EPOCH_HEADER])
    const known = this.term()
    if (term < known) {
      const text = `term ${term} is over, the newest is ${known}`
      throw this.#refuse('epoch', from, new RpcError('STALE_EPOCH', text, { epoch: known }))
    }
  }

  #requireJoined(): Joined {
    if (this.#joined !== null) return this.#joined
    throw new RpcError('UNAVAILABLE', 'this process has not joined its cluster yet')
  }

  #refuse(what: Refused, from: string, error: RpcError): RpcError {
    this.refused[what] += 1
    this.#options.onRefused(what, from, error)
    return error
  }
}

function readTerm(text: string | string[] | undefined): number {
  const term = typeof text === 'string' && /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (!(term <= LARGEST_TERM)) {
    throw new RpcError('BAD_REQUEST', `the header ${EPOCH_HEADER} must hold a term's number`)
  }
  return term
}
