/**
 * This is the serving side of the contract: fastify, JSON, one server a port.
 *
 * Order of things for each request: the guard looks at cluster, secret and term before the body is read; the body is
 * checked against the contract; a method that only the active master may answer asks the gate, and asks again between
 * the handler's last step and the answer's first byte. Whatever is thrown becomes an error of the closed list; what the
 * caller can't do anything about is logged here and told without details.
 *
 * Which methods a path has, for whoever asked for it with another one: fastify answers such a request as if there were no
 * such path, and tells nobody what its router knows.
 *
 * It sends an answer as JSON. A long list in it, of tables or of queries, is written in slices: a whole one takes as
 * long as it is, and nobody else is answered meanwhile.
 */
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Caller } from '../access/index.ts'
import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import { inSlices, type Turns } from '../base/slices.ts'
import { type Clock, systemClock } from '../base/time.ts'
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
  showsCertificate,
} from '../contract/index.ts'
import {
  BEAT_HEADER,
  bodyOf,
  CLUSTER_HEADER,
  clusterName,
  clusterNamed,
  EPOCH_HEADER,
  LineWriter,
  RPC_ERRORS,
  type RpcCode,
  RpcError,
  requireNoPage,
  requireOneHost,
} from '../rpc/index.ts'
import type { Gate, Guard, Pass } from './guard.ts'
import { type Keyed, keyPort, provenBy } from './keyed-port.ts'

/** Shorter ones are written in one piece. */
const LONG = 500
/** So many items are made bytes at a time: a text of many megabytes takes long, too, on its way into the socket. */
const PIECE_ITEMS = 256

export async function jsonInSlices(answer: unknown, turns?: Turns): Promise<string | Buffer> {
  const fields = Object.entries(answer ?? {})
  const long = fields.find(([, value]) => Array.isArray(value) && value.length > LONG)
  if (Array.isArray(answer) || long === undefined) return JSON.stringify(answer)
  const [name, list] = long as [string, unknown[]]
  const others = JSON.stringify(Object.fromEntries(fields.filter(([field]) => field !== name)))
  const before = others === '{}' ? '{' : `${others.slice(0, -1)},`
  const pieces = [Buffer.from(`${before}${JSON.stringify(name)}:[`)]
  let items: string[] = []
  await inSlices(
    list.keys(),
    (at) => {
      // As JSON does it: what is nothing in a list is null.
      items.push(JSON.stringify(list[at]) ?? 'null')
      const isLast = at === list.length - 1
      if (!isLast && items.length < PIECE_ITEMS) return
      pieces.push(Buffer.from(`${items.join(',')}${isLast ? ']}' : ','}`))
      items = []
    },
    turns,
  )
  return Buffer.concat(pieces)
}

class KnownPaths {
  readonly #methods = new Map<string, Set<string>>()

  /** Learns the routes that are added after this. */
  constructor(app: FastifyInstance) {
    app.addHook('onRoute', ({ method, url }) => {
      const known = this.#methods.get(url) ?? new Set()
      this.#methods.set(url, known)
      for (const one of [method].flat()) known.add(one)
    })
  }

