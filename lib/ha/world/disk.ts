/**
 * The shared directory on a real mount is `Disk` on node:fs.
 *
 * - On NFS every file is opened and created with O_DIRECT. Without it the server hands out a delegation, and a host
 *   that loses power while it holds one blocks everybody's renewals of that file for the server's lease time (103 s
 *   were seen). It also makes a read ask the server and a write reach it.
 * - A renewal is utimes by path, then a look at the link count. By path, because through an open file it would go on
 *   succeeding after the unlink. And the link count, because on NFS utimes succeeds once more after another host's
 *   unlink when anybody, anywhere, has the file open, be it a backup in the middle of a look or one that died in it
 *   (seen on NFSv4.2, Linux 6.1: the client asks by file handle, and the server keeps the file while it is open). The
 *   reply to that utimes tells the client that no link is left, so the stat after it needs no further round trip. It says
 *   as well which inode it was.
 * - mtimes are kept to the microsecond, which is what utimes takes; a number of milliseconds near today has no finer
 *   fraction anyhow.
 * - Voiding terms on a local disk is the one work that is done without the file threads: there may be thousands, a thread's
 *   round costs ten times the call itself, and nobody who does it holds a term that a master serves. The event loop gets
 *   its turn in between.
 * - No call has a time limit: a file call on a dead mount can't be taken back. Callers keep one in flight and time it.
 */
