/**
 * Whose an address is, where somebody is counted by it: of IPv6 the network of 64 bits, since any host may have all of that,
 * and of loopback this host, since each of its users may have all of that.
 */

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i
const GROUPS = 8
const GROUPS_OF_NETWORK = 4

/** It is null for no address. All addresses of loopback are this host. */
export function networkOf(address: string): string | null {
  if (address === '') return null
  if (address === '::1') return THIS_HOST
  const [plain = ''] = address.split('%', 1)
  const mapped = MAPPED.exec(plain)?.[1]
  if (mapped !== undefined) return ownOr(mapped)
  if (!plain.includes(':')) return ownOr(plain)
  const [before = [], after = []] = plain
    .split('::')
    .map((part) => (part === '' ? [] : part.split(':')))
  const zeros = Array<string>(Math.max(0, GROUPS - before.length - after.length)).fill('0')
  return `${[...before, ...zeros, ...after].slice(0, GROUPS_OF_NETWORK).join(':')}::/64`
}

const THIS_HOST = '127.0.0.1'
const ownOr = (address: string): string => (address.startsWith('127.') ? THIS_HOST : address)
