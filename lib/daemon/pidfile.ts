/**
 * The names by which a running daemon is found.
 *
 * The pid file: at most one process owns it, and whoever reads it may signal that pid.
 *
 * It holds one line, the pid, as scripts and `kill $(cat …)` expect. A pid alone proves nothing, since pids are used
 * again: the owner keeps the file open as long as it lives, and /proc shows which process has which file open. So a file
 * left by a dead process is recognised even when its pid belongs to somebody else by now. A process of another user's is
 * never the owner: whoever planted such a file would have it stopped, or would keep this daemon from starting. Where /proc
 * won't tell of one of this user's (one with capabilities), the owner is taken to be alive.
 *
 * One that somebody removes is put back by `putBack`; until then `tajo-daemon.sh` finds its owner by the removed file that
 * it still has open.
 *
 * Beside it lies what it is about: `NAME.rootdir` holds the daemon's `tajo.rootdir`, so that whoever stops a cluster stops
 * no other's daemon that happens to have the same pid file.
 *
 * Looking at an old file and replacing it is one step for other processes of this machine: a lock beside it is held for
 * those few milliseconds (proper-lockfile).
 *
 * Such a name, the pid file's or the admin socket's, is looked for once a period and made again where somebody has removed
 * it: an age cleaner, a hand. Without it commands and scripts would
 * take the daemon for one that does not run, start a second one, and nobody could give it an order.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { lstat } from 'node:fs/promises'
import { dirname } from 'node:path'
import lockfile from 'proper-lockfile'
import { OwnPlaceError } from '../base/own-place.ts'
import { ownUid } from '../base/own-place-look.ts'
import { pause, waitingClock } from '../base/time.ts'
import type { DaemonLog } from './log.ts'
import { makeOwnDirectory } from './own-directory.ts'

/** A lock that is older belongs to a process that died meanwhile. */
const STALE_MS = 10_000
/** Together, with their pauses, they take longer than that. */
const MOST_TRIES = 40
const PAUSE_MIN_MS = 25
const PAUSE_MAX_MS = 500
const MODE = 0o600

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
      await pause(waitingClock, Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** (tries - 1)))
    }
  }
}

interface StandingName {
  readonly path: string
  /** For people: `the pid file`. */
  readonly what: string
  /** The name is not there. Rejects with what is in the way. */
  readonly make: () => Promise<void>
}

const LOOK_AGAIN_MS = 1000

/** Looks until it is stopped. A look that hangs is not joined by others. */
export function keepStanding(
  { path, what, make }: StandingName,
  log: DaemonLog['log'],
  everyMs = LOOK_AGAIN_MS,
): { stop(): void } {
  let busy = false
  let trouble = ''
  let stopped = false
  const look = async (): Promise<void> => {
    try {
      await lstat(path)
      trouble = ''
    } catch (error) {
      if (stopped || (error as NodeJS.ErrnoException).code !== 'ENOENT') return
      await make()
      log(
        'warn',
        `${what} ${path} was removed, and was made again: something removes files there`,
        { event: 'daemon-file-put-back' },
      )
    }
  }
  const timer = setInterval(() => {
    if (busy) return
    busy = true
    look()
      .catch((error: Error) => {
        if (error.message !== trouble) {
          log('error', `${what} ${path} was removed, and can't be made again: ${error.message}`, {
            event: 'daemon-file-lost',
          })
        }
        trouble = error.message
      })
      .finally(() => {
        busy = false
      })
  }, everyMs)
  timer.unref()
  return {
    stop: () => {
      stopped = true
      clearInterval(timer)
    },
  }
}

interface PidFile {
  readonly path: string
  /** Removes the file, if it is still ours. A second call does nothing: a forced end may interrupt an orderly one. */
  remove(): void
  /** Makes it again where it was removed. Rejects like `takePidFile` where another process has one of its name by now. */
  putBack(): Promise<void>
}

/**
 * Takes the pid file for this process, a daemon of the cluster in `rootDirectory`. Rejects with an Error that names the
 * living owner, or what is in the way, with OwnPlaceError where others may write beside it.
 */
export async function takePidFile(path: string, rootDirectory: string): Promise<PidFile> {
  const release = await lock(path)
  try {
    const owner = ownerOf(path)
    if (owner !== null) {
      throw new Error(
        `already running as pid ${owner}, says ${path}: stop that process first, or set TAJO_PID_DIR to another directory`,
      )
    }
    return create(path, rootDirectory)
  } finally {
    await release()
  }
}

async function lock(path: string): Promise<() => Promise<void>> {
  try {
    makeOwnDirectory('TAJO_PID_DIR', dirname(path))
    return await lockBriefly(path)
  } catch (error) {
    if (error instanceof OwnPlaceError) throw error
    throw new Error(`can't write the pid file ${path}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

function create(path: string, rootDirectory: string): PidFile {
  const about = `${path.replace(/\.pid$/, '')}.rootdir`
  try {
    unlinkIfThere(path)
    unlinkIfThere(about)
    // Exclusive: nothing is written through a link that somebody has made meanwhile.
    writeFileSync(about, `${rootDirectory}\n`, { flag: 'wx', mode: MODE })
    const { O_CREAT, O_EXCL, O_RDWR } = constants
    const fd = openSync(path, O_CREAT | O_EXCL | O_RDWR, MODE)
    writeSync(fd, `${process.pid}\n`)
    let held = true
    let now: PidFile | null = null
    return {
      path,
      remove: () => {
        if (held) remove(path, about, fd)
        held = false
        now?.remove()
      },
      putBack: async () => {
        if (now !== null) return now.putBack()
        const next = await takePidFile(path, rootDirectory)
        // Its end has begun meanwhile.
        if (!held) return next.remove()
        closeSync(fd)
        held = false
        now = next
      },
    }
  } catch (error) {
    throw new Error(`can't write the pid file ${path}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

function remove(path: string, about: string, fd: number): void {
  const ours = fstatSync(fd)
  const there = statSync(path, { throwIfNoEntry: false })
  if (there?.dev === ours.dev && there.ino === ours.ino) {
    unlinkIfThere(about)
    unlinkIfThere(path)
  }
  closeSync(fd)
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

/** The pid of the living process that owns the file, or null when nobody does. */
export function ownerOf(path: string): number | null {
  let text: string
  let realPath: string
  try {
    text = readFileSync(path, 'latin1')
    realPath = realpathSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new Error(`can't read the pid file ${path}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  const pid = Number(text.trim())
  if (!Number.isSafeInteger(pid) || pid <= 0 || !isOwn(pid)) return null
  return hasOpen(pid, realPath) ? pid : null
}

/** A living process of this user's: /proc tells everybody whose a process is. */
function isOwn(pid: number): boolean {
  try {
    const real = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
    return Number(real) === ownUid()
  } catch {
    // There is none, or it has ended since; hidepid hides those of others.
    return false
  }
}

/** True when that process has the file open, or when this user may not know. */
function hasOpen(pid: number, realPath: string): boolean {
  try {
    // Only link texts are read, no file is touched: that process may have files open on a mount that hangs.
    const descriptors = readdirSync(`/proc/${pid}/fd`)
    return descriptors.some((fd) => linkText(`/proc/${pid}/fd/${fd}`) === realPath)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT'
  }
}

function linkText(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch {
    // Closed since the listing.
    return null
  }
}
