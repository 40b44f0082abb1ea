/** What a caller of the client library gets to see: his own mistakes, a cluster without a master, a lost result. */

export interface Place {
  readonly line: number
  readonly column: number
}

/**
 * `user`: the statement is wrong. `killed`: somebody wanted that. `lost`: the worker is gone; nothing was changed, so it
 * may be run again. `refused`: the cluster won't take it now or ever; the message tells. `internal`: our mistake.
 */
export type QueryErrorKind = 'user' | 'lost' | 'killed' | 'refused' | 'internal'

/** Why a statement failed, in a sentence for whoever wrote it. */
export class QueryError extends Error {
  readonly kind: QueryErrorKind
  /** In the statement as it was given; lines and columns count from 1. */
  readonly place: Place | null
  readonly queryId: string | null
  constructor(
    kind: QueryErrorKind,
    message: string,
    facts: { place?: Place | null; queryId?: string | null; cause?: unknown } = {},
  ) {
    super(message, { cause: facts.cause })
    this.name = 'QueryError'
    this.kind = kind
    this.place = facts.place ?? null
    this.queryId = facts.queryId ?? null
  }
}

/** What each master said, by address; some messages begin with it themselves. */
export const sayings = (said: ReadonlyMap<string, string>): string =>
  [...said]
    .map(([address, why]) => (why.startsWith(`${address} `) ? why : `${address}: ${why}`))
    .join('; ')

/** No active master answered in all the time that was given: whether a change was made is not known. */
export class NoMasterError extends Error {
  readonly code = 'NO_MASTER'
  /** What each master said last, by client RPC address. */
  readonly said: ReadonlyMap<string, string>
  /** `hint`: what to do about it, where that is known. */
  constructor(afterMs: number, said: ReadonlyMap<string, string>, hint: string | null = null) {
    const text = `no active master answered within ${(afterMs / 1000).toFixed(1)} s (${sayings(said)})`
    super(hint === null ? text : `${text}: ${hint}`)
    this.name = 'NoMasterError'
    this.said = said
  }
}

/** The client was closed while it was asked for something. */
export class ClosedError extends Error {
  readonly code = 'CLOSED'
  constructor() {
    super('the client is closed')
    this.name = 'ClosedError'
  }
}
