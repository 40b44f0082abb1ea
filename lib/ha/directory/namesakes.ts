/**
 * This is the search for a live master of the same address. A start is refused while there is one: two masters under one
 * name would unlink each other's files.
 */
import type { Timing } from '../rules/timing.ts'
import { HaError } from '../words/errors.ts'
import {
  ACTIVE_DIR,
  BACKUP_DIR,
  claimFile,
  type Holder,
  heartbeatFile,
  isRegistrationOf,
  releaseOf,
  termDir,
  termOf,
} from '../words/layout.ts'
import { pause } from '../world/clock.ts'
import type { Clock, Disk, Processes } from '../world/ports.ts'
import { decodeClaim, decodeHolder } from './decode.ts'

/**
 * Rejects ADDRESS_IN_USE when a live master has `self`'s address: its process runs on this host, or its heartbeat moves
 * while we watch.
 */
export async function refuseSameAddress(
  ports: { disk: Disk; clock: Clock; processes: Processes },
  self: Holder,
  timing: Timing,
): Promise<void> {
  const { disk, processes } = ports
  for (const { holder, path } of await namesakes(disk, self)) {
    const verdict = processes.verdict(holder.master)
    const alive =
      verdict === 'alive' ||
      (verdict === 'unknown' && (await moves(ports, path, slowest(holder, timing))))
    if (alive) {
      throw new HaError(
        'ADDRESS_IN_USE',
        `another master uses the address ${self.address}: pid ${holder.master.pid} on ${holder.hostname}, since ${holder.startedAt}. Give each master its own tajo.master.umbilical-rpc.address, or its own line in conf/masters`,
      )
    }
  }
}

async function namesakes(disk: Disk, self: Holder): Promise<{ holder: Holder; path: string }[]> {
  const found: { holder: Holder; path: string }[] = []
  const isOther = (h: Holder | null): h is Holder =>
    h !== null && h.address === self.address && h.nonce !== self.nonce
  const backups = await disk.list('setup', BACKUP_DIR)
  for (const name of backups === 'missing' ? [] : backups) {
    if (!isRegistrationOf(self.address, name)) continue
    const path = `${BACKUP_DIR}/${name}`
    const text = await disk.read('setup', path)
    const holder = text === 'missing' ? null : decodeHolder(text)
    if (isOther(holder)) found.push({ holder, path })
  }
  const names = await disk.list('setup', ACTIVE_DIR)
  const terms = names === 'missing' ? [] : names.map(termOf).filter((term) => term !== null)
  const newest = Math.max(0, ...terms)
  const text = newest === 0 ? 'missing' : await readListed(disk, termDir(newest), claimFile(newest))
  const claim = text === 'missing' ? null : decodeClaim(text)
  if (claim?.state === 'open' && isOther(claim.holder)) {
    found.push({ holder: claim.holder, path: heartbeatFile(newest) })
  }
  return found
}

/**
 * By listing first: NFS remembers an absence for up to 30 s, and whoever asks for the claim.json of a term that is just
 * being claimed would not know its holder for so long.
 */
async function readListed(disk: Disk, directory: string, path: string): Promise<string> {
  const names = await disk.list('setup', directory)
  const isThere = names !== 'missing' && names.some((name) => `${directory}/${name}` === path)
  return isThere ? disk.read('setup', path) : 'missing'
}

/** A namesake beats by its own periods. */
const slowest = ({ periods }: Holder, { renewMs, pollMs }: Timing): Beat => ({
  renewMs: Math.max(renewMs, periods?.renewMs ?? 0),
  pollMs,
})
type Beat = Pick<Timing, 'renewMs' | 'pollMs'>

/** Watches one heartbeat for two and a half of a backup's renewal periods, or until it moves. */
async function moves(
  { disk, clock }: { disk: Disk; clock: Clock },
  path: string,
  { renewMs, pollMs }: Beat,
): Promise<boolean> {
  const first = await disk.glimpse('setup', path)
  if (first === 'missing' || releaseOf(first.mtimeMs) !== 'no') return false
  const untilMs = clock.nowMs() + 5 * renewMs
  while (clock.nowMs() < untilMs) {
    await pause(clock, pollMs)
    const next = await disk.glimpse('setup', path)
    if (next === 'missing') return false
    if (next.mtimeMs !== first.mtimeMs) return releaseOf(next.mtimeMs) === 'no'
  }
  return false
}
