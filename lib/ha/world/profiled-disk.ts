/**
 * The shared directory under the rules of its storage's profile (`storage-profile.ts`): whoever uses it need not know them.
 *
 * - An EIO at an exclusive create is settled by a listing where it may stand for EEXIST. A name that is there counts as one
 *   that was there before: whoever claims looks for its own nonce then, as ever, and whoever only wants it made is content.
 *   Where the name isn't there the error stands; the create may still land.
 * - An EIO at a look, a read or an unlink is settled in the same way where it may stand for ENOENT: the kernel asks by a
 *   handle that it remembers, of a file that another host has removed. A name that isn't listed is missing; where it is
 *   listed the error stands.
 * - A file is looked for by its name before it is touched where the touch of a removed one may never be answered. The look
 *   proves nothing: the touch does, by path, as ever. In the moment between the two the call can still hang, and the keeper
 *   that meets it is replaced (docs/ha-protocol.md).
 * - A file is not put in the place of another where the storage renames over none: that is told, and nothing is tried.
 */
import { DiskError } from '../words/errors.ts'
import type { Disk, Purpose } from './ports.ts'
import type { StorageProfile } from './storage-profile.ts'

/** `profile`: asked at each call that a rule may bear on; rejects where the storage does not tell. */
export function profiledDisk(
  disk: Disk,
  profile: () => StorageProfile | Promise<StorageProfile>,
): Disk {
  const settled = async <T>(
    call: Promise<T>,
    purpose: Purpose,
    path: string,
  ): Promise<T | 'exists'> => {
    try {
      return await call
    } catch (error) {
      if (!mayMislead(error) || !(await profile()).eioMayMeanExists) throw error
      const [directory, name] = splitPath(path)
      const names = await disk.list(purpose, directory)
      if (names === 'missing' || !names.includes(name)) throw error
      return 'exists'
    }
  }
  const unlessGone = async <T>(
    call: Promise<T>,
    purpose: Purpose,
    path: string,
  ): Promise<T | 'missing'> => {
    try {
      return await call
    } catch (error) {
      if (!mayMislead(error) || !(await profile()).eioMayMeanGone) throw error
      const [directory, name] = splitPath(path)
      const names = await disk.list(purpose, directory)
      if (names !== 'missing' && names.includes(name)) throw error
      return 'missing'
    }
  }
  const glimpse: Disk['glimpse'] = (purpose, path) =>
    unlessGone(disk.glimpse(purpose, path), purpose, path)
  return {
    makeTermDir: (purpose, path) => disk.makeTermDir(purpose, path),
    makeDirs: (purpose, path) => disk.makeDirs(purpose, path),
    create: (purpose, path, text) => settled(disk.create(purpose, path, text), purpose, path),
    fill: (purpose, path, text) => disk.fill(purpose, path, text),
    occupy: (purpose, path, bytes) => settled(disk.occupy(purpose, path, bytes), purpose, path),
    space: () => disk.space(),
    touch: async (purpose, path, mtimeMs, sameAs) => {
      const { looksBeforeTouch } = await profile()
      if (looksBeforeTouch && (await glimpse(purpose, path)) === 'missing') return 'missing'
      return unlessGone(disk.touch(purpose, path, mtimeMs, sameAs), purpose, path)
    },
    glimpse,
    read: (purpose, path) => unlessGone(disk.read(purpose, path), purpose, path),
    list: (purpose, path) => disk.list(purpose, path),
    unlink: (purpose, path) => unlessGone(disk.unlink(purpose, path), purpose, path),
    replace: async (purpose, path, by) =>
      (await profile()).replacesFiles ? disk.replace(purpose, path, by) : 'refused',
    removeDir: (purpose, path) => disk.removeDir(purpose, path),
    syncDir: (purpose, path) => disk.syncDir(purpose, path),
  }
}

/** Not once the file was made and its text failed: that one is ours. */
const mayMislead = (error: unknown): boolean =>
  error instanceof DiskError && error.errno === 'EIO' && !error.made

const splitPath = (path: string): readonly [string, string] => {
  const at = path.lastIndexOf('/')
  return at < 0 ? ['.', path] : [path.slice(0, at), path.slice(at + 1)]
}
