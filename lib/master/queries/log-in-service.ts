/**
 * Clients' log-in at the active master, which has the users' verifiers. Wrong passwords are counted here as long as this
 * process lives, whichever terms it has meanwhile.
 */
import {
  administrator,
  type Caller,
  LogIn,
  markOf,
  type Principal,
  type Refusal,
  ScramError,
} from '../../access/index.ts'
import type { Audit } from '../../base/audit.ts'
import type { Clock } from '../../base/time.ts'
import { RpcError } from '../../rpc/index.ts'
import type { Handlers } from '../../serve/index.ts'

type Answer<M extends 'beginLogIn' | 'endLogIn'> = Awaited<ReturnType<Handlers<'client'>[M]>>

interface LogInServiceOptions {
  /** Empty until the cluster is joined. */
  readonly secret: () => string
  /** Of the open term's catalog; null for a user that there is not. Throws RpcError where no term is open. */
  readonly verifierOf: (user: string) => string | null
  readonly clock: Clock
  readonly wallMs: () => number
  /** Left out where nothing is audited. */
  readonly audit?: Audit | undefined
}

export class LogInService {
  readonly #options: LogInServiceOptions
  #logIn: { readonly secret: string; readonly at: LogIn } | null = null

  constructor(options: LogInServiceOptions) {
    this.#options = options
  }

  begin(message: string, from: string): Answer<'beginLogIn'> {
    return this.#answered(from, () => this.#at().first(message, from))
  }

  end(message: string, state: string, from: string): Answer<'endLogIn'> {
    const { user, ...answer } = this.#answered(from, () => this.#at().final(message, state, from))
    this.#options.audit?.('log-in', { user, from, refused: null })
    return answer
  }

  /** False for a user who was dropped, or has another password, since he logged in. */
  isCurrent({ principal, mark }: Caller): boolean {
    if (mark === null) return true
    const verifier = this.#options.verifierOf(principal.name)
    return verifier !== null && markOf(verifier) === mark
  }

  /**
   * Whose request it is. Where nobody has to prove anything everybody is the administrator, under the name that he says.
   * Throws UNAUTHENTICATED for a token that counts no more.
   */
  who(caller: Caller | null, named = ''): Principal {
    if (caller === null) return administrator(named)
    if (this.isCurrent(caller)) return caller.principal
    const text = `user '${caller.principal.name}' was dropped, or has another password by now: log in again`
    throw new RpcError('UNAUTHENTICATED', text)
  }

  #answered<T extends object>(from: string, work: () => T | Refusal): T {
    const answer = answered(work)
    if (!('refused' in answer)) return answer
    const { user, refused } = answer
    this.#options.audit?.('log-in', { user, from, refused })
    throw new RpcError('UNAUTHENTICATED', refused)
  }

  #at(): LogIn {
    const { secret, verifierOf, clock, wallMs } = this.#options
    const now = secret()
    if (this.#logIn?.secret !== now) {
      const at = new LogIn({ secret: now, verifierOf, nowMs: () => clock.nowMs(), wallMs })
      this.#logIn = { secret: now, at }
    }
    return this.#logIn.at
  }
}

function answered<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof ScramError) throw new RpcError('BAD_REQUEST', error.message)
    throw error
  }
}
