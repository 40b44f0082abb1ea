/**
 * Session tokens: who somebody is, until when, sealed with the cluster's secret. Good at every master and worker of the
 * cluster, whoever is active, since nobody keeps a list of them; so they survive a failover.
 *
 * Whoever can read the secret makes himself an administrator's token: nobody has to be asked for it. A user's token tells
 * which of his passwords it was given for (`mark`): the active master, which has the verifiers, refuses it once the user was
 * dropped or has another password. Workers and backups, which have none, take it until it ends.
 */
import { createHash } from 'node:crypto'
import type { Principal } from './principal.ts'
import type { Seals } from './seal.ts'

/** The form of tokens: another one is made when they change in a way that older masters can't read. */
const VERSION = 1
/** A user logs in once for a working day. */
export const USER_TOKEN_MS = 10 * 3_600_000
/** An administrator makes himself the next one whenever he wants. */
export const ADMINISTRATOR_TOKEN_MS = 3_600_000

/** Whose request it is, as the token proves. */
export interface Caller {
  readonly principal: Principal
  /** Of a user: which password; null for an administrator. */
  readonly mark: string | null
}

interface Token extends Caller {
  /** By the clock of whoever gave it, ms since 1970. */
  readonly endMs: number
}

/** Short for a verifier, and no help in guessing the password: a salt is in it. */
export const markOf = (verifier: string): string =>
  createHash('sha256').update(verifier).digest('base64url').slice(0, 16)

export const makeToken = (seals: Seals, { principal, mark, endMs }: Token): string =>
  seals.seal('session token', {
    v: VERSION,
    kind: principal.kind,
    name: principal.name,
    end: endMs,
    ...(mark !== null && { mark }),
  })

/** `strange`: none of this cluster's, or none at all. */
type TokenFault = 'strange' | 'ended'

export function readToken(seals: Seals, text: string, nowMs: number): Token | TokenFault {
  const value = seals.open('session token', text)
  if (typeof value !== 'object' || value === null) return 'strange'
  const { v, kind, name, end, mark } = value as Record<string, unknown>
  if (v !== VERSION || typeof name !== 'string' || typeof end !== 'number') return 'strange'
  if (end <= nowMs) return 'ended'
  if (kind === 'administrator') return { principal: { kind, name }, mark: null, endMs: end }
  if (kind !== 'user' || typeof mark !== 'string') return 'strange'
  return { principal: { kind, name }, mark, endMs: end }
}