  /** Of the path of that URL; empty: there is no such path. */
  methodsOf(url: string): string[] {
    const path = url.split('?', 1)[0]?.split('/') ?? []
    const fitting = [...this.#methods].filter(([pattern]) => fits(pattern.split('/'), path))
    return [...new Set(fitting.flatMap(([, methods]) => [...methods]))]
  }
}

const fits = (pattern: readonly string[], path: readonly string[]): boolean =>
  pattern.length === path.length &&
  pattern.every((part, at) => part.startsWith(':') || part === path[at])

interface CallContext {
  /** The caller's IP address, for logs. */
  readonly from: string
  /** Set where only the active master answers. */
  readonly pass: Pass | null
  /** Who has proven to be it; null where nobody has to, and for methods that ask no user. */
  readonly caller: Caller | null
}

type Handler<M> = M extends { kind: 'stream' }
  ? (request: RequestOf<M>, writer: LineWriter<LineOf<M>>, context: CallContext) => void
  : (request: RequestOf<M>, context: CallContext) => AnswerOf<M> | Promise<AnswerOf<M>>

/** One handler for each method of a service. */
export type Handlers<N extends ServiceName> = {
  readonly [M in MethodName<N>]: Handler<Services[N][M]>
}

export interface ServerOptions {
  readonly guard: Guard
  readonly gate: Gate
  readonly clock: Clock
  /** Streams send an empty line when they had nothing to say for so long. */
  readonly beatMs: number
  readonly log: Log
  /** Told of each call that was answered. */
  readonly onCall?: (call: CallFacts) => void
}

/** One call, for metrics: `code` is `ok` or what it was refused with. */
export interface CallFacts {
  readonly service: ServiceName
  readonly method: string
  readonly code: 'ok' | RpcCode
  readonly tookMs: number
}

/** Requests of the contract are small, but for a long statement in escapes; a stranger must not fill our memory. */
const BODY_LIMIT_BYTES = 2 * 1024 * 1024
/**
 * Who has proven the cluster's secret, which is looked at before the body is read: a worker that registers tells all its tasks,
 * of which lib/worker (task-list.ts) sees to it that they fit.
 */
const CLUSTER_BODY_LIMIT_BYTES = 64 * 1024 * 1024
/** For the whole request to arrive. Node looks for late ones each `LOOK_FOR_LATE_MS`. */
const REQUEST_TIMEOUT_MS = 15_000
/** For its headers. Node's own default, 60 s, is longer than the time for the request, and then counts for both. */
const HEADERS_TIMEOUT_MS = 10_000
const LOOK_FOR_LATE_MS = 2_500
/** What is on its way when a port closes gets so long; then its connection is cut, and so is one that never asked. */
const CLOSING_MS = 250
const MOST_CONNECTIONS = 4096

/** The contract's schemas are zod's. fastify would load its own compilers, a tenth of a second, and never use them. */
const noJsonSchema = (): never => {
  throw new Error('routes of this software have no JSON schema')
}
const NO_COMPILERS = {
  compilersFactory: { buildValidator: () => noJsonSchema, buildSerializer: () => noJsonSchema },
}

/** Bad requests for which HTTP has a more telling word than 400: a body or a part of the path is too long. */
const TELLING_STATUSES = [413, 414]

/** A fastify with the limits and error answers that all our ports share. */
export function limitedServer(options: {
  readonly log: Log
  readonly term: () => number
  /** Named in every answer; null until it is joined. */
  readonly clusterId: () => string | null
  /** It speaks TLS; left out, it is plain. */
  readonly keyed?: Keyed
  /** Of every refusal; no hook runs for a request that the router can't even read. */
  readonly headers?: Readonly<Record<string, string>>
}): FastifyInstance {
  // On Node's own answer, so that streams carry it too.
  const nameCluster = ({ raw }: FastifyReply): void => {
    raw.setHeader(CLUSTER_HEADER, clusterName(options.clusterId()))
  }
  const fail = (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const { statusCode } = error as { statusCode?: number }
    const told = asRpcError(error, request, options.log)
    const status =
      TELLING_STATUSES.find((one) => one === statusCode) ?? RPC_ERRORS[told.code].status
    nameCluster(reply)
    sendError(reply.headers(options.headers ?? {}), told, { term: options.term(), status })
  }
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Its own answer while it closes has no shape that our callers know: what has come is answered as ever.
    return503OnClosing: false,
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: LOOK_FOR_LATE_MS,
      // Node's own refusal has no words, and of two it takes the first: requireOneHost looks at both.
      requireHostHeader: false,
    },
    schemaController: NO_COMPILERS,
    routerOptions: { maxParamLength: 200 },
    // What its router can't even read.
    frameworkErrors: fail,
  })
  app.server.maxConnections = MOST_CONNECTIONS
  if (options.keyed !== undefined) keyPort(app, options.keyed)
  // fastify's own way (forceCloseConnections) knows only of servers that it has made listen itself.
  app.addHook('preClose', async () => {
    app.server.closeIdleConnections()
    systemClock.after(CLOSING_MS, () => app.server.closeAllConnections())
  })
  app.addHook('onRequest', async (request, reply) => {
    nameCluster(reply)
    requireOneHost(request.raw)
  })
  app.setErrorHandler(fail)
  const paths = new KnownPaths(app)
  app.setNotFoundHandler(({ method, url }, reply) => {
    const term = options.term()
    const allowed = paths.methodsOf(url).join(', ')
    if (allowed === '') {
      const error = new RpcError('NOT_FOUND', `there is no ${method} ${url}`)
      return sendError(reply, error, { term, status: 404 })
    }
    const error = new RpcError('BAD_REQUEST', `${url} takes no ${method}, but ${allowed}`)
    return sendError(reply.header('allow', allowed), error, { term, status: 405 })
  })
  return app
}

/** A server that answers `POST /rpc/NAME/...` as the contract says, over TLS; not listening yet. */
export function rpcServer<N extends ServiceName>(
  name: N,
  handlers: Handlers<N>,
  options: ServerOptions,
): FastifyInstance {
  const { guard, log } = options
  const app = limitedServer({
    log,
    term: () => guard.term(),
    clusterId: () => guard.clusterId,
    keyed: { guard, isCertified: showsCertificate(name) },
  })
  for (const [methodName, method] of Object.entries(services[name])) {
    const handler = handlers[methodName as MethodName<N>] as unknown
    const url = `/rpc/${name}/${methodName}`
    const onRequest = async (request: FastifyRequest): Promise<void> => {
      requireNoPage(request)
      const { headers, ip } = request
      if (method.access === 'cluster') await guard.admit(headers, ip, provenBy(request.raw.socket))
      else if (method.access === 'user') callers.set(request, guard.requireUser(headers, ip))
      else if (method.access === 'open' || clusterNamed(headers) != null) {
        guard.requireOurs(headers, ip)
      }
    }
    app.route({
      method: 'POST',
      url,
      bodyLimit: method.access === 'cluster' ? CLUSTER_BODY_LIMIT_BYTES : BODY_LIMIT_BYTES,
      onRequest,
      handler:
        method.kind === 'call'
          ? observed(callHandler(method, handler as CallHandler, options), {
              ...{ service: name, method: methodName, options },
            })
          : streamHandler(method, handler as StreamHandler, options),
    })
  }
  return app
}

