/**
 * The elector's lease: renewals, the deadline, suspension, deposal, and the commits that ride on renewals. Pure; see
 * elector.ts. Source: docs/ha-protocol.md, "The lease" and "Changes are fenced by the storage".
 */
import { unreachable } from '../unreachable.ts'
import { onReleased } from './elector-release.ts'
import { serve } from './elector-serve.ts'
import { hangLimitMs, type Lease, TO_SERVE } from './elector-state.ts'
import type { Input } from './elector-step.ts'
import {
  becomeWatcher,
  failCommand,
  killMaster,
  masterIsTold,
  stepDown,
  type Turn,
} from './elector-turn.ts'

/** While `whyUnanswered` has a reason the master must refuse everything; past the deadline, until a renewal succeeds again. */
export function guardLease(t: Turn): void {
  const { lease, timing } = t.s
  if (lease === null) return
  if (isOutlived(t.s, t.now)) {
    const { term } = t.s.above ?? lease
    deposed(t, `term ${term} serves above it, and its own renewals come to nothing`)
    return
  }
  const why = whyUnanswered(t.s, t.now)
  if (lease.suspended === null && why !== null) {
    t.s.lease = { ...lease, suspended: { sinceMs: t.now, confirmed: !masterIsTold(t.s) } }
    if (masterIsTold(t.s)) t.tell({ type: 'suspend', term: lease.term })
    t.log('warn', `${why}: suspended`, { event: 'term-suspended', term: lease.term })
  } else if (
    lease.suspended !== null &&
    !lease.suspended.confirmed &&
    t.now >= lease.suspended.sinceMs + (t.s.spared ? timing.hangMs : timing.renewMs)
  ) {
    killMaster(t, 'it did not confirm its suspension')
    t.s.lease = { ...lease, suspended: { ...lease.suspended, confirmed: true } }
  }
}

/**
 * Why nothing may be answered under the lease; null while it holds. A higher term that serves has ended this one: that it
 * is ours no more is certain, though a renewal that would tell so may hang to the deadline.
 */
function whyUnanswered({ lease, above, contest, phase }: Turn['s'], now: number): string | null {
  if (contest.yielded !== null) return `${contest.yielded} is active as well`
  // Of a term that is being released nothing is answered, and its successor may well be there before its last word is.
  if (above !== null && phase.name !== 'releasing') return `term ${above.term} serves above it`
  return lease !== null && now >= lease.untilMs ? 'lease not renewed in time' : null
}

/**
 * Past its deadline, with a higher term that serves: whoever serves has ended all terms below it, whether or not this
 * holder's own renewals ever tell so. One that is answered does (`onRenewed`), so it gets the time for that.
 */
function isOutlived({ lease, above, timing }: Turn['s'], now: number): boolean {
  if (lease === null || above === null || now < lease.untilMs) return false
  return (lease.failing || lease.renewing) && now >= above.seenMs + timing.renewMs
}

/**
 * After a stall of our own: whoever stalled can't tell whose stall it was, and what the master has said meanwhile is not
 * read yet. Or the host gave the master no time to run. It gets anew the time it has for its answers; it serves nothing
 * meanwhile, since it knows the deadline itself.
 */
export function forgiveMaster(t: Turn): void {
  const { s, now } = t
  s.pongMs = now
  const { lease } = s
  if (lease?.suspended?.confirmed === false) {
    s.lease = { ...lease, suspended: { ...lease.suspended, sinceMs: now } }
  }
}

export function guardMaster(t: Turn): void {
  const { s, now } = t
  if (s.masterGone) return
  const stops = s.phase.name === 'stepping-down' || s.phase.name === 'stopping'
  if (stops && 'untilMs' in s.phase && now >= s.phase.untilMs && !s.killed) {
    killMaster(t, 'it did not confirm that it serves nothing any more')
  }
  if (s.lease !== null && masterIsTold(s) && now - s.pongMs >= hangLimitMs(s) && !s.killed) {
    killMaster(t, `it answered no ping for ${Math.round(now - s.pongMs)} ms`)
  }
  if (now >= s.pingMs) {
    s.pingMs = now + s.timing.renewMs
    t.tell({ type: 'ping', ping: now })
  }
}

export function renewIfDue(t: Turn): void {
  const { lease, phase } = t.s
  if (lease === null || lease.renewing || phase.name === 'releasing') return
  // It serves nothing any more, and may not end for long: with a file call that hangs not even SIGKILL ends it.
  if (t.s.killed && !t.s.masterGone) return
  if (t.now < lease.dueMs && (lease.waiting.length === 0 || lease.failing)) return
  t.s.lease = { ...lease, renewing: true, covered: lease.waiting, waiting: [] }
  t.act({ do: 'renew', term: lease.term })
}

