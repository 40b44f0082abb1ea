/**
 * What a worker and the process of an engine say to each other, over the channel that Node gives a child process. A worker
 * asks, and each question has one answer; besides there is nothing but how far a statement has come, and the order to stop.
 */
import type { EngineFault } from './duckdb-errors.ts'
import type { EngineColumn } from './duckdb-stream.ts'
import type { Reach } from './reach.ts'

export interface EngineStart {
  readonly threads: number
  /** What its queries may use. */
  readonly memoryBytes: number
  /** Absolute, in the worker's directory for spilling, with a name that nobody can guess; it need not be there. */
  readonly spillDirectory: string
  /** What each engine may spill there; one query at a time does. */
  readonly spillBytes: number
}

/** What can be asked: with what, and what is answered. */
export interface EngineCalls {
  /** First of all. */
  start: { with: EngineStart; answer: null }
  /** The engine's own reading of a statement, as JSON. */
  read: { with: string; answer: string }
  /** What the query may open; before all that follows. */
  open: { with: Reach; answer: null }
  enter: {
    with: { readonly schemas: readonly string[]; readonly sql: readonly string[] }
    answer: null
  }
  run: { with: string; answer: null }
  rows: { with: { readonly sql: string; readonly values: readonly string[] }; answer: unknown[][] }
  describe: { with: string; answer: EngineColumn[] }
  unknownNames: { with: string; answer: readonly string[] }
  stream: { with: string; answer: readonly EngineColumn[] }
  /** Answers the next rows of it, each one a JSON array as text; null at the end. */
  next: { with: null; answer: string[] | null }
  /** The query is over, and holds nothing any more; whether the process may serve another one. */
  end: { with: null; answer: boolean }
}

export type CallName = keyof EngineCalls

/** A question by its name. */
export type Call = {
  [Name in CallName]: {
    readonly id: number
    readonly do: Name
    readonly with: EngineCalls[Name]['with']
  }
}[CallName]

/** The order to stop has no answer: what is under way rejects as interrupted. */
export type ToEngine = Call | { readonly do: 'interrupt' }

export type FromEngine =
  | { readonly id: number; readonly answer: EngineCalls[CallName]['answer'] }
  | { readonly id: number; readonly error: EngineErrorParts }
  /** Of the statement that runs, from 0 to 1. */
  | { readonly progress: number }

/** An EngineError on its way. */
interface EngineErrorParts {
  readonly code: EngineFault
  readonly message: string
  readonly position: number | null
}
