/**
 * A database file of DuckDB as the catalog's SQL server: the only file here that knows the engine.
 *
 * One instance for the file in this process: opened twice in one process, the engine would lose data without a word.
 * The guard sees to that, and to all other processes.
 */
import {
  BIGINT,
  BOOLEAN,
  type DuckDBConnection,
  DuckDBInstance,
  type DuckDBType,
  VARCHAR,
} from '@duckdb/node-api'
import { messageOf, saysNoSpace } from '../../base/failures.ts'
import {
  type Dialect,
  type SqlConnection,
  SqlFailure,
  type SqlFailureKind,
  type SqlRow,
  type SqlValue,
} from '../database/sql-connection.ts'
import { CatalogError } from '../errors.ts'

export const DUCKDB_DIALECT: Dialect = {
  text: 'VARCHAR',
  integer: 'BIGINT',
  boolean: 'BOOLEAN',
  currentSchema: 'current_schema()',
  tableEnd: '',
  // Its indexes can refuse a key that was deleted just before.
  hasKeys: false,
  isFollowed: false,
  begin: 'BEGIN TRANSACTION',
  beginSnapshot: ['BEGIN TRANSACTION'],
  // Nobody else can have it open.
  forUpdate: '',
  forUpdateNow: '',
  exclusively: (_connection, work) => work(),
  endSession: async () => undefined,
}

export interface OpenFile {
  connect(): Promise<SqlConnection>
  /** True when an error has made the instance useless: close it and open the file anew. */
  readonly broken: boolean
  /** Waits for the statement that runs: until then the file is open, and must not be opened anew. */
  close(): Promise<void>
}

/**
 * The catalog needs little: the workers' queries have the cores and the memory. Checkpoints are made by whoever looks at the
 * file (embedded-files.ts), none by the engine while it is open.
 */
const OPTIONS = { threads: '1', memory_limit: '512MB', checkpoint_threshold: '1TB' }

/** Opens or makes the file. Rejects CatalogError: IN_USE, CORRUPT, FULL, UNAVAILABLE. */
export async function openFile(file: string): Promise<OpenFile> {
  let instance: DuckDBInstance
  try {
    instance = await DuckDBInstance.create(file, OPTIONS)
  } catch (error) {
    throw openError(file, error)
  }
  let isBroken = false
  const connections = new Set<DuckDbConnection>()
  return {
    get broken() {
      return isBroken
    },
    async connect() {
      const connection = new DuckDbConnection(await instance.connect(), {
        broken: () => {
          isBroken = true
        },
        closed: () => connections.delete(connection),
      })
      connections.add(connection)
      return connection
    },
    async close() {
      for (const connection of connections) connection.destroy()
      await Promise.all([...connections].map((connection) => connection.idle))
      instance.closeSync()
    },
  }
}

/** Whether no process of this kernel has the file open; it is let go again at once. */
export async function isFree(file: string): Promise<boolean> {
  try {
    const instance = await DuckDBInstance.create(file, { access_mode: 'READ_ONLY' })
    instance.closeSync()
    return true
  } catch (error) {
    if (isLocked(error)) return false
    // Whatever else is wrong with it, nobody holds it; opening it in earnest will tell.
    return true
  }
}

class DuckDbConnection implements SqlConnection {
  readonly session = ''
  readonly #connection: DuckDBConnection
  readonly #on: { readonly broken: () => void; readonly closed: () => void }
  #running = false
  #given = false
  /** Resolves when the statement that runs, or ran last, has ended. */
  idle: Promise<unknown> = Promise.resolve()

  constructor(connection: DuckDBConnection, on: { broken: () => void; closed: () => void }) {
    this.#connection = connection
    this.#on = on
  }

  async query(sql: string, values: readonly SqlValue[] = []): Promise<SqlRow[]> {
    if (this.#given) throw new SqlFailure('lost', 'the connection was closed')
    const answer = this.#run(sql, values)
    this.idle = answer.catch(() => undefined)
    return answer
  }

  async #run(sql: string, values: readonly SqlValue[]): Promise<SqlRow[]> {
    this.#running = true
    try {
      const bound = values.map((value) => (typeof value === 'number' ? BigInt(value) : value))
      const result = await this.#connection.run(sql, bound, values.map(typeOf))
      return (await result.getRowObjectsJS()).map(withNumbers)
    } catch (error) {
      // Interrupted by us it says nothing about the file.
      const kind = this.#given ? 'lost' : duckdbKindOf(error)
      if (kind === 'lost' && !this.#given) this.#on.broken()
      throw new SqlFailure(kind, messageOf(error), { cause: error })
    } finally {
      this.#running = false
      if (this.#given) this.#disconnect()
    }
  }

  release(): void {
    this.destroy()
  }

  destroy(): void {
    if (this.#given) return
    this.#given = true
    // While a statement runs the connection must stay; its end closes it.
    if (this.#running) this.#connection.interrupt()
    else this.#disconnect()
  }

  #disconnect(): void {
    this.#connection.disconnectSync()
    this.#on.closed()
  }
}

function typeOf(value: SqlValue): DuckDBType {
  if (typeof value === 'boolean') return BOOLEAN
  return typeof value === 'string' ? VARCHAR : BIGINT
}

const withNumbers = (row: Readonly<Record<string, unknown>>): SqlRow =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? Number(value) : value,
    ]),
  )

const isLocked = (error: unknown): boolean => messageOf(error).includes('Could not set lock')
const isFull = (error: unknown): boolean => saysNoSpace(messageOf(error))

function openError(file: string, error: unknown): CatalogError {
  const text = messageOf(error).trim()
  const fail = (code: CatalogError['code'], said: string) =>
    new CatalogError(code, `${file}: ${said}`, { cause: error })
  if (isLocked(error)) return fail('IN_USE', `another process has it open (${text})`)
  if (isFull(error)) return fail('FULL', text)
  if (text.includes('not a valid DuckDB') || text.startsWith('Serialization')) {
    return fail('CORRUPT', text)
  }
  return fail('UNAVAILABLE', text)
}

/** The engine's errors have no codes, their text begins with their class. */
export function duckdbKindOf(error: unknown): SqlFailureKind {
  const text = messageOf(error)
  if (isFull(error)) return 'full'
  if (/^Catalog Error: Table with name \S+ does not exist/.test(text)) return 'missing'
  return ['IO Error', 'FATAL', 'INTERNAL', 'Interrupt', 'Connection Error'].some((start) =>
    text.startsWith(start),
  )
    ? 'lost'
    : 'refused'
}
