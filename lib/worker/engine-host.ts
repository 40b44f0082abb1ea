/**
 * What the process of an engine does for its worker: it serves one query at a time, from the reading of its statement to the
 * end of its result.
 *
 * An engine is made ahead, so that a query waits for nothing but the locking. One whose query has ended waits for the next
 * query of the same files, since no other can use it; it holds little of them meanwhile. One that writes somewhere is used
 * once. Statements are read in one that opens nothing and runs none of them: a statement is a parameter there.
 */
import { readFileSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../base/time.ts'
import { type Engine, type EngineConnection, FreshEngine } from './duckdb.ts'
import { EngineError } from './duckdb-errors.ts'
import type { EngineStream } from './duckdb-stream.ts'
import type { CallName, EngineCalls, EngineStart } from './engine-words.ts'
import { keyOfReach, NOTHING } from './reach.ts'
import { SlowDisk } from './slow-disk.ts'

/** No query waits longer for its directory to spill to: that disk may hang, and the query need none. */
const SPILL_MS = 1000
/** So many wait for their next query. */
const MOST_AT_REST = 4
/** The tree of a statement of the longest text takes some 200 MB for a moment. */
const READER_BYTES = 512 * 1024 * 1024
/** What an allocator keeps of one query is taken from the next one: a process that keeps more than this serves no other. */
const MOST_KEPT_BYTES = 192 * 1024 * 1024

interface Resting {
  /** Of what it may open. */
  readonly key: string
  readonly engine: Engine
}

type Served = {
  [Name in CallName]: (
    input: EngineCalls[Name]['with'],
  ) => EngineCalls[Name]['answer'] | Promise<EngineCalls[Name]['answer']>
}

export class EngineHost implements Served {
  readonly #disk = new SlowDisk(systemClock, SPILL_MS)
  /** Those that have waited longest come first. */
  readonly #resting: Resting[] = []
  #options: EngineStart | null = null
  #made = 0
  #ahead: Promise<FreshEngine> | null = null
  #reader: Engine | null = null
  #reading: EngineConnection | null = null
  #connection: EngineConnection | null = null
  #stream: EngineStream | null = null
  #keptAtStart = 0
  #failed = false

  async start(options: EngineStart): Promise<null> {
    this.#options = options
    const memoryBytes = Math.max(options.memoryBytes, READER_BYTES)
    const fresh = await this.#make({ threads: 1, memoryBytes })
    this.#reader = await fresh.lock(NOTHING)
    this.#reading = await this.#reader.connect(async () => {})
    this.#ahead = this.#make()
    await this.#ahead
    this.#keptAtStart = keptBytes()
    return null
  }

  async read(statement: string): Promise<string> {
    this.#reading ??= await required(this.#reader).connect(async () => {})
    const [[answer] = []] = await this.#reading.rows(SERIALIZE, [statement])
    return String(answer)
  }

  async open(reach: EngineCalls['open']['with']): Promise<null> {
    const key = keyOfReach(reach)
    const engine = this.#rested(key) ?? (await this.#lockedFor(reach))
    await this.#makeSpill(engine.spillDirectory)
    const isUsedAgain = reach.directories.length === 0
    this.#connection = await engine.connect(async (failed) => {
      this.#failed ||= failed
      if (isUsedAgain && !failed) this.#rest({ key, engine })
      else await this.#close(engine)
    })
    return null
  }

  async enter({ schemas, sql }: EngineCalls['enter']['with']): Promise<null> {
    await required(this.#connection).enter(schemas, sql)
    return null
  }

  async run(sql: string): Promise<null> {
    await required(this.#connection).run(sql)
    return null
  }

  rows({ sql, values }: EngineCalls['rows']['with']): Promise<unknown[][]> {
    return required(this.#connection).rows(sql, values)
  }

  describe(sql: string): Promise<EngineCalls['describe']['answer']> {
    return required(this.#connection).describe(sql)
  }

  unknownNames(sql: string): readonly string[] {
    return required(this.#connection).unknownNames(sql)
  }

  async stream(sql: string): Promise<EngineCalls['stream']['answer']> {
    this.#stream = null
    this.#stream = await required(this.#connection).stream(sql)
    return this.#stream.columns
  }

  next(): Promise<string[] | null> {
    return required(this.#stream).next()
  }

  async end(): Promise<boolean> {
    await this.#connection?.close()
    this.#connection = null
    this.#stream = null
    return !this.#failed && keptBytes() - this.#keptAtStart <= MOST_KEPT_BYTES
  }

  interrupt(): void {
    this.#connection?.interrupt()
    const reading = this.#reading
    if (this.#connection !== null || reading === null) return
    // It refuses everything from then on.
    this.#reading = null
    void reading.close()
  }

  /** From 0 to 1, of the statement that runs. */
  progress(): number {
    return this.#connection?.progress() ?? 0
  }

  #rested(key: string): Engine | null {
    // The one that was used last: what it has read is the likeliest to be in the host's memory.
    const at = this.#resting.findLastIndex((one) => one.key === key)
    return at === -1 ? null : (this.#resting.splice(at, 1)[0]?.engine ?? null)
  }

  #rest(one: Resting): void {
    this.#resting.push(one)
    for (const { engine } of this.#resting.splice(0, this.#resting.length - MOST_AT_REST)) {
      void this.#close(engine)
    }
  }

  async #lockedFor(reach: EngineCalls['open']['with']): Promise<Engine> {
    const ahead = required(this.#ahead)
    this.#ahead = this.#make()
    return (await ahead).lock(reach)
  }

  #make(own: Partial<EngineStart> = {}): Promise<FreshEngine> {
    const options = required(this.#options)
    this.#made += 1
    const spillDirectory = join(options.spillDirectory, String(this.#made))
    const made = FreshEngine.make({ ...options, ...own, spillDirectory })
    // Told to whoever asks for it.
    made.catch(() => undefined)
    return made
  }

  /** The engine makes its files by name: a directory that somebody removed is made again, unless the worker's own is gone. */
  async #makeSpill(directory: string): Promise<void> {
    const { spillDirectory } = required(this.#options)
    const make = async (path: string): Promise<void> => {
      await mkdir(path, { mode: 0o700 }).catch(() => undefined)
    }
    // What spills to it tells what is wrong there; what does not, does not ask.
    if (this.#disk.hangs) return
    await this.#disk.call(async () => {
      await make(spillDirectory)
      await make(directory)
    })
  }

  async #close(engine: Engine): Promise<void> {
    engine.close()
    await this.#disk.call(() => rm(engine.spillDirectory, { recursive: true, force: true }))
  }
}

const SERIALIZE = 'SELECT json_serialize_sql(?::VARCHAR)'

function required<T>(value: T | null): T {
  if (value === null) throw new EngineError('internal', 'the engine was asked too early', null)
  return value
}

/** What counts against this process's bound; 0 where the system does not tell. */
function keptBytes(): number {
  if (process.platform !== 'linux') return 0
  const [, kib = 0] = /^VmData:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return Number(kib) * 1024
}
