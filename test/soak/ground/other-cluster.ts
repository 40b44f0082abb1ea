/**
 * A second cluster beside the first, whose configuration is wrong in the way that operators get it wrong: its list of
 * masters names one of the first cluster, or a master of the first cluster is started on the second one's directory. What
 * is meant for the second may never reach the first.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Daemon, type GroundCluster } from './cluster.ts'
import type { Strike } from './faults.ts'

/** Its ports are the first cluster's, so much higher. */
const SHIFT = 100

const other = (cluster: GroundCluster): Daemon => {
  const host = cluster.masters[1].host
  return new Daemon({
    role: 'master',
    host,
    dir: join(cluster.dir, 'other'),
    // A port that is another's: 26001 is where the first cluster's master is.
    masters: ['two', 'one:26001'],
    site: {
      'tajo.rootdir': `file://${cluster.root}/other`,
      'tajo.master.ha.enable': 'true',
      'tajo.master.ha.monitor.interval': '1000',
      'tajo.master.umbilical-rpc.address': `localhost:${26001 + SHIFT}`,
      'tajo.master.client-rpc.address': `localhost:${26002 + SHIFT}`,
      'tajo.resource-tracker.rpc.address': `localhost:${26003 + SHIFT}`,
      'tajo.catalog.client-rpc.address': `localhost:${26005 + SHIFT}`,
      'tajo.master.info-http.address': `0.0.0.0:${26080 + SHIFT}`,
      'tajo.master.ha.client.read.retry.max-num': '4',
    },
  })
}

/** The first cluster's table that the second one's client is told to replace. */
export const PRECIOUS = 'precious'

export async function strikeOtherCluster({ cluster }: Strike): Promise<string> {
  mkdirSync(join(cluster.backing, 'other'), { recursive: true })
  const daemon = other(cluster)
  await daemon.start()
  await daemon.signal('KILL')
  const sql = `insert overwrite into ${PRECIOUS} select cast(99 as bigint) as id`
  const list = 'two, one:26001'
  const ran = await cluster.tsql(['-c', sql], daemon.conf)
  if (ran.code === 0) {
    throw new Error(`a client of the other cluster (masters: ${list}) was served: ${ran.stdout}`)
  }
  return ran.stderr.trim().split('\n').at(-1) ?? ''
}

export async function strikeWrongRoot({ cluster }: Strike): Promise<string> {
  mkdirSync(join(cluster.backing, 'wrong'), { recursive: true })
  const backup = (await cluster.backup()) ?? cluster.masters[1]
  await backup.signal('TERM')
  backup.set('tajo.rootdir', `file://${cluster.root}/wrong`)
  await backup.start()
  const status = await cluster.tajo(['haadmin', '-status'])
  backup.set('tajo.rootdir', `file://${cluster.root}`)
  await backup.signal('TERM')
  await backup.start()
  if (backup.hasEnded) throw new Error(`${backup.host.name} did not start again: ${backup.said}`)
  return `${backup.host.name}, -status ${status.code}`
}
