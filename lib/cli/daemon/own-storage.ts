/**
 * A daemon refuses a `tajo.rootdir`, a `system` and whatever is below it that another user owns, or that group or others
 * may write: they could put another catalog, another secret, another cluster in their place. The tables' directory is held
 * to `tajo.warehouse.umask` instead, since other engines may have to write there.
 *
 * `system` is this user's alone in reading as well. One of an earlier version is (0755), and is closed here: nobody else
 * has any business below it. A mount that refuses that keeps nobody from starting.
 *
 * A `tajo.rootdir` with a sticky bit, as a new tmpfs has it, is one where others may only add names: whatever of `system`
 * they have made before is theirs, and refused. So it is taken.
 *
 * Above these directories nothing is refused (directory.ts tells of it): what is there is often not the operator's own.
 */
import { chmod, lstat, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import { octal, type Place, type Trust } from '../../base/own-place.ts'
import { ownUid, placeOf } from '../../base/own-place-look.ts'
import { type Clock, waitingClock } from '../../base/time.ts'
import type { Configuration } from '../../conf/index.ts'
import { orNull, requireAsShown } from './own-shown.ts'
import { OwnTree } from './own-tree.ts'

const ROOTDIR = 'tajo.rootdir'
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
  const tree = new OwnTree(ROOTDIR, shown.uid, clock)
  const told = await tree.require(system, depth)
  await requireOwnDirectory({
    what: 'tajo.warehouse.directory',
    path: conf.get('tajo.warehouse.directory'),
    writers: 0o022 & ~Number.parseInt(umask, 8),
    otherwise: `, or let them write there by tajo.warehouse.umask (now ${umask})`,
  })
  return [...modesOf(rootDirectory, shown), ...told, ...(await closed(system, tree))]
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
  if (link.kind === 'link') await requireAsShown(link, own, dirname(path))
  const found = await orNull(stat(path))
  return found === null ? own : requireAsShown(placeOf(what, path, found), own, path)
}

const OPEN_BITS = 0o077
const CLOSED_MODE = 0o700

/** `system`, for those who could read there; gives what was done, or why not. */
async function closed(system: string, tree: OwnTree): Promise<string[]> {
  const found = await orNull(stat(system))
  if (found === null) return []
  const { uid, also = [] } = tree.trustOn(found.dev)
  if (![uid, ...also].includes(found.uid) || (found.mode & OPEN_BITS) === 0) return []
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
