/**
 * The elector's way to a claim: look, conclude, wait for its turn, or obey an operator's command. It decides whether and
 * when this master claims, so that one master at a time does; how it claims is in elector-claim.ts. Pure; see elector.ts.
 * Its source is docs/ha-protocol.md, "Taking over, in this order".
 */
import { claim, confirm, isFenced } from './elector-claim.ts'
import { isBarred } from './elector-contest.ts'
import { isMasterReady, type State } from './elector-state.ts'
import type { Input } from './elector-step.ts'
import { failCommand, type Turn } from './elector-turn.ts'
import { periodsOf } from './periods.ts'
import { advance, expiryMs, isHolderGone, newestBeat, type Seen, verdictOf } from './watch.ts'

/** A holder looks too, more slowly: it must hear of a term above its own. */
export function lookIfDue(t: Turn): void {
  const { looking, timing, watch, phase } = t.s
  if (looking.busy || t.now < looking.nextMs || phase.name === 'ended') return
  const period = t.s.lease === null ? Math.min(timing.pollMs, watch.by.pollMs) : timing.renewMs
  // A look of its own at the moment of expiry, so that the patience isn't rounded up to the next period.
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
  if (s.unreadable !== null)
    t.log('info', 'the shared directory can be read again', { event: 'directory-readable' })
  s.unreadable = null
  const { failure } = s
  if (failure?.isOver === false && seen.servedTerm > failure.term) {
    s.failure = { ...failure, isOver: true }
  }
  const observer = { own: periodsOf(s.timing), pace: s.pace }
  s.watch = advance(s.watch, seen, { startedMs, finishedMs: t.now }, observer)
  if (s.standDown !== null && seen.servedTerm > s.standDown) {
    t.log('info', `term ${seen.servedTerm} has served: this master may become active again`, {
      event: 'candidacy-regained',
    })
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
  if (t.s.unreadable === null)
    t.log('warn', `the shared directory can't be read: ${why}`, { event: 'directory-unreadable' })
  t.s.unreadable = why
}

/** The names by which a verdict becomes a claim. Proof needs no settling. */
const CLAIMS = {
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
function turnMs(s: State, verdict: { is: string; successor?: string | null }, now: number): number {
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

/** A command never ends a lease: a holder that moves is asked to hand over, or fenced. */
function refuseTakeOverOfLive(t: Turn, seen: Seen): void {
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
