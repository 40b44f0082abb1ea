/**
 * The election, as a pure function: (state, input, now) → state and effects. No timers, files, clocks or chance.
 *
 * What it promises: this keeper tells its master "active in term n until t" only while it holds n by
 * docs/ha-protocol.md: it claimed n exclusively, ended every lower term, waited where nothing proved their holders
 * dead, and renewed n's heartbeat by path within the deadline. It never concludes a death from silence shorter than
 * the patience, nor from a directory that it can't read.
 *
 * How to read it: `step` is the table of inputs; each phase's own decisions are in `onTick`, top to bottom in the order
 * of their urgency. The longest comments stand where the protocol is hardest.
 */
import type { HaErrorCode } from './errors.ts'
import type { ClaimReason, EndReason } from './layout.ts'
import type { ToMaster } from './messages.ts'
import type { LogLevel } from './ports.ts'
import type { Timing } from './timing.ts'
import { advance, expiryMs, newWatch, type Seen, verdictOf, type Watch } from './watch.ts'

/** One backup that others may hand over to, as `peers.ts` keeps it. */
export interface Candidate {
  readonly address: string
  readonly priority: number
}

/** Why a term is claimed, and when what was learnt: becomes its history. */
export interface Cause {
  readonly reason: ClaimReason
  readonly evidence: string
  /** The lower term whose holder is proven dead or gone, or null. */
  readonly provenTerm: number | null
  readonly previousTerm: number
  /** Heartbeats below as they were when we decided; a living holder's will have moved. */
  readonly basis: Seen
  /** The command that asked for it, or null. */
  readonly commandId: number | null
  /** Monotonic marks for the history: last change seen, first suspicion, decision. */
  readonly lastBeatMs: number
  readonly noticedMs: number
  readonly decidedMs: number
}

export type Phase =
  | { readonly name: 'watching' }
  /** The exclusive steps of `claim.ts` are under way. */
  | { readonly name: 'claiming'; readonly term: number; readonly cause: Cause }
  /** The claim was slow: a look begun after it must show that the holder below hasn't moved. */
  | {
      readonly name: 'confirming'
      readonly term: number
      readonly cause: Cause
      readonly wonMs: number
    }
  | {
      readonly name: 'ending'
      readonly term: number
      readonly cause: Cause
      readonly wonMs: number
    }
  | {
      readonly name: 'settling'
      readonly term: number
      readonly cause: Cause
      readonly wonMs: number
      readonly endedMs: number
      readonly untilMs: number
    }
  | {
      readonly name: 'activating'
      readonly term: number
      readonly cause: Cause | null
      readonly wonMs: number
      readonly endedMs: number
      readonly settledMs: number
    }
  | { readonly name: 'active'; readonly term: number }
  /** Planned end: the master finishes what it accepted. */
  | {
      readonly name: 'draining'
      readonly term: number
      readonly release: Release
      readonly untilMs: number
    }
  /** The master did not drain in time, or must not start: it has to confirm that it serves nothing before the release. */
  | {
      readonly name: 'stopping'
      readonly term: number
      readonly release: Release
      readonly untilMs: number
    }
  | { readonly name: 'releasing'; readonly term: number; readonly release: Release }
  /** Deposed: the master must confirm that it serves nothing of the term any more. */
  | { readonly name: 'stepping-down'; readonly term: number; readonly untilMs: number }
  | { readonly name: 'ended' }

/** A planned or forced end of a term of ours. */
export interface Release {
  readonly reason: EndReason
  readonly successor: string | null
  readonly by: string
  readonly commandId: number | null
}

/** Our heartbeat, from the moment it was created. */
export interface Lease {
  readonly term: number
  /** Start of the last successful renewal + D. */
  readonly untilMs: number
  readonly renewing: boolean
  readonly dueMs: number
  /** Commits that the renewal under way covers, and those that need one that starts later. */
  readonly covered: readonly number[]
  readonly waiting: readonly number[]
  /** Set while the deadline has passed without a renewal. */
  readonly suspended: { readonly sinceMs: number; readonly confirmed: boolean } | null
}

/** What a backup waits for before it claims: what it believes, since when, and its turn. */
interface Intent {
  readonly key: string
  readonly noticedMs: number
  readonly claimMs: number
}

interface Command {
  readonly id: number
  readonly force: boolean
  readonly by: string
  readonly untilMs: number
  readonly fencing: 'no' | 'asked' | 'done'
}

