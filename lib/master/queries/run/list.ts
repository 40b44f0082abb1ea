/**
 * All queries of this term, and the only place where one changes its stage. It knows no clock, no timer and no port:
 * time comes in, and what follows from a change (a record, a client to be told, a free slot) goes out by `onChange`.
 *
 *     add ─> queued ─> dispatching ─> running ─> applying ─> ended
 *               ^───────────┘            │ └───────│─^─────────^
 *               └────────────────────────│─────────┘ └─> waiting
 *     expect ─> expected ────────────────┘ (its worker came back; else ended, or queued again)
 *
 * A query ends once: whatever is heard of it afterwards changes nothing. Ended ones are kept for a while, so that who
 * asks again is told the same; the log keeps them longer.
 */
import type { QueryError, Task, TaskReport } from '../../../contract/index.ts'
import {
  changesData,
  cutText,
  type End,
  givesWay,
  type NewQuery,
  type Query,
  recordedSql,
  type Spot,
  stateOf,
  withoutStatement,
} from './query.ts'
import { Queue, type QueueBounds } from './queue.ts'

/** An answer with more rows than this is one of which few are kept. */
const LARGE_ROWS = 1000
const LARGE_ROWS_KEPT = 500_000

interface ListOptions {
  readonly queue: QueueBounds
  /** So many ended ones are kept in memory. */
  readonly keepEnded: number
  /** After each change that a client or the history should hear of. */
  readonly onChange: (query: Query) => void
}

export class QueryList {
  readonly #options: ListOptions
  readonly #all = new Map<string, Query>()
  /** Those among them, for whoever looks for one at each change. */
  readonly #unended = new Set<Query>()
  readonly #queue: Queue
  /** What nobody asked for, as a rule: each waits until no other one does. */
  readonly #behind = new Map<string, Query>()
  /** In the order of their ends. */
  readonly #ended = new Set<Query>()
  /** Those of them whose answers are large, such as a list of all tables, with their rows. */
  readonly #large = new Map<Query, number>()
  #largeRows = 0
  readonly #byWorker = new Map<string, Set<Query>>()

  constructor(options: ListOptions) {
    this.#options = options
    this.#queue = new Queue(options.queue)
  }

  get(queryId: string): Query | null {
    return this.#all.get(queryId) ?? null
  }

  get queueLength(): number {
    return this.#queue.size
  }

  /** How many of them could be begun if there were slots. */
  get takeable(): number {
    return this.#queue.takeable
  }

  /** What waits behind all others. */
  get behindLength(): number {
    return this.#behind.size
  }

  /** Why one more may not be taken, for whoever sent it; null: it may. `atOnce`: a worker has a slot for it. */
  whyFull(user: string, task: Task, atOnce: boolean): string | null {
    return this.#queue.whyFull(user, task, atOnce)
  }