import { randomFillSync } from 'node:crypto'
import {
  type BigIntStats,
  close as closeFile,
  closeSync,
  constants,
  open as openFile,
  openSync,
  rmdirSync,
} from 'node:fs'
import {
  type FileHandle,
  open,
  readdir,
  rename,
  rmdir,
  stat,
  statfs,
  unlink,
  utimes,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { DiskError } from '../words/errors.ts'
import { makeDirs, OWN_DIRECTORY } from './directories.ts'
import { errnoOf, syncIfKnown, systemWords, withFile } from './file-handle.ts'
import { fileSystemOf } from './file-system.ts'
import { makeDirOnce } from './make-dir-once.ts'
import type { Disk, Purpose } from './ports.ts'
import { PLAIN, profiledDisk, profileOn, type StorageProfile } from './storage-profile.ts'

const MAX_READ_BYTES = 1024 * 1024
/** The secret is there, and whoever could write there could end a term, or take one. */
const OWN_FILE = 0o600

/** So many calls in a row don't leave the event loop its turn: some milliseconds. */
const CALLS_IN_A_ROW = 100
const isBulk = (purpose: Purpose): boolean => purpose === 'void' || purpose === 'end-below'

export interface DiskOptions {
  /**
   * Open files with O_DIRECT, and ask by opening. Left out, the file system decides at the first call: on NFS yes,
   * elsewhere no, and on a local disk a look is a plain stat.
   */
  readonly direct?: boolean
  /** Left out, it is recognised at the first call that a rule of it may bear on. */
  readonly profile?: StorageProfile
}

/** Opens nothing yet: the first call touches `directory` (absolute), whose parent must exist by then. */
export function openDisk(directory: string, options: DiskOptions = {}): Disk {
  const mount = mountFacts(directory, options)
  return profiledDisk(plainDisk(directory, mount), async () => (await mount()).profile)
}

/** Without the rules of its storage's profile, for whoever tries whether they hold: `-checkSharedDir`. */
export const openPlainDisk = (directory: string): Disk =>
  plainDisk(directory, mountFacts(directory, {}))

function plainDisk(directory: string, mount: () => Promise<MountFacts>): Disk {
  const at = (path: string): string => join(directory, path)
  let calls = 0
  const inTurn = async (): Promise<void> => {
    calls += 1
    if (calls % CALLS_IN_A_ROW === 0) await nextTurn()
  }

  /** Runs one call and turns its failure into `missing` or a DiskError. */
  async function attempt<T>(
    verb:
      | 'create'
      | 'fill'
      | 'touch'
      | 'look at'
      | 'read'
      | 'list'
      | 'unlink'
      | 'replace'
      | 'remove',
    purpose: Purpose,
    path: string,
    call: () => Promise<T>,
    isMade = () => false,
  ) {
    try {
      return await call()
    } catch (error) {
      const errno = errnoOf(error)
      // A stale handle ends a lease and sends an observer to look anew. An unlink that met one has ended nothing.
      const gone = errno === 'ESTALE' && (verb === 'touch' || verb === 'look at')
      if (errno === 'ENOENT' || gone) return 'missing' as const
      throw diskError({ verb, purpose, path: at(path), errno, cause: error, made: isMade() })
    }
  }
  /** The same for an empty file, in a third of the work: a take-over may have thousands of terms to close. */
  async function makeEmpty(
    purpose: Purpose,
    path: string,
  ): Promise<'created' | 'exists' | 'missing'> {
    return attempt('create', purpose, path, async () => {
      const { directFlag, isLocal } = await mount()
      const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | directFlag
      if (isLocal && isBulk(purpose)) {
        await inTurn()
        return makeEmptyNow(at(path), flags)
      }
      return new Promise<'created' | 'exists'>((resolve, reject) => {
        openFile(at(path), flags, OWN_FILE, (error, file) => {
          if (error !== null) {
            if (errnoOf(error) === 'EEXIST') resolve('exists')
            else reject(error)
          } else closeFile(file, (failed) => (failed ? reject(failed) : resolve('created')))
        })
      })
    })
  }
  /** Makes it exclusively and writes with `use`. */
  async function make(
    purpose: Purpose,
    path: string,
    use: (file: FileHandle) => Promise<void>,
  ): Promise<'created' | 'exists' | 'missing'> {
    let made = false
    const call = async (): Promise<'created' | 'exists'> => {
      const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY
      let file: FileHandle
      try {
        file = await open(at(path), flags | (await mount()).directFlag, OWN_FILE)
      } catch (error) {
        if (errnoOf(error) === 'EEXIST') return 'exists'
        throw error
      }
      // When this fails the file stays, torn: its existence has told the others already.
      made = true
      await withFile(file, () => use(file))
      return 'created'
    }
    return attempt('create', purpose, path, call, () => made)
  }
  /** The same for calls that have no word for a missing directory. */
  async function demand<T>(verb: string, purpose: Purpose, path: string, call: () => Promise<T>) {
    try {
      return await call()
    } catch (error) {
      throw diskError({ verb, purpose, path: at(path), errno: errnoOf(error), cause: error })
    }
  }
  const openToRead = async (path: string): Promise<FileHandle> =>
    open(at(path), constants.O_RDONLY | (await mount()).directFlag)

  return {
    makeTermDir: (purpose, path) => demand('make', purpose, path, () => makeDirOnce(at(path))),

    // What is above it is on the disk below where the mount is gone, and is never made here.
    makeDirs: (purpose, path) =>
      demand('make', purpose, path, () => makeDirs(at(path), OWN_DIRECTORY, dirname(directory))),

    create: (purpose, path, text) =>
      text === '' ? makeEmpty(purpose, path) : make(purpose, path, (file) => file.writeFile(text)),

    fill: (purpose, path, text) =>
      attempt('fill', purpose, path, async () => {
        const file = await open(
          at(path),
          constants.O_WRONLY | constants.O_NOFOLLOW | (await mount()).directFlag,
        )
        await withFile(file, () => file.writeFile(text))
        return 'filled' as const
      }),

    occupy: (purpose, path, bytes) => make(purpose, path, (file) => writeNoise(file, bytes)),

    space: () =>
      demand('ask for the space of', 'reserve', '.', async () => {
        const { bsize, blocks, bavail, files, ffree } = await statfs(directory)
        const counts = files > 0
        return {
          freeBytes: bavail * bsize,
          totalBytes: blocks * bsize,
          freeFiles: counts ? ffree : null,
          totalFiles: counts ? files : null,
        }
      }),

    touch: (purpose, path, mtimeMs, sameAs) =>
      attempt('touch', purpose, path, async () => {
        const seconds = toUtimesSeconds(mtimeMs)
        await utimes(at(path), seconds, seconds)
        const after = await stat(at(path), { bigint: true })
        if (after.nlink === 0n) return 'missing' as const
        const isOther = sameAs !== undefined && String(after.ino) !== sameAs
        return isOther ? ('replaced' as const) : ('touched' as const)
      }),

    glimpse: (purpose, path) =>
      attempt('look at', purpose, path, async () => {
        const seen = (await mount()).isLocal
          ? await stat(at(path), { bigint: true })
          : await statOpened(await openToRead(path))
        if (seen.nlink === 0n) return 'missing'
        return { mtimeMs: Number(seen.mtimeNs / 1000n) / 1000, fileId: String(seen.ino) }
      }),

    read: (purpose, path) =>
      attempt('read', purpose, path, async () => {
        const file = await openToRead(path)
        return await withFile(file, () => readText(file))
      }),

    list: (purpose, path) => attempt('list', purpose, path, () => readdir(at(path))),

    unlink: (purpose, path) =>
      attempt('unlink', purpose, path, async () => {
        await unlink(at(path))
        return 'unlinked' as const
      }),

    replace: (purpose, path, by) =>
      attempt('replace', purpose, path, async () => {
        const made = await openToRead(by)
        await withFile(made, () => syncIfKnown(made))
        try {
          await rename(at(by), at(path))
        } catch (error) {
          if (CANNOT_REPLACE.has(errnoOf(error))) return 'refused' as const
          throw error
        }
        await syncDirectory(dirname(at(path)))
        return 'replaced' as const
      }),

    removeDir: (purpose, path) =>
      attempt('remove', purpose, path, async () => {
        try {
          if ((await mount()).isLocal && isBulk(purpose)) {
            await inTurn()
            rmdirSync(at(path))
          } else await rmdir(at(path))
          return 'removed' as const
        } catch (error) {
          const errno = errnoOf(error)
          if (errno === 'ENOTEMPTY' || errno === 'EEXIST') return 'kept' as const
          throw error
        }
      }),

    syncDir: (purpose, path) => demand('sync', purpose, path, () => syncDirectory(at(path))),
  }
}

/** What a storage answers that renames over no file. HDFS's gateway says EIO, which its profile knows. */
const CANNOT_REPLACE: ReadonlySet<string> = new Set([
  'EEXIST',
  'EINVAL',
  'ENOSYS',
  'ENOTSUP',
  'EPERM',
])

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  await withFile(directory, () => syncIfKnown(directory))
}