export interface State {
  readonly address: string
  readonly priority: number
  readonly timing: Timing
  readonly phase: Phase
  readonly watch: Watch
  readonly lease: Lease | null
  readonly intent: Intent | null
  readonly command: Command | null
  readonly candidates: readonly Candidate[]
  readonly looking: { readonly busy: boolean; readonly again: boolean; readonly nextMs: number }
  /** Claim nothing before: after a failed claim or activation. */
  readonly claimAfterMs: number
  /** Set by a forced hand-over to nobody: only a command makes this master active again. */
  readonly standDown: boolean
  /** Fencing methods are configured. */
  readonly canFence: boolean
  readonly pingMs: number
  readonly pongMs: number
  readonly stepMs: number
  readonly masterGone: boolean
  /** We killed it for not answering; named in the obituary. */
  readonly killed: boolean
  readonly leaving: string | null
  readonly storage: 'ok' | 'unreadable'
  /** A term above ours that serves, and when we saw it: our next renewal must fail, else it is a split brain. */
  readonly above: { readonly term: number; readonly seenMs: number } | null
}

export type Input =
  | { readonly type: 'tick' }
  | { readonly type: 'looked'; readonly seen: Seen; readonly startedMs: number }
  | { readonly type: 'look-failed'; readonly why: string }
  | { readonly type: 'heartbeat-made'; readonly term: number; readonly startedMs: number }
  | { readonly type: 'claim-won'; readonly term: number }
  | {
      readonly type: 'claim-lost'
      readonly term: number
      readonly why: string
      readonly failed: boolean
    }
  | { readonly type: 'below-ended'; readonly term: number; readonly proven: boolean }
  | {
      readonly type: 'renewed'
      readonly term: number
      readonly startedMs: number
      readonly outcome: 'touched' | 'missing' | 'failed'
      readonly why: string
    }
  | { readonly type: 'released'; readonly term: number }
  | {
      readonly type: 'fenced'
      readonly term: number
      readonly fenced: boolean
      readonly detail: string
    }
  | { readonly type: 'candidates'; readonly candidates: readonly Candidate[] }
  | { readonly type: 'master-gone' }
  | { readonly type: 'pong' }
  | { readonly type: 'serving'; readonly term: number }
  | { readonly type: 'activation-failed'; readonly term: number; readonly why: string }
  | { readonly type: 'suspended'; readonly term: number }
  | { readonly type: 'drained'; readonly term: number }
  | { readonly type: 'deactivated'; readonly term: number }
  | { readonly type: 'commit'; readonly id: number; readonly term: number }
  | {
      readonly type: 'hand-over'
      readonly id: number
      readonly successor: string | null
      readonly force: boolean
      readonly by: string
    }
  | {
      readonly type: 'take-over'
      readonly id: number
      readonly force: boolean
      readonly by: string
    }
  | { readonly type: 'leave'; readonly reason: string }
  | { readonly type: 'hint'; readonly why: string }

export type Effect =
  | { readonly do: 'tell'; readonly message: ToMaster }
  | {
      readonly do: 'log'
      readonly level: LogLevel
      readonly message: string
      readonly facts: Readonly<Record<string, unknown>>
    }
  | { readonly do: 'look' }
  | { readonly do: 'claim'; readonly term: number; readonly cause: Cause }
  | { readonly do: 'end-below'; readonly term: number; readonly provenTerm: number | null }
  | { readonly do: 'renew'; readonly term: number }
  /** Stop what belongs to a claim that is over, and unlink its heartbeat. */
  | { readonly do: 'abandon'; readonly term: number }
  | { readonly do: 'release'; readonly term: number; readonly release: Release }
  | { readonly do: 'fence'; readonly term: number }
  | { readonly do: 'kill-master'; readonly why: string }
  /** Be listed among the backups, or not. */
  | { readonly do: 'register' }
  | { readonly do: 'unregister' }
  /** Write the served record and sweep old terms. */
  | {
      readonly do: 'record'
      readonly term: number
      readonly cause: Cause
      readonly wonMs: number
      readonly endedMs: number
      readonly settledMs: number
      readonly servedMs: number
    }
  | { readonly do: 'exit' }

export interface Step {
  readonly state: State
  readonly effects: readonly Effect[]
}

export interface Beginning {
  readonly address: string
  readonly priority: number
  readonly timing: Timing
  readonly nowMs: number
  readonly canFence: boolean
  /** A term that an earlier keeper of this master held. */
  readonly resume: {
    readonly term: number
    readonly serving: boolean
    readonly untilMs: number
  } | null
}

