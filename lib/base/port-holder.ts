/**
 * Who holds a TCP port of this host, as a sentence for the person whose server could not open it. "Address in use" is
 * most often a listening process, but a connection that goes out from the port, or one that was closed within the last
 * minute, is as good a reason, and nobody finds that by looking for a server.
 *
 * A server's port among those that Linux gives to outgoing connections is a matter of luck: any connection of
 * any process may have it at the moment when the server starts, and keeps it for a minute after its end.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { isIPv6, SocketAddress } from 'node:net'
import { endianness } from 'node:os'
import { basename } from 'node:path'
import { joinHostPort } from './host-port.ts'

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

/** A host with very many processes is not searched for longer; the answer then names none. */
const SEARCH_MS_MAX = 1000

/** States of sockets that belong to nobody any more, by the kernel's number. */
const CLOSED: Readonly<Record<string, string>> = {
  '04': 'FIN_WAIT1',
  '05': 'FIN_WAIT2',
  '06': 'TIME_WAIT',
  '09': 'LAST_ACK',
  '0B': 'CLOSING',
}
const LISTENS = '0A'

interface Held {
  readonly localAddress: string
  readonly localPort: number
  readonly remote: string
  readonly state: string
  readonly uid: number
  /** `0` when no process has it. */
  readonly inode: string
}

/**
 * A phrase without a full stop, such as `process 4711 (node) listens there`; null when nothing is known to hold it.
 * `address` is the IP address that was to be opened; without it those of all addresses count. Looks at this host once,
 * for at most a second or so.
 */
export function portHolder(port: number, address?: string): string | null {
  const held = [...readSockets('/proc/net/tcp'), ...readSockets('/proc/net/tcp6')].filter(
    (one) => one.localPort === port && meets(one.localAddress, address),
  )
  // A server's own closed connections linger on its port as well, and are in nobody's way: so a listener comes first.
  const listener = held.find(({ state }) => state === LISTENS)
  if (listener !== undefined) return `${ownerOf(listener)} listens there`
  // One that only one side has closed still belongs to a process.
  const open = held.find(({ state, inode }) => inode !== '0' || CLOSED[state] === undefined)
  if (open !== undefined) {
    return `${ownerOf(open)} has an outgoing connection from it to ${open.remote}`
  }
  const [closed] = held
  if (closed === undefined) return null
  return `a connection that was closed lately still holds it (${CLOSED[closed.state]})`
}

/** Whether a socket on one address keeps another from being opened on the other one. */
const meets = (held: string, wanted: string | undefined): boolean =>
  wanted === undefined || [held, wanted].some(isAny) || held === tidy(wanted)

const isAny = (address: string): boolean => address === '0.0.0.0' || address === '::'

/** Returns it in the one spelling of this file: IPv6 in its shortest form, an IPv4 address in it as IPv4. */
function tidy(address: string): string {
  if (!isIPv6(address)) return address
  const short = new SocketAddress({ address, family: 'ipv6' }).address
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(short)?.[1] ?? short
}

function readSockets(file: string): Held[] {
  try {
    const [, ...lines] = readFileSync(file, 'latin1').trimEnd().split('\n')
    return lines.map(readSocket)
  } catch {
    // No /proc, or no IPv6 on this host: nothing is known of it then.
    return []
  }
}

/** `sl: local remote state queues timer retransmits uid timeout inode …`, numbers in hex but for the last ones. */
function readSocket(line: string): Held {
  const [, local = '', remote = '', state = '', , , , uid = '', , inode = '0'] = line
    .trim()
    .split(/\s+/)
  const { host, port } = readAddress(local)
  return {
    localAddress: host,
    localPort: port,
    remote: joinHostPort(readAddress(remote)),
    state,
    uid: Number(uid),
    inode,
  }
}

/** Reads `0100007F:69C1` as 127.0.0.1:27073: the address has words of four bytes in this machine's order. */
function readAddress(text: string): { host: string; port: number } {
  const [words = '', port = ''] = text.split(':')
  const bytes = Buffer.from(words, 'hex')
  if (endianness() === 'LE') bytes.swap32()
  const host = bytes.length === 4 ? bytes.join('.') : tidy(ipv6Of(bytes))
  return { host, port: Number.parseInt(port, 16) }
}

const ipv6Of = (bytes: Buffer): string => (bytes.toString('hex').match(/.{4}/g) ?? []).join(':')

function ownerOf({ inode, uid }: Held): string {
  const found = inode === '0' ? null : processWith(`socket:[${inode}]`)
  if (found !== null) return found
  return uid === process.getuid?.()
    ? 'a process that is not seen from here'
    : 'a process of another user'
}

/** Searches what processes have open; those that end meanwhile or belong to others are passed over. */
function processWith(link: string): string | null {
  const end = performance.now() + SEARCH_MS_MAX
  for (const pid of list('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    if (performance.now() > end) return null
    const fds = `/proc/${pid}/fd`
    if (list(fds).some((fd) => target(`${fds}/${fd}`) === link)) {
      // The name of the program: that of the process is a thread's name with some versions of Node.js.
      const program = basename(target(`/proc/${pid}/exe`) ?? '').replace(/ \(deleted\)$/, '')
      return `process ${pid} (${program === '' ? 'unknown program' : program})`
    }
  }
  return null
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    // It has ended, or is another user's.
    return []
  }
}

function target(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch {
    // As in `list`; or the file was closed.
    return null
  }
}
