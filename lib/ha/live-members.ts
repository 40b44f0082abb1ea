/**
 * Which masters of a directory live, for those who may go on only when none does. Whoever can't be proven dead is watched
 * until its heartbeat has been still for the patience.
 */
import { realClock } from './clock.ts'
import { openDisk } from './disk.ts'
import { ACTIVE_DIR } from './layout.ts'
import { Looker } from './look.ts'
import { Peers } from './peers.ts'
import type { Disk } from './ports.ts'
import { hostProcesses } from './processes.ts'
import type { Timing } from './timing.ts'
import { advance, newWatch, verdictOf } from './watch.ts'

/** Addresses of the masters that live; none in a directory that no master has joined. Rejects with DiskError. */
export async function liveMembers(directory: string, timing: Timing): Promise<readonly string[]> {
  const disk = openDisk(directory)
  if ((await disk.list('inspect', ACTIVE_DIR)) === 'missing') return []
  return (await judgeMembers(disk, timing)).live
}

/** Resolves once one is seen to live, or every heartbeat is released, proven dead or expired. */
export async function judgeMembers(
  disk: Disk,
  timing: Timing,
): Promise<{ live: readonly string[]; newest: number }> {
  const processes = hostProcesses()
  const looker = new Looker(disk, processes)
  const peers = new Peers(disk, realClock, processes)
  const startedMs = realClock.nowMs()
  let watch = newWatch(startedMs)
  for (;;) {
    const seen = await looker.look()
    await peers.scan()
    const nowMs = realClock.nowMs()
    watch = advance(watch, seen, nowMs, timing)
    const verdict = verdictOf(watch, nowMs, timing)
    const backups = peers.all().filter((p) => p.process !== 'dead')
    const moving = backups.filter((p) => p.process === 'alive' || p.moved)
    const beats =
      verdict.is === 'live' &&
      nowMs - startedMs > timing.pollMs &&
      watch.sinceMs > startedMs + timing.pollMs
    const holderRuns =
      seen.holder !== null &&
      processes.verdict(seen.holder.master) === 'alive' &&
      verdict.is === 'live'
    if (moving.length > 0 || beats || holderRuns) {
      const names = new Set(moving.map((p) => p.holder.address))
      if (seen.holder !== null && (beats || holderRuns)) names.add(seen.holder.address)
      return { live: [...names], newest: seen.newest }
    }
    const quietMs = nowMs - startedMs
    const judged = verdict.is !== 'live' && verdict.is !== 'unknown'
    if (judged && (backups.length === 0 || quietMs >= timing.patienceMs)) {
      return { live: [], newest: seen.newest }
    }
    await new Promise<void>((done) => realClock.after(timing.pollMs, done))
  }
}
