/**
 * Joins small files by itself. The active master looks through the tables once in a while, and at once when it is done
 * with one; what it finds becomes a query that nobody has asked for (`isBackground`), for a worker that has a slot free. It
 * is lost with its worker, or when another query needs the slot, and no harm is done: the next look, of this master or of
 * the next one, plans it anew, and what was written is litter. Where queries leave it no slot it takes its turn among them
 * (`TurnTaking`).
 *
 * A table whose files could not be joined rests, longer each time, so that nothing is tried again and again; the reason is
 * in the log once.
 *
 * When the joining of small files takes its turn among the queries. Mostly it gives way to them; where they take all slots
 * all the time it would never come to its end, and each try would read more files than the one before.
 *
 * So what was held up for a few looks takes its turn: it keeps its slot, does little at a time, and rests for twice as long as
 * it took, its waiting included; where it got a slot at once it tries instead whether it is left one again. It does neither
 * while there are more files than once before, or one table has more to join than a turn takes: they come faster than that,
 * and INSERTs have to wait for it.
 *
 * Pure. Times are the caller's clock, in ms.
 */
import { messageOf } from '../../../base/failures.ts'
import type { Log } from '../../../base/log.ts'
import { background, inSlices } from '../../../base/slices.ts'
import type { Clock } from '../../../base/time.ts'
import type { FilePartition, Table } from '../../../catalog/index.ts'
import type { Task } from '../../../contract/index.ts'
import type { CatalogPort } from '../catalog/catalog-service.ts'
import type { QueryList } from '../run/list.ts'
import { givesWay, isBackground, type Query } from '../run/query.ts'
import {
  type CompactionOptions,
  compactionOf,
  keepMsOf,
  planJoins,
  rulesBehind,
  rulesInTurn,
} from './compaction.ts'
import type { JoinPlan } from './join-planner.ts'

/** Held up for so many looks, it takes its turn. */
const PATIENCE = 3
/** After that it rests for so many times as long as it took. */
const REST_FACTOR = 2

interface Turn {
  /** Among the queries, rather than after them. */
  readonly inTurn: boolean
  /** Files come faster than turns with rests between them join them. */
  readonly isBehind: boolean
  /** To be rested first; 0: nothing. */
  readonly restMs: number
}

export class TurnTaking {
  /** Since when queries have left it no slot for as long as it needs one; null: they do. */
  #heldUpMs: number | null = null
  /** When the last one began that took its turn; of an earlier term's, when this term began. */
  #turnMs: number
  /** How many files there were at such a time, at least. */
  #fewestFiles = Number.POSITIVE_INFINITY
  /** Tables that had more to join than their last turn took. */
  readonly #overfull = new Set<number>()
  #restUntilMs = Number.NEGATIVE_INFINITY
  /** The last turn had its slot at once: perhaps queries leave it one again. */
  #hopes = false
  readonly #patienceMs: number

  /** `checkMs`: between two looks. */
  constructor(beganMs: number, checkMs: number) {
    this.#turnMs = beganMs
    this.#patienceMs = PATIENCE * checkMs
  }

  /** Queries have left it no slot since then, if not for longer. */
  heldUp(sinceMs: number): void {
    this.#heldUpMs ??= sinceMs
  }

  /** Queries leave it a slot, or nobody needs one. */
  leftAlone(): void {
    this.#heldUpMs = null
    this.#fewestFiles = Number.POSITIVE_INFINITY
    this.#overfull.clear()
    this.#hopes = false
  }

  isOverdue(nowMs: number): boolean {
    return this.#heldUpMs !== null && nowMs - this.#heldUpMs >= this.#patienceMs
  }

