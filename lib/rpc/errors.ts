/**
 * The closed list of what a call can be refused with, the same on both sides of the wire.
 *
 * On the wire an error is its HTTP status and the body `{code, message, active, epoch}`. Whatever else is thrown becomes
 * INTERNAL on the server (`server.ts`) and UNAVAILABLE or TIMEOUT in the client (`client.ts`): nothing passes as it is.
 */

export const RPC_CODES = [
  /** Only the active master may do it. `active` is where it is, if that is known. Ask again there, or later. */
  'NOT_ACTIVE',
  /** Caller and called are of two clusters, or one of them is of an older state. `cluster` is the called one's. */
  'OTHER_CLUSTER',
  /** The secret is missing or is another cluster's. */
  'FORBIDDEN',
  /** The caller knows an older term than the called. `epoch` is the newer one. */
  'STALE_EPOCH',
  /** The request is not what the contract says. Asking again won't help. */
  'BAD_REQUEST',
  /** No such path. */
  'NOT_FOUND',
  /** No whole answer within the time that was given, or a stream that fell silent: it may have been done. */
  'TIMEOUT',
  /** A mistake in the software, or an answer that is not what the contract says. */
  'INTERNAL',
  /** Nobody answers there, the connection broke, or the called one is still starting: it may have been done. */
  'UNAVAILABLE',
] as const

export type RpcCode = (typeof RPC_CODES)[number]

export const HTTP_STATUS: Readonly<Record<RpcCode, number>> = {
  NOT_ACTIVE: 421,
  OTHER_CLUSTER: 409,
  FORBIDDEN: 403,
  STALE_EPOCH: 409,
  BAD_REQUEST: 400,
  NOT_FOUND: 404,
  TIMEOUT: 504,
  INTERNAL: 500,
  UNAVAILABLE: 503,
}

/** What both sides know of the cluster when a call fails. */
export interface RpcErrorFacts {
  /** Client RPC address of the active master, `host:port`. */
  readonly active?: string | null
  readonly epoch?: number | null
  /** Id of the cluster that the called one belongs to. */
  readonly cluster?: string | null
  readonly cause?: unknown
}

/** An error of a call. `code` is stable, `message` is for people. */
export class RpcError extends Error {
  readonly code: RpcCode
  readonly active: string | null
  readonly epoch: number | null
  readonly cluster: string | null
  constructor(code: RpcCode, message: string, facts: RpcErrorFacts = {}) {
    super(message, { cause: facts.cause })
    this.name = 'RpcError'
    this.code = code
    this.active = facts.active ?? null
    this.epoch = facts.epoch ?? null
    this.cluster = facts.cluster ?? null
  }
}

export interface RpcErrorBody {
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

const isCode = (value: unknown): value is RpcCode => RPC_CODES.some((code) => code === value)

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
