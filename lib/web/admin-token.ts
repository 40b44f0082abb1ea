/**
 * The token for admin orders over HTTP: made from the cluster's secret, so that whoever may read the HA directory can
 * print it (`tajo haadmin -token`), every master knows it, and nobody learns the secret from it.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

const PURPOSE = 'tajo info-http admin token, version 1'

export const adminToken = (secret: string): string =>
  createHmac('sha256', secret).update(PURPOSE).digest('hex')

/** Of an `Authorization: Bearer …` header. Takes the same time whatever was sent. */
export function isAdmin(authorization: string | undefined, secret: string): boolean {
  const shown = /^Bearer (\S{1,200})$/.exec(authorization ?? '')?.[1] ?? ''
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(shown), digest(adminToken(secret)))
}
