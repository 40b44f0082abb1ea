/**
 * Who waits for whom. A change that replaces a table which it has read is run again when it was overtaken: another one
 * changed the table meanwhile. So that it isn't overtaken for ever, it holds its table in its last run, from the moment
 * that this is decided: whoever else would change the table waits for its end. Pure.
 *
 * Nothing is kept for that. Who holds a table can be seen from the list of queries, also by the next master, once the
 * worker has come back with the task.
 */
import type { Transaction } from '../../../catalog/index.ts'
import type { Query } from './query.ts'

/** So often a change is run again because it was overtaken. */
export const MOST_OVERTAKEN = 2

/** The change has to wait for the query `queryId`. */
export class Held extends Error {
  readonly queryId: string
  /** What that one does, for whoever has waited for it too long. */
  readonly what: string
  readonly isOver: () => boolean

  constructor(by: { queryId: string; does: string; what: string; isOver: () => boolean }) {
    super(`waits for query ${by.queryId}, which ${by.does}`)
    this.name = 'Held'
    this.queryId = by.queryId
    this.what = by.what
    this.isOver = by.isOver
  }
}

export const heldUpBy = (holder: Query): Held =>
  new Held({
    queryId: holder.queryId,
    does: `replaces the table and was overtaken ${MOST_OVERTAKEN} times`,
    what: 'replaces the table',
    isOver: () => holder.stage === 'ended',
  })

/** Throws Held when the transaction of the query `queryId` changes a table that another one holds. */
export function refuseHeld(
  queries: Iterable<Query>,
  queryId: string,
  { changes }: Pick<Transaction, 'changes'>,
): void {
  const tables = new Set(changes.flatMap((one) => ('tableId' in one ? [one.tableId] : [])))
  if (tables.size === 0) return
  for (const query of queries) {
    const held = heldBy(query)
    if (held === null || !tables.has(held)) continue
    if (query.queryId !== queryId) throw heldUpBy(query)
    // Should there be two, as after a change of masters, the first has the table, so that they don't wait for each other.
    tables.delete(held)
  }
}

/** Null: nobody. */
export function holderOf(
  queries: Iterable<Query>,
  tableId: number | null | undefined,
): Query | null {
  for (const query of queries) {
    const held = heldBy(query)
    if (held !== null && held === tableId) return query
  }
  return null
}

const heldBy = ({ stage, task }: Query): number | null =>
  stage !== 'ended' && (task?.overtaken ?? 0) >= MOST_OVERTAKEN
    ? (task?.write?.tableId ?? null)
    : null
