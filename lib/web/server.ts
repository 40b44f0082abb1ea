/**
 * The info port has health for load balancers, JSON and events for programs and for the page, and metrics. Everything
 * that is read here is free to read, but for pages of others; what runs SQL or changes something goes through `callers.ts`
 * once more.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Audit, noAudit } from '../base/audit.ts'
import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import type { Clock } from '../base/time.ts'
import { faultOf } from '../contract/index.ts'
import { RPC_ERRORS, RpcError, requireIfNamed } from '../rpc/index.ts'
import { ActiveOnly } from './active-only.ts'
import { isAdmin, requireOurs, requireOwnPage, requireSql, sqlModeFor } from './callers.ts'
import { EventHub } from './events.ts'
import { addHeaders, pageHeaders } from './headers.ts'
import type { Metrics } from './metrics.ts'
import { acceptsGzip, PageFiles } from './page-files.ts'
import { pageOfQueries, queryFilter, tablesFilter, wholeNumber } from './query-page.ts'
import { handOverRequest } from './schemas.ts'
import { SqlAnswers } from './sql-answer.ts'
import { PAGE_HEADERS, refusalPage, statusPage } from './status-page.ts'
import { PATIENCE_MS, type Refusal, type WebRules, type WebView } from './view.ts'
import { admitVisitor, hisOf, requireAdministrator, visitorOf } from './visitors.ts'

interface WebOptions {
  readonly view: WebView
  readonly rules: WebRules
  readonly metrics: Metrics
  readonly version: string
  readonly clock: Clock
  readonly log: Log
  /** Left out where nothing is audited. */
  readonly audit?: Audit | undefined
  readonly files?: PageFiles
}

/** What is open for longer than one answer. */
export interface WebDoor {
  /** Open pages. */
  readonly pages: number
  /** Tells all pages and lets them go. */
  close(reason: string): void
}

const MOST_QUERIES = 10_000
const PLAIN_HISTORY_ROWS = 10
const LEASE_SECONDS = 900
const SQL_BODY_BYTES = 1024 * 1024
const SMALL_BODY_BYTES = 16 * 1024

/** Adds the routes to a server that has no others. */
export function addWebRoutes(app: FastifyInstance, options: WebOptions): WebDoor {
  const { view } = options
  const hub = new EventHub(options)
  const statements = new SqlAnswers(options)
  const activeOnly = new ActiveOnly(options)
  app.addHook('onRequest', async (request, reply) => {
    addHeaders(request, reply, view)
    if (refusedInPage(request, reply, options)) return reply
    requireIfNamed(request, view.clusterId())
    admitVisitor(request, reply, options)
    await activeOnly.admit(request)
    return undefined
  })
  app.addHook('onSend', async (request, reply, answer) =>
    activeOnly.confirm(request, reply, answer),
  )
  addHealth(app, view)
  addDocuments(app, options)
  addCatalog(app, options)
  addOrders(app, options)
  app.get('/api/v1/events', async (request, reply) => {
    await hub.open(request, reply)
    return reply
  })
  app.post('/api/v1/sql', { bodyLimit: SQL_BODY_BYTES }, async (request, reply) => {
    await statements.answer(request, reply)
    return reply
  })
  addPages(app, options)
  return {
    get pages() {
      return hub.pages
    },
    close: (reason) => {
      activeOnly.close()
      hub.close(reason)
      statements.close()
    },
  }
}

/** Throws what `requireOurs` throws, and answers it itself where people would have to read JSON. */
function refusedInPage(
  request: FastifyRequest,
  reply: FastifyReply,
  { view, audit = noAudit }: WebOptions,
): boolean {
  try {
    requireOurs(request, view)
    return false
  } catch (error) {
    audit('refusal', { what: 'page', from: request.ip, why: messageOf(error) })
    const takesPages = request.headers.accept?.includes('text/html') === true
    if (!takesPages || !(error instanceof RpcError)) throw error
    const { status } = RPC_ERRORS[error.code]
    reply.code(status).headers(PAGE_HEADERS).send(refusalPage(error.message))
    return true
  }
}

