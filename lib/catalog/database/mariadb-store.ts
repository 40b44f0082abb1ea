/**
 * MariaDBStore and MySQLStore keep the catalog in a MariaDB (10.6 and newer) or MySQL (8.0 and newer) database, both
 * with InnoDB. The only file that knows the `mariadb` driver.
 */
import {
  type ConnectionConfig,
  createConnection,
  createPool,
  type Pool,
  type PoolConnection,
  SqlError,
} from 'mariadb'
import { messageOf, saysNoSpace } from '../../base/failures.ts'
import { waitingClock, within } from '../../base/time.ts'
import { CatalogError } from '../errors.ts'
import { type JdbcAddress, type JdbcOptions, MARIADB_URI, parseJdbc } from '../uri.ts'
import {
  type Dialect,
  SQL_TIMEOUTS,
  type SqlConnection,
  SqlFailure,
  type SqlFailureKind,
  type SqlRow,
  type SqlServer,
  type SqlTimeouts,
  type SqlValue,
} from './sql-connection.ts'
import { type SqlKeeping, SqlStore } from './sql-store.ts'

export class MariadbStore extends SqlStore {
  /** Throws CatalogError BAD_STORE when the URI is none. Connects at `open` only. */
  constructor(
    options: JdbcOptions,
    timeouts: SqlTimeouts = SQL_TIMEOUTS,
    keeping: SqlKeeping = {},
  ) {
    super({ server: mariadbServer(options, timeouts), ...keeping })
  }
}

const MAX_CONNECTIONS = 3
/** Longer than this nobody waits for a row or for the tables' lock, seconds. */
const LOCK_WAIT_S = 5

const DIALECT: Dialect = {
  text: 'LONGTEXT',
  integer: 'BIGINT',
  boolean: 'TINYINT(1)',
  currentSchema: 'DATABASE()',
  tableEnd: ' ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin',
  hasKeys: true,
  isFollowed: true,
  begin: 'START TRANSACTION',
  beginSnapshot: [
    'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ',
    'START TRANSACTION WITH CONSISTENT SNAPSHOT',
  ],
  forUpdate: ' FOR UPDATE',
  forUpdateNow: ' FOR UPDATE NOWAIT',
  async exclusively(connection, work) {
    const lock = "CONCAT('tajo-catalog.', MD5(DATABASE()))"
    const rows = await connection.query(`SELECT GET_LOCK(${lock}, ${LOCK_WAIT_S}) AS got`)
    if (Number(rows[0]?.got) !== 1) {
      throw new SqlFailure('locked', 'another process is making or changing the catalog’s tables')
    }
    await work()
    // When the work fails the connection is given up, and the lock with it.
    await connection.query(`SELECT RELEASE_LOCK(${lock})`)
  },
  async endSession(connection, session) {
    const found = await connection.query(
      "SELECT id FROM information_schema.processlist WHERE id = ? AND db = DATABASE() AND user = SUBSTRING_INDEX(USER(), '@', 1)",
      [Number(session)],
    )
    if (found.length === 0) return
    try {
      await connection.query('KILL CONNECTION ?', [Number(session)])
    } catch (error) {
      // It has ended by itself meanwhile.
      if (errnoOf((error as Error).cause) !== NO_SUCH_THREAD) throw error
    }
  },
}

function mariadbServer(options: JdbcOptions, timeouts: SqlTimeouts): SqlServer {
  const address = parseJdbc(options, MARIADB_URI)
  const name = `MariaDB/MySQL at ${address.host}:${address.port}, database ${address.database}`
  const config = configOf(address, timeouts)
  let pool: Pool | null = null

  return {
    name,
    async connect({ mayCreate }) {
      // A pool tries on and on and tells of a wrong password late, so a connection without one goes first.
      if (pool === null && !(await isThere(name, address, config))) {
        if (!mayCreate) return null
        await createDatabase(name, address, config)
      }
      pool ??= openPool(config, timeouts)
      try {
        return await prepareSession(name, await pool.getConnection(), timeouts)
      } catch (error) {
        closePool(pool)
        pool = null
        throw CatalogError.from(error, () => connectError(name, address, error))
      }
    },
    async close() {
      if (pool !== null) closePool(pool)
      pool = null
    },
  }
}

