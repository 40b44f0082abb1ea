/**
 * The command to hand the role over: to whom, and what is said when there is nobody. Pure; see elector.ts. How the term
 * then ends is in elector-release.ts.
 *
 * What an active master knows of its backups is as old as its last look at them: who was there may have left since, and one
 * whose file it has seen only once is not known to live. So nobody gets the role, and nobody is refused, before new looks have had their chance. And nobody gets it who has not shown that it can make its files (hand-over-proof.ts): on a full
 * disk the holder, which only renews, serves on, and a successor could not begin.
 */
import { drain } from './elector-release.ts'
import type { Candidate, State } from './elector-state.ts'
import type { Input } from './elector-step.ts'
import type { Turn } from './elector-turn.ts'

export function onHandOver(t: Turn, input: Input & { type: 'hand-over' }): void {
  const { s } = t
  const { id, successor, by, force } = input
  if (s.phase.name !== 'active') {
    refuseNotActive(t, id)
    return
  }
  if (s.handOver !== null) {
    t.reply(id, { code: 'UNSAFE', message: 'busy: another hand-over looks for its successor' })
    return
  }
  // A backup shows its pulse once in two of its own renewal periods: in four, two looks have seen any that lives.
  const untilMs = t.now + Math.max(4 * s.timing.renewMs, 2 * s.pulseMs)
  s.handOver = { id, successor, by, force, sinceMs: t.now, scanMs: t.now, untilMs, asked: null }
}

/** Drains for the successor as soon as it is seen to live. */
export function considerHandOver(t: Turn): void {
  const { s } = t
  const { handOver, phase } = s
  if (handOver === null) return
  const { id, successor, by } = handOver
  if (phase.name !== 'active') {
    s.handOver = null
    refuseNotActive(t, id)
    return
  }
  if (handOver.asked !== null) return
  const scanned = s.scannedMs >= handOver.sinceMs
  const heir = scanned ? heirOf(s, successor) : undefined
  const over = t.now >= handOver.untilMs
  if (heir !== undefined) {
    s.handOver = { ...handOver, asked: heir.address }
    t.act({ do: 'ask-proof', id, address: heir.address })
  } else if (over && handOver.force && successor === null) {
    s.handOver = null
    s.standDown = phase.term
    drain(t, phase.term, { reason: 'handed-over', successor: null, by, commandId: id })
  } else if (over) {
    s.handOver = null
    t.reply(id, { code: 'UNSAFE', message: whyNobody(s, successor, scanned) })
  } else if (t.now >= handOver.scanMs) {
    s.handOver = { ...handOver, scanMs: t.now + s.timing.pollMs }
    t.act({ do: 'scan' })
  }
}

export function onProof(t: Turn, { id, proof }: Input & { type: 'proof' }): void {
  const { s } = t
  const { handOver, phase } = s
  if (handOver?.id !== id || handOver.asked === null || phase.name !== 'active') return
  const { asked: successor, by } = handOver
  s.handOver = null
  if (proof.can) {
    drain(t, phase.term, { reason: 'handed-over', successor, by, commandId: id })
    return
  }
  const text = `${successor} can't take the role over: ${proof.why}. This master stays active`
  t.reply(id, { code: 'UNSAFE', message: text })
}

const refuseNotActive = (t: Turn, id: number): void =>
  t.reply(id, { code: 'NOT_ACTIVE', message: 'this master is not active' })

const othersOf = (s: State): Candidate[] => s.candidates.filter((c) => c.address !== s.address)

/** Chooses the named one, else the best that doesn't stand back. */
function heirOf(s: State, successor: string | null): Candidate | undefined {
  const others = othersOf(s)
  if (successor !== null) return others.find((c) => c.address === successor)
  return others
    .filter((c) => c.priority > 0)
    .sort((a, b) => b.priority - a.priority || (a.address < b.address ? -1 : 1))[0]
}

function whyNobody(s: State, successor: string | null, scanned: boolean): string {
  if (!scanned) return "the backups' files could not be read"
  const others = othersOf(s).map((c) => c.address)
  const live = others.length === 0 ? 'no backup is live' : `live backups: ${others.join(', ')}`
  const what = successor === null ? 'nobody to hand over to' : `${successor} is not a live backup`
  // Where this host can't write, the backups can't either, and so they look dead.
  const why =
    s.unwritable === null ? '' : `; this master can't renew its own lease: ${s.unwritable}`
  return `${what} (${live})${why}`
}
