/**
 * The files of the shared catalog, as an argument, so that tests can break every single call; and the real ones.
 *
 * - On NFS everything is opened and created with O_DIRECT, as lib/ha does and for its reason: otherwise the server hands
 *   out a delegation, and a host that loses power while it holds one blocks the file for everybody for minutes. NFS
 *   sets no alignment for it; other file systems do, and have no delegations: there it is left out.
 * - A journal is written at its own position, not with O_APPEND, which NFS refuses together with O_DIRECT; it has one
 *   writer. O_DSYNC makes a write durable before it answers.
 * - An open file proves nothing about its name: on NFS a removal on the writer's own host only renames it (its link count
 *   stays 1), on HDFS's gateway that count is always 1. So what was written is looked for by its name: `lookAt`.
 * - `missing` is ENOENT and nothing else. A stale handle (ESTALE) is asked for again by name, then it is an error.
 * - No call has a time limit: a file call on a dead mount can't be taken back.
 *
 * Files of which this host's NFS gateway gives only the beginning. HDFS's gateway answers EIO for everything beyond the
 * length that a file had when it was read first, until the gateway is restarted or nobody has asked it for the file for ten
 * minutes (seen with Hadoop 3.4.2). Each try starts those minutes anew, so a file that was met like that is told with the
 * cure, and not asked for until they are surely over.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, readdir, rmdir, stat, unlink } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { Clock } from '../../base/time.ts'
import {
  errnoOf,
  fileSystemOf,
  listAnew,
  makeDirs,
  profileOn,
  syncIfKnown,
  systemWords,
  withFile,
} from '../../ha/index.ts'

/** The same files; a read of a spoilt one rejects with SpoiltError, and asks the gateway for it no more than once. */
export function leavingSpoilt(files: Files, spoilt: SpoiltFiles): Files {
  const unspoilt = async <T>(path: string, read: () => Promise<T>): Promise<T> => {
    if (spoilt.has(path)) throw new SpoiltError(path)
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof FileError) || error.errno !== 'EIO') throw error
      if ((await files.growingFilesReadable?.()) ?? true) throw error
      if (!(await isBegun(files, path))) throw error
      spoilt.add(path)
      throw new SpoiltError(path, { cause: error })
    }
  }
  return {
    ...files,
    read: (path) => unspoilt(path, () => files.read(path)),
    readWhole: (path, bytes) => unspoilt(path, () => files.readWhole(path, bytes)),
    readAt: (path, position, length) => unspoilt(path, () => files.readAt(path, position, length)),
  }
}

/** Whether its first byte can be read: then it is no gateway that is away. */
const isBegun = (files: Files, path: string): Promise<boolean> =>
  files.readAt(path, 0, 1).then(
    (read) => read !== 'missing' && read.length === 1,
    () => false,
  )

/** A file call that failed. `errno` is the system's name, such as EIO. */
export class FileError extends Error {
  readonly errno: string
  constructor(errno: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'FileError'
    this.errno = errno
  }
}

const NO_SPACE = ['ENOSPC', 'EDQUOT', 'EFBIG']
export const isNoSpace = (error: unknown): boolean =>
  error instanceof FileError && NO_SPACE.includes(error.errno)

/** Where something else than a file of ours has taken the place of a name, or of a directory above it. */
const NO_FILE = ['EISDIR', 'ENOTDIR', 'ELOOP', 'ENXIO']
export const isNoFile = (error: unknown): error is FileError =>
  error instanceof FileError && NO_FILE.includes(error.errno)

/** What was written under a name, so that it can be looked for there (by-name.ts). */
export interface Written {
  readonly path: string
  /** Of the open file; tells two files of one name apart where the mount keeps it. */
  readonly fileId: string
  readonly bytes: number
  /** The last bytes before that: what another file of this name would not have. */
  readonly tail: Buffer
}

