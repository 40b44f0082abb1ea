/**
 * Who a master or a worker is and where it listens, from the configuration and its line in `conf/masters` or `conf/workers`.
 *
 * One and the same conf/ serves all hosts: the line replaces `localhost` and "all interfaces" in what the master
 * advertises, and a master reached from elsewhere then binds all interfaces. A line with another port shifts all five
 * ports by the same distance, so that a second master on a host needs no XML file of its own. The distance is counted
 * from the *configured* umbilical port, so that the line always says where that master really is; the suffix of its pid
 * file and log is counted from 26001, because the start scripts know nothing else.
 *
 * For workers the rules are the same, with the peer port as the one that a line names. One thing differs. Workers'
 * addresses are `0.0.0.0` by default, as in Tajo; a worker that is known by a loopback name
 * can be of use to this host only, so the ports that serve data and take orders then listen there alone, unless the
 * site file says otherwise.
 */
import { isIPv6 } from 'node:net'
import { hostname as ownHostname } from 'node:os'
import { formatHostPort, type HostPort, isLoopback, isWildcard } from './address.ts'
import type { Configuration } from './configuration.ts'
import { ConfError } from './error.ts'
import { DEFAULT_UMBILICAL_PORT, DEFAULT_WORKER_PORT, type HostEntry } from './masters.ts'

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
type WorkerService = keyof WorkerAddresses

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

/** The five addresses a master answers at, as `host:port`. */
export interface Addresses {
  readonly umbilical: string
  readonly clientRpc: string
  readonly resourceTracker: string
  readonly catalog: string
  readonly infoHttp: string
}
type Service = keyof Addresses

interface MasterAddresses {
  /** What others are told; `umbilical` is the master's name in the cluster. */
  readonly addresses: Addresses
  /** Where it listens. */
  readonly bind: Readonly<Record<Service, HostPort>>
  /** Follows `master` in the names of pid file, log and socket: empty, or `-27001`. */
  readonly suffix: string
}

export const MASTER_KEYS = {
  umbilical: 'tajo.master.umbilical-rpc.address',
  clientRpc: 'tajo.master.client-rpc.address',
  resourceTracker: 'tajo.resource-tracker.rpc.address',
  catalog: 'tajo.catalog.client-rpc.address',
  infoHttp: 'tajo.master.info-http.address',
} as const
export const MASTER_SERVICES = Object.keys(MASTER_KEYS) as Service[]

/**
 * `entry` is null for a master that no start script has named. `hostname` stands in where the configuration gives
 * nothing but "all interfaces". Throws ConfError when a port is pushed out of 1 to 65535.
 */
export function masterAddresses(
  conf: Configuration,
  entry: HostEntry | null,
  hostname: string = ownHostname(),
): MasterAddresses {
  const configured = conf.get(MASTER_KEYS.umbilical)
  const offset = (entry?.port ?? configured.port) - configured.port
  const name = advertisedName(configured.host, entry, hostname)
  const addresses: Partial<Record<Service, string>> = {}
  const bind: Partial<Record<Service, HostPort>> = {}
  for (const service of MASTER_SERVICES) {
    const own = conf.get(MASTER_KEYS[service])
    const key = MASTER_KEYS[service]
    const port = shiftedPort({ port: own.port, offset, key, entry, file: 'masters' })
    const replaced = isWildcard(own.host) || isLoopback(own.host)
    addresses[service] = formatHostPort({ host: replaced ? name : own.host, port })
    bind[service] = { host: bindHost(own.host, name), port }
  }
  return {
    addresses: addresses as Addresses,
    bind: bind as MasterAddresses['bind'],
    suffix: suffixOf(entry),
  }
}

/** What stands in for `localhost` and "all interfaces" in what is advertised. */
function advertisedName(configured: string, entry: HostEntry | null, hostname: string): string {
  if (entry !== null) return entry.host
  return isWildcard(configured) ? hostname : configured
}

/** A daemon with a real name is reached from elsewhere; one with a loopback name only under that. */
function bindHost(configured: string, name: string): string {
  if (!isLoopback(configured)) return configured
  if (isLoopback(name)) return name
  return isIPv6(name) ? '::' : '0.0.0.0'
}

/** A port of the configuration as the daemon's line shifts it. Throws ConfError when it leaves 1 to 65535. */
function shiftedPort(shift: {
  readonly port: number
  readonly offset: number
  readonly key: string
  readonly entry: HostEntry | null
  /** Of `conf/`, where the line stands. */
  readonly file: 'masters' | 'workers'
}): number {
  const { port, offset, key, entry, file } = shift
  const result = port + offset
  if (result >= 1 && result <= 65535) return result
  throw new ConfError(
    `${entry?.name} in conf/${file} shifts every port by ${offset}, and ${key} from ${port} to ${result}: allowed are ports from 1 to 65535, so choose another port for that ${file.slice(0, -1)}`,
  )
}

const suffixOf = (entry: HostEntry | null): string =>
  entry === null || entry.port === null || entry.port === DEFAULT_UMBILICAL_PORT
    ? ''
    : `-${entry.port}`
