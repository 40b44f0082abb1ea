/**
 * Who may ask for what on the info port. Reading is free to programs, to our own page and to those of the other masters, so
 * that a page lives on when its own master is gone; rpc/browser.ts keeps all other pages out. What changes something,
 * or runs SQL, is for programs and for our own page alone:
 *
 * - JSON only: another site's form can't send it, and a script needs a permission (CORS) that is never given.
 * - `Origin` must be the address that was asked, and `Sec-Fetch-Site` must not tell of another site.
 *
 * The token for admin orders over HTTP: made from the cluster's secret, so that whoever may read the HA directory can
 * print it (`tajo haadmin -token`), every master knows it, and nobody learns the secret from it.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { joinHostPort, splitHostPort } from '../base/host-port.ts'
import { hostNameOf, hostOfOrigin, RpcError, requireCaller } from '../rpc/index.ts'
import type { SqlMode, WebRules, WebView } from './view.ts'

const PURPOSE = 'tajo info-http admin token, version 1'

export const adminToken = (secret: string): string =>
  createHmac('sha256', secret).update(PURPOSE).digest('hex')

/** Whether an `Authorization: Bearer …` header has the secret. Takes the same time whatever was sent. */
export function isAdmin(authorization: string | undefined, secret: string): boolean {
  const shown = /^Bearer (\S{1,200})$/.exec(authorization ?? '')?.[1] ?? ''
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(shown), digest(adminToken(secret)))
}

const refuse = (message: string): never => {
  throw new RpcError('FORBIDDEN', message)
}

/** Throws FORBIDDEN or BAD_REQUEST for what a page could have sent that is none of the masters'. */
export function requireOurs(request: FastifyRequest, view: WebView): void {
  const { host } = request.headers
  requireCaller(
    request,
    () => view.hostNames(),
    (origin) => pageOrigins(host, view.pages()).includes(origin),
  )
}

/** Throws FORBIDDEN or BAD_REQUEST for a changing request that is not a program's or our own page's. */
export function requireOwnPage(request: FastifyRequest): void {
  const { headers } = request
  if (!/^application\/json\b/i.test(headers['content-type'] ?? '')) {
    throw new RpcError('BAD_REQUEST', 'the content-type must be application/json')
  }
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    refuse('another site may not do this (Sec-Fetch-Site)')
  }
  const { origin } = headers
  if (origin !== undefined && hostOfOrigin(origin) !== headers.host?.toLowerCase()) {
    refuse('a page of another address may not do this (Origin)')
  }
  // Our page names its cluster in whatever it asks; only one that was loaded before an upgrade doesn't.
  if (origin !== undefined && (request.query as { cluster?: unknown }).cluster === undefined) {
    throw new RpcError('BAD_REQUEST', 'this page is of an older state of the software: reload it')
  }
}

/** Pages that may read from here: those of the masters, under their own name or the one that this request uses. */
export function pageOrigins(host: string | undefined, pages: readonly string[]): string[] {
  const name = hostNameOf(host ?? '')
  const origins = new Set<string>()
  for (const page of pages) {
    const split = splitHostPort(page)
    if (split === null) continue
    origins.add(`http://${joinHostPort(split)}`)
    if (name !== null) {
      origins.add(`http://${joinHostPort({ host: name, port: split.port })}`)
    }
  }
  return [...origins]
}

const isLoopback = (ip: string): boolean =>
  ip === '::1' || ip.startsWith('127.') || ip.startsWith('::ffff:127.')

/** What this caller may run. */
export const sqlModeFor = (ip: string, { sql, sqlFromHereOnly }: WebRules): SqlMode =>
  sqlFromHereOnly && !isLoopback(ip) ? 'off' : sql

/** Throws FORBIDDEN where the page may run no SQL. */
export function requireSql(request: FastifyRequest, rules: WebRules): SqlMode {
  const mode = sqlModeFor(request.ip, rules)
  if (mode !== 'off') return mode
  return refuse(
    rules.sql === 'off'
      ? 'tajo.master.info-http.sql is off: the web page runs no SQL and kills no query'
      : 'tajo.master.client-rpc.address is open to this host only, so the web page runs SQL for it only',
  )
}
