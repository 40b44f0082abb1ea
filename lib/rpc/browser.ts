/**
 * A browser is a bridge: it stands inside the network, and runs pages of people who don't. What no page may do here:
 *
 * - Read under a name of its own that its owner has pointed at us (DNS rebinding): to the browser we would be its own
 *   site. So `Host` must be a name of the cluster, or an IP address, which nobody can point elsewhere.
 * - Ask from another site. Its browser would not show it the answer, but the question alone costs something here. Such a
 *   question names its page (`Origin`), or tells at least that it is of another site (`Sec-Fetch-Site`). A link that
 *   somebody follows is no such question, since nobody but the reader sees what comes.
 *
 * Health and metrics hold nothing that is worth a bridge and are asked by proxies and monitoring under any name. No page
 * has anything to ask of the ports of the daemons and clients, which take no `Origin` at all.
 *
 * A request with two `Host` headers is refused on every port: a proxy may have judged it by the other one.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { isIP, isIPv6 } from 'node:net'
import { RpcError } from './errors.ts'

/** Further names of the cluster. */
const NAMES_KEY = 'tajo.master.info-http.names'
const LONGEST_TOLD = 100

/** A request as its server has it: `url` is the path of its route, nothing where none fits. */
interface Asked {
  readonly headers: IncomingHttpHeaders
  readonly routeOptions: { readonly url?: string | undefined }
}

/** Throws BAD_REQUEST unless there is one; HTTP/1.0 knows requests without. */
export function requireOneHost({ rawHeaders, httpVersion }: IncomingMessage): void {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() === 'host') count += 1
  }
  if (count === 1 || (count === 0 && httpVersion === '1.0')) return
  throw wrongHosts(count)
}

const wrongHosts = (count: number): RpcError => {
  const found = count === 0 ? 'no Host header' : `${count} Host headers`
  return new RpcError('BAD_REQUEST', `the request has ${found}: it needs exactly one`)
}

/** Takes the name out of a Host header or an address: lower case, without port, brackets and a last dot. Null: there is none. */
export function hostNameOf(host: string): string | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{0,5})?$/.exec(host.toLowerCase())
  const [, address, name] = match ?? []
  if (address !== undefined) return isIPv6(address) ? address : null
  return name?.replace(/\.$/, '') ?? null
}

/** `host[:port]` of an origin; null for `null` and everything that is no address of a page. */
export function hostOfOrigin(origin: string): string | null {
  const match = /^https?:\/\/([^/\s]+)$/i.exec(origin)
  return match?.[1]?.toLowerCase() ?? null
}

/**
 * Throws FORBIDDEN or BAD_REQUEST for what a page of somebody else's could have sent to an info port. `names` are those
 * of the cluster, in lower case; pages of `mayAsk` are its own.
 */
export function requireCaller(
  { headers, routeOptions }: Asked,
  names: () => ReadonlySet<string>,
  mayAsk: (origin: string) => boolean = () => false,
): void {
  const path = routeOptions.url ?? ''
  if (path.startsWith('/health/') || path === '/metrics') return
  const { host, origin } = headers
  if (host === undefined) throw wrongHosts(0)
  requireName(host, names)
  if (origin === undefined) requireNoOtherSite(headers)
  else if (hostOfOrigin(origin) !== host.toLowerCase() && !mayAsk(origin)) {
    throw new RpcError(
      'FORBIDDEN',
      `a page of ${told(origin)} may not ask here (Origin): allowed are the masters' own pages`,
    )
  }
}

function requireName(host: string, names: () => ReadonlySet<string>): void {
  const name = hostNameOf(host)
  if (name !== null && (isIP(name) !== 0 || name === 'localhost' || names().has(name))) return
  throw new RpcError(
    'FORBIDDEN',
    `the Host header names ${told(name ?? host)}, which is no name of this cluster: allowed are names in conf/masters, IP addresses, and what ${NAMES_KEY} lists`,
  )
}

const told = (text: string): string => `'${text.slice(0, LONGEST_TOLD)}'`

function requireNoOtherSite(headers: IncomingHttpHeaders): void {
  const site = headers['sec-fetch-site']
  if (site === undefined || site === 'same-origin' || site === 'none') return
  if (headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document') return
  throw new RpcError(
    'FORBIDDEN',
    "another site may not ask here (Sec-Fetch-Site): allowed are the masters' own pages",
  )
}

/** Throws FORBIDDEN for whatever a browser sends from a page. */
export function requireNoPage({ headers }: Pick<Asked, 'headers'>): void {
  if (headers.origin === undefined && headers['sec-fetch-site'] === undefined) return
  throw new RpcError(
    'FORBIDDEN',
    'no page may ask this port (Origin, Sec-Fetch-Site): it is for programs, and the info port for pages',
  )
}
