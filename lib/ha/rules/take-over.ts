/**
 * How a master came to a term: why it was claimed, and when what was done. Becomes the term's record. All times are the
 * host's monotonic clock in ms, so that a keeper that is started anew can go on with it.
 */
import type { ClaimReason } from '../words/layout.ts'
import type { Seen } from './watch.ts'

/** Why a term is claimed, and when what was learnt: becomes its history. */
export interface Cause {
  readonly reason: ClaimReason
  readonly evidence: string
  /** Who had asked for it by a command, or null. */
  readonly orderedBy: string | null
  /** The lower term whose holder is proven dead or gone, or null. */
  readonly provenTerm: number | null
  readonly previousTerm: number
  /** Heartbeats below as they were when we decided; a living holder's will have moved. */
  readonly basis: Seen
  /** The command that asked for it, or null. */
  readonly commandId: number | null
  /** That command was given with force. */
  readonly force?: boolean
  /** What has come to nothing before, here; null for nothing. */
  readonly trouble: string | null
  /** Monotonic marks for the history: last change seen, first suspicion, decision. */
  readonly lastBeatMs: number
  readonly noticedMs: number
  readonly decidedMs: number
}

/** The way to a term, until its master is told to open the catalog under it. */
export interface TakeOver {
  readonly cause: Cause
  readonly wonMs: number
  readonly endedMs: number
  readonly settledMs: number
}
