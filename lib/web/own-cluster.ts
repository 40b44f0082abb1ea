/**
 * Whoever names a cluster on the info port means that one: `?cluster=ID` in the URL, as load balancers and our page write
 * it, or the header of the RPC. Another cluster's master answers 409 with its own id, whatever is asked for. Who names
 * none is answered as ever: people with curl, and Prometheus, read what the address tells them.
 */
import type { FastifyRequest } from 'fastify'
import { CLUSTER_HEADER, RpcError, requireForUs } from '../rpc/index.ts'
import type { WebView } from './view.ts'

/** Throws OTHER_CLUSTER, UNAVAILABLE before the cluster is joined, or BAD_REQUEST for what is no id. */
export function requireOwnCluster({ query, headers }: FastifyRequest, view: WebView): void {
  const { cluster = headers[CLUSTER_HEADER] } = query as { cluster?: unknown }
  if (cluster === undefined) return
  if (typeof cluster !== 'string' || cluster === '') {
    throw new RpcError('BAD_REQUEST', 'cluster: one id of a cluster is allowed')
  }
  const own = view.clusterId()
  if (own === null) throw new RpcError('UNAVAILABLE', 'this master has not joined its cluster yet')
  requireForUs({ [CLUSTER_HEADER]: cluster }, own)
}
