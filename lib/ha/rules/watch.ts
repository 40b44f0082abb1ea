/**
 * Has that counter moved within the patience, by my own clock? Pure.
 *
 * A look lists the terms and glimpses the heartbeats of the newest ones, down to the newest that is known to have
 * served (a claimant that died half-way must not hide a holder that lives below it). The watch keeps what was seen and
 * for how long it has not changed. It never reads a time out of the directory: an mtime is only compared with the one
 * before. The periods by which it judges are the holder's (periods.ts).
 *
 * The unchanged time runs from the end of the first look to the *start* of the last: the last one may have read the
 * heartbeat right then, and hung for as long as it took. It leaves out the gaps in our own looking: whoever stalled can't
 * tell whose stall it was, and what it had seen before is still true.
 *
 * Its source is docs/ha-protocol.md, "The lease", Observe and Expiry.
 */
import type { Holder } from '../words/layout.ts'
import { releaseOf } from '../words/layout.ts'
import { largest, type Periods } from './periods.ts'
import type { Timing } from './timing.ts'

/** One term's heartbeat in one look; `mtimeMs` is null where there is none. */
export interface Pulse {
  readonly term: number
  readonly mtimeMs: number | null
  /** By which it is to be judged; the observer's own where it is left out. */
  readonly periods?: Periods
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
  /** Why a claim.json that is there can't be read: by whose periods its term lives is unknown then. */
  readonly unreadable?: string
}

export interface Watch {
  readonly seen: Seen | null
  /** By which it is judged: the holder's, or the observer's own where nothing better is known. */
  readonly by: Periods
  /** When the look that first saw the present value had finished. */
  readonly sinceMs: number
  /** The same, later by the gaps in our own looking. */
  readonly fromMs: number
  /** When the newest successful look had begun and had finished. */
  readonly startedMs: number
  readonly lastMs: number
  /** When a heartbeat was last seen to move, for the history: a release is no beat. */
  readonly beatMs: number
}

/** When a look was made, by the observer's clock. */
interface LookTimes {
  readonly startedMs: number
  readonly finishedMs: number
}

/** Whose watch it is: its own periods, and those it can keep where its storage is slow; null where that is not known. */
interface Observer {
  readonly own: Periods
  readonly pace: Periods | null
}

export const newWatch = (nowMs: number, own: Periods): Watch => ({
  seen: null,
  by: own,
  sinceMs: nowMs,
  fromMs: nowMs,
  startedMs: Number.NEGATIVE_INFINITY,
  lastMs: Number.NEGATIVE_INFINITY,
  beatMs: nowMs,
})

/** Starts the patience over and keeps what is known. */
export const restart = (watch: Watch, nowMs: number): Watch => ({
  ...watch,
  sinceMs: nowMs,
  fromMs: nowMs,
  startedMs: Number.NEGATIVE_INFINITY,
  lastMs: Number.NEGATIVE_INFINITY,
})

const beats = ({ mtimeMs }: Pulse): boolean => mtimeMs !== null && releaseOf(mtimeMs) === 'no'

/**
 * Of all that beat, and of a term that has served and whose heartbeat is gone, the longest: the silence of one says nothing
 * of another.
 */
function periodsBehind(seen: Seen, { own, pace }: Observer): Periods {
  const open = seen.pulses.flatMap((pulse) => {
    if (beats(pulse)) return [pulse.periods ?? own]
    return pulse.mtimeMs === null && pulse.periods !== undefined ? [pulse.periods] : []
  })
  const [first = own, ...others] = open
  const theirs = others.reduce(largest, first)
  // Looks that take longer than its holder's gap would never add up.
  return pace === null || pace.monitorMs <= theirs.monitorMs ? theirs : largest(theirs, pace)
}

const samePulses = (a: Seen, b: Seen): boolean =>
  a.newest === b.newest &&
  a.pulses.length === b.pulses.length &&
  a.pulses.every((pulse, i) => {
    const other = b.pulses[i]
    return other?.term === pulse.term && other.mtimeMs === pulse.mtimeMs
  })

/** Takes a successful look in. A change starts the patience over; a gap above two periods of looks is left out of it. */
export function advance(watch: Watch, seen: Seen, look: LookTimes, observer: Observer): Watch {
  const { startedMs, finishedMs } = look
  const by = periodsBehind(seen, observer)
  const { sinceMs, fromMs, lastMs } = watch
  const unmoved = watch.seen !== null && samePulses(watch.seen, seen)
  const released = releaseOf(newestBeat(seen)?.mtimeMs ?? 0) !== 'no'
  const beatMs = unmoved || released ? watch.beatMs : finishedMs
  const next = { seen, by, startedMs, lastMs: finishedMs, beatMs }
  if (!unmoved || lastMs === Number.NEGATIVE_INFINITY) {
    return { ...next, sinceMs: finishedMs, fromMs: finishedMs }
  }
  const sinceLastMs = finishedMs - lastMs
  const gapMs = sinceLastMs > 2 * by.pollMs ? sinceLastMs : 0
  return { ...next, sinceMs, fromMs: fromMs + gapMs }
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
type Verdict =
  /** Nothing may be concluded: never seen, not seen lately, or by periods that can't be read. */
  | { readonly is: 'unknown' }
  | { readonly is: 'live' }
  /** No term yet. */
  | { readonly is: 'unclaimed' }
  /** The holder itself, or its keeper for it, gave the term up. Proof. */
  | { readonly is: 'released' }
  | { readonly is: 'released-for'; readonly successor: string | null }
  /** The same, and it never served: what it had to open was refused, and may be to the next one. Proof. */
  | { readonly is: 'refused' }
  /** This host proves that the holder's process is dead. Proof. */
  | { readonly is: 'dead' }
  /** Unchanged for the whole patience. No proof. */
  | { readonly is: 'expired' }

/** `graceMs`: how long a claim above a released term gets to go on. */
export function verdictOf(
  watch: Watch,
  nowMs: number,
  { graceMs }: Pick<Timing, 'graceMs'>,
): Verdict {
  const { seen, by } = watch
  if (seen === null || nowMs - watch.lastMs > 2 * by.pollMs) return { is: 'unknown' }
  if (seen.newest === 0) return { is: 'unclaimed' }
  const beat = newestBeat(seen)
  // Proof about a term counts only where no lower heartbeat is left that somebody may still renew. A claim above it that
  // has come to no heartbeat takes nothing from it; it only gets its moment to go on.
  const alone = seen.pulses.every(
    ({ term, mtimeMs }) => mtimeMs === null || term === beat?.term || releaseOf(mtimeMs) !== 'no',
  )
  const quiet = seen.pulses[0]?.term === beat?.term || watch.lastMs - watch.sinceMs >= graceMs
  if (beat !== null && alone && quiet) {
    const release = releaseOf(beat.mtimeMs)
    if (release === 'released' || release === 'refused') return { is: release }
    if (release === 'released-for') return { is: 'released-for', successor: seen.successor }
    if (seen.holderDead && seen.holderTerm === beat.term) return { is: 'dead' }
  }
  if (seen.unreadable !== undefined) return { is: 'unknown' }
  return watch.startedMs >= expiryMs(watch) ? { is: 'expired' } : { is: 'live' }
}

/** When a look has to begin to show an expiry at the earliest, if nothing changes and no gap comes between. */
export const expiryMs = (watch: Watch): number => watch.fromMs + watch.by.patienceMs
