/**
 * The one transaction that makes a write's files the table's content, or records that it failed. Pure.
 *
 * Exactly once rests on the outcome: it is part of the same transaction, and whoever comes second finds it. The
 * directory of an attempt that did not win is left to the sweeper; should it be the winner's after all, the sweeper
 * sees that a table names it.
 *
 * An attempt that was given up, since its worker died, has an outcome of its own, under the query's id and its number. It
 * is there before the next attempt begins, so whatever its worker has become, no master can ever apply it.
 */

import type {
  CatalogState,
  Change,
  FailureKind,
  Outcome,
  PlainTable,
  Table,
  Transaction,
} from '../../../catalog/index.ts'
import { CatalogError } from '../../../catalog/index.ts'
import type { TableDraft, Task } from '../../../contract/index.ts'
import { compactedOf } from '../compaction/compaction.ts'
import type { Steps } from '../statements/ddl.ts'
import { whyOtherDatabase } from '../statements/names.ts'
import { whyTaken } from '../statements/paths.ts'
import { MOST_OVERTAKEN } from './holds.ts'
import type { WholeManifest } from './manifests.ts'

/** The query's end is in the catalog already. */
export class AlreadyEnded extends Error {
  readonly outcome: Outcome
  constructor(outcome: Outcome) {
    super(`query ${outcome.queryId} has ended: ${outcome.message}`)
    this.name = 'AlreadyEnded'
    this.outcome = outcome
  }
}

interface EndedBy {
  /** The master, for the journal's reader. */
  readonly by: string
  readonly atMs: number
}

/** Throws AlreadyEnded, or CatalogError where the catalog has changed under the write. */
export function successOf(
  state: CatalogState,
  task: Task,
  manifest: WholeManifest,
  { by, atMs }: EndedBy,
): Transaction {
  refuseSecond(state, task.queryId)
  refuseGivenUp(state, task)
  refuseOtherDatabase(state, task)
  if (cameTooLate(state, task)) {
    const changes: Change[] = [{ do: 'add-litter', paths: leftBy(task) }]
    const message = 'CREATE TABLE: it exists already'
    return {
      by,
      atMs,
      changes,
      outcome: { queryId: task.queryId, state: 'done', message, rows: null, atMs },
    }
  }
  if (task.mode === 'compact') {
    const { changes, message } = compactedOf(targetOf(state, task), task, manifest)
    const done = { queryId: task.queryId, state: 'done', rows: manifest.rows, atMs } as const
    return { by, atMs, changes, outcome: { ...done, message } }
  }
  const changes = changesOf(state, task, manifest, atMs)
  const done = { queryId: task.queryId, state: 'done', rows: manifest.rows, atMs } as const
  return { by, atMs, changes, outcome: { ...done, message: messageOf(task, manifest.rows) } }
}

/** It is a change of the catalog alone. Throws AlreadyEnded, and what `build` throws. */
export function stepsOutcome(
  state: CatalogState,
  queryId: string,
  build: (state: CatalogState) => Steps,
  { by, atMs }: EndedBy,
): Transaction {
  refuseSecond(state, queryId)
  const { changes, message } = build(state)
  return { by, atMs, changes, outcome: { queryId, state: 'done', message, rows: null, atMs } }
}

/** Throws AlreadyEnded. */
export function failureOf(
  state: CatalogState,
  end: {
    readonly queryId: string
    readonly message: string
    /** What its client is told, by whichever master. */
    readonly kind: FailureKind
    /** Null when another term began it and its worker has not come back. */
    readonly task: Task | null
  },
  { by, atMs }: EndedBy,
): Transaction {
  refuseSecond(state, end.queryId)
  const { queryId, message, kind, task } = end
  const outcome: Outcome = { queryId, state: 'failed', message, rows: null, kind, atMs }
  const changes: Change[] = task === null ? [] : [{ do: 'add-litter', paths: leftBy(task) }]
  return { by, atMs, changes, outcome }
}

/**
 * What an overtaken attempt wrote is left over. With it in the catalog, all changes before it are there too, and the next
 * attempt reads them. Throws AlreadyEnded.
 */
export function overtakenOf(state: CatalogState, task: Task, { by, atMs }: EndedBy): Transaction {
  refuseSecond(state, task.queryId)
  return { by, atMs, changes: [{ do: 'add-litter', paths: leftBy(task) }], outcome: null }
}

/** Nobody will ever apply that attempt. `task` is as in `failureOf`. Throws AlreadyEnded. */
export function givenUpOf(
  state: CatalogState,
  lost: {
    readonly queryId: string
    readonly attempt: number
    readonly message: string
    readonly task: Task | null
  },
  { by, atMs }: EndedBy,
): Transaction {
  const { queryId, attempt, message, task } = lost
  refuseSecond(state, queryId)
  // Asked for again, since nobody could tell whether it was kept.
  if (isGivenUp(state, queryId, attempt)) return { by, atMs, changes: [], outcome: null }
  // A table that is made of it keeps its directory: the next attempt writes there.
  const paths = task?.write == null ? [] : [task.write.directory]
  const changes: Change[] = paths.length === 0 ? [] : [{ do: 'add-litter', paths }]
  const outcome: Outcome = {
    queryId: attemptId(queryId, attempt),
    state: 'failed',
    message,
    rows: null,
    kind: 'lost',
    atMs,
  }
  return { by, atMs, changes, outcome }
}

