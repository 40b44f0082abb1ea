/**
 * The elector's side of the contest (contest.ts): what it knows of itself for the letters, whom it may claim beside, and
 * that it stands back. Pure; see elector.ts. Its source is docs/ha-protocol.md, "One and the same directory".
 */
import { unreachable } from '../unreachable.ts'
import { Contest } from './contest.ts'
import { type Bar, barOf, mayGoOn, type Sight, standsBackFor } from './contest-rules.ts'
import { type ContestFacts, processText } from './contest-state.ts'
import type { State } from './elector-state.ts'
import type { Input } from './elector-step.ts'
import { failCommand, masterIsTold, type Turn } from './elector-turn.ts'
import type { Cause } from './take-over.ts'

type Said = Extract<
  Input,
  {
    readonly type:
      | 'listed'
      | 'place'
      | 'letter'
      | 'suspect'
      | 'delivered'
      | 'contest-made'
      | 'contest-checked'
  }
>

export function onContest(t: Turn, input: Said): void {
  const contest = contestOf(t)
  switch (input.type) {
    case 'listed':
      contest.list(input.addresses)
      break
    case 'place':
      contest.look(input.place)
      break
    case 'letter':
      contest.onLetter(input.id, input.letter)
      break
    case 'suspect':
      contest.suspect(input.address)
      break
    case 'delivered':
      contest.onDelivered(input.id, input.delivery)
      break
    case 'contest-made':
      contest.onMade(input.id, input.made)
      break
    case 'contest-checked':
      contest.onChecked(input.id, input.from, input.check)
      break
    default:
      unreachable(input)
  }
  take(t, contest)
}

/** At each step: letters that are due, whose directory this is, and whether this active stands back. */
export function considerContest(t: Turn): void {
  const { seen } = t.s.watch
  const contest = contestOf(t)
  const { lease, phase } = t.s
  if (seen?.holder != null && seen.servedTerm > 0 && seen.holderTerm === seen.servedTerm) {
    contest.noteHolder(seen.servedTerm, seen.holder.address, processText(seen.holder.master))
  }
  if (phase.name === 'active' && lease !== null) {
    contest.noteHolder(lease.term, t.s.address, t.s.identity.by)
  }
  contest.tick()
  take(t, contest)
  standBack(t)
}

function take(t: Turn, contest: Contest): void {
  // Most steps: nothing is due.
  if (contest.s === t.s.contest && contest.effects.length === 0) return
  const before = new Map(t.s.contest.peers.map((peer) => [peer.address, peer]))
  t.s.contest = contest.s
  for (const effect of contest.effects) {
    if (effect.do === 'contest-send') t.tell({ type: 'send-letter', ...without(effect) })
    else if (effect.do === 'contest-answer') t.tell({ type: 'letter-reply', ...without(effect) })
    else t.act(effect)
  }
  for (const { address, mismatch } of contest.s.peers) {
    const was = before.get(address)?.mismatch ?? null
    if ((was === null) === (mismatch === null)) continue
    if (mismatch === null)
      t.log('info', `${address} works on our directory now`, { event: 'directories-agree' })
    else
      t.log('error', `${address} works on another directory: ${mismatch.found}`, {
        event: 'directories-differ',
      })
  }
}

const without = <T extends { readonly do: string }>({ do: _, ...rest }: T): Omit<T, 'do'> => rest

function contestOf({ s, now }: { readonly s: State; readonly now: number }): Contest {
  const { lease, phase, watch, identity, address, priority } = s
  const active = phase.name === 'active' && lease !== null ? lease : null
  const holds = active?.suspended === null ? { term: active.term, by: identity.by } : null
  const served = Math.max(watch.seen?.servedTerm ?? 0, active?.term ?? 0)
  // Name by name: it is made at each step, and a spread of another object costs as much as all the rest of the step.
  const { clusterId, directory, by } = identity
  const own = { clusterId, directory, by, address, priority, served, holds }
  return new Contest(s.contest, own, s.timing, now)
}

export const contestFacts = (s: State): ContestFacts => contestOf({ s, now: 0 }).facts

/** Why this master may not claim now; null: it may. */
export function contestBar({ contest, watch, timing, identity }: State, nowMs: number): Bar | null {
  const { seen } = watch
  const holder = seen?.holder ?? null
  const sight: Sight = {
    served: seen?.servedTerm ?? 0,
    holder: holder && { term: seen?.holderTerm ?? 0, by: processText(holder.master) },
  }
  return barOf(contest, sight, timing, nowMs, identity.directory)
}

/** It is to be asked right before a claim. A command that can't be obeyed is refused with the reason. */
export function isBarred(t: Turn): boolean {
  const bar = contestBar(t.s, t.now)
  const { command } = t.s
  if (bar === null || (bar.byForce && command?.force === true)) return false
  if (command !== null && !bar.waits) failCommand(t, command.id, bar.why, 'UNSAFE')
  return true
}

/**
 * Why a claim under way is given up: a mismatch that was not known when it began. Null: it goes on. Only what is proven
 * counts, since the directory's newest term is its own by now.
 */
export function barOfClaim({ contest, ...s }: State, cause: Cause, nowMs: number): Bar | null {
  const apart = contest.peers.filter(({ mismatch }) => mismatch !== null)
  const bar = contestBar({ ...s, contest: { ...contest, peers: apart } }, nowMs)
  return bar?.byForce === true && cause.force === true ? null : bar
}

/** Two actives of two directories: one of them refuses everything, and goes on renewing, so that nobody follows it. */
function standBack(t: Turn): void {
  const { s } = t
  const { yielded } = s.contest
  if (yielded !== null) {
    if (s.lease !== null && !mayGoOn(s.contest, yielded)) return
    s.contest = { ...s.contest, yielded: null }
    t.log(
      'info',
      `nobody is stood back for any more: ${yielded} is no active of another directory`,
      { event: 'stand-back-ended' },
    )
    return
  }
  if (s.lease === null || !masterIsTold(s)) return
  const other = standsBackFor(s.contest, s)
  if (other === null) return
  s.contest = { ...s.contest, yielded: other }
  t.log('error', `two masters are active in two directories: this one stands back for ${other}`, {
    event: 'stand-back-began',
  })
}
