/** `GET /api/v1/cluster` as this master sees the cluster, from facts that are at hand. Pure. */
import { joinHostPort, splitHostPort } from '../../base/host-port.ts'
import type { Standing } from '../../contract/index.ts'
import type { MemberView, PeerView, Timing } from '../../ha/index.ts'
import type {
  ClusterDocument,
  MasterRow,
  Periods,
  QueryCounts,
  WorkerCounts,
  WorkerRow,
} from '../../web/view.ts'
import { alertsOf } from './alerts.ts'
import { foreignText, type OwnFacts, othersOf } from './cluster-view.ts'
import { ifActiveDied } from './if-active-died.ts'
import type { LeaseReading } from './lease-record.ts'

interface DocumentFacts {
  readonly view: MemberView
  readonly own: OwnFacts
  /** Null when high availability is off. */
  readonly timing: Timing | null
  readonly peer: (address: string) => {
    readonly said: Standing | null
    readonly connected: boolean
    readonly clockOffsetMs: number | null
  }
  /** Of the last seconds, and of the last minute. */
  readonly recent: (address: string) => LeaseReading
  readonly minute: (address: string) => LeaseReading
  readonly activeSinceMs: number | null
  /** Umbilical addresses, as conf/masters lists them. */
  readonly listed: readonly string[]
  /** Null: the active master has not said. */
  readonly workers: readonly WorkerRow[] | null
  /** Null: they could not be read. */
  readonly queryCounts: QueryCounts | null
  readonly nowWallMs: number
}

export function clusterDocument(facts: DocumentFacts): ClusterDocument {
  const { view, own, timing, workers, queryCounts, nowWallMs, activeSinceMs } = facts
  const { active } = view
  const masters = [selfRow(facts), ...othersOf(view).map((peer) => peerRow(peer, facts))].sort(
    (a, b) => (a.address < b.address ? -1 : 1),
  )
  const common = {
    masters,
    active: active?.address ?? null,
    storage: view.storage,
    timing,
    problem: view.problem,
  }
  const workerCounts = workers === null ? null : countWorkers(workers)
  return {
    clusterId: own.clusterId,
    epoch: own.term,
    active: common.active,
    activeClient: active?.addresses.clientRpc ?? null,
    activePage: active === null ? null : pageAt(active.addresses.infoHttp),
    activeSinceMs: active === null ? null : activeSinceMs,
    self: view.self.address,
    takenAtMs: nowWallMs,
    version: view.self.version,
    highAvailability: timing !== null,
    periods: timing === null ? null : periodsOf(timing),
    masters,
    // Its loss is noticed by its own periods.
    ifActiveDied: ifActiveDied({ ...common, timing: timing && { ...timing, ...active?.periods } }),
    alerts: alertsOf({
      ...common,
      space: view.space,
      storageDangers: [...(view.critical ?? []), ...(own.directoryDangers ?? [])],
      storageWarnings: [
        ...view.warnings,
        ...own.directoryWarnings,
        ...(own.givenUp === null ? [] : [own.givenUp]),
      ],
      missing: missingOf(facts.listed, masters).filter(
        (address) => !own.foreign.some((one) => one.address === address),
      ),
      foreign: own.foreign.map((one) =>
        foreignText(one, { ...own, clusterId: own.clusterId ?? '' }),
      ),
      directories: view.directories,
      splitBrain: own.warnings,
      network: view.network.trouble,
      workers: workers ?? [],
      astray: own.astrayWorkers ?? [],
      slowActivation: own.slowActivation ?? null,
      slowest: slowest(masters, facts),
      queued: queryCounts?.queued ?? 0,
      liveWorkers: workerCounts?.live ?? null,
    }),
    workers: [...(workers ?? [])],
    workerCounts,
    queryCounts,
    storage: view.storage,
    problem: view.problem,
    warnings: [...(view.critical ?? []), ...view.warnings, ...own.warnings],
  }
}

export function countWorkers(workers: readonly WorkerRow[]): WorkerCounts {
  const counts = { live: 0, silent: 0, slots: 0, running: 0 }
  for (const { state, slots, running } of workers) {
    // Who gets no queries is not live, for whatever reason.
    counts[state === 'live' ? 'live' : 'silent'] += 1
    counts.slots += slots
    counts.running += running
  }
  return counts
}

function selfRow({ view, own, recent }: DocumentFacts): MasterRow {
  const { self } = view
  const { renewalMs } = recent(self.address)
  return {
    address: self.address,
    state: view.state,
    self: true,
    epoch: own.term,
    heartbeatAgeMs: 0,
    leaseMarginMs: view.leaseMarginMs === null ? null : Math.round(view.leaseMarginMs),
    lastRenewalMs: renewalMs,
    priority: self.priority,
    version: self.version,
    hostname: self.hostname,
    pid: own.pid,
    page: pageAt(self.addresses.infoHttp),
    connected: true,
    clockOffsetMs: 0,
    problem: view.problem ?? own.trouble,
    addresses: self.addresses,
  }
}

/** The shared directory tells active and backup apart; while it is connected, its own word tells more. */
function peerRow(peer: PeerView, facts: DocumentFacts): MasterRow {
  const { said, connected, clockOffsetMs } = facts.peer(peer.address)
  const word = connected ? said : null
  return {
    address: peer.address,
    state: word !== null && word.state !== 'stopped' ? word.state : peer.state,
    self: false,
    epoch: word?.epoch ?? null,
    heartbeatAgeMs: peer.heartbeatAgeMs === null ? null : Math.round(peer.heartbeatAgeMs),
    leaseMarginMs: word?.leaseMarginMs ?? null,
    lastRenewalMs: word?.lastRenewalMs ?? null,
    priority: peer.priority,
    version: peer.version,
    hostname: peer.hostname,
    pid: peer.pid,
    page: pageAt(peer.addresses.infoHttp),
    connected,
    clockOffsetMs: connected ? clockOffsetMs : null,
    problem: word?.problem ?? null,
    addresses: peer.addresses,
  }
}

/** Of the listed ones, those that no row is: under its own address, or on the same port under another name of its host. */
export function missingOf(listed: readonly string[], masters: readonly MasterRow[]): string[] {
  return listed.filter((address) => {
    const wanted = splitHostPort(address)
    return !masters.some((row) => {
      if (row.address === address) return true
      const own = splitHostPort(row.address)
      return own?.port === wanted?.port && shortName(row.hostname) === shortName(wanted?.host ?? '')
    })
  })
}

const shortName = (host: string): string => host.toLowerCase().split('.')[0] ?? ''

function slowest(masters: readonly MasterRow[], { minute }: DocumentFacts): Map<string, number> {
  const found = new Map<string, number>()
  for (const { address } of masters) {
    const { renewalMs } = minute(address)
    if (renewalMs !== null) found.set(address, renewalMs)
  }
  return found
}

function pageAt(address: string): string {
  const split = splitHostPort(address)
  return split === null ? '' : `http://${joinHostPort(split)}/`
}

const periodsOf = (timing: Timing): Periods => {
  const { monitorMs, renewMs, deadlineMs, patienceMs, pollMs, settleMs, activationMs, hangMs } =
    timing
  return { monitorMs, renewMs, deadlineMs, patienceMs, pollMs, settleMs, activationMs, hangMs }
}
