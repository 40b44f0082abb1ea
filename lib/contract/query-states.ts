/**
 * How a query stands, and what it gives: the words that its master, its worker, the history, clients and pages share. Pure.
 */

/** Whether it is for good, by state: queries move from the first to the last ones. */
const QUERY_STATES = {
  queued: { isOver: false },
  running: { isOver: false },
  succeeded: { isOver: true },
  failed: { isOver: true },
  killed: { isOver: true },
} as const

/** `queued`: it waits for a worker. `succeeded`, `failed` and `killed` are for good. */
export type QueryState = keyof typeof QUERY_STATES
export const QUERY_STATE_NAMES = Object.keys(QUERY_STATES) as QueryState[]

/** How a query may end. */
export type EndState = {
  [State in QueryState]: (typeof QUERY_STATES)[State]['isOver'] extends true ? State : never
}[QueryState]

export const QUERY_KINDS = ['select', 'change', 'answer'] as const
/** `select`: rows come from the worker. `change`: a message is all there is. `answer`: rows come from the master. */
export type QueryKind = (typeof QUERY_KINDS)[number]
