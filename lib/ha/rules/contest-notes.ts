/** What people are told of the contests: whose directory is another one, and of whom that is not known. Pure. */

import type { DirectoryNote } from '../member/member-api.ts'
import { type ContestPeer, isOpen, isPassed } from './contest.ts'
import { mismatchText } from './contest-rules.ts'
import type { State } from './elector-state.ts'

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
