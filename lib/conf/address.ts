/**
 * `host:port` and host names, strictly: what passes here may be handed to the resolver, to ssh and to a shell script
 * without being taken for an option, a user, or shell syntax.
 */
import { isIPv4, isIPv6 } from 'node:net'

export interface HostPort {
  /** Name, IPv4 or IPv6 address, the last one without its brackets. */
  readonly host: string
  readonly port: number
}

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i

export const HOST_ALLOWED =
  'letters, digits, dots and hyphens (not at an end), an IPv4 address, or an IPv6 address in brackets'
const PORT_ALLOWED = 'a port from 1 to 65535'

/** Whether `host` is a host name or an IP address. A name whose last part is a number would be read as an address. */
export function isHost(host: string): boolean {
  if (isIPv4(host)) return true
  if (isIPv6(host)) return !host.includes('%')
  const labels = host.replace(/\.$/, '').split('.')
  if (host.length > 253 || /^\d+$/.test(labels.at(-1) ?? '')) return false
  return labels.every((label) => LABEL.test(label))
}

/** Splits `host`, `host:port`, `[ipv6]` or `[ipv6]:port`; a text that is none of them is answered by what is wrong. */
export function splitHostPort(text: string): { host: string; port: number | null } | string {
  if (!text.startsWith('[') && isIPv6(text)) {
    return `an IPv6 address needs brackets: [${text.split('%')[0]}]`
  }
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/s.exec(text)
  const host = match?.[1] ?? match?.[2]
  if (host === undefined) return `allowed are ${HOST_ALLOWED}, then perhaps a colon and a port`
  if (match?.[1] !== undefined && !(isIPv6(host) && isHost(host))) {
    return 'what stands in brackets must be an IPv6 address without a zone'
  }
  if (!isHost(host)) return `the host must be made of ${HOST_ALLOWED}`
  const portText = match?.[3]
  if (portText === undefined) return { host, port: null }
  const port = Number(portText)
  if (!/^\d{1,5}$/.test(portText) || port < 1 || port > 65535) {
    return `after the colon must stand ${PORT_ALLOWED}`
  }
  return { host, port }
}

/** The way it is written in files and messages. */
export const formatHostPort = ({ host, port }: HostPort): string =>
  isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`

/** Whether only this very host can reach itself by that name. */
export const isLoopback = (host: string): boolean =>
  /^localhost\.?$/i.test(host) || (isIPv4(host) && host.startsWith('127.')) || isLoopbackIPv6(host)
const isLoopbackIPv6 = (host: string): boolean =>
  isIPv6(host) && (/^[0:]*:0*1$/.test(host) || /^::ffff:127\./i.test(host))

/** Whether it means "all interfaces" and is no name for anybody. */
export const isWildcard = (host: string): boolean =>
  host === '0.0.0.0' || (isIPv6(host) && /^[0:]+$/.test(host))
