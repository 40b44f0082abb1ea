/**
 * A query as an auditor is told of it: from where it was asked for, what kind of statement it is, and which tables it names.
 * Known when it begins, since a statement may remove what it names; kept with the query, and in the query log for whoever
 * has to tell its end in a later term. Pure.
 *
 * Which tables a read opens is known to its worker's engine alone. So each word that is a table's name counts, as it does
 * where the names of a change are bound (statements/names.ts): there may be too many, and none is missing.
 */
import type { Audit } from '../../../base/audit.ts'
import type { CatalogState } from '../../../catalog/index.ts'
import type { QueryRecord } from '../../../contract/index.ts'
import { SqlError, type Statement, type TableName } from '../../../sql/index.ts'
import { bindNames } from '../statements/names.ts'

export interface Asked {
  /** Address of whoever submitted it; null where nobody knows any more. */
  readonly from: string | null
  /** Kind of statement; null for a text that is none. */
  readonly is: string | null
  /** Each as `database.table`, sorted. */
  readonly tables: readonly string[]
  /** A database or a location. */
  readonly target: string | null
}

/** More are not told. */
const MOST_TABLES = 1000
/** A path may be as long as a statement. */
const LONGEST_TARGET = 300

/** What that statement names; null: it could not be parsed. */
export function askedOf(
  statement: Statement | null,
  { sql, database, from }: { sql: string; database: string; from: string | null },
  state: CatalogState,
): Asked {
  const bound = boundIn(state, sql, database)
  const own = statement === null ? [] : tablesOf(statement)
  const named = own.map((one) => ({ database: one.database ?? database, name: one.name }))
  const tables = new Set([...bound, ...named].map((one) => `${one.database}.${one.name}`))
  return {
    from,
    is: statement?.is ?? null,
    tables: [...tables].sort().slice(0, MOST_TABLES),
    target: statement === null ? null : (targetOf(statement)?.slice(0, LONGEST_TARGET) ?? null),
  }
}

/** None for a text that would hold this master up: it is refused, or its worker reads it. */
function boundIn(
  state: CatalogState,
  sql: string,
  database: string,
): readonly { readonly database: string; readonly name: string }[] {
  try {
    return bindNames(state, sql, database).tables
  } catch (error) {
    if (error instanceof SqlError) return []
    throw error
  }
}

/** Those that need not be there yet. */
function tablesOf(statement: Statement): readonly TableName[] {
  switch (statement.is) {
    case 'create-table':
    case 'create-table-like':
    case 'drop-table':
      return [statement.table]
    case 'truncate':
      return statement.tables
    default:
      return []
  }
}

function targetOf(statement: Statement): string | null {
  switch (statement.is) {
    case 'create-database':
    case 'drop-database':
      return statement.name
    case 'create-table':
      return statement.location?.path ?? null
    case 'insert':
      return statement.into.to === 'location' ? statement.into.location.path : null
    default:
      return null
  }
}

type Ended = Pick<
  QueryRecord,
  'queryId' | 'attempt' | 'sql' | 'user' | 'database' | 'state' | 'submittedMs' | 'finishedMs'
> &
  Pick<QueryRecord, 'rows' | 'error' | 'message' | 'worker' | 'epoch'>

/** Tells its end in one entry. */
export function auditEnd(audit: Audit, record: Ended, asked: Asked): void {
  const { queryId, attempt, sql, user, database, state, rows, error, message, worker, epoch } =
    record
  const tookMs = record.finishedMs === null ? null : record.finishedMs - record.submittedMs
  audit(
    'statement',
    {
      ...{ queryId, attempt, user, from: asked.from, database },
      ...{ is: asked.is, tables: asked.tables, target: asked.target },
      ...{ outcome: state, error: error?.kind ?? null, rows, worker, term: epoch },
      submitted: new Date(record.submittedMs).toISOString(),
      tookMs,
    },
    { sql, message: error?.message ?? message },
  )
}
