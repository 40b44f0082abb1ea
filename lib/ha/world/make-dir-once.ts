/**
 * Does the atomic mkdir of proper-lockfile, and nothing else of it.
 *
 * A term's directory is a lock that nobody ever gives back: its number is used once. So every part of the library that
 * would judge or touch the directory later is taken away by the `fs` handed to it:
 * - its staleness compares an mtime with this host's wall clock, and a stale lock is removed before it is made anew, so
 *   that two can win (its issue 121). Here no lock looks stale, and rmdir does nothing;
 * - it renews the lock's mtime in a timer and removes the directory by a blocking rmdir at the process's exit, which
 *   would hang there on a dead mount. Here the lock is released in memory at once, so there is neither.
 * What remains is one file call.
 */
import { mkdir, type NoParamCallback } from 'node:fs'
import { lock } from 'proper-lockfile'
import { OWN_DIRECTORY } from './directories.ts'

/** Node's longest timer. The library's own renewal would be due then, if the lock were not released at once. */
const NEVER_MS = 2 ** 31 - 1

const onlyMkdir = {
  mkdir: (path: string, done: NoParamCallback) => mkdir(path, OWN_DIRECTORY, done),
  stat: (_path: string, done: (error: null, stat: { mtime: Date }) => void) =>
    done(null, { mtime: new Date() }),
  utimes: (_path: string, _atime: Date, _mtime: Date, done: NoParamCallback) => done(null),
  rmdir: (_path: string, done: NoParamCallback) => done(null),
  rmdirSync: () => undefined,
}

/** Makes a directory whose parent exists. `exists`: somebody made it before. Rejects with the system's error. */
export async function makeDirOnce(path: string): Promise<'made' | 'exists'> {
  try {
    const release = await lock(path, {
      lockfilePath: path,
      realpath: false,
      retries: 0,
      stale: Number.MAX_SAFE_INTEGER,
      update: NEVER_MS,
      // Can't happen without that timer; the library's own choice throws there.
      onCompromised: () => undefined,
      fs: onlyMkdir,
    })
    await release()
    return 'made'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOCKED') return 'exists'
    throw error
  }
}
