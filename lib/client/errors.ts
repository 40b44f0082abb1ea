/** What a caller of the client library gets to see: his own mistakes, a cluster without a master, a lost result. */
import type { ErrorList } from '../base/coded-error.ts'
import type { QueryErrorKind } from '../rpc/index.ts'

/** A place in a statement. */
export interface Place {
  /** From 1. */
  readonly line: number
  /** From 1, within its line. */
  readonly column: number
}

export type { QueryErrorKind }

/** Why a statement failed: its `message` is a sentence for whoever wrote the statement. */
export class QueryError extends Error {
  /** Whose business it is: the only thing to decide by, since messages may change. */
  readonly kind: QueryErrorKind
  /** Where in the statement as it was given; null where that is not known. */
  readonly place: Place | null
  /** The statement's id, for `kill` and `queries`; null or empty where the failure is no statement's. */
  readonly queryId: string | null
  /** What is left out of `facts` is null, and `cause` undefined. */
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

/** What each master said, in one line: `ADDRESS: WORDS; …`. `said` is what `onWaiting` and NoMasterError tell, by address. */
export const sayings = (said: ReadonlyMap<string, string>): string =>
  [...said]
    // Some messages begin with the address themselves.
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
} as const satisfies ErrorList

/** No active master answered in all the time that was given: whether a change was made is not known. */
export class NoMasterError extends Error {
  /** Tells this error from others, also where `instanceof` can't. */
  readonly code = 'NO_MASTER' satisfies keyof typeof CLIENT_ERRORS
  /** What each master said last, by client RPC address. */
  readonly said: ReadonlyMap<string, string>
  /** `afterMs`: how long was tried. `hint`: what to do about it; null where nobody knows. */
  constructor(afterMs: number, said: ReadonlyMap<string, string>, hint: string | null = null) {
    const text = `no active master answered within ${(afterMs / 1000).toFixed(1)} s (${sayings(said)})`
    super(hint === null ? text : `${text}: ${hint}`)
    this.name = 'NoMasterError'
    this.said = said
  }
}

/** The client was closed while it was asked for something. */
export class ClosedError extends Error {
  /** Tells this error from others, also where `instanceof` can't. */
  readonly code = 'CLOSED' satisfies keyof typeof CLIENT_ERRORS
  /** The message is always the same. */
  constructor() {
    super('the client is closed')
    this.name = 'ClosedError'
  }
}
