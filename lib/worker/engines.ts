/**
 * The engines of a worker: for each running query one that is locked for its files (`Reach`), and a share of the memory.
 *
 * One is always made ahead, so that a query waits for nothing but the locking. An engine whose query has ended waits for the
 * next query of the same files, since no other can use it; it holds little of them meanwhile. One that writes somewhere is
 * used once. Statements are read in one that opens nothing and runs none.
 *
 * Memory: half of it belongs to the queries that may run at a time, in equal parts. The other half goes by halves to those
 * who come first; the last one gets what is left. So each is sure of its part, a query that comes alone has more than a
 * quarter of the whole, and all together never get more than there is.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../base/time.ts'
import { type Engine, type EngineConnection, FreshEngine } from './duckdb.ts'
import { interrupted } from './duckdb-errors.ts'
import { keyOfReach, NOTHING, type Reach } from './reach.ts'
import { SlowDisk } from './slow-disk.ts'
import { type ReadingEngine, StatementReader } from './statement-reader.ts'

export interface EnginesOptions {
  readonly threads: number
  /** Of all that run. */
  readonly memoryBytes: number
  /** How many queries run at a time. */
  readonly slots: number
  /** Absolute; each engine makes a directory of its own in it. */
  readonly spillDirectory: string
  /** What all of them may spill: each an equal part. */
  readonly spillBytes: number
  /** A name that nobody can guess, another one each time. */
  readonly secretName: () => string
  readonly clock: Clock
}

/** No query waits longer for its directory to spill to: that disk may hang, and the query need none. */
const SPILL_MS = 1000
/** Besides as many as can run at a time. */
const MORE_AT_REST = 12
/** The tree of a statement of the longest text takes some 200 MB for a moment. */
const READER_BYTES = 1024 * 1024 * 1024

/** No engine gets along with less. */
const LEAST_BYTES = 16 * 1024 * 1024

/** What the next query gets of the memory, where `given` is what those have that run. */
export function shareOf(
  { memoryBytes, slots }: Pick<EnginesOptions, 'memoryBytes' | 'slots'>,
  given: readonly number[],
): number {
  const sure = memoryBytes / (2 * slots)
  const free = given.reduce((left, one) => left - (one - sure), memoryBytes / 2)
  const more = given.length + 1 < slots ? free / 2 : free
  return Math.max(LEAST_BYTES, Math.floor(sure + Math.max(0, more)))
}

interface Resting {
  /** Of what it may open. */
  readonly key: string
  readonly engine: Engine
}

export class Engines {
  readonly #options: EnginesOptions
  #ahead: Promise<FreshEngine>
  readonly #reader: StatementReader
  /** Those that have waited longest come first. */
  readonly #resting: Resting[] = []
  readonly #shares = new Map<Engine, number>()
  /** What goes on behind. */
  readonly #busy = new Set<Promise<unknown>>()
  readonly #disk: SlowDisk
  #closed = false

  private constructor(options: EnginesOptions) {
    this.#options = options
    this.#disk = new SlowDisk(options.clock, SPILL_MS)
    this.#ahead = this.#make()
    this.#reader = new StatementReader(() => this.#makeReader())
  }

  /** Rejects with EngineError for options that the engine refuses. */
  static async open(options: EnginesOptions): Promise<Engines> {
    const engines = new Engines(options)
    await engines.#reader.ready()
    return engines
  }

  /** Resolves to the engine's own reading of a statement, as JSON. Rejects with EngineError. */
  serialized(statement: string): Promise<string> {
    return this.#reader.serialized(statement)
  }

  async #makeReader(): Promise<ReadingEngine> {
    const engine = await this.#lockedFor(NOTHING)
    try {
      await engine.limitMemory(READER_BYTES)
    } catch (error) {
      await this.#end(engine)
      throw error
    }
    return {
      connect: () => engine.connect(async () => {}),
      close: () => this.#end(engine),
    }
  }

  /** For one query, which has to close it. Rejects with EngineError. */
  async connect(reach: Reach): Promise<EngineConnection> {
    const key = keyOfReach(reach)
    const engine = this.#rested(key) ?? (await this.#lockedFor(reach))
    const bytes = shareOf(this.#options, [...this.#shares.values()])
    this.#shares.set(engine, bytes)
    try {
      await this.#makeSpill(engine.spillDirectory)
      await engine.limitMemory(bytes)
      const isUsedAgain = reach.directories.length === 0
      return await engine.connect((failed) =>
        this.#onClosed({ key, engine }, isUsedAgain && !failed),
      )
    } catch (error) {
      this.#shares.delete(engine)
      await this.#end(engine)
      throw error
    }
  }

  /** Connections have to be closed before. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#reader.close()
    const fresh = await this.#ahead.catch(() => null)
    fresh?.close()
    this.#endBehind(this.#resting.splice(0))
    await Promise.all(this.#busy)
  }

  #rested(key: string): Engine | null {
    // The one that was used last: what it has read is the likeliest to be in the host's memory.
    const at = this.#resting.findLastIndex((one) => one.key === key)
    return at === -1 ? null : (this.#resting.splice(at, 1)[0]?.engine ?? null)
  }

  async #lockedFor(reach: Reach): Promise<Engine> {
    if (this.#closed) throw interrupted()
    const ahead = this.#ahead
    this.#ahead = this.#make()
    return (await ahead).lock(reach)
  }

  #make(): Promise<FreshEngine> {
    const { threads, slots, spillDirectory, spillBytes, secretName } = this.#options
    const made = FreshEngine.make({
      threads,
      spillDirectory: join(spillDirectory, secretName()),
      spillBytes: spillBytes / slots,
    })
    // Told to whoever asks for it.
    made.catch(() => undefined)
    return made
  }

  /** The engine makes its files by name: a directory that somebody removed is made again, unless the one above it is gone. */
  async #makeSpill(directory: string): Promise<void> {
    // What spills to it tells what is wrong there; what does not, does not ask.
    if (!this.#disk.hangs) await this.#disk.call(() => mkdir(directory, { mode: 0o700 }))
  }

  async #onClosed(one: Resting, isUsedAgain: boolean): Promise<void> {
    this.#shares.delete(one.engine)
    if (!isUsedAgain || this.#closed) {
      await this.#end(one.engine)
      return
    }
    this.#resting.push(one)
    const most = this.#options.slots + MORE_AT_REST
    this.#endBehind(this.#resting.splice(0, this.#resting.length - most))
  }

  #endBehind(ended: readonly Resting[]): void {
    for (const { engine } of ended) {
      const end = this.#end(engine).finally(() => this.#busy.delete(end))
      this.#busy.add(end)
    }
  }

  async #end(engine: Engine): Promise<void> {
    engine.close()
    // Its disk may be gone, and the worker empties the directory of all when it starts.
    await this.#disk.call(() => rm(engine.spillDirectory, { recursive: true, force: true }))
  }
}