  /** What is to be done where it is overdue or not, and all tables that are its business have so many files. */
  next(isOverdue: boolean, files: number, nowMs: number): Turn {
    const isBehind = files > this.#fewestFiles || this.#overfull.size > 0
    const inTurn = isOverdue && (isBehind || !this.#hopes)
    const restMs = inTurn && !isBehind ? Math.max(0, this.#restUntilMs - nowMs) : 0
    return { inTurn, isBehind, restMs }
  }

  /** A turn begins with that table, of whose files so many are `left` to the next one. */
  begin({ tableId, left, files }: { tableId: number; left: number; files: number }, nowMs: number) {
    this.#turnMs = nowMs
    this.#fewestFiles = Math.min(this.#fewestFiles, files)
    if (left > 0) this.#overfull.add(tableId)
    else this.#overfull.delete(tableId)
  }

  /** What began just now, in its turn or not, got a slot at once or waits for one. */
  began({ inTurn, hasSlot }: { inTurn: boolean; hasSlot: boolean }): void {
    this.#hopes = inTurn && hasSlot
  }

  /** One has come to its end. `gaveWay`: it would have, to any query. */
  succeeded(gaveWay: boolean, nowMs: number): void {
    if (gaveWay) this.leftAlone()
    if (this.#heldUpMs === null || this.#hopes) return
    this.#restUntilMs = nowMs + REST_FACTOR * (nowMs - this.#turnMs)
  }

  /** That table has nothing to join. */
  settled(tableId: number): void {
    this.#overfull.delete(tableId)
  }

  /** Tables that are there no more count no longer. */
  keep(isThere: (tableId: number) => boolean): void {
    for (const id of this.#overfull) if (!isThere(id)) this.#overfull.delete(id)
  }
}

interface CompactorOptions {
  readonly compaction: CompactionOptions
  readonly term: number
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

/** Its multiples, less their whole parts, are spread evenly, however many there are. */
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2

interface Rest {
  readonly failures: number
  readonly untilMs: number
}

export class Compactor {
  readonly #options: CompactorOptions
  #cancel = (): void => {}
  #looking: Promise<void> | null = null
  /** Tables, and partitions of others, in which there is nothing to join as they are; changed ones are other values. */
  readonly #settledTables = new WeakSet<Table>()
  readonly #settled = new WeakSet<FilePartition>()
  readonly #rests = new Map<number, Rest>()
  /** The id of the table that came last: the others have their turn first. Null: none has come in this term. */
  #last: number | null = null
  readonly #turns: TurnTaking
  /** What keeps it from working was told. */
  #told: string | null = null

  constructor(options: CompactorOptions) {
    this.#options = options
    this.#turns = new TurnTaking(options.clock.nowMs(), options.compaction.checkMs)
  }

  start(): void {
    if (this.#options.compaction.enabled) this.#after(this.#options.compaction.checkMs)
  }

  stop(): void {
    this.#cancel()
  }

  /** One of its queries has come to its end. */
  ended(query: Query): void {
    const { task, state, error } = query
    const { clock, compaction } = this.#options
    const tableId = task?.write?.tableId ?? null
    if (tableId === null || !compaction.enabled) return
    if (state === 'succeeded') {
      this.#rests.delete(tableId)
      this.#told = null
      this.#turns.succeeded(givesWay(query), clock.nowMs())
      this.#after(SOON_MS)
      return
    }
    // That it gave way, or went with its worker, is no fault of the table's, and nothing that somebody has to mend.
    if (error?.kind === 'killed') {
      if (givesWay(query)) this.#turns.heldUp(clock.nowMs())
      return
    }
    const isFault = error?.kind !== 'lost'
    if (isFault) this.#turns.leftAlone()
    const failures = isFault ? (this.#rests.get(tableId)?.failures ?? 0) + 1 : 0
    const restMs = compaction.checkMs * Math.min(LONGEST_REST, 2 ** Math.max(0, failures - 1))
    this.#rests.set(tableId, { failures, untilMs: clock.nowMs() + restMs })
    if (isFault) this.#tell(`small files of table ${tableId} are not joined: ${error?.message}`)
  }

  /** One round, unless one is under way; never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = null
    })
    return this.#looking
  }

  /** Resolves when no look is under way. */
  async idle(): Promise<void> {
    await this.#looking
  }

  async #lookOnce(): Promise<void> {
    try {
      await this.#look()
    } catch (error) {
      const { signal, log } = this.#options
      if (!signal.aborted)
        log('warn', `the look for small files broke off: ${messageOf(error)}`, {
          event: 'compaction-failed',
        })
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
    const { catalog, signal, whyNot, hasWorker, compaction, clock } = this.#options
    this.#dropWaiting()
    for (const id of this.#rests.keys()) {
      if (catalog.state().table(id) === null) this.#rests.delete(id)
    }
    this.#turns.keep((id) => catalog.state().table(id) !== null)
    const why = whyNot()
    if (why !== null) {
      this.#tell(`small files are not joined: ${why}`)
      return
    }
    const isOverdue = this.#turns.isOverdue(clock.nowMs())
    const busy = this.#busy()
    const candidates: Table[] = []
    let files = 0
    const look = (table: Table): void => {
      if (table.kind === 'managed') files += table.files.length
      if (this.#mayHave(table) && !busy.has(table.id)) candidates.push(table)
    }
    await inSlices(catalog.state().allTables(), look, background)
    const { inTurn, isBehind, restMs } = this.#turns.next(isOverdue, files, clock.nowMs())
    if (restMs > 0) {
      this.#after(restMs)
      return
    }
    const last = this.#last ?? this.#firstOf(candidates)
    const sorted = [
      ...candidates.filter(({ id }) => id > last),
      ...candidates.filter(({ id }) => id <= last),
    ]
    const most = inTurn && !isBehind ? 1 : compaction.maxConcurrent
    const rules = inTurn ? rulesInTurn(compaction) : rulesBehind(compaction)
    for (const { id } of sorted) {
      if (busy.size >= most || !hasWorker() || signal.aborted) return
      // As it is by now: the look at all of them may have taken long.
      const table = catalog.state().table(id)
      if (table === null) continue
      const plan = await planJoins(table.files, rules, this.#settled)
      if (plan.groups.length === 0) this.#settle(table)
      else if (!signal.aborted) {
        busy.add(table.id)
        this.#last = table.id
        const { left } = plan
        if (inTurn) this.#turns.begin({ tableId: table.id, left, files }, clock.nowMs())
        this.#begin(table, { plan, inTurn })
      }
    }
    if (busy.size === 0) this.#turns.leftAlone()
  }

  /** Where terms are short each begins in another place, so that no table comes last in all of them. */
  #firstOf(candidates: readonly Table[]): number {
    const share = (this.#options.term * GOLDEN_RATIO) % 1
    return candidates[Math.floor(share * candidates.length)]?.id ?? 0
  }

  #settle(table: Table): void {
    this.#settledTables.add(table)
    this.#turns.settled(table.id)
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
    const waiting = list.unended().filter((one) => one.stage === 'queued' && isBackground(one))
    for (const query of waiting) if (givesWay(query)) this.#turns.heldUp(query.sinceMs)
    const isOverdue = this.#turns.isOverdue(clock.nowMs())
    for (const query of waiting) {
      if (query.sinceMs > sinceMs && !(isOverdue && givesWay(query))) continue
      const error = { message: 'no worker has a slot for it', place: null, kind: 'killed' } as const
      list.end(query, { state: 'killed', error }, wallMs())
    }
  }

  #begin(table: Table, { plan, inTurn }: { plan: JoinPlan; inTurn: boolean }): void {
    const { catalog, list, term, compaction, newId, clock, wallMs, onQueued } = this.#options
    const { database } = table
    const sql = `OPTIMIZE TABLE ${quoted(database)}.${quoted(table.name)}`
    const [queryId, attempt, submittedMs] = [newId(), 1, wallMs()]
    const keepMs = keepMsOf(compaction, catalog.state().litterCount)
    const how = { queryId, attempt, term, keepMs, background: true, inTurn }
    const task: Task = {
      ...{ queryId, attempt, sql, submittedMs, mode: 'compact', create: null, publishTo: null },
      query: { text: sql, place: { line: 1, column: 1 } },
      session: { database, user: COMPACTION_USER, variables: {} },
      ...compactionOf(table, plan, how),
    }
    const fresh = {
      queryId,
      attempt,
      sql,
      user: COMPACTION_USER,
      owner: null,
      database,
      submittedMs,
      task,
    }
    const query = list.add({ ...fresh, kind: 'change' }, clock.nowMs())
    onQueued()
    this.#turns.began({ inTurn, hasSlot: query.stage !== 'queued' })
  }

  #tell(text: string): void {
    if (text === this.#told) return
    this.#told = text
    this.#options.log('warn', text, { event: 'compaction-failed' })
  }
}

/** Writes it as SQL has it where it is no plain word. */
const quoted = (name: string): string =>
  /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
