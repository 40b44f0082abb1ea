/**
 * The query log: what became of every query, for people and for the next active. A line a change, in files of a shared
 * directory that are appended only by the term's master and read by all. A term may be long, and without high
 * availability there is one for ever, so its log is cut into parts: the oldest can go when all they hold is forgotten.
 *
 * Where nobody may read a file that still grows (HDFS's NFS gateway: whoever reads it spoils it for all of that host), only
 * its writer knows what it holds: the history of this process is told each line as it is written, and no part that another
 * process has begun is gone on with.
 *
 * It is a convenience, not the truth: the truth about changes is in the catalog. So it never holds up an answer: lines
 * wait in a bounded queue, are written together, and are dropped and counted when the directory can't take them.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path/posix'
import { z } from 'zod'
import { messageOf } from '../../../base/failures.ts'
import type { Log } from '../../../base/log.ts'
import { type Clock, pause } from '../../../base/time.ts'
import type { QueryRecord } from '../../../contract/index.ts'
import { QUERY_KINDS, QUERY_STATE_NAMES } from '../../../contract/index.ts'
import { makeDirs } from '../../../ha/index.ts'
import { QUERY_ERROR_KINDS } from '../../../rpc/index.ts'
import type { Asked } from './asked.ts'

/** What a line holds: the record, and what the next active needs to find it again. */
export interface LogLine {
  readonly query: QueryRecord
  readonly spot: {
    readonly workerId: string
    readonly incarnation: string
    readonly clientRpc: string
    readonly network?: string | undefined
  } | null
  /** For whoever tells auditors its end. */
  readonly asked?: Asked | undefined
}

/**
 * Who is told what stands in the log, where nobody may read a file that still grows, be it his own (HDFS's NFS gateway):
 * the history of this process.
 */
export interface LogListener {
  /** False: the log may be read at any time, and nothing is told. */
  wantsToHear(): Promise<boolean>
  /** A file of that name is about to be made, and this process goes on writing it. */
  begins(name: string): void
  /** They stand in it now. */
  wrote(name: string, lines: readonly LogLine[]): void
}

const MOST_WAITING = 10_000
const RETRY_MS = 1000
/** Written at once at most, so that a write that fails in the middle tears few lines. */
const BATCH_LINES = 500
/** A part that has reached it is followed by the next one. Below what a reader takes of a file that is new to it. */
const PART_BYTES = 4 * 1024 * 1024

interface QueryLogOptions {
  readonly directory: string
  readonly term: number
  readonly clock: Clock
  readonly log: Log
  readonly partBytes?: number
  /** A part is full: older ones may have had their time. */
  readonly onPart?: () => void
  /** Its file was removed, with what stood in it: whoever knows its lines adds them again. */
  readonly onGone?: () => void
  readonly listener?: LogListener
}

interface Waiting {
  readonly line: LogLine
  readonly text: string
}

const NAME = /^term-(\d{10})(?:_(\d{6}))?\.jsonl$/

/** Sorted by name they are in the order of their terms, and of their parts within. */
export function logName(term: number, part = 1): string {
  const more = part === 1 ? '' : `_${String(part).padStart(6, '0')}`
  return `term-${String(term).padStart(10, '0')}${more}.jsonl`
}

/** Null for what is not the log's. */
export function partOf(name: string): { term: number; part: number } | null {
  const [, term, part = '1'] = NAME.exec(name) ?? []
  return term === undefined ? null : { term: Number(term), part: Number(part) }
}

const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW

export class QueryLog {
  readonly #options: QueryLogOptions
  #waiting: Waiting[] = []
  #writing: Promise<void> | null = null
  #file: FileHandle | null = null
  /** Who hears of each line; null for nobody. */
  #listener: LogListener | null = null
  /** Null until it is known what is there. */
  #part: number | null = null
  #bytes = 0
  #closed = false
  #torn = false
  dropped = 0
  failures = 0

  constructor(options: QueryLogOptions) {
    this.#options = options
  }

