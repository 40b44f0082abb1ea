/**
 * Which masters of a directory live, for those who may go on only when none does. Whoever can't be proven dead is watched
 * until its heartbeat has been still for the patience.
 */
import { periodsOf } from '../rules/periods.ts'
import type { Timing } from '../rules/timing.ts'
import { advance, newWatch, type Seen, verdictOf } from '../rules/watch.ts'
import { ACTIVE_DIR, type Holder } from '../words/layout.ts'
import { pause, realClock } from '../world/clock.ts'
import { openDisk } from '../world/disk.ts'
import type { Clock, Disk, Processes } from '../world/ports.ts'
import { hostProcesses } from '../world/processes.ts'
import { Looker } from './look.ts'
import { Peers } from './peers.ts'

/** Which masters of a directory live. */
export interface LiveMembers {
  /** Addresses of the masters that live. */
  readonly live: readonly string[]
  /** The last active master where only its silence says that it is over: it may be frozen or cut off, and go on. */
  readonly unproven: string | null
  /** The newest term; 0 for none. */
  readonly newest: number
}

/**
 * Resolves once a master is seen to live, or none does: every heartbeat is released, proven dead, or was still for the
 * patience. At once and with nobody for a directory that no master has joined. `onPatience` hears after each look for how
 * many ms a silence has to last, by the periods of whoever is on file. Rejects with DiskError.
 */
export async function liveMembers(
  directory: string,
  timing: Timing,
  onPatience: (patienceMs: number) => void,
): Promise<LiveMembers> {
  const disk = openDisk(directory)
  if ((await disk.list('inspect', ACTIVE_DIR)) === 'missing') {
    return { live: [], unproven: null, newest: 0 }
  }
  return judgeMembers(disk, timing, { clock: realClock, processes: hostProcesses(), onPatience })
}

/** Resolves once one is seen to live, or every heartbeat is released, proven dead or expired. */
export async function judgeMembers(
  disk: Disk,
  timing: Timing,
  {
    clock,
    processes,
    onPatience,
    counts = () => true,
  }: {
    readonly clock: Clock
    readonly processes: Processes
    readonly onPatience?: (patienceMs: number) => void
    /** Whose life is of interest; left out: everybody's. */
    readonly counts?: (holder: Holder) => boolean
  } = { clock: realClock, processes: hostProcesses() },
): Promise<LiveMembers> {
  const own = periodsOf(timing)
  const looker = new Looker(disk, processes, own)
  const peers = new Peers(disk, clock, processes)
  const startedMs = clock.nowMs()
  let watch = newWatch(startedMs, own)
  let first: Seen | null = null
  for (;;) {
    const lookMs = clock.nowMs()
    const seen = await looker.look()
    first ??= seen
    await peers.scan()
    const nowMs = clock.nowMs()
    const look = { startedMs: lookMs, finishedMs: nowMs }
    watch = advance(watch, seen, look, { own, pace: null })
    onPatience?.(Math.max(watch.by.patienceMs, peers.patienceMs(timing)))
    const verdict = verdictOf(watch, nowMs, timing)
    const backups = peers.all().filter((p) => p.process !== 'dead' && counts(p.holder))
    const isOther = seen.holder !== null && !counts(seen.holder)
    const moving = backups.filter((p) => p.process === 'alive' || p.moved)
    // Not by when the watch began: a gap in our own looking starts that over.
    const beats = verdict.is === 'live' && !isOther && hasMoved(first, seen)
    const holderRuns =
      seen.holder !== null &&
      !isOther &&
      processes.verdict(seen.holder.master) === 'alive' &&
      verdict.is === 'live'
    if (moving.length > 0 || beats || holderRuns) {
      const names = new Set(moving.map((p) => p.holder.address))
      if (seen.holder !== null && (beats || holderRuns)) names.add(seen.holder.address)
      return { live: [...names], unproven: null, newest: seen.newest }
    }
    const quietMs = nowMs - startedMs
    const judged = isOther || (verdict.is !== 'live' && verdict.is !== 'unknown')
    if (judged && (backups.length === 0 || quietMs >= peers.patienceMs(timing))) {
      const unproven =
        verdict.is === 'expired' ? (seen.holder?.address ?? 'an unknown master') : null
      return { live: [], unproven, newest: seen.newest }
    }
    await pause(clock, Math.min(timing.pollMs, watch.by.pollMs))
  }
}

const hasMoved = (before: Seen, now: Seen): boolean =>
  now.newest > before.newest ||
  now.pulses.some(({ term, mtimeMs }) => {
    const old = before.pulses.find((pulse) => pulse.term === term)?.mtimeMs ?? null
    return old !== null && mtimeMs !== null && old !== mtimeMs
  })
