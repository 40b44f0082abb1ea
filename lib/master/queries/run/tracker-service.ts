/**
 * The resource tracker hears what workers tell. Each says once to every new active who it is and what it runs, then how
 * that goes; what this master had not known is adopted, what has ended is recorded and forgotten there, and what nobody
 * waits for any more is stopped. What a worker ran that is gone is another matter (losses.ts).
 */
import type { Log } from '../../../base/log.ts'
import type { Clock } from '../../../base/time.ts'
import type { QueryError, Task, TaskReport, WorkerInfo } from '../../../contract/index.ts'
import type { LineWriter } from '../../../rpc/index.ts'
import type { Handlers } from '../../../serve/index.ts'
import type { CatalogPort } from '../catalog/catalog-service.ts'
import type { Proof } from '../files/proof.ts'
import type { QueryList } from './list.ts'
import { type Losses, lostError } from './losses.ts'
import { Manifests } from './manifests.ts'
import { changesData, type EndState, isBackground, kindOf, type Query } from './query.ts'
import { type Scheduler, spotOf } from './scheduler.ts'
import type { Settler } from './settle.ts'
import type { WorkerCalls } from './worker-calls.ts'
import type { Worker, WorkerTable } from './worker-table.ts'
import { failuresOf, givenUp, isGivenUp, leftBy } from './write-end.ts'

interface TrackerOptions {
  readonly term: number
  readonly list: QueryList
  readonly workers: WorkerTable
  readonly catalog: CatalogPort
  readonly scheduler: Scheduler
  readonly settler: Settler
  readonly calls: WorkerCalls
  readonly losses: Losses
  /** Null: nobody proves here that its directories are the cluster's. */
  readonly proof: Proof | null
  /** What an attempt wrote that nobody waits for any more. */
  readonly onOrphan: (directory: string) => void
  readonly clock: Clock
  readonly awakeMs: () => number
  readonly wallMs: () => number
  readonly log: Log
  /** Aborts with the term. */
  readonly signal: AbortSignal
}

type Method = 'register' | 'heartbeat' | 'prove' | 'ended'
type Requests = { readonly [M in Method]: Parameters<Handlers<'tracker'>[M]>[0] }
type Answers = { readonly [M in Method]: Awaited<ReturnType<Handlers<'tracker'>[M]>> }

export class TrackerService {
  readonly #options: TrackerOptions
  readonly #follows = new Set<LineWriter<{ epoch: number }>>()
  readonly #manifests: Manifests

  constructor(options: TrackerOptions) {
    const { losses, settler } = options
    this.#options = options
    this.#manifests = new Manifests({
      ...options,
      onWhole: (query, manifest) => settler.succeeded(query, manifest),
      onStrange: (query, why) => losses.lost(query, `worker ${query.spot?.workerId} ${why}`),
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
    const { term, list, workers, scheduler, losses, awakeMs, log } = this.#options
    const before = workers.get(worker.workerId)
    workers.register(worker, awakeMs())
    if (before?.info.incarnation !== worker.incarnation) {
      log('info', `worker ${worker.workerId} has registered`, {
        event: 'worker-registered',
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
      if (!has.has(query.queryId)) losses.unnamed(query, worker, before)
    }
    const now = workers.register(worker, awakeMs())
    workers.noteStorage(now, storage, awakeMs())
    now.spill = spill
    workers.noteProven(now, this.#isProven(proven), awakeMs())
    now.oomKills = oomKills
    scheduler.kick()
    return { epoch: term, forget }
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
    const { term, workers, scheduler, awakeMs } = this.#options
    const worker = workers.heard(workerId, incarnation, freeSlots, awakeMs())
    if (worker === null) return { epoch: term, known: false, forget: [] }
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
    return { epoch: term, known, forget, barred: worker.barred }
  }

  /** What one finds that proves nothing, of an earlier version, is seen at the end of its writes only. */
  #isProven(nonces: readonly string[] | null): boolean {
    return nonces === null || (this.#options.proof?.isProven(nonces) ?? true)
  }

  /** Are its directories ours? See proof.ts. */
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
    this.#options.log('warn', `worker ${workerId} on ${host}: ${what}`, {
      event: storage === null ? 'worker-storage-back' : 'worker-storage-lost',
    })
  }

  /** Its process is gone for sure. */
  ended(request: Requests['ended']): Answers['ended'] {
    this.#options.losses.ended(request)
    return {}
  }

  follow(
    { workerId, incarnation }: { workerId: string; incarnation: string },
    writer: LineWriter<{ epoch: number }>,
  ): void {
    const { term, workers, scheduler, awakeMs } = this.#options
    this.#follows.add(writer)
    workers.follows(workerId, incarnation, 1, awakeMs())
    writer.onClose(() => {
      this.#follows.delete(writer)
      workers.follows(workerId, incarnation, -1, awakeMs())
    })
    writer.send({ epoch: term })
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

  /** The term is over: workers look for the next active at once. */
  close(): void {
    for (const writer of [...this.#follows]) writer.end()
  }

  #adopt(info: WorkerInfo, task: Task, report: TaskReport): 'keep' | 'forget' {
    const { list, catalog, losses, clock } = this.#options
    // Its next attempt runs, or will, wherever this one was all the time.
    if (isGivenUp(catalog.state(), task.queryId, task.attempt)) return 'forget'
    const query = list.get(task.queryId)
    if (query === null || isNewer(query, report) || isBack(query, report)) {
      if (catalog.state().outcome(task.queryId) !== null) return 'forget'
      if (query !== null) losses.lost(query, 'a later attempt runs')
      const kind = kindOf(task)
      const { queryId, attempt, sql, session, asUser, submittedMs } = task
      const { user, database } = session
      const failures = failuresOf(catalog.state(), queryId)
      const begun = { queryId, attempt, sql, user, asUser, database, kind, submittedMs, failures }
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
      if (report.computed === true) list.leavesSlot(query)
      return 'keep'
    }
    this.#ended(query, info, report)
    // A write is forgotten when its end is in the catalog.
    return (query as Query).stage === 'ended' ? 'forget' : 'keep'
  }

  #ended(query: Query, info: WorkerInfo, report: TaskReport): void {
    const { list, catalog, settler, losses, clock, wallMs } = this.#options
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
          losses.moved(query, `worker ${query.spot?.workerId} was stopped`)
        } else settler.failed(query, isLost ? lostError(query, error.message) : error, state)
      }
      return
    }
    const { rows } = report
    const succeeded = report.state === 'succeeded'
    list.end(query, succeeded ? { state: 'succeeded', rows } : { state, error }, wallMs())
  }
}

/** Only a read has later attempts. */
const isNewer = (query: Query, report: TaskReport): boolean =>
  query.attempt < report.attempt && query.kind === 'select'

/** A read that was taken for lost, and whose client may have read on from the worker all the time. */
const isBack = ({ kind, stage, error, attempt }: Query, report: TaskReport): boolean =>
  kind === 'select' && stage === 'ended' && error?.kind === 'lost' && attempt === report.attempt
