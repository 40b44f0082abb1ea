/**
 * What ends a query badly, as its client is told. Everything that is thrown while one runs becomes one here.
 *
 * What DuckDB says is told as Tajo's users say it: types by Tajo's names, without advice on settings that nobody here can
 * change, and places, which DuckDB counts in bytes of what it was given, as the user's lines and columns. Pure.
 */
import { CodedError } from '../base/coded-error.ts'
import { messageOf, saysNoSpace } from '../base/failures.ts'
import type { QueryError } from '../contract/index.ts'
import { comesOfNoSpace, systemWords } from '../ha/index.ts'
import { RpcError } from '../rpc/index.ts'
import { type EngineText, fromDuckDb, type Place, SqlError } from '../sql/index.ts'
import { EngineError } from './duckdb-errors.ts'

/** Null when there is none: `position` is null or beyond the text. */
export function placeIn(query: EngineText, position: number | null): Place | null {
  if (position === null || position < 0) return null
  const bytes = Buffer.from(query.text, 'utf8')
  if (position > bytes.length) return null
  return query.placeOf(bytes.toString('utf8', 0, position).length)
}

export function inUsersWords(message: string): string {
  if (TOO_DEEP.some((one) => message.startsWith(one))) {
    return 'the statement is nested too deeply, or chains too many operators, tables or WITH queries: at most about 1000; put long lists of values into a table'
  }
  return withTajoTypes(withoutAdvice(message))
}

const TOO_DEEP = ['Max expression depth limit', 'memory exhausted at or near']

const USELESS = ['. Try auto-detecting', '. Use "SET ']

/** Names that only our own statements have. */
const OWN_COLUMN = / when casting from source column [cp]\d+$/

const withoutAdvice = (message: string): string =>
  USELESS.reduce((text, advice) => text.split(advice)[0] ?? text, message).replace(OWN_COLUMN, '')

/** Widths in bits, which Tajo's users would read as widths in bytes. */
const BIT_TYPES: Readonly<Record<string, string>> = {
  INT8: 'INT1',
  INT16: 'INT2',
  INT32: 'INT4',
  INT64: 'INT8',
}

const withTajoTypes = (message: string): string =>
  message
    .replace(/\b(to|type|Type) (INT(?:8|16|32|64))\b/g, (_, word, type) => {
      return `${word} ${BIT_TYPES[type]}`
    })
    .replace(/\bto '([A-Z][A-Z ]*(?:\(\d+,\d+\))?)'/g, (_, type) => `to ${fromDuckDb(type)}`)

/** A fault of the data, the storage or the request, in a sentence for whoever asked. */
export class QueryFault extends CodedError<QueryError['kind']> {
  override readonly name = 'QueryFault'
  readonly place: Place | null
  constructor(
    code: QueryError['kind'],
    message: string,
    place: Place | null = null,
    cause?: unknown,
  ) {
    super(code, message, { cause })
    this.place = place
  }
}

/** `query`: what DuckDB's places are in; null when that was no text of the user's. */
export function queryErrorOf(thrown: unknown, query: EngineText | null): QueryError {
  if (thrown instanceof QueryFault) {
    return { kind: thrown.code, message: thrown.message, place: thrown.place }
  }
  if (thrown instanceof SqlError)
    return { kind: 'user', message: thrown.message, place: thrown.place }
  if (thrown instanceof EngineError) {
    const place = query === null ? null : placeIn(query, thrown.position)
    return { kind: KINDS[thrown.code], message: told(thrown), place }
  }
  const system = systemFault(thrown)
  if (system !== null) return { kind: 'user', message: system, place: null }
  const kind = RpcError.is(thrown, 'UNAVAILABLE') ? 'lost' : 'internal'
  return { kind, message: messageOf(thrown), place: null }
}

/** An error of a statement in which the user's text begins `bytes` later, as one of the user's text alone. */
export function shiftedBack(error: unknown, bytes: number): unknown {
  if (!(error instanceof EngineError) || error.position === null) return error
  const position = error.position - bytes
  return new EngineError(error.code, error.message, position < 0 ? null : position, error)
}

const KINDS = {
  statement: 'user',
  io: 'user',
  memory: 'user',
  gone: 'user',
  spill: 'user',
  interrupted: 'killed',
  internal: 'internal',
} as const

function told({ code, message }: EngineError): string {
  if (saysNoSpace(message)) return `the disk is full: ${message}`
  if (code === 'spill') {
    return `the query needs more disk than its part of what this worker may spill (tajo.worker.spill.max-size): ${message}`
  }
  if (code === 'memory' || code === 'gone') return message
  // What a view is called in DuckDB's messages.
  return inUsersWords(message).replaceAll('Values list "', 'Table "')
}

/** Errors of the file system, which name the file themselves. */
function systemFault(thrown: unknown): string | null {
  if (!(thrown instanceof Error) || !('code' in thrown) || !('syscall' in thrown)) return null
  return comesOfNoSpace(thrown) ? `the disk is full: ${systemWords(thrown)}` : thrown.message
}
