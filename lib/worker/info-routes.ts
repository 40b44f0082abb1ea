/** A worker's info port tells that it lives, who it is, and its metrics. It takes no orders, and no page of others may ask it. */
import type { FastifyInstance } from 'fastify'
import { requireCaller } from '../rpc/index.ts'
import { metricsText, type WorkerFacts } from './metrics.ts'

interface InfoFacts {
  /** By which browsers may ask, lower case. */
  readonly names: readonly string[]
  readonly status: () => object
  readonly metrics: () => WorkerFacts
}

/** Adds the routes to a server that has no others. */
export function addInfoRoutes(app: FastifyInstance, { names, status, metrics }: InfoFacts): void {
  const known = new Set(names)
  app.addHook('onRequest', async (request) => requireCaller(request, () => known))
  app.get('/health/live', () => 'live\n')
  app.get('/api/v1/worker', status)
  app.get('/metrics', (_request, reply) =>
    reply
      .header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
      .send(metricsText(metrics())),
  )
}