  get path(): string {
    return join(this.#options.directory, this.#name)
  }

  get #name(): string {
    return logName(this.#options.term, this.#part ?? 1)
  }

  /** Never waits and never throws. */
  add(line: LogLine): void {
    if (this.#closed) return
    if (this.#waiting.length >= MOST_WAITING) {
      this.dropped += 1
      if ((this.dropped & (this.dropped - 1)) === 0) {
        this.#options.log('warn', 'the query log falls behind: lines are dropped', {
          event: 'query-log-behind',
          dropped: this.dropped,
        })
      }
      return
    }
    this.#waiting.push({ line, text: `${JSON.stringify({ v: 1, ...line })}\n` })
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null
    })
  }

  /** Resolves when what was added before is written, or was given up. */
  async flush(): Promise<void> {
    while (this.#writing !== null) await this.#writing
  }

  /** What waits is given up unless it was flushed; a write that hangs is left alone. */
  close(): void {
    this.#closed = true
    this.#waiting = []
    const file = this.#file
    this.#file = null
    void file?.close().catch(() => undefined)
  }

  async #write(): Promise<void> {
    const { clock, log } = this.#options
    while (this.#waiting.length > 0 && !this.#closed) {
      const lines = this.#waiting.splice(0, BATCH_LINES)
      try {
        if (this.#bytes >= (this.#options.partBytes ?? PART_BYTES)) await this.#endPart()
        this.#file ??= await this.#open()
        if (this.#closed) {
          this.close()
          return
        }
        // A line that a failed write has torn ends here.
        const text = `${this.#torn ? '\n' : ''}${lines.map((one) => one.text).join('')}`
        await this.#file.appendFile(text)
        this.#torn = false
        this.#bytes += Buffer.byteLength(text)
        // Other hosts see it only then.
        await this.#file.datasync()
        if (await this.#isThere()) {
          this.#listener?.wrote(
            this.#name,
            lines.map(({ line }) => line),
          )
        } else {
          await this.#beginAgain()
          this.#waiting = [...lines, ...this.#waiting].slice(0, MOST_WAITING)
        }
      } catch (error) {
        if (this.#closed) return
        this.#torn = true
        this.failures += 1
        if ((this.failures & (this.failures - 1)) === 0) {
          log('warn', `the query log can't be written: ${messageOf(error)}`, {
            event: 'query-log-failed',
            failures: this.failures,
          })
        }
        // Lines may be there twice then: the reader takes the last of each query.
        this.#waiting = [...lines, ...this.#waiting].slice(0, MOST_WAITING)
        await pause(clock, RETRY_MS)
      }
    }
  }

  async #open(): Promise<FileHandle> {
    const { directory, term, listener } = this.#options
    // What it lies in is never made here: where the mount is gone that would be on the disk below.
    await makeDirs(directory, 0o700, dirname(directory))
    this.#listener = (await listener?.wantsToHear()) === true ? (listener ?? null) : null
    this.#part ??= this.#firstPart(await readdir(directory), term)
    this.#listener?.begins(this.#name)
    const file = await open(this.path, FLAGS, 0o600)
    try {
      this.#bytes = (await file.stat()).size
    } catch (error) {
      await file.close()
      throw error
    }
    // An earlier process of the same term may have died in the middle of a line.
    if (this.#bytes > 0) this.#torn = true
    return file
  }

  /** Goes on with the term's last one, unless another process may have read that already and must be able to again. */
  #firstPart(names: readonly string[], term: number): number {
    const last = lastPart(names, term)
    return this.#listener === null ? Math.max(1, last) : last + 1
  }

  /** Under its name: what is written into a file that has none is read by nobody. */
  async #isThere(): Promise<boolean> {
    try {
      const file = await open(this.path)
      try {
        return (await file.stat()).size >= this.#bytes
      } finally {
        await file.close()
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      return false
    }
  }

  async #beginAgain(): Promise<void> {
    const { log, onGone } = this.#options
    log('warn', `${this.path} is gone: somebody has removed it; the query log begins it again`, {
      event: 'query-log-gone',
    })
    const file = this.#file
    this.#file = null
    this.#bytes = 0
    await file?.close()
    onGone?.()
  }

  async #endPart(): Promise<void> {
    const file = this.#file
    this.#file = null
    this.#part = (this.#part ?? 1) + 1
    this.#bytes = 0
    await file?.close()
    this.#options.onPart?.()
  }
}

/** 0: the term has none. */
function lastPart(names: readonly string[], term: number): number {
  const parts = names.map(partOf).filter((one) => one?.term === term)
  return Math.max(0, ...parts.map((one) => one?.part ?? 1))
}

const text = z.string()
const count = z.number()
const lineSchema = z.object({
  query: z.object({
    queryId: text,
    attempt: count,
    sql: text,
    user: text,
    asUser: text.optional(),
    database: text,
    kind: z.enum(QUERY_KINDS),
    state: z.enum(QUERY_STATE_NAMES),
    submittedMs: count,
    startedMs: count.nullable(),
    finishedMs: count.nullable(),
    progress: count,
    rows: count.nullable(),
    message: text.nullable(),
    error: z
      .object({
        message: text,
        place: z.object({ line: count, column: count }).nullable(),
        kind: z.enum(QUERY_ERROR_KINDS),
      })
      .nullable(),
    worker: text.nullable(),
    master: text,
    epoch: count,
    failures: z.array(z.object({ attempt: count, worker: text.nullable(), why: text })).optional(),
  }),
  spot: z
    .object({ workerId: text, incarnation: text, clientRpc: text, network: text.optional() })
    .nullable(),
  asked: z
    .object({
      from: text.nullable(),
      is: text.nullable(),
      tables: z.array(text),
      target: text.nullable(),
    })
    .optional(),
})

/** Null for a line that is torn or foreign. */
export function parseLine(line: string): LogLine | null {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return null
  }
  const parsed = lineSchema.safeParse(value)
  return parsed.success ? parsed.data : null
}