function configOf(address: JdbcAddress, { connectMs }: SqlTimeouts): ConnectionConfig {
  return {
    host: address.host,
    port: address.port,
    database: address.database,
    ...(address.user === '' ? {} : { user: address.user }),
    ...(address.password === '' ? {} : { password: address.password }),
    ...(address.tls === null ? {} : { ssl: { rejectUnauthorized: address.tls === 'verified' } }),
    connectTimeout: connectMs,
    keepAliveDelay: 10_000,
    bigIntAsNumber: true,
    // Strict: a value that does not fit is an error and never cut.
    initSql: [
      "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
      'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
      `SET SESSION innodb_lock_wait_timeout = ${LOCK_WAIT_S}`,
    ],
  }
}

const openPool = (config: ConnectionConfig, { connectMs }: SqlTimeouts): Pool =>
  createPool({
    ...config,
    connectionLimit: MAX_CONNECTIONS,
    minimumIdle: 1,
    acquireTimeout: connectMs,
    initializationTimeout: connectMs,
  })

/** It waits for connections that hang; those in use are destroyed by whoever holds them. */
function closePool(pool: Pool): void {
  pool.end().catch(() => undefined)
}

class MariadbConnection implements SqlConnection {
  readonly session: string
  readonly #connection: PoolConnection
  readonly #statementMs: number
  /** The server refuses longer packets and hangs up. */
  maxPacketBytes = Number.POSITIVE_INFINITY
  #given = false

  constructor(connection: PoolConnection, statementMs: number) {
    this.#connection = connection
    this.#statementMs = statementMs
    this.session = String(connection.threadId)
    // Without a listener a broken connection would end the process; the next query says it.
    connection.on('error', () => undefined)
  }

