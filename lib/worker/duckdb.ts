/**
 * An engine in memory, and what may be done with it. Nothing else of a worker knows DuckDB but the files that are called
 * after it: its values, its errors, its results.
 *
 * An engine opens the files of one query and nothing else: it is made ahead, and locked for them (`Reach`) before it sees a
 * word of a user. It loads no extension, and nobody can change its configuration any more. That is the second fence, which
 * does not depend on our reading of statements (`analyse.ts`). What it spills lies in a directory of its own, whose name
 * nobody can guess, since an engine lets a query read there whatever is locked.
 *
 * Each query has a connection of its own and, in it, a catalog of its own that vanishes with it. Two traps are dealt
 * with here. An interrupted stream ends without an error, as if it were complete: `EngineStream.next` tells them apart.
 * And DuckDB forgets an interruption when a statement begins, so it is told again.
 *
 * All of this runs in a process of its own (`engine-process.ts`), since an engine can take more memory than it was given, and
 * die of it.
 */
import { type DuckDBConnection, DuckDBInstance, DuckDBTimestampTZValue } from '@duckdb/node-api'
import { systemClock } from '../base/time.ts'
import { EngineError, engineError, interrupted } from './duckdb-errors.ts'
import { ChunkRows, type EngineColumn, EngineStream, toldColumns } from './duckdb-stream.ts'
import type { Reach } from './reach.ts'
import { inPattern, sqlName, sqlText } from './sql-text.ts'

interface EngineOptions {
  readonly threads: number
  /** What its queries may use. */
  readonly memoryBytes: number
  /** Absolute, this engine's own; what does not fit into memory goes there. */
  readonly spillDirectory: string
  /** So much of it. */
  readonly spillBytes: number
}

/** Not yet locked: it must not see what a user wrote. */
export class FreshEngine {
  readonly spillDirectory: string
  readonly #spillBytes: number
  readonly #instance: DuckDBInstance
  readonly #ownConnection: DuckDBConnection

  private constructor(
    { spillDirectory, spillBytes }: EngineOptions,
    instance: DuckDBInstance,
    ownConnection: DuckDBConnection,
  ) {
    this.spillDirectory = spillDirectory
    this.#spillBytes = spillBytes
    this.#instance = instance
    this.#ownConnection = ownConnection
  }

  /** Rejects with EngineError for options that the engine refuses. */
  static async make(options: EngineOptions): Promise<FreshEngine> {
    const { threads, memoryBytes, spillDirectory } = options
    try {
      // Instants are told in UTC, wherever a worker stands.
      DuckDBTimestampTZValue.timezoneOffsetInMinutes = 0
      const instance = await DuckDBInstance.create(':memory:', {
        threads: String(threads),
        memory_limit: `${Math.floor(memoryBytes / 1024)}KiB`,
        temp_directory: spillDirectory,
        autoinstall_known_extensions: 'false',
        autoload_known_extensions: 'false',
        allow_community_extensions: 'false',
        allow_persistent_secrets: 'false',
      })
      return new FreshEngine(options, instance, await instance.connect())
    } catch (error) {
      throw engineError(error)
    }
  }

  /** Rejects with EngineError. It can't be used otherwise afterwards. */
  async lock(reach: Reach): Promise<Engine> {
    try {
      await this.#ownConnection.run(confinement(reach, this.#spillBytes))
      return new Engine(this.spillDirectory, this.#instance, this.#ownConnection)
    } catch (error) {
      this.close()
      throw engineError(error)
    }
  }

  close(): void {
    this.#ownConnection.closeSync()
    this.#instance.closeSync()
  }
}

/** Opens what it was locked for. One query at a time uses it. */
export class Engine {
  readonly spillDirectory: string
  readonly #instance: DuckDBInstance
  /** Takes away what an ended query leaves. */
  readonly #ownConnection: DuckDBConnection
  #catalogs = 0

  constructor(spillDirectory: string, instance: DuckDBInstance, ownConnection: DuckDBConnection) {
    this.spillDirectory = spillDirectory
    this.#instance = instance
    this.#ownConnection = ownConnection
  }

  /** `onClosed`: it holds nothing of that query any more; true where the engine itself has failed. */
  async connect(onClosed: (failed: boolean) => Promise<void>): Promise<EngineConnection> {
    this.#catalogs += 1
    let connection: DuckDBConnection | null = null
    try {
      connection = await this.#instance.connect()
      await connection.run(TELL_PROGRESS)
      return new EngineConnection({
        connection,
        catalog: `/${this.#catalogs}`,
        secret: this.spillDirectory,
        drop: (catalog) => this.#ownConnection.run(`DETACH ${sqlName(catalog)}`),
        onClosed,
      })
    } catch (error) {
      connection?.closeSync()
      throw engineError(error)
    }
  }

