/**
 * One engine in memory for the whole process, and what may be done with it. Nothing else of a worker knows DuckDB but the
 * files that are called after it: its values, its errors, its results.
 *
 * The engine reads and writes files below its roots and nowhere else, symbolic links resolved; it loads no extension,
 * and nobody can change its configuration after it was opened. That is the second fence: statements are looked at before
 * they run (`analyse.ts`).
 *
 * Each query has a connection of its own and, in it, a catalog of its own that vanishes with it. Two traps are dealt
 * with here. An interrupted stream ends without an error, as if it were complete: `EngineStream.next` tells them apart.
 * And each running call occupies one of libuv's threads, whose number is fixed when the process starts
 * (UV_THREADPOOL_SIZE), so whoever counts queries has to count those.
 */
import { type DuckDBConnection, DuckDBInstance, DuckDBTimestampTZValue } from '@duckdb/node-api'
import { messageOf } from '../base/failures.ts'
import { systemClock } from '../base/time.ts'
import { engineError, interrupted } from './duckdb-errors.ts'
import { type EngineColumn, EngineStream } from './duckdb-stream.ts'
import { jsonValue } from './duckdb-values.ts'
import { sqlName, sqlText } from './sql-text.ts'

export interface EngineOptions {
  readonly threads: number
  readonly memoryBytes: number
  /** Absolute; what does not fit into memory goes there. */
  readonly spillDirectory: string
  /** Absolute directories, symbolic links resolved: everything below them may be read and written. */
  readonly roots: readonly string[]
}

export class Engine {
  readonly #instance: DuckDBInstance
  /** Takes away what ended queries leave, one after the other. */
  readonly #keeper: DuckDBConnection
  #kept: Promise<unknown> = Promise.resolve()
  #catalogs = 0

  private constructor(instance: DuckDBInstance, keeper: DuckDBConnection) {
    this.#instance = instance
    this.#keeper = keeper
  }

  /** Rejects with EngineError for options that the engine refuses. */
  static async open(options: EngineOptions): Promise<Engine> {
    try {
      // Instants are told in UTC, wherever a worker stands.
      DuckDBTimestampTZValue.timezoneOffsetInMinutes = 0
      const instance = await DuckDBInstance.create(':memory:', {
        threads: String(options.threads),
        memory_limit: `${Math.floor(options.memoryBytes / 1024)}KiB`,
        temp_directory: options.spillDirectory,
        autoinstall_known_extensions: 'false',
        autoload_known_extensions: 'false',
        allow_community_extensions: 'false',
        allow_persistent_secrets: 'false',
      })
      const keeper = await instance.connect()
      await keeper.run(confinement(options))
      return new Engine(instance, keeper)
    } catch (error) {
      throw engineError(error)
    }
  }

  async connect(): Promise<EngineConnection> {
    this.#catalogs += 1
    // Before anything is waited for: two queries that begin together must not share a name.
    const catalog = `/${this.#catalogs}`
    try {
      const connection = await this.#instance.connect()
      await connection.run(TELL_PROGRESS)
      return new EngineConnection({
        connection,
        catalog,
        drop: (catalog) => this.#drop(catalog),
      })
    } catch (error) {
      throw engineError(error)
    }
  }

  /** Connections have to be closed before. */
  async close(): Promise<void> {
    await this.#kept
    this.#keeper.closeSync()
    this.#instance.closeSync()
  }

  #drop(catalog: string): Promise<unknown> {
    const sql = `DETACH ${sqlName(catalog)}`
    const dropped = this.#kept.then(() => this.#keeper.run(sql))
    this.#kept = dropped.catch(() => undefined)
    return dropped
  }
}

const INTERRUPT_AGAIN_MS = 20

/**
 * In this order: each step takes away what the ones before still needed, the last one takes away the steps.
 *
 * The engine's own limit for spilling is what the disk had free when it first spilled, and stays: on a disk that was full
 * for a moment nothing could spill ever after. The disk itself is the limit that follows what is free.
 */
const confinement = ({ roots, spillDirectory }: EngineOptions): string =>
  [
    "SET max_temp_directory_size = '1000TB'",
    `SET allowed_directories = [${[...roots, spillDirectory].map(sqlText).join(', ')}]`,
    "SET TimeZone = 'UTC'",
    'SET GLOBAL errors_as_json = true',
    // What a session may choose for itself.
    `SET allowed_configs = [${['TimeZone', ...Object.keys(PROGRESS)].map(sqlText).join(', ')}]`,
    'SET enable_external_access = false',
    'SET lock_configuration = true',
  ].join('; ')

