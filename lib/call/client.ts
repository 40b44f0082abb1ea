/**
 * This is the calling side of the contract: one client a service and address, over kept connections.
 *
 * Two daemons have proven the cluster's secret to each other when a connection is made (connections.ts). Who has another
 * key is asked without one whose he is: of another cluster, or of ours with another secret.
 *
 * Every call has a deadline for the whole of it, names the cluster it is meant for, and takes no answer of another one.
 * Nothing is repeated here: whether a call may be repeated is known only to whoever calls. Answers are checked against the
 * contract like requests are.
 */
import type { Readable } from 'node:stream'
import type { Dispatcher, Pool } from 'undici'
import { splitHostPort } from '../base/host-port.ts'
import type { Clock } from '../base/time.ts'
import {
  type AnswerOf,
  type CallMethod,
  faultOf,
  type LineOf,
  type MethodName,
  type RequestOf,
  type ServiceName,
  type Services,
  type StreamMethod,
  services,
} from '../contract/index.ts'
import {
  BEAT_HEADER,
  CLUSTER_HEADER,
  clusterAnswering,
  clusterName,
  EPOCH_HEADER,
  errorFrom,
  type HandshakeFault,
  handshakeFault,
  jsonOrNull,
  RpcError,
  readLines,
  SPEAKS_PLAIN,
  textOf,
  unanswered,
} from '../rpc/index.ts'
import { Connections } from './connections.ts'

interface ClientOptions {
  /** The cluster that is meant. Null while it isn't known, which does for `who` only. */
  readonly clusterId: () => string | null
  /** It makes the key of the connections, and is never sent. Empty: they prove nothing, which does for `who` and `open`. */
  readonly secret: () => string
  /** It goes with every call where the contract asks for it. */
  readonly term: () => number
  readonly clock: Clock
  readonly connectTimeoutMs: number
}

type CallNames<N extends ServiceName> = {
  [M in MethodName<N>]: Services[N][M] extends { kind: 'call' } ? M : never
}[MethodName<N>]
type StreamNames<N extends ServiceName> = {
  [M in MethodName<N>]: Services[N][M] extends { kind: 'stream' } ? M : never
}[MethodName<N>]

/** To learn whose key was not ours; the call itself has failed already. */
const WHOSE_MS = 1000

export class RpcClient<N extends ServiceName> {
  readonly #service: N
  readonly #connections: Connections
  readonly #options: ClientOptions
  readonly #address: string

