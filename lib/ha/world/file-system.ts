/**
 * What file system a directory is on, and whether several hosts can share it: statfs for its kernel type, mountinfo for
 * its name, source and options. Two things depend on it: on NFS every file is opened with O_DIRECT (`disk.ts`), and a
 * start is refused on a mount that can't keep the protocol's promises, or that nobody has proven (`mount-admission.ts`).
 */
import { readFile, realpath, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type SharingKind, sharingOf } from './mount-kinds.ts'

/** statfs type of NFS of every version (linux/magic.h). */
const NFS_MAGIC = 0x6969

/** What a directory is mounted from, as the kernel tells it. */
export interface FileSystem {
  /** As in /proc/mounts, such as `nfs4` or `fuse.glusterfs`. */
  readonly type: string
  /** What is mounted: a device, `HOST:/PATH`, or a program's own word. */
  readonly source: string
  /** Where it is mounted. */
  readonly mountPoint: string
  /** Its options, with commas between. */
  readonly options: string
  /** The kernel's number of this mount: another one when it is mounted anew. Empty where the table doesn't have it. */
  readonly mountId: string
  /** The directory of the file system that is mounted there: `/` but for bind mounts and their kind. */
  readonly root: string
  /** The mount is, or the file system behind it, also where it made itself so after an error. */
  readonly isReadOnly: boolean
  /** Whether several hosts can share it. */
  readonly sharing: SharingKind
  /** It is NFS, of whatever version. */
  readonly isNfs: boolean
}

/**
 * The file system of a directory, or of its nearest ancestor that exists. Where the kernel's table of mounts doesn't have it,
 * `type` and `source` are `unknown` (`nfs` for NFS). Rejects with the system's error.
 */
export async function fileSystemOf(directory: string): Promise<FileSystem> {
  const existing = await nearestExisting(directory)
  // First statfs, which makes an automounter mount, then the table.
  const isNfs = (await statfs(existing)).type === NFS_MAGIC
  const mount = mountOf(existing, await readFile('/proc/self/mountinfo', 'utf8'))
  if (mount === null) {
    const type = isNfs ? 'nfs' : 'unknown'
    return {
      ...{ type, source: 'unknown', mountPoint: '/', options: '', mountId: '', root: '/' },
      ...{ sharing: isNfs ? 'shared' : 'unknown', isNfs, isReadOnly: false },
    }
  }
  return { ...mount, sharing: sharingOf(mount), isNfs }
}

export async function nearestExisting(directory: string): Promise<string> {
  for (let path = directory; ; path = dirname(path)) {
    try {
      return await realpath(path)
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
      if (!missing || dirname(path) === path) throw error
    }
  }
}

/** A mount, as a line of the kernel's table tells it. */
export type Mount = Omit<FileSystem, 'sharing' | 'isNfs'>

/**
 * The line of mountinfo (proc_pid_mountinfo(5)) that a real path is on: from the root down, always into what is mounted on
 * the way. A mount of a longer path that was mounted earlier may be hidden by one of a directory above it (`/etc/fstab` in
 * the wrong order), and is still in the table.
 */
export function mountOf(path: string, mountinfo: string): Mount | null {
  const candidates = mountinfo
    .split('\n')
    .flatMap((line) => lineOf(line) ?? [])
    .filter(({ mount }) => contains(mount.mountPoint, path))
  const known = new Set(candidates.map(({ mount }) => mount.mountId))
  let at = topOf(
    candidates.filter(({ parent, mount }) => parent === mount.mountId || !known.has(parent)),
  )
  for (let next = at; next !== null; ) {
    at = next
    const { mountId } = at.mount
    next = topOf(
      candidates.filter(({ parent, mount }) => parent === mountId && mount.mountId !== mountId),
    )
  }
  return at?.mount ?? null
}

interface MountLine {
  readonly mount: Mount
  /** The mount that it is mounted on. */
  readonly parent: string
}

function lineOf(line: string): MountLine | null {
  const [left, right] = line.split(' - ')
  const [mountId = '', parent = '', , root = '', point = '', ownOptions = ''] = (left ?? '').split(
    ' ',
  )
  const mountPoint = unescapeOctal(point)
  const [type, source, options] = (right ?? '').split(' ')
  if (!mountPoint || !type) return null
  const all = [...ownOptions.split(','), ...(options ?? '').split(',')]
  const isReadOnly = READ_ONLY.some((one) => all.includes(one))
  const words = { type, source: unescapeOctal(source ?? ''), options: options ?? '' }
  return { mount: { ...words, mountPoint, mountId, root: unescapeOctal(root), isReadOnly }, parent }
}

/** Of mounts on one and the same: the path meets the one of the shortest path first. */
const topOf = (lines: readonly MountLine[]): MountLine | null =>
  lines.reduce<MountLine | null>(
    (best, one) =>
      best === null || one.mount.mountPoint.length <= best.mount.mountPoint.length ? one : best,
    null,
  )

/** The second is what ext4 calls it after an error (errors=remount-ro). */
const READ_ONLY = ['ro', 'emergency_ro']

const contains = (mountPoint: string, path: string): boolean =>
  mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`)

/** Blanks, tabs, newlines and backslashes stand as `\040` and the like. */
const unescapeOctal = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
