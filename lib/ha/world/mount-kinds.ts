/**
 * What is known of each kind of file system, by the names that /proc/self/mountinfo shows: who may share it, and what
 * breaks the protocol there. Pure; `mount-admission.ts` decides with it who may serve.
 *
 * A kind is `shared` only where two hosts with kernels of their own were tried under faults. What is named nowhere is
 * unknown: names of mounts are free to choose, so these lists can only refuse, never prove.
 */

/**
 * `shared`: tried on several hosts. `local`: one host only. `refused`: known to break the protocol between hosts.
 * `unknown`: never tried, so only a check from two hosts can tell.
 */
export type SharingKind = 'shared' | 'local' | 'refused' | 'unknown'

interface MountName {
  /** As in /proc/mounts, such as `nfs4` or `fuse.rclone`. */
  readonly type: string
  readonly source: string
}

/**
 * Neither CephFS nor GlusterFS, though both were tried: what decides there whether hosts see each other's changes in time,
 * and how long a lost host holds the others up, are settings of servers and clients that no mount shows. So each cluster's
 * own check has to tell (docs/operations.md, "Mounts").
 */
const SHARED = /^nfs4?$/

/** It is a disk, memory, or a directory of this very host under another name. */
const LOCAL =
  /^(ext[234]|xfs|btrfs|zfs|bcachefs|f2fs|jfs|reiserfs|reiser4|nilfs2|minix|ubifs|jffs2|tmpfs|ramfs|rootfs|overlay|aufs|ecryptfs|fuse\.(fuse-overlayfs|fuse2fs|fuse-ext2|ntfs-3g|exfat|zfs-fuse|lxcfs|portal)|fuseblk|vfat|msdos|exfat|ntfs3?|hfs|hfsplus|squashfs|erofs|cramfs|romfs|iso9660|udf|devtmpfs)$/

interface Refused {
  readonly names: RegExp
  /** What it is and does, to follow a mount point and "is". */
  readonly why: string
}

const OBJECT_STORE =
  'an object store behind a cache of this host: its creates are not exclusive and its writes are sent later, so two masters win one term, and what was acknowledged is lost with the host'

/**
 * Names of the type behind `fuse.`, or of the source where a program leaves the type at plain `fuse`: goofys and old
 * gcsfuse show their bucket there, mountpoint-s3, blobfuse and fuse_dfs their own name, davfs2 a URL.
 */
const REFUSED: readonly Refused[] = [
  {
    names: /^(hadoop-)?fuse[_-]dfs$|^hdfs(-fuse|-mount|fuse)?$/,
    why: 'HDFS through FUSE (fuse-dfs), where an exclusive create is not exclusive, so two masters win one term: mount HDFS through its NFS gateway',
  },
  {
    names: /^rclone(fs)?$/,
    why: 'an rclone mount, which keeps writes, names and absences in a cache of this host: two hosts both win each exclusive create, and what was acknowledged is lost with the host',
  },
  {
    names:
      /^(s3fs|s3fs-fuse|goofys|geesefs|gcsfuse|mountpoint-s3|mount-s3|blobfuse2?|ossfs2?|cosfs|obsfs|tosfs|yas3fs|riofs|s3backer|cloudfuse|gcsf|adlsfuse|swiftfs|cloudfuse)$/,
    why: OBJECT_STORE,
  },
  {
    names: /^(s3ql|s3ql:.*)$/,
    why: 'S3QL, which one host may mount at a time and which sends its writes later',
  },
  {
    names: /^sshfs$/,
    why: 'sshfs, which keeps attributes and absences for 20 s and more, so a backup sees an old heartbeat and takes over from a living master',
  },
  {
    names: /^(davfs2?|webdavfs|wdfs|curlftpfs|ftpfs|rarchftpfs)$|^https?:\/\/|^ftps?:\/\//,
    why: 'a mount of WebDAV or FTP, which has no exclusive create and sends a file when it is closed: two masters win one term',
  },
  {
    names:
      /^(google-drive-ocamlfuse|gdfs|onedriver|dropbox|dbxfs|seadrive|pcloud(fs)?|megafs|ipfs)$/,
    why: 'a cloud drive behind a cache of this host: it has no exclusive create and sends its writes later',
  },
  {
    names: /^(gvfsd-fuse|smbnetfs|fusesmb|afpfs|mtpfs|simple-mtpfs|jmtpfs|ifuse)$/,
    why: 'a desktop’s mount of another device or share, which keeps attributes and writes of its own',
  },
  {
    names:
      /^(mergerfs|unionfs(-fuse)?|mhddfs|unionfs#.*|bindfs|encfs|gocryptfs|cryfs.*|securefs|cachefs|catfs|pcachefs)$/,
    why: 'a layer over other directories, which remembers names and attributes of its own and hides for a while what another host has changed below: use the directory below it',
  },
]

/** Not FUSE, and refused as well. */
const CODA = /^coda$/

const fuseName = (type: string): string | null =>
  type === 'fuse' ? '' : type.startsWith('fuse.') ? type.slice('fuse.'.length) : null

/** The last part of a path: fuse programs show themselves as they were called. */
const baseOf = (source: string): string =>
  source.includes('://') ? source : (source.split('/').at(-1) ?? source)

/** Why masters on several hosts can't share it, to follow a mount point and "is"; null where no list has it. */
export function refusedBecause({ type, source }: MountName): string | null {
  if (CODA.test(type)) return 'Coda, which goes on alone when it is cut off and merges later'
  const name = fuseName(type)
  if (name === null) return null
  // The name of the type is the program's own word; the source may be anything, and tells only where that is missing.
  const names = name === '' ? [baseOf(source), source.split('#')[0] ?? ''] : [name]
  const found = REFUSED.find((one) => names.some((candidate) => one.names.test(candidate)))
  if (found !== undefined) return found.why
  return /fuse[_-]dfs/.test(`${name} ${source}`) ? (REFUSED[0]?.why ?? null) : null
}

export function sharingOf(mount: MountName): SharingKind {
  if (refusedBecause(mount) !== null) return 'refused'
  if (SHARED.test(mount.type)) return 'shared'
  return LOCAL.test(mount.type) ? 'local' : 'unknown'
}

export interface MountOptions extends MountName {
  readonly mountPoint: string
  readonly options: string
}

/** Mount options under which the protocol's promises are weaker than its design assumes, a sentence each. */
export function mountWarnings(mount: MountOptions): string[] {
  const has = (name: string): boolean => mount.options.split(',').includes(name)
  const where = `${mount.mountPoint} (${mount.type})`
  const isNfs = /^nfs4?$/.test(mount.type)
  const isSmb = /^(cifs|smb3)$/.test(mount.type)
  const warnings: string[] = []
  if (isNfs && has('nocto')) {
    warnings.push(
      `${where} is mounted with nocto: an observer may look at an old heartbeat and take a living master for dead; mount it without`,
    )
  }
  const soft = ['soft', 'softerr', 'softreval'].find(has)
  if ((isNfs || isSmb) && soft === 'softreval') {
    warnings.push(
      `${where} is mounted with softreval: while the file server does not answer, old attributes are taken for fresh ones; mount it without`,
    )
  } else if ((isNfs || isSmb) && soft !== undefined) {
    warnings.push(
      `${where} is mounted with ${soft}: a write that the file server did not answer in time is given up, which can tear catalog and data files; mount it with hard`,
    )
  }
  if (isSmb && has('cache=loose')) {
    warnings.push(
      `${where} is mounted with cache=loose: hosts see each other's changes late; mount it with cache=strict`,
    )
  }
  return warnings
}