/** That a query's progress can be asked for, and nothing is printed: each connection has these for itself. */
const PROGRESS = {
  enable_progress_bar: true,
  enable_progress_bar_print: false,
  progress_bar_time: 0,
}

const TELL_PROGRESS = Object.entries(PROGRESS)
  .map(([name, value]) => `SET ${name} = ${value}`)
  .join('; ')

interface ConnectionParts {
  readonly connection: DuckDBConnection
  /** The name of its own catalog: none that a database can have, or DuckDB could not tell them apart. */
  readonly catalog: string
  readonly drop: (catalog: string) => Promise<unknown>
}

export class EngineConnection {
  readonly #parts: ConnectionParts
  readonly #connection: DuckDBConnection
  #entered = false
  #interrupted = false
  #closed = false
  #calls = 0
  /** Calls under way: closing under one of them would take its ground away. */
  #busy: Promise<unknown> = Promise.resolve()

  constructor(parts: ConnectionParts) {
    this.#parts = parts
    this.#connection = parts.connection
  }

  /**
   * Makes this connection's own catalog with these schemas and runs `sql` in it; names without a schema belong to the
   * first. What is made there is gone when the connection is closed.
   */
  async enter(schemas: readonly string[], sql: readonly string[]): Promise<void> {
    const catalog = sqlName(this.#parts.catalog)
    this.#entered = true
    await this.run(
      [
        `ATTACH ':memory:' AS ${catalog}`,
        ...schemas.map((one) => `CREATE SCHEMA IF NOT EXISTS ${catalog}.${sqlName(one)}`),
        `USE ${catalog}.${sqlName(schemas[0] ?? 'main')}`,
        ...sql,
      ].join(';\n'),
    )
  }

  /** Statements one after the other; what they answer is dropped. Rejects with EngineError, as all calls here. */
  async run(sql: string): Promise<void> {
    await this.#call(() => this.#connection.run(sql))
  }

  /** All rows, as JSON values. For answers that are known to be small. */
  async rows(sql: string, values: readonly string[] = []): Promise<unknown[][]> {
    const reader = await this.#call(() => this.#connection.runAndReadAll(sql, [...values]))
    return reader.getRows().map((row) => row.map((value) => jsonValue(value, null)))
  }

  /** Tells the columns of a query, without running it. Only for what has been analysed: preparing may have effects. */
  async describe(sql: string): Promise<EngineColumn[]> {
    const prepared = await this.#call(() => this.#connection.prepare(sql))
    try {
      return Array.from({ length: prepared.columnCount }, (_, i) => ({
        name: prepared.columnName(i),
        type: String(prepared.columnType(i)),
      }))
    } finally {
      prepared.destroySync()
    }
  }

  /** Resolves when the first rows are there to be read. */
  async stream(sql: string): Promise<EngineStream> {
    const result = await this.#call(() => this.#connection.stream(sql))
    return new EngineStream(result, (call) => this.#call(call))
  }

  /** What is under way, and whatever is called later, rejects with `interrupted`. */
  interrupt(): void {
    if (this.#interrupted) return
    this.#interrupted = true
    this.#interruptCalls()
  }

  /** DuckDB forgets an interruption when a statement begins, and a call may wait for a thread to begin on. */
  #interruptCalls(): void {
    if (this.#closed) return
    this.#connection.interrupt()
    if (this.#calls > 0) systemClock.after(INTERRUPT_AGAIN_MS, () => this.#interruptCalls())
  }

  /** From 0 to 1, of the statement that runs. */
  progress(): number {
    if (this.#closed) return 0
    const { percentage } = this.#connection.progress
    return percentage > 0 ? Math.min(1, percentage / 100) : 0
  }

  /** Resolves when nothing of it runs any more. A second call does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.interrupt()
    await this.#busy.catch(() => undefined)
    if (this.#closed) return
    this.#closed = true
    this.#connection.closeSync()
    if (!this.#entered) return
    await this.#parts.drop(this.#parts.catalog).catch((error: unknown) => {
      // It was interrupted before it was made.
      if (!messageOf(error).includes(this.#parts.catalog)) throw engineError(error)
    })
  }

  async #call<T>(call: () => Promise<T>): Promise<T> {
    if (this.#interrupted) throw interrupted()
    this.#calls += 1
    const answer = call().finally(() => {
      this.#calls -= 1
    })
    this.#busy = answer
    try {
      const result = await answer
      // A stream that was interrupted ends like one that is complete.
      if (this.#interrupted) throw interrupted()
      return result
    } catch (error) {
      throw this.#interrupted ? interrupted() : engineError(error)
    }
  }
}
