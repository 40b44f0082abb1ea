/**
 * The ports that Linux gives to outgoing connections. A server's port among them is a matter of luck: any connection of
 * any process may have it at the moment when the server starts, and keeps it for a minute after its end.
 */
import { readFileSync } from 'node:fs'

/** Both ends are part of it. */
export interface PortRange {
  readonly first: number
  readonly last: number
}

/** Linux's own choice, which few hosts change. */
export const DEFAULT_EPHEMERAL_PORTS: PortRange = { first: 32_768, last: 60_999 }

export const isPortIn = (port: number, { first, last }: PortRange): boolean =>
  first <= port && port <= last

/** What the kernel's file says, `FIRST LAST`; null for anything that is no range of ports. */
export function parsePortRange(text: string): PortRange | null {
  const match = /^\s*(\d{1,5})\s+(\d{1,5})\s*$/.exec(text)
  const [first, last] = [Number(match?.[1]), Number(match?.[2])]
  return 0 < first && first <= last && last <= 65_535 ? { first, last } : null
}

/** The range of this host (of this network namespace); Linux's default where it can't be read. */
export function ephemeralPorts(): PortRange {
  try {
    const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    return parsePortRange(text) ?? DEFAULT_EPHEMERAL_PORTS
  } catch {
    // Some containers hide the file. What depends on the range is advice and preference, so the usual one serves.
    return DEFAULT_EPHEMERAL_PORTS
  }
}