export function begin({ address, priority, timing, nowMs, canFence, resume }: Beginning): State {
  const phase: Phase =
    resume === null
      ? { name: 'watching' }
      : resume.serving
        ? { name: 'active', term: resume.term }
        : {
            name: 'activating',
            term: resume.term,
            cause: null,
            wonMs: nowMs,
            endedMs: nowMs,
            settledMs: nowMs,
          }
  return {
    address,
    priority,
    timing,
    phase,
    watch: newWatch(),
    lease:
      resume === null
        ? null
        : {
            term: resume.term,
            untilMs: resume.untilMs,
            renewing: false,
            dueMs: nowMs,
            covered: [],
            waiting: [],
            suspended: null,
          },
    intent: null,
    command: null,
    candidates: [],
    looking: { busy: false, again: false, nextMs: nowMs },
    claimAfterMs: nowMs,
    standDown: false,
    canFence,
    pingMs: nowMs,
    pongMs: nowMs,
    stepMs: nowMs,
    masterGone: false,
    killed: false,
    leaving: null,
    storage: 'ok',
    above: null,
  }
}

/**
 * The next moment at which `tick` may have something to do, Infinity for none. What was due at the last step has been
 * done or waits for an input, so only later moments count.
 */
export function wakeMs(state: State): number {
  const { phase, lease, timing } = state
  const times = [state.pingMs, state.pongMs + timing.hangMs, state.looking.nextMs]
  if (lease !== null) {
    times.push(lease.dueMs, lease.untilMs)
    if (lease.suspended !== null) times.push(lease.suspended.sinceMs + timing.renewMs)
  }
  if ('untilMs' in phase) times.push(phase.untilMs)
  if (state.intent !== null) times.push(state.intent.claimMs)
  if (state.command !== null) times.push(state.command.untilMs)
  return Math.min(...times.filter((ms) => ms > state.stepMs), Number.POSITIVE_INFINITY)
}

type Draft = { -readonly [K in keyof State]: State[K] }
class Turn {
  readonly s: Draft
  readonly now: number
  readonly effects: Effect[] = []
  constructor(state: State, now: number) {
    this.s = { ...state }
    this.now = now
  }
  tell(message: ToMaster): void {
    if (!this.s.masterGone) this.effects.push({ do: 'tell', message })
  }
  reply(id: number | null, error: { code: HaErrorCode; message: string } | null): void {
    if (id !== null) this.tell({ type: 'reply', id, error })
  }
  log(level: LogLevel, message: string, facts: Readonly<Record<string, unknown>> = {}): void {
    this.effects.push({ do: 'log', level, message, facts })
  }
  act(effect: Effect): void {
    this.effects.push(effect)
  }
}

/** Takes one input in. Pure: the same arguments give the same answer. */
export function step(state: State, input: Input, nowMs: number): Step {
  const t = new Turn(state, nowMs)
  const { s } = t
  if (s.phase.name === 'ended') return { state, effects: [] }
  // Whoever stalled can't tell whose stall it was: the master gets its hang limit anew.
  if (nowMs - s.stepMs > s.timing.renewMs + 2 * s.timing.pollMs) s.pongMs = nowMs
  s.stepMs = nowMs
  switch (input.type) {
    case 'tick':
      break
    case 'looked':
      onLooked(t, input.seen, input.startedMs)
      break
    case 'look-failed':
      onLookFailed(t, input.why)
      break
    case 'heartbeat-made':
      onHeartbeatMade(t, input.term, input.startedMs)
      break
    case 'claim-won':
      onClaimWon(t, input.term)
      break
    case 'claim-lost':
      onClaimLost(t, input)
      break
    case 'below-ended':
      onBelowEnded(t, input.term, input.proven)
      break
    case 'renewed':
      onRenewed(t, input)
      break
    case 'released':
      onReleased(t, input.term)
      break
    case 'fenced':
      onFenced(t, input)
      break
    case 'candidates':
      s.candidates = input.candidates
      break
    case 'master-gone':
      onMasterGone(t)
      break
    case 'pong':
      s.pongMs = nowMs
      break
    case 'serving':
      onServing(t, input.term)
      break
    case 'activation-failed':
      onActivationFailed(t, input.term, input.why)
      break
    case 'suspended':
      if (s.lease?.suspended && s.lease.term === input.term) {
        s.lease = { ...s.lease, suspended: { ...s.lease.suspended, confirmed: true } }
      }
      break
    case 'drained':
      if (s.phase.name === 'draining' && s.phase.term === input.term)
        startRelease(t, s.phase.release)
      break
    case 'deactivated':
      if (s.phase.name === 'stepping-down' && s.phase.term === input.term) becomeWatcher(t)
      else if (s.phase.name === 'stopping' && s.phase.term === input.term) {
        startRelease(t, s.phase.release)
      }
      break
    case 'commit':
      onCommit(t, input.id, input.term)
      break
    case 'hand-over':
      onHandOver(t, input)
      break
    case 'take-over':
      onTakeOver(t, input)
      break
    case 'leave':
      s.leaving = input.reason
      break
    case 'hint':
      s.looking = { ...s.looking, nextMs: nowMs, again: s.looking.busy }
      break
  }
  onTick(t)
  return { state: s, effects: t.effects }
}

