/**
 * Whether two client RPC addresses mean one master: the same port, and hosts of one name or with an IP address in common.
 * All names of this host are one, loopback included; on another host loopback means that other one.
 */
import { lookup } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'
import { type HostPort, splitHostPort } from '../base/host-port.ts'

/** All IP addresses of a host; empty where it has none. */
export type Resolve = (host: string) => Promise<readonly string[]>

const HERE = 'this host'
const isLoopback = (ip: string): boolean => /^127\./.test(ip) || ip === '::1'
const isLoopbackName = (host: string): boolean => isLoopback(host) || plain(host) === 'localhost'
/** Host names don't depend on case, nor on the dot at their end. */
const plain = (host: string): string => host.toLowerCase().replace(/\.$/, '')

/** As this host resolves names; one that can't be resolved means nobody. */
export const resolveHere: Resolve = async (host) => {
  const own = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((o) => o.address))
  const found = await lookup(host, { all: true }).catch(() => [])
  return found.map(({ address }) => (isLoopback(address) || own.includes(address) ? HERE : address))
}

/** Whether `address`, as somebody here lists it, is one of `told`, as the master at `by` names them. */
export async function isOneOf(
  address: string,
  { told, by }: { readonly told: readonly string[]; readonly by: string },
  resolve: Resolve,
): Promise<boolean> {
  const wanted = splitHostPort(address)
  const teller = splitHostPort(by)
  if (wanted === null || teller === null) return false
  const samePort = told.flatMap((text): HostPort[] => {
    const split = splitHostPort(text)
    return split === null || split.port !== wanted.port ? [] : [split]
  })
  const hosts = samePort.map(({ host }) => (isLoopbackName(host) ? teller.host : host))
  if (hosts.some((host) => plain(host) === plain(wanted.host))) return true
  const ips = await resolve(wanted.host)
  const others = await Promise.all(hosts.map(resolve))
  return others.flat().some((ip) => ips.includes(ip))
}
