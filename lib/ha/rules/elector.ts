/**
 * The election is a pure function: (state, input, now) → state and effects. No timers, files, clocks or chance.
 *
 * What it promises: this keeper tells its master "active in term n until t" only while it holds n by
 * docs/ha-protocol.md: it claimed n exclusively, ended every lower term, waited where nothing proved their holders
 * dead, and renewed n's heartbeat by path within the deadline. It never concludes a death from silence shorter than
 * the patience, nor from a directory that it can't read.
 *
 * How to read it: `step` is the table of inputs, `onTick` what is due, most urgent first. The phases' decisions are in
 * elector-decision.ts (whether to claim), elector-claim.ts (the way to a term), elector-serve.ts (its beginning),
 * elector-lease.ts (keeping it), elector-hand-over.ts, network-offer.ts and elector-release.ts (giving it up); the state is
 * in elector-state.ts, the inputs and effects in elector-step.ts.
 */
import { unreachable } from '../unreachable.ts'
import {
  activate,
  onBelowEnded,
  onClaimLost,
  onClaimWon,
  onEndingFailed,
  onFenced,
  onHolderLives,
} from './elector-claim.ts'
import { considerContest, onContest } from './elector-contest.ts'
import { considerClaim, lookIfDue, onLooked, onLookFailed, onTakeOver } from './elector-decision.ts'
import { considerHandOver, onHandOver, onProof } from './elector-hand-over.ts'
import {
  forgiveMaster,
  guardLease,
  guardMaster,
  onCommit,
  onHeartbeatMade,
  onRenewed,
  renewIfDue,
} from './elector-lease.ts'
import {
  leaveIfAsked,
  onDrained,
  onGiveUp,
  onMasterGone,
  onReleased,
  startRelease,
  stopMaster,
} from './elector-release.ts'
import { onActivationFailed, onMarked, onMarkingFailed, onOpened } from './elector-serve.ts'
import type { State } from './elector-state.ts'
import type { Input, Step } from './elector-step.ts'
import { becomeWatcher, Turn } from './elector-turn.ts'
import { considerNetwork, onHears, onPosted, onProven } from './network-offer.ts'
import { paceOf } from './periods.ts'

/** Takes one input in. It is pure: the same arguments give the same answer. */
export function step(state: State, input: Input, nowMs: number): Step {
  const t = new Turn(state, nowMs)
  const { s } = t
  if (s.phase.name === 'ended') return { state, effects: [] }
  if (nowMs - s.stepMs > s.timing.renewMs + 2 * s.timing.pollMs) forgiveMaster(t)
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
    case 'ending-failed':
      onEndingFailed(t, input.term, input.why)
      break
    case 'below-ended':
      onBelowEnded(t, input)
      break
    case 'holder-lives':
      onHolderLives(t, input.term, input.holderTerm)
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
      s.scannedMs = input.begunMs
      s.pulseMs = input.pulseMs
      break
    case 'pace':
      s.pace = paceOf(input.monitorMs)
      break
    case 'hears':
      onHears(t, input.hearing)
      break
    case 'posted':
      onPosted(t, input.publications, input.begunMs)
      break
    case 'proven':
      onProven(t, input.nonce, input.trouble)
      break
    case 'proof':
      onProof(t, input)
      break
    case 'listed':
    case 'place':
    case 'letter':
    case 'suspect':
    case 'delivered':
    case 'contest-made':
    case 'contest-checked':
      onContest(t, input)
      break
    case 'master-gone':
      onMasterGone(t)
      break
    case 'pong':
      s.pongMs = nowMs
      // One from before the suspension confirms nothing.
      if (s.lease?.suspended?.confirmed !== false) s.spared = false
      break
    case 'starved':
      // Once: a host that starves it for longer is no host for the active master.
      if (!s.spared) forgiveMaster(t)
      s.spared = true
      break
    case 'opened':
      onOpened(t, input.term, input.keeps ?? null)
      break
    case 'marked':
      onMarked(t, input.term)
      break
    case 'marking-failed':
      onMarkingFailed(t, input.term, input.why)
      break
    case 'activation-failed':
      onActivationFailed(t, input.term, input.why)
      break
    case 'suspended':
      if (s.lease?.suspended && s.lease.term === input.term) {
        s.lease = { ...s.lease, suspended: { ...s.lease.suspended, confirmed: true } }
      }
      break
    case 'give-up':
      onGiveUp(t, input.term, input.why)
      break
    case 'drained':
      onDrained(t, input.term)
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
    default:
      unreachable(input)
  }
  onTick(t)
  return { state: s, effects: t.effects }
}

/** Everything that is due by now, most urgent first. */
function onTick(t: Turn): void {
  considerContest(t)
  guardLease(t)
  guardMaster(t)
  renewIfDue(t)
  const { phase } = t.s
  if (phase.name === 'settling' && t.now >= phase.untilMs) activate(t, t.now)
  if (phase.name === 'draining' && t.now >= phase.untilMs) stopMaster(t, phase.release)
  considerHandOver(t)
  considerNetwork(t)
  leaveIfAsked(t)
  if (t.s.phase.name === 'watching') considerClaim(t)
  lookIfDue(t)
}
