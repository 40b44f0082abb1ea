/**
 * What all masters of a cluster must agree on: where the catalog is. User and password may differ from host to host,
 * and must never reach the shared directory or a message, so they are taken out.
 */

const CREDENTIALS = /^(user|username|password|passwd|pwd)$/i

/** `uri` without user and password, be they before the host or among the parameters. */
export function withoutCredentials(uri: string): string {
  const bare = uri.replace(/(:\/\/)[^/@]*@/, '$1')
  if (bare.startsWith('jdbc:derby:')) return keepParameters(bare, ';', ';')
  return keepParameters(bare, '?', '&')
}

function keepParameters(uri: string, first: string, next: string): string {
  const at = uri.indexOf(first)
  if (at < 0) return uri
  const kept = uri
    .slice(at + 1)
    .split(next)
    .filter((pair) => !CREDENTIALS.test(pair.split('=')[0] ?? ''))
  return kept.length === 0 ? uri.slice(0, at) : `${uri.slice(0, at)}${first}${kept.join(next)}`
}
