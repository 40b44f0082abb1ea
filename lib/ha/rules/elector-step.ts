/**
 * What goes into a step of the election, and what comes out of it: inputs are all that the elector hears, effects all that
 * it wants done. Both are plain data, so that the same step can be taken by a keeper and by the simulation.
 */
import type { Proof } from '../directory/hand-over-proof.ts'
import type { Publication } from '../directory/network-publication.ts'
import type { ToKeeper, ToMaster } from '../words/messages.ts'
import type { LogFacts, LogLevel } from '../world/ports.ts'
import type { ContestEffect, NonceCheck } from './contest-state.ts'
import type { Release } from './elector-phases.ts'
import type { Candidate, State } from './elector-state.ts'
import type { Cause, TakeOver } from './take-over.ts'
import type { Pulse, Seen } from './watch.ts'

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
      /** Its number can be tried again. */
      readonly goesOn: boolean
    }
  /** The terms below can't be ended: the storage takes nothing more. */
  | { readonly type: 'ending-failed'; readonly term: number; readonly why: string }
  | { readonly type: 'below-ended'; readonly term: number; readonly proven: true }
  | {
      readonly type: 'below-ended'
      readonly term: number
      readonly proven: false
      /** The largest S of the holders that were ended. */
      readonly settleMs: number
    }
  /** Found while ending the terms below `term`. */
  | { readonly type: 'holder-lives'; readonly term: number; readonly holderTerm: number }
  | {
      readonly type: 'renewed'
      readonly term: number
      readonly startedMs: number
      readonly outcome: 'touched' | 'missing' | 'replaced' | 'failed'
      readonly why: string
    }
  /** The term is on record as one that has served. */
  | { readonly type: 'marked'; readonly term: number }
  | { readonly type: 'marking-failed'; readonly term: number; readonly why: string }
  | { readonly type: 'released'; readonly term: number }
  | {
      readonly type: 'fenced'
      readonly term: number
      readonly fenced: boolean
      readonly detail: string
    }
  | {
      readonly type: 'candidates'
      readonly candidates: readonly Candidate[]
      readonly begunMs: number
      /** The longest time between two pulses of any of their files. */
      readonly pulseMs: number
    }
  /** What the others publish of the network. */
  | {
      readonly type: 'posted'
      readonly publications: readonly Publication[]
      readonly begunMs: number
    }
  /** The answer to `prove`. */
  | { readonly type: 'proven'; readonly nonce: string; readonly trouble: string | null }
  /** Whether the successor of hand-over `id` has shown that it can make its files. */
  | { readonly type: 'proof'; readonly id: number; readonly proof: Proof }
  /** The smallest monitor interval that this host's storage can keep, as measured lately. */
  | { readonly type: 'pace'; readonly monitorMs: number }
  /** The mount on which the directory was found at a look, and the cluster in it. */
  | { readonly type: 'place'; readonly place: string }
  /** Whether the nonce of letter `id` has been created. */
  | { readonly type: 'contest-made'; readonly id: number; readonly made: boolean }
  /** What the nonce in letter `id` of `from` has come to. */
  | {
      readonly type: 'contest-checked'
      readonly id: number
      readonly from: string
      readonly check: NonceCheck
    }
  | { readonly type: 'master-gone' }
  | { readonly type: 'pong' }
  /** The master wants to run and gets no time: it is not hung. */
  | { readonly type: 'starved' }
  /** The rest is the master's own word. */
  | Exclude<ToKeeper, { readonly type: 'start' | 'pong' | 'history' | 'no-room' }>

export type Effect =
  | { readonly do: 'tell'; readonly message: ToMaster }
  | {
      readonly do: 'log'
      readonly level: LogLevel
      readonly message: string
      readonly facts: LogFacts
    }
  | { readonly do: 'look' }
  /** Read the backups' files now; `candidates` is the answer. */
  | { readonly do: 'scan' }
  /** Ask that backup to show that it can make its files; `proof` is the answer. */
  | { readonly do: 'ask-proof'; readonly id: number; readonly address: string }
  | { readonly do: 'claim'; readonly term: number; readonly cause: Cause }
  /** `basis`: heartbeats that must not have moved since. */
  | {
      readonly do: 'end-below'
      readonly term: number
      readonly provenTerm: number | null
      readonly basis: readonly Pulse[]
    }
  | { readonly do: 'renew'; readonly term: number }
  /** Stop what belongs to a claim that is over, and unlink its heartbeat. */
  | { readonly do: 'abandon'; readonly term: number }
  | { readonly do: 'release'; readonly term: number; readonly release: Release }
  | { readonly do: 'fence'; readonly term: number }
  /** In place of what this member has published of the network. */
  | ({ readonly do: 'publish' } & Omit<Publication, 'address' | 'nonce'>)
  /** Could this member make the files of a claim now? For the offer with that nonce. */
  | { readonly do: 'prove'; readonly nonce: string }
  | Exclude<ContestEffect, { readonly do: 'contest-send' | 'contest-answer' }>
  | { readonly do: 'kill-master'; readonly why: string }
  /** Be listed among the backups, or not. */
  | { readonly do: 'register' }
  | { readonly do: 'unregister' }
  /** Put the term on record, so that it can serve; `marked` or `marking-failed` is the answer. */
  | {
      readonly do: 'mark'
      readonly term: number
      readonly takeOver: TakeOver
      readonly openedMs: number
      /** What the service keeps under the term, or null. */
      readonly keeps: string | null
    }
  /** It serves: copy its record, and sweep old terms. */
  | { readonly do: 'record'; readonly term: number; readonly cause: Cause }
  | { readonly do: 'exit' }

export interface Step {
  readonly state: State
  readonly effects: readonly Effect[]
}
