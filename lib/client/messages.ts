/**
 * The contract's messages as the client sees them. Their types are the contract's own; what arrives is checked here for
 * what the client relies on, by hand: loading the schemas would take longer than a short query.
 */

import { RpcError } from '../rpc/errors.ts'
import type { AnswerOf, LineOf, RequestOf, Services } from '../rpc/index.ts'

export type Session = RequestOf<Services['client']['submit']>['session']
export type QueryStatus = AnswerOf<Services['client']['submit']>
export type QueryRecord = AnswerOf<Services['client']['queries']>['queries'][number]
export type WorkerRow = AnswerOf<Services['client']['workers']>['workers'][number]
export type TableDigest = AnswerOf<Services['catalog']['tables']>['tables'][number]
export type TablesAsked = Omit<RequestOf<Services['catalog']['tables']>, 'database'>
export type ResultLine = LineOf<Services['results']['fetch']>
export type Column = { readonly name: string; readonly type: string }
export type Row = readonly unknown[]

const STATES = ['queued', 'running', 'succeeded', 'failed', 'killed']
const KINDS = ['select', 'change', 'answer']

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const strange = (what: string): RpcError =>
  new RpcError('INTERNAL', `the answer is not what the contract says: ${what}`)

/** Throws RpcError INTERNAL for what is no status. */
export function asStatus(value: unknown): QueryStatus {
  if (!isRecord(value)) throw strange('no object')
  const { queryId, attempt, state, kind, worker, session } = value
  if (typeof queryId !== 'string' || typeof attempt !== 'number') throw strange('no query id')
  if (!STATES.includes(String(state))) throw strange(`state ${String(state)}`)
  if (!KINDS.includes(String(kind))) throw strange(`kind ${String(kind)}`)
  if (worker !== null && typeof worker !== 'string') throw strange('worker')
  if (session !== null && !(isRecord(session) && isRecord(session.variables))) {
    throw strange('session')
  }
  return value as unknown as QueryStatus
}

/** Null: the master has never heard of it. */
export const asStatusOrNull = (value: unknown): QueryStatus | null =>
  value === null ? null : asStatus(value)

/** The list in the field `name`; throws RpcError INTERNAL where there is none. */
export function listIn<T>(value: unknown, name: string): T[] {
  const list = isRecord(value) ? value[name] : undefined
  if (!Array.isArray(list)) throw strange(`no list '${name}'`)
  return list as T[]
}

/** Throws RpcError INTERNAL for what is no line of a result. */
export function asResultLine(value: unknown): ResultLine {
  const known =
    isRecord(value) &&
    (Array.isArray(value.rows) ||
      Array.isArray(value.columns) ||
      isRecord(value.end) ||
      isRecord(value.error))
  if (!known) throw strange('a line of a result')
  return value as unknown as ResultLine
}
