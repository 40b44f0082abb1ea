/**
 * The query log, read: every master merges the files of all terms into one list, newest first. Only what was appended
 * since is read again, at most once a second; what is torn or foreign is skipped. A directory that does not answer costs
 * the asker a bounded wait and then an old list.
 */
import { open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path/posix'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { messageOf } from '../../base/message-of.ts'
import type { QueryRecord } from '../../rpc/contract.ts'
import { type LogLine, logName, parseLine, partOf } from './query-log.ts'

export interface HistoryOptions {
  readonly directory: string
  /** So many queries are kept. */
  readonly limit: number
  /** And none that was submitted longer ago. */
  readonly maxAgeMs: number
  readonly wallMs: () => number
  readonly clock: Clock
  readonly log: Log
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

interface ReadSoFar {
  offset: number
  /** The beginning of a line whose end was not there yet. */
  rest: Buffer
}

export class QueryHistory {
  readonly #options: HistoryOptions
  readonly #files = new Map<string, ReadSoFar>()
  #lines = new Map<string, LogLine>()
  /** The file of each of them. */
  readonly #homes = new Map<string, string>()
  #reading: Promise<void> | null = null
  #readMs = Number.NEGATIVE_INFINITY
  skipped = 0

  constructor(options: HistoryOptions) {
    this.#options = options
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
      this.#reading = this.#read().then(() => {
        this.#reading = null
      })
    }
    if (this.#reading === null) return this.#lines
    let cancel = (): void => {}
    const late = new Promise<void>((resolve) => {
      cancel = clock.after(PATIENCE_MS, resolve)
    })
    await Promise.race([this.#reading, late])
    cancel()
    return this.#lines
  }

  /** As `lines`, but read afresh and to the end, however long that takes; null when it failed. */
  async allLines(): Promise<ReadonlyMap<string, LogLine> | null> {
    while (this.#reading !== null) await this.#reading
    let isComplete = false
    this.#reading = this.#read().then((done) => {
      isComplete = done
      this.#reading = null
    })
    await this.#reading
    return isComplete ? this.#lines : null
  }

  /** The new term has written down all that is to be kept: files of terms below it can go. Never rejects. */
  async removeBelow(term: number): Promise<void> {
    const { directory, log } = this.#options
    try {
      for (const name of await readdir(directory)) {
        if (partOf(name) === null || name >= logName(term)) continue
        await rm(join(directory, name), { force: true })
      }
    } catch (error) {
      // A fresh cluster has no logs yet.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      log('warn', `old query logs can't be removed: ${messageOf(error)}`)
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
    const parts = [...this.#files.keys()].filter((name) => partOf(name)?.term === term).sort()
    try {
      for (const name of parts.slice(0, -1)) {
        if (homes.has(name)) return
        await rm(join(directory, name), { force: true })
      }
    } catch (error) {
      log('warn', `old parts of the query log can't be removed: ${messageOf(error)}`)
    }
  }

  /** False: not all of it could be read. Never rejects. */
  async #read(): Promise<boolean> {
    const { directory, clock, log } = this.#options
    let isComplete = false
    try {
      const there = (await orNothing(readdir(directory))) ?? []
      const names = there.filter((name) => partOf(name) !== null).sort()
      for (const name of names) await this.#readFile(name)
      for (const name of this.#files.keys()) if (!names.includes(name)) this.#files.delete(name)
      this.#forgetOldest()
      isComplete = true
    } catch (error) {
      log('warn', `the query log can't be read: ${messageOf(error)}`)
    }
    this.#readMs = clock.nowMs()
    return isComplete
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
      for (const line of bytes.subarray(0, end).toString('utf8').split('\n')) this.#take(line, name)
      this.#files.set(name, {
        offset: so.offset + bytesRead,
        rest: Buffer.from(bytes.subarray(end)),
      })
    } finally {
      await file.close()
    }
  }

  #take(text: string, name: string): void {
    if (text === '') return
    const line = parseLine(text)
    if (line === null) {
      this.skipped += 1
      return
    }
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
