/**
 * The rows of a SELECT, with instants as the session's time zone tells them.
 *
 * DuckDB's values are instants without a zone, so outside of UTC DuckDB itself makes text of them, as for `CAST(… AS
 * TEXT)`: its calendar and ours can't differ then. The columns keep their types.
 */
import type { EngineConnection } from './duckdb.ts'
import type { EngineColumn } from './duckdb-stream.ts'
import { shiftedBack } from './query-error.ts'

export interface Rows {
  readonly columns: readonly EngineColumn[]
  /** As of EngineStream. */
  readonly next: () => Promise<string[] | null>
}

/** `timeZone`: empty for UTC. Rejects with EngineError, whose places are in `query`. */
export async function zonedRows(
  connection: EngineConnection,
  query: string,
  timeZone: string,
): Promise<Rows> {
  const columns = timeZone === '' ? [] : await connection.describe(query)
  const values = columns.map(({ type }, i) => {
    const told = inText(type)
    return told === type ? `c${i}` : `CAST(c${i} AS ${told})`
  })
  if (values.every((one, i) => one === `c${i}`)) {
    const stream = await connection.stream(query)
    return { columns: stream.columns, next: () => stream.next() }
  }
  const before = `SELECT ${values.join(', ')} FROM (`
  const back = (error: unknown): never => {
    throw shiftedBack(error, before.length)
  }
  // The line break ends a comment at the end of the query.
  const after = `\n) AS q(${columns.map((_, i) => `c${i}`).join(', ')})`
  const stream = await connection.stream(before + query + after).catch(back)
  return { columns, next: () => stream.next().catch(back) }
}

const inText = (type: string): string =>
  type.replace(ZONED, (one) => (/^["']/.test(one) ? one : 'VARCHAR'))

/** Names of fields and values of an ENUM may look like it. */
const ZONED = /"(?:[^"]|"")*"|'(?:[^']|'')*'|TIMESTAMP WITH TIME ZONE/g
