/**
 * A lock beside a file, held for the few milliseconds of a look and what follows from it, so that both are one step for
 * other processes of this machine (proper-lockfile).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import lockfile from 'proper-lockfile'

/** A lock that is older belongs to a process that died meanwhile. */
const STALE_MS = 10_000
/** Together they are more than that. */
const MOST_TRIES = 40
const PAUSE_MIN_MS = 25
const PAUSE_MAX_MS = 500

/**
 * Resolves to what gives the lock back. Rejects at once, like node:fs, where no lock can be made: the library itself
 * would try again after any error, and only somebody else's lock is worth waiting for.
 */
export async function lockBriefly(path: string): Promise<() => Promise<void>> {
  for (let tries = 1; ; tries++) {
    try {
      return await lockfile.lock(path, {
        stale: STALE_MS,
        // There may be no file yet.
        realpath: false,
        // Whoever finds it taken over has nothing left to protect.
        onCompromised: () => undefined,
      })
    } catch (error) {
      const isHeld = (error as NodeJS.ErrnoException).code === 'ELOCKED'
      if (!isHeld || tries === MOST_TRIES) throw error
      await sleep(Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** (tries - 1)))
    }
  }
}
