/** The masters of one cluster on this machine, for soaks and benches: configured, not started. */
import { join } from 'node:path'
import { freePortRow } from '../support/free-ports.ts'
import { SoakMaster } from './soak-master.ts'

export async function makeMasters(options: {
  readonly dir: string
  readonly root: string
  /** Of each master, in this order. */
  readonly priorities: readonly number[]
  /** As the key's value stands in the file. */
  readonly monitorInterval: string
  /** More properties of all of them. */
  readonly site?: Readonly<Record<string, string>>
}): Promise<SoakMaster[]> {
  const { dir, root, priorities, monitorInterval, site = {} } = options
  const masters: SoakMaster[] = []
  for (const [index, priority] of priorities.entries()) {
    masters.push(
      new SoakMaster(join(dir, `master-${index}`), await freePortRow(5), {
        'tajo.rootdir': `file://${root}`,
        'tajo.master.ha.enable': 'true',
        'tajo.master.ha.monitor.interval': monitorInterval,
        'tajo.master.ha.priority': String(priority),
        ...site,
      }),
    )
  }
  return masters
}