  async query(sql: string, values: readonly SqlValue[] = []): Promise<SqlRow[]> {
    if (packetBytes(sql, values) > this.maxPacketBytes) {
      const limit = `the server takes ${this.maxPacketBytes} bytes at a time (max_allowed_packet)`
      throw new SqlFailure('refused', `a value is too long: ${limit}`)
    }
    const late = (): never => {
      this.destroy()
      throw new SqlFailure('lost', `no answer within ${this.#statementMs} ms`)
    }
    try {
      const asked = this.#connection.query<SqlRow[] | object>(sql, [...values])
      const answer = await within(waitingClock, this.#statementMs, asked, late)
      return Array.isArray(answer) ? answer : []
    } catch (error) {
      throw SqlFailure.from(
        error,
        (cause) => new SqlFailure(mariadbKindOf(cause), saidBy(cause), { cause }),
      )
    }
  }

  release(): void {
    if (!this.#given) this.#connection.release().catch(() => undefined)
    this.#given = true
  }

  destroy(): void {
    if (!this.#given) this.#connection.destroy()
    this.#given = true
  }
}

/** An upper bound: quotes and backslashes are doubled in the text that is sent. */
function packetBytes(sql: string, values: readonly SqlValue[]): number {
  let bytes = sql.length
  for (const value of values) {
    bytes += typeof value === 'string' ? Buffer.byteLength(value) + escapesIn(value) : 24
  }
  return bytes
}

const ESCAPED = new Set(['"', "'", '\\', '\0', '\n', '\r', '\t', '\b', '\u001a'])
const SHORT = 100_000

function escapesIn(text: string): number {
  if (text.length < SHORT) return text.length
  let count = 2
  for (const letter of text) if (ESCAPED.has(letter)) count++
  return count
}

/** What the server's own settings might break. */
async function prepareSession(
  name: string,
  pooled: PoolConnection,
  { statementMs }: SqlTimeouts,
): Promise<{ connection: SqlConnection; dialect: Dialect }> {
  const connection = new MariadbConnection(pooled, statementMs)
  try {
    const [row] = await connection.query(
      'SELECT @@max_allowed_packet AS packet, @@innodb_flush_log_at_trx_commit AS flush',
    )
    if (Number(row?.flush) === 0) {
      throw new CatalogError(
        'BAD_STORE',
        `${name} runs with innodb_flush_log_at_trx_commit = 0: a crash of it would lose changes that were acknowledged; set it to 1`,
      )
    }
    connection.maxPacketBytes = Number(row?.packet)
    return { connection, dialect: DIALECT }
  } catch (error) {
    connection.destroy()
    throw error
  }
}

/** Rejects CatalogError, also for a database that is not there and nobody may make. */
async function isThere(
  name: string,
  address: JdbcAddress,
  config: ConnectionConfig,
): Promise<boolean> {
  try {
    await runOnce(config, 'SELECT 1')
    return true
  } catch (error) {
    if (errnoOf(error) === NO_DATABASE && address.createDatabase) return false
    throw connectError(name, address, error)
  }
}

async function createDatabase(
  name: string,
  address: JdbcAddress,
  config: ConnectionConfig,
): Promise<void> {
  const { database: _, ...withoutDatabase } = config
  const quoted = `\`${address.database.replaceAll('`', '``')}\``
  try {
    const sql = `CREATE DATABASE IF NOT EXISTS ${quoted} CHARACTER SET utf8mb4`
    await runOnce(withoutDatabase, sql)
  } catch (error) {
    const code = mariadbKindOf(error) === 'full' ? 'FULL' : 'BAD_STORE'
    throw new CatalogError(code, `can't create the database of ${name}: ${saidBy(error)}`, {
      cause: error,
    })
  }
}

/** Runs a statement on a connection of its own. */
async function runOnce(config: ConnectionConfig, sql: string): Promise<void> {
  const connection = await createConnection(config)
  connection.on('error', () => undefined)
  try {
    await connection.query(sql)
  } finally {
    connection.destroy()
  }
}

const NO_DATABASE = 1049
const NO_TABLE = 1146
const NO_SUCH_THREAD = 1094
/** Access is denied: for the user, for the database, without a password, by an unknown method. */
const DENIED = [1044, 1045, 1698, 1251, 1524]

function connectError(name: string, address: JdbcAddress, error: unknown): CatalogError {
  const fail = (code: 'BAD_STORE' | 'UNAVAILABLE', text: string) =>
    new CatalogError(code, `${name}: ${text}`, { cause: error })
  const errno = errnoOf(error) ?? 0
  if (errno === NO_DATABASE) {
    return fail(
      'BAD_STORE',
      'there is no such database: create it, or add createDatabaseIfNotExist=true to tajo.catalog.uri',
    )
  }
  const user = address.user === '' ? 'without a user' : `as user ${address.user}`
  if (DENIED.includes(errno)) {
    return fail(
      'BAD_STORE',
      `it does not let us in ${user} (${saidBy(error)}): see tajo.catalog.connection.id and tajo.catalog.connection.password`,
    )
  }
  return fail('UNAVAILABLE', `can't connect ${user}: ${saidBy(error)}`)
}

const errnoOf = (error: unknown): number | null => (error instanceof SqlError ? error.errno : null)

/** The driver's own message repeats the statement with its values. */
function saidBy(error: unknown): string {
  if (!(error instanceof SqlError)) return messageOf(error)
  const cause = error.cause instanceof Error ? ` (${saidBy(error.cause)})` : ''
  return `${error.sqlMessage ?? error.message}${cause}`
}

/** Disk full; table full, which InnoDB says of a full disk. */
const FULL = [1021, 1114]
/** These come from an engine, from COMMIT or ROLLBACK, from making a file, a table or a database, from renaming and writing. */
const FILE_ERRORS = [1030, 1180, 1181, 1004, 1005, 1006, 1025, 1026]
/** Below these are the errors of its library for files. */
const SERVER_ERRORS = 1_000
/**
 * 28 is ENOSPC, 122 EDQUOT: `Got error 28 …`, `errno: 122 …`, `Errcode: 28 …`, `OS errno 28 - …`. An engine's own error 122 is
 * something else.
 */
const NO_SPACE = /\b(error 28|(errno|errcode):? (28|122))\b/i

function isFull({ errno }: SqlError, said: string): boolean {
  if (FULL.includes(errno)) return true
  const isOfFile = FILE_ERRORS.includes(errno) || (errno > 0 && errno < SERVER_ERRORS)
  return isOfFile && (NO_SPACE.test(said) || saysNoSpace(said))
}
/** These are: record changed, lock wait over, deadlock, interrupted, statement time over, NOWAIT in MySQL. */
const LOCKED = [1020, 1205, 1213, 1317, 1969, 3024, 3572]
/** Server is shutting down, connection killed, packets out of order and other breaks of the line. */
const LOST = [1053, 1927, 1152, 1153, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161]
/** The driver's own errors: no answer of the server's. */
const DRIVER_ERRORS = 45_000

export function mariadbKindOf(error: unknown): SqlFailureKind {
  if (!(error instanceof SqlError) || error.fatal) return 'lost'
  const { errno } = error
  if (isFull(error, saidBy(error))) return 'full'
  if (LOCKED.includes(errno)) return 'locked'
  if (errno === NO_TABLE) return 'missing'
  return LOST.includes(errno) || errno >= DRIVER_ERRORS ? 'lost' : 'refused'
}
