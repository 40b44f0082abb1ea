/**
 * HTTP over TLS as the client library speaks it: Node's own, so that a shell command starts in a fraction of the time that the
 * masters' calling side (call/client.ts) needs to load. The messages are the same contract's; their types come from there.
 *
 * Every call has a deadline for the whole of it and nothing is repeated here. Once the cluster is known every call names
 * it, and an answer of another one is refused.
 */
import type { ClientRequest, IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { WHY_UNREACHABLE } from '../base/failures.ts'
import { type HostPort, splitHostPort } from '../base/host-port.ts'
import type { Clock } from '../base/time.ts'
import {
  CLUSTER_HEADER,
  clusterAnswering,
  clusterName,
  EPOCH_HEADER,
  errorFrom,
  jsonOrNull,
  RpcError,
  TOKEN_HEADER,
  textOf,
  unanswered,
} from '../rpc/index.ts'
import type { SecureOptions, Trust } from './trust.ts'

interface CallOptions {
  /** For a call the whole of it; for a stream until its first byte is answered. */
  readonly deadlineMs: number
  readonly signal: AbortSignal
  /** Names this cluster instead of the one that is known. */
  readonly cluster?: string
  /** Whose request it is, where that has to be proven. */
  readonly token?: string | null
}

interface Answer {
  readonly body: unknown
  /** The newest term that the answering one knows. */
  readonly term: number | null
  /** The one that the answering one belongs to; null where it doesn't know yet. */
  readonly cluster: string | null
}

const MOST_CONNECTIONS = 64

/** What means that nobody is there at all, rather than somebody who is slow. */
const NOBODY = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/** Whether the call never reached anybody: nothing listens there, or there is no such host. */
export function reachedNobody(error: unknown): boolean {
  const { cause } = error as { cause?: unknown }
  return NOBODY.has(errnoOf(cause))
}

export class Wire {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: MOST_CONNECTIONS })
  readonly #clock: Clock
  readonly #trust: Trust
  /** Null while it isn't known. */
  cluster: string | null = null
  /** The clock of whoever refused a request last, ms since 1970: tokens end by it. */
  refusedAtMs: number | null = null

  constructor(clock: Clock, trust: Trust) {
    this.#clock = clock
    this.#trust = trust
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
      const { token = null } = options
      const response = await opened({ address, path, message, meant, token })
      const cluster = clusterOf(address, response, meant)
      if (response.statusCode !== 200) throw await this.#refusal(response, cluster)
      const body = jsonOrNull(await textOf(response))
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
      const { token = null } = options
      const response = await opened({ address, path, message, meant, token })
      const cluster = clusterOf(address, response, meant)
      if (response.statusCode === 200) return response
      throw await this.#refusal(response, cluster)
    })
    const breakOff = (): void => {
      response.destroy()
    }
    options.signal.addEventListener('abort', breakOff)
    response.once('close', () => options.signal.removeEventListener('abort', breakOff))
    if (options.signal.aborted) breakOff()
    return response
  }

  /** What was answered instead of what was asked for. */
  async #refusal(response: IncomingMessage, cluster: string | null): Promise<RpcError> {
    const toldMs = Date.parse(response.headers.date ?? '')
    this.refusedAtMs = Number.isNaN(toldMs) ? null : toldMs
    return errorFrom(response.statusCode ?? 0, jsonOrNull(await textOf(response)), cluster)
  }

  /** Lets the kept connections go. What is under way is its callers' to break off. */
  close(): void {
    this.#agent.destroy()
  }

  async #answer(post: Post, signal: AbortSignal): Promise<IncomingMessage> {
    const { address, meant } = post
    const split = splitHostPort(address)
    if (split === null) throw new RpcError('BAD_REQUEST', `'${address}' is not host:port`)
    const port = { ...split, text: address }
    try {
      const secure = await this.#trust.optionsFor(port, meant, signal)
      return await this.#responseTo({ ...split, ...secure }, post, signal)
    } catch (error) {
      throw (await this.#trust.whyRefused(error, port, meant, signal).catch(ofTrust)) ?? error
    }
  }

  #responseTo(
    connection: HostPort & SecureOptions,
    { path, message, meant, token }: Post,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const call = httpsRequest({
      ...connection,
      path,
      method: 'POST',
      agent: this.#agent,
      headers: {
        'content-type': 'application/json',
        [CLUSTER_HEADER]: clusterName(meant),
        ...(token !== null && { [TOKEN_HEADER]: `Bearer ${token}` }),
      },
    })
    const breakOff = (): void => {
      call.destroy(new Error('broken off'))
    }
    signal.addEventListener('abort', breakOff)
    call.once('close', () => signal.removeEventListener('abort', breakOff))
    if (signal.aborted) breakOff()
    call.end(JSON.stringify(message))
    return responseOf(call)
  }

  async #within<T>(
    address: string,
    { deadlineMs, signal }: CallOptions,
    work: (opened: (post: Post) => Promise<IncomingMessage>) => Promise<T>,
  ): Promise<T> {
    const broken = new AbortController()
    let late = false
    const breakOff = (): void => broken.abort()
    const cancel = this.#clock.after(deadlineMs, () => {
      late = true
      breakOff()
    })
    signal.addEventListener('abort', breakOff)
    if (signal.aborted) breakOff()
    try {
      return await work((post) => this.#answer(post, broken.signal))
    } catch (cause) {
      const text = late ? `did not answer within ${Math.round(deadlineMs)} ms` : null
      throw unanswered(cause, { address, late: text, words: why })
    } finally {
      cancel()
      signal.removeEventListener('abort', breakOff)
    }
  }
}

interface Post {
  readonly address: string
  readonly path: string
  readonly message: unknown
  /** Null: whichever cluster it is. */
  readonly meant: string | null
  readonly token: string | null
}

/** Why somebody is not trusted is said; that nobody could be asked once more is not news. */
const ofTrust = (error: unknown): RpcError | null => (error instanceof RpcError ? error : null)

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
