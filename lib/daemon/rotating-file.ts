/**
 * A log file that never grows without bound and never makes its writer wait.
 *
 * Lines go through a bounded queue to asynchronous writes, so that a full or hanging disk costs lines, never the event
 * loop; how many were lost is told when it works again. Before it would pass `maxBytes` the file becomes `.1`, `.1`
 * becomes `.2`, and so on up to `keep` old files. `reopen` is for those who rotate by other means and send SIGHUP.
 *
 * Two masters may write one file, each from its own process: whoever finds another file under the name than the one it
 * has open goes on in that one, and a lock beside the file lets one rotate at a time. Without them a quiet writer would
 * go on in a file that has been removed, and two rotations at once would write one old file over another.
 *
 * Nothing is written through a link under its name: who made the link would say which file of this user's is written. Its
 * directory is there, and its user's alone (log.ts).
 */
import {
  close,
  constants,
  fchmodSync,
  fstatSync,
  ftruncate,
  open,
  openSync,
  rename,
  type Stats,
  stat,
  statSync,
  write,
  writeSync,
} from 'node:fs'
import { promisify } from 'node:util'
import lockfile from 'proper-lockfile'
import { shellWord } from '../base/own-place.ts'

const openFile = promisify(open)
const closeFile = promisify(close)
const renameFile = promisify(rename)
const truncateFile = promisify(ftruncate)
const writeFile = promisify(write)
const statFile = promisify(stat)

interface RotatingLimits {
  readonly maxBytes: number
  /** Old files beside the current one; 0 begins the one file anew. */
  readonly keep: number
}

interface RotatingOptions extends RotatingLimits {
  /** The line that tells of lost ones. */
  readonly lostLine: (count: number) => string
  /** Of the file, which is given it where it has another one; left out, what a log has. */
  readonly mode?: number
  /** Told at the first of a row of failures. */
  readonly onTrouble: (error: Error) => void
}

/** What may wait for a slow disk; beyond it lines are lost. */
const MOST_WAITING_CHARS = 4 * 1024 * 1024
/** Its group may read it, where the directory lets it. */
const MODE = 0o640
/** What a umask for its user alone makes of that. */
const CUT_MODE = 0o600
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW
/** A lock that is older belongs to a process that died in the few milliseconds of a rotation. */
const LOCK_STALE_MS = 10_000

export class RotatingFile {
  readonly path: string
  readonly #options: RotatingOptions
  #limits: RotatingLimits
  #fd = -1
  /** Of the file that is open. */
  #inode = 0
  #sizeBytes = 0
  #waiting: string[] = []
  #waitingChars = 0
  #lost = 0
  #trouble: Error | null = null
  #reopen = false
  #pumping: Promise<void> | null = null

  /** Throws an Error that names the file when it can't be opened for writing. */
  constructor(path: string, options: RotatingOptions) {
    this.path = path
    this.#options = options
    this.#limits = options
    try {
      this.#take(openSync(path, FLAGS, this.#mode))
    } catch (error) {
      throw cantWriteLog(path, error)
    }
  }

