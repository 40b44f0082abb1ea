/**
 * What HDFS's NFS gateway does to files (seen with Hadoop 3.4.2), around a directory in memory: each host has a gateway of
 * its own, and what was read once through one while it grew gives EIO there for everything beyond that length, for good.
 * A file can't be cut, and the create of a name that is there says EIO.
 */
import { FileError, type Files, type NewFile } from '../../lib/catalog/shared/files.ts'
import type { MemDirectory } from './mem-files.ts'

/** One gateway: of each file, how long it was when it was read first. */
export type Gateway = Map<string, number>

/** Whether it gives what is asked for; it remembers a file that was not read before. Reads of nothing ask nobody. */
function gives(gateway: Gateway, file: string, { size, upTo }: { size: number; upTo: number }) {
  const end = Math.min(upTo, size)
  if (end <= 0) return true
  const known = gateway.get(file) ?? size
  gateway.set(file, known)
  return end <= known
}

/** Reading through it what others write into a real directory; `onRead` hears of each read, given or not. */
export function gatewayReads(
  inner: Files,
  gateway: Gateway,
  onRead: (path: string) => void = () => {},
): Files {
  const through = async <T>(path: string, upTo: number, read: () => Promise<T>): Promise<T> => {
    onRead(path)
    const seen = await inner.lookAt(path)
    if (seen === 'missing') return read()
    if (gives(gateway, `${path}#${seen.fileId}`, { size: seen.bytes, upTo })) return read()
    throw new FileError('EIO', `can't read ${path}: EIO`)
  }
  return {
    ...inner,
    growingFilesReadable: async () => false,
    read: (path) => through(path, Number.POSITIVE_INFINITY, () => inner.read(path)),
    readAt: (path, position, length) =>
      through(path, position + length, () => inner.readAt(path, position, length)),
  }
}

export interface GatewayOptions {
  readonly gateway: Gateway
  /** What its users are told of it. */
  readonly growingFilesReadable?: boolean
  /** Runs before each call that changes something, and in the middle of each write, when the first half has landed. */
  readonly between?: () => Promise<void>
}

export function gatewayFiles(inner: Files, disk: MemDirectory, options: GatewayOptions): Files {
  const { gateway, growingFilesReadable = false, between = async () => {} } = options
  const refuse = (call: string, path: string, errno: string): never => {
    throw new FileError(errno, `can't ${call} ${path}: ${errno}`)
  }
  /** Reads of nothing ask nobody. */
  const readThrough = (path: string, upTo: number): void => {
    const key = `${path}#${disk.ids.get(path)}`
    const size = disk.files.get(path)?.length ?? 0
    if (!gives(gateway, key, { size, upTo })) refuse('read', path, 'EIO')
  }
  const through = (file: NewFile): NewFile => ({
    get written() {
      return file.written
    },
    write: async (bytes) => {
      const half = Math.floor(bytes.length / 2)
      await between()
      await file.write(bytes.subarray(0, half))
      await between()
      await file.write(bytes.subarray(half))
    },
    cutTo: async () => refuse('cut', file.written.path, 'EINVAL'),
    sync: () => file.sync(),
    close: () => file.close(),
  })

  return {
    ...inner,
    growingFilesReadable: async () => growingFilesReadable,
    create: async (path, how) => {
      await between()
      const file = await inner.create(path, how)
      return file === 'exists' ? refuse('create', path, 'EIO') : through(file)
    },
    read: async (path) => {
      const found = await inner.read(path)
      if (found !== 'missing') readThrough(path, Number.POSITIVE_INFINITY)
      return found
    },
    readWhole: async (path, bytes) => {
      const found = await inner.readWhole(path, bytes)
      if (found !== 'missing' && found !== 'short') readThrough(path, bytes)
      return found
    },
    readAt: async (path, position, length) => {
      const found = await inner.readAt(path, position, length)
      if (found !== 'missing') readThrough(path, position + length)
      return found
    },
    unlink: async (path) => {
      await between()
      return inner.unlink(path)
    },
  }
}