/** A file that was just created, open for its one writer. */
export interface NewFile {
  /** What stands there for certain: without a write that rejected. */
  readonly written: Written
  /** Writes at the end. When it rejects, nothing is known of what stands there. */
  write(bytes: Buffer): Promise<void>
  /** Removes what was written beyond `bytes`, durably. */
  cutTo(bytes: number): Promise<void>
  /** Does fsync. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** Paths are absolute. Everything but the answers named here rejects with a FileError. */
export interface Files {
  /** Does mkdir -p. */
  makeDirs(path: string): Promise<void>
  list(path: string): Promise<string[] | 'missing'>
  /** The device that a path is on, or what exists above it: another one where its mount was taken away. */
  deviceOf?(path: string): Promise<number>
  /** This is the exclusive create. `durable`: each write is on the disk when it answers; else `sync` is needed. */
  create(path: string, options: { durable: boolean }): Promise<NewFile | 'exists'>
  /**
   * Whether one process may read what another still appends to; left out, it may. Where it may not (HDFS through its NFS
   * gateway) whoever reads once spoils the file for all of that gateway's hosts.
   */
  growingFilesReadable?(): Promise<boolean>
  /** The whole file, as it is now. */
  read(path: string): Promise<Buffer | 'missing'>
  /** The whole file, of so many bytes; of one that is `short` of them not a byte is read. */
  readWhole(path: string, bytes: number): Promise<Buffer | 'missing' | 'short'>
  /** `length` bytes from `position` on, or fewer where it ends before. */
  readAt(path: string, position: number, length: number): Promise<Buffer | 'missing'>
  /** What the name leads to now, asked of the server: open + fstat. */
  lookAt(path: string): Promise<Pick<Written, 'bytes' | 'fileId'> | 'missing'>
  unlink(path: string): Promise<'unlinked' | 'missing'>
  removeDir(path: string): Promise<'removed' | 'missing' | 'kept'>
  /** fsync of a directory, where the file system knows it. */
  syncDir(path: string): Promise<void>
}

const STALE_TRIES = 3
const WRITE_BYTES = 4 * 1024 * 1024
const TAIL_BYTES = 256

/**
 * These are files on the real disk. What `directory` is on decides whether O_DIRECT is used, and which rules hold; it
 * need not exist yet. `below` and what it lies in is never made: where it is missing its mount is gone.
 */
export function openFiles(directory: string, below = '/'): Files {
  const fileSystem = once(() => fileSystemOf(directory))
  const profile = once(async () => profileOn(await fileSystem(), directory))
  const directFlag = async (): Promise<number> =>
    (await fileSystem()).isNfs ? constants.O_DIRECT : 0
  /** An EIO that stands for EEXIST, by the storage's profile. */
  const isThere = async (path: string, error: unknown): Promise<boolean> => {
    if (!isErrno(error, 'EIO') || !(await profile()).eioMayMeanExists) return false
    return (await attempt('list', dirname(path), () => readdir(dirname(path)))).includes(
      basename(path),
    )
  }
  const openWith = async (path: string, flags: number): Promise<FileHandle> =>
    open(path, flags | (await directFlag()), 0o600)
  const readWith = <T>(path: string, use: (file: FileHandle) => Promise<T>) =>
    orMissing(
      attempt('read', path, async () => {
        const file = await openWith(path, constants.O_RDONLY)
        return withFile(file, () => use(file))
      }),
    )

  return {
    growingFilesReadable: () =>
      attempt('look at', directory, async () => (await profile()).readsGrowingFiles),
    makeDirs: (path) => attempt('make', path, () => makeDirs(path, 0o700, below)),
    deviceOf: (path) => attempt('look at', path, () => deviceAbove(path)),
    list: (path) => orMissing(attempt('list', path, () => listAnew(path))),
    create: async (path, { durable }) => {
      const { O_CREAT, O_EXCL, O_WRONLY, O_DSYNC } = constants
      const flags = O_CREAT | O_EXCL | O_WRONLY | (durable ? O_DSYNC : 0)
      let file: FileHandle
      try {
        file = await attempt('create', path, () => openWith(path, flags))
      } catch (error) {
        if (isErrno(error, 'EEXIST') || (await isThere(path, error))) return 'exists'
        throw error
      }
      return newFile(path, file, await identityOf(path, file))
    },
    read: (path) => readWith(path, readAll),
    readWhole: (path, bytes) =>
      readWith(path, async (file) => {
        const { size } = await file.stat()
        return size < bytes ? ('short' as const) : readFirst(file, bytes)
      }),
    readAt: (path, position, length) => readWith(path, (file) => readPart(file, position, length)),
    lookAt: (path) =>
      orMissing(
        attempt('look at', path, async () => {
          const file = await openWith(path, constants.O_RDONLY)
          return withFile(file, async () => {
            const { ino, size } = await file.stat({ bigint: true })
            return { bytes: Number(size), fileId: String(ino) }
          })
        }),
      ),
    unlink: (path) =>
      orMissing(
        attempt('unlink', path, async () => {
          await unlink(path)
          return 'unlinked' as const
        }),
      ),
    removeDir: async (path) => {
      try {
        await attempt('remove', path, () => rmdir(path))
        return 'removed'
      } catch (error) {
        if (isErrno(error, 'ENOENT')) return 'missing'
        if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return 'kept'
        throw error
      }
    },
    syncDir: (path) =>
      attempt('sync', path, async () => {
        const file = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
        await withFile(file, () => syncIfKnown(file))
      }),
  }
}

/** Asks once; a failure is not kept, so that the next call asks again. */
function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | null = null
  return () => {
    asked ??= ask().catch((error: unknown) => {
      asked = null
      throw error
    })
    return asked
  }
}

