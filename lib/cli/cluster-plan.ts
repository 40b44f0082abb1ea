/**
 * The masters of `conf/masters` as the start and stop scripts need them: what each is called, where it runs, where it
 * answers. One parser and one rule for addresses serve the scripts and the masters themselves.
 */
import { userInfo } from 'node:os'
import { type HostPort, isLoopback, isWildcard } from '../conf/address.ts'
import type { Configuration } from '../conf/configuration.ts'
import { loadConfiguration } from '../conf/load.ts'
import { type Addresses, masterAddresses } from '../conf/master-addresses.ts'
import { type HostEntry, readMasters } from '../conf/masters.ts'
import { requireSeparatePorts } from '../conf/separate-ports.ts'
import { type HostFacts, isThisHost, thisHost } from './this-host.ts'

export interface PlannedMaster {
  /** Its line in conf/masters: what TAJO_MASTER_NAME tells it. */
  readonly name: string
  /** What to give to ssh; null when it is this host. */
  readonly sshHost: string | null
  readonly addresses: Addresses
  /** Where its web page and health checks answer. */
  readonly info: HostPort
}

export interface Plan {
  readonly masters: readonly PlannedMaster[]
  /** Of the configuration, a sentence each. */
  readonly warnings: readonly string[]
}

/** Reads `confDir`; throws ConfError for what is wrong in it. */
export async function planCluster(
  confDir: string,
  env: NodeJS.ProcessEnv,
  facts: HostFacts = thisHost(),
): Promise<Plan> {
  const conf = await loadConfiguration(confDir, { env, userName: userInfo().username })
  const list = await readMasters(confDir, conf.get('tajo.master.umbilical-rpc.address').port)
  requireSeparatePorts(conf, list)
  const masters = await Promise.all(list.entries.map((entry) => planMaster(conf, entry, facts)))
  return { masters, warnings: [...conf.warnings, ...list.warnings] }
}

async function planMaster(
  conf: Configuration,
  entry: HostEntry,
  facts: HostFacts,
): Promise<PlannedMaster> {
  const { addresses, bind } = masterAddresses(conf, entry)
  const listens = bind.infoHttp.host
  const anywhere = isWildcard(listens) || isLoopback(listens)
  return {
    name: entry.name,
    sshHost: (await isThisHost(entry.host, facts)) ? null : entry.host,
    addresses,
    info: { host: anywhere ? entry.host : listens, port: bind.infoHttp.port },
  }
}
