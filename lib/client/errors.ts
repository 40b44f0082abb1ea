/** What a caller of the client library gets to see: his own mistakes, a cluster without a master, a lost result. */
import type { QueryErrorKind } from '../rpc/index.ts'

export interface Place {
  readonly line: number
  readonly column: number
}

export type { QueryErrorKind }

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

/** The codes of the errors that are no query's, with the SQLSTATE that comes nearest. */
export const CLIENT_ERRORS = {
  NO_MASTER: {
    sqlState: '57P03',
    means:
      'No active master answered in all the time that was given: whether a change was made is not known.',
  },
  CLOSED: { sqlState: '08003', means: 'The client was closed while it was asked for something.' },
} as const

/** No active master answered in all the time that was given: whether a change was made is not known. */
export class NoMasterError extends Error {
  readonly code = 'NO_MASTER' satisfies keyof typeof CLIENT_ERRORS
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
  readonly code = 'CLOSED' satisfies keyof typeof CLIENT_ERRORS
  constructor() {
    super('the client is closed')
    this.name = 'ClosedError'
  }
}
