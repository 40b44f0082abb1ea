/**
 * Who a master is and where it listens, from the configuration and its line in `conf/masters`.
 *
 * One and the same conf/ serves all hosts: the line replaces `localhost` and "all interfaces" in what the master
 * advertises, and a master reached from elsewhere then binds all interfaces. A line with another port shifts all five
 * ports by the same distance, so that a second master on a host needs no XML file of its own. The distance is counted
 * from the *configured* umbilical port, so that the line always says where that master really is; the suffix of its pid
 * file and log is counted from 26001, because the start scripts know nothing else.
 */

import { isIPv6 } from 'node:net'
import { hostname as ownHostname } from 'node:os'
import { formatHostPort, type HostPort, isLoopback, isWildcard } from './address.ts'
import type { Configuration } from './configuration.ts'
import { ConfError } from './error.ts'
import { DEFAULT_UMBILICAL_PORT, type HostEntry, type HostList, hostIdentity } from './masters.ts'

/** The five addresses a master answers at, as `host:port`. */
export interface Addresses {
  readonly umbilical: string
  readonly clientRpc: string
  readonly resourceTracker: string
  readonly catalog: string
  readonly infoHttp: string
}
export type Service = keyof Addresses

export interface MasterAddresses {
  /** What others are told; `umbilical` is the master's name in the cluster. */
  readonly addresses: Addresses
  /** Where it listens. */
  readonly bind: Readonly<Record<Service, HostPort>>
  /** Follows `master` in the names of pid file, log and socket: empty, or `-36001`. */
  readonly suffix: string
}

const ADDRESS_KEYS = {
  umbilical: 'tajo.master.umbilical-rpc.address',
  clientRpc: 'tajo.master.client-rpc.address',
  resourceTracker: 'tajo.resource-tracker.rpc.address',
  catalog: 'tajo.catalog.client-rpc.address',
  infoHttp: 'tajo.master.info-http.address',
} as const
const SERVICES = Object.keys(ADDRESS_KEYS) as Service[]

/**
 * `entry` is null for a master that no start script has named. `hostname` stands in where the configuration gives
 * nothing but "all interfaces". Throws ConfError when a port is pushed out of 1 to 65535.
 */
export function masterAddresses(
  conf: Configuration,
  entry: HostEntry | null,
  hostname: string = ownHostname(),
): MasterAddresses {
  const configured = conf.get(ADDRESS_KEYS.umbilical)
  const offset = (entry?.port ?? configured.port) - configured.port
  const name = advertisedName(configured.host, entry, hostname)
  const addresses: Partial<Record<Service, string>> = {}
  const bind: Partial<Record<Service, HostPort>> = {}
  for (const service of SERVICES) {
    const own = conf.get(ADDRESS_KEYS[service])
    const port = shifted(own.port, offset, ADDRESS_KEYS[service], entry)
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
function advertisedName(umbilical: string, entry: HostEntry | null, hostname: string): string {
  if (entry !== null) return entry.host
  return isWildcard(umbilical) ? hostname : umbilical
}

/** A master with a real name is reached from elsewhere; one with a loopback name only under that. */
function bindHost(configured: string, name: string): string {
  if (!isLoopback(configured)) return configured
  if (isLoopback(name)) return name
  return isIPv6(name) ? '::' : '0.0.0.0'
}

function shifted(port: number, offset: number, key: string, entry: HostEntry | null): number {
  const result = port + offset
  if (result >= 1 && result <= 65535) return result
  throw new ConfError(
    `${entry?.name} in conf/masters shifts every port by ${offset}, and ${key} from ${port} to ${result}: allowed are ports from 1 to 65535, so choose another port for that master`,
  )
}

const suffixOf = (entry: HostEntry | null): string =>
  entry === null || entry.port === null || entry.port === DEFAULT_UMBILICAL_PORT
    ? ''
    : `-${entry.port}`

/** Refuses two masters of one host whose ports meet, such as `localhost` and `localhost:26002`. Throws ConfError. */
export function requireSeparatePorts(conf: Configuration, masters: HostList): void {
  const problems: string[] = []
  const taken = new Map<string, { entry: HostEntry; service: Service }>()
  for (const entry of masters.entries) {
    const { bind } = masterAddresses(conf, entry, entry.host)
    for (const service of SERVICES) {
      const place = `${hostIdentity(entry.host)} ${bind[service].port}`
      const other = taken.get(place)
      if (other === undefined) taken.set(place, { entry, service })
      else if (other.entry !== entry) {
        problems.push(
          `${masters.file}:${entry.line}: ${entry.name} would use port ${bind[service].port} for ${ADDRESS_KEYS[service]}, which ${other.entry.name} (line ${other.entry.line}) uses for ${ADDRESS_KEYS[other.service]}: choose a port further away`,
        )
        break
      }
    }
  }
  if (problems.length > 0) throw new ConfError(problems)
}