/** From the headers, which are looked at before the body is read, to the handler. */
const callers = new WeakMap<FastifyRequest, Caller | null>()
const callerOf = (request: FastifyRequest): Caller | null => callers.get(request) ?? null

type CallHandler = (request: unknown, context: CallContext) => unknown
type StreamHandler = (request: unknown, writer: LineWriter<unknown>, context: CallContext) => void
type Route = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>

function callHandler(method: CallMethod, handler: CallHandler, options: ServerOptions): Route {
  return async (request, reply) => {
    const message = checked(method, request.body)
    if (method.access === 'cluster') options.guard.requireNewest(request.headers, request.ip)
    const pass = method.activeOnly ? options.gate.enter() : null
    if (pass !== null) leaveWhenSent(reply, pass)
    const answer = await jsonInSlices(
      await handler(message, { from: request.ip, pass, caller: callerOf(request) }),
    )
    reply.header('content-type', 'application/json; charset=utf-8')
    reply.header(EPOCH_HEADER, options.guard.term())
    // From here to the socket nothing waits: what is confirmed now is sent now.
    pass?.confirm()
    return reply.send(answer)
  }
}

/** What a call waits for on purpose (`wait`) counts as its time too. */
function observed(
  route: Route,
  { service, method, options }: { service: ServiceName; method: string; options: ServerOptions },
): Route {
  const { onCall, clock, log } = options
  if (onCall === undefined) return route
  return async (request, reply) => {
    const beganMs = clock.nowMs()
    const tell = (code: CallFacts['code']): void =>
      onCall({ service, method, code, tookMs: clock.nowMs() - beganMs })
    try {
      const answer = await route(request, reply)
      tell('ok')
      return answer
    } catch (error) {
      const refusal = asRpcError(error, request, log)
      tell(refusal.code)
      throw refusal
    }
  }
}

/** A hand-over waits until the answer has left this process, not only until it is made. */
function leaveWhenSent(reply: FastifyReply, pass: Pass): void {
  const leave = (): void => {
    reply.raw.off('finish', leave).off('close', leave)
    pass.leave()
  }
  reply.raw.once('finish', leave).once('close', leave)
}

function streamHandler(
  method: StreamMethod,
  handler: StreamHandler,
  options: ServerOptions,
): Route {
  return async (request, reply) => {
    const message = checked(method, request.body)
    reply.hijack()
    const { clock, beatMs } = options
    const wanted = { clock, beatMs: beatFor(request.headers[BEAT_HEADER], beatMs) }
    const writer = new LineWriter<unknown>(reply.raw, wanted)
    handler(message, writer, { from: request.ip, pass: null, caller: callerOf(request) })
    return reply
  }
}

/** More often costs more than it tells. */
const SHORTEST_BEAT_MS = 10

/** What a reader asks for, where it is more often than the own beat. */
function beatFor(asked: string | string[] | undefined, ownMs: number): number {
  const askedMs = Number(asked)
  return askedMs > 0 ? Math.min(ownMs, Math.max(SHORTEST_BEAT_MS, askedMs)) : ownMs
}

function checked(method: CallMethod | StreamMethod, body: unknown): unknown {
  const parsed = method.request.safeParse(body ?? {})
  if (parsed.success) return parsed.data
  throw new RpcError('BAD_REQUEST', faultOf(parsed.error))
}

function asRpcError(error: unknown, request: FastifyRequest, log: Log): RpcError {
  return RpcError.from(error, () => {
    const { statusCode: status } = error as { statusCode?: unknown }
    if (typeof status === 'number' && status >= 400 && status < 500) {
      return new RpcError('BAD_REQUEST', messageOf(error))
    }
    log('error', `${request.method} ${request.url} failed: ${messageOf(error)}`, {
      event: 'request-failed',
      error,
    })
    return new RpcError('INTERNAL', 'a mistake in the software; the log of this master tells more')
  })
}

function sendError(
  reply: FastifyReply,
  error: RpcError,
  { term, status }: { term: number; status: number },
): void {
  const body = { ...bodyOf(error), epoch: error.epoch ?? term }
  if (status === 401) reply.header('www-authenticate', 'Bearer')
  void reply.code(status).header(EPOCH_HEADER, term).send(body)
}
