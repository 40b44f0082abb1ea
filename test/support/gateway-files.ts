/**
 * What HDFS's NFS gateway does to files (seen with Hadoop 3.4.2), around a directory in memory: each host has a gateway of
 * its own, and what was read once through one while it grew gives EIO there for everything beyond that length, for good.
 * A file can't be cut, and the create of a name that is there says EIO.
 */
import { FileError, type Files, type NewFile } from '../../lib/catalog/files.ts'
import type { MemDirectory } from './mem-files.ts'

/** One gateway: of each file, how long it was when it was read first. */
export type Gateway = Map<string, number>

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
    const end = Math.min(upTo, size)
    if (end === 0) return
    const known = gateway.get(key)
    if (known === undefined) gateway.set(key, size)
    else if (end > known) refuse('read', path, 'EIO')
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
