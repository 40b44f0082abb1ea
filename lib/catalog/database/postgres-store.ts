/**
 * PostgreSQLStore keeps the catalog in a PostgreSQL database. The only file that knows the `pg` driver.
 *
 * The pool is small on purpose: one connection belongs to the store that is open, a second one reads or takes over.
 */
import pg from 'pg'
import { messageOf, saysNoSpace } from '../../base/failures.ts'
import { CatalogError } from '../errors.ts'
import { type JdbcAddress, type JdbcOptions, POSTGRES_URI, parseJdbc } from '../uri.ts'
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

export class PostgresStore extends SqlStore {
  /** Throws CatalogError BAD_STORE when the URI is none. Connects at `open` only. */
  constructor(
    options: JdbcOptions,
    timeouts: SqlTimeouts = SQL_TIMEOUTS,
    keeping: SqlKeeping = {},
  ) {
    super({ server: postgresServer(options, timeouts), ...keeping })
  }
}

const MAX_CONNECTIONS = 3
/** Sessions of this name are ours: a take-over ends no other. */
const APPLICATION = 'tajo-catalog'
/** Key of the advisory lock under which the tables are made: `tajo` in ASCII. */
const LOCK_KEY = 0x74616a6f
/** The client gives up a little after the server should have. */
const ANSWER_MS = 1_000

const DIALECT: Dialect = {
  text: 'TEXT',
  integer: 'BIGINT',
  boolean: 'BOOLEAN',
  currentSchema: 'current_schema()',
  tableEnd: '',
  hasKeys: true,
  isFollowed: true,
  begin: 'BEGIN ISOLATION LEVEL READ COMMITTED',
  beginSnapshot: ['BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'],
  forUpdate: ' FOR UPDATE',
  forUpdateNow: ' FOR UPDATE NOWAIT',
  async exclusively(connection, work) {
    await connection.query(`SELECT pg_advisory_lock(${LOCK_KEY})`)
    await work()
    // When the work fails the connection is given up, and the lock with it.
    await connection.query(`SELECT pg_advisory_unlock(${LOCK_KEY})`)
  },
  async endSession(connection, session) {
    await connection.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ? AND datname = current_database() AND usename = current_user AND application_name = ?',
      [Number(session), APPLICATION],
    )
  },
}

function postgresServer(options: JdbcOptions, timeouts: SqlTimeouts): SqlServer {
  const address = parseJdbc(options, POSTGRES_URI)
  const name = `PostgreSQL at ${address.host}:${address.port}, database ${address.database}`
  const config = configOf(address, timeouts)
  let pool: pg.Pool | null = null

  const connect = async (): Promise<pg.PoolClient> => {
    pool ??= openPool(config)
    return await pool.connect()
  }
  return {
    name,
    async connect({ mayCreate }) {
      let client: pg.PoolClient
      try {
        client = await connect()
      } catch (error) {
        if (sqlStateOf(error) !== NO_DATABASE || !address.createDatabase) {
          throw connectError(name, address, error)
        }
        if (!mayCreate) return null
        await createDatabase(name, address, config)
        client = await connect().catch((again: unknown) => {
          throw connectError(name, address, again)
        })
      }
      const connection = new PostgresConnection(client)
      await prepareSession(name, connection)
      return { connection, dialect: DIALECT }
    },
    async close() {
      const closing = pool
      pool = null
      // It would wait for connections that hang; those in use are destroyed by whoever holds them.
      closing?.end().catch(() => undefined)
    },
  }
}

function configOf(address: JdbcAddress, { connectMs, statementMs }: SqlTimeouts): pg.PoolConfig {
  return {
    host: address.host,
    port: address.port,
    database: address.database,
    ...(address.user === '' ? {} : { user: address.user }),
    ...(address.password === '' ? {} : { password: address.password }),
    ssl: address.tls === null ? false : { rejectUnauthorized: address.tls === 'verified' },
    application_name: APPLICATION,
    connectionTimeoutMillis: connectMs,
    statement_timeout: statementMs,
    query_timeout: statementMs + ANSWER_MS,
    keepAlive: true,
    max: MAX_CONNECTIONS,
    types: { getTypeParser: typeParser as typeof pg.types.getTypeParser },
  }
}

const BIGINT_OID = 20
/** The driver hands 64-bit integers over as text; ours are all exact as numbers. */
const typeParser = (oid: number, format?: 'text' | 'binary'): unknown =>
  oid === BIGINT_OID ? Number : pg.types.getTypeParser(oid, format as 'text')

function openPool(config: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool(config)
  // An idle connection that breaks: the pool has dropped it already.
  pool.on('error', () => undefined)
  return pool
}

class PostgresConnection implements SqlConnection {
  readonly session: string
  readonly #client: pg.PoolClient
  #given = false

  constructor(client: pg.PoolClient) {
    this.#client = client
    this.session = String((client as unknown as { processID: number }).processID)
    // Without a listener a broken connection would end the process; the next query says it.
    client.on('error', () => undefined)
  }