  /** That have not ended, oldest first. */
  unended(): Query[] {
    return [...this.#unended]
  }

  all(): Iterable<Query> {
    return this.#all.values()
  }

  /** Those for which it has a slot. */
  countOn(workerId: string): number {
    let count = 0
    for (const { hasSlot } of this.#byWorker.get(workerId) ?? []) if (hasSlot) count += 1
    return count
  }

  onWorker(workerId: string): readonly Query[] {
    return [...(this.#byWorker.get(workerId) ?? [])]
  }

  /** With `task` it waits for a worker, without one this master does it. An earlier attempt must have ended. */
  add(fresh: NewQuery, nowMs: number): Query {
    const query: Query = {
      ...fresh,
      sql: recordedSql(fresh.sql),
      stage: fresh.task === null ? 'running' : 'queued',
      state: null,
      spot: null,
      hasSlot: false,
      sinceMs: nowMs,
      startedMs: fresh.task === null ? fresh.submittedMs : null,
      finishedMs: null,
      progress: 0,
      rows: null,
      message: null,
      error: null,
      answer: null,
      session: null,
      failures: fresh.failures ?? [],
      tried: fresh.tried ?? [],
      unreadMs: 0,
      asked: fresh.asked ?? null,
      awaitedMs: Number.NEGATIVE_INFINITY,
    }
    const before = this.#all.get(query.queryId)
    if (before !== undefined) {
      if (before.stage !== 'ended') throw new Error(`query ${query.queryId} was begun twice`)
      this.#forget(before)
    }
    this.#all.set(query.queryId, query)
    this.#unended.add(query)
    if (query.task !== null) this.#queue.hold(query, query.task)
    if (query.stage === 'queued') {
      if (givesWay(query)) this.#behind.set(query.queryId, query)
      else this.#queue.add(query)
    }
    this.#options.onChange(query)
    return query
  }

  /** An earlier term's, as the log tells: it should be running at `spot`. */
  expect(fresh: NewQuery, spot: Spot, startedMs: number | null, nowMs: number): void {
    if (this.#all.has(fresh.queryId)) return
    const query = this.add({ ...fresh, task: null }, nowMs)
    query.startedMs = startedMs
    this.#move(query, 'expected', nowMs)
    this.#settle(query, spot)
  }

  /** Returns the next to be run, taken out of the queue; `assign` or `giveBack` has to follow. Null: none that may. */
  takeNext(): Query | null {
    return this.#queue.takeNext()
  }

  /** Does the same for those behind. */
  takeBehind(): Query | null {
    const [first] = this.#behind.values()
    if (first !== undefined) this.#behind.delete(first.queryId)
    return first ?? null
  }

  assign(query: Query, spot: Spot, nowMs: number): void {
    this.#move(query, 'dispatching', nowMs)
    this.#settle(query, spot)
  }

  /** It was surely not taken by that worker: it is the first in the queue again. */
  giveBack(query: Query, nowMs: number): void {
    if (query.stage !== 'queued' && query.stage !== 'dispatching') return
    this.#settle(query, null)
    this.#move(query, 'queued', nowMs)
    if (givesWay(query)) this.#behind.set(query.queryId, query)
    else this.#queue.addFirst(query)
  }

  /** It begins anew, as another attempt: the first in the queue. `died`: what its worker died of. */
  again(
    query: Query,
    task: Task,
    { message, died, nowMs }: { message: string; died?: string | undefined; nowMs: number },
  ): void {
    if (died !== undefined) query.failures = [...query.failures, failureOf(query, died)]
    this.#move(query, 'queued', nowMs)
    this.#settle(query, null)
    query.attempt = task.attempt
    query.task = task
    query.progress = 0
    query.rows = null
    query.message = message
    this.#queue.hold(query, task)
    this.#queue.addFirst(query)
    this.#options.onChange(query)
  }

  /** Its client is there, and stays until then. */
  awaited(query: Query, untilMs: number): void {
    query.awaitedMs = Math.max(query.awaitedMs, untilMs)
  }

  /** Once more, what it read was changed before it could replace it. */
  overtaken(query: Query): void {
    if (query.task === null) return
    query.task = { ...query.task, overtaken: (query.task.overtaken ?? 0) + 1 }
  }

  /** Its end can't be written to the catalog yet. */
  waits(query: Query, message: string, nowMs: number): void {
    this.#move(query, 'waiting', nowMs)
    query.message = message
    this.#options.onChange(query)
  }

  /** An earlier term has written down who asked for it. */
  recalls(query: Query, asked: Query['asked']): void {
    if (query.stage !== 'ended') query.asked ??= asked
  }

  /** A worker came with it, in this attempt or a later one. */
  adopt(query: Query, task: Task): void {
    query.attempt = task.attempt
    query.task = task
    this.#queue.hold(query, task)
  }

  /** Its worker runs it: it took it, reports it, or came back with it. */
  runs(query: Query, spot: Spot, wallMs: number, nowMs: number): void {
    if (isEnding(query)) return
    this.#unqueue(query)
    const same = query.stage === 'running' && query.spot?.workerId === spot.workerId
    this.#settle(query, spot)
    query.startedMs ??= wallMs
    // Its client has it, and sends it again, should it have to run again.
    if (!changesData(query)) this.#dropStatement(query)
    if (same) return
    this.#move(query, 'running', nowMs)
    this.#options.onChange(query)
  }

  /** Its worker has told what it runs, and not this one, or is gone itself: perhaps it tells of it soon. */
  missed(query: Query, nowMs: number): void {
    if (query.stage === 'running' || query.stage === 'dispatching')
      this.#move(query, 'expected', nowMs)
  }

  /** Whoever submits it again begins it as its next attempt; nobody is told an end. */
  drop(query: Query): void {
    this.#unqueue(query)
    this.#leave(query)
    this.#all.delete(query.queryId)
    this.#unended.delete(query)
    this.#dropStatement(query)
  }

  /** Its worker is done with it. What is still to be done here, or waited for, takes no slot there. */
  leavesSlot(query: Query): void {
    query.hasSlot = false
    this.#queue.noteSlot(query, false)
  }

  /** No news for anybody but who asks. */
  progress(query: Query, { progress, rows, unreadMs = 0 }: TaskReport): void {
    query.unreadMs = unreadMs
    query.progress = Math.max(query.progress, progress)
    query.rows = rows
  }

  /** Its end is being written to the catalog; false when that is under way already or done. */
  beginApplying(query: Query, nowMs: number): boolean {
    if (query.stage === 'ended' || query.stage === 'applying') return false
    this.#unqueue(query)
    // What it has waited for.
    if (query.stage === 'waiting') query.message = null
    this.#move(query, 'applying', nowMs)
    return true
  }

  /** Ends it once: later ends are ignored. */
  end(query: Query, end: End, wallMs: number): void {
    if (query.stage === 'ended') return
    this.#unqueue(query)
    query.stage = 'ended'
    query.state = end.state
    query.finishedMs = wallMs
    query.rows = end.rows ?? (end.state === 'succeeded' ? query.rows : null)
    query.message = end.message ?? null
    query.error = end.error == null ? null : withShortMessage(end.error)
    query.answer = end.answer ?? null
    query.session = end.session ?? null
    if (end.state === 'succeeded') query.progress = 1
    this.#dropStatement(query)
    if (query.task !== null) query.task = withoutGroups(query.task)
    this.#leave(query)
    this.#unended.delete(query)
    this.#ended.add(query)
    const rows = query.answer?.rows.length ?? 0
    if (rows > LARGE_ROWS) {
      this.#large.set(query, rows)
      this.#largeRows += rows
    }
    this.#forgetOldest()
    this.#options.onChange(query)
    // Its end is told. It may name many tables, and ended ones are kept for a while.
    query.asked = null
  }

  #forgetOldest(): void {
    while (this.#ended.size > this.#options.keepEnded) {
      const [oldest] = this.#ended
      if (oldest === undefined) return
      this.#forget(oldest)
    }
    // Who asks again for one of these is answered anew: it only reads. The newest stays, however large it is.
    while (this.#largeRows > LARGE_ROWS_KEPT && this.#large.size > 1) {
      const [oldest] = this.#large.keys()
      if (oldest === undefined) return
      this.#forget(oldest)
    }
  }

  #forget(query: Query): void {
    this.#ended.delete(query)
    this.#all.delete(query.queryId)
    this.#largeRows -= this.#large.get(query) ?? 0
    this.#large.delete(query)
  }

  #move(query: Query, stage: Query['stage'], nowMs: number): void {
    if (query.stage === 'ended')
      throw new Error(`query ${query.queryId} has ended: ${stateOf(query)}`)
    query.stage = stage
    query.sinceMs = nowMs
  }

  #settle(query: Query, spot: Spot | null): void {
    this.#leave(query)
    query.spot = spot
    query.hasSlot = spot !== null
    this.#queue.noteSlot(query, query.hasSlot)
    if (spot === null) return
    const there = this.#byWorker.get(spot.workerId)
    if (there === undefined) this.#byWorker.set(spot.workerId, new Set([query]))
    else there.add(query)
  }

  #dropStatement(query: Query): void {
    this.#queue.release(query)
    if (query.task !== null) query.task = withoutStatement(query.task)
  }