function makeEmptyNow(path: string, flags: number): 'created' | 'exists' {
  try {
    closeSync(openSync(path, flags, OWN_FILE))
    return 'created'
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return 'exists'
    throw error
  }
}

interface MountFacts {
  readonly directFlag: number
  /** Nothing is cached beside the one true inode: a stat by path is as fresh as an open, and a third of the work. */
  readonly isLocal: boolean
  readonly profile: StorageProfile
}

/** Asks once; a failed answer is not kept, so that the next call asks again. */
function mountFacts(
  directory: string,
  { direct, profile }: DiskOptions,
): () => Promise<MountFacts> {
  let facts: MountFacts | null =
    direct === undefined
      ? null
      : { directFlag: flagFor(direct), isLocal: false, profile: profile ?? PLAIN }
  return async () => {
    if (facts !== null) return facts
    const fileSystem = await fileSystemOf(directory)
    const { isNfs, sharing } = fileSystem
    facts = {
      directFlag: flagFor(isNfs),
      isLocal: sharing === 'local',
      profile: profile ?? (await profileOn(fileSystem, directory)),
    }
    return facts
  }
}
const flagFor = (direct: boolean): number => (direct ? constants.O_DIRECT : 0)

const statOpened = (file: FileHandle): Promise<BigIntStats> =>
  withFile(file, () => file.stat({ bigint: true }))

/** What the file held when it was opened; the size is as fresh as the open. */
async function readText(file: FileHandle): Promise<string> {
  const { size } = await file.stat()
  if (size > MAX_READ_BYTES) {
    const message = `it has ${size} bytes, at most ${MAX_READ_BYTES} are read`
    throw Object.assign(new Error(message), { code: 'EFBIG' })
  }
  const buffer = Buffer.alloc(size)
  let length = 0
  while (length < size) {
    const { bytesRead } = await file.read(buffer, length, size - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return buffer.toString('utf8', 0, length)
}

/** utimes cuts to the microsecond: half of one more keeps the binary fraction from falling below the value meant. */
const toUtimesSeconds = (mtimeMs: number): number => (mtimeMs * 1000 + 0.5) / 1e6

const NOISE_BYTES = 1024 * 1024

/** Random bytes, since a file system that compresses would keep no room for anything else; on the disk when done. */
async function writeNoise(file: FileHandle, bytes: number): Promise<void> {
  const noise = Buffer.alloc(Math.min(bytes, NOISE_BYTES))
  for (let done = 0; done < bytes; ) {
    randomFillSync(noise)
    const length = Math.min(noise.length, bytes - done)
    const { bytesWritten } = await file.write(noise, 0, length, done)
    done += bytesWritten
  }
  await file.sync()
}

function diskError(failed: {
  verb: string
  purpose: Purpose
  path: string
  errno: string
  cause: unknown
  made?: boolean
}): DiskError {
  const { verb, purpose, path, errno, cause, made = false } = failed
  const text = `can't ${verb} ${path} (${purpose}): ${systemWords(cause)}`
  return new DiskError(errno, path, text, { cause, made })
}
