/** Addresses as people type them: `host:port`, `[ipv6]:port`. */
import { isIPv6 } from 'node:net'
import { usageError } from './exit.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

const HOST_NAME = /^[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*\.?$/i

/**
 * Whether `host` may be handed to the resolver or to ssh: a host name or an IP address, never something that a program
 * could take for an option, a user, or shell syntax.
 */
export const isHostName = (host: string): boolean =>
  (host.length <= 253 && HOST_NAME.test(host)) || isIPv6(host)

/** Reads `host:port`; a usage error says what is wrong with it. `what` names the argument. */
export function parseAddress(text: string, what: string): Address {
  const allowed = `allowed is host:port, such as host2:26001`
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(.*)$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const portText = match?.[3] ?? ''
  if (host === undefined || (match?.[1] !== undefined && !isIPv6(host)) || !isHostName(host)) {
    throw usageError(`${what}: '${text}' is not a master's address: ${allowed}`)
  }
  const port = Number(portText)
  if (!/^\d{1,5}$/.test(portText) || port < 1 || port > 65535) {
    throw usageError(
      `${what}: '${text}' has no port from 1 to 65535 after the last colon: ${allowed}`,
    )
  }
  return { host, port }
}

/** The way it is written in files and messages. */
export const formatAddress = ({ host, port }: Address): string =>
  isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`

/** Host names don't depend on case, nor on the dot at their end. */
export const sameAddress = (a: string, b: string): boolean => canonical(a) === canonical(b)
const canonical = (address: string): string => address.toLowerCase().replace(/\.(?=:\d+$)/, '')