  /** Throws BAD_REQUEST when `address` is not `host:port`. */
  constructor(service: N, address: string, options: ClientOptions) {
    const split = splitHostPort(address)
    if (split === null) throw new RpcError('BAD_REQUEST', `'${address}' is not host:port`)
    this.#service = service
    this.#options = options
    this.#address = address
    const { clusterId, secret, connectTimeoutMs } = options
    this.#connections = new Connections({
      ...{ to: split, clusterId, secret, connectTimeoutMs },
    })
  }

  /** Rejects with RpcError: what the other side said, or TIMEOUT, UNAVAILABLE, INTERNAL. */
  async call<M extends CallNames<N>>(
    method: M,
    request: RequestOf<Services[N][M]>,
    options: { readonly deadlineMs: number; readonly signal?: AbortSignal },
  ): Promise<AnswerOf<Services[N][M]>> {
    const contract = services[this.#service][method] as unknown as CallMethod
    const deadline = AbortSignal.timeout(options.deadlineMs)
    const signals = options.signal === undefined ? [deadline] : [deadline, options.signal]
    try {
      const said = await this.#post(method, contract, request, AbortSignal.any(signals))
      const answer = contract.answer.safeParse(parse(said, await textOf(said.body)))
      if (answer.success) return answer.data as AnswerOf<Services[N][M]>
      throw new RpcError(
        'INTERNAL',
        `${this.#address} answered strangely: ${faultOf(answer.error)}`,
      )
    } catch (error) {
      const late = `did not answer within ${options.deadlineMs} ms`
      throw unanswered(error, { address: this.#address, late: deadline.aborted ? late : null })
    }
  }

  /** Reads a stream until it ends; always rejects then, as `readLines` tells, or with what the other side said. */
  async stream<M extends StreamNames<N>>(
    method: M,
    request: RequestOf<Services[N][M]>,
    options: {
      readonly silenceMs: number
      /** How often the other side is asked for a sign of life, whatever its own periods are; a third of the silence. */
      readonly beatMs?: number
      readonly signal: AbortSignal
      /** Whatever comes, an empty line too. */
      readonly onSign?: () => void
      readonly onLine: (line: LineOf<Services[N][M]>) => void
    },
  ): Promise<never> {
    const contract = services[this.#service][method] as unknown as StreamMethod
    const opening = new AbortController()
    const { clock } = this.#options
    const cancel = clock.after(options.silenceMs, () => opening.abort())
    let body: Readable
    try {
      const signal = AbortSignal.any([opening.signal, options.signal])
      const beatMs = Math.ceil(options.beatMs ?? options.silenceMs / 3)
      const more = { [BEAT_HEADER]: String(beatMs) }
      const answer = await this.#post(method, contract, request, signal, more)
      body = answer.body
      if (answer.status !== 200) parse(answer, await textOf(body))
    } catch (error) {
      const late = opening.signal.aborted ? 'did not open the stream' : null
      throw unanswered(error, { address: this.#address, late })
    } finally {
      cancel()
    }
    return readLines(body, {
      clock,
      silenceMs: options.silenceMs,
      onSign: options.onSign,
      onLine: (line) => {
        const parsed = contract.line.safeParse(line)
        if (!parsed.success) throw new RpcError('INTERNAL', faultOf(parsed.error))
        options.onLine(parsed.data as LineOf<Services[N][M]>)
      },
    })
  }

  /** Breaks off what is under way. */
  close(): Promise<void> {
    return this.#connections.close()
  }

  async #post(
    method: string,
    contract: CallMethod | StreamMethod,
    request: unknown,
    signal: AbortSignal,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Said> {
    const wanted = this.#options.clusterId()
    const sent: Record<string, string> = {
      'content-type': 'application/json',
      [CLUSTER_HEADER]: clusterName(wanted),
      ...more,
    }
    if (contract.access === 'cluster') sent[EPOCH_HEADER] = String(this.#options.term())
    const text = JSON.stringify(request)
    const pool = this.#connections.pool()
    const { statusCode, headers, body } = await this.#ask(pool, method, { sent, text, signal })
    try {
      const cluster = clusterAnswering(this.#address, { status: statusCode, headers }, wanted)
      return { status: statusCode, cluster, body }
    } catch (error) {
      // Unread, so that the connection goes with it.
      body.on('error', () => {}).destroy()
      throw error
    }
  }

  async #ask(
    pool: Pool,
    method: string,
    { sent, text, signal }: { sent: Record<string, string>; text: string; signal: AbortSignal },
  ): Promise<Dispatcher.ResponseData> {
    try {
      return await pool.request({
        path: `/rpc/${this.#service}/${method}`,
        method: 'POST',
        headers: sent,
        body: text,
        signal,
        headersTimeout: 0,
        bodyTimeout: 0,
      })
    } catch (error) {
      const fault = handshakeFault(error)
      throw fault === null ? error : await this.#unkeyed(fault, error, signal)
    }
  }

  /** What a handshake that came to nothing means: whose key the other side has decides it. */
  async #unkeyed(fault: HandshakeFault, cause: unknown, signal: AbortSignal): Promise<RpcError> {
    const address = this.#address
    if (fault === 'plain') {
      return new RpcError('OTHER_CLUSTER', `${address} ${SPEAKS_PLAIN}`, { cause })
    }
    const cluster = await this.#whose(signal)
    if (cluster === null) {
      return new RpcError('UNAVAILABLE', `${address} has not joined its cluster yet`, { cause })
    }
    // It has joined since, or knows the key by now.
    if (fault === 'identity') {
      return new RpcError('UNAVAILABLE', `${address} has only just joined its cluster`, { cause })
    }
    const text = `${address} has another secret of this cluster than this process: its directory is another one, or the secret in it was replaced`
    return new RpcError('FORBIDDEN', text, { cluster, cause })
  }

  /** The cluster there, which is ours; null while it has none. Throws OTHER_CLUSTER for another one. */
  #whose(signal: AbortSignal): Promise<string | null> {
    const wanted = this.#options.clusterId()
    return this.#connections.asStranger(async (pool) => {
      const {
        statusCode: status,
        headers,
        body,
      } = await pool.request({
        path: `/rpc/${this.#service}/status`,
        method: 'POST',
        headers: { [CLUSTER_HEADER]: clusterName(null) },
        signal: AbortSignal.any([signal, AbortSignal.timeout(WHOSE_MS)]),
      })
      body.on('error', () => {}).destroy()
      return clusterAnswering(this.#address, { status, headers }, wanted)
    })
  }
}

interface Said {
  readonly status: number
  readonly cluster: string | null
  readonly body: Readable
}

function parse({ status, cluster }: Said, text: string): unknown {
  const body = jsonOrNull(text)
  if (status !== 200) throw errorFrom(status, body, cluster)
  return body
}
