/** A master's address as people type it: `host:port`, `[ipv6]:port`. What passes may be handed to ssh. */
import { formatHostPort, type HostPort, splitHostPort } from '../conf/index.ts'
import { usageError } from './exit.ts'

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
