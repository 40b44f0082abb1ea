/**
 * What becomes of queries whose worker is gone, or can't go on: not heard of for too long, started anew, ended, stuck in a
 * mount that hangs, or not back with what an earlier term gave it. Nobody will ever know how far such a query got, so a
 * read is lost, which its client is told; a change runs again elsewhere where something else than itself explains the
 * death of its worker (deaths.ts), once.
 *
 * Nothing runs again for a client that is gone: a read, since its client asks for that itself, and a change, whose client
 * asks each second how it stands.
 *
 * A query stays where it is while a death is looked into: should its worker be back before that is decided, nothing has
 * happened.
 */
import type { Log } from '../../../base/log.ts'
import type { QueryError, WorkerInfo } from '../../../contract/index.ts'
import type { Handlers } from '../../../serve/index.ts'
import type { CatalogPort } from '../catalog/catalog-service.ts'
import type { Deaths } from './deaths.ts'
import type { QueryList } from './list.ts'
import { changesData, isBackground, type Query } from './query.ts'
import type { Settler } from './settle.ts'
import type { WorkerCalls } from './worker-calls.ts'
import type { Worker, WorkerTable } from './worker-table.ts'
import { givenUp } from './write-end.ts'

interface LossesOptions {
  readonly list: QueryList
  readonly workers: WorkerTable
  readonly catalog: CatalogPort
  readonly settler: Settler
  readonly calls: WorkerCalls
  readonly deaths: Deaths
  readonly awakeMs: () => number
  /** When it last began to serve again, in the same time. */
  readonly anewMs: () => number
  readonly wallMs: () => number
  readonly log: Log
}

type Ended = Parameters<Handlers<'tracker'>['ended']>[0]

/** An earlier term's query whose worker has not come back by then is lost. */
const EXPECT_MS = 10_000
/** A client that has not asked for so long is gone: it may have had to look for this master. */
const CLIENT_MS = 10_000
/** Of a read it may have told the last active master the end, and that one nobody any more. */
const NOT_THERE = 'does not run it any more'
const NOT_BACK = 'did not come back after the change of masters'

export class Losses {
  readonly #options: LossesOptions
  /** Changes whose worker's death is looked into. */
  readonly #doubtful = new Set<Query>()

  constructor(options: LossesOptions) {
    this.#options = options
  }

  /** A worker that has told what it runs has not told of this one. */
  unnamed(query: Query, { workerId, incarnation }: WorkerInfo, before: Worker | null): void {
    const { list, awakeMs } = this.#options
    if (query.stage !== 'running' && query.stage !== 'expected') return
    if (query.spot?.incarnation !== incarnation) {
      const worker = before?.info.incarnation === query.spot?.incarnation ? before : null
      this.#gone(query, worker, 'was started anew')
    } else if (query.task === null) this.lost(query, `worker ${workerId} ${NOT_THERE}`)
    // It may have taken it from this master while its list was on the way: its next report tells.
    else list.missed(query, awakeMs())
  }

  /** The process of a worker is gone for sure. */
  ended(request: Ended): void {
    const { deaths, list, workers, log } = this.#options
    const { workerId, incarnation, code } = request
    log('warn', `worker ${workerId} has ended: exit code ${code}`, { event: 'worker-ended' })
    deaths.told(request)
    const worker = workers.takeOut(workerId, incarnation)
    if (worker !== null) this.#bury(worker)
    // An earlier master's, for which it would be waited longer.
    for (const query of list.onWorker(workerId)) {
      const isIts = query.spot?.incarnation === incarnation && query.stage === 'expected'
      if (isIts) this.#gone(query, worker, NOT_BACK)
    }
  }

  /** To be called regularly: who was not heard of for too long is lost, with what it ran. */
  look(): void {
    const { workers, awakeMs, anewMs, log } = this.#options
    for (const worker of workers.takeLost(awakeMs())) {
      log('warn', `worker ${worker.info.workerId} is lost: not heard of for too long`, {
        event: 'worker-lost',
      })
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
    const { list, catalog, calls } = this.#options
    for (const query of list.onWorker(info.workerId)) {
      const { queryId, attempt, stage, hasSlot } = query
      const runs = hasSlot && (stage === 'running' || stage === 'expected')
      if (!runs || this.#doubtful.has(query)) continue
      const why = `worker ${info.workerId} can't go on: ${storage}`
      const moves = changesData(query) && !isBackground(query)
      if (!moves || givenUp(catalog.state(), queryId) > 0) this.lost(query, why)
      else this.moved(query, why)
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
    const { list, catalog, deaths, awakeMs } = this.#options
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
      else this.moved(query, why)
    })
  }

  /** A change runs again on another worker, if somebody still waits for it. */
  moved(query: Query, why: string): void {
    const { settler, awakeMs } = this.#options
    const isAwaited = awakeMs() - query.awaitedMs <= CLIENT_MS
    // What an earlier master began nobody here can plan: only its client can begin it again.
    if (isAwaited || query.task === null) settler.moved(query, why)
    else this.lost(query, `${why}, and its client is gone, so no other one is given it`)
  }

  /** Its worker is gone and nobody will ever know how far it got. */
  lost(query: Query, why: string): void {
    const { list, settler, wallMs } = this.#options
    const error = lostError(query, why)
    if (changesData(query)) settler.failed(query, error)
    else list.end(query, { state: 'failed', error }, wallMs())
  }

  *#expected(): Iterable<Query> {
    for (const query of this.#options.list.unended()) if (query.stage === 'expected') yield query
  }
}

/** With what it means for the data, and what to do. */
export const lostError = (query: Query, why: string): QueryError => ({
  message: `${why}${changesData(query) ? '; nothing was changed' : ''}; submit it again`,
  place: null,
  kind: 'lost',
})