  get #mode(): number {
    return this.#options.mode ?? MODE
  }

  /** Takes whole lines. Never waits, never throws. */
  write(text: string): void {
    if (this.#waitingChars + text.length > MOST_WAITING_CHARS) {
      this.#lost += 1
      return
    }
    this.#waiting.push(text)
    this.#waitingChars += text.length
    this.#pumping ??= this.#pump()
  }

  /** Why the last lines could not be written; null when they were. */
  get trouble(): Error | null {
    return this.#trouble
  }

  /** It counts from the next line on. */
  limit(limits: RotatingLimits): void {
    this.#limits = limits
  }

  /** What comes next goes to a file opened anew under the name. */
  reopen(): void {
    this.#reopen = true
  }

  /** Resolves when everything so far is written or lost; hangs as long as the disk does. */
  async flushed(): Promise<void> {
    await this.#pumping
  }

  /** The last words of a process that ends now: written before this returns. */
  writeNow(text: string): void {
    const all = this.#waiting.join('') + text
    this.#waiting = []
    this.#waitingChars = 0
    try {
      if (this.#isElsewhere(statNow(this.path))) this.#take(openSync(this.path, FLAGS, this.#mode))
      writeSync(this.#fd, all)
    } catch (error) {
      this.#options.onTrouble(error as Error)
    }
  }

  async #pump(): Promise<void> {
    // One write for all lines of this turn of the event loop.
    await undefined
    while (this.#waiting.length > 0) {
      const lines = this.#waiting
      this.#waiting = []
      this.#waitingChars = 0
      try {
        await this.#append(lines.join(''))
        this.#trouble = null
      } catch (error) {
        this.#lost += lines.length
        const isFirst = this.#trouble === null
        this.#trouble = error as Error
        if (isFirst) this.#options.onTrouble(this.#trouble)
      }
    }
    this.#pumping = null
  }

  async #append(text: string): Promise<void> {
    await this.#follow()
    const note = this.#lost > 0 ? this.#options.lostLine(this.#lost) : ''
    const bytes = Buffer.from(note + text)
    const isFull = (): boolean =>
      this.#sizeBytes > 0 && this.#sizeBytes + bytes.length > this.#limits.maxBytes
    if (isFull()) {
      await this.#alone(async () => {
        // Another may have rotated it while this one came to it.
        await this.#follow()
        if (isFull()) await this.#rotate()
      })
    }
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await writeFile(this.#fd, bytes, at, bytes.length - at, null)
      at += bytesWritten
      this.#sizeBytes += bytesWritten
    }
    if (note !== '') this.#lost = 0
  }

  /** Goes on with the file that has the name now, and with its size: others may write it, too. */
  async #follow(): Promise<void> {
    const found = await statFile(this.path).catch(nullIfMissing)
    if (this.#reopen || this.#isElsewhere(found)) await this.#openAnew()
    else if (found !== null) this.#sizeBytes = found.size
  }

  #take(fd: number): void {
    const { size, ino, mode } = fstatSync(fd)
    const { mode: wanted } = this.#options
    const isOpen = wanted !== undefined && (mode & 0o777) !== wanted
    const isCut = wanted === undefined && size === 0 && (mode & 0o777) === CUT_MODE
    if (isOpen || isCut) fchmodSync(fd, this.#mode)
    this.#fd = fd
    this.#sizeBytes = size
    this.#inode = ino
  }

  #isElsewhere(found: Stats | null): boolean {
    return found?.ino !== this.#inode
  }

  /** Rotates, unless another process does the same: the lines then go where they went before. */
  async #alone(rotate: () => Promise<void>): Promise<void> {
    let release: () => Promise<void>
    try {
      // A lock that is lost costs nothing: what is done under it takes a moment.
      const options = { stale: LOCK_STALE_MS, realpath: false, onCompromised: () => {} }
      release = await lockfile.lock(this.path, options)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ELOCKED') return
      throw error
    }
    try {
      await rotate()
    } finally {
      await release()
    }
  }

  async #rotate(): Promise<void> {
    const { path } = this
    const { keep } = this.#limits
    if (keep === 0) {
      await truncateFile(this.#fd, 0)
      this.#sizeBytes = 0
      return
    }
    for (let age = keep; age >= 1; age -= 1) {
      const from = age === 1 ? path : `${path}.${age - 1}`
      try {
        await renameFile(from, `${path}.${age}`)
      } catch (error) {
        // There are not that many old files yet.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    }
    await this.#openAnew()
  }

  async #openAnew(): Promise<void> {
    const old = this.#fd
    this.#take(await openFile(this.path, FLAGS, this.#mode))
    this.#reopen = false
    await closeFile(old)
  }
}

export function cantWriteLog(path: string, error: unknown): Error {
  const { code, message } = error as NodeJS.ErrnoException
  const why =
    code === 'ELOOP'
      ? `it is a symbolic link, through which nothing is written: rm ${shellWord(path)}`
      : message
  return new Error(`can't write the log file ${path}: ${why}`, { cause: error })
}

const nullIfMissing = (error: NodeJS.ErrnoException): null => {
  if (error.code === 'ENOENT') return null
  throw error
}

const statNow = (path: string): Stats | null => statSync(path, { throwIfNoEntry: false }) ?? null
