/**
 * Names on a shared mount, made and listed as other hosts need it.
 *
 * `makeDirs` is mkdir -p in a bounded number of calls. Node's own (`recursive: true`) never ends where an existing directory answers a
 * mkdir in it with ENOENT, as /proc does.
 *
 * `makeWhole` makes a file that can be made in one call and filled in a later one: on a full disk the create succeeds and
 * the text finds no room. The file is ours then, and nobody else fills it, so the next try writes the same text from its start.
 *
 * `listAnew` gives a directory's names, and ENOENT only where that is true now: NFS remembers for up to a minute that a name was not there,
 * and a backup has asked for what the first active makes before it was made. To read the directory above asks the server,
 * and what that one shows is asked for anew.
 */
import { chmod, mkdir, readdir, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { DiskError } from '../words/errors.ts'
import type { Disk, Purpose } from './ports.ts'

/**
 * Lists the names in a directory by `read` (readdir by default). An absence that NFS remembers for up to a minute is not
 * believed: the directories above are asked first. Rejects with the system's error, ENOENT only where that is true now.
 */
export async function listAnew(
  path: string,
  read: (path: string) => Promise<string[]> = (path) => readdir(path),
): Promise<string[]> {
  try {
    return await read(path)
  } catch (error) {
    const above = dirname(path)
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || above === path) throw error
    if (!(await listAnew(above, read)).includes(basename(path))) throw error
    return read(path)
  }
}

export interface Wanted {
  readonly purpose: Purpose
  readonly path: string
  readonly text: string
}

/** `torn`: the paths that this process made and could not fill; kept up to date here. Rejects with DiskError. */
export async function makeWhole(
  disk: Disk,
  torn: Set<string>,
  { purpose, path, text }: Wanted,
): Promise<'created' | 'exists' | 'missing'> {
  if (torn.has(path)) {
    const filled = await disk.fill(purpose, path, text)
    torn.delete(path)
    return filled === 'missing' ? 'missing' : 'created'
  }
  try {
    return await disk.create(purpose, path, text)
  } catch (error) {
    if (error instanceof DiskError && error.made) torn.add(path)
    throw error
  }
}

/** Work on many things, a few at a time: each is a file call or some, and a keeper has few threads for them. */
export async function atOnce<T, R>(
  most: number,
  things: readonly T[],
  work: (thing: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const left = things.entries()
  const one = async (): Promise<void> => {
    for (const [i, thing] of left) results[i] = await work(thing)
  }
  await Promise.all(Array.from({ length: Math.min(most, things.length) }, one))
  return results
}

/** Nobody else has any business in what the library makes. */
export const OWN_DIRECTORY = 0o700

/**
 * Makes `path` (absolute) and the parents that are missing, all with `mode`, which changes nothing of a directory that is
 * there. `below`, a parent, is not made: it may be on a mount that is gone. Rejects with the system's
 * error.
 */
export async function makeDirs(path: string, mode = OWN_DIRECTORY, below = '/'): Promise<void> {
  await makeMissing(path, { mode, below, onMade: async () => {} })
}

/** The same for directories that others are let into: with exactly this mode, whatever this process's umask. */
export async function makeOpenDirs(path: string, mode: number, below = '/'): Promise<void> {
  await makeMissing(path, { mode, below, onMade: (made) => setMode(made, mode) })
}

interface Making {
  readonly mode: number
  readonly below: string
  readonly onMade: (path: string) => Promise<void>
}

async function makeMissing(path: string, making: Making): Promise<void> {
  if (await makeOrKeepDir(path, making)) return
  const parent = dirname(path)
  if (parent !== path && parent !== making.below) await makeMissing(parent, making)
  if (await makeOrKeepDir(path, making)) return
  throw Object.assign(new Error(`no directory can be made in ${dirname(path)}`), { code: 'ENOENT' })
}

/** False when the parent is missing. */
async function makeOrKeepDir(path: string, { mode, onMade }: Making): Promise<boolean> {
  try {
    await mkdir(path, mode)
    await onMade(path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return false
    if (code !== 'EEXIST') throw error
  }
  if ((await stat(path)).isDirectory()) return true
  throw Object.assign(new Error(`${path} is not a directory`), { code: 'ENOTDIR' })
}

/** Mounts that give every file one mode say this of each change. */
const NO_MODES: ReadonlySet<string> = new Set([
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EINVAL',
])

async function setMode(path: string, mode: number): Promise<void> {
  try {
    await chmod(path, mode)
  } catch (error) {
    if (!NO_MODES.has(String((error as NodeJS.ErrnoException).code))) throw error
  }
}
