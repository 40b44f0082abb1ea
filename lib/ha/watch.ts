/**
 * Has that counter moved within the patience, by my own clock? Pure.
 *
 * A look lists the terms and glimpses the heartbeats of the newest ones, down to the newest that is known to have
 * served (a claimant that died half-way must not hide a holder that lives below it). The watch keeps what was seen and
 * when it last changed. It never reads a time out of the directory: an mtime is only compared with the one before.
 *
 * Source: docs/ha-protocol.md, "The lease", Observe and Expiry.
 */
import type { Holder } from './layout.ts'
import { releaseOf } from './layout.ts'
import type { Timing } from './timing.ts'

/** One term's heartbeat in one look; `mtimeMs` is null where there is none. */
export interface Pulse {
  readonly term: number
  readonly mtimeMs: number | null
}

/** What one look at the directory said. */
export interface Seen {
  /** The newest term, 0 where there is none yet. */
  readonly newest: number
  /** Newest first, down to the newest that served. */
  readonly pulses: readonly Pulse[]
  /** The newest term among them that is known to have served, or 0. */
  readonly servedTerm: number
  /** Who opened the newest term that has a heartbeat, as far as it can be read. */
  readonly holder: Holder | null
  /** The term `holder` opened, or 0. */
  readonly holderTerm: number
  /** /proc of this host proves that the holder's master is dead. */
  readonly holderDead: boolean
  /** Address named by a release for a successor. */
  readonly successor: string | null
}

export interface Watch {
  readonly seen: Seen | null
  /** When the look that first saw the present value had finished. */
  readonly sinceMs: number
  /** When the newest successful look had finished. */
  readonly lastMs: number
  /** When a heartbeat was last seen to move, for the history: a release is no beat. */
  readonly beatMs: number
}

export const newWatch = (nowMs: number): Watch => ({
  seen: null,
  sinceMs: nowMs,
  lastMs: Number.NEGATIVE_INFINITY,
  beatMs: nowMs,
})

/** Starts the patience over and keeps what is known. */
export const restart = (watch: Watch, nowMs: number): Watch => ({
  ...watch,
  sinceMs: nowMs,
  lastMs: Number.NEGATIVE_INFINITY,
})

const samePulses = (a: Seen, b: Seen): boolean =>
  a.newest === b.newest &&
  a.pulses.length === b.pulses.length &&
  a.pulses.every((pulse, i) => {
    const other = b.pulses[i]
    return other?.term === pulse.term && other.mtimeMs === pulse.mtimeMs
  })

/**
 * Takes a successful look in. Patience starts over on a change, and on a gap above 2 polls in our own looking: whoever
 * stalled can't tell whose stall it was.
 */
export function advance(watch: Watch, seen: Seen, finishedMs: number, timing: Timing): Watch {
  const unbroken = finishedMs - watch.lastMs <= 2 * timing.pollMs
  const unmoved = watch.seen !== null && samePulses(watch.seen, seen)
  const released = releaseOf(newestBeat(seen)?.mtimeMs ?? 0) !== 'no'
  return {
    seen,
    sinceMs: unmoved && unbroken ? watch.sinceMs : finishedMs,
    lastMs: finishedMs,
    beatMs: unmoved || released ? watch.beatMs : finishedMs,
  }
}

/** Of the newest term that has a heartbeat. Those above it never came to one, or have been ended. */
export const newestBeat = (seen: Seen): { term: number; mtimeMs: number } | null => {
  for (const { term, mtimeMs } of seen.pulses) if (mtimeMs !== null) return { term, mtimeMs }
  return null
}

/** Whoever held the newest beating term has given it up or is proven dead, whatever is claimed above it. */
export function isHolderGone(seen: Seen): boolean {
  const beat = newestBeat(seen)
  if (beat === null) return false
  return releaseOf(beat.mtimeMs) !== 'no' || (seen.holderDead && seen.holderTerm === beat.term)
}

/** What a watch allows to conclude at `nowMs`. */
export type Verdict =
  /** Nothing may be concluded: never seen, or not seen lately. */
  | { readonly is: 'unknown' }
  | { readonly is: 'live' }
  /** No term yet. */
  | { readonly is: 'unclaimed' }
  /** The holder itself, or its keeper for it, gave the term up. Proof. */
  | { readonly is: 'released' }
  | { readonly is: 'released-for'; readonly successor: string | null }
  /** This host proves that the holder's process is dead. Proof. */
  | { readonly is: 'dead' }
  /** Unchanged for the whole patience. No proof. */
  | { readonly is: 'expired' }

export function verdictOf(watch: Watch, nowMs: number, timing: Timing): Verdict {
  const seen = watch.seen
  if (seen === null || nowMs - watch.lastMs > 2 * timing.pollMs) return { is: 'unknown' }
  if (seen.newest === 0) return { is: 'unclaimed' }
  const expired = watch.lastMs - watch.sinceMs >= timing.patienceMs
  const beat = newestBeat(seen)
  // Proof about a term counts only where no lower heartbeat is left that somebody may still renew. A claim above it that
  // has come to no heartbeat takes nothing from it; it only gets its moment to go on.
  const alone = seen.pulses.every(
    ({ term, mtimeMs }) => mtimeMs === null || term === beat?.term || releaseOf(mtimeMs) !== 'no',
  )
  const quiet =
    seen.pulses[0]?.term === beat?.term || watch.lastMs - watch.sinceMs >= timing.graceMs
  if (beat !== null && alone && quiet) {
    const release = releaseOf(beat.mtimeMs)
    if (release === 'released') return { is: 'released' }
    if (release === 'released-for') return { is: 'released-for', successor: seen.successor }
    if (seen.holderDead && seen.holderTerm === beat.term) return { is: 'dead' }
  }
  return expired ? { is: 'expired' } : { is: 'live' }
}

/** When `expired` can be true at the earliest, if nothing changes: the moment for a look of its own. */
export const expiryMs = (watch: Watch, timing: Timing): number => watch.sinceMs + timing.patienceMs
