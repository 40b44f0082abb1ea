/**
 * The query log, read: every master merges the files of all terms into one list, newest first. Only what was appended
 * since is read again, at most once a second; what is torn or foreign is skipped. A directory that does not answer costs
 * the asker a bounded wait and then an old list.
 *
 * Where nobody may read a file that still grows (HDFS's NFS gateway) nothing is read but what ended terms have left, once,
 * by who takes over: their writers have ended. What this process writes itself it is told, and a backup knows nothing.
 */
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path/posix'
import { messageOf } from '../../../base/failures.ts'
import type { Log } from '../../../base/log.ts'
import { inSlices } from '../../../base/slices.ts'
import { type Clock, within } from '../../../base/time.ts'
import type { Files } from '../../../catalog/index.ts'
import { leavingSpoilt, openFiles, SpoiltError, SpoiltFiles } from '../../../catalog/index.ts'
import type { QueryRecord } from '../../../contract/index.ts'
import { listAnew } from '../../../ha/index.ts'
import { type LogLine, type LogListener, logName, parseLine, partOf } from './query-log.ts'

export interface HistoryOptions {
  readonly directory: string
  /** So many queries are kept. */
  readonly limit: number
  /** And none that was submitted longer ago. */
  readonly maxAgeMs: number
  readonly wallMs: () => number
  readonly clock: Clock
  readonly log: Log
  /** Tells whether files that grow may be read, and reads the ended ones where they may not; the real disk if left out. */
  readonly disk?: Files
}

const FRESH_MS = 1000
const PATIENCE_MS = 2000
/** Of a file that was never read before, only so much of its end. */
const MOST_BYTES = 16 * 1024 * 1024

/** Null for what is not there. */
async function orNothing<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function* linesOf(bytes: Buffer): Generator<string> {
  let begin = 0
  for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, begin)) {
    yield bytes.toString('utf8', begin, end)
    begin = end + 1
  }
  yield bytes.toString('utf8', begin)
}

interface ReadSoFar {
  offset: number
  /** The beginning of a line whose end was not there yet. */
  rest: Buffer
}

export class QueryHistory implements LogListener {
  readonly #options: HistoryOptions
  readonly #disk: Files
  /** Null until the storage has told; a log that only its writer knows is not read while it grows. */
  #isSealed: boolean | null = null
  readonly #files = new Map<string, ReadSoFar>()
  /** Where the log is sealed: files that this process has begun, of this term or an earlier one of its own. */
  readonly #own = new Set<string>()
  /** … and those that this host's gateway doesn't give to their end. */
  readonly #spoilt = new Set<string>()
  #lines = new Map<string, LogLine>()
  /** The file of each of them. */
  readonly #homes = new Map<string, string>()
  #reading: Promise<void> | null = null
  #readMs = Number.NEGATIVE_INFINITY
  skipped = 0

  constructor(options: HistoryOptions) {
    const { directory, clock, disk = openFiles(directory) } = options
    this.#options = options
    this.#disk = leavingSpoilt(disk, new SpoiltFiles(clock))
  }

  /** Only its writer knows what it holds, by what the storage is; false while that could not be found out. */
  get isSealed(): boolean {
    return this.#isSealed === true
  }

  /** Newest first; never rejects. */
  async newest(limit: number): Promise<QueryRecord[]> {
    const lines = await this.lines()
    const records = [...lines.values()].map(({ query }) => query)
    return records.sort((a, b) => b.submittedMs - a.submittedMs).slice(0, limit)
  }

