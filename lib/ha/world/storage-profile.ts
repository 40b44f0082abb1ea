/**
 * What holds of the storage behind the shared directory beyond what its calls promise, in one place: a new kind of storage
 * with habits of its own is one more profile here, and the rules that follow from it are looked up, not repeated.
 *
 * There are two. `plain` is everything that keeps POSIX's promises (NFS, local disks). `hdfs-gateway` is HDFS through
 * Hadoop's NFS gateway (measured on Hadoop 3.4.2, docs/ha-protocol.md, "HDFS through its NFS gateway"). It is recognised by
 * how its directories look, which nothing else does: HDFS has no sizes of directories and no links, so the gateway makes
 * both up, for n names n + 2 links and 32 bytes for each of them. No configuration names it.
 */
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type FileSystem, fileSystemOf, nearestExisting } from './file-system.ts'

export interface StorageProfile {
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
export interface DirectoryLook {
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

/** Of a directory, or of what exists above it. Rejects with the system's error. */
export async function profileOf(directory: string): Promise<StorageProfile> {
  return profileOn(await fileSystemOf(directory), directory)
}

/** The same where its file system is known. */
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
