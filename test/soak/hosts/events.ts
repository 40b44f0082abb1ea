/** How a host is lost, or its master; and how it comes back. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RigCluster } from '../rig/cluster.ts'

export interface Event {
  readonly name: string
  /** Resolves to when it struck, ms of the wall clock. */
  readonly strike: (cluster: RigCluster, host: string) => Promise<number>
  readonly mend: (cluster: RigCluster, host: string) => Promise<unknown>
}

export const EVENTS: readonly Event[] = [
  {
    name: 'power-off',
    strike: ({ rig }, host) => rig.powerOff(host),
    mend: async (cluster, host) => {
      await cluster.rig.boot(host)
      await cluster.startDaemons(host)
    },
  },
  {
    name: 'freeze',
    strike: ({ rig }, host) => rig.freeze(host),
    mend: async ({ rig, monitorMs }, host) => {
      // Past all of its deadlines.
      await sleep(monitorMs / 2)
      await rig.thaw(host)
    },
  },
  {
    name: 'kill -9',
    strike: (cluster, host) => cluster.killMaster(host),
    mend: (cluster, host) => cluster.startDaemons(host),
  },
]
