/**
 * The little that the catalog's SQL stores need of a database, so that one store speaks to all of them: a connection
 * that runs one statement at a time, five sorts of failure, and where the dialects differ. Values are bound, never put
 * into the text.
 *
 * Text that a database can't keep as it is: PostgreSQL refuses U+0000, and half of a surrogate pair has no UTF-8. Such
 * text, rare but possible in a message or a partition's value, is kept as a JSON string behind a mark; all other text
 * is kept as it is, so that people can read the tables.
 *
 * What goes wrong with a catalog in a database is said in the catalog's own words: with the name of the server, and with the
 * way back where people have to do something. The kinds of failure that a statement knows become the codes that a master
 * decides by.
 */
import { CodedError } from '../../base/coded-error.ts'
import { messageOf } from '../../base/failures.ts'
import { CatalogError, type CatalogErrorCode } from '../errors.ts'
import type { Begun } from '../shared/begun.ts'
import { FileError } from '../shared/files.ts'

interface Termed {
  readonly term: number
}

export class SqlErrors {
  readonly #name: string

  /** `name`: the server's. */
  constructor(name: string) {
    this.#name = name
  }

  stale(theirs: number, ours: number): CatalogError {
    const text =
      theirs === ours
        ? `term ${ours} was opened once more by another process`
        : `term ${theirs} has it, ours is ${ours}`
    return this.error('STALE_TERM', text, undefined)
  }

  /** It names the way back, for the log, the status and the page. */
  lost(what: string, { by }: Begun): CatalogError {
    const back =
      "Bring back the newest backup of the database; when what it holds is what is to be gone on with, stop all masters, run 'tajo catalog dump FILE' and 'tajo catalog load FILE --force', and start them"
    return this.error('CORRUPT', `${what}, and ${by}. ${back}`, undefined)
  }

  broughtBack(row: Termed, held: Termed): CatalogError {
    const text = `it is of term ${row.term}, ours is ${held.term}: somebody has brought an older state back`
    return this.error('GONE', text, undefined)
  }

  /**
   * The error of a statement that finds no table, or not the row that was left: the store is open, so it was somebody's
   * hand.
   */
  goneOr(error: unknown, doing: string): CatalogError {
    if (CatalogError.is(error, 'CORRUPT')) {
      return this.error('GONE', error.message, error)
    }
    if (!isMissing(error)) return this.of(error, doing)
    return this.error('GONE', `somebody has removed its tables: ${messageOf(error)}`, error)
  }

  of(error: unknown, doing: string): CatalogError {
    if (error instanceof CatalogError) return error
    if (error instanceof FileError) return this.error('UNAVAILABLE', error.message, error)
    if (!(error instanceof SqlFailure)) throw error
    return this.error(codeOf(error), `can't ${doing}: ${error.message}`, error)
  }

  error(code: CatalogErrorCode, text: string, cause: unknown): CatalogError {
    return new CatalogError(code, `catalog in ${this.#name}: ${text}`, { cause })
  }
}

/** A table that the statement names is not there. */
export const isMissing = (error: unknown): boolean => SqlFailure.is(error, 'missing')

export function codeOf(error: unknown): CatalogErrorCode {
  if (error instanceof CatalogError) return error.code
  if (!(error instanceof SqlFailure)) return 'BAD_STORE'
  switch (error.code) {
    case 'full':
      return 'FULL'
    case 'refused':
    case 'missing':
      return 'BAD_STORE'
    case 'locked':
    case 'lost':
      return 'UNAVAILABLE'
  }
}

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

export class SqlFailure extends CodedError<SqlFailureKind> {
  override readonly name = 'SqlFailure'
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