/** Only one attempt is ever given up, and before it so many were overtaken at most. */
const LAST_THAT_MAY_BE = 1 + MOST_OVERTAKEN

const attemptId = (queryId: string, attempt: number): string => `${queryId}/${attempt}`

export const isGivenUp = (state: CatalogState, queryId: string, attempt: number): boolean =>
  state.outcome(attemptId(queryId, attempt)) !== null

/** The attempt that was given up; 0: none. Its query isn't run again a second time. */
export function givenUp(state: CatalogState, queryId: string): number {
  let attempt = LAST_THAT_MAY_BE
  while (attempt > 0 && !isGivenUp(state, queryId, attempt)) attempt -= 1
  return attempt
}

/** Its failures, as its record keeps them. */
export function failuresOf(
  state: CatalogState,
  queryId: string,
): { attempt: number; worker: null; why: string }[] {
  const attempt = givenUp(state, queryId)
  const outcome = state.outcome(attemptId(queryId, attempt))
  return outcome === null ? [] : [{ attempt, worker: null, why: outcome.message }]
}

function refuseGivenUp(state: CatalogState, { queryId, attempt }: Task): void {
  if (!isGivenUp(state, queryId, attempt)) return
  throw new CatalogError('CONFLICT', `attempt ${attempt} of query ${queryId} was given up`)
}

/**
 * What is left of a write that did not win: the attempt's directory. Of a table that is not made it is the table's own,
 * which is named for the query: no other one can ever be there.
 */
export function leftBy({ write, create }: Task): string[] {
  if (write === null) return []
  return [create === null ? write.directory : write.base]
}

function refuseSecond(state: CatalogState, queryId: string): void {
  const outcome = state.outcome(queryId)
  if (outcome !== null) throw new AlreadyEnded(outcome)
}

/** Refuses an INSERT whose table is gone with its database. */
function refuseOtherDatabase(state: CatalogState, { create, names }: Task): void {
  if (create === null) return
  const why = whyOtherDatabase(state, create.database, names)
  if (why !== null) throw new CatalogError('MISSING', why)
}

/** Whether it is CREATE TABLE IF NOT EXISTS … AS, and another one made the table meanwhile. */
function cameTooLate(state: CatalogState, { create }: Task): boolean {
  if (create === null) return false
  const { database, name, ifNotExists } = create
  return ifNotExists && state.find(database, name) !== null
}

const messageOf = ({ create }: Task, rows: number): string =>
  create === null ? `INSERT ${rows}` : `CREATE TABLE ${rows}`

function changesOf(
  state: CatalogState,
  { queryId, write, create, publishTo }: Task,
  manifest: WholeManifest,
  atMs: number,
): Change[] {
  if (write === null) throw new Error(`query ${queryId} writes nothing`)
  if (publishTo !== null) {
    const taken = whyTaken(state, publishTo)
    if (taken !== null) throw new CatalogError('CONFLICT', taken)
    const publication = { queryId, staging: write.directory, location: publishTo }
    return [{ do: 'publish', publication }]
  }
  if (create !== null)
    return [{ do: 'create-table', table: newTable(state, create, manifest, atMs) }]
  const { id: tableId } = targetOf(state, { queryId, write })
  const { schemaVersion, mode } = write
  // To rows that are only added to, it makes no difference what they were.
  const read = mode === 'append' ? undefined : manifest.reads.find((one) => one.tableId === tableId)
  const basedOn = read?.contentVersion
  return [{ do: 'write', tableId, schemaVersion, mode, files: manifest.files, basedOn }]
}

/** Throws CatalogError MISSING. */
function targetOf(state: CatalogState, { queryId, write }: Pick<Task, 'queryId' | 'write'>): Table {
  const tableId = write?.tableId ?? null
  if (tableId === null) throw new Error(`query ${queryId} has no target`)
  const table = state.table(tableId)
  // After an older catalog was brought back another table can have the id; each has a place of its own.
  if (table === null || table.location !== write?.base) {
    throw new CatalogError('MISSING', 'the table was dropped while the query was writing to it')
  }
  return table
}

function newTable(
  state: CatalogState,
  draft: TableDraft,
  manifest: WholeManifest,
  atMs: number,
): PlainTable {
  const { database, name, format, options, location, owner } = draft
  return {
    id: state.nextTableId,
    database,
    name,
    kind: 'managed',
    format,
    options,
    columns: manifest.columns,
    partitionColumns: manifest.partitionColumns,
    location,
    wholeDirectory: false,
    files: manifest.files,
    schemaVersion: 1,
    createdAt: new Date(atMs).toISOString(),
    ...(owner === undefined ? {} : { owner }),
  }
}
