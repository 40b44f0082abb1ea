/**
 * The elector's way from a claim to an opened catalog: claim, confirm, end the terms below, settle, activate; and what is
 * done where one of them fails. Pure; see elector.ts. Why and when it claims: elector-decision.ts; how the term then comes
 * to serve: elector-serve.ts. Its source is docs/ha-protocol.md, "Taking over, in this order".
 */
import type { ClaimReason } from '../words/layout.ts'
import { barOfClaim } from './elector-contest.ts'
import type { Phase } from './elector-phases.ts'
import { obituary, startRelease } from './elector-release.ts'
import { failedAgain, failureText, type State } from './elector-state.ts'
import type { Input } from './elector-step.ts'
import { becomeWatcher, failCommand, type Turn } from './elector-turn.ts'
import type { Cause } from './take-over.ts'
import { newestBeat, type Seen } from './watch.ts'

export function claim(
  t: Turn,
  how: { reason: ClaimReason; proof: boolean; evidence: string },
  seen: Seen,
  noticedMs: number,
): void {
  const { s, now } = t
  const term = numberFor(s, seen)
  const beat = newestBeat(seen)
  const cause: Cause = {
    reason: s.command === null ? how.reason : 'command',
    evidence: how.evidence,
    orderedBy: s.command?.by ?? null,
    provenTerm:
      how.proof || isFenced(s.command, seen) ? seen.holderTerm || beat?.term || seen.newest : null,
    previousTerm: beat?.term ?? Math.min(seen.newest, term - 1),
    basis: seen,
    commandId: s.command?.id ?? null,
    force: s.command?.force ?? false,
    trouble: s.failure === null || s.failure.isOver ? null : failureText(s.failure),
    lastBeatMs: s.watch.beatMs,
    noticedMs,
    decidedMs: now,
  }
  t.become({ name: 'claiming', term, cause })
  s.intent = null
  s.command = null
  const { evidence, reason, orderedBy } = cause
  const asked = orderedBy === null ? '' : `; asked for by ${orderedBy}`
  t.log('info', `claiming term ${term}: ${evidence}${asked}`, {
    event: 'claim-began',
    term,
    reason,
    orderedBy,
  })
  t.act({ do: 'claim', term, cause })
  // A successful fence is proof as well, and may come before the settling time is over.
  if (!how.proof && s.canFence && seen.holder !== null)
    t.act({ do: 'fence', term: seen.holderTerm })
}

/**
 * A claim that failed goes on with its number, as if it had only been paused: one number more at each attempt would burn
 * thousands of them in the hours of a full disk. Not above a heartbeat that came later, which ours would not end.
 */
function numberFor({ unfinished }: State, seen: Seen): number {
  const ours = seen.pulses.some(({ term, mtimeMs }) => term === unfinished && mtimeMs === null)
  const next = seen.newest + 1
  if (unfinished === null || (!ours && unfinished !== next)) return next
  return unfinished > (newestBeat(seen)?.term ?? 0) ? unfinished : next
}

export function onClaimLost(t: Turn, input: Input & { type: 'claim-lost' }): void {
  const { phase } = t.s
  if (phase.name !== 'claiming' || phase.term !== input.term) return
  t.s.unfinished = input.goesOn ? input.term : null
  if (input.failed) failed(t, input.term, input.why)
  else
    t.log('info', `term ${input.term} is not ours: ${input.why}`, {
      event: 'claim-lost',
      term: input.term,
    })
  // Nobody else was faster: the storage refuses it, and would again.
  failCommand(t, phase.cause.commandId, input.why, input.failed ? 'UNSAFE' : undefined)
  t.s.lease = null
  becomeWatcher(t)
}

export function onEndingFailed(t: Turn, term: number, why: string): void {
  const { phase } = t.s
  if (phase.name !== 'ending' || phase.term !== term) return
  failed(t, term, why)
  failCommand(t, phase.cause.commandId, why, 'UNSAFE')
  t.act({ do: 'abandon', term })
  t.s.lease = null
  becomeWatcher(t)
}

/** Each attempt waits twice as long as the one before, at most M: what fails it (a full disk) may last for days. */
function failed(t: Turn, term: number, why: string): void {
  const { s } = t
  const { monitorMs } = s.timing
  t.log('error', `claim of term ${term} failed: ${why}`, { event: 'claim-failed', term })
  s.failure = failedAgain(s.failure, { what: 'claim', term, why })
  s.claimAfterMs = t.now + Math.min(monitorMs, (monitorMs / 4) * 2 ** s.failedClaims)
  s.failedClaims += 1
}

/**
 * Between the decision and the win the world may have moved: a create can hang for minutes after an outage, while the
 * old holder's renewals succeed again. A claim that took longer than the time between two looks is confirmed by one more look.
 */
