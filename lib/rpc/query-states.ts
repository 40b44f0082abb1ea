/**
 * How a query stands, and what it gives: the words that its master, its worker, the history, clients and pages share. A
 * module of its own that loads nothing, since the client library knows them too. Pure.
 */

/** Whether it is for good, by state: queries move from the first to the last ones. */
const QUERY_STATES = {
  queued: { isOver: false },
  running: { isOver: false },
  succeeded: { isOver: true },
  failed: { isOver: true },
  killed: { isOver: true },
} as const

type QueryState = keyof typeof QUERY_STATES
export const QUERY_STATE_NAMES = Object.keys(QUERY_STATES) as QueryState[]

/** How a query may end. */
export type EndState = {
  [State in QueryState]: (typeof QUERY_STATES)[State]['isOver'] extends true ? State : never
}[QueryState]

/** `select`: rows come from the worker. `change`: a message is all there is. `answer`: rows come from the master. */
export const QUERY_KINDS = ['select', 'change', 'answer'] as const
export type QueryKind = (typeof QUERY_KINDS)[number]
