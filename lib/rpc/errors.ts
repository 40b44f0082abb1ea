/**
 * The closed list of what a call can be refused with, the same on both sides of the wire.
 *
 * On the wire an error is its HTTP status and the body `{code, message, active, epoch}`. Whatever else is thrown becomes
 * INTERNAL on the server (`serve/server.ts`) and UNAVAILABLE or TIMEOUT in a client (`unanswered`): nothing passes as it is.
 */
import { CodedError, type ErrorList } from '../base/coded-error.ts'
import { messageOf } from '../base/failures.ts'

/** What each code means, the HTTP status that carries it, and whether it may pass: at another master, or at this one later. */
export const RPC_ERRORS = {
  NOT_ACTIVE: {
    status: 421,
    passes: true,
    means:
      'Only the active master may do it. `active` is where that one is, if it is known. Ask again there, or later.',
  },
  OTHER_CLUSTER: {
    status: 409,
    passes: false,
    means:
      "Caller and called are of two clusters, or one of them is of an older state. `cluster` is the called one's.",
  },
  FORBIDDEN: {
    status: 403,
    passes: false,
    means: "The secret is missing or is another cluster's, or what is asked for is another user's.",
  },
  UNAUTHENTICATED: {
    status: 401,
    passes: false,
    means:
      "Nobody has logged in, or the token has ended, or the password is wrong. Whoever reads the cluster's secret needs none; others have a user (`tajo user add`).",
  },
  STALE_EPOCH: {
    status: 409,
    passes: false,
    means: 'The caller knows an older term than the called. `epoch` is the newer one.',
  },
  BAD_REQUEST: {
    status: 400,
    passes: false,
    means: "The request is not what the contract says. Asking again won't help.",
  },
  NOT_FOUND: { status: 404, passes: false, means: 'There is no such path.' },
  TIMEOUT: {
    status: 504,
    passes: true,
    means:
      'No whole answer came within the time that was given, or a stream fell silent: it may have been done.',
  },
  INTERNAL: {
    status: 500,
    passes: false,
    means: 'It is a mistake in the software, or the answer is not what the contract says.',
  },
  UNAVAILABLE: {
    status: 503,
    passes: true,
    means:
      'Nobody answers there, the connection broke, or the called one is still starting: it may have been done.',
  },
} as const

export type RpcCode = keyof typeof RPC_ERRORS

/** Why a query failed, with the SQLSTATE that comes nearest (PostgreSQL's list). */
export const QUERY_ERRORS = {
  user: { sqlState: '42000', means: 'The statement is wrong, or the data under it is.' },
  killed: { sqlState: '57014', means: 'Somebody wanted the query to end.' },
  lost: {
    sqlState: '57P02',
    means: 'The worker is gone. Nothing was changed, so the statement may be run again.',
  },
  refused: {
    sqlState: '53000',
    means: "The cluster won't take the query, now or ever. The message tells which.",
  },
  internal: { sqlState: 'XX000', means: 'It is a mistake in the software.' },
} as const satisfies ErrorList

/** Whose business a failure is: what each word means is in docs/errors.md, under "What ends a statement". */
export type QueryErrorKind = keyof typeof QUERY_ERRORS
export const QUERY_ERROR_KINDS = Object.keys(QUERY_ERRORS) as QueryErrorKind[]

/** What both sides know of the cluster when a call fails. */
interface RpcErrorFacts {
  /** Client RPC address of the active master, `host:port`. */
  readonly active?: string | null
  readonly epoch?: number | null
  /** Id of the cluster that the called one belongs to. */
  readonly cluster?: string | null
  readonly cause?: unknown
}

/** This is an error of a call. `code` is stable, `message` is for people. */
export class RpcError extends CodedError<RpcCode> {
  override readonly name = 'RpcError'
  readonly active: string | null
  readonly epoch: number | null
  readonly cluster: string | null
  constructor(code: RpcCode, message: string, facts: RpcErrorFacts = {}) {
    super(code, message, { cause: facts.cause })
    this.active = facts.active ?? null
    this.epoch = facts.epoch ?? null
    this.cluster = facts.cluster ?? null
  }
}

/**
 * What a call comes to that had no answer, whichever client made it. `late`: what the other side did not do in time; null
 * where it was something else, which `words` tell.
 */
export const unanswered = (
  thrown: unknown,
  { address, late, words = messageOf }: Unanswered,
): RpcError =>
  RpcError.from(thrown, (cause) =>
    late === null
      ? new RpcError('UNAVAILABLE', `${address} can't be reached: ${words(cause)}`, { cause })
      : new RpcError('TIMEOUT', `${address} ${late}`, { cause }),
  )

interface Unanswered {
  readonly address: string
  readonly late: string | null
  readonly words?: (cause: unknown) => string
}

interface RpcErrorBody {
  readonly code: RpcCode
  readonly message: string
  readonly active: string | null
  readonly epoch: number | null
}

export const bodyOf = ({ code, message, active, epoch }: RpcError): RpcErrorBody => ({
  code,
  message,
  active,
  epoch,
})

const isCode = (value: unknown): value is RpcCode =>
  typeof value === 'string' && Object.hasOwn(RPC_ERRORS, value)

/** What a proxy says when it finds no server for a request, or none that answers. */
const PROXY_STATUSES = [502, 503, 504]

/** Reads an error of `cluster` off the wire; an answer that isn't one of ours is INTERNAL, but for a proxy's that found nobody. */
export function errorFrom(status: number, body: unknown, cluster: string | null): RpcError {
  const told = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  const { code, message, active, epoch } = told
  if (!isCode(code) || typeof message !== 'string') {
    const guess = PROXY_STATUSES.includes(status) ? 'UNAVAILABLE' : 'INTERNAL'
    const text = `the answer (HTTP ${status}) is none of this software's`
    return new RpcError(guess, text, { cluster })
  }
  return new RpcError(code, message, {
    active: typeof active === 'string' ? active : null,
    epoch: typeof epoch === 'number' ? epoch : null,
    cluster,
  })
}