  /** Where it was stays to be told. */
  #leave(query: Query): void {
    this.#queue.noteSlot(query, false)
    const workerId = query.spot?.workerId
    const there = workerId === undefined ? undefined : this.#byWorker.get(workerId)
    if (workerId === undefined || there === undefined) return
    there.delete(query)
    if (there.size === 0) this.#byWorker.delete(workerId)
  }

  #unqueue(query: Query): void {
    this.#queue.delete(query)
    this.#behind.delete(query.queryId)
  }
}

/** It may quote the statement. */
const LONGEST_MESSAGE = 4000
const withShortMessage = (error: QueryError): QueryError => ({
  ...error,
  message: cutText(error.message, LONGEST_MESSAGE),
})

/** An ended query is kept for a while, and the files that it has joined may be ten thousand. */
const withoutGroups = (task: Task): Task =>
  task.compaction === undefined ? task : { ...task, compaction: { ...task.compaction, groups: [] } }

/** Of the attempt that it is in. */
export const failureOf = (
  { attempt, spot }: Query,
  why: string,
): NonNullable<Query['failures']>[number] => ({ attempt, worker: spot?.workerId ?? null, why })

const isEnding = ({ stage }: Query): boolean =>
  stage === 'applying' || stage === 'waiting' || stage === 'ended'
