/**
 * The elector's way to a term: look, conclude, wait for its turn, claim, end the terms below, settle, activate. Pure;
 * see elector.ts. How the term then comes to serve is in elector-serve.ts. Source: docs/ha-protocol.md, "Taking over, in this order".
 */
import type { ClaimReason } from '../words/layout.ts'
import { barOfClaim, isBarred } from './elector-contest.ts'
import type { Phase } from './elector-phases.ts'
import { obituary, startRelease } from './elector-release.ts'
import { failedAgain, failureText, isMasterReady, type State } from './elector-state.ts'
import type { Input } from './elector-step.ts'
import { becomeWatcher, failCommand, type Turn } from './elector-turn.ts'
import { periodsOf } from './periods.ts'
import type { Cause } from './take-over.ts'
import { advance, expiryMs, isHolderGone, newestBeat, type Seen, verdictOf } from './watch.ts'

/** A holder looks too, more slowly: it must hear of a term above its own. */
export function lookIfDue(t: Turn): void {
  const { looking, timing, watch, phase } = t.s
  if (looking.busy || t.now < looking.nextMs || phase.name === 'ended') return
  const period = t.s.lease === null ? Math.min(timing.pollMs, watch.by.pollMs) : timing.renewMs
  // A look of its own at the moment of expiry, so that the patience isn't rounded up to the next poll.
  const expiry =
    watch.seen === null || t.s.lease !== null ? Number.POSITIVE_INFINITY : expiryMs(watch)
  const next = t.now + period
  t.s.looking = {
    busy: true,
    again: false,
    nextMs: expiry > t.now && expiry < next ? expiry : next,
  }
  t.act({ do: 'look' })
}

export function onLooked(t: Turn, seen: Seen, startedMs: number): void {
  const { s } = t
  s.looking = { busy: false, again: false, nextMs: s.looking.again ? t.now : s.looking.nextMs }
  if (s.unreadable !== null) t.log('info', 'the shared directory can be read again')
  s.unreadable = null
  const { failure } = s
  if (failure?.isOver === false && seen.servedTerm > failure.term) {
    s.failure = { ...failure, isOver: true }
  }
  const observer = { own: periodsOf(s.timing), pace: s.pace }
  s.watch = advance(s.watch, seen, { startedMs, finishedMs: t.now }, observer)
  if (s.standDown !== null && seen.servedTerm > s.standDown) {
    t.log('info', `term ${seen.servedTerm} has served: this master may become active again`)
    s.standDown = null
  }
  const { phase } = s
  if (phase.name === 'confirming' && startedMs >= phase.wonMs) confirm(t, phase, seen)
  if (s.lease !== null && seen.servedTerm > s.lease.term && s.above === null) {
    s.above = { term: seen.servedTerm, seenMs: t.now }
    // One that is under way was due before, and says when the next one is.
    if (!s.lease.renewing) s.lease = { ...s.lease, dueMs: t.now }
  }
}

/** In front of every observer whose last look has failed: what it doesn't see may live. */
export const blindText = (why: string): string =>
  `the shared directory cannot be read (${why}): nobody takes over blind`

export function onLookFailed(t: Turn, why: string): void {
  t.s.looking = { busy: false, again: false, nextMs: t.s.looking.nextMs }
  if (t.s.unreadable === null) t.log('warn', `the shared directory can't be read: ${why}`)
  t.s.unreadable = why
}

/** The names by which a verdict becomes a claim. Proof needs no settling. */
export const CLAIMS = {
  unclaimed: { reason: 'first-start', proof: true, evidence: 'there was no term yet' },
  released: { reason: 'released', proof: true, evidence: 'the holder had released the term' },
  'released-for': {
    reason: 'handed-over',
    proof: true,
    evidence: 'the holder handed the term over',
  },
  refused: {
    reason: 'released',
    proof: true,
    evidence: 'the holder could not serve and had released the term',
  },
  dead: {
    reason: 'process-dead',
    proof: true,
    evidence: "the holder's process was gone from this host",
  },
  expired: {
    reason: 'expired',
    proof: false,
    evidence: 'the heartbeat had not moved for the patience',
  },
} as const

export function considerClaim(t: Turn): void {
  const { s, now } = t
  const { watch, timing, command } = s
  const verdict = verdictOf(watch, now, timing)
  if (command !== null && now >= command.untilMs) {
    failCommand(t, command.id, 'not taken over in time: the term did not end', 'TIMEOUT')
  }
  if (verdict.is === 'unknown' || watch.seen === null) {
    s.intent = null
    return
  }
  if (verdict.is === 'live') {
    s.intent = null
    refuseTakeOverOfLive(t, watch.seen)
    return
  }
  // Priority 0 and a stand-down bar this master unless somebody names it.
  const named = s.command !== null || ('successor' in verdict && verdict.successor === s.address)
  const barred = (s.priority === 0 || s.standDown !== null) && !named
  if (
    barred ||
    !isMasterReady(s, now) ||
    (now < s.claimAfterMs && s.command === null) ||
    s.leaving !== null ||
    s.masterGone
  ) {
    s.intent = null
    return
  }
  const key = `${verdict.is} ${watch.seen.newest}`
  if (s.intent?.key !== key) {
    s.intent = { key, noticedMs: now, claimMs: now + turnMs(s, verdict, now) }
    // Whoever has to wait for its turn looks again before it claims.
    if (s.intent.claimMs > now)
      s.looking = { ...s.looking, nextMs: Math.min(s.looking.nextMs, s.intent.claimMs) }
  }
  if (now < s.intent.claimMs) return
  if (
    s.intent.claimMs > s.intent.noticedMs &&
    watch.lastMs < s.intent.claimMs &&
    s.command === null
  ) {
    s.looking = { ...s.looking, nextMs: Math.min(s.looking.nextMs, now) }
    return
  }
  if (isBarred(t)) return
  claim(t, CLAIMS[verdict.is], watch.seen, s.intent.noticedMs)
}

