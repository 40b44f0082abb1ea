/**
 * Which cluster is spoken with: every request names the cluster it is meant for and every answer the one that it comes
 * from, in a header, and both sides compare before they look at anything else. Addresses prove nothing: one that was
 * mistyped, or whose host was given to somebody else, may be a living master of another cluster.
 *
 * A message without that header is of an older state of this software, which knew no other cluster. It is refused.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { RpcError } from './errors.ts'
import { CLUSTER_HEADER } from './message.ts'

/** Instead of an id: whoever says it doesn't know one (yet). */
const NO_CLUSTER = '-'

const HOW_TO_UPGRADE =
  'Stop the whole cluster, install this version on all its hosts and those of its clients, and start it anew (docs/operations.md, Upgrading)'
/** Of whoever names no cluster in what he answers: the end of a sentence that begins with his address. */
export const NAMES_NONE = `names no cluster: it runs an older state of this software, or something else. ${HOW_TO_UPGRADE}`
/** The same of whoever answers a handshake with something else. */
export const SPEAKS_PLAIN = `does not speak TLS yet: it runs an older state of this software, or something else. ${HOW_TO_UPGRADE}`
/** What a proxy says by itself when it finds no server: no master's answer. */
const PROXY_STATUSES = [502, 503, 504]

/** Ids are UUIDs; what is no word comes from somebody else. */
export const isClusterId = (text: string): boolean => /^[\w-]{1,100}$/.test(text)

/** The id in a message's headers: null for one that names none (yet), undefined without the header. */
export function clusterNamed(headers: IncomingHttpHeaders): string | null | undefined {
  const text = headers[CLUSTER_HEADER]
  if (typeof text !== 'string' || text === '') return undefined
  return text === NO_CLUSTER ? null : text.slice(0, 100)
}

/** As the header has it. */
export const clusterName = (clusterId: string | null): string => clusterId ?? NO_CLUSTER

/**
 * Checks that a request is meant for us, of `own`. Throws OTHER_CLUSTER, and BAD_REQUEST, which old clients understand,
 * for one of an older state or without an id.
 */
export function requireForUs(headers: IncomingHttpHeaders, own: string): void {
  const named = clusterNamed(headers)
  if (named === own) return
  if (named == null) {
    throw new RpcError(
      'BAD_REQUEST',
      `the message names no cluster (header ${CLUSTER_HEADER}): it is of an older state of this software, and this is cluster ${own}. ${HOW_TO_UPGRADE}`,
      { cluster: own },
    )
  }
  throw new RpcError('OTHER_CLUSTER', `this is cluster ${own}, and the message is for ${named}`, {
    cluster: own,
  })
}

/**
 * A request over plain HTTP, of people, load balancers and our page: whoever names a cluster, by `?cluster=ID` or in the
 * header, means that one; who names none is answered as ever. Throws OTHER_CLUSTER, BAD_REQUEST for what is no id, and
 * UNAVAILABLE while the own one (null) isn't known.
 */
export function requireIfNamed(
  { query, headers }: { readonly query: unknown; readonly headers: IncomingHttpHeaders },
  own: string | null,
): void {
  const { cluster = headers[CLUSTER_HEADER] } = (query ?? {}) as { cluster?: unknown }
  if (cluster === undefined) return
  if (typeof cluster !== 'string' || cluster === '') {
    throw new RpcError('BAD_REQUEST', 'cluster: one id of a cluster is allowed')
  }
  if (own === null) throw new RpcError('UNAVAILABLE', 'the cluster has not been joined yet')
  // Ids are made in small letters; people and tools may write capitals.
  requireForUs({ [CLUSTER_HEADER]: cluster.toLowerCase() }, own)
}

/**
 * The id in an answer by `address`; null where it has none yet. Throws OTHER_CLUSTER for another one than `wanted`
 * (null: not known), and for an answer of an older state.
 */
export function clusterAnswering(
  address: string,
  { status, headers }: { status: number; headers: IncomingHttpHeaders },
  wanted: string | null,
): string | null {
  const named = clusterNamed(headers)
  if (named === undefined) {
    if (PROXY_STATUSES.includes(status)) return null
    throw new RpcError('OTHER_CLUSTER', `${address} ${NAMES_NONE}`)
  }
  if (named === null || wanted === null || named === wanted) return named
  throw new RpcError('OTHER_CLUSTER', `${address} belongs to cluster ${named}, not to ${wanted}`, {
    cluster: named,
  })
}
