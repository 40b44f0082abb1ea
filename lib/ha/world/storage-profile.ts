/**
 * What holds of the storage behind the shared directory beyond what its calls promise, in one place: a new kind of storage
 * with habits of its own is one more profile here, and the rules that follow from it are looked up, not repeated.
 *
 * There are two. `plain` is everything that keeps POSIX's promises (NFS, local disks). `hdfs-gateway` is HDFS through
 * Hadoop's NFS gateway (measured on Hadoop 3.4.2, docs/ha-protocol.md, "HDFS through its NFS gateway"). It is recognised by
 * how its directories look, which nothing else does: HDFS has no sizes of directories and no links, so the gateway makes
 * both up, for n names n + 2 links and 32 bytes for each of them. No configuration names it.
 *
 * The shared directory under the rules of its storage's profile: whoever uses it need not know them.
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
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DiskError } from '../words/errors.ts'
import { type FileSystem, fileSystemOf, nearestExisting } from './file-system.ts'
import type { Disk, Purpose } from './ports.ts'

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

/** How the storage behind a directory behaves beyond what its calls promise. */
export interface StorageProfile {
  /** `plain` keeps POSIX's promises; `hdfs-gateway` is HDFS through Hadoop's NFS gateway. */
  readonly name: 'plain' | 'hdfs-gateway'
  /** For people, to follow "is". */
  readonly title: string
  /**
   * An EIO at an exclusive create may stand for EEXIST: the directory is listed, and a name that is there exists. Else it
   * says nothing, as any EIO.
   */
  readonly eioMayMeanExists: boolean
  /** An EIO at a look, a read or an unlink may stand for ENOENT, where another host has removed the file: the same. */
  readonly eioMayMeanGone: boolean
  /** utimes of a file that another host has removed may never be answered: it is looked for first. */
  readonly looksBeforeTouch: boolean
  /** A link count of 0 is seen where a file was removed. Where it isn't, only its name tells that a file is there. */
  readonly linkCountsTell: boolean
  /** A file can be renamed over another. */
  readonly replacesFiles: boolean
  /** Others can read a file again that they read while it was shorter. */
  readonly readsGrowingFiles: boolean
  /** The monitor interval must not be shorter, ms; 0 where nothing but the measured latency bounds it. */
  readonly smallestMonitorMs: number
}

export const PLAIN: StorageProfile = {
  name: 'plain',
  title: 'a file system with exclusive creates',
  eioMayMeanExists: false,
  eioMayMeanGone: false,
  looksBeforeTouch: false,
  linkCountsTell: true,
  replacesFiles: true,
  readsGrowingFiles: true,
  smallestMonitorMs: 0,
}

export const HDFS_GATEWAY: StorageProfile = {
  name: 'hdfs-gateway',
  title: "HDFS through Hadoop's NFS gateway",
  eioMayMeanExists: true,
  eioMayMeanGone: true,
  looksBeforeTouch: true,
  linkCountsTell: false,
  replacesFiles: false,
  readsGrowingFiles: false,
  smallestMonitorMs: 10_000,
}

const PROFILES: readonly StorageProfile[] = [PLAIN, HDFS_GATEWAY]

/** By its name, as another process of this version told it; `plain` for a name that nobody knows. */
export const profileNamed = (name: string | undefined): StorageProfile =>
  PROFILES.find((one) => one.name === name) ?? PLAIN

/** What it is and what that means here, in one line for people; null where there is nothing to tell. */
export function profileText(profile: StorageProfile, directory: string): string | null {
  const { title, eioMayMeanExists, eioMayMeanGone } = profile
  const { looksBeforeTouch, linkCountsTell, readsGrowingFiles } = profile
  const rules = [
    ...(eioMayMeanExists ? ['an EIO at a create is settled by a listing'] : []),
    ...(eioMayMeanGone ? ['one at a look as well'] : []),
    ...(looksBeforeTouch ? ['a heartbeat is looked for before it is renewed'] : []),
    ...(linkCountsTell ? [] : ['removed files are found by their names']),
    ...(readsGrowingFiles ? [] : ['no file is read while it grows']),
  ]
  return rules.length === 0
    ? null
    : `the shared directory ${directory} is ${title}: ${rules.join(', ')}`
}

/** What makes a monitor interval too short for it, with the key and both numbers; null for nothing. */
export function tooShortFor(profile: StorageProfile, monitorMs: number): string | null {
  const { smallestMonitorMs, title } = profile
  if (monitorMs >= smallestMonitorMs) return null
  return `tajo.master.ha.monitor.interval is ${monitorMs} ms, and the shared directory is ${title}, where it must be at least ${smallestMonitorMs} ms: set it in conf/tajo-site.xml on all masters`
}

/** What a stat of a directory says. */
interface DirectoryLook {
  readonly links: number
  readonly bytes: number
}

const BYTES_PER_LINK = 32

/** All of them, from the directory up to its mount point: one alone may have such a size by chance. */
export const looksLikeGateway = (looks: readonly DirectoryLook[]): boolean =>
  looks.length > 0 &&
  looks.every(({ links, bytes }) => links >= 2 && bytes === BYTES_PER_LINK * links)

/** The gateway speaks NFSv3 alone. Behind FUSE it may be whatever somebody has put between. */
const mayBeGateway = ({ type, options }: FileSystem): boolean =>
  type === 'nfs' ? options.split(',').includes('vers=3') : /^fuse(\.|$)/.test(type)

/** Names come and go while it is looked at, and a stat need not show both numbers of one moment. */
const TRIES = 3
const BETWEEN_TRIES_MS = 20

/** The profile of a directory's storage, or of what exists above it. Rejects with the system's error. */
export async function profileOf(directory: string): Promise<StorageProfile> {
  return profileOn(await fileSystemOf(directory), directory)
}

/** The same where its file system is known (`fileSystemOf`). Rejects with the system's error. */
export async function profileOn(
  fileSystem: FileSystem,
  directory: string,
): Promise<StorageProfile> {
  if (!mayBeGateway(fileSystem)) return PLAIN
  for (let tries = 1; ; tries += 1) {
    if (looksLikeGateway(await looksUpTo(fileSystem.mountPoint, directory))) return HDFS_GATEWAY
    if (tries === TRIES) return PLAIN
    await sleep(BETWEEN_TRIES_MS)
  }
}

async function looksUpTo(mountPoint: string, directory: string): Promise<DirectoryLook[]> {
  const looks: DirectoryLook[] = []
  for (let path = await nearestExisting(directory); ; path = dirname(path)) {
    const { nlink: links, size: bytes } = await stat(path)
    looks.push({ links, bytes })
    if (path === mountPoint || path === dirname(path)) return looks
  }
}
