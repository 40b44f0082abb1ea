/** A member's view of the cluster: what its keeper saw last, and what it knows better by itself. */
import { networkOf } from '../words/layout.ts'
import type { Picture, Start } from '../words/messages.ts'
import { kernelOf } from '../world/processes.ts'
import type { HeldTerm } from './held-term.ts'
import type { MasterState, MemberView, PeerView } from './member-api.ts'

interface ViewFacts {
  readonly start: Pick<Start, 'self' | 'hostname'>
  /** Null before the keeper's first look. */
  readonly picture: Picture | null
  readonly term: HeldTerm
  readonly state: MasterState
  /** The newest term known. */
  readonly begunTerm: number
  /** What keeps the activation waiting; of no meaning otherwise. */
  readonly trouble: string | null
}

export function viewOf({ start, picture, term, state, begunTerm, trouble }: ViewFacts): MemberView {
  const self = { ...start.self, hostname: start.hostname }
  const waits = term.is === 'activating' && trouble !== null
  const isActive = term.mayFinish()
  const active = isActive ? activeSelf(start) : (picture?.active ?? null)
  // Why nobody was active is an old story then; what is wrong with the storage is none.
  const isOver = isActive && picture?.storage !== 'unreadable'
  const problem = isOver ? null : (picture?.problem ?? null)
  return {
    clusterId: picture?.clusterId ?? null,
    state,
    epoch: begunTerm,
    active: active?.address === self.address && !term.acting ? null : active,
    opening: !isActive && picture?.opening === true,
    self,
    peers: picture?.peers ?? [],
    leaseMarginMs: term.marginMs,
    lastRenewalMs: picture?.lastRenewalMs ?? null,
    storage: picture?.storage ?? 'ok',
    space: picture?.space ?? null,
    problem: waits ? `term ${term.number} can't be served yet: ${trouble}` : problem,
    failure: isActive ? null : (picture?.failure ?? null),
    warnings: picture?.warnings ?? [],
    critical: picture?.critical ?? [],
    network: picture?.network ?? { trouble: null, workers: [] },
    directories: picture?.directories ?? [],
  }
}

function activeSelf({ self, hostname }: ViewFacts['start']): PeerView {
  return {
    address: self.address,
    addresses: self.addresses,
    hostname,
    priority: self.priority,
    version: self.version,
    state: 'active',
    heartbeatAgeMs: 0,
    pid: self.master.pid,
    adminSocket: self.adminSocket,
    network: networkOf(self),
  }
}

/** Whether another master of this very host opens what it will serve at this moment. */
export const opensBeside = ({ opening, active, self }: MemberView): boolean =>
  opening && active !== null && kernelOf(active.network ?? '') === kernelOf(networkOf(self))
