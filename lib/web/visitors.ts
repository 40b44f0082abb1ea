/**
 * Who asks on the info port, and what is open to everybody there: what load balancers, monitoring and a look at the
 * cluster's health need, in which no statement, table, user or value of the configuration stands. All else is for who shows
 * a token: an administrator's (`tajo haadmin -token` prints one), or a user's session token.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Caller, mayTouch } from '../access/index.ts'
import { type Audit, noAudit } from '../base/audit.ts'
import { RpcError } from '../rpc/index.ts'
import type { QueryRow, WebRules, WebView } from './view.ts'

/** Null: nobody has to prove anything (tajo.security.authentication is none). */
type Visitor = Caller | null

/** As fastify knows routes. What is ordered of a master has a token of its own, which its route looks at. */
export const OPEN: ReadonlySet<string> = new Set([
  '/',
  '/page/:name',
  '/plain',
  '/health/active',
  '/health/backup',
  '/health/live',
  '/metrics',
  '/api/v1/cluster',
  '/api/v1/history',
  '/api/v1/events',
  '/api/v1/openapi.json',
  '/api/v1/admin/hand-over',
  '/api/v1/admin/take-over',
])

interface VisitOptions {
  readonly view: WebView
  readonly rules: WebRules
  readonly audit?: Audit | undefined
}

const visitors = new WeakMap<FastifyRequest, Visitor>()

/** Throws UNAUTHENTICATED where somebody has to be known and is not. */
export function admitVisitor(
  request: FastifyRequest,
  reply: FastifyReply,
  { view, rules, audit = noAudit }: VisitOptions,
): void {
  if (rules.authentication === 'none') return
  const { url } = request.routeOptions
  const { authorization } = request.headers
  // A path that there is not is answered as one.
  if (url === undefined || (OPEN.has(url) && authorization === undefined)) return
  const known = view.visitor(authorization)
  if (typeof known === 'object') {
    visitors.set(request, known)
    return
  }
  if (OPEN.has(url)) return
  // Whoever shows none has tried nothing: a page asks so before anybody has told it one.
  if (known !== 'missing') audit('refusal', { what: 'token', from: request.ip, why: TOLD[known] })
  reply.header('www-authenticate', 'Bearer')
  throw new RpcError('UNAUTHENTICATED', TOLD[known])
}

/** Of a request that was admitted. */
export const visitorOf = (request: FastifyRequest): Visitor => visitors.get(request) ?? null

/** Whether all of the statements may be told: also where the path is open. */
export const seesAll = (request: FastifyRequest, { authentication }: WebRules): boolean =>
  authentication === 'none' || visitorOf(request)?.principal.kind === 'administrator'

/** Those that are his to see. */
export const hisOf = (visitor: Visitor, rows: readonly QueryRow[]): QueryRow[] =>
  rows.filter(({ asUser }) => visitor === null || mayTouch(visitor.principal, asUser))

/** Throws FORBIDDEN. */
export function requireAdministrator(visitor: Visitor): void {
  if (visitor === null || visitor.principal.kind === 'administrator') return
  throw new RpcError('FORBIDDEN', 'this is for the administrator (tajo haadmin -token)')
}

const LOG_IN = 'tajo haadmin -token prints one, for the header Authorization: Bearer TOKEN'
const TOLD = {
  missing: `log in: this asks for a token; ${LOG_IN}`,
  strange: `the token is none of this cluster's; ${LOG_IN}`,
  ended: `the token has ended; ${LOG_IN}`,
} as const