/** A file that can't be told apart later is given up at once: nothing stands in it yet. */
async function identityOf(path: string, file: FileHandle): Promise<string> {
  try {
    return await attempt('look at', path, async () =>
      String((await file.stat({ bigint: true })).ino),
    )
  } catch (error) {
    void file.close().catch(() => undefined)
    throw error
  }
}

function newFile(path: string, file: FileHandle, fileId: string): NewFile {
  let end = 0
  let tail = Buffer.alloc(0)
  return {
    get written() {
      return { path, fileId, bytes: end, tail }
    },
    write: (bytes) =>
      attempt(
        'write',
        path,
        async () => {
          let done = 0
          while (done < bytes.length) {
            const length = Math.min(WRITE_BYTES, bytes.length - done)
            const { bytesWritten } = await file.write(bytes, done, length, end + done)
            done += bytesWritten
          }
          end += bytes.length
          tail = Buffer.from(bytes.subarray(-TAIL_BYTES))
        },
        1,
      ),
    cutTo: (bytes) =>
      attempt(
        'cut',
        path,
        async () => {
          await file.truncate(bytes)
          await file.sync()
          end = bytes
        },
        1,
      ),
    sync: () => attempt('sync', path, () => file.sync(), 1),
    close: () => attempt('close', path, () => file.close(), 1),
  }
}

/** What the file held when it was opened, which asks the server; later bytes are not waited for. */
async function readAll(file: FileHandle): Promise<Buffer> {
  const { size } = await file.stat()
  return readFirst(file, size)
}

/** A file that is cut off meanwhile ends earlier; one that isn't must not seem to. */
async function readFirst(file: FileHandle, length: number): Promise<Buffer> {
  const read = await readPart(file, 0, length)
  if (read.length === length || (await file.stat()).size < length) return read
  const message = `only ${read.length} of its ${length} bytes can be read`
  throw Object.assign(new Error(message), { code: 'EIO' })
}

async function readPart(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return buffer.subarray(0, done)
}

async function deviceAbove(path: string): Promise<number> {
  for (let above = path; ; above = dirname(above)) {
    try {
      return (await stat(above)).dev
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || dirname(above) === above) throw error
    }
  }
}

/** Calls by path are repeated when they meet a stale handle: the name may lead to another one by now. */
async function attempt<T>(
  verb: string,
  path: string,
  call: () => Promise<T>,
  tries = STALE_TRIES,
): Promise<T> {
  for (let left = tries - 1; ; left -= 1) {
    try {
      return await call()
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === 'ESTALE' && left > 0) continue
      const message = `can't ${verb} ${path}: ${systemWords(error)}`
      throw new FileError(errno, message, { cause: error })
    }
  }
}

async function orMissing<T>(call: Promise<T>): Promise<T | 'missing'> {
  try {
    return await call
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 'missing'
    throw error
  }
}

const isErrno = (error: unknown, ...errnos: string[]): boolean =>
  error instanceof FileError && errnos.includes(error.errno)

/** What the gateway takes to forget it, and a minute. */
const FORGOTTEN_MS = 11 * 60_000

/** Its message says what it is, and the cure, for people. */
export class SpoiltError extends FileError {
  constructor(path: string, options?: ErrorOptions) {
    super('EIO', spoiltText(path), options)
    this.name = 'SpoiltError'
  }
}

const spoiltText = (path: string): string =>
  `can't read ${path} to its end (EIO), though its beginning can be read: somebody read it through this host's NFS gateway while it still grew, and for its end the gateway has nothing but that error until it is restarted. Restart the gateway, then this process; or have nobody read the file for 11 minutes, after which it is tried again. Masters of other hosts, with gateways of their own, can open it`

/** Those that were met, so that nobody in this process asks for them. */
export class SpoiltFiles {
  readonly #clock: Clock
  readonly #metMs = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether it must be left alone now. */
  has(path: string): boolean {
    const metMs = this.#metMs.get(path)
    if (metMs === undefined) return false
    if (this.#clock.nowMs() - metMs < FORGOTTEN_MS) return true
    this.#metMs.delete(path)
    return false
  }

  /** It was met just now. */
  add(path: string): void {
    this.#metMs.set(path, this.#clock.nowMs())
  }
}
