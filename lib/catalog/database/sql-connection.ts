/**
 * The little that the catalog's SQL stores need of a database, so that one store speaks to all of them: a connection
 * that runs one statement at a time, five sorts of failure, and where the dialects differ. Values are bound, never put
 * into the text.
 *
 * Text that a database can't keep as it is: PostgreSQL refuses U+0000, and half of a surrogate pair has no UTF-8. Such
 * text, rare but possible in a message or a partition's value, is kept as a JSON string behind a mark; all other text
 * is kept as it is, so that people can read the tables.
 */

const MARK = '\u001bjson:'

const HALF_PAIR = /\p{Surrogate}/u

const isPlain = (text: string): boolean =>
  !text.includes('\0') && !HALF_PAIR.test(text) && !text.startsWith(MARK)

export const toSqlText = (text: string): string =>
  isPlain(text) ? text : MARK + JSON.stringify(text)

/** Throws SyntaxError when somebody else wrote the mark. */
export const fromSqlText = (text: string): string =>
  text.startsWith(MARK) ? String(JSON.parse(text.slice(MARK.length))) : text

export type SqlValue = string | number | boolean | null

/** Names of columns in lower case; every integer a number. */
export type SqlRow = Readonly<Record<string, unknown>>

/** What a statement's failure means for the transaction that it is part of. */
export type SqlFailureKind =
  /** Another session holds the row, and the statement was told not to wait. */
  | 'locked'
  /** No space left. */
  | 'full'
  /** The database has understood and says no. */
  | 'refused'
  /** The same, since a table that the statement names is not there. */
  | 'missing'
  /** No answer, or the connection is gone: the statement may have been carried out. */
  | 'lost'

export class SqlFailure extends Error {
  readonly kind: SqlFailureKind
  constructor(kind: SqlFailureKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SqlFailure'
    this.kind = kind
  }
}

export interface SqlConnection {
  /** By which another connection can have the server end this one. */
  readonly session: string
  /** Placeholders are `?`. Rejects SqlFailure; after `lost` the connection is of no more use. */
  query(sql: string, values?: readonly SqlValue[]): Promise<SqlRow[]>
  /** Gives it back, for others to use. */
  release(): void
  /** Cuts it off without a word; whatever it was doing is rolled back by the server, or was done. */
  destroy(): void
}

export interface Dialect {
  /** Types of columns: text of any length, whole numbers, yes or no. */
  readonly text: string
  readonly integer: string
  readonly boolean: string
  /** The expression for the schema that the tables are in. */
  readonly currentSchema: string
  /** After the column list of CREATE TABLE. */
  readonly tableEnd: string
  /** Whether tables get their primary keys. Nothing rests on them but speed. */
  readonly hasKeys: boolean
  /** Whether other masters may be there that follow the catalog: what changes is kept for them. */
  readonly isFollowed: boolean
  /** Begins a transaction that sees what others have committed until each of its statements. */
  readonly begin: string
  /** Begins a transaction that sees one state throughout; statements that are run in order. */
  readonly beginSnapshot: readonly string[]
  /** Ends of a SELECT that locks its row: waiting for it, and failing `locked` at once. */
  readonly forUpdate: string
  readonly forUpdateNow: string
  /** Runs `work` while no other process runs its own: two masters that start must not both make the tables. */
  exclusively(connection: SqlConnection, work: () => Promise<void>): Promise<void>
  /** Has the server end another session of this user. Does nothing when it is gone. */
  endSession(connection: SqlConnection, session: string): Promise<void>
}

export interface SqlSession {
  readonly connection: SqlConnection
  readonly dialect: Dialect
}

export interface SqlServer {
  /** For messages: kind, host, port and database; never a user's password. */
  readonly name: string
  /**
   * `mayCreate`: make the database when it is not there and the configuration asks for that; without, null then.
   * Rejects CatalogError: UNAVAILABLE, BAD_STORE (wrong password, no such database, …), IN_USE.
   */
  connect(options: { readonly mayCreate: boolean }): Promise<SqlSession | null>
  /** Cuts all connections off. */
  close(): Promise<void>
}

export interface SqlTimeouts {
  /** Until a connection is there. */
  readonly connectMs: number
  /** Until a statement is answered. */
  readonly statementMs: number
}
export const SQL_TIMEOUTS: SqlTimeouts = { connectMs: 3_000, statementMs: 10_000 }

/** `(?, ?), (?, ?)`: the values of `rows` rows of `width` columns. */
export const placeholders = (rows: number, width: number): string =>
  Array.from(
    { length: rows },
    () => `(${Array.from({ length: width }, () => '?').join(', ')})`,
  ).join(', ')
