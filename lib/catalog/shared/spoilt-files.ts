/**
 * Files of which this host's NFS gateway gives only the beginning. HDFS's gateway answers EIO for everything beyond the
 * length that a file had when it was read first, until the gateway is restarted or nobody has asked it for the file for ten
 * minutes (seen with Hadoop 3.4.2). Each try starts those minutes anew, so a file that was met like that is told with the
 * cure, and not asked for until they are surely over.
 */
import type { Clock } from '../../base/clock.ts'
import { FileError, type Files } from './files.ts'

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
