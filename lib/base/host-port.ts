/** `host:port` and `[ipv6]:port`, as addresses are written in configuration, files and messages. */
import { isIPv6 } from 'node:net'

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** Takes an address apart; null for anything that isn't one. IPv6 addresses lose their brackets. */
export function splitHostPort(text: string): HostPort | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port > 65535) return null
  return match?.[1] === undefined || isIPv6(host) ? { host, port } : null
}

export const joinHostPort = ({ host, port }: HostPort): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
