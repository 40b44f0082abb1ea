/**
 * A log file that never grows without bound and never makes its writer wait.
 *
 * Lines go through a bounded queue to asynchronous writes, so that a full or hanging disk costs lines, never the event
 * loop; how many were lost is told when it works again. Before it would pass `maxBytes` the file becomes `.1`, `.1`
 * becomes `.2`, and so on up to `keep` old files. `reopen` is for those who rotate by other means and send SIGHUP.
 */
import {
  close,
  fstatSync,
  ftruncate,
  mkdirSync,
  open,
  openSync,
  rename,
  write,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

const openFile = promisify(open)
const closeFile = promisify(close)
const renameFile = promisify(rename)
const truncateFile = promisify(ftruncate)
const writeFile = promisify(write)

export interface RotatingLimits {
  readonly maxBytes: number
  /** Old files beside the current one; 0 begins the one file anew. */
  readonly keep: number
}

export interface RotatingOptions extends RotatingLimits {
  /** The line that tells of lost ones. */
  readonly lostLine: (count: number) => string
  /** Told at the first of a row of failures. */
  readonly onTrouble: (error: Error) => void
}

/** What may wait for a slow disk; beyond it lines are lost. */
const MOST_WAITING_CHARS = 4 * 1024 * 1024
const MODE = 0o640

export class RotatingFile {
  readonly path: string
  readonly #options: RotatingOptions
  #limits: RotatingLimits
  #fd: number
  #sizeBytes: number
  #waiting: string[] = []
  #waitingChars = 0
  #lost = 0
  #troubled = false
  #reopen = false
  #pumping: Promise<void> | null = null

  /** Throws an Error that names the file when it can't be opened for writing. */
  constructor(path: string, options: RotatingOptions) {
    this.path = path
    this.#options = options
    this.#limits = options
    try {
      mkdirSync(dirname(path), { recursive: true })
      this.#fd = openSync(path, 'a', MODE)
      this.#sizeBytes = fstatSync(this.#fd).size
    } catch (error) {
      throw new Error(`can't write the log file ${path}: ${(error as Error).message}`, {
        cause: error,
      })
    }
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

  /** From the next line on. */
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
        this.#troubled = false
      } catch (error) {
        this.#lost += lines.length
        if (!this.#troubled) this.#options.onTrouble(error as Error)
        this.#troubled = true
      }
    }
    this.#pumping = null
  }

  async #append(text: string): Promise<void> {
    if (this.#reopen) await this.#openAnew()
    const note = this.#lost > 0 ? this.#options.lostLine(this.#lost) : ''
    const bytes = Buffer.from(note + text)
    if (this.#sizeBytes > 0 && this.#sizeBytes + bytes.length > this.#limits.maxBytes) {
      await this.#rotate()
    }
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await writeFile(this.#fd, bytes, at, bytes.length - at, null)
      at += bytesWritten
      this.#sizeBytes += bytesWritten
    }
    if (note !== '') this.#lost = 0
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
    this.#fd = await openFile(this.path, 'a', MODE)
    this.#sizeBytes = fstatSync(this.#fd).size
    this.#reopen = false
    await closeFile(old)
  }
}
