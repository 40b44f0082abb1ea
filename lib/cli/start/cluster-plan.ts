/**
 * The masters of `conf/masters` and the workers of `conf/workers` as the start and stop scripts need them: what each is
 * called, where it runs, where a master answers. One parser and one rule for addresses serve the scripts and the daemons themselves.
 */
import { join } from 'node:path'
import type { Addresses, Configuration, HostEntry, HostPort } from '../../conf/index.ts'
import {
  isLoopback,
  isWildcard,
  loadConfiguration,
  masterAddresses,
  readMasters,
  readWorkers,
  requireSeparatePorts,
  surroundingsOf,
} from '../../conf/index.ts'
import { type HostFacts, isThisHost, thisHost } from '../address.ts'

interface PlannedDaemon {
  /** Its line in conf/masters or conf/workers: what TAJO_MASTER_NAME or TAJO_WORKER_NAME tells it. */
  readonly name: string
  /** What to give to ssh; null when it is this host. */
  readonly sshHost: string | null
}

export interface PlannedMaster extends PlannedDaemon {
  readonly addresses: Addresses
  /** Where its web page and health checks answer. */
  readonly info: HostPort
}

export interface Plan {
  readonly masters: readonly PlannedMaster[]
  readonly workers: readonly PlannedDaemon[]
  /** `tajo.rootdir` of this host's configuration. */
  readonly rootDirectory: string
  /** `<rootdir>/system/ha`, as this host's configuration has it. */
  readonly haDirectory: string
  /** Of the configuration, a sentence each. */
  readonly warnings: readonly string[]
}

/** Reads `confDir`; throws ConfError for what is wrong in it. */
export async function planCluster(
  confDir: string,
  env: NodeJS.ProcessEnv,
  facts: HostFacts = thisHost(),
): Promise<Plan> {
  const conf = await loadConfiguration(confDir, surroundingsOf(env))
  const [masters, workers] = await Promise.all([
    readMasters(confDir, conf.get('tajo.master.umbilical-rpc.address').port),
    readWorkers(confDir, conf.get('tajo.worker.peer-rpc.address').port),
  ])
  requireSeparatePorts(conf, masters, workers)
  return {
    masters: await Promise.all(masters.entries.map((entry) => planMaster(conf, entry, facts))),
    rootDirectory: conf.get('tajo.rootdir'),
    haDirectory: join(conf.get('tajo.rootdir'), 'system', 'ha'),
    workers: await Promise.all(workers.entries.map((entry) => planDaemon(entry, facts))),
    warnings: [...conf.warnings, ...masters.warnings, ...workers.warnings],
  }
}

const planDaemon = async ({ name, host }: HostEntry, facts: HostFacts): Promise<PlannedDaemon> => ({
  name,
  sshHost: (await isThisHost(host, facts)) ? null : host,
})

async function planMaster(
  conf: Configuration,
  entry: HostEntry,
  facts: HostFacts,
): Promise<PlannedMaster> {
  const { addresses, bind } = masterAddresses(conf, entry)
  const listens = bind.infoHttp.host
  const anywhere = isWildcard(listens) || isLoopback(listens)
  return {
    ...(await planDaemon(entry, facts)),
    addresses,
    info: { host: anywhere ? entry.host : listens, port: bind.infoHttp.port },
  }
}