/**
 * How long to hold back: nothing for a command or for the named successor; the rank's turn otherwise, and after a term that
 * could not be served the monitor interval before it.
 */
export function turnMs(
  s: State,
  verdict: { is: string; successor?: string | null },
  now: number,
): number {
  if (s.command !== null) return 0
  const turn = rankOf(s) * s.timing.rankStepMs
  if (verdict.is === 'refused') {
    return Math.max(0, s.watch.sinceMs + s.timing.monitorMs - now) + turn + deferenceMs(s)
  }
  if (verdict.is !== 'released-for') return turn
  return verdict.successor === s.address ? 0 : s.timing.graceMs + turn
}

/** How many others would go first. */
export const rankOf = (s: Pick<State, 'candidates' | 'address' | 'priority'>): number =>
  s.candidates.filter(
    (c) =>
      c.address !== s.address &&
      c.priority > 0 &&
      (c.priority > s.priority || (c.priority === s.priority && c.address < s.address)),
  ).length

/**
 * What was refused to this master lately is tried by the others first, whoever has waited longest before the rest: one of
 * them may have what is missing here.
 */
function deferenceMs({ address, candidates, failure, timing, watch }: State): number {
  const newest = watch.seen === null ? null : newestBeat(watch.seen)
  if (failure?.what !== 'opening' || failure.isOver || newest === null) return 0
  if (candidates.every((one) => one.address === address || one.priority === 0)) return 0
  return timing.graceMs / (1 + Math.max(0, newest.term - failure.term))
}

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
  t.log('info', `claiming term ${term}: ${evidence}${asked}`, { term, reason, orderedBy })
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
  else t.log('info', `term ${input.term} is not ours: ${input.why}`, { term: input.term })
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
  t.log('error', `claim of term ${term} failed: ${why}`, { term })
  s.failure = failedAgain(s.failure, { what: 'claim', term, why })
  s.claimAfterMs = t.now + Math.min(monitorMs, (monitorMs / 4) * 2 ** s.failedClaims)
  s.failedClaims += 1
}

/**
 * Between the decision and the win the world may have moved: a create can hang for minutes after an outage, while the
 * old holder's renewals succeed again. A claim that took longer than a poll is confirmed by one more look.
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
  t.log('error', `term ${term} is given up before it served: ${bar.why}`, { term })
  failCommand(t, cause.commandId, bar.why, 'UNSAFE')
  t.act({ do: 'abandon', term })
  becomeWatcher(t)
  return true
}

export function endBelow(t: Turn, term: number, cause: Cause): void {
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
  t.log('warn', why, { term: phase.term })
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

export function onTakeOver(t: Turn, input: Input & { type: 'take-over' }): void {
  const { s } = t
  if (s.phase.name === 'active') {
    t.reply(input.id, null)
    return
  }
  if (s.phase.name !== 'watching' || s.command !== null) {
    t.reply(input.id, { code: 'UNSAFE', message: `busy: ${s.phase.name}` })
    return
  }
  if (s.unreadable !== null) {
    t.reply(input.id, { code: 'UNSAFE', message: blindText(s.unreadable) })
    return
  }
  const fence = input.force && s.canFence && s.watch.seen?.holder != null
  s.standDown = null
  // Whatever turn it was waiting for, it waits for no longer.
  s.intent = null
  s.command = {
    id: input.id,
    force: input.force,
    by: input.by,
    untilMs: t.now + 2 * Math.max(s.timing.monitorMs, s.watch.by.monitorMs),
    fencing: fence ? 'asked' : 'no',
    fencedTerm: 0,
  }
  if (fence) t.act({ do: 'fence', term: s.watch.seen?.holderTerm ?? 0 })
}

/** Fencing takes its time: what it proved says nothing of a holder that came meanwhile. */
const isFenced = (command: State['command'], seen: Seen): boolean =>
  command?.fencing === 'done' && command.fencedTerm === seen.holderTerm

/** A command never ends a lease: a holder that moves is asked to hand over, or fenced. */
export function refuseTakeOverOfLive(t: Turn, seen: Seen): void {
  const { command, watch } = t.s
  if (command === null || command.fencing === 'asked') return
  // Somebody's claim above it has its moment to come to something; then the verdict is another one.
  if (isHolderGone(seen)) return
  const quietMs = t.now - watch.sinceMs
  if (isFenced(command, seen)) {
    if (isBarred(t)) return
    claim(t, { reason: 'command', proof: true, evidence: 'the holder was fenced' }, seen, t.now)
  } else if (command.fencing === 'done' || quietMs < 2 * watch.by.renewMs) {
    const who = `${seen.holder?.address ?? 'unknown'} is active in term ${seen.holderTerm}`
    const why =
      command.force && !t.s.canFence
        ? `${who}, and nothing here can fence it: set tajo.master.ha.fencing.methods, or let it hand over (without --force)`
        : `${who}: hand over from there, or fence it`
    failCommand(t, command.id, why, 'UNSAFE')
  }
}
