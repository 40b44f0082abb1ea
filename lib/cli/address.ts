/**
 * Reads a master's address as people type it: `host:port`, `[ipv6]:port`. What passes may be handed to ssh.
 *
 * Is that host this one? Decides whether a command is done here or over ssh.
 *
 * A host is this one when its name is this host's, or when one of its addresses is: loopback, or an address of one of
 * our interfaces. A name that can't be resolved is not ours. `localhost` in a directory that several hosts share means
 * another machine when the hostname written beside it is not ours: `sameMachine` looks at both.
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { formatHostPort, type HostPort, splitHostPort } from '../conf/index.ts'
import { usageError } from './exit.ts'

/** What this host knows of itself, and how it resolves names; tests give their own. */
export interface HostFacts {
  readonly hostname: string
  readonly addresses: ReadonlySet<string>
  /** All addresses of a name; empty when it has none. */
  resolve(host: string): Promise<readonly string[]>
}

export const thisHost = (): HostFacts => ({
  hostname: hostname(),
  addresses: new Set(
    Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((one) => one.address)),
  ),
  resolve: async (host) => {
    try {
      return (await lookup(host, { all: true })).map((found) => found.address)
    } catch {
      // No such name, or no name server: either way nothing says that it is this host.
      return []
    }
  },
})

const isLoopback = (ip: string): boolean => /^127\./.test(ip) || ip === '::1'

/** True when `host` (a name or an IP address) means the machine we run on. */
export async function isThisHost(host: string, facts: HostFacts): Promise<boolean> {
  const name = bare(host)
  if (name === 'localhost' || name === bare(facts.hostname)) return true
  const ips = isIP(name) === 0 ? await facts.resolve(name) : [name]
  return ips.some((ip) => isLoopback(ip) || facts.addresses.has(ip))
}

/** True when one of them is another machine. */
export async function isAnyElsewhere(hosts: readonly string[], facts: HostFacts): Promise<boolean> {
  const here = await Promise.all(hosts.map((host) => isThisHost(host, facts)))
  return here.includes(false)
}

/** The same as `isThisHost`, for a master of whom the directory also tells the hostname; null when it doesn't. */
export async function sameMachine(
  host: string,
  recordedHostname: string | null,
  facts: HostFacts,
): Promise<boolean> {
  const here = await isThisHost(host, facts)
  if (!here || recordedHostname === null) return here
  const ips = isIP(bare(host)) === 0 ? await facts.resolve(bare(host)) : [bare(host)]
  const onlyLoopback = bare(host) === 'localhost' || ips.every(isLoopback)
  return onlyLoopback ? bare(recordedHostname) === bare(facts.hostname) : true
}

const bare = (host: string): string => host.toLowerCase().replace(/\.$/, '')

export { formatHostPort as formatAddress, isHost as isHostName } from '../conf/index.ts'
export type Address = HostPort

/** Reads `host:port`; a usage error says what is wrong with it. `what` names the argument. */
export function parseAddress(text: string, what: string): Address {
  const split = splitHostPort(text)
  const problem = typeof split === 'string' ? split : 'it has no port'
  if (typeof split !== 'string' && split.port !== null)
    return { host: split.host, port: split.port }
  throw usageError(
    `${what}: '${text}' is not a master's address: ${problem} (allowed is host:port, such as host2:26001)`,
  )
}

/** Whether it could be a master's address: what stands in a shared directory may be anything. */
export const isAddress = (text: unknown): text is string => {
  const split = typeof text === 'string' ? splitHostPort(text) : 'no text'
  return typeof split !== 'string' && split.port !== null
}

/** Host names don't depend on case, nor on the dot at their end. */
export const sameAddress = (a: string, b: string): boolean => canonical(a) === canonical(b)

const canonical = (address: string): string => {
  const split = splitHostPort(address)
  if (typeof split === 'string' || split.port === null) return address
  const host = split.host.toLowerCase().replace(/\.$/, '')
  return formatHostPort({ host, port: split.port })
}
