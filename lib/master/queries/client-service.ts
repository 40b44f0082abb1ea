/**
 * The client port knows submit, wait and kill.
 *
 * The client's query id makes each of them harmless to repeat, on any master: what runs is told as it stands, what has
 * ended in the catalog is told from there, and only what nobody knows is begun. Everything that changes data is told
 * after it is in the catalog.
 *
 * A query is its owner's: nobody else but the administrator is told of it or ends it, whoever knows its id.
 */
import { mayTouch, type Principal } from '../../access/index.ts'
import { type Audit, noAudit } from '../../base/audit.ts'
import type { Clock } from '../../base/time.ts'
import { isTermOver } from '../../catalog/index.ts'
import type { QueryError, QueryStatus } from '../../contract/index.ts'
import { RpcError } from '../../rpc/index.ts'
import type { Handlers } from '../../serve/index.ts'
import type { Statement } from '../../sql/index.ts'
import { SqlError, withoutPasswords } from '../../sql/index.ts'
import type { CatalogPort } from './catalog/catalog-service.ts'
import type { CompactionOptions } from './compaction/compaction.ts'
import { askedOf, auditEnd } from './run/asked.ts'
import type { Deaths } from './run/deaths.ts'
import type { QueryList } from './run/list.ts'
import {
  changesData,
  kindOf,
  type Query,
  type QueryKind,
  recordedSql,
  statusOf,
} from './run/query.ts'
import { endOf } from './run/recorder.ts'
import type { Scheduler } from './run/scheduler.ts'
import type { PlannedChange, Settler } from './run/settle.ts'
import type { Waiters } from './run/waiters.ts'
import type { WorkerCalls } from './run/worker-calls.ts'
import type { WorkerTable } from './run/worker-table.ts'
import { failuresOf, givenUp } from './run/write-end.ts'
import type { PathRules } from './statements/paths.ts'
import { type Plan, plan } from './statements/plan.ts'
import { asUser } from './statements/rights.ts'

interface ClientServiceOptions {
  readonly term: number
  readonly list: QueryList
  readonly waiters: Waiters
  readonly catalog: CatalogPort
  readonly workers: WorkerTable
  readonly calls: WorkerCalls
  readonly scheduler: Scheduler
  readonly settler: Settler
  readonly deaths: Deaths
  readonly paths: PathRules
  readonly compaction: CompactionOptions
  readonly parse: (sql: string) => Statement
  /** Publications that are decided and not carried out yet. */
  readonly isPublishing: (queryId: string) => boolean
  readonly clock: Clock
  readonly awakeMs: () => number
  readonly wallMs: () => number
  /** Left out where nothing is audited. */
  readonly audit?: Audit | undefined
}

type RequestOf<M extends keyof Handlers<'client'>> = Parameters<Handlers<'client'>[M]>[0]

interface Planning {
  /** As `Query` has it. */
  readonly asUser?: string | undefined
  readonly begun: Promise<QueryStatus>
}

/** So long after the beginning of a term its workers may come with queries that this master has not heard of. */
const ARRIVING_MS = 2000
/** A submit waits so long for a worker to take the query, and for a change of the catalog alone: it spares a `wait`. */
const BRIEFLY_MS = 100
const CHANGE_MS = 5000

export class ClientService {
  readonly #options: ClientServiceOptions
  readonly #beginMs: number
  /** Being planned: the file system is asked meanwhile. */
  readonly #planning = new Map<string, Planning>()

  constructor(options: ClientServiceOptions) {
    this.#options = options
    this.#beginMs = options.clock.nowMs()
  }

