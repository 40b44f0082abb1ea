/**
 * Joins small files by itself. The active master looks through the tables once in a while, and at once when it is done
 * with one; what it finds becomes a query that nobody has asked for (`isBackground`), for a worker that has a slot free. It
 * is lost with its worker, or when another query needs the slot, and no harm is done: the next look, of this master or of
 * the next one, plans it anew, and what was written is litter.
 *
 * A table whose files could not be joined rests, longer each time, so that nothing is tried again and again; the reason is
 * in the log once.
 */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { messageOf } from '../../base/message-of.ts'
import { inSlices } from '../../base/slices.ts'
import type { FilePartition } from '../../catalog/file-list.ts'
import type { Table } from '../../catalog/model.ts'
import type { Task } from '../../rpc/contract.ts'
import type { CatalogPort } from './catalog-port.ts'
import {
  type CompactionOptions,
  compactionOf,
  keepMsOf,
  planJoins,
  rulesBehind,
} from './compaction.ts'
import type { JoinPlan } from './join-planner.ts'
import type { QueryList } from './list.ts'
import { isBackground, type Query } from './query.ts'

export interface CompactorOptions {
  readonly compaction: CompactionOptions
  readonly epoch: number
  readonly catalog: CatalogPort
  readonly list: QueryList
  /** There is somebody who may have a slot for it sooner or later. */
  readonly hasWorker: () => boolean
  /** A query has come that no other one has to wait for. */
  readonly onQueued: () => void
  /** Why nothing may be written that need not be; null when it may. */
  readonly whyNot: () => string | null
  /** A UUID. */
  readonly newId: () => string
  readonly clock: Clock
  readonly wallMs: () => number
  readonly log: Log
  /** Aborts with the term. */
  readonly signal: AbortSignal
}

/** As whom it stands in the list of queries. */
export const COMPACTION_USER = 'compaction'
/** After one that succeeded the next follows at once. */
const SOON_MS = 50
/** A table that could not be joined rests for so many intervals at most. */
const LONGEST_REST = 64
/** And what no worker has taken for so many is planned anew. */
const LONGEST_WAIT = 10

interface Rest {
  readonly failures: number
  readonly untilMs: number
}

export class Compactor {
  readonly #options: CompactorOptions
  #cancel = (): void => {}
  #looking = false
  /** Tables, and partitions of others, in which there is nothing to join as they are; changed ones are other values. */
  readonly #settledTables = new WeakSet<Table>()
  readonly #settled = new WeakSet<FilePartition>()
  readonly #rests = new Map<number, Rest>()
  /** The id of the table that came last: the others have their turn first. */
  #last = 0
  /** What keeps it from working was told. */
  #told: string | null = null

  constructor(options: CompactorOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#options.compaction.enabled) this.#after(this.#options.compaction.checkMs)
  }

  stop(): void {
    this.#cancel()
  }

  /** One of its queries has come to its end. */
  ended({ task, state, error }: Query): void {
    const { clock, compaction } = this.#options
    const tableId = task?.write?.tableId ?? null
    if (tableId === null || !compaction.enabled) return
    if (state === 'succeeded') {
      this.#rests.delete(tableId)
      this.#told = null
      this.#after(SOON_MS)
      return
    }
    // That it gave way, or went with its worker, is no fault of the table's, and nothing that somebody has to mend.
    const isFault = error?.kind !== 'killed' && error?.kind !== 'lost'
    const failures = isFault ? (this.#rests.get(tableId)?.failures ?? 0) + 1 : 0
    const restMs = compaction.checkMs * Math.min(LONGEST_REST, 2 ** Math.max(0, failures - 1))
    this.#rests.set(tableId, { failures, untilMs: clock.nowMs() + restMs })
    if (isFault) this.#tell(`small files of table ${tableId} are not joined: ${error?.message}`)
  }

  /** One round; never rejects. */
  async look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    try {
      await this.#look()
    } catch (error) {
      const { signal, log } = this.#options
      if (!signal.aborted) log('warn', `the look for small files broke off: ${messageOf(error)}`)
    } finally {
      this.#looking = false
    }
  }

