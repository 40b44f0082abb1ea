/** What ends a query badly, as its client is told. Everything that is thrown while one runs becomes one here. */
import { messageOf } from '../base/message-of.ts'
import { saysNoSpace } from '../base/no-space.ts'
import { comesOfNoSpace, systemWords } from '../ha/index.ts'
import type { QueryError } from '../rpc/contract.ts'
import { RpcError } from '../rpc/index.ts'
import { type EngineText, type Place, SqlError } from '../sql/index.ts'
import { EngineError } from './duckdb.ts'
import { inUsersWords } from './engine-words.ts'
import { placeIn } from './place.ts'

/** A fault of the data, the storage or the request, in a sentence for whoever asked. */
export class QueryFault extends Error {
  readonly kind: QueryError['kind']
  readonly place: Place | null
  constructor(
    kind: QueryError['kind'],
    message: string,
    place: Place | null = null,
    cause?: unknown,
  ) {
    super(message, { cause })
    this.name = 'QueryFault'
    this.kind = kind
    this.place = place
  }
}

/** `query`: what DuckDB's places are in; null when that was no text of the user's. */
export function queryErrorOf(thrown: unknown, query: EngineText | null): QueryError {
  if (thrown instanceof QueryFault) {
    return { kind: thrown.kind, message: thrown.message, place: thrown.place }
  }
  if (thrown instanceof SqlError)
    return { kind: 'user', message: thrown.message, place: thrown.place }
  if (thrown instanceof EngineError) {
    const place = query === null ? null : placeIn(query, thrown.position)
    return { kind: KINDS[thrown.kind], message: told(thrown), place }
  }
  const system = systemFault(thrown)
  if (system !== null) return { kind: 'user', message: system, place: null }
  const kind = thrown instanceof RpcError && thrown.code === 'UNAVAILABLE' ? 'lost' : 'internal'
  return { kind, message: messageOf(thrown), place: null }
}

/** An error of a statement in which the user's text begins `bytes` later, as one of the user's text alone. */
export function shiftedBack(error: unknown, bytes: number): unknown {
  if (!(error instanceof EngineError) || error.position === null) return error
  const position = error.position - bytes
  return new EngineError(error.kind, error.message, position < 0 ? null : position, error)
}

const KINDS = {
  statement: 'user',
  io: 'user',
  memory: 'user',
  interrupted: 'killed',
  internal: 'internal',
} as const

function told({ kind, message }: EngineError): string {
  if (saysNoSpace(message)) return `the disk is full: ${message}`
  if (kind === 'memory') {
    return `the query needs more memory than this worker has (tajo.worker.resource.memory-mb): ${message}`
  }
  // What a view is called in DuckDB's messages.
  return inUsersWords(message).replaceAll('Values list "', 'Table "')
}

/** Errors of the file system, which name the file themselves. */
function systemFault(thrown: unknown): string | null {
  if (!(thrown instanceof Error) || !('code' in thrown) || !('syscall' in thrown)) return null
  return comesOfNoSpace(thrown) ? `the disk is full: ${systemWords(thrown)}` : thrown.message
}
