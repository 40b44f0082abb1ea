/** What the keeper tells its master of the cluster: the elector's state in a reader's words. Pure. */
import type { Peer } from '../directory/peers.ts'
import type { PeerView } from '../member/member-api.ts'
import { type Holder, networkOf } from '../words/layout.ts'
import type { Picture } from '../words/messages.ts'
import { directoryNotes } from './contest-rules.ts'
import { contestBar, contestFacts } from './elector-contest.ts'
import { blindText } from './elector-decision.ts'
import { PHASES } from './elector-phases.ts'
import { failureText, type State, whatFailed } from './elector-state.ts'
import { networkProblemOf } from './network-offer.ts'
import { periodWarnings } from './periods.ts'
import type { SpaceReport } from './space.ts'
import { isHolderGone, verdictOf } from './watch.ts'

export interface PictureOf {
  readonly state: State
  readonly self: Holder
  readonly clusterId: string
  readonly peers: readonly Peer[]
  readonly lastRenewalMs: number | null
  readonly warnings: readonly string[]
  /** Beside these, what endangers the cluster. */
  readonly critical: readonly string[]
  readonly space: SpaceReport | null
  /** Why this master's own heartbeat could not be renewed; null when it could. */
  readonly unwritable: string | null
  readonly nowMs: number
}

export function pictureOf(of: PictureOf): Picture {
  const { state, self, nowMs } = of
  const active = activeOf(state, self, nowMs)
  const others = of.peers.filter((p) => p.holder.address !== self.address)
  return {
    clusterId: of.clusterId,
    begunTerm: begunTerm(state),
    newestTerm: Math.max(state.lease?.term ?? 0, state.watch.seen?.newest ?? 0),
    active,
    opening: active !== null && isUnserved(state),
    peers: others
      .filter((p) => p.holder.address !== active?.address)
      .map((p) => viewOf(p.holder, 'backup', p.moved ? nowMs - p.sinceMs : null)),
    lastRenewalMs: of.lastRenewalMs,
    storage: storageOf(state, of.unwritable),
    problem: problemOf(state, active, nowMs),
    failure: state.failure && { term: state.failure.term, text: failureText(state.failure) },
    space: of.space,
    network: { trouble: networkProblemOf(state, nowMs), workers: workersOf(state) },
    contest: state.contest,
    facts: contestFacts(state),
    directories: directoryNotes(state, nowMs),
    warnings: [...of.warnings, ...periodWarnings(state, others)],
    critical: of.critical,
  }
}

/**
 * What fences: whoever has seen it refuses lower ones. A claim that may still be given up, since the holder below it lives,
 * is no such term: were it told, everybody would refuse that holder for ever, and nobody would serve.
 */
function begunTerm({ phase, lease, watch }: State): number {
  const served = watch.seen?.servedTerm ?? 0
  return lease === null || PHASES[phase.name].mayYield ? served : Math.max(served, lease.term)
}

export function viewOf(
  holder: Holder,
  state: 'active' | 'backup',
  heartbeatAgeMs: number | null,
): PeerView {
  return {
    address: holder.address,
    addresses: holder.addresses,
    hostname: holder.hostname,
    priority: holder.priority,
    version: holder.version,
    state,
    heartbeatAgeMs,
    pid: holder.master.pid,
    adminSocket: holder.adminSocket,
    network: networkOf(holder),
    ...(holder.periods !== undefined && { periods: holder.periods }),
  }
}

/** As the holder has published them. */
function workersOf({ network, watch }: State): Picture['network']['workers'] {
  const { holder = null } = watch.seen ?? {}
  const by = network.posted.find(({ publication }) => publication.nonce === holder?.nonce)
  return by?.publication.workers ?? []
}

function storageOf({ unreadable }: State, unwritable: string | null): Picture['storage'] {
  if (unreadable !== null) return 'unreadable'
  return unwritable === null ? 'ok' : 'unwritable'
}

/** By its heartbeat's term: a higher number may be of a claim that came to nothing. */
const isUnserved = ({ lease, watch: { seen } }: State): boolean =>
  lease === null && seen !== null && seen.holderTerm > seen.servedTerm

/** The holder that is believed to live. A hung one counts until its lease is over: nobody else may act before. */
function activeOf(state: State, self: Holder, nowMs: number): PeerView | null {
  const { phase, lease, watch, timing } = state
  if (PHASES[phase.name].serves) {
    return lease?.suspended == null ? viewOf(self, 'active', 0) : null
  }
  const verdict = verdictOf(watch, nowMs, timing)
  const seen = watch.seen
  if (verdict.is !== 'live' || seen?.holder == null || lease !== null) return null
  if (isHolderGone(seen)) return null
  // A tool holds a term for a moment (tool-term.ts): no master.
  if (seen.holder.addresses.umbilical === '') return null
  return viewOf(seen.holder, 'active', nowMs - watch.sinceMs)
}

/** Why no master is active, as far as this one knows; null when one is. */
export function problemOf(state: State, active: PeerView | null, nowMs: number): string | null {
  if (state.unreadable !== null) return blindText(state.unreadable)
  if (state.standDown !== null && active?.address !== state.address) {
    return `this master stood down in term ${state.standDown}, with force and to nobody: it becomes active by command only, until another master has served or its keeper is started anew`
  }
  if (active !== null) return null
  const { phase, lease, watch, timing } = state
  const { yielded } = state.contest
  if (lease?.suspended && yielded !== null) {
    return `term ${lease.term} is suspended: ${yielded} is active in another directory and goes first (${state.identity.directory} here)`
  }
  if (lease?.suspended && state.above !== null) {
    return `term ${lease.term} is suspended: term ${state.above.term} serves above it`
  }
  if (lease?.suspended) {
    const why = state.unwritable === null ? '' : `: ${state.unwritable}`
    return `term ${lease.term} is suspended: its lease could not be renewed${why}`
  }
  const before = ownFailure(state)
  if (phase.name !== 'watching') {
    const now = `${phase.name} term ${'term' in phase ? phase.term : 0}`
    return before === null ? now : `${before}; now ${now}`
  }
  if (state.priority === 0) return 'this master has priority 0: it becomes active by command only'
  if (watch.seen === null) return 'the shared directory has not been read yet'
  if (watch.seen.unreadable !== undefined) {
    return `${watch.seen.unreadable}: by whose periods its holder lives is unknown, so nobody takes over without proof`
  }
  if (before !== null) return before
  const bar = contestBar(state, nowMs)
  if (bar !== null) return `this master does not claim: ${bar.why}`
  const { is } = verdictOf(watch, nowMs, timing)
  if (is === 'refused') {
    const { holder, holderTerm } = watch.seen
    return `${holder?.address ?? 'its holder'} claimed term ${holderTerm} and could not serve (its log and its own page say why); it is tried again, by one master after the other, ${timing.monitorMs} ms later`
  }
  return `no master is active: the verdict on term ${watch.seen.newest} is "${is}"`
}

/** Why what this master tried last came to nothing, the cause first; null for nothing of the kind. */
const ownFailure = ({ failure }: State): string | null =>
  failure === null || failure.isOver
    ? null
    : `${failure.why} (this master ${whatFailed(failure)}; it will try again)`