  #after(ms: number): void {
    const { clock, compaction, signal } = this.#options
    this.#cancel()
    if (signal.aborted) return
    this.#cancel = clock.after(ms, () => {
      // Before the look: one that ends during it brings the next one forward.
      this.#after(compaction.checkMs)
      void this.look()
    })
  }

  async #look(): Promise<void> {
    const { catalog, signal, whyNot, hasWorker, compaction } = this.#options
    this.#dropWaiting()
    for (const id of this.#rests.keys()) {
      if (catalog.state().table(id) === null) this.#rests.delete(id)
    }
    const why = whyNot()
    if (why !== null) {
      this.#tell(`small files are not joined: ${why}`)
      return
    }
    const busy = this.#busy()
    const candidates: Table[] = []
    await inSlices(catalog.state().allTables(), (table) => {
      if (this.#mayHave(table) && !busy.has(table.id)) candidates.push(table)
    })
    const inTurn = [
      ...candidates.filter(({ id }) => id > this.#last),
      ...candidates.filter(({ id }) => id <= this.#last),
    ]
    for (const table of inTurn) {
      if (busy.size >= compaction.maxConcurrent || !hasWorker() || signal.aborted) return
      const plan = await planJoins(table.files, rulesBehind(compaction), this.#settled)
      if (plan.groups.length === 0) this.#settledTables.add(table)
      else if (!signal.aborted) {
        busy.add(table.id)
        this.#last = table.id
        this.#begin(table, plan)
      }
    }
  }

  #mayHave(table: Table): boolean {
    const { compaction, clock } = this.#options
    if (table.kind === 'external' || table.files.length < compaction.minInputFiles) return false
    if (this.#settledTables.has(table)) return false
    return (this.#rests.get(table.id)?.untilMs ?? 0) <= clock.nowMs()
  }

  /** Tables whose files are being joined: by one of its own queries, also an earlier term's. */
  #busy(): Set<number> {
    const ids = this.#options.list
      .unended()
      .filter(isBackground)
      .map(({ task }) => task?.write?.tableId ?? 0)
    return new Set(ids)
  }

  #dropWaiting(): void {
    const { list, compaction, clock, wallMs } = this.#options
    const sinceMs = clock.nowMs() - LONGEST_WAIT * compaction.checkMs
    for (const query of list.unended()) {
      if (query.stage !== 'queued' || query.sinceMs > sinceMs || !isBackground(query)) continue
      const error = { message: 'no worker has a slot for it', place: null, kind: 'killed' } as const
      list.end(query, { state: 'killed', error }, wallMs())
    }
  }

  #begin(table: Table, plan: JoinPlan): void {
    const { catalog, list, epoch, compaction, newId, clock, wallMs, onQueued } = this.#options
    const { database } = table
    const sql = `OPTIMIZE TABLE ${quoted(database)}.${quoted(table.name)}`
    const [queryId, attempt, submittedMs] = [newId(), 1, wallMs()]
    const keepMs = keepMsOf(compaction, catalog.state().litterCount)
    const how = { queryId, attempt, epoch, keepMs, background: true }
    const task: Task = {
      ...{ queryId, attempt, sql, submittedMs, mode: 'compact', create: null, publishTo: null },
      query: { text: sql, place: { line: 1, column: 1 } },
      session: { database, user: COMPACTION_USER, variables: {} },
      ...compactionOf(table, plan, how),
    }
    const fresh = { queryId, attempt, sql, user: COMPACTION_USER, database, submittedMs, task }
    list.add({ ...fresh, kind: 'change' }, clock.nowMs())
    onQueued()
  }

  #tell(text: string): void {
    if (text === this.#told) return
    this.#told = text
    this.#options.log('warn', text)
  }
}

/** As SQL has it where it is no plain word. */
const quoted = (name: string): string =>
  /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
