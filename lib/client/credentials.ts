/**
 * By what a client proves whose it is: a token in each request that asks for one. Whoever can read the cluster's secret
 * makes himself an administrator's and is asked for nothing; others log in with a user and his password, once, and again
 * when the token has ended.
 *
 * A token goes to no other cluster than the one whose it is. An administrator's goes only to who shows the authority that
 * lies beside the secret it is made of: whoever can read the one can read the other, and need believe nobody. The password
 * itself is not sent.
 */
import { userInfo } from 'node:os'
import {
  ADMINISTRATOR_TOKEN_MS,
  clientExchange,
  makeToken,
  ScramError,
  Seals,
} from '../access/index.ts'
import { RpcError } from '../rpc/index.ts'
import { QueryError } from './errors.ts'
import type { HeldToken, TokenFile } from './token-file.ts'

/** Asks the active master one of the two messages of a log-in. Rejects as every call. */
type AskLogIn = (
  method: 'beginLogIn' | 'endLogIn',
  message: Readonly<Record<string, string>>,
) => Promise<unknown>

export interface Credentials {
  /** For requests to this cluster; null: there is none yet, or nobody needs one. Never rejects. */
  token(clusterId: string): Promise<string | null>
  /**
   * A request was refused for the want of a right token. Resolves where another try has a new one; rejects with the reason
   * why there is none. `serverMs`: the clock of whoever refused it, where it told.
   */
  renew(refused: RpcError, clusterId: string, ask: AskLogIn, serverMs: number | null): Promise<void>
}

/** Nobody has to prove anything, or nobody can. */
export const NO_CREDENTIALS: Credentials = {
  token: async () => null,
  renew: async (refused) => {
    throw refused
  },
}

/** The cluster's secret, for whoever may read it. */
export interface ClusterSecret {
  readonly clusterId: string
  readonly secret: string
  /** PEM; null where there is none: then there are no tokens either. */
  readonly authority: string | null
}

interface OperatorOptions {
  /** Null where it can't be read. */
  readonly readSecret: () => Promise<ClusterSecret | null>
  /** Used where the secret can't be read, or is another cluster's. */
  readonly others: Credentials
  /** The secret is looked for before a master asks for a token: worth it where one surely will. */
  readonly eager: boolean
  /** Where a token is kept for the next run; left out: nowhere. */
  /** From then on nobody else may be that cluster. */
  readonly pin: (clusterId: string, authority: string) => void
  readonly kept?: Pick<TokenFile, 'recall' | 'remember'> | undefined
  readonly wallMs?: () => number
}

/** So long a directory that could not be read is left alone. */
const AGAIN_MS = 60_000
/** Whoever refuses a token does not decide how long the next one lives. */
const MOST_AHEAD_MS = 24 * 3_600_000

/** It makes administrators' tokens. */
export class OperatorCredentials implements Credentials {
  readonly #options: OperatorOptions
  readonly #wallMs: () => number
  /** The secret can't be read: it is looked for again when a token is refused. */
  #inVain = false
  #token: HeldToken | null = null
  /** Whose token it is. */
  #clusterId = ''
  /** How much later it is where tokens are looked at. */
  #aheadMs = 0

  constructor(options: OperatorOptions) {
    this.#options = options
    this.#wallMs = options.wallMs ?? Date.now
  }

  async token(clusterId: string): Promise<string | null> {
    const { eager, others, kept } = this.#options
    const nowMs = this.#wallMs()
    this.#turnTo(clusterId)
    const isFirst = eager && this.#token === null && !this.#inVain
    const held = this.#token ?? (isFirst ? ((await kept?.recall(clusterId)) ?? null) : null)
    this.#token = held
    if (held !== null) this.#options.pin(clusterId, held.authority)
    if (held !== null && nowMs < held.renewMs) return held.text
    const made = held !== null || isFirst ? await this.#make(clusterId) : null
    if (made !== null) return made
    if (held === null || nowMs >= held.endMs) return others.token(clusterId)
    // The directory can't be read any more, or hangs: what was made before is good until it ends.
    this.#token = { ...held, renewMs: Math.min(held.endMs, nowMs + AGAIN_MS) }
    return held.text
  }

