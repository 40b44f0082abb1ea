/**
 * What the elector knows of the clients' network, as plain data: what it hears, what the others publish, the offers of the
 * role that follow from it, and when the next step of them is due. What is done about it: network-offer.ts.
 */
import type { Publication } from '../directory/network-publication.ts'
import type { State } from './elector-state.ts'
import { type Hearing, latestMs, type Rank } from './network-rank.ts'

/** Another member's newest publication, and when it was first seen. */
export interface Posted {
  readonly publication: Publication
  readonly seenMs: number
  /** Since when its author has been above each lower rank (`aboveSince`). */
  readonly aboveMs: readonly number[]
}

export interface OpenOffer {
  readonly nonce: string
  readonly to: string
  readonly moves: number
  /** This active's rank when it was made. */
  readonly own: Rank
  /** Withdrawn then, if there is no answer. */
  readonly untilMs: number
  /** The newest look begun then did not show the answer yet: it is no older than that. */
  readonly absentMs: number
}

/** An offer to this member. */
interface Answering {
  readonly nonce: string
  /** In which it was made. */
  readonly term: number
  readonly moves: number
  /** The network of the active that offers. */
  readonly network: string | null
  readonly seenMs: number
  /** Undefined while it is being proven. */
  readonly trouble: string | null | undefined
  readonly answered: boolean
}

/** A successor that did not take the role. */
export interface Failure {
  readonly address: string
  readonly count: number
  readonly untilMs: number
  readonly why: string
}

export interface NetworkState {
  /** Null before the master has told anything: then nothing of network-offer.ts is done. */
  readonly hearing: Hearing | null
  readonly posted: readonly Posted[]
  readonly offer: OpenOffer | null
  /** Since when this active's rank has been below a published one. */
  readonly belowMs: number | null
  readonly answering: Answering | null
  /** The newest offer that this member has answered: it stands until the term that follows from it serves. */
  readonly answered: { readonly term: number; readonly moves: number } | null
  readonly failures: readonly Failure[]
  /** To whom the role was given by this rule, and from which term. */
  readonly given: { readonly to: string; readonly term: number } | null
  /** Hand-overs by this rule that have followed each other, the newest of them to this member. */
  readonly moves: { readonly count: number; readonly atMs: number }
  readonly published: string
  /** The master was told to measure. */
  readonly wants: boolean
  /** When something was last heard or read that was new. */
  readonly newsMs: number
  readonly scanMs: number
}

export const newNetwork = (nowMs: number): NetworkState => ({
  hearing: null,
  posted: [],
  offer: null,
  belowMs: null,
  answering: null,
  answered: null,
  failures: [],
  given: null,
  moves: { count: 0, atMs: nowMs },
  published: '',
  wants: false,
  newsMs: Number.NEGATIVE_INFINITY,
  scanMs: Number.NEGATIVE_INFINITY,
})

/** Waits double up to 16 M, and are forgotten after ten minutes. */
const MOST_DOUBLINGS = 4
export const REMEMBERED_MS = 600_000

export const backOffMs = (s: Pick<State, 'timing'>, count: number): number =>
  count < 1 ? 0 : s.timing.monitorMs * 2 ** Math.min(count - 1, MOST_DOUBLINGS)

/** When something of it may be due next. */
export function networkWakes(s: State): number[] {
  const { network, timing } = s
  if (network.hearing === null) return []
  const times = [
    network.scanMs,
    network.newsMs + timing.monitorMs / 2,
    ...network.failures.map(({ untilMs }) => untilMs),
  ]
  if (network.belowMs !== null) times.push(network.belowMs + timing.monitorMs / 2)
  if (network.moves.count > 0) times.push(network.moves.atMs + backOffMs(s, network.moves.count))
  if (network.offer !== null) times.push(network.offer.untilMs)
  if (network.answering !== null) times.push(network.answering.seenMs + latestMs(timing))
  return times
}
