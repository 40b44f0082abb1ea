/**
 * A daemon refuses a `tajo.rootdir`, a `system` and whatever is below it that another user owns, or that group or others
 * may write: they could put another catalog, another secret, another cluster in their place. The tables' directory is held
 * to `tajo.warehouse.umask` instead, since other engines may have to write there.
 *
 * A mount may show one and the same user as another one: root as nobody (root squash), everybody as the one who mounted
 * (FUSE), with one mode for all files. So where something looks wrong, what this process makes there now tells: whose it
 * is shown to be is a name of this user's there, and a mode that it gets though it asked for none says nothing of others.
 * Only then is a file made for it, and removed at once.
 *
 * `system` is this user's alone in reading as well. One of an earlier version is (0755), and is closed here: nobody else
 * has any business below it. A mount that refuses that keeps nobody from starting.
 *
 * A `tajo.rootdir` with a sticky bit, as a new tmpfs has it, is one where others may only add names: whatever of `system`
 * they have made before is theirs, and refused. So it is taken.
 *
 * Above these directories nothing is refused (directory.ts tells of it): what is there is often not the operator's own.
 */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, lstat, open, readdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import { OwnPlaceError, objectionTo, octal, type Place, type Trust } from '../../base/own-place.ts'
import { ownUid, placeOf } from '../../base/own-place-look.ts'
import { type Clock, waitingClock } from '../../base/time.ts'
import type { Configuration } from '../../conf/index.ts'

const ROOTDIR = 'tajo.rootdir'
/** A start does not take much longer because of what terms have left; what comes first is what matters most. */
const MOST_LOOKED_AT = 20_000
const AT_ONCE = 16
const PATIENCE_MS = 10_000

/**
 * So deep below `system` everything is looked at. Gives what is to be told in the log. Rejects with OwnPlaceError, or the
 * system's error. What isn't there yet is no danger.
 */
export async function requireOwnStorage(
  conf: Configuration,
  depth: number,
  clock: Clock = waitingClock,
): Promise<string[]> {
  const rootDirectory = conf.get('tajo.rootdir')
  const umask = conf.get('tajo.warehouse.umask')
  const system = join(rootDirectory, 'system')
  const shown = await requireOwnDirectory({
    what: ROOTDIR,
    path: rootDirectory,
    isJudgedBelow: true,
  })
  const own = { ...shown, isJudgedBelow: false, tree: system }
  const told = [...modesOf(rootDirectory, own), ...(await requireTree(system, depth, own, clock))]
  await requireOwnDirectory({
    what: 'tajo.warehouse.directory',
    path: conf.get('tajo.warehouse.directory'),
    writers: 0o022 & ~Number.parseInt(umask, 8),
    otherwise: `, or let them write there by tajo.warehouse.umask (now ${umask})`,
  })
  return [...told, ...(await closed(system, own))]
}

/** Judges a directory that spilled rows go to. Rejects likewise. */
export async function requireOwnSpill(path: string): Promise<void> {
  await requireOwnDirectory({ what: 'tajo.worker.tmpdir.locations', path })
}

async function requireOwnDirectory({
  what,
  path,
  ...trust
}: Pick<Place, 'what' | 'path'> & Omit<Trust, 'uid'>): Promise<Trust> {
  const own = { ...trust, uid: ownUid() }
  const itself = await orNull(lstat(path))
  if (itself === null) return own
  const link = placeOf(what, path, itself)
  if (link.kind === 'link') refuseIf(objectionTo(link, own))
  const found = await orNull(stat(path))
  if (found === null) return own
  const place = placeOf(what, path, found)
  const known = objectionTo(place, own) === null ? own : await asShown(path, own)
  refuseIf(objectionTo(place, known))
  return known
}

/** With what the mount makes of a file of this process's own. */
async function asShown(directory: string, trust: Trust): Promise<Trust> {
  const path = join(directory, `.whose-${randomUUID()}`)
  const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW } = constants
  const file = await open(path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600).catch(() => null)
  // What can't be written is judged by what is shown.
  if (file === null) return trust
  try {
    const { uid, mode } = await file.stat()
    return { ...trust, also: [uid], writers: (trust.writers ?? 0) | (mode & 0o022) }
  } finally {
    await file.close()
    await unlink(path)
  }
}

/** Breadth first, so that what decides about the rest comes first. */
async function requireTree(
  top: string,
  depth: number,
  own: Trust,
  clock: Clock,
): Promise<string[]> {
  const endMs = clock.nowMs() + PATIENCE_MS
  let level = [top]
  let looked = 0
  for (let deep = 0; level.length > 0 && deep <= depth; deep++) {
    const below: string[] = []
    for (let at = 0; at < level.length; at += AT_ONCE) {
      if (looked >= MOST_LOOKED_AT || clock.nowMs() > endMs) return [tooMuch(top, looked)]
      const some = level.slice(at, at + AT_ONCE)
      looked += some.length
      const inside = await Promise.all(some.map((path) => requireOwnEntry(path, own)))
      below.push(...inside.flat())
    }
    level = below
  }
  return []
}

const tooMuch = (top: string, looked: number): string =>
  `whether all below ${top} is this user's alone was not looked at to its end: after ${looked} files and directories the start goes on`

/** Gives what is in it, where it is a directory. */
async function requireOwnEntry(path: string, own: Trust): Promise<string[]> {
  const found = await orNull(lstat(path))
  if (found === null) return []
  const place = placeOf(ROOTDIR, path, found)
  refuseIf(objectionTo(place, own))
  if (place.kind !== 'directory') return []
  const names = await orNull(readdir(path))
  return (names ?? []).map((name) => join(path, name))
}

const OPEN_BITS = 0o077
const CLOSED_MODE = 0o700

/** `system`, for those who could read there; gives what was done, or why not. */
async function closed(system: string, { uid, also = [] }: Trust): Promise<string[]> {
  const found = await orNull(stat(system))
  const isOurs = found !== null && [uid, ...also].includes(found.uid)
  if (!isOurs || (found.mode & OPEN_BITS) === 0) return []
  const was = `others could read ${system} (mode ${octal(found.mode)})`
  try {
    await chmod(system, CLOSED_MODE)
    const { mode } = await stat(system)
    if ((mode & OPEN_BITS) !== 0) throw new Error('the mount keeps the mode that it gives')
    return [`${was}, as earlier versions made it: it is its user's alone now (0700)`]
  } catch (error) {
    return [`${was}, and that can't be changed here: ${messageOf(error)}`]
  }
}

function modesOf(rootDirectory: string, { writers = 0 }: Trust): string[] {
  if (writers === 0) return []
  return [
    `tajo.rootdir ${rootDirectory} is on a mount that gives every file one mode, so modes keep nobody out there: its options have to (uid, gid, umask, allow_other)`,
  ]
}

function refuseIf(objection: string | null): void {
  if (objection !== null) throw new OwnPlaceError(objection)
}

const GONE: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR', 'ESTALE'])

async function orNull<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call
  } catch (error) {
    if (GONE.has((error as NodeJS.ErrnoException).code)) return null
    throw error
  }
}
