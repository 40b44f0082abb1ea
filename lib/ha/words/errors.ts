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

/** What went wrong, for programs: what each code means is in docs/errors.md, under "The HA library". */
export type HaErrorCode = keyof typeof HA_ERRORS

/** This is an error of this library. `code` is stable, `message` is for people and says what to do. */
export class HaError extends Error {
  /** What went wrong; stable between versions. */
  readonly code: HaErrorCode
  /** `options.cause`: the error that it comes of. */
  constructor(code: HaErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'HaError'
    this.code = code
  }
}

/** Anything thrown as one of these: what has no code gets `code`. */
export const asHaError = (thrown: unknown, code: HaErrorCode): HaError =>
  thrown instanceof HaError ? thrown : new HaError(code, messageOf(thrown), { cause: thrown })

/** A call on the shared directory that failed for another reason than a name that is missing there. */
export class DiskError extends Error {
  /** The system's name of the error, such as `EIO` or `ENOSPC`. */
  readonly errno: string
  /** What it was about: a file or a directory. */
  readonly path: string
  /** A create that made the file and could not fill it: it stands there, torn, and it is ours. */
  readonly made: boolean
  /** `options.cause`: the system's own error. `options.made`: false by default. */
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

/** Whether an error is EISDIR: a directory stands where a file was looked for, so the storage answers. */
export const isDirectory = (thrown: unknown): boolean =>
  (thrown instanceof DiskError ? thrown.errno : errnoOf(thrown)) === 'EISDIR'

/** Whether an error says, or was caused by one that says, that nothing more can be written: ENOSPC, or EDQUOT for a quota. */
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
