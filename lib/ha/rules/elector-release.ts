/**
 * The elector's ends: draining, an orderly stop, a dead master's obituary. Pure; see elector.ts.
 *
 * A release is proof to others, so it comes only after the master's word (or the kernel's) that nothing is served under
 * the term any more, and nobody renews the heartbeat after it.
 */
import { unreachable } from '../unreachable.ts'
import type { Release } from './elector-phases.ts'
import { failedAgain, type State } from './elector-state.ts'
import { end, failCommand, stepDown, type Turn } from './elector-turn.ts'

export const obituary = (s: State): Release => ({
  reason: s.killed ? 'master-hung' : 'master-died',
  successor: null,
  by: 'keeper',
  ...(s.phase.name === 'activating' && { during: 'opening' }),
  commandId: null,
})

/**
 * A successor with proof serves at once, so a release says two things: nobody renews this term again, and nobody
 * serves under it. `drained`, `activation-failed` and `deactivated` are the master's word for the second.
 */
export function stopMaster(t: Turn, release: Release): void {
  const { lease } = t.s
  if (lease === null) return
  t.become({
    name: 'stopping',
    term: lease.term,
    release,
    untilMs: t.now + 2 * t.s.timing.renewMs,
  })
  t.tell({ type: 'deactivate', term: lease.term, reason: release.reason })
}

/** The release must be the last touch of the heartbeat: it waits for the renewal under way (see hands.ts). */
export function startRelease(t: Turn, release: Release): void {
  const { lease, phase } = t.s
  if (lease === null || phase.name === 'releasing') return
  t.become({ name: 'releasing', term: lease.term, release })
  t.act({ do: 'release', term: lease.term, release })
}

export function onReleased(t: Turn, term: number): void {
  const { phase } = t.s
  if (phase.name !== 'releasing' || phase.term !== term) return
  t.log('info', `term ${term} is released: ${phase.release.reason}`, {
    event: 'term-released',
    term,
    successor: phase.release.successor,
  })
  t.reply(phase.release.commandId, null)
  if (t.s.masterGone || t.s.leaving !== null) {
    t.s.lease = null
    end(t)
    return
  }
  t.s.lease = null
  stepDown(t, term, phase.release.reason)
}

/** The kernel's word that the master is gone: nothing can be acknowledged under its term any more. */
export function onMasterGone(t: Turn): void {
  const { s } = t
  s.masterGone = true
  const { phase } = s
  t.log('warn', 'the master is gone', {
    event: 'master-gone',
    phase: phase.name,
    term: s.lease?.term,
  })
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
    case 'confirming':
    case 'settling':
    case 'activating':
    case 'marking':
    case 'active':
    case 'draining':
    case 'stopping':
      startRelease(t, obituary(s))
      return
    case 'ended':
      return
    default:
      unreachable(phase)
  }
}

export function leaveIfAsked(t: Turn): void {
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
    case 'marking':
      stopMaster(t, release)
      return
    case 'confirming':
    case 'settling':
      startRelease(t, release)
      return
    case 'claiming':
    case 'ending':
    case 'draining':
    case 'stopping':
    case 'releasing':
    case 'stepping-down':
      return // they end soon in one of those above
    case 'ended':
      return
    default:
      unreachable(s.phase)
  }
}

export function drain(t: Turn, term: number, release: Release): void {
  t.become({ name: 'draining', term, release, untilMs: t.now + t.s.timing.deadlineMs })
  t.tell({ type: 'drain', term, successor: release.successor })
}

/** Another master may do better; this one tries again after a while. A hand-over that is under way ends the term anyhow. */
export function onGiveUp(t: Turn, term: number, why: string): void {
  const { phase } = t.s
  if ((phase.name !== 'active' && phase.name !== 'marking') || phase.term !== term) return
  t.log('error', `term ${term} is given up: ${why}`, { event: 'term-given-up', term })
  if (phase.name === 'marking') failCommand(t, phase.takeOver.cause.commandId, why)
  t.s.failure = failedAgain(t.s.failure, { what: 'serving', term, why })
  t.s.claimAfterMs = t.now + t.s.timing.monitorMs
  stopMaster(t, { reason: 'gave-up', successor: null, by: why, commandId: null })
}

/** In `active` this keeper has replaced one that died while it had the master drained: nothing is served either way. */
export function onDrained(t: Turn, term: number): void {
  const { phase } = t.s
  if (phase.name === 'draining' && phase.term === term) startRelease(t, phase.release)
  else if (phase.name === 'active' && phase.term === term) {
    startRelease(t, { reason: 'handed-over', successor: null, by: 'keeper', commandId: null })
  }
}
