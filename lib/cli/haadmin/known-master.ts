/**
 * Which master does ADDR mean? The name under which the cluster knows it: as typed, or, where the host can be written in
 * several ways, the master on the same port of the same host.
 */
import {
  type Address,
  formatAddress,
  type HostFacts,
  isThisHost,
  parseAddress,
  sameAddress,
} from '../address.ts'
import { CliError, EXIT } from '../exit.ts'

/** The known address that `wanted` means, or null. */
export async function findMaster(
  wanted: Address,
  known: readonly string[],
  facts: HostFacts,
): Promise<string | null> {
  const exact = known.find((address) => sameAddress(address, formatAddress(wanted)))
  if (exact !== undefined) return exact
  const samePort = known.filter((address) => parseAddress(address, 'master').port === wanted.port)
  const matches: string[] = []
  for (const address of samePort) {
    if (await sameHost(wanted.host, parseAddress(address, 'master').host, facts)) {
      matches.push(address)
    }
  }
  return matches.length === 1 ? (matches[0] ?? null) : null
}

async function sameHost(a: string, b: string, facts: HostFacts): Promise<boolean> {
  const [hereA, hereB] = await Promise.all([isThisHost(a, facts), isThisHost(b, facts)])
  if (hereA || hereB) return hereA && hereB
  const [ipsA, ipsB] = await Promise.all([facts.resolve(a), facts.resolve(b)])
  return ipsA.some((ip) => ipsB.includes(ip))
}

/** Exit code 3, naming the masters that there are. */
export const unknownMaster = (wanted: Address, known: readonly string[], where: string): CliError =>
  new CliError(
    EXIT.unknownMaster,
    `${formatAddress(wanted)} is no master of this cluster: ` +
      (known.length > 0
        ? `known are ${known.join(', ')} (${where})`
        : `${where} name no master at all`),
  )
