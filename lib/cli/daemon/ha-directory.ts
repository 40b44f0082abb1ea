/**
 * The HA directory before a master joins: where it may lie, whose it may be, and that it is there. Each step has a
 * deadline, since its mount may hang.
 */
import { messageOf } from '../../base/failures.ts'
import type { Log } from '../../base/log.ts'
import { OwnPlaceError } from '../../base/own-place.ts'
import { waitingClock, within } from '../../base/time.ts'
import { makeDirs } from '../../ha/index.ts'
import { makeDefaultRootdir } from './default-rootdir.ts'
import { OtherCatalogError, type Start } from './other-catalogs.ts'
import { requireOwnStorage } from './own-storage.ts'

/**
 * A file server that has not answered by then is told as the reason for a failed start: well before the start scripts
 * give up waiting (TAJO_START_TIMEOUT), which could not tell why.
 */
const DIRECTORY_MS = 10_000
/** All that masters have left there. */
const WHOLE_DEPTH = Number.POSITIVE_INFINITY
/** `system` and `ha` in it. */
const MADE_DEPTH = 1

/**
 * Makes it for its user alone: the secret is there. Rejects with OtherCatalogError, with OwnPlaceError where others could
 * put something else in its place, or with an Error that says what is in the way.
 */
export async function makeHaDirectory(directory: string, start: Start, log: Log): Promise<void> {
  const late = (): never => {
    throw new Error(
      `its file system has not answered within ${DIRECTORY_MS / 1000} s: its mount hangs, or the file server is away`,
    )
  }
  const timely = <T>(work: Promise<T>): Promise<T> => within(waitingClock, DIRECTORY_MS, work, late)
  try {
    await timely(makeDefaultRootdir(start))
    for (const told of await timely(requireOwnStorage(start.conf, WHOLE_DEPTH))) {
      log('warn', told, { event: 'rootdir-mode' })
    }
    await timely(makeDirs(directory, 0o700))
    // Where others add names (a sticky bit), they may have been faster; what they would have to say was told above.
    await timely(requireOwnStorage(start.conf, MADE_DEPTH))
  } catch (error) {
    if (error instanceof OtherCatalogError || error instanceof OwnPlaceError) throw error
    const text = `can't make the HA directory ${directory} (tajo.rootdir): ${messageOf(error)}`
    throw new Error(text, { cause: error })
  }
}
