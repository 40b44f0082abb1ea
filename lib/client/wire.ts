/**
 * HTTP as the client library speaks it: Node's own, so that a shell command starts in a fraction of the time that the
 * masters' calling side (call/client.ts) needs to load. The messages are the same contract's; their types come from there.
 *
 * Every call has a deadline for the whole of it and nothing is repeated here. Once the cluster is known every call names
 * it, and an answer of another one is refused.
 *
 * The catalog's port is one among the daemons. It is asked over TLS as anybody may ask it (rpc/keys.ts), which loads when
 * that is needed.
 */
import {
  Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http'
import type { Agent as TlsAgent } from 'node:https'
import { WHY_UNREACHABLE } from '../base/failures.ts'
import { splitHostPort } from '../base/host-port.ts'
import type { Clock } from '../base/time.ts'
import {
  CLUSTER_HEADER,
  callingWith,
  clusterAnswering,
  clusterName,
  EPOCH_HEADER,
  errorFrom,
  handshakeFault,
  jsonOrNull,
  RpcError,
  SPEAKS_PLAIN,
  textOf,
  unanswered,
  whoKey,
} from '../rpc/index.ts'

interface CallOptions {
  /** For a call the whole of it; for a stream until its first byte is answered. */
  readonly deadlineMs: number
  readonly signal: AbortSignal
  /** Names this cluster instead of the one that is known. */
  readonly cluster?: string
}

interface Answer {
  readonly body: unknown
  /** The newest term that the answering one knows. */
  readonly term: number | null
  /** The one that the answering one belongs to; null where it doesn't know yet. */
  readonly cluster: string | null
}

const MOST_CONNECTIONS = 64
const OF_CATALOG = '/rpc/catalog/'

/** What means that nobody is there at all, rather than somebody who is slow. */
const NOBODY = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/** Whether the call never reached anybody: nothing listens there, or there is no such host. */
export function reachedNobody(error: unknown): boolean {
  const { cause } = error as { cause?: unknown }
  return NOBODY.has(errnoOf(cause))
}

interface Way {
  readonly request: (options: RequestOptions) => ClientRequest
  readonly more: RequestOptions
}

interface Posted {
  readonly address: string
  readonly path: string
  readonly message: unknown
  readonly meant: string | null
}

export class Wire {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: MOST_CONNECTIONS })
  readonly #clock: Clock
  #tlsAgent: TlsAgent | null = null
  /** Null while it isn't known. */
  cluster: string | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Returns the answer's JSON. Rejects with RpcError: what the other side said, or TIMEOUT, UNAVAILABLE, INTERNAL. */
  async call(
    address: string,
    path: string,
    message: unknown,
    options: CallOptions,
  ): Promise<Answer> {
    return this.#within(address, options, async (opened) => {
      const meant = options.cluster ?? this.cluster
      const response = await opened(
        this.#post(await this.#way(path), { address, path, message, meant }),
      )
      const cluster = clusterOf(address, response, meant)
      const body = jsonOrNull(await textOf(response))
      if (response.statusCode !== 200) throw errorFrom(response.statusCode ?? 0, body, cluster)
      return { body, term: termOf(response), cluster }
    })
  }

  /** Opens a stream; rejects as `call` does. `signal` breaks it off at any time, also later. */
  async open(
    address: string,
    path: string,
    message: unknown,
    options: CallOptions,
  ): Promise<IncomingMessage> {
    const response = await this.#within(address, options, async (opened) => {
      const meant = options.cluster ?? this.cluster
      const response = await opened(
        this.#post(await this.#way(path), { address, path, message, meant }),
      )
      const cluster = clusterOf(address, response, meant)
      if (response.statusCode === 200) return response
      throw errorFrom(response.statusCode ?? 0, jsonOrNull(await textOf(response)), cluster)
    })
    const breakOff = (): void => {
      response.destroy()
    }
    options.signal.addEventListener('abort', breakOff)
    response.once('close', () => options.signal.removeEventListener('abort', breakOff))
    if (options.signal.aborted) breakOff()
    return response
  }

  /** Lets the kept connections go. What is under way is its callers' to break off. */
  close(): void {
    this.#agent.destroy()
    this.#tlsAgent?.destroy()
  }

  /** How that path is asked. Whoever makes the request listens to it in the same moment: it may fail in the next. */
  async #way(path: string): Promise<Way> {
    if (!path.startsWith(OF_CATALOG)) return { request: httpRequest, more: { agent: this.#agent } }
    const { Agent, request } = await import('node:https')
    const options = { keepAlive: true, maxSockets: MOST_CONNECTIONS, maxCachedSessions: 0 }
    this.#tlsAgent ??= new Agent(options)
    return { request, more: { ...callingWith(whoKey), agent: this.#tlsAgent } }
  }

  #post({ request, more }: Way, { address, path, message, meant }: Posted): ClientRequest {
    const split = splitHostPort(address)
    if (split === null) throw new RpcError('BAD_REQUEST', `'${address}' is not host:port`)
    const call = request({
      ...split,
      path,
      method: 'POST',
      ...more,
      headers: {
        'content-type': 'application/json',
        [CLUSTER_HEADER]: clusterName(meant),
      },
    })
    call.end(JSON.stringify(message))
    return call
  }

  async #within<T>(
    address: string,
    { deadlineMs, signal }: CallOptions,
    work: (opened: (call: ClientRequest) => Promise<IncomingMessage>) => Promise<T>,
  ): Promise<T> {
    let call: ClientRequest | null = null
    let late = false
    const breakOff = (): void => {
      call?.destroy(new Error('broken off'))
    }
    const cancel = this.#clock.after(deadlineMs, () => {
      late = true
      breakOff()
    })
    signal.addEventListener('abort', breakOff)
    try {
      return await work((made) => {
        call = made
        if (signal.aborted) breakOff()
        return responseOf(made)
      })
    } catch (cause) {
      if (handshakeFault(cause) === 'plain') {
        throw new RpcError('OTHER_CLUSTER', `${address} ${SPEAKS_PLAIN}`, { cause })
      }
      const text = late ? `did not answer within ${Math.round(deadlineMs)} ms` : null
      throw unanswered(cause, { address, late: text, words: why })
    } finally {
      cancel()
      signal.removeEventListener('abort', breakOff)
    }
  }
}

const responseOf = (call: ClientRequest): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    call.once('response', resolve)
    // Stays for the whole life of the request: an error after the response is told by the response itself.
    call.on('error', reject)
  })

/** Throws for an answer of another one than `wanted`, unread, so that the connection goes with it. */
function clusterOf(
  address: string,
  response: IncomingMessage,
  wanted: string | null,
): string | null {
  const { statusCode: status = 0, headers } = response
  try {
    return clusterAnswering(address, { status, headers }, wanted)
  } catch (error) {
    response.destroy()
    throw error
  }
}

function termOf(response: IncomingMessage): number | null {
  const term = Number(response.headers[EPOCH_HEADER] ?? Number.NaN)
  return Number.isSafeInteger(term) ? term : null
}

/** A host with several addresses fails with all its errors in one. */
function errnoOf(thrown: unknown): string {
  const { code, errors } = (thrown ?? {}) as { code?: unknown; errors?: unknown }
  if (typeof code === 'string') return code
  return Array.isArray(errors) && errors.length > 0 ? errnoOf(errors[0]) : ''
}

const why = (thrown: unknown): string =>
  WHY_UNREACHABLE[errnoOf(thrown)] ??
  ((thrown instanceof Error && thrown.message) || errnoOf(thrown))
