/** Which part of a list a request asks for, and queries counted by state. Pure. */

import { QUERY_STATE_NAMES } from '../contract/index.ts'
import { RpcError } from '../rpc/index.ts'
import type { QueryCounts, QueryRow, TablesFilter } from './view.ts'

export function countQueries(rows: readonly QueryRow[]): QueryCounts {
  const counts = { queued: 0, running: 0, succeeded: 0, failed: 0, killed: 0 }
  for (const { state } of rows) counts[state] += 1
  return counts
}

interface QueryFilter {
  readonly limit: number
  readonly offset: number
  readonly states: ReadonlySet<string> | null
  /** In lower case; empty for all. */
  readonly search: string
}

export function pageOfQueries(
  rows: readonly QueryRow[],
  { limit, offset, states, search }: QueryFilter,
): { queries: QueryRow[]; total: number; offset: number; counts: QueryCounts } {
  const found = rows.filter(
    (row) => (states === null || states.has(row.state)) && (search === '' || mentions(row, search)),
  )
  return {
    queries: found.slice(offset, offset + limit),
    total: found.length,
    offset,
    counts: countQueries(rows),
  }
}

const mentions = ({ sql, user, database, queryId, worker }: QueryRow, search: string): boolean =>
  [sql, user, database, queryId, worker ?? ''].some((text) => text.toLowerCase().includes(search))

const MOST_ROWS = 1000
const ROWS = 50
const MOST_OFFSET = 1_000_000
const LONGEST_SEARCH = 200
const LONGEST_NAME = 200

/** Reads it from a query string. Throws BAD_REQUEST that names what is allowed. */
export function queryFilter(query: Readonly<Record<string, unknown>>): QueryFilter {
  const { state } = query
  return {
    limit: wholeNumber(query, 'limit', { from: 1, to: MOST_ROWS, otherwise: ROWS }),
    offset: wholeNumber(query, 'offset', { from: 0, to: MOST_OFFSET, otherwise: 0 }),
    states: statesOf(state),
    search: shortText(query, 'search', LONGEST_SEARCH).toLowerCase(),
  }
}

/** Of a database's tables, from a query string. Throws BAD_REQUEST that names what is allowed. */
export function tablesFilter(query: Readonly<Record<string, unknown>>): TablesFilter {
  const search = shortText(query, 'search', LONGEST_SEARCH)
  const table = shortText(query, 'table', LONGEST_NAME)
  return {
    limit: wholeNumber(query, 'limit', { from: 1, to: MOST_ROWS, otherwise: MOST_ROWS }),
    offset: wholeNumber(query, 'offset', { from: 0, to: MOST_OFFSET, otherwise: 0 }),
    ...(search !== '' && { search }),
    ...(table !== '' && { names: [table] }),
  }
}

/** Empty where the parameter is not there. */
function shortText(
  query: Readonly<Record<string, unknown>>,
  name: string,
  longest: number,
): string {
  const text = query[name] ?? ''
  if (typeof text === 'string' && text.length <= longest) return text
  throw bad(`${name} must be one text of at most ${longest} characters`)
}

function statesOf(state: unknown): ReadonlySet<string> | null {
  if (state === undefined) return null
  const wanted = typeof state === 'string' ? state.split(',') : []
  const known = wanted.filter((one) => QUERY_STATE_NAMES.some((name) => name === one))
  if (wanted.length === 0 || known.length < wanted.length) {
    throw bad(`state must be one or more of ${QUERY_STATE_NAMES.join(',')}`)
  }
  return new Set(known)
}

/** Reads a parameter of a query string. Throws BAD_REQUEST. */
export function wholeNumber(
  query: Readonly<Record<string, unknown>>,
  name: string,
  { from, to, otherwise }: { from: number; to: number; otherwise: number },
): number {
  const text = query[name]
  if (text === undefined) return otherwise
  const number = typeof text === 'string' && /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (number >= from && number <= to) return number
  throw bad(`${name} must be a whole number from ${from} to ${to}`)
}

const bad = (message: string): RpcError => new RpcError('BAD_REQUEST', message)
