/**
 * Headers of every answer: nothing runs, loads or connects but what this port itself serves, and data from the other
 * masters' ports; nobody frames it; nothing is guessed or kept. No cookie is ever set.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { pageOrigins } from './callers.ts'
import type { WebView } from './view.ts'

/** Also for what is refused before any route is looked for. */
export const COMMON_HEADERS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
} as const

/** For every answer; pages of other masters are let in for reading. Health checks come often, so this is cheap. */
export function addHeaders(request: FastifyRequest, reply: FastifyReply, view: WebView): void {
  const { headers, method } = request
  reply.headers(COMMON_HEADERS)
  if (headers.origin === undefined || method !== 'GET') return
  reply.header('vary', 'origin')
  if (pageOrigins(headers.host, view.pages()).includes(headers.origin)) {
    reply.header('access-control-allow-origin', headers.origin)
  }
}

/** For the page and its files. */
export const pageHeaders = (
  host: string | undefined,
  pages: readonly string[],
): Record<string, string> => ({
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src ${["'self'", ...pageOrigins(host, pages)].join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
})
