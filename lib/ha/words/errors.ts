/**
 * The closed list of what can go wrong in the HA library. Anything caught is turned into one of these at the border
 * (`disk.ts`, `keeper-process.ts`) and keeps its cause; nothing is swallowed.
 */
import { errnoOf } from '../world/file-handle.ts'

/** What each code means. The list is closed: docs/errors.md is made from it. */
export const HA_ERRORS = {
  BAD_TIMING: 'A set of periods breaks an inequality of the protocol.',
  BAD_DIRECTORY:
    "The HA directory holds something that this version doesn't understand, or it belongs to another cluster.",
  BAD_STORAGE: "The shared directory can't do what the protocol needs.",
  ADDRESS_IN_USE: "Another live master uses this master's address.",
  CATALOG_DIFFERS: "This master's catalog differs from the cluster's.",
  NOT_ACTIVE: "The call needs the active master, and this one isn't, or not any more.",
  UNSAFE:
    "Doing it would be unsafe, or the storage refuses it: there is nobody to hand over to, a master lives, or something can't be read or written.",
  TIMEOUT: 'It was not done within the time that was given for it.',
  KEEPER_FAILED: 'The keeper process could not be started, or it died too often.',
} as const

export type HaErrorCode = keyof typeof HA_ERRORS

/** This is an error of this library. `code` is stable, `message` is for people and says what to do. */
export class HaError extends Error {
  readonly code: HaErrorCode
  constructor(code: HaErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'HaError'
    this.code = code
  }
}

/** A file call that failed for another reason than a missing name (`ports.ts`, Disk). `errno` is the system's name, such as EIO. */
export class DiskError extends Error {
  readonly errno: string
  readonly path: string
  /** A create that made the file and could not fill it: it stands there, torn, and it is ours. */
  readonly made: boolean
  constructor(
    errno: string,
    path: string,
    message: string,
    options?: { cause?: unknown; made?: boolean },
  ) {
    super(message, options)
    this.name = 'DiskError'
    this.errno = errno
    this.path = path
    this.made = options?.made ?? false
  }
}

const NO_SPACE = ['ENOSPC', 'EDQUOT']

/** Nothing more can be written: the disk or its inodes are used up, or a quota is. */
export const isNoSpace = (thrown: unknown): thrown is DiskError =>
  thrown instanceof DiskError && NO_SPACE.includes(thrown.errno)

/** A directory stands where a file was looked for: the storage answers. */
export const isDirectory = (thrown: unknown): boolean =>
  (thrown instanceof DiskError ? thrown.errno : errnoOf(thrown)) === 'EISDIR'

/** `isNoSpace` of any error, ours or not, by what it was caused by. */
export function comesOfNoSpace(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  const { errno } = thrown as { errno?: unknown }
  const name = typeof errno === 'string' ? errno : errnoOf(thrown)
  return NO_SPACE.includes(name) || comesOfNoSpace(thrown.cause)
}

/**
 * The storage itself said no: nothing of the call will happen later. After any other error (EIO, a stale handle) a create
 * may still land.
 */
export const isDefinite = (thrown: unknown): thrown is DiskError =>
  isNoSpace(thrown) || (thrown instanceof DiskError && thrown.errno === 'EROFS')

/** The sentence in whatever was thrown. */
export const messageOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown)