export function onRenewed(t: Turn, input: Input & { type: 'renewed' }): void {
  const { lease, timing } = t.s
  if (lease === null || lease.term !== input.term) return
  if (input.outcome === 'missing') {
    deposed(t, 'its heartbeat is gone: ended by a higher term, or removed from the directory')
    return
  }
  if (input.outcome === 'replaced') {
    deposed(
      t,
      'its heartbeat is another file now: removed from the directory, and made by somebody else',
    )
    return
  }
  const { above } = t.s
  if (input.outcome === 'touched' && above !== null && input.startedMs >= above.seenMs) {
    t.log(
      'error',
      `SPLIT BRAIN ALARM: term ${above.term} serves, yet our term ${lease.term} was not ended`,
      { event: 'split-brain-found', ours: lease.term, theirs: above.term },
    )
    deposed(t, `term ${above.term} serves above it`)
    return
  }
  const back: Lease = { ...lease, renewing: false }
  if (input.outcome === 'touched') t.s.unwritable = null
  if (input.outcome === 'failed') {
    // Nothing is known of a commit whose renewal failed: it waits for one that succeeds.
    const waiting = [...lease.covered, ...lease.waiting]
    t.s.lease = { ...back, covered: [], waiting, failing: true, dueMs: t.now + timing.renewMs / 4 }
    if (t.s.unwritable !== input.why)
      t.log('warn', `renewal failed: ${input.why}`, { event: 'renewal-failed', term: lease.term })
    t.s.unwritable = input.why
    return
  }
  // A call that hung may succeed long after its start: what it proves is that nobody had ended the term when it ran,
  // and the lease still counts from its start only. Its commits wait as well: nothing is answered without a lease.
  const untilMs = Math.max(lease.untilMs, input.startedMs + timing.deadlineMs)
  if (t.now >= untilMs) {
    const waiting = [...lease.covered, ...lease.waiting]
    t.s.lease = { ...back, untilMs, covered: [], waiting, failing: false, dueMs: t.now }
    return
  }
  const dueMs = Math.max(t.now, input.startedMs + timing.renewMs)
  if (t.s.contest.yielded !== null || above !== null) {
    // The term is kept, and nothing is answered under it.
    const waiting = [...lease.covered, ...lease.waiting]
    // A higher term has ended this one: the next renewal says so.
    const soonMs = above === null ? dueMs : t.now
    t.s.lease = { ...back, untilMs, covered: [], waiting, failing: true, dueMs: soonMs }
    return
  }
  t.s.lease = { ...back, untilMs, covered: [], failing: false, dueMs, suspended: null }
  if (lease.suspended !== null) {
    t.log('info', 'a renewal succeeds again: the term goes on', {
      event: 'renewal-succeeded',
      term: lease.term,
    })
  }
  if (!masterIsTold(t.s)) return
  t.tell({ type: 'lease', term: lease.term, untilMs, tookMs: t.now - input.startedMs })
  if (lease.covered.includes(TO_SERVE)) serve(t, lease.term)
  const ids = lease.covered.filter((id) => id !== TO_SERVE)
  if (ids.length > 0) t.tell({ type: 'committed', ids })
}

/** Somebody ended our term. Whatever ran under it stops now. */
function deposed(t: Turn, why: string): void {
  const { phase, lease } = t.s
  if (lease === null) return
  t.s.lease = null
  t.log('warn', `deposed: ${why}`, { event: 'master-deposed', term: lease.term, phase: phase.name })
  switch (phase.name) {
    case 'claiming':
      return
    case 'confirming':
    case 'ending':
    case 'settling':
      t.act({ do: 'abandon', term: lease.term })
      failCommand(t, phase.cause.commandId, 'another master claimed a higher term')
      becomeWatcher(t)
      return
    case 'releasing':
      onReleased(t, lease.term)
      return
    case 'draining':
    case 'stopping':
      failCommand(t, phase.release.commandId, 'deposed meanwhile')
      stepDown(t, lease.term, why)
      return
    case 'activating':
    case 'marking':
      failCommand(t, phase.takeOver.cause.commandId, 'deposed meanwhile')
      stepDown(t, lease.term, why)
      return
    case 'active':
      stepDown(t, lease.term, why)
      return
    case 'watching':
    case 'stepping-down':
    case 'ended':
      throw new Error(`term ${lease.term} was still held while ${phase.name}`)
    default:
      unreachable(phase)
  }
}

export function onCommit(t: Turn, id: number, term: number): void {
  const { lease } = t.s
  if (lease === null || lease.term !== term || !masterIsTold(t.s)) return // its master is told of the term's end
  t.s.lease = { ...lease, waiting: [...lease.waiting, id] }
}

export function onHeartbeatMade(t: Turn, term: number, startedMs: number): void {
  if (t.s.phase.name !== 'claiming' || t.s.phase.term !== term) return
  t.s.lease = {
    term,
    untilMs: startedMs + t.s.timing.deadlineMs,
    renewing: false,
    failing: false,
    dueMs: startedMs + t.s.timing.renewMs,
    covered: [],
    waiting: [],
    suspended: null,
  }
}