  async query(sql: string, values: readonly SqlValue[] = []): Promise<SqlRow[]> {
    let number = 0
    const text = values.length === 0 ? sql : sql.replaceAll('?', () => `$${++number}`)
    try {
      return (await this.#client.query<SqlRow>(text, [...values])).rows
    } catch (error) {
      throw new SqlFailure(postgresKindOf(error), messageOf(error), { cause: error })
    }
  }

  release(): void {
    if (!this.#given) this.#client.release()
    this.#given = true
  }

  destroy(): void {
    if (this.#given) return
    this.#given = true
    this.#client.release(true)
    // `release` says good-bye and waits for the other side; a frozen one never answers.
    ;(this.#client as unknown as { connection: pg.Connection }).connection.stream.destroy()
  }
}

/** What the server's own settings might break. */
async function prepareSession(name: string, connection: SqlConnection): Promise<void> {
  try {
    const rows = await connection.query(
      "SELECT current_setting('server_encoding') AS encoding, current_setting('synchronous_commit') AS sync",
    )
    const { encoding, sync } = rows[0] ?? {}
    if (encoding !== 'UTF8') {
      throw new CatalogError(
        'BAD_STORE',
        `${name} has the encoding ${encoding}: the catalog needs a database with ENCODING 'UTF8'`,
      )
    }
    // An acknowledged change must outlast a crash of the server.
    if (sync === 'off') await connection.query('SET synchronous_commit = on')
  } catch (error) {
    connection.destroy()
    throw CatalogError.from(error, (cause) => {
      return new CatalogError('UNAVAILABLE', `${name}: ${messageOf(cause)}`, { cause })
    })
  }
}

/** Names of databases that every server has. */
const MAINTENANCE = ['postgres', 'template1']

async function createDatabase(
  name: string,
  address: JdbcAddress,
  config: pg.PoolConfig,
): Promise<void> {
  let failure: unknown
  for (const database of MAINTENANCE) {
    const client = new pg.Client({ ...config, database })
    client.on('error', () => undefined)
    try {
      await client.connect()
      const quoted = pg.escapeIdentifier(address.database)
      await client.query(`CREATE DATABASE ${quoted} ENCODING 'UTF8' TEMPLATE template0`)
      return
    } catch (error) {
      failure = error
      // Another master was first.
      if (['42P04', '23505'].includes(sqlStateOf(error) ?? '')) return
      if (sqlStateOf(error) !== NO_DATABASE) break
    } finally {
      client.end().catch(() => undefined)
    }
  }
  throw new CatalogError(
    postgresKindOf(failure) === 'full' ? 'FULL' : 'BAD_STORE',
    `can't create the database of ${name}: ${messageOf(failure)}`,
    { cause: failure },
  )
}

const NO_DATABASE = '3D000'
const NO_TABLE = '42P01'
const DISK_FULL = '53100'
/** Resources, the system's errors, internal ones: it knows a full disk by its code, a quota by the system's words only. */
const ofTheSystem = (state: string): boolean => ['53', '58', 'XX'].includes(state.slice(0, 2))

function connectError(name: string, address: JdbcAddress, error: unknown): CatalogError {
  const state = sqlStateOf(error)
  const fail = (code: 'BAD_STORE' | 'UNAVAILABLE', text: string) =>
    new CatalogError(code, `${name}: ${text}`, { cause: error })
  const user = address.user === '' ? 'without a user' : `as user ${address.user}`
  if (state === NO_DATABASE) {
    return fail(
      'BAD_STORE',
      'there is no such database: create it, or add createDatabaseIfNotExist=true to tajo.catalog.uri',
    )
  }
  // The driver has no SQLSTATE for a password that the server asks for and nobody gave.
  const noPassword = messageOf(error).includes('password must be a string')
  if (state?.startsWith('28') || noPassword) {
    return fail(
      'BAD_STORE',
      `it does not let us in ${user} (${noPassword ? 'it asks for a password' : messageOf(error)}): see tajo.catalog.connection.id and tajo.catalog.connection.password`,
    )
  }
  return fail('UNAVAILABLE', `can't connect ${user}: ${messageOf(error)}`)
}

/** Five letters or digits from the server; null for what the driver or the system says. */
function sqlStateOf(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && code.length === 5 && error instanceof pg.DatabaseError
    ? code
    : null
}

/** It goes by classes and codes of PostgreSQL's appendix A. */
export function postgresKindOf(error: unknown): SqlFailureKind {
  const state = sqlStateOf(error)
  if (state === null) return 'lost'
  if (state === DISK_FULL || (ofTheSystem(state) && saysNoSpace(messageOf(error)))) return 'full'
  if (state === NO_TABLE) return 'missing'
  if (['55P03', '40001', '40P01', '57014'].includes(state)) return 'locked'
  return state.startsWith('08') || state.startsWith('57') || ofTheSystem(state) ? 'lost' : 'refused'
}
