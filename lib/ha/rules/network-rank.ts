/**
 * What a member hears over the clients' network, and how two members compare. Pure.
 *
 * "Hears" means that the member's own request was answered: a message that only arrives proves one direction, and a
 * client needs both. Only members on other hosts count, since what is on one's own host answers without any network.
 *
 * A rank has three parts, compared in this order: a worker (without one nobody useful is served), a witness (an address
 * of the network that belongs to no member), another master. Numbers of each are not compared: two masters that hear
 * some of the workers each are equally good, and a role that wandered between them would help nobody.
 *
 * Source: docs/ha-protocol.md, "When the clients' network is cut and the storage lives".
 */
import type { Timing } from './timing.ts'

export const KINDS = ['worker', 'witness', 'master'] as const
/** Who is asked over the network: a worker, a witness (an address that belongs to no member), another master. */
export type Kind = (typeof KINDS)[number]

/** Which kinds are heard. */
export type Rank = Readonly<Record<Kind, boolean>>

export const NOTHING: Rank = { worker: false, witness: false, master: false }

/** Above 0 where `a` is the higher one, 0 where they are equal. */
export const compareRanks = (a: Rank, b: Rank): number => heightOf(a) - heightOf(b)

/** The words are "nobody", or "a worker and a master". */
export function describeRank(rank: Rank): string {
  const heard = KINDS.filter((kind) => rank[kind])
  return heard.length === 0 ? 'nobody' : heard.map((kind) => `a ${kind}`).join(' and ')
}

/**
 * Since when a rank that is published now has been above each lower one, from the lowest on: above those that the one
 * before it was above as well, for as long as that was. What it lost meanwhile does not make the rest of it new.
 */
export const aboveSince = (
  rank: Rank,
  before: readonly number[],
  nowMs: number,
): readonly number[] =>
  Array.from({ length: heightOf(rank) }, (_, height) => before[height] ?? nowMs)

/** Of these times the one that says since when it is above `rank`; Infinity: it is not. */
export const sinceAbove = (times: readonly number[], rank: Rank): number =>
  times[heightOf(rank)] ?? Number.POSITIVE_INFINITY

const heightOf = ({ worker, witness, master }: Rank): number =>
  (worker ? 4 : 0) + (witness ? 2 : 0) + (master ? 1 : 0)

/** A worker as the active master knows it, so that the others can ask it too. */
export interface KnownWorker {
  /** Where it takes requests, `host:port`. */
  readonly address: string
  /** The network that it is on (`Holder.network`), null where it has not told. */
  readonly network: string | null
}

/** What a master has found out over the network by a certain moment. All times are on one monotonic clock, ms. */
export interface Hearing {
  /** When the newest request that one of this kind has answered was sent; null: silent, or nobody of it is known. */
  readonly heardMs: Readonly<Record<Kind, number | null>>
  /** Kinds of which somebody on another host is known. */
  readonly known: Rank
  /** Addresses that give no answer at all. One that refuses is no sign of a cut network. */
  readonly silent: readonly string[]
  /** Since when it hears no more than now. */
  readonly sinceMs: number
  /** Requests are being sent every P; at rest what was heard last stands. */
  readonly measuring: boolean
  /** When this was found out: the moment from which the other times are told. */
  readonly madeMs: number
  /** The same for the workers of each other network. */
  readonly workersHeard: readonly WorkersHeard[]
  /** On the active: the workers that have registered. */
  readonly workers: readonly KnownWorker[]
}

/** When workers of one network were heard. */
export interface WorkersHeard {
  /** That network (`Holder.network`); null for those that have not told theirs. */
  readonly network: string | null
  /** When the newest request that one of them has answered was sent. */
  readonly heardMs: number
}

export const rankOf = ({ heardMs }: Hearing): Rank => ({
  worker: heardMs.worker !== null,
  witness: heardMs.witness !== null,
  master: heardMs.master !== null,
})

/**
 * What may be compared with the rank of a master on `network`: by requests that were sent at `sinceMs` or later, and
 * without the workers on that master's own host, which it hears whatever becomes of the network.
 */
export function rankSince(hearing: Hearing, sinceMs: number, network: string | null): Rank {
  const { heardMs, workersHeard } = hearing
  const heard = (ms: number | null): boolean => ms !== null && ms >= sinceMs
  const worker = workersHeard.some(
    (some) => heard(some.heardMs) && (some.network === null || some.network !== network),
  )
  return {
    worker: heardMs.worker !== null && worker,
    witness: heard(heardMs.witness),
    master: heard(heardMs.master),
  }
}

/** It hears less than it could: somebody who is known gives no answer. */
export const hasLost = ({ heardMs, known }: Hearing): boolean =>
  KINDS.some((kind) => known[kind] && heardMs[kind] === null)

/** The same on another monotonic clock of this host, which reads `nowMs` at the moment at which the hearing was made. */
export function onClock(hearing: Hearing, nowMs: number): Hearing {
  const byMs = nowMs - hearing.madeMs
  const of = (ms: number | null): number | null => (ms === null ? null : ms + byMs)
  const { worker, witness, master } = hearing.heardMs
  return {
    ...hearing,
    heardMs: { worker: of(worker), witness: of(witness), master: of(master) },
    sinceMs: hearing.sinceMs + byMs,
    madeMs: nowMs,
    workersHeard: hearing.workersHeard.map(({ network, heardMs }) => ({
      network,
      heardMs: heardMs + byMs,
    })),
  }
}

/** A request that was not answered for so long was not heard. */
export const silenceMs = (timing: Timing): number => 2 * timing.renewMs

/** An answer that comes later is none. One that comes between the two ends a silence that was told already. */
export const latestMs = (timing: Timing): number => 3 * timing.renewMs
