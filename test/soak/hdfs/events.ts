/** What strikes the cluster in a round, and what is promised after it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RigCluster } from '../rig/cluster.ts'

export interface Struck {
  /** A master serves within `limitMs` from then on, ms of the wall clock. */
  readonly fromMs: number
  readonly limitMs: number
  /** When all that was taken away was back. */
  readonly backMs: number
  /** The active before it still runs: it is a backup (or active) again within M from `backMs`. */
  readonly lives: boolean
}

export interface Event {
  readonly name: string
  /** Also at the longer of the monitor intervals. */
  readonly atLonger: boolean
  /** Strikes the cluster whose active is on `active`, and makes good what was broken. */
  readonly strike: (cluster: RigCluster, active: string) => Promise<Struck>
}

/** A kill is proven by the kernel, not waited for. */
const KILL_LIMIT_MS = 3000
/** What starts a gateway again on its host, such as systemd, does it after so long. */
const SUPERVISOR_MS = 5000
/** Longer than M and its share for a take-over, at each M that is tried. */
const GATEWAY_FROZEN_MS = 40_000

const otherThan = (cluster: RigCluster, active: string): string =>
  cluster.hosts.find((host) => host !== active) ?? active

const kill9: Event['strike'] = async (cluster, active) => {
  const fromMs = await cluster.killMaster(active)
  await sleep(cluster.monitorMs)
  await cluster.startDaemons(active)
  return { fromMs, limitMs: KILL_LIMIT_MS, backMs: Date.now(), lives: false }
}

const handOver: Event['strike'] = async (cluster, active) => {
  const fromMs = await cluster.handOver(active, otherThan(cluster, active))
  return { fromMs, limitMs: cluster.monitorMs, backMs: Date.now(), lives: true }
}

const powerOff: Event['strike'] = async (cluster, active) => {
  const { rig, monitorMs } = cluster
  const fromMs = Date.now()
  await rig.powerOff(active)
  await sleep(2 * monitorMs)
  await rig.boot(active)
  await cluster.startDaemons(active)
  return { fromMs, limitMs: monitorMs, backMs: Date.now(), lives: false }
}

const nameNodeFrozen =
  (forMs: number): Event['strike'] =>
  async ({ rig, monitorMs }) => {
    await rig.nameNode('freeze')
    await sleep(forMs)
    const fromMs = Date.now()
    await rig.nameNode('thaw')
    return { fromMs, limitMs: monitorMs, backMs: Date.now(), lives: true }
  }

const nameNodeKilled: Event['strike'] = async ({ rig, monitorMs }) => {
  await rig.nameNode('kill')
  await sleep(SUPERVISOR_MS)
  await rig.nameNode('start')
  const fromMs = Date.now()
  return { fromMs, limitMs: monitorMs, backMs: fromMs, lives: true }
}

const gateway =
  (away: 'kill' | 'freeze', back: 'start' | 'thaw', forMs: number): Event['strike'] =>
  async ({ rig, monitorMs }, active) => {
    const fromMs = Date.now()
    await rig.gateway(active, away)
    await sleep(forMs)
    await rig.gateway(active, back)
    return { fromMs, limitMs: monitorMs, backMs: Date.now(), lives: true }
  }

export const EVENTS: readonly Event[] = [
  { name: 'kill -9', atLonger: false, strike: kill9 },
  { name: 'hand-over', atLonger: false, strike: handOver },
  { name: 'power-off', atLonger: true, strike: powerOff },
  { name: 'NameNode frozen 5 s', atLonger: true, strike: nameNodeFrozen(5000) },
  { name: 'NameNode frozen 60 s', atLonger: true, strike: nameNodeFrozen(60_000) },
  { name: 'NameNode killed, safe mode', atLonger: true, strike: nameNodeKilled },
  { name: 'gateway killed', atLonger: false, strike: gateway('kill', 'start', SUPERVISOR_MS) },
  {
    name: 'gateway frozen 40 s',
    atLonger: false,
    strike: gateway('freeze', 'thaw', GATEWAY_FROZEN_MS),
  },
]