function addHealth(app: FastifyInstance, view: WebView): void {
  const health = (path: string, healthy: () => boolean): void => {
    app.get(path, (_request, reply) => {
      // Asked many times a second: a constant text and the state, nothing else.
      reply.code(healthy() ? 200 : 503).type('text/plain; charset=utf-8')
      reply.send(`${view.state()}\n`)
    })
  }
  health('/health/active', () => view.serving())
  health('/health/backup', () => view.state() === 'backup')
  health('/health/live', () => true)
}

type WithQuery = { Querystring: Record<string, unknown> }

function addDocuments(app: FastifyInstance, { view, rules, metrics, version }: WebOptions): void {
  app.get('/api/v1/cluster', async (request, reply) =>
    sendJson(reply, {
      ...(await view.cluster(PATIENCE_MS)),
      sql: sqlModeFor(request.ip, rules),
      admin: rules.admin,
    }),
  )
  app.get<WithQuery>('/api/v1/history', async ({ query }, reply) => {
    const limit = wholeNumber(query, 'limit', { from: 1, to: 1000, otherwise: 50 })
    return sendJson(reply, { history: await view.history(limit) })
  })
  app.get('/api/v1/lease', (_request, reply) => sendJson(reply, view.lease(LEASE_SECONDS)))
  app.get('/api/v1/workers', async (_request, reply) => sendJson(reply, await view.workers()))
  app.get<WithQuery>('/api/v1/queries', async (request, reply) => {
    const filter = queryFilter(request.query)
    const rows = hisOf(visitorOf(request), await view.queries(MOST_QUERIES))
    return sendJson(reply, pageOfQueries(rows, filter))
  })
  app.get<WithId>('/api/v1/queries/:queryId', async (request, reply) => {
    const { queryId } = request.params
    const rows = hisOf(visitorOf(request), await view.queries(MOST_QUERIES))
    const query = rows.find((row) => row.queryId === queryId)
    if (query === undefined) throw new RpcError('NOT_FOUND', 'nobody knows a query of that id')
    return sendJson(reply, { query })
  })
  app.get('/api/v1/config', (request, reply) => {
    requireAdministrator(visitorOf(request))
    return sendJson(reply, view.config())
  })
  app.get('/api/v1/openapi.json', async (_request, reply) => {
    const { openApi } = await import('./openapi.ts')
    return reply.type('application/json; charset=utf-8').send(openApi(version))
  })
  app.get('/metrics', async (_request, reply) => {
    const text = await metrics.text(view.metrics())
    return reply.type('text/plain; version=0.0.4; charset=utf-8').send(text)
  })
}

function addCatalog(app: FastifyInstance, { view }: WebOptions): void {
  app.get('/api/v1/catalog', async (request, reply) =>
    sendJson(reply, { databases: await view.databases(visitorOf(request)) }),
  )
  app.get<WithQuery & { Params: { database: string } }>(
    '/api/v1/catalog/:database',
    async (request, reply) => {
      const { database } = request.params
      const filter = tablesFilter(request.query)
      const found = await view.tables(database, filter, visitorOf(request))
      return sendJson(reply, { database, ...found })
    },
  )
}

