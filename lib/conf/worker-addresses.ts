/**
 * Who a worker is and where it listens, from the configuration and its line in `conf/workers`; the same rules as for
 * masters (master-addresses.ts), with the peer port as the one that a line names.
 *
 * One thing differs. Workers' addresses are `0.0.0.0` by default, as in Tajo; a worker that is known by a loopback name
 * can be of use to this host only, so the ports that serve data and take orders then listen there alone, unless the
 * site file says otherwise.
 */

import { hostname as ownHostname } from 'node:os'
import { formatHostPort, type HostPort, isLoopback, isWildcard } from './address.ts'
import type { Configuration } from './configuration.ts'
import { advertisedName, bindHost, shiftedPort } from './master-addresses.ts'
import { DEFAULT_WORKER_PORT, type HostEntry } from './masters.ts'

/** The four addresses a worker answers at, as `host:port`. */
export interface WorkerAddresses {
  /** The worker's name in the cluster. */
  readonly peer: string
  /** Where the active master gives it queries. */
  readonly qm: string
  /** Where clients fetch results. */
  readonly clientRpc: string
  readonly infoHttp: string
}
export type WorkerService = keyof WorkerAddresses

export interface WorkerPlace {
  /** What others are told. */
  readonly addresses: WorkerAddresses
  /** Where it listens. */
  readonly bind: Readonly<Record<WorkerService, HostPort>>
  /** Follows `worker` in the names of pid file and log: empty, or `-29091`. */
  readonly suffix: string
}

export const WORKER_KEYS = {
  peer: 'tajo.worker.peer-rpc.address',
  qm: 'tajo.worker.qm-rpc.address',
  clientRpc: 'tajo.worker.client-rpc.address',
  infoHttp: 'tajo.worker.info-http.address',
} as const
export const WORKER_SERVICES = Object.keys(WORKER_KEYS) as WorkerService[]

/**
 * `entry` is the worker's line in `conf/workers` (parseWorkerName of TAJO_WORKER_NAME), null for a worker that no start
 * script has named. `hostname` stands in where the configuration gives nothing but "all interfaces". Throws ConfError
 * when a port is pushed out of 1 to 65535.
 */
export function workerAddresses(
  conf: Configuration,
  entry: HostEntry | null,
  hostname: string = ownHostname(),
): WorkerPlace {
  const configured = conf.get(WORKER_KEYS.peer)
  const offset = (entry?.port ?? configured.port) - configured.port
  const name = advertisedName(configured.host, entry, hostname)
  const addresses: Partial<Record<WorkerService, string>> = {}
  const bind: Partial<Record<WorkerService, HostPort>> = {}
  for (const service of WORKER_SERVICES) {
    const key = WORKER_KEYS[service]
    const own = conf.get(key)
    const port = shiftedPort({ port: own.port, offset, key, entry, file: 'workers' })
    const replaced = isWildcard(own.host) || isLoopback(own.host)
    const onlyHere = isLoopback(name) && service !== 'infoHttp' && !conf.isSet(key)
    addresses[service] = formatHostPort({ host: replaced ? name : own.host, port })
    bind[service] = { host: onlyHere ? name : bindHost(own.host, name), port }
  }
  return {
    addresses: addresses as WorkerAddresses,
    bind: bind as WorkerPlace['bind'],
    suffix: entry?.port == null || entry.port === DEFAULT_WORKER_PORT ? '' : `-${entry.port}`,
  }
}
