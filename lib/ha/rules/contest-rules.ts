/**
 * What the contests with the other masters allow: whether this one may claim, and whether it stands back. Pure; how they
 * are held: contest.ts. Its source is docs/ha-protocol.md, "One and the same directory".
 *
 * A mismatch must not bar everybody: with one of three mistyped the other two go on. So it bars the side whose directory
 * has the lower newest served term, both where the two are equal, and nobody who has proven to stand on the directory in
 * which its newest term was served.
 *
 * And what people are told of the contests: whose directory is another one, and of whom that is not known.
 */
import type { DirectoryNote } from '../member/member-api.ts'
import {
  type ContestPeer,
  type ContestState,
  isOpen,
  isPassed,
  openLimitMs,
} from './contest-state.ts'
import type { State } from './elector-state.ts'
import type { Timing } from './timing.ts'

export function directoryNotes(state: State, nowMs: number): DirectoryNote[] {
  return state.contest.peers.flatMap((peer) => noteOf(state, peer, nowMs) ?? [])
}

function noteOf(
  { phase, timing, identity }: State,
  peer: ContestPeer,
  nowMs: number,
): DirectoryNote | null {
  const { address, mismatch, cannot, heard, listed } = peer
  const note = (level: DirectoryNote['level'], text: string): DirectoryNote => {
    return { address, level, text }
  }
  if (mismatch !== null) return note('critical', mismatchText(peer, identity.directory))
  if (cannot === 'wrong-secret') {
    const text = `${address} is in conf/masters, names this cluster, and shows another secret: its directory is not ${identity.directory} of this master, or its secret there was replaced. Compare the two, and restart its master`
    return note('critical', text)
  }
  if (heard && cannot === 'older') {
    const text = `whether ${address} works on the same directory (${identity.directory}) is not known: it runs an older version`
    return note('warning', text)
  }
  if (isPassed(peer) || isOpen(peer, timing, nowMs)) return null
  if (heard) {
    const text = `whether ${address} works on the same directory (${identity.directory}) could not be found out: the storage did not answer in time on one of the two hosts`
    return note('warning', text)
  }
  if (phase.name !== 'active' || !listed) return null
  const text =
    peer.facts === null
      ? `${address} has not shown since this master started that it works on the same directory (${identity.directory}): it gives no answer`
      : `whether ${address} works on the same directory (${identity.directory}) is not known: it gives no answer any more, and what it showed before it fell silent was not enough`
  return note('warning', text)
}

/** What this master sees in its directory. */
export interface Sight {
  /** The newest term that is known to have served; 0 for none. */
  readonly served: number
  /** Who holds the newest term with a heartbeat, and by which process (`processText`); null where nobody is seen. */
  readonly holder: { readonly term: number; readonly by: string } | null
}

/** `waits`: it passes by itself, in M/2 at most. */
export interface Bar {
  readonly why: string
  readonly waits: boolean
  /** An operator's word overrides it. */
  readonly byForce: boolean
}

/** Why this master may not claim now; null: it may. */
export function barOf(
  s: ContestState,
  sight: Sight,
  timing: Timing,
  nowMs: number,
  /** Where its own directory is, for people. */
  directory = '',
): Bar | null {
  const untried = s.peers.find(({ listed, tried }) => listed && !tried)
  if (untried !== undefined && nowMs < s.startedMs + openLimitMs(timing)) {
    return waiting(`${untried.address} has not been tried yet`)
  }
  const active = s.peers.find((peer) => isStrangeActive(peer, sight))
  if (active !== undefined) {
    const why = `${active.address} is active in term ${active.facts?.holds?.term} of another directory (${active.facts?.directory})`
    return { why, waits: false, byForce: false }
  }
  if (isExempt(s, sight)) return null
  const other = s.peers.find(
    ({ mismatch }) => mismatch !== null && mismatch.ours <= mismatch.theirs,
  )
  if (other !== undefined)
    return { why: mismatchText(other, directory), waits: false, byForce: true }
  const open = s.peers.find((peer) => isOpen(peer, timing, nowMs))
  return open === undefined
    ? null
    : waiting(`whether ${open.address} stands on the same directory is just being found out`)
}

const waiting = (why: string): Bar => ({ why, waits: true, byForce: false })

/** It has held the newest term of its directory, or has passed with the master that did. */
const isExempt = ({ provenTerm }: ContestState, { served }: Sight): boolean =>
  served > 0 && provenTerm === served

/**
 * It is heard, and serves in another directory: that is proven, or its term, held by that very process, is not in ours. An
 * active whose storage hangs is found by that, and one that was heard of a moment ago.
 */
function isStrangeActive(peer: ContestPeer, { holder }: Sight): boolean {
  const holds = peer.facts?.holds ?? null
  if (!peer.heard || holds === null || isPassed(peer)) return false
  return peer.mismatch !== null || holder?.term !== holds.term || holder.by !== holds.by
}

/** The active of another directory before which this one, active as well, stands back; null for none. */
export function standsBackFor(
  s: ContestState,
  own: { readonly address: string; readonly priority: number },
): string | null {
  const above = s.peers.find(
    ({ heard, mismatch, facts }) =>
      heard &&
      mismatch !== null &&
      facts !== null &&
      facts.holds !== null &&
      (facts.priority > own.priority ||
        (facts.priority === own.priority && facts.address < own.address)),
  )
  return above?.address ?? null
}

/**
 * Whoever stands back goes on only when the other is heard to serve no more, or stands on our directory now: one that is
 * silent may serve where it can't be heard.
 */
export function mayGoOn(s: ContestState, yielded: string): boolean {
  const peer = s.peers.find(({ address }) => address === yielded)
  if (peer === undefined || peer.mismatch === null) return true
  const { heard, facts, mismatch } = peer
  return heard && facts?.holds === null && mismatch.ours > mismatch.theirs
}

/** For people: what was found, on both sides. */
function mismatchText({ address, facts, mismatch }: ContestPeer, own: string): string {
  const { ours = 0, theirs = 0, found = '' } = mismatch ?? {}
  const lower =
    ours === theirs
      ? 'neither of the two may become active until one is mended'
      : `${ours < theirs ? 'this master' : address} may not become active`
  return `${address} works on another directory (${own} here, ${facts?.directory} there): ${found}. Newest term that has served: ${ours} here, ${theirs} there, so ${lower}. Correct tajo.rootdir or the mount on the host that is wrong, and restart its master`
}
