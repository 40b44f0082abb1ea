/** The cluster as this master sees it, in the words of the web API and the umbilical RPC. Pure. */
import type { MemberView, PeerView } from '../ha/index.ts'
import type { MasterStatus, Standing } from '../rpc/index.ts'
import type { ClusterDocument, MasterRow, WorkerRow } from '../web/view.ts'

/** What only the master itself can tell, beside the election's view. */
export interface OwnFacts {
  readonly serving: boolean
  readonly epoch: number
  readonly pid: number
  readonly warnings: readonly string[]
}

export function standingOf(view: MemberView, own: OwnFacts): Standing {
  return {
    address: view.self.address,
    state: view.state,
    serving: own.serving,
    epoch: own.epoch,
    active: view.active?.address ?? null,
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
  return {
    ...standingOf(view, own),
    activeClient: view.active?.addresses.clientRpc ?? null,
    clusterId: view.clusterId,
    hostname: self.hostname,
    pid: own.pid,
    version: self.version,
    priority: self.priority,
    adminSocket: self.adminSocket === '' ? null : self.adminSocket,
    problem: view.problem,
    warnings: [...view.warnings, ...own.warnings],
    leaseMarginMs: view.leaseMarginMs,
    heartbeatAgesMs: Object.fromEntries(ages),
  }
}

export function clusterDocument(
  view: MemberView,
  own: OwnFacts,
  workers: readonly WorkerRow[] = [],
): ClusterDocument {
  const { self } = view
  const selfRow: MasterRow = {
    address: self.address,
    state: view.state,
    heartbeatAgeMs: 0,
    addresses: self.addresses,
    hostname: self.hostname,
    pid: own.pid,
    version: self.version,
    priority: self.priority,
    self: true,
  }
  return {
    clusterId: view.clusterId,
    epoch: own.epoch,
    active: view.active?.address ?? null,
    activeClient: view.active?.addresses.clientRpc ?? null,
    self: self.address,
    masters: [selfRow, ...othersOf(view).map(peerRow)].sort((a, b) =>
      a.address < b.address ? -1 : 1,
    ),
    workers,
    storage: view.storage,
    problem: view.problem,
    warnings: [...view.warnings, ...own.warnings],
  }
}

const peerRow = (peer: PeerView): MasterRow => ({
  address: peer.address,
  state: peer.state,
  heartbeatAgeMs: peer.heartbeatAgeMs,
  addresses: peer.addresses,
  hostname: peer.hostname,
  pid: peer.pid,
  version: peer.version,
  priority: peer.priority,
  self: false,
})