export function onClaimWon(t: Turn, term: number): void {
  const { phase, lease } = t.s
  if (phase.name !== 'claiming' || phase.term !== term) return
  if (lease === null) {
    // Ended by a higher term before the last exclusive step came back.
    t.act({ do: 'abandon', term })
    failCommand(t, phase.cause.commandId, 'another master claimed a higher term')
    becomeWatcher(t)
    return
  }
  if (t.s.masterGone) {
    startRelease(t, obituary(t.s))
    return
  }
  if (isGivenUp(t, phase)) return
  if (t.now - phase.cause.decidedMs > 2 * t.s.watch.by.pollMs && phase.cause.provenTerm === null) {
    t.become({ name: 'confirming', term, cause: phase.cause, wonMs: t.now })
    t.s.looking = { ...t.s.looking, nextMs: t.now, again: t.s.looking.busy }
    return
  }
  endBelow(t, term, phase.cause)
}

/** Right before others' terms are ended, and before the master is told of its own. */
function isGivenUp(
  t: Turn,
  { term, cause }: { readonly term: number; readonly cause: Cause },
): boolean {
  const bar = barOfClaim(t.s, cause, t.now)
  if (bar === null) return false
  t.log('error', `term ${term} is given up before it served: ${bar.why}`, {
    event: 'term-given-up',
    term,
  })
  failCommand(t, cause.commandId, bar.why, 'UNSAFE')
  t.act({ do: 'abandon', term })
  becomeWatcher(t)
  return true
}

function endBelow(t: Turn, term: number, cause: Cause): void {
  t.become({ name: 'ending', term, cause, wonMs: t.now })
  const { provenTerm } = cause
  // Nothing was concluded from silence where there is proof.
  t.act({
    do: 'end-below',
    term,
    provenTerm,
    basis: provenTerm === null ? cause.basis.pulses : [],
  })
}

export function confirm(t: Turn, phase: Phase & { name: 'confirming' }, seen: Seen): void {
  const moved = phase.cause.basis.pulses.find((before) => {
    const now = seen.pulses.find((pulse) => pulse.term === before.term)
    return now !== undefined && now.mtimeMs !== null && now.mtimeMs !== before.mtimeMs
  })
  if (moved === undefined) {
    endBelow(t, phase.term, phase.cause)
    return
  }
  leaveAlive(t, phase, moved.term)
}

export function onHolderLives(t: Turn, term: number, holderTerm: number): void {
  const { phase } = t.s
  if (phase.name === 'ending' && phase.term === term) leaveAlive(t, phase, holderTerm)
}

function leaveAlive(
  t: Turn,
  phase: Phase & { name: 'confirming' | 'ending' },
  holderTerm: number,
): void {
  const why = `the holder of term ${holderTerm} lives: its heartbeat moved while term ${phase.term} was being claimed`
  t.log('warn', why, { event: 'claim-abandoned', term: phase.term })
  failCommand(t, phase.cause.commandId, why, 'UNSAFE')
  t.act({ do: 'abandon', term: phase.term })
  t.s.claimAfterMs = t.now + t.s.timing.pollMs
  becomeWatcher(t)
}

export function onBelowEnded(t: Turn, input: Input & { type: 'below-ended' }): void {
  const { term } = input
  const { phase } = t.s
  if (phase.name !== 'ending' || phase.term !== term) return
  if (t.s.masterGone) {
    startRelease(t, obituary(t.s))
    return
  }
  const { cause, wonMs } = phase
  const untilMs = input.proven ? t.now : t.now + input.settleMs
  t.become({ name: 'settling', term, cause, wonMs, endedMs: t.now, untilMs })
}

export function onFenced(t: Turn, input: Input & { type: 'fenced' }): void {
  const { phase, command } = t.s
  t.log(input.fenced ? 'info' : 'warn', `fencing of term ${input.term}: ${input.detail}`, {
    event: input.fenced ? 'term-fenced' : 'term-unfenced',
    term: input.term,
  })
  if (command?.fencing === 'asked') {
    if (input.fenced) t.s.command = { ...command, fencing: 'done', fencedTerm: input.term }
    else failCommand(t, command.id, `fencing failed: ${input.detail}`, 'UNSAFE')
    return
  }
  // Only the holder that is newest below us was fenced: enough when it had served, since it ended all below it.
  if (!input.fenced || phase.name !== 'settling' || phase.cause.basis.servedTerm !== input.term)
    return
  t.become({ ...phase, untilMs: t.now })
}

export function activate(t: Turn, now: number): void {
  const { phase, lease } = t.s
  // A lapsed lease waits for its next renewal here: the master is told nothing before.
  if (phase.name !== 'settling' || lease === null || lease.suspended !== null || t.s.masterGone)
    return
  if (isGivenUp(t, phase)) return
  const { term, cause, wonMs, endedMs } = phase
  const takeOver = { cause, wonMs, endedMs, settledMs: now }
  t.become({ name: 'activating', term, takeOver })
  t.s.pongMs = now
  t.tell({ type: 'activate', term, untilMs: lease.untilMs, takeOver })
}

/** Fencing takes its time: what it proved says nothing of a holder that came meanwhile. */
export const isFenced = (command: State['command'], seen: Seen): boolean =>
  command?.fencing === 'done' && command.fencedTerm === seen.holderTerm
