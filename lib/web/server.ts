/**
 * The info port: health for load balancers, JSON for programs, a page for people, metrics. Read-only: nothing here
 * changes anything, so it needs no secret.
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { metricsText } from './metrics.ts'
import { PAGE_HEADERS, statusPage } from './status-page.ts'
import type { WebView } from './view.ts'

const JSON_HEADERS = {
  'content-type': 'application/json; charset=utf-8',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
} as const
const TEXT_HEADERS = {
  'content-type': 'text/plain; charset=utf-8',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
} as const

const HISTORY_ROWS = 50
const MOST_HISTORY_ROWS = 1000
const PAGE_HISTORY_ROWS = 10

/** Adds the routes to a server that has no others. */
export function addWebRoutes(app: FastifyInstance, view: WebView): void {
  const health = (path: string, healthy: () => boolean): void => {
    app.get(path, (_request, reply) => {
      // Asked many times a second: a constant text and the state, nothing else.
      reply.code(healthy() ? 200 : 503).headers(TEXT_HEADERS)
      reply.send(`${view.state()}\n`)
    })
  }
  health('/health/active', () => view.serving())
  health('/health/backup', () => view.state() === 'backup')
  health('/health/live', () => true)

  app.get('/api/v1/cluster', (_request, reply) => sendJson(reply, view.cluster()))
  app.get<{ Querystring: { limit?: unknown } }>('/api/v1/queries', async (request, reply) => {
    const limit = limitOf(request.query.limit)
    if (limit === null) return badLimit(reply)
    return sendJson(reply, { queries: await view.queries(limit) })
  })
  app.get<{ Querystring: { limit?: unknown } }>('/api/v1/history', async (request, reply) => {
    const limit = limitOf(request.query.limit)
    if (limit === null) return badLimit(reply)
    return sendJson(reply, { history: await view.history(limit) })
  })
  app.get('/metrics', (_request, reply) =>
    reply
      .headers({ ...TEXT_HEADERS, 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
      .send(metricsText(view.metrics())),
  )
  app.get('/', async (_request, reply) => {
    const history = await view.history(PAGE_HISTORY_ROWS).catch(() => null)
    return reply.headers(PAGE_HEADERS).send(statusPage(view.cluster(), history))
  })
}

const sendJson = (reply: FastifyReply, value: unknown): FastifyReply =>
  reply.headers(JSON_HEADERS).send(JSON.stringify(value))

const badLimit = (reply: FastifyReply): FastifyReply => {
  const message = `limit must be a whole number from 1 to ${MOST_HISTORY_ROWS}`
  return sendJson(reply.code(400), { code: 'BAD_REQUEST', message })
}

function limitOf(text: unknown): number | null {
  if (text === undefined) return HISTORY_ROWS
  const limit = typeof text === 'string' && /^\d{1,4}$/.test(text) ? Number(text) : 0
  return limit >= 1 && limit <= MOST_HISTORY_ROWS ? limit : null
}
