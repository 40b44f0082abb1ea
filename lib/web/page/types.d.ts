/** What the page reads, as types for its modules: those of the API itself. Nothing of this file is served. */
import type { z } from 'zod'
import type * as schemas from '../schemas.ts'
import type {
  Alert,
  MasterRow,
  QueryCounts,
  QueryRow,
  TablesDocument,
  TermRow,
  WorkerRow,
} from '../view.ts'

export type Cluster = z.output<typeof schemas.events.cluster>
export type Master = MasterRow
export type { Alert }
export type Counts = QueryCounts
export type Term = TermRow
export type Phases = NonNullable<TermRow['served']>['phases']
export type Worker = WorkerRow
export type QueryRecord = QueryRow
export type QueryError = NonNullable<
  Extract<z.output<typeof schemas.sqlLine>, { error: unknown }>['error']
>
export type CatalogTable = TablesDocument['tables'][number]
export type Column = CatalogTable['columns'][number]
export type Setting = z.output<typeof schemas.setting>
/** Wall clock in ms, the slowest renewal in that second, the least margin in it. */
export type Sample = z.output<typeof schemas.lease>['masters'][number]['samples'][number]

/** Where the page stands with the masters. */
export interface Link {
  readonly status: 'connecting' | 'live' | 'lost'
  /** Base URL that the data comes from; empty: the master that served this page. */
  readonly base: string
  /** Since when the master that served the page has been silent. */
  readonly homeLostAtMs: number | null
  /** Its name, as far as it told it. */
  readonly home: string | null
}

/** All that the views show. */
export interface State {
  link: Link
  cluster: Cluster | null
  /** Server's wall clock less the browser's. */
  clockMs: number
  history: readonly Term[] | null
  lease: Map<string, Sample[]>
  /** Counts up with each event of changed queries; the last ones are in `changed`. */
  queriesTick: number
  changed: readonly QueryRecord[]
  workersTick: number
  /** Something was refused for the want of a token. */
  needsToken: boolean
  /** How often a token was given. */
  logIns: number
}