type WithId = { Params: { queryId: string } }
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function addOrders(app: FastifyInstance, options: WebOptions): void {
  const { view, rules, log, audit = noAudit } = options
  const small = { bodyLimit: SMALL_BODY_BYTES }
  app.post<WithId>('/api/v1/queries/:queryId/kill', small, async (request, reply) => {
    requireOwnPage(request)
    requireSql(request, rules)
    const { queryId } = request.params
    if (!UUID.test(queryId)) throw new RpcError('BAD_REQUEST', 'a query id is a UUID')
    log('info', `query ${queryId} is to be killed, by a page`, {
      event: 'page-kill-received',
      from: request.ip,
    })
    audit('page', { asks: 'kill', queryId, from: request.ip })
    return sendJson(reply, { known: await view.kill(queryId, visitorOf(request)) })
  })
  const order = (
    name: string,
    run: (body: unknown, by: string) => Promise<Refusal | null>,
  ): void => {
    app.post(`/api/v1/admin/${name}`, small, async (request, reply) => {
      requireOwnPage(request)
      if (!requireAdmin(request, reply, options)) return reply
      log('info', `order of a page: ${name}`, { event: 'page-order-received', from: request.ip })
      const by = `web page, from ${request.ip}`
      const refusal = await run(request.body ?? {}, by)
      audit('order', { order: name, from: request.ip, by, refused: refusal?.message ?? null })
      if (refusal === null) return sendJson(reply, {})
      return sendFailure(reply.code(409), refusal)
    })
  }
  order('hand-over', (body, by) => {
    const wanted = handOverRequest.safeParse(body)
    if (!wanted.success) throw new RpcError('BAD_REQUEST', faultOf(wanted.error))
    return view.handOver(wanted.data.successor, by)
  })
  order('take-over', (_body, by) => view.takeOver(by))
}

/** Throws FORBIDDEN where the configuration says no; answers 401 itself for a missing or wrong token. */
function requireAdmin(
  request: FastifyRequest,
  reply: FastifyReply,
  { view, rules, log, audit = noAudit }: WebOptions,
): boolean {
  if (!rules.admin) {
    const text = 'tajo.master.info-http.admin is off: use tajo haadmin on the master itself'
    throw new RpcError('FORBIDDEN', text)
  }
  const secret = view.secret()
  if (secret !== null && isAdmin(request.headers.authorization, secret)) return true
  log('warn', 'an order of a page was refused: its token is missing or wrong', {
    event: 'page-order-refused',
    from: request.ip,
  })
  const message = 'the token is missing or wrong: tajo haadmin -token prints it'
  audit('refusal', { what: 'token', from: request.ip, why: message })
  sendFailure(reply.code(401).header('www-authenticate', 'Bearer'), {
    code: 'UNAUTHORIZED',
    message,
  })
  return false
}

function addPages(app: FastifyInstance, { view, files = new PageFiles() }: WebOptions): void {
  const send = async (name: string, request: FastifyRequest, reply: FastifyReply) => {
    const file = await files.find(name)
    if (file === null) throw new RpcError('NOT_FOUND', 'the page has no such file')
    reply.headers(pageHeaders(request.headers.host, view.pages()))
    reply.headers({ etag: file.etag, 'cache-control': 'no-cache', vary: 'accept-encoding' })
    if (request.headers['if-none-match'] === file.etag) return reply.code(304).send()
    const packed = acceptsGzip(request.headers['accept-encoding'])
    if (packed) reply.header('content-encoding', 'gzip')
    return reply.type(file.type).send(packed ? file.gzip : file.plain)
  }
  app.get('/', (request, reply) => send('index.html', request, reply))
  app.get<{ Params: { name: string } }>('/page/:name', (request, reply) =>
    send(request.params.name, request, reply),
  )
  app.get('/plain', async (_request, reply) => {
    // The page says so where it could not be read.
    const history = await view.history(PLAIN_HISTORY_ROWS).catch(() => null)
    return reply.headers(PAGE_HEADERS).send(statusPage(await view.cluster(PATIENCE_MS), history))
  })
}

const sendJson = (reply: FastifyReply, value: unknown): FastifyReply =>
  reply.type('application/json; charset=utf-8').send(JSON.stringify(value))

const sendFailure = (reply: FastifyReply, { code, message }: Refusal): FastifyReply =>
  sendJson(reply, { code, message, active: null, epoch: null })