  /** The last line of each query, as far as it could be read in time. */
  async lines(): Promise<ReadonlyMap<string, LogLine>> {
    const { clock } = this.#options
    if (this.#reading === null && clock.nowMs() - this.#readMs >= FRESH_MS) {
      this.#reading = this.#read(false).then(() => {
        this.#reading = null
      })
    }
    if (this.#reading === null) return this.#lines
    await within(clock, PATIENCE_MS, this.#reading, () => {})
    return this.#lines
  }

  /**
   * As `lines`, but read afresh and to the end, however long that takes; null when it failed. For who has taken over: where
   * the log is sealed, what other processes have left is read here and nowhere else.
   */
  async allLines(): Promise<ReadonlyMap<string, LogLine> | null> {
    while (this.#reading !== null) await this.#reading
    let isComplete = false
    this.#reading = this.#read(true).then((done) => {
      isComplete = done
      this.#reading = null
    })
    await this.#reading
    return isComplete ? this.#lines : null
  }

  /**
   * The new term has written down all that is to be kept: files of terms below it can go, but for those that could not be
   * read here. Never rejects.
   */
  async removeBelow(term: number): Promise<void> {
    const { directory, log } = this.#options
    try {
      for (const name of await listAnew(directory)) {
        if (partOf(name) === null || name >= logName(term) || this.#spoilt.has(name)) continue
        await rm(join(directory, name), { force: true })
      }
    } catch (error) {
      // A fresh cluster has no logs yet.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      log('warn', `old query logs can't be removed: ${messageOf(error)}`, {
        event: 'query-log-sweep-failed',
      })
    }
  }

  /**
   * The oldest parts of the term's log go that hold no query's last line but those of forgotten ones; never its newest.
   * In their order, so that no query's last line goes before its others. Never rejects.
   */
  async removeSpent(term: number): Promise<void> {
    const { directory, log } = this.#options
    if ((await this.allLines()) === null) return
    const homes = new Set(this.#homes.values())
    const all = [...this.#files.keys(), ...this.#own]
    const parts = all.filter((name) => partOf(name)?.term === term).sort()
    try {
      for (const name of parts.slice(0, -1)) {
        if (homes.has(name)) return
        await rm(join(directory, name), { force: true })
        this.#own.delete(name)
      }
    } catch (error) {
      log('warn', `old parts of the query log can't be removed: ${messageOf(error)}`, {
        event: 'query-log-sweep-failed',
      })
    }
  }

  // ---- what this process writes itself -----------------------------------------------------------------------------

  async wantsToHear(): Promise<boolean> {
    this.#isSealed ??= !((await this.#disk.growingFilesReadable?.()) ?? true)
    return this.#isSealed
  }

  begins(name: string): void {
    this.#own.add(name)
  }

  wrote(name: string, lines: readonly LogLine[]): void {
    for (const line of lines) this.#keep(line, name)
  }

  // ---- reading -----------------------------------------------------------------------------------------------------

  /** False: not all of it could be read. Never rejects. */
  async #read(takesOver: boolean): Promise<boolean> {
    const { directory, clock, log } = this.#options
    let isComplete = false
    try {
      const isSealed = await this.wantsToHear()
      if (!isSealed || takesOver) {
        const there = (await orNothing(listAnew(directory))) ?? []
        const names = there.filter((name) => partOf(name) !== null).sort()
        for (const name of names) await (isSealed ? this.#readEnded(name) : this.#readFile(name))
        for (const name of this.#files.keys()) if (!names.includes(name)) this.#files.delete(name)
      }
      this.#forgetOldest()
      isComplete = true
    } catch (error) {
      log('warn', `the query log can't be read: ${messageOf(error)}`, {
        event: 'query-log-unreadable',
      })
    }
    this.#readMs = clock.nowMs()
    return isComplete
  }

  /** It reads it once. What its writer, who was deposed, still adds late is nobody's. */
  async #readEnded(name: string): Promise<void> {
    if (this.#own.has(name) || this.#files.has(name)) return
    try {
      const bytes = await this.#disk.read(join(this.#options.directory, name))
      if (bytes === 'missing') return
      await this.#takeAll(bytes, name)
      this.#files.set(name, { offset: bytes.length, rest: Buffer.alloc(0) })
      this.#spoilt.delete(name)
    } catch (error) {
      if (!(error instanceof SpoiltError)) throw error
      // What it holds is told by no other file: it stays for who takes over next, and holds up nothing.
      if (!this.#spoilt.has(name)) {
        this.#options.log('warn', `queries are missing in the history: ${messageOf(error)}`, {
          event: 'query-history-incomplete',
        })
      }
      this.#spoilt.add(name)
    }
  }

  async #readFile(name: string): Promise<void> {
    const file = await orNothing(open(join(this.#options.directory, name), 'r'))
    // What the active master has removed, it has written down anew before.
    if (file === null) return
    try {
      const { size } = await file.stat()
      const known = this.#files.get(name)
      const so: ReadSoFar = known ?? {
        offset: Math.max(0, size - MOST_BYTES),
        rest: Buffer.alloc(0),
      }
      if (size <= so.offset) return
      const { buffer, bytesRead } = await file.read(
        Buffer.alloc(Math.min(size - so.offset, MOST_BYTES)),
        0,
        null,
        so.offset,
      )
      const bytes = Buffer.concat([so.rest, buffer.subarray(0, bytesRead)])
      const end = bytes.lastIndexOf(0x0a) + 1
      await this.#takeAll(bytes.subarray(0, end), name)
      this.#files.set(name, {
        offset: so.offset + bytesRead,
        rest: Buffer.from(bytes.subarray(end)),
      })
    } finally {
      await file.close()
    }
  }

  /** Takes it in slices: a log of some megabytes has thousands of lines, and each is looked at closely. */
  #takeAll(bytes: Buffer, name: string): Promise<void> {
    return inSlices(linesOf(bytes), (line) => this.#take(line, name))
  }

  #take(text: string, name: string): void {
    if (text === '') return
    const line = parseLine(text)
    if (line === null) {
      this.skipped += 1
      return
    }
    this.#keep(line, name)
  }

  #keep(line: LogLine, name: string): void {
    const before = this.#lines.get(line.query.queryId)
    // A later term knows better, whatever a deposed master still wrote.
    if (before === undefined || before.query.epoch <= line.query.epoch) {
      this.#lines.set(line.query.queryId, line)
      this.#homes.set(line.query.queryId, name)
    }
  }

  #forgetOldest(): void {
    const { limit, maxAgeMs, wallMs } = this.#options
    const sinceMs = wallMs() - maxAgeMs
    for (const [queryId, { query }] of this.#lines) {
      if (query.submittedMs < sinceMs) this.#lines.delete(queryId)
    }
    if (this.#lines.size > limit) {
      const newest = [...this.#lines].sort(
        ([, a], [, b]) => b.query.submittedMs - a.query.submittedMs,
      )
      this.#lines = new Map(newest.slice(0, limit))
    }
    for (const queryId of this.#homes.keys()) {
      if (!this.#lines.has(queryId)) this.#homes.delete(queryId)
    }
  }
}
