/** This is one step of the elector in the making: the next state, the effects so far, and what all phases share. */
import type { HaErrorCode } from '../words/errors.ts'
import type { ToMaster } from '../words/messages.ts'
import type { LogFacts, LogLevel } from '../world/ports.ts'
import { followedBy, PHASES, type Phase } from './elector-phases.ts'
import type { State } from './elector-state.ts'
import type { Effect } from './elector-step.ts'
import { restart } from './watch.ts'

/** All but its phase may be set; that one changes by `become` alone. */
type Draft = { -readonly [K in Exclude<keyof State, 'phase'>]: State[K] } & Pick<State, 'phase'>

export class Turn {
  readonly s: Draft
  readonly now: number
  readonly effects: Effect[] = []
  constructor(state: State, now: number) {
    this.s = { ...state }
    this.now = now
  }
  /** Throws where it may not follow. */
  become(next: Phase): void {
    const draft: { phase: Phase } = this.s
    draft.phase = followedBy(this.s.phase, next)
  }
  tell(message: ToMaster): void {
    if (!this.s.masterGone) this.effects.push({ do: 'tell', message })
  }
  reply(id: number | null, error: { code: HaErrorCode; message: string } | null): void {
    if (id !== null) this.tell({ type: 'reply', id, error })
  }
  log(level: LogLevel, message: string, facts: LogFacts): void {
    this.effects.push({ do: 'log', level, message, facts })
  }
  act(effect: Effect): void {
    this.effects.push(effect)
  }
}

/** It acts under our term, or is about to. */
export const masterIsTold = ({ phase }: Pick<State, 'phase'>): boolean =>
  PHASES[phase.name].acts === true

/** SIGKILL also ends a stopped process; the end of the channel then brings `master-gone`. */
export function killMaster(t: Turn, why: string): void {
  t.s.killed = true
  t.log('error', `the master is killed: ${why}`, { event: 'master-killed' })
  t.act({ do: 'kill-master', why })
}

export function failCommand(
  t: Turn,
  id: number | null,
  message: string,
  code: HaErrorCode = 'NOT_ACTIVE',
): void {
  t.reply(id, { code, message })
  if (t.s.command?.id === id) t.s.command = null
}

export function becomeWatcher(t: Turn): void {
  t.become({ name: 'watching' })
  t.s.lease = null
  t.s.above = null
  t.s.intent = null
  // The patience for the term that follows ours begins with the next look.
  t.s.watch = restart(t.s.watch, t.now)
  t.s.looking = { ...t.s.looking, nextMs: t.now, again: t.s.looking.busy }
  if (t.s.masterGone) end(t)
  else t.act({ do: 'register' })
}

/** The term is over: the master has to confirm that it serves nothing of it any more. */
export function stepDown(t: Turn, term: number, why: string): void {
  t.tell({ type: 'deactivate', term, reason: why })
  t.become({ name: 'stepping-down', term, untilMs: t.now + 2 * t.s.timing.renewMs })
}

export function end(t: Turn): void {
  t.become({ name: 'ended' })
  t.tell({ type: 'left' })
  t.act({ do: 'exit' })
}