  /** Its connections have to be closed before. */
  close(): void {
    this.#ownConnection.closeSync()
    this.#instance.closeSync()
  }
}

const INTERRUPT_AGAIN_MS = 20

/**
 * In this order: each step takes away what the ones before still needed, the last one takes away the steps.
 *
 * The engine's own limit for spilling would be what the disk had free when it first spilled, and stays: on a disk that was
 * full for a moment nothing could spill ever after. Given as an option of a new engine a limit is shown and not kept.
 */
const confinement = ({ files, directories }: Reach, spillBytes: number): string =>
  [
    `SET max_temp_directory_size = '${Math.floor(spillBytes / 1024)}KiB'`,
    // Of an allowed directory all below it is allowed, and not the directory itself.
    `SET allowed_paths = ${sqlList([...files.flatMap(spellingsOf), ...directories])}`,
    `SET allowed_directories = ${sqlList(directories)}`,
    "SET TimeZone = 'UTC'",
    'SET GLOBAL errors_as_json = true',
    // What a session may choose for itself.
    `SET allowed_configs = ${sqlList(['TimeZone', ...Object.keys(PROGRESS)])}`,
    'SET enable_external_access = false',
    'SET lock_configuration = true',
  ].join('; ')

/** A path is looked for as the pattern as which it is written, and opened as it is. */
const spellingsOf = (path: string): string[] => [...new Set([path, inPattern(path)])]

const sqlList = (texts: readonly string[]): string => `[${texts.map(sqlText).join(', ')}]`

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
  /** A path that no error tells. */
  readonly secret: string
  readonly drop: (catalog: string) => Promise<unknown>
  readonly onClosed: (failed: boolean) => Promise<void>
}

/** The engine reads a text for names on Node's own thread: 2.5 ms for each KB of a chain of operators. */
const NAMES_IN_CHARS = 16 * 1024

export class EngineConnection {
  readonly #parts: ConnectionParts
  readonly #connection: DuckDBConnection
  #entered = false
  #interrupted = false
  #closed = false
  #failed = false
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
    const result = await this.#call(() => this.#connection.run(sql, [...values]))
    const chunks = await this.#call(() => result.fetchAllChunks())
    const rows: unknown[][] = []
    for (const chunk of chunks) {
      const left = new ChunkRows(chunk, () => this.#interrupted)
      while (!left.done) rows.push(...(await left.take()).map((row) => JSON.parse(row)))
    }
    return rows
  }

  /** Tells the columns of a query, without running it. Only for what has been analysed: preparing may have effects. */
  async describe(sql: string): Promise<EngineColumn[]> {
    const prepared = await this.#call(() => this.#connection.prepare(sql))
    try {
      const columns = Array.from({ length: prepared.columnCount }, (_, i) => ({
        name: prepared.columnName(i),
        type: String(prepared.columnType(i)),
      }))
      return [...toldColumns(columns)]
    } finally {
      prepared.destroySync()
    }
  }

  /**
   * Names of tables in `sql` that the engine itself finds nowhere, and would take for names of files; to be asked once its
   * tables are entered. Of a long text, which it would read for long, none are told.
   */
  unknownNames(sql: string): readonly string[] {
    return sql.length > NAMES_IN_CHARS ? [] : this.#connection.getTableNames(sql, false)
  }

  /** Resolves when the first rows are there to be read. */
  async stream(sql: string): Promise<EngineStream> {
    const result = await this.#call(() => this.#connection.stream(sql))
    return new EngineStream(result, {
      call: (call) => this.#call(call),
      isInterrupted: () => this.#interrupted,
    })
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

  /** The engine has failed inside: whatever it is asked from then on, it refuses. */
  get failed(): boolean {
    return this.#failed
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
    await this.#dropCatalog()
    await this.#parts.onClosed(this.#failed)
  }

  async #dropCatalog(): Promise<void> {
    const { catalog, drop } = this.#parts
    if (!this.#entered) return
    try {
      await drop(catalog)
    } catch (error) {
      const { code, message } = engineError(error)
      // Else it was interrupted before it was made.
      if (code === 'internal' || !message.includes(catalog)) this.#failed = true
    }
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
      // An engine can fail inside by being interrupted, too.
      const told = this.#told(error)
      throw this.#interrupted ? interrupted() : told
    }
  }

  #told(thrown: unknown): EngineError {
    const error = engineError(thrown)
    if (error.code === 'internal') this.#failed = true
    const message = error.message.replaceAll(this.#parts.secret, 'the spill directory')
    return message === error.message
      ? error
      : new EngineError(error.code, message, error.position, error)
  }
}