/** Everything that is due by now, most urgent first. */
function onTick(t: Turn): void {
  guardLease(t)
  guardMaster(t)
  renewIfDue(t)
  const { phase } = t.s
  if (phase.name === 'settling' && t.now >= phase.untilMs) activate(t, t.now)
  if (phase.name === 'draining' && t.now >= phase.untilMs) stopMaster(t, phase.release)
  leaveIfAsked(t)
  if (t.s.phase.name === 'watching') considerClaim(t)
  lookIfDue(t)
}

/** The deadline: past it the master must refuse everything until a renewal by path succeeds again. */
function guardLease(t: Turn): void {
  const { lease, timing } = t.s
  if (lease === null) return
  if (lease.suspended === null && t.now >= lease.untilMs) {
    t.s.lease = { ...lease, suspended: { sinceMs: t.now, confirmed: !masterIsTold(t.s) } }
    if (masterIsTold(t.s)) t.tell({ type: 'suspend', term: lease.term })
    t.log('warn', 'lease not renewed in time: suspended', { term: lease.term })
  } else if (
    lease.suspended !== null &&
    !lease.suspended.confirmed &&
    t.now >= lease.suspended.sinceMs + timing.renewMs
  ) {
    killMaster(t, 'it did not confirm its suspension')
    t.s.lease = { ...lease, suspended: { ...lease.suspended, confirmed: true } }
  }
}

/** Phases in which the master acts, or is about to act, under the term. */
const masterIsTold = (s: State): boolean =>
  s.phase.name === 'activating' ||
  s.phase.name === 'active' ||
  s.phase.name === 'draining' ||
  s.phase.name === 'stopping'

function guardMaster(t: Turn): void {
  const { s, now } = t
  if (s.masterGone) return
  const stops = s.phase.name === 'stepping-down' || s.phase.name === 'stopping'
  if (stops && 'untilMs' in s.phase && now >= s.phase.untilMs && !s.killed) {
    killMaster(t, 'it did not confirm that it serves nothing any more')
  }
  if (s.lease !== null && masterIsTold(s) && now - s.pongMs >= s.timing.hangMs && !s.killed) {
    killMaster(t, `it answered no ping for ${Math.round(now - s.pongMs)} ms`)
  }
  if (now >= s.pingMs) {
    s.pingMs = now + s.timing.renewMs
    t.tell({ type: 'ping', ping: now })
  }
}

/** SIGKILL also ends a stopped process; the end of the channel then brings `master-gone`. */
function killMaster(t: Turn, why: string): void {
  t.s.killed = true
  t.log('error', `the master is killed: ${why}`)
  t.act({ do: 'kill-master', why })
}

function renewIfDue(t: Turn): void {
  const { lease, phase } = t.s
  if (lease === null || lease.renewing || phase.name === 'releasing') return
  if (t.now < lease.dueMs && lease.waiting.length === 0) return
  t.s.lease = { ...lease, renewing: true, covered: lease.waiting, waiting: [] }
  t.act({ do: 'renew', term: lease.term })
}

function onRenewed(t: Turn, input: Input & { type: 'renewed' }): void {
  const { lease, timing } = t.s
  if (lease === null || lease.term !== input.term) return
  if (input.outcome === 'missing') {
    deposed(t, 'its heartbeat was ended by a higher term')
    return
  }
  const { above } = t.s
  if (input.outcome === 'touched' && above !== null && input.startedMs >= above.seenMs) {
    t.log(
      'error',
      `SPLIT BRAIN ALARM: term ${above.term} serves, yet our term ${lease.term} was not ended`,
      {
        ours: lease.term,
        theirs: above.term,
      },
    )
    deposed(t, `term ${above.term} serves above it`)
    return
  }
  const back: Lease = { ...lease, renewing: false }
  if (input.outcome === 'failed') {
    // Nothing is known of a commit whose renewal failed: it waits for one that succeeds.
    const waiting = [...lease.covered, ...lease.waiting]
    t.s.lease = { ...back, covered: [], waiting, dueMs: t.now + timing.renewMs / 4 }
    t.log('warn', `renewal failed: ${input.why}`, { term: lease.term })
    return
  }
  // A call that hung may succeed long after its start: what it proves is that nobody had ended the term when it ran,
  // and the lease still counts from its start only.
  const untilMs = Math.max(lease.untilMs, input.startedMs + timing.deadlineMs)
  const holds = t.now < untilMs
  t.s.lease = {
    ...back,
    untilMs,
    covered: [],
    dueMs: holds ? Math.max(t.now, input.startedMs + timing.renewMs) : t.now,
    suspended: holds ? null : lease.suspended,
  }
  if (lease.covered.length > 0) t.tell({ type: 'committed', ids: lease.covered })
  if (!holds) return
  if (lease.suspended !== null) {
    t.log('info', 'a renewal succeeds again: the term goes on', { term: lease.term })
  }
  if (masterIsTold(t.s)) {
    t.tell({ type: 'lease', term: lease.term, untilMs, tookMs: t.now - input.startedMs })
  }
}

