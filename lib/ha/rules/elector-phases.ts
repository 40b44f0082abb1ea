/**
 * What a keeper is doing about the role. One table says what each phase means to the rest, and which may follow it, which
 * is asserted at each move.
 *
 * A move that is not in it is a mistake of ours. It ends this keeper, whose master starts another one: that is safer than
 * to go on from a state that nobody has thought of.
 */
import type { EndReason } from '../words/layout.ts'
import type { Cause, TakeOver } from './take-over.ts'

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
  /** The master opens the catalog under the term. */
  | { readonly name: 'activating'; readonly term: number; readonly takeOver: TakeOver }
  /** It is open. The term goes on record, and a renewal follows; only then the master serves. */
  | { readonly name: 'marking'; readonly term: number; readonly takeOver: TakeOver }
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
  /** What the master was at when it died, where that says something. */
  readonly during?: 'opening'
  readonly commandId: number | null
  /** It never served: what it had to open was refused. */
  readonly refused?: true
}

type Name = Phase['name']

interface Meaning {
  /** What may follow it. A settling is cut short by a fence, so it may follow itself. */
  readonly next: readonly Name[]
  /** The master acts, or is about to act, under the term. */
  readonly acts?: true
  /** It answers under the term, as long as the lease holds. */
  readonly serves?: true
  /** The term may still be given up since the holder below it lives. */
  readonly mayYield?: true
  /** Nothing is under way. */
  readonly rests?: true
}

export const PHASES: { readonly [One in Name]: Meaning } = {
  watching: { next: ['claiming', 'ended'], rests: true },
  claiming: { next: ['confirming', 'ending', 'releasing', 'watching'], mayYield: true },
  confirming: { next: ['ending', 'releasing', 'watching'], mayYield: true },
  ending: { next: ['settling', 'releasing', 'watching'], mayYield: true },
  settling: { next: ['settling', 'activating', 'releasing', 'watching'] },
  activating: { next: ['marking', 'stopping', 'releasing', 'stepping-down'], acts: true },
  marking: { next: ['active', 'stopping', 'releasing', 'stepping-down'], acts: true },
  active: {
    next: ['draining', 'stopping', 'releasing', 'stepping-down'],
    acts: true,
    serves: true,
    rests: true,
  },
  draining: { next: ['stopping', 'releasing', 'stepping-down'], acts: true, serves: true },
  stopping: { next: ['releasing', 'stepping-down'], acts: true },
  releasing: { next: ['stepping-down', 'ended'] },
  'stepping-down': { next: ['watching', 'ended'] },
  ended: { next: [] },
}

/** The phase that follows. Throws where that one may not. */
export function followedBy(before: Phase, next: Phase): Phase {
  if (PHASES[before.name].next.includes(next.name)) return next
  throw new Error(`the election went from ${before.name} to ${next.name}, which may not follow it`)
}