  async renew(
    refused: RpcError,
    clusterId: string,
    ask: AskLogIn,
    serverMs: number | null,
  ): Promise<void> {
    this.#turnTo(clusterId)
    const before = this.#token
    // A host whose clock is behind makes tokens that have ended where they are looked at.
    if (serverMs !== null) {
      this.#aheadMs = Math.max(0, Math.min(MOST_AHEAD_MS, serverMs - this.#wallMs()))
    }
    const made = await this.#make(clusterId)
    if (made === null) return this.#options.others.renew(refused, clusterId, ask, serverMs)
    if (made === before?.text) throw refused
  }

  /** Another cluster is shown nothing of this one's. */
  #turnTo(clusterId: string): void {
    if (clusterId === this.#clusterId) return
    this.#clusterId = clusterId
    this.#token = null
    this.#inVain = false
    this.#aheadMs = 0
  }

  async #make(clusterId: string): Promise<string | null> {
    this.#token = null
    const known = await this.#options.readSecret().catch(() => null)
    this.#inVain = known === null || known.clusterId !== clusterId
    if (known === null || known.clusterId !== clusterId || known.authority === null) return null
    this.#options.pin(clusterId, known.authority)
    const principal = { kind: 'administrator', name: osUser() } as const
    const nowMs = this.#wallMs()
    const endMs = nowMs + this.#aheadMs + ADMINISTRATOR_TOKEN_MS
    const text = makeToken(new Seals(known.secret), { principal, mark: null, endMs })
    this.#token = {
      text,
      renewMs: nowMs + ADMINISTRATOR_TOKEN_MS / 2,
      endMs: nowMs + ADMINISTRATOR_TOKEN_MS,
      authority: known.authority,
    }
    await this.#options.kept?.remember(clusterId, this.#token)
    return text
  }
}

/** It logs a user in. `password` is asked for when a master wants it, and not before; it may reject, which ends the call. */
export class PasswordCredentials implements Credentials {
  readonly #user: string
  readonly #password: () => Promise<string>
  #token: { readonly text: string; readonly clusterId: string } | null = null
  /** Many statements at once log in once. */
  #loggingIn: Promise<void> | null = null

  constructor(user: string, password: () => Promise<string>) {
    this.#user = user
    this.#password = password
  }

  async token(clusterId: string): Promise<string | null> {
    return this.#token?.clusterId === clusterId ? this.#token.text : null
  }

  renew(_refused: RpcError, clusterId: string, ask: AskLogIn): Promise<void> {
    this.#loggingIn ??= this.#logIn(clusterId, ask).finally(() => {
      this.#loggingIn = null
    })
    return this.#loggingIn
  }

  async #logIn(clusterId: string, ask: AskLogIn): Promise<void> {
    this.#token = null
    const client = clientExchange(this.#user, await this.#password())
    try {
      const first = textsOf(await ask('beginLogIn', { message: client.first }))
      const message = await client.final(first('message'))
      const last = textsOf(await ask('endLogIn', { message, state: first('state') }))
      // Whoever does not know the verifier gets no statement either.
      client.check(last('message'))
      this.#token = { text: last('token'), clusterId }
    } catch (error) {
      if (error instanceof ScramError) throw new QueryError('refused', error.message)
      throw error
    }
  }
}

function textsOf(body: unknown): (name: string) => string {
  const told = (body ?? {}) as Record<string, unknown>
  return (name) => {
    const text = told[name]
    if (typeof text === 'string') return text
    throw new RpcError('INTERNAL', `the answer to the log-in has no ${name}`)
  }
}

function osUser(): string {
  try {
    return userInfo().username
  } catch {
    // A user id without a name, as in containers.
    return String(process.getuid?.() ?? 'nobody')
  }
}