  /**
   * `principal`: who submits it; `from`: the address that it comes from, null: this master itself. Throws FORBIDDEN, as
   * `wait` and `kill`, for the id of another user's query.
   */
  async submit(
    request: RequestOf<'submit'>,
    principal: Principal,
    from: string | null = null,
  ): Promise<QueryStatus> {
    const { queryId, attempt } = request
    const planning = this.#planning.get(queryId)
    requireHis(principal, planning ?? this.#options.list.get(queryId))
    const known = this.#known(queryId, attempt)
    if (known !== null) return known
    if (planning !== undefined) return planning.begun
    // A user is who he has proven to be, whatever his session says.
    const user = principal.kind === 'user' ? principal.name : request.session.user
    const his = { ...request, session: { ...request.session, user } }
    const begun = this.#begin(his, principal, from).finally(() => this.#planning.delete(queryId))
    this.#planning.set(queryId, { asUser: asUser(principal), begun })
    return begun
  }

  async wait(request: RequestOf<'wait'>, principal: Principal): Promise<QueryStatus | null> {
    const { list, waiters, catalog, clock, awakeMs } = this.#options
    const { queryId } = request
    const untilMs = clock.nowMs() + request.waitMs
    for (;;) {
      const query = list.get(queryId)
      requireHis(principal, query)
      const leftMs = untilMs - clock.nowMs()
      if (query !== null) {
        list.awaited(query, awakeMs() + Math.max(0, leftMs))
        const status = this.#status(query)
        if (leftMs <= 0 || waiters.closed || differs(status, request)) return status
        await waiters.next(queryId, leftMs)
        continue
      }
      const ended = this.#outcome(queryId)
      if (ended !== null) return ended
      const arrivingMs = this.#beginMs + ARRIVING_MS - clock.nowMs()
      const publishing = this.#options.isPublishing(queryId)
      const unknownMs = publishing ? leftMs : Math.min(leftMs, arrivingMs)
      if (unknownMs <= 0 || waiters.closed) {
        return catalog.state().outcome(queryId) === null ? null : this.#publishing(request)
      }
      await waiters.next(queryId, publishing ? Math.min(unknownMs, BRIEFLY_MS) : unknownMs)
    }
  }

  async kill({ queryId }: RequestOf<'kill'>, principal: Principal): Promise<QueryStatus | null> {
    const { list, settler, workers, calls, waiters, wallMs } = this.#options
    await this.#arrival(queryId)
    const query = list.get(queryId)
    requireHis(principal, query)
    if (query === null) return this.#outcome(queryId)
    const { spot } = query
    const error: QueryError = { message: 'it was killed', place: null, kind: 'killed' }
    if (query.stage === 'running' && spot === null) return this.#status(query)
    if (changesData(query)) {
      settler.failed(query, error, 'killed')
      await this.#until(query, () => query.stage === 'ended', CHANGE_MS)
    } else list.end(query, { state: 'killed', error }, wallMs())
    const worker = spot === null ? null : workers.get(spot.workerId)
    if (worker !== null && query.state === 'killed') void calls.kill(worker.info, query)
    waiters.wake(queryId)
    return this.#status(query)
  }

  /** Resolves when it is known, or when its worker would have come with it. */
  async #arrival(queryId: string): Promise<void> {
    const { list, waiters, clock } = this.#options
    for (;;) {
      const leftMs = this.#beginMs + ARRIVING_MS - clock.nowMs()
      const known = list.get(queryId) !== null || this.#outcome(queryId) !== null
      if (known || leftMs <= 0 || waiters.closed) return
      await waiters.next(queryId, leftMs)
    }
  }

  // ---- what is known already -------------------------------------------------------------------------------------

