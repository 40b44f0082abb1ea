/**
 * The resource tracker: what workers tell. Each says once to every new active who it is and what it runs, then how that
 * goes; what this master had not known is adopted, what has ended is recorded and forgotten there, and what nobody
 * waits for any more is stopped. What a worker ran that is gone is lost, or, a change, runs again elsewhere (deaths.ts).
 */

import type { Log } from '../../../base/log.ts'
import type { Clock } from '../../../base/time.ts'
import type { QueryError, Task, TaskReport, WorkerInfo } from '../../../rpc/contract.ts'
import type { Handlers } from '../../../rpc/index.ts'
import type { LineWriter } from '../../../rpc/stream.ts'
import type { CatalogPort } from '../catalog/catalog-service.ts'
import type { Proof } from '../files/proof.ts'
import type { Deaths } from './deaths.ts'
import type { QueryList } from './list.ts'
import { Manifests } from './manifests.ts'
import { changesData, type EndState, isBackground, kindOf, type Query } from './query.ts'
import { type Scheduler, spotOf } from './scheduler.ts'
import type { Settler } from './settle.ts'
import type { WorkerCalls } from './worker-calls.ts'
import type { Worker, WorkerTable } from './worker-table.ts'
import { failuresOf, givenUp, isGivenUp, leftBy } from './write-end.ts'

export interface TrackerOptions {
  readonly epoch: number
  readonly list: QueryList
  readonly workers: WorkerTable
  readonly catalog: CatalogPort
  readonly scheduler: Scheduler
  readonly settler: Settler
  readonly calls: WorkerCalls
  readonly deaths: Deaths
  /** Null: nobody proves here that its directories are the cluster's. */
  readonly proof: Proof | null
  /** What an attempt wrote that nobody waits for any more. */
  readonly onOrphan: (directory: string) => void
  readonly clock: Clock
  readonly awakeMs: () => number
  /** When it last began to serve again, in the same time. */
  readonly anewMs: () => number
  readonly wallMs: () => number
  readonly log: Log
  /** Aborts with the term. */
  readonly signal: AbortSignal
}

type Method = 'register' | 'heartbeat' | 'prove' | 'ended'
type Requests = { readonly [M in Method]: Parameters<Handlers<'tracker'>[M]>[0] }
type Answers = { readonly [M in Method]: Awaited<ReturnType<Handlers<'tracker'>[M]>> }

/** An earlier term's query whose worker has not come back by then is lost. */
const EXPECT_MS = 10_000
/** Of a read it may have told the last active master the end, and that one nobody any more. */
const NOT_THERE = 'does not run it any more'
const NOT_BACK = 'did not come back after the change of masters'

export class TrackerService {
  readonly #options: TrackerOptions
  readonly #follows = new Set<LineWriter<{ epoch: number }>>()
  /** Changes whose worker's death is looked into. */
  readonly #doubtful = new Set<Query>()
  readonly #manifests: Manifests