/** Somebody ended our term. Whatever ran under it stops now. */
function deposed(t: Turn, why: string): void {
  const { phase, lease } = t.s
  if (lease === null) return
  t.s.lease = null
  t.log('warn', `deposed: ${why}`, { term: lease.term, phase: phase.name })
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
    default:
      if (phase.name === 'draining' || phase.name === 'stopping')
        failCommand(t, phase.release.commandId, 'deposed meanwhile')
      if (phase.name === 'activating')
        failCommand(t, phase.cause?.commandId ?? null, 'deposed meanwhile')
      if (t.s.masterGone) {
        end(t)
        return
      }
      t.tell({ type: 'deactivate', term: lease.term, reason: why })
      t.s.phase = {
        name: 'stepping-down',
        term: lease.term,
        untilMs: t.now + 2 * t.s.timing.renewMs,
      }
  }
}

function failCommand(
  t: Turn,
  id: number | null,
  message: string,
  code: HaErrorCode = 'NOT_ACTIVE',
): void {
  t.reply(id, { code, message })
  if (t.s.command?.id === id) t.s.command = null
}

function becomeWatcher(t: Turn): void {
  t.s.phase = { name: 'watching' }
  t.s.lease = null
  t.s.above = null
  t.s.intent = null
  // The patience for the term that follows ours begins with the next look.
  t.s.watch = newWatch()
  t.s.looking = { ...t.s.looking, nextMs: t.now, again: t.s.looking.busy }
  if (t.s.masterGone) end(t)
  else t.act({ do: 'register' })
}

function end(t: Turn): void {
  t.s.phase = { name: 'ended' }
  t.tell({ type: 'left' })
  t.act({ do: 'exit' })
}

// ---- looking ---------------------------------------------------------------------------------------------------

/** A holder looks too, more slowly: it must hear of a term above its own. */
function lookIfDue(t: Turn): void {
  const { looking, timing, watch, phase } = t.s
  if (looking.busy || t.now < looking.nextMs || phase.name === 'ended') return
  const period = t.s.lease === null ? timing.pollMs : timing.renewMs
  // A look of its own at the moment of expiry, so that the patience isn't rounded up to the next poll.
  const expiry =
    watch.seen === null || t.s.lease !== null ? Number.POSITIVE_INFINITY : expiryMs(watch, timing)
  const next = t.now + period
  t.s.looking = {
    busy: true,
    again: false,
    nextMs: expiry > t.now && expiry < next ? expiry : next,
  }
  t.act({ do: 'look' })
}

function onLooked(t: Turn, seen: Seen, startedMs: number): void {
  const { s } = t
  s.looking = { busy: false, again: false, nextMs: s.looking.again ? t.now : s.looking.nextMs }
  if (s.storage !== 'ok') t.log('info', 'the shared directory can be read again')
  s.storage = 'ok'
  s.watch = advance(s.watch, seen, t.now, s.timing)
  const { phase } = s
  if (phase.name === 'confirming' && startedMs >= phase.wonMs) confirm(t, phase, seen)
  if (s.lease !== null && seen.servedTerm > s.lease.term && s.above === null) {
    s.above = { term: seen.servedTerm, seenMs: t.now }
    s.lease = { ...s.lease, dueMs: t.now }
  }
}

function onLookFailed(t: Turn, why: string): void {
  t.s.looking = { busy: false, again: false, nextMs: t.s.looking.nextMs }
  if (t.s.storage === 'ok') t.log('warn', `the shared directory can't be read: ${why}`)
  t.s.storage = 'unreadable'
}

// ---- claiming --------------------------------------------------------------------------------------------------

