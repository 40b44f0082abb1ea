/** What haadmin needs from the configuration: the HA directory, the periods, and the masters of `conf/masters`. */
import { join } from 'node:path'
import { loadConfiguration, masterAddresses, readMasters, surroundingsOf } from '../conf/index.ts'
import type { Timing } from '../ha/index.ts'
import type { CommandContext } from './arguments.ts'
import { requireRootdir } from './daemon/default-rootdir.ts'
import { timingOf } from './timing.ts'

export interface Cluster {
  readonly confDir: string
  /** `<rootdir>/system/ha`. */
  readonly haDirectory: string
  readonly timing: Timing
  /** Umbilical addresses, as conf/masters and this configuration give them. */
  readonly masters: readonly string[]
  /** Of conf/masters, one for each line. */
  readonly hosts: readonly string[]
}

/** Throws ConfError for what is wrong in the files, HaError BAD_TIMING for periods that don't fit together. */
export async function loadCluster({
  confDir,
  home,
  env,
  output,
}: CommandContext): Promise<Cluster> {
  const conf = await loadConfiguration(confDir, surroundingsOf(env))
  requireRootdir(conf, home)
  const list = await readMasters(confDir, conf.get('tajo.master.umbilical-rpc.address').port)
  for (const warning of [...conf.warnings, ...list.warnings])
    output.err(`tajo: warning: ${warning}`)
  return {
    confDir,
    haDirectory: join(conf.get('tajo.rootdir'), 'system', 'ha'),
    timing: timingOf(conf),
    hosts: list.entries.map(({ host }) => host),
    masters: list.entries.map((entry) => masterAddresses(conf, entry).addresses.umbilical),
  }
}
