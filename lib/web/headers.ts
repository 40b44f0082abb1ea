/**
 * Headers of every answer: nothing runs, loads or connects but what this port itself serves, and data from the other
 * masters' ports; nobody frames it; nothing is guessed or kept. No cookie is ever set.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { pageOrigins } from './callers.ts'
import type { WebView } from './view.ts'

export function addHeaders(request: FastifyRequest, reply: FastifyReply, view: WebView): void {
  const { headers, method } = request
  const origins = pageOrigins(headers.host, view.pages())
  reply.headers({
    'content-security-policy': policy(origins),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cache-control': 'no-store',
  })
  if (headers.origin === undefined || method !== 'GET') return
  reply.header('vary', 'origin')
  if (origins.includes(headers.origin)) {
    reply.header('access-control-allow-origin', headers.origin)
  }
}

const policy = (origins: readonly string[]): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src ${["'self'", ...origins].join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