  #known(queryId: string, attempt: number): QueryStatus | null {
    const { list, awakeMs } = this.#options
    const query = list.get(queryId)
    if (query === null) return this.#outcome(queryId)
    list.awaited(query, awakeMs())
    if (query.kind !== 'select' || query.attempt >= attempt || hasFailed(query)) {
      return this.#status(query)
    }
    this.#replace(query)
    return null
  }

  /** Its client could not get the result of this attempt: whatever still runs of it is stopped. */
  #replace(query: Query): void {
    const { list, workers, calls, wallMs } = this.#options
    if (query.stage === 'ended') return
    const error: QueryError = { message: 'a later attempt runs', place: null, kind: 'lost' }
    list.end(query, { state: 'failed', error }, wallMs())
    const worker = query.spot === null ? null : workers.get(query.spot.workerId)
    if (worker !== null) void calls.kill(worker.info, query)
  }

  /** Of a change that ended under an earlier term, or long ago. */
  #outcome(queryId: string): QueryStatus | null {
    const { catalog, isPublishing, term } = this.#options
    const outcome = catalog.state().outcome(queryId)
    if (outcome === null || isPublishing(queryId)) return null
    const end = endOf(outcome)
    return {
      queryId,
      attempt: 1,
      kind: 'change',
      worker: null,
      answer: null,
      session: null,
      epoch: term,
      state: end.state,
      progress: end.state === 'succeeded' ? 1 : 0,
      rows: end.rows ?? null,
      message: end.message ?? null,
      error: end.error ?? null,
    }
  }

  /** It is decided, and somebody is carrying it out. */
  #publishing({ queryId, attempt }: { queryId: string; attempt: number }): QueryStatus {
    const { term } = this.#options
    return {
      queryId,
      attempt,
      kind: 'change',
      state: 'running',
      worker: null,
      answer: null,
      session: null,
      epoch: term,
      progress: 0.99,
      rows: null,
      message: null,
      error: null,
    }
  }

  // ---- beginning one ---------------------------------------------------------------------------------------------

  async #begin(
    submitted: RequestOf<'submit'>,
    principal: Principal,
    from: string | null,
  ): Promise<QueryStatus> {
    const { list, catalog, isPublishing, settler, paths, compaction, parse, term } = this.#options
    const { clock, awakeMs, wallMs, audit = noAudit } = this.#options
    if (isPublishing(submitted.queryId)) return this.#publishing(submitted)
    // A change's attempts are counted by its masters: the last one may have given one up and no more.
    const over = givenUp(catalog.state(), submitted.queryId)
    const request = over === 0 ? submitted : { ...submitted, attempt: over + 1 }
    const submittedMs = wallMs()
    const tried = triedOf(list.get(request.queryId))
    let statement: Statement | null = null
    const begin = (kind: QueryKind, planned: Plan | null): Query => {
      const { queryId, attempt, session } = request
      const { user, database } = session
      const sql = withoutPasswords(request.sql)
      const task = planned?.is === 'task' ? planned.task : null
      const failures = failuresOf(catalog.state(), queryId)
      // Before it can have removed what it names.
      const asked = askedOf(statement, { sql, database, from }, catalog.state())
      const whose = { user, asUser: asUser(principal), database }
      const fresh = { queryId, attempt, sql, ...whose, kind, submittedMs, task, failures }
      const query = list.add({ ...fresh, tried, asked }, clock.nowMs())
      list.awaited(query, awakeMs())
      return query
    }
    const noMore = await this.#options.deaths.whyNoMore(tried)
    if (noMore !== null) {
      const query = begin('select', null)
      const error: QueryError = { message: noMore, place: null, kind: 'refused' }
      list.end(query, { state: 'failed', error }, wallMs())
      return this.#status(query)
    }
    const context = { request, term, submittedMs, paths, compaction, principal }
    const planNow = async (): Promise<Plan> => {
      statement = parse(request.sql)
      return plan(statement, catalog.state(), context)
    }
    const { asOf } = settler
    let planned: Plan
    try {
      planned = await planNow()
    } catch (thrown) {
      const error = userError(thrown)
      if (error === null) throw thrown
      const query = begin('answer', null)
      list.end(query, { state: 'failed', error }, wallMs())
      return this.#status(query)
    }
    switch (planned.is) {
      case 'answer': {
        const { answer, message, session } = planned
        const query = begin('answer', null)
        list.end(query, { state: 'succeeded', answer, message, session }, wallMs())
        return this.#status(query)
      }
      case 'change': {
        const query = begin('change', null)
        const { build } = planned
        const planAgain = async (): Promise<PlannedChange> => {
          const now = settler.asOf
          const again = await planNow()
          if (again.is !== 'change')
            throw new Error(`query ${query.queryId} has become another one`)
          return { build: again.build, asOf: now }
        }
        settler.changed(query, () => ({ build, asOf }), planAgain)
        await this.#until(query, () => query.stage === 'ended', CHANGE_MS)
        return this.#status(query)
      }
      case 'task': {
        const { workers } = this.#options
        const { sql, session } = request
        const { user, database } = session
        const whyNot = list.whyFull(user, planned.task, workers.choose() !== null)
        if (whyNot !== null) {
          const refusal = this.#refusal(request, whyNot)
          const asked = askedOf(statement, { sql, database, from }, catalog.state())
          const record = { sql: recordedSql(sql), user, database, submittedMs }
          auditEnd(audit, { ...refusal, ...record, finishedMs: submittedMs }, asked)
          return refusal
        }
        const query = begin(kindOf(planned.task), planned)
        this.#options.scheduler.kick()
        const isGiven = (): boolean => query.stage !== 'dispatching'
        await this.#until(query, isGiven, BRIEFLY_MS)
        return this.#status(query)
      }
    }
  }

  /** Nothing is kept of it: the same id may be submitted again. */
  #refusal(request: RequestOf<'submit'>, message: string): QueryStatus {
    return {
      ...this.#publishing(request),
      kind: 'select',
      state: 'failed',
      progress: 0,
      error: { message, place: null, kind: 'refused' },
    }
  }

  async #until(query: Query, isDone: () => boolean, ms: number): Promise<void> {
    const { waiters, clock } = this.#options
    const untilMs = clock.nowMs() + ms
    while (!isDone() && !waiters.closed && clock.nowMs() < untilMs) {
      await waiters.next(query.queryId, untilMs - clock.nowMs())
    }
  }

  #status(query: Query): QueryStatus {
    return statusOf(query, this.#options.term)
  }
}

/** Throws FORBIDDEN. */
function requireHis(
  principal: Principal,
  query: Pick<Planning, 'asUser'> | null | undefined,
): void {
  if (query == null || mayTouch(principal, query.asUser)) return
  throw new RpcError('FORBIDDEN', "the query of this id is another user's")
}

const triedOf = (before: Query | null): Query['tried'] => {
  if (before === null || before.kind !== 'select') return []
  // What a worker has told the end of, or is done with, did not end it.
  return before.spot === null || !before.hasSlot ? before.tried : [...before.tried, before.spot]
}

const differs = (
  status: QueryStatus,
  seen: { state: string; attempt: number; worker: string | null },
): boolean =>
  status.state !== seen.state ||
  status.attempt !== seen.attempt ||
  status.worker !== seen.worker ||
  status.state === 'succeeded' ||
  status.state === 'failed' ||
  status.state === 'killed'

/**
 * For good: its client, which came for the result when the worker had forgotten it, is told why. One that succeeded, or
 * whose result got lost, is run again.
 */
const hasFailed = ({ stage, state, error }: Query): boolean =>
  stage === 'ended' && state !== 'succeeded' && error?.kind !== 'lost'

/** What the user has to know of it; null: it is none of his doing. Throws NOT_ACTIVE when the term is over. */
function userError(thrown: unknown): QueryError | null {
  if (thrown instanceof SqlError) {
    const { message, place } = thrown
    return { message, place: place === null ? null : { ...place }, kind: 'user' }
  }
  if (isTermOver(thrown)) throw new RpcError('NOT_ACTIVE', thrown.message)
  return null
}
