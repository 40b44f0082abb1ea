/**
 * The elector's way from an open catalog to a term that serves: the term goes on record, a renewal by path follows that
 * began later, and only then anything is answered, reads too. Pure; see elector.ts. Source: docs/ha-protocol.md, "A term
 * begins with a reference".
 */
import type { Release } from './elector-phases.ts'
import { startRelease, stopMaster } from './elector-release.ts'
import { failedAgain, TO_SERVE } from './elector-state.ts'
import { failCommand, type Turn } from './elector-turn.ts'
import { noteServing } from './network-offer.ts'

/** What it has opened may hold what nobody else knows of: the term goes on record before anything is answered under it. */
export function onOpened(t: Turn, term: number, keeps: string | null): void {
  const { phase } = t.s
  if (phase.name !== 'activating' || phase.term !== term) return
  const { takeOver } = phase
  t.become({ name: 'marking', term, takeOver })
  t.act({ do: 'mark', term, takeOver, openedMs: t.now, keeps })
}

/**
 * Whoever ends the term from here on finds it on record. Whoever has ended it before may have passed over it: then no
 * renewal succeeds that begins now.
 */
export function onMarked(t: Turn, term: number): void {
  const { phase, lease } = t.s
  if (phase.name !== 'marking' || phase.term !== term || lease === null) return
  t.s.lease = { ...lease, waiting: [...lease.waiting, TO_SERVE] }
}

/** A renewal that began after the term was on record has succeeded, and its lease holds. */
export function serve(t: Turn, term: number): void {
  const { phase } = t.s
  if (phase.name !== 'marking' || phase.term !== term) return
  const { cause } = phase.takeOver
  t.become({ name: 'active', term })
  t.s.standDown = null
  t.s.failure = null
  t.s.failedClaims = 0
  t.s.unfinished = null
  t.tell({ type: 'serve', term })
  t.act({ do: 'unregister' })
  noteServing(t, cause.basis)
  t.act({ do: 'record', term, cause })
  t.reply(cause.commandId, null)
  t.log('info', `active in term ${term}`, {
    event: 'role-taken',
    term,
    reason: cause.reason,
    tookMs: t.now - cause.noticedMs,
  })
}

/** Another master may do better. All of them hear of it by the release, and none claims before M. */
const refusal = (why: string): Release => ({
  reason: 'gave-up',
  successor: null,
  by: why,
  commandId: null,
  refused: true,
})

/** The master has dropped the term already. */
export function onActivationFailed(t: Turn, term: number, why: string): void {
  if (isUnserved(t, 'activating', term, why)) startRelease(t, refusal(why))
}

/** A term that isn't on record could be passed over by the next one, with all that it acknowledges. */
export function onMarkingFailed(t: Turn, term: number, why: string): void {
  if (isUnserved(t, 'marking', term, why)) stopMaster(t, refusal(why))
}

/** Tells of the failure too; false where the term is not in that phase any more. */
function isUnserved(t: Turn, name: 'activating' | 'marking', term: number, why: string): boolean {
  const { phase } = t.s
  if (phase.name !== name || phase.term !== term) return false
  t.log('error', `term ${term} could not be activated: ${why}`, {
    event: 'activation-failed',
    term,
  })
  t.s.failure = failedAgain(t.s.failure, { what: 'opening', term, why })
  failCommand(t, phase.takeOver.cause.commandId, `activation failed: ${why}`)
  return true
}
