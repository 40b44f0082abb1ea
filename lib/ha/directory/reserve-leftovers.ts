/**
 * Reserves of masters that are gone for good: taken out of the cluster, or under another address now. They would keep
 * their room for ever, so the active removes one whose master has been neither active nor a backup for an hour.
 */
import { RESERVE_DIR, reserveDir } from '../words/layout.ts'
import type { Clock, Disk } from '../world/ports.ts'

const KEPT_MS = 3_600_000

export class ReserveLeftovers {
  readonly #disk: Disk
  readonly #clock: Clock
  /** By directory: since when nobody is known who could own it. */
  readonly #sinceMs = new Map<string, number>()

  constructor(disk: Disk, clock: Clock) {
    this.#disk = disk
    this.#clock = clock
  }

  /** `members`: addresses of all masters that take part. Gives what was removed. Rejects with DiskError. */
  async sweep(members: readonly string[]): Promise<string[]> {
    const names = await this.#disk.list('reserve', RESERVE_DIR)
    const owned = new Set(members.map(reserveDir))
    const strange = (names === 'missing' ? [] : names)
      .map((name) => `${RESERVE_DIR}/${name}`)
      .filter((path) => !owned.has(path))
    for (const known of this.#sinceMs.keys()) {
      if (!strange.includes(known)) this.#sinceMs.delete(known)
    }
    const removed: string[] = []
    const nowMs = this.#clock.nowMs()
    for (const path of strange) {
      const sinceMs = this.#sinceMs.get(path) ?? nowMs
      this.#sinceMs.set(path, sinceMs)
      if (nowMs - sinceMs < KEPT_MS) continue
      await removeReserve(this.#disk, path)
      removed.push(path)
    }
    return removed
  }
}

/** All of them, where no master lives who could need one. False when there was nothing to remove. */
export async function removeAllReserves(disk: Disk): Promise<boolean> {
  const names = await disk.list('reserve', RESERVE_DIR)
  let freed = false
  for (const name of names === 'missing' ? [] : names) {
    freed = (await removeReserve(disk, `${RESERVE_DIR}/${name}`)) || freed
  }
  return freed
}

async function removeReserve(disk: Disk, path: string): Promise<boolean> {
  const files = await disk.list('reserve', path)
  if (files === 'missing') return false
  for (const file of files) await disk.unlink('reserve', `${path}/${file}`)
  await disk.removeDir('reserve', path)
  return files.length > 0
}
