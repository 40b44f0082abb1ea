/** This master as it stands, in the words of the umbilical RPC. Pure. */

import type { MasterStatus, Standing } from '../../contract/index.ts'
import type { MemberView, PeerView } from '../../ha/index.ts'
import type { ForeignMaster } from '../network/foreign-masters.ts'

/** What only the master itself can tell, beside the election's view. */
export interface OwnFacts {
  readonly serving: boolean
  readonly term: number
  readonly pid: number
  /** Null until it is joined. */
  readonly clusterId: string | null
  readonly rootDirectory: string
  readonly directoryWarnings: readonly string[]
  /** Of the active: its own directories, or those of its workers, are not known to be the cluster's. */
  readonly directoryDangers?: readonly string[]
  /** Of the active: which of its workers get no queries, and why. */
  readonly workerTroubles?: readonly string[]
  /** Workers that can't register, a sentence each. */
  readonly astrayWorkers?: readonly string[]
  readonly warnings: readonly string[]
  /** Why changes have to wait, on the active master; null when they don't. */
  readonly trouble: string | null
  /** Why the term before this master's was given up; null if it wasn't. */
  readonly givenUp: string | null
  /** Of the active: that its activation took longer than the monitor interval leaves for it. */
  readonly slowActivation?: string | null
  /** Masters of other clusters, in conf/masters here or there. */
  readonly foreign: readonly ForeignMaster[]
}

/** `pulse`: for the status pages of the others. */
export function standingOf(
  view: MemberView,
  own: OwnFacts,
  pulse: Pick<Standing, 'wallMs' | 'lastRenewalMs' | 'leaseMarginMs'> = {},
): Standing {
  return {
    address: view.self.address,
    state: view.state,
    serving: own.serving,
    epoch: own.term,
    active: view.active?.address ?? null,
    problem: view.problem ?? own.trouble,
    ...pulse,
  }
}

/** All other masters: the election tells the active one apart from its backups. */
export function othersOf({ active, peers, self }: MemberView): PeerView[] {
  const backups = peers.filter((peer) => peer.address !== active?.address)
  const all = active === null ? backups : [active, ...backups]
  return all.filter((peer) => peer.address !== self.address)
}

export function statusOf(view: MemberView, own: OwnFacts): MasterStatus {
  const { self } = view
  const ages = othersOf(view).flatMap((peer): [string, number][] =>
    peer.heartbeatAgeMs === null ? [] : [[peer.address, peer.heartbeatAgeMs]],
  )
  const critical = [...(view.critical ?? []), ...(own.directoryDangers ?? [])]
  return {
    ...standingOf(view, own),
    activeClient: view.active?.addresses.clientRpc ?? null,
    clusterId: own.clusterId,
    rootDirectory: own.rootDirectory,
    hostname: self.hostname,
    pid: own.pid,
    version: self.version,
    priority: self.priority,
    adminSocket: self.adminSocket === '' ? null : self.adminSocket,
    problem: view.problem ?? own.trouble,
    ...(view.failure === null ? {} : { failure: view.failure }),
    ...(view.directories.length === 0 ? {} : { directories: [...view.directories] }),
    warnings: [
      ...troubleOf(view),
      ...critical,
      ...view.warnings,
      ...own.directoryWarnings,
      ...own.warnings,
      ...(own.slowActivation == null ? [] : [own.slowActivation]),
      ...(own.workerTroubles ?? []),
      ...(own.astrayWorkers ?? []),
    ],
    ...(critical.length === 0 ? {} : { critical }),
    leaseMarginMs: view.leaseMarginMs,
    heartbeatAgesMs: Object.fromEntries(ages),
  }
}

const troubleOf = ({ network }: MemberView): string[] =>
  network.trouble === null ? [] : [network.trouble]

/** What is wrong with a master of another cluster, for people. */
export function foreignText(
  { address, clusterId, rootDirectory, listed }: ForeignMaster,
  own: { readonly clusterId: string; readonly rootDirectory: string },
): string {
  if (clusterId === null) {
    return `${address} names no cluster: it runs an older state of this software, which may speak no TLS yet. Stop the whole cluster, install one version everywhere and start it anew`
  }
  const where = rootDirectory === null ? '' : ` in ${rootDirectory}`
  const here = `cluster ${own.clusterId} in ${own.rootDirectory}`
  return listed
    ? `${address} belongs to cluster ${clusterId}${where}: its tajo.rootdir differs (this is ${here}). Correct it there and restart that master, or take it out of conf/masters`
    : `${address} belongs to cluster ${clusterId}${where} and has this master, of ${here}, in its conf/masters: either its tajo.rootdir or its conf/masters is wrong`
}
