/**
 * What file system a directory is on, and whether several hosts can share it: statfs for its kernel type, mountinfo for
 * its name, source and options. Two things depend on it: on NFS every file is opened with O_DIRECT (`disk.ts`), and a
 * start is refused on a mount that can't keep the protocol's promises (`storage-check.ts`).
 */
import { readFile, realpath, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'

/** statfs type of NFS of every version (linux/magic.h). */
const NFS_MAGIC = 0x6969

/**
 * `shared`: made for several hosts. `local`: one host only. `refused`: known to break the protocol. `unknown`: neither
 * list has it, so only the storage check can tell.
 */
export type SharingKind = 'shared' | 'local' | 'refused' | 'unknown'

export interface FileSystem {
  /** As in /proc/mounts, such as `nfs4` or `fuse.glusterfs`. */
  readonly type: string
  readonly source: string
  readonly mountPoint: string
  readonly options: string
  /** The mount is, or the file system behind it, also where it made itself so after an error. */
  readonly isReadOnly: boolean
  readonly sharing: SharingKind
  readonly isNfs: boolean
}

const SHARED =
  /^(nfs4?|ceph|fuse\.ceph(-fuse)?|fuse\.glusterfs|glusterfs|lustre|gpfs|gfs2|ocfs2|beegfs|cifs|smb3|fuse\.juicefs|JuiceFS|fuse\.moosefs|fuse\.mfs)$/
const LOCAL =
  /^(ext[234]|xfs|btrfs|zfs|bcachefs|f2fs|jfs|reiserfs|nilfs2|tmpfs|ramfs|rootfs|overlay|fuse\.fuse-overlayfs|fuseblk|vfat|msdos|exfat|ntfs3?|hfsplus|squashfs|erofs|iso9660|udf|devtmpfs)$/
const FUSE_DFS = /fuse[_-]dfs/

export function sharingOf(mount: { readonly type: string; readonly source: string }): SharingKind {
  if (FUSE_DFS.test(mount.type) || (mount.type.startsWith('fuse') && FUSE_DFS.test(mount.source))) {
    return 'refused'
  }
  if (SHARED.test(mount.type)) return 'shared'
  return LOCAL.test(mount.type) ? 'local' : 'unknown'
}

const hasOption = ({ options }: Described, name: string): boolean =>
  options.split(',').includes(name)

/** Mount options under which the protocol's promises are weaker than its design assumes, a sentence each. */
export function mountWarnings(mount: Described): string[] {
  const where = `${mount.mountPoint} (${mount.type})`
  const warnings: string[] = []
  if (/^nfs4?$/.test(mount.type) && hasOption(mount, 'nocto')) {
    warnings.push(
      `${where} is mounted with nocto: an observer may look at an old heartbeat and take a living master for dead; mount it without`,
    )
  }
  if (/^nfs4?$/.test(mount.type) && (hasOption(mount, 'soft') || hasOption(mount, 'softerr'))) {
    warnings.push(
      `${where} is mounted with soft: a write that the file server did not answer in time is given up, which can tear catalog and data files; mount it with hard`,
    )
  }
  if (/^(cifs|smb3)$/.test(mount.type) && hasOption(mount, 'cache=loose')) {
    warnings.push(
      `${where} is mounted with cache=loose: hosts see each other's changes late; mount it with cache=strict`,
    )
  }
  return warnings
}

/** The file system of a directory, or of its nearest ancestor that exists. Rejects with the system's error. */
export async function fileSystemOf(directory: string): Promise<FileSystem> {
  const existing = await nearestExisting(directory)
  // First statfs, which makes an automounter mount, then the table.
  const isNfs = (await statfs(existing)).type === NFS_MAGIC
  const mount = mountOf(existing, await readFile('/proc/self/mountinfo', 'utf8'))
  if (mount === null) {
    const type = isNfs ? 'nfs' : 'unknown'
    return {
      ...{ type, source: 'unknown', mountPoint: '/', options: '', isReadOnly: false, isNfs },
      sharing: isNfs ? 'shared' : 'unknown',
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

type Mount = Pick<FileSystem, 'type' | 'source' | 'mountPoint' | 'options' | 'isReadOnly'>
type Described = Omit<Mount, 'isReadOnly'>

/** The line of mountinfo (proc_pid_mountinfo(5)) that a real path is on: the longest mount point, the last of equals. */
export function mountOf(path: string, mountinfo: string): Mount | null {
  let best: Mount | null = null
  for (const line of mountinfo.split('\n')) {
    const [left, right] = line.split(' - ')
    const [, , , , point = '', ownOptions = ''] = left?.split(' ') ?? []
    const mountPoint = unescapeOctal(point)
    const [type, source, options] = (right ?? '').split(' ')
    if (!mountPoint || !type || !contains(mountPoint, path)) continue
    if (best !== null && mountPoint.length < best.mountPoint.length) continue
    const all = [...ownOptions.split(','), ...(options ?? '').split(',')]
    const isReadOnly = READ_ONLY.some((one) => all.includes(one))
    best = {
      type,
      source: unescapeOctal(source ?? ''),
      mountPoint,
      options: options ?? '',
      isReadOnly,
    }
  }
  return best
}

/** The second is what ext4 calls it after an error (errors=remount-ro). */
const READ_ONLY = ['ro', 'emergency_ro']

const contains = (mountPoint: string, path: string): boolean =>
  mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`)

/** Blanks, tabs, newlines and backslashes stand as `\040` and the like. */
const unescapeOctal = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