  constructor(options: TrackerOptions) {
    const { settler } = options
    this.#options = options
    this.#manifests = new Manifests({
      ...options,
      onWhole: (query, manifest) => settler.succeeded(query, manifest),
      onStrange: (query, why) => this.lost(query, `worker ${query.spot?.workerId} ${why}`),
    })
  }

  register({
    worker,
    tasks,
    storage = null,
    spill = null,
    proven = null,
    oomKills = null,
  }: Requests['register']): Answers['register'] {
    const { epoch, list, workers, scheduler, awakeMs, log } = this.#options
    const before = workers.get(worker.workerId)
    workers.register(worker, awakeMs())
    if (before?.info.incarnation !== worker.incarnation) {
      log('info', `worker ${worker.workerId} has registered`, {
        slots: worker.slots,
        host: worker.host,
        tasks: tasks.length,
      })
    }
    const has = new Set<string>()
    const forget: string[] = []
    // Those that hold a table first: others that are done have to wait for them.
    const inOrder = [...tasks].sort((a, b) => (b.task.overtaken ?? 0) - (a.task.overtaken ?? 0))
    for (const { task, report } of inOrder) {
      has.add(task.queryId)
      if (this.#adopt(worker, task, report) === 'keep') continue
      forget.push(task.queryId)
      this.#leave(task)
    }
    for (const query of list.onWorker(worker.workerId)) {
      if (!has.has(query.queryId)) this.#unnamed(query, worker, before)
    }
    const now = workers.register(worker, awakeMs())
    workers.noteStorage(now, storage, awakeMs())
    now.spill = spill
    workers.noteProven(now, this.#isProven(proven), awakeMs())
    now.oomKills = oomKills
    scheduler.kick()
    return { epoch, forget }
  }

  /** A worker that has told what it runs has not told of this one. */
  #unnamed(query: Query, { workerId, incarnation }: WorkerInfo, before: Worker | null): void {
    const { list, awakeMs } = this.#options
    if (query.stage !== 'running' && query.stage !== 'expected') return
    if (query.spot?.incarnation !== incarnation) {
      const worker = before?.info.incarnation === query.spot?.incarnation ? before : null
      this.#gone(query, worker, 'was started anew')
    } else if (query.task === null) this.lost(query, `worker ${workerId} ${NOT_THERE}`)
    // It may have taken it from this master while its list was on the way: its next report tells.
    else list.missed(query, awakeMs())
  }

  heartbeat({
    workerId,
    incarnation,
    freeSlots,
    reports,
    storage = null,
    spill = null,
    proven = null,
    oomKills = null,
  }: Requests['heartbeat']): Answers['heartbeat'] {
    const { epoch, workers, scheduler, awakeMs } = this.#options
    const worker = workers.heard(workerId, incarnation, freeSlots, awakeMs())
    if (worker === null) return { epoch, known: false, forget: [] }
    if (storage !== worker.storage) this.#noteStorage(worker, storage)
    worker.spill = spill
    workers.noteProven(worker, this.#isProven(proven), awakeMs())
    worker.oomKills = oomKills
    const forget: string[] = []
    let known = true
    for (const report of reports) {
      const verdict = this.#hear(worker.info, report)
      if (verdict === 'forget') forget.push(report.queryId)
      if (verdict === 'unknown') known = false
    }
    scheduler.kick()
    return { epoch, known, forget }
  }

  /** What one finds that proves nothing, of an earlier version, is seen at the end of its writes only. */
  #isProven(nonces: readonly string[] | null): boolean {
    return nonces === null || (this.#options.proof?.isProven(nonces) ?? true)
  }

  /** Are its directories ours? (proof.ts) */
  async prove({ incarnation, made }: Requests['prove']): Promise<Answers['prove']> {
    const { proof } = this.#options
    if (proof === null) return { host: '', places: [], found: [] }
    const places = await proof.places()
    const found = made.map(async ({ key, nonce }) => ({
      nonce,
      check: await proof.check(key, nonce, incarnation),
    }))
    return { host: proof.host, places, found: await Promise.all(found) }
  }

  #noteStorage(worker: Worker, storage: string | null): void {
    const { workers, awakeMs } = this.#options
    workers.noteStorage(worker, storage, awakeMs())
    const { workerId, host } = worker.info
    const what = storage === null ? 'its storage answers again' : `it gets no queries: ${storage}`
    this.#options.log('warn', `worker ${workerId} on ${host}: ${what}`)
  }

  /** Its process is gone for sure. */
  ended(request: Requests['ended']): Answers['ended'] {
    const { deaths, list, workers, log } = this.#options
    const { workerId, incarnation, code } = request
    log('warn', `worker ${workerId} has ended: exit code ${code}`)
    deaths.told(request)
    const worker = workers.takeOut(workerId, incarnation)
    if (worker !== null) this.#bury(worker)
    // An earlier master's, for which it would be waited longer.
    for (const query of list.onWorker(workerId)) {
      const isIts = query.spot?.incarnation === incarnation && query.stage === 'expected'
      if (isIts) this.#gone(query, worker, NOT_BACK)
    }
    return {}
  }

  follow(
    { workerId, incarnation }: { workerId: string; incarnation: string },
    writer: LineWriter<{ epoch: number }>,
  ): void {
    const { epoch, workers, scheduler, awakeMs } = this.#options
    this.#follows.add(writer)
    workers.follows(workerId, incarnation, 1, awakeMs())
    writer.onClose(() => {
      this.#follows.delete(writer)
      workers.follows(workerId, incarnation, -1, awakeMs())
    })
    writer.send({ epoch })
    scheduler.kick()
  }

  /** Should it be the one that a table names after all, the sweeper sees that. */
  #leave(task: Task): void {
    const { catalog, onOrphan } = this.#options
    const isOver = catalog.state().outcome(task.queryId) !== null
    // Until then another worker may write the same query's table.
    for (const path of isOver ? leftBy(task) : [task.write?.directory]) {
      if (path !== undefined) onOrphan(path)
    }
  }

  /** To be called regularly: who was not heard of for too long is lost, with what it ran. */
  look(): void {
    const { workers, awakeMs, anewMs, log } = this.#options
    for (const worker of workers.takeLost(awakeMs())) {
      log('warn', `worker ${worker.info.workerId} is lost: not heard of for too long`)
      this.#bury(worker)
    }
    for (const worker of workers.stuck(awakeMs())) this.#leaveStuck(worker)
    for (const query of this.#expected()) {
      if (this.#doubtful.has(query)) continue
      if (awakeMs() - Math.max(query.sinceMs, anewMs()) < EXPECT_MS) continue
      if (query.task === null) this.#gone(query, null, NOT_BACK)
      else this.lost(query, `worker ${query.spot?.workerId} ${NOT_THERE}`)
    }
  }

  /** It lives, and what it runs there hangs with its mount. */
  #leaveStuck({ info, storage }: Worker): void {
    const { list, catalog, settler, calls } = this.#options
    for (const query of list.onWorker(info.workerId)) {
      const { queryId, attempt, stage, hasSlot } = query
      const runs = hasSlot && (stage === 'running' || stage === 'expected')
      if (!runs || this.#doubtful.has(query)) continue
      const why = `worker ${info.workerId} can't go on: ${storage}`
      const moves = changesData(query) && !isBackground(query)
      if (!moves || givenUp(catalog.state(), queryId) > 0) this.lost(query, why)
      else settler.moved(query, why)
      void calls.kill(info, { queryId, attempt })
    }
  }

  #bury(worker: Worker): void {
    const { list, calls, deaths } = this.#options
    const { info } = worker
    deaths.left(worker)
    calls.drop(info)
    for (const query of list.onWorker(info.workerId)) {
      if (query.spot?.incarnation === info.incarnation) this.#gone(query, worker, 'is lost')
    }
  }

  /** A master can't find out whether the worker that it gave it to has taken it. */
  unsure(query: Query, why: string): void {
    const { workers } = this.#options
    const worker = query.spot === null ? null : workers.get(query.spot.workerId)
    this.#gone(query, worker, `may run it or not: ${why}`)
  }

  /**
   * Its worker is gone, and nobody will ever know how far it got. A change moves, once, where something else explains
   * that. Should its worker be back before this is decided, nothing has happened.
   */
  #gone(query: Query, worker: Worker | null, what: string): void {
    const { list, catalog, settler, deaths, awakeMs } = this.#options
    const { spot, attempt, queryId } = query
    // What nobody asked for is planned anew in its own time.
    if (spot === null || !changesData(query) || isBackground(query)) {
      this.lost(query, `worker ${spot?.workerId} ${what}`)
      return
    }
    list.missed(query, awakeMs())
    if (query.stage !== 'expected' || this.#doubtful.has(query)) return
    this.#doubtful.add(query)
    void deaths.of({ spot, worker }).then((death) => {
      this.#doubtful.delete(query)
      // It is back, was killed meanwhile, or this term is over.
      if (query.stage !== 'expected' || query.attempt !== attempt) return
      const why = `worker ${spot.workerId} ${death.why}`
      const before = givenUp(catalog.state(), queryId)
      if (!death.explained) this.lost(query, why)
      else if (before > 0) this.lost(query, `${why}, as did that of attempt ${before}`)
      else settler.moved(query, why)
    })
  }

  /** Its worker is gone and nobody will ever know how far it got. */
  lost(query: Query, why: string): void {
    const { list, settler, wallMs } = this.#options
    const error = lostError(query, why)
    if (changesData(query)) settler.failed(query, error)
    else list.end(query, { state: 'failed', error }, wallMs())
  }

  /** The term is over: workers look for the next active at once. */
  close(): void {
    for (const writer of [...this.#follows]) writer.end()
  }

  *#expected(): Iterable<Query> {
    for (const query of this.#options.list.unended()) if (query.stage === 'expected') yield query
  }

  #adopt(info: WorkerInfo, task: Task, report: TaskReport): 'keep' | 'forget' {
    const { list, catalog, clock } = this.#options
    // Its next attempt runs, or will, wherever this one was all the time.
    if (isGivenUp(catalog.state(), task.queryId, task.attempt)) return 'forget'
    const query = list.get(task.queryId)
    if (query === null || isNewer(query, report) || isBack(query, report)) {
      if (catalog.state().outcome(task.queryId) !== null) return 'forget'
      if (query !== null) this.lost(query, 'a later attempt runs')
      const kind = kindOf(task)
      const { queryId, attempt, sql, session, submittedMs } = task
      const { user, database } = session
      const failures = failuresOf(catalog.state(), queryId)
      const begun = { queryId, attempt, sql, user, database, kind, submittedMs, failures } as const
      const fresh = { ...begun, task }
      list.runs(list.add(fresh, clock.nowMs()), spotOf(info), report.startedMs, clock.nowMs())
    } else if (
      query.attempt <= report.attempt &&
      query.task === null &&
      query.stage === 'expected'
    ) {
      list.adopt(query, task)
    } else if (query.stage === 'queued' && query.attempt <= report.attempt) {
      // Its client submitted it again before its worker was back. What runs already wins.
      list.adopt(query, task)
      list.runs(query, spotOf(info), report.startedMs, clock.nowMs())
    }
    return this.#hear(info, report) === 'keep' ? 'keep' : 'forget'
  }

  #hear(info: WorkerInfo, report: TaskReport): 'keep' | 'forget' | 'unknown' {
    const { list, catalog, clock } = this.#options
    const query = list.get(report.queryId)
    if (query === null) {
      const isOver = catalog.state().outcome(report.queryId) !== null
      return isOver ? 'forget' : 'unknown'
    }
    if (query.stage === 'ended' || query.attempt !== report.attempt) return 'forget'
    if (query.stage === 'queued' || query.spot?.workerId !== info.workerId) return 'forget'
    if (query.stage === 'expected' && query.task === null && changesData(query)) return 'unknown'
    list.progress(query, report)
    if (report.state === 'running') {
      list.runs(query, spotOf(info), report.startedMs, clock.nowMs())
      return 'keep'
    }
    this.#ended(query, info, report)
    // A write is forgotten when its end is in the catalog.
    return (query as Query).stage === 'ended' ? 'forget' : 'keep'
  }

  #ended(query: Query, info: WorkerInfo, report: TaskReport): void {
    const { list, catalog, settler, clock, wallMs } = this.#options
    const { state: said, manifest, paged } = report
    if (changesData(query) && said === 'succeeded' && manifest === null && paged !== undefined) {
      // Its worker is back, and has it: what is waited for now are the pages.
      list.runs(query, spotOf(info), report.startedMs, clock.nowMs())
      list.leavesSlot(query)
      this.#manifests.fetch(query, info, paged)
      return
    }
    list.leavesSlot(query)
    const state: EndState = report.state === 'killed' ? 'killed' : 'failed'
    const error: QueryError = report.error ?? {
      message: state === 'killed' ? 'it was killed' : 'its worker gave no reason',
      place: null,
      kind: state === 'killed' ? 'killed' : 'internal',
    }
    if (changesData(query)) {
      if (report.state === 'succeeded' && report.manifest !== null) {
        settler.succeeded(query, report.manifest)
      } else {
        // Such as that its catalog was out of reach.
        const isLost = error.kind === 'lost'
        const moves = isLost && report.stopped === true && !isBackground(query)
        if (moves && givenUp(catalog.state(), query.queryId) === 0) {
          settler.moved(query, `worker ${query.spot?.workerId} was stopped`)
        } else settler.failed(query, isLost ? lostError(query, error.message) : error, state)
      }
      return
    }
    const { rows } = report
    const succeeded = report.state === 'succeeded'
    list.end(query, succeeded ? { state: 'succeeded', rows } : { state, error }, wallMs())
  }
}

/** With what it means for the data, and what to do. */
const lostError = (query: Query, why: string): QueryError => ({
  message: `${why}${changesData(query) ? '; nothing was changed' : ''}; submit it again`,
  place: null,
  kind: 'lost',
})

/** Only a read has later attempts. */
const isNewer = (query: Query, report: TaskReport): boolean =>
  query.attempt < report.attempt && query.kind === 'select'

/** A read that was taken for lost, and whose client may have read on from the worker all the time. */
const isBack = ({ kind, stage, error, attempt }: Query, report: TaskReport): boolean =>
  kind === 'select' && stage === 'ended' && error?.kind === 'lost' && attempt === report.attempt