/** The names by which a verdict becomes a claim. Proof needs no settling. */
const CLAIMS = {
  unclaimed: { reason: 'first-start', proof: true, evidence: 'there was no term yet' },
  released: { reason: 'released', proof: true, evidence: 'the holder had released the term' },
  'released-for': {
    reason: 'handed-over',
    proof: true,
    evidence: 'the holder handed the term over',
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

function considerClaim(t: Turn): void {
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
  const barred = (s.priority === 0 || s.standDown) && !named
  const masterReady = now - s.pongMs < 3 * timing.renewMs
  if (barred || !masterReady || now < s.claimAfterMs || s.leaving !== null || s.masterGone) {
    s.intent = null
    return
  }
  const key = `${verdict.is} ${watch.seen.newest}`
  if (s.intent?.key !== key) {
    s.intent = { key, noticedMs: now, claimMs: now + turnMs(s, verdict) }
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
  claim(t, CLAIMS[verdict.is], watch.seen, s.intent.noticedMs)
}

/** How long to hold back: nothing for a command or for the named successor; the rank's turn otherwise. */
function turnMs(s: State, verdict: { is: string; successor?: string | null }): number {
  if (s.command !== null) return 0
  const better = s.candidates.filter(
    (c) =>
      c.address !== s.address &&
      c.priority > 0 &&
      (c.priority > s.priority || (c.priority === s.priority && c.address < s.address)),
  ).length
  const turn = better * s.timing.rankStepMs
  if (verdict.is !== 'released-for') return turn
  return verdict.successor === s.address ? 0 : s.timing.graceMs + turn
}

function claim(
  t: Turn,
  how: { reason: ClaimReason; proof: boolean; evidence: string },
  seen: Seen,
  noticedMs: number,
): void {
  const { s, now } = t
  const term = seen.newest + 1
  const cause: Cause = {
    reason: s.command === null ? how.reason : 'command',
    evidence: s.command === null ? how.evidence : `${how.evidence}; asked for by ${s.command.by}`,
    provenTerm: how.proof || s.command?.fencing === 'done' ? seen.holderTerm || seen.newest : null,
    previousTerm: seen.newest,
    basis: seen,
    commandId: s.command?.id ?? null,
    lastBeatMs: s.watch.sinceMs,
    noticedMs,
    decidedMs: now,
  }
  s.phase = { name: 'claiming', term, cause }
  s.intent = null
  s.command = null
  t.log('info', `claiming term ${term}: ${cause.evidence}`, { term, reason: cause.reason })
  t.act({ do: 'claim', term, cause })
  // A successful fence is proof as well, and may come before the settling time is over.
  if (!how.proof && s.canFence && seen.holder !== null)
    t.act({ do: 'fence', term: seen.holderTerm })
}

function onHeartbeatMade(t: Turn, term: number, startedMs: number): void {
  if (t.s.phase.name !== 'claiming' || t.s.phase.term !== term) return
  t.s.lease = {
    term,
    untilMs: startedMs + t.s.timing.deadlineMs,
    renewing: false,
    dueMs: startedMs + t.s.timing.renewMs,
    covered: [],
    waiting: [],
    suspended: null,
  }
}

function onClaimLost(t: Turn, input: Input & { type: 'claim-lost' }): void {
  const { phase } = t.s
  if (phase.name !== 'claiming' || phase.term !== input.term) return
  if (input.failed) {
    t.log('error', `claim of term ${input.term} failed: ${input.why}`, { term: input.term })
    t.s.claimAfterMs = t.now + t.s.timing.deadlineMs
  } else t.log('info', `term ${input.term} is not ours: ${input.why}`, { term: input.term })
  failCommand(t, phase.cause.commandId, input.why)
  t.s.lease = null
  becomeWatcher(t)
}

/**
 * Between the decision and the win the world may have moved: a create can hang for minutes after an outage, while the
 * old holder's renewals succeed again. A claim that took longer than a poll is confirmed by one more look.
 */
function onClaimWon(t: Turn, term: number): void {
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
  if (t.now - phase.cause.decidedMs > 2 * t.s.timing.pollMs && phase.cause.provenTerm === null) {
    t.s.phase = { name: 'confirming', term, cause: phase.cause, wonMs: t.now }
    t.s.looking = { ...t.s.looking, nextMs: t.now, again: t.s.looking.busy }
    return
  }
  endBelow(t, term, phase.cause)
}

function endBelow(t: Turn, term: number, cause: Cause): void {
  t.s.phase = { name: 'ending', term, cause, wonMs: t.now }
  t.act({ do: 'end-below', term, provenTerm: cause.provenTerm })
}

function confirm(t: Turn, phase: Phase & { name: 'confirming' }, seen: Seen): void {
  const moved = phase.cause.basis.pulses.find((before) => {
    const now = seen.pulses.find((pulse) => pulse.term === before.term)
    return now !== undefined && now.mtimeMs !== null && now.mtimeMs !== before.mtimeMs
  })
  if (moved === undefined) {
    endBelow(t, phase.term, phase.cause)
    return
  }
  const why = `the holder of term ${moved.term} lives: its heartbeat moved while term ${phase.term} was being claimed`
  t.log('warn', why, { term: phase.term })
  failCommand(t, phase.cause.commandId, why, 'UNSAFE')
  t.act({ do: 'abandon', term: phase.term })
  t.s.claimAfterMs = t.now + t.s.timing.pollMs
  becomeWatcher(t)
}

function onBelowEnded(t: Turn, term: number, proven: boolean): void {
  const { phase } = t.s
  if (phase.name !== 'ending' || phase.term !== term) return
  if (t.s.masterGone) {
    startRelease(t, obituary(t.s))
    return
  }
  const { cause, wonMs } = phase
  const untilMs = proven ? t.now : t.now + t.s.timing.settleMs
  t.s.phase = { name: 'settling', term, cause, wonMs, endedMs: t.now, untilMs }
}

function onFenced(t: Turn, input: Input & { type: 'fenced' }): void {
  const { phase, command } = t.s
  t.log(input.fenced ? 'info' : 'warn', `fencing of term ${input.term}: ${input.detail}`, {
    term: input.term,
  })
  if (command?.fencing === 'asked') {
    if (input.fenced) t.s.command = { ...command, fencing: 'done' }
    else failCommand(t, command.id, `fencing failed: ${input.detail}`, 'UNSAFE')
    return
  }
  // Only the holder that is newest below us was fenced: enough when it had served, since it ended all below it.
  if (!input.fenced || phase.name !== 'settling' || phase.cause.basis.servedTerm !== input.term)
    return
  t.s.phase = { ...phase, untilMs: t.now }
}

function activate(t: Turn, now: number): void {
  const { phase, lease } = t.s
  // A lapsed lease waits for its next renewal here: the master is told nothing before.
  if (phase.name !== 'settling' || lease === null || lease.suspended !== null || t.s.masterGone)
    return
  const { term, cause, wonMs, endedMs } = phase
  t.s.phase = { name: 'activating', term, cause, wonMs, endedMs, settledMs: now }
  t.s.pongMs = now
  t.tell({ type: 'activate', term, untilMs: lease.untilMs })
}

function onServing(t: Turn, term: number): void {
  const { phase } = t.s
  if (phase.name !== 'activating' || phase.term !== term) return
  t.s.phase = { name: 'active', term }
  t.s.standDown = false
  t.act({ do: 'unregister' })
  if (phase.cause === null) return // an earlier keeper's claim: it took its record along
  const { cause, wonMs, endedMs, settledMs } = phase
  t.act({ do: 'record', term, cause, wonMs, endedMs, settledMs, servedMs: t.now })
  t.reply(cause.commandId, null)
  t.log('info', `active in term ${term}`, {
    term,
    reason: cause.reason,
    tookMs: t.now - cause.noticedMs,
  })
}

function onActivationFailed(t: Turn, term: number, why: string): void {
  const { phase } = t.s
  if (phase.name !== 'activating' || phase.term !== term) return
  t.log('error', `term ${term} could not be activated: ${why}`, { term })
  failCommand(t, phase.cause?.commandId ?? null, `activation failed: ${why}`)
  // Another master may do better; this one tries again after a while.
  t.s.claimAfterMs = t.now + t.s.timing.monitorMs
  startRelease(t, { reason: 'gave-up', successor: null, by: why, commandId: null })
}

// ---- ending a term of our own ----------------------------------------------------------------------------------

const obituary = (s: State): Release => ({
  reason: s.killed ? 'master-hung' : 'master-died',
  successor: null,
  by: 'keeper',
  commandId: null,
})

/**
 * A successor with proof serves at once, so a release says two things: nobody renews this term again, and nobody
 * serves under it. `drained`, `activation-failed` and `deactivated` are the master's word for the second.
 */
function stopMaster(t: Turn, release: Release): void {
  const { lease } = t.s
  if (lease === null) return
  t.s.phase = {
    name: 'stopping',
    term: lease.term,
    release,
    untilMs: t.now + 2 * t.s.timing.renewMs,
  }
  t.tell({ type: 'deactivate', term: lease.term, reason: release.reason })
}

/** The release must be the last touch of the heartbeat: it waits for the renewal under way (see keeper.ts). */
function startRelease(t: Turn, release: Release): void {
  const { lease, phase } = t.s
  if (lease === null || phase.name === 'releasing') return
  t.s.phase = { name: 'releasing', term: lease.term, release }
  t.act({ do: 'release', term: lease.term, release })
}

function onReleased(t: Turn, term: number): void {
  const { phase } = t.s
  if (phase.name !== 'releasing' || phase.term !== term) return
  t.log('info', `term ${term} is released: ${phase.release.reason}`, {
    term,
    successor: phase.release.successor,
  })
  t.reply(phase.release.commandId, null)
  if (t.s.masterGone || t.s.leaving !== null) {
    t.s.lease = null
    end(t)
    return
  }
  t.tell({ type: 'deactivate', term, reason: phase.release.reason })
  t.s.lease = null
  t.s.phase = { name: 'stepping-down', term, untilMs: t.now + 2 * t.s.timing.renewMs }
}

/** The kernel's word that the master is gone: nothing can be acknowledged under its term any more. */
function onMasterGone(t: Turn): void {
  const { s } = t
  s.masterGone = true
  const { phase } = s
  t.log('warn', 'the master is gone', { phase: phase.name, term: s.lease?.term })
  switch (phase.name) {
    case 'claiming':
    case 'ending':
    case 'releasing':
      return // their outcome comes and looks at masterGone
    case 'watching':
    case 'stepping-down':
      t.act({ do: 'unregister' })
      end(t)
      return
    default:
      startRelease(t, obituary(s))
  }
}

function leaveIfAsked(t: Turn): void {
  const { s } = t
  if (s.leaving === null || s.masterGone) return
  const release: Release = { reason: 'stopped', successor: null, by: s.leaving, commandId: null }
  switch (s.phase.name) {
    case 'watching':
      t.act({ do: 'unregister' })
      end(t)
      return
    case 'active':
      drain(t, s.phase.term, release)
      return
    case 'activating':
      stopMaster(t, release)
      return
    case 'confirming':
    case 'settling':
      startRelease(t, release)
      return
    default: // all others end soon in one of these
  }
}

function drain(t: Turn, term: number, release: Release): void {
  t.s.phase = { name: 'draining', term, release, untilMs: t.now + t.s.timing.deadlineMs }
  t.tell({ type: 'drain', term, successor: release.successor })
}

// ---- commands --------------------------------------------------------------------------------------------------

function onCommit(t: Turn, id: number, term: number): void {
  const { lease } = t.s
  if (lease === null || lease.term !== term || !masterIsTold(t.s)) return // its master is told of the term's end
  t.s.lease = { ...lease, waiting: [...lease.waiting, id] }
}

function onHandOver(t: Turn, input: Input & { type: 'hand-over' }): void {
  const { s } = t
  if (s.phase.name !== 'active') {
    t.reply(input.id, { code: 'NOT_ACTIVE', message: 'this master is not active' })
    return
  }
  const able = s.candidates.filter((c) => c.address !== s.address)
  const best = able
    .filter((c) => c.priority > 0)
    .sort((a, b) => b.priority - a.priority || (a.address < b.address ? -1 : 1))[0]
  const chosen = input.successor === null ? best : able.find((c) => c.address === input.successor)
  if (chosen === undefined && !(input.force && input.successor === null)) {
    const live =
      able.length === 0
        ? 'no backup is live'
        : `live backups: ${able.map((c) => c.address).join(', ')}`
    const what =
      input.successor === null
        ? 'nobody to hand over to'
        : `${input.successor} is not a live backup`
    t.reply(input.id, { code: 'UNSAFE', message: `${what} (${live})` })
    return
  }
  if (chosen === undefined) s.standDown = true
  drain(t, s.phase.term, {
    reason: 'handed-over',
    successor: chosen?.address ?? null,
    by: input.by,
    commandId: input.id,
  })
}

function onTakeOver(t: Turn, input: Input & { type: 'take-over' }): void {
  const { s } = t
  if (s.phase.name === 'active') {
    t.reply(input.id, null)
    return
  }
  if (s.phase.name !== 'watching' || s.command !== null) {
    t.reply(input.id, { code: 'UNSAFE', message: `busy: ${s.phase.name}` })
    return
  }
  if (s.storage !== 'ok') {
    t.reply(input.id, {
      code: 'UNSAFE',
      message: 'the shared directory cannot be read: nobody takes over blind',
    })
    return
  }
  const fence = input.force && s.canFence && s.watch.seen?.holder != null
  s.standDown = false
  s.command = {
    id: input.id,
    force: input.force,
    by: input.by,
    untilMs: t.now + 2 * s.timing.monitorMs,
    fencing: fence ? 'asked' : 'no',
  }
  if (fence) t.act({ do: 'fence', term: s.watch.seen?.holderTerm ?? 0 })
}

/** A command never ends a lease: a holder that moves is asked to hand over, or fenced. */
function refuseTakeOverOfLive(t: Turn, seen: Seen): void {
  const { command, watch, timing } = t.s
  if (command === null || command.fencing === 'asked') return
  const quietMs = t.now - watch.sinceMs
  if (command.fencing === 'done') {
    claim(t, { reason: 'command', proof: true, evidence: 'the holder was fenced' }, seen, t.now)
  } else if (quietMs < 2 * timing.renewMs) {
    const who = seen.holder?.address ?? 'unknown'
    failCommand(
      t,
      command.id,
      `${who} is active in term ${seen.holderTerm}: hand over from there, or fence it`,
      'UNSAFE',
    )
  }
}
