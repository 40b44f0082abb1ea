/**
 * Gives queries to workers: in turns among the users (queue.ts), each to the worker with the most free slots. What nobody
 * asked for (joining files) gets a slot only while no query waits for one, and gives it back when one does, until it has
 * been held up for so long that it takes its turn like a query (compactor.ts).
 * A large result that nobody reads loses its slot when a query waits for one: its client may be gone, or mean no good.
 *
 * A `run` whose answer was lost is asked again at the same worker, which knows the query by its id; meanwhile its report
 * may tell. It goes to another worker only when this one has surely not taken it. When nobody can find out, it is lost.
 */
import { type Clock, pause } from '../../../base/time.ts'
import type { WorkerInfo } from '../../../contract/index.ts'
import { unreachable } from '../../../ha/index.ts'
import type { QueryList } from './list.ts'
import { givesWay, type Query, type Spot } from './query.ts'
import type { RunAnswer, WorkerCalls } from './worker-calls.ts'
import type { WorkerTable } from './worker-table.ts'

interface SchedulerOptions {
  readonly list: QueryList
  readonly workers: WorkerTable
  readonly calls: WorkerCalls
  readonly clock: Clock
  /** Waking time, for the worker table. */
  readonly awakeMs: () => number
  readonly wallMs: () => number
  /** Aborts with the term. */
  readonly signal: AbortSignal
  /** Nobody knows whether it runs. */
  readonly onLost: (query: Query, why: string) => void
  /** A query waits for the slot of this one, which is to end. */
  readonly onGivesWay: (query: Query) => void
  /** The same of one whose result is not read. */
  readonly onUnread: (query: Query) => void
  /** No worker can run it. */
  readonly onImpossible: (query: Query, why: string) => void
}

/** A result is read by then, where others wait: one that nobody has begun to read, and one whose reader stands still. */
const BEGIN_MS = 5000
const STALL_MS = 30_000
const TRIES = 4
const BETWEEN_TRIES_MS = 250

export const spotOf = ({ workerId, incarnation, addresses, network }: WorkerInfo): Spot => ({
  workerId,
  incarnation,
  clientRpc: addresses.clientRpc,
  network,
})

/** A worker that can't be reached any more may be doing what it was asked before. */
const doubted = (said: RunAnswer): RunAnswer =>
  said.is === 'refused' && !said.reached ? { is: 'unsure', why: said.why } : said

const isUnread = ({ stage, rows, unreadMs }: Query): boolean =>
  stage === 'running' && unreadMs >= ((rows ?? 0) > 0 ? STALL_MS : BEGIN_MS)

export class Scheduler {
  readonly #options: SchedulerOptions

  constructor(options: SchedulerOptions) {
    this.#options = options
  }

  /** To be called whenever a query waits anew or a worker may have something free. */
  kick(): void {
    const { list, signal } = this.#options
    while (list.takeable > 0 && !signal.aborted) {
      if (!this.#give(() => list.takeNext())) {
        this.#makeRoom()
        return
      }
    }
    while (list.behindLength > 0 && !signal.aborted) {
      if (!this.#give(() => list.takeBehind())) return
    }
  }

  /** False: no worker has a free slot. */
  #give(take: () => Query | null): boolean {
    const { list, workers, clock, awakeMs } = this.#options
    const worker = workers.choose()
    const query = worker === null ? null : take()
    if (worker === null || query === null) return false
    list.assign(query, spotOf(worker.info), clock.nowMs())
    workers.took(worker, awakeMs())
    void this.#dispatch(query, worker.info)
    return true
  }

  /**
   * Ends as many as wait, of those that nobody asked for, and then of those that nobody reads. What is on its way out leaves
   * its slot anyway.
   */
  #makeRoom(): void {
    const { list, onGivesWay, onUnread } = this.#options
    let wanted = list.takeable
    const unread: Query[] = []
    for (const query of list.unended()) {
      if (wanted === 0) return
      if (!query.hasSlot) continue
      if (isUnread(query)) unread.push(query)
      if (!givesWay(query)) continue
      wanted -= 1
      if (query.stage === 'running' || query.stage === 'dispatching') onGivesWay(query)
    }
    unread.sort((a, b) => b.unreadMs - a.unreadMs)
    for (const query of unread.slice(0, wanted)) onUnread(query)
  }

  async #dispatch(query: Query, info: WorkerInfo): Promise<void> {
    const { calls, clock } = this.#options
    const { task } = query
    if (task === null) throw new Error(`query ${query.queryId} has nothing to run`)
    let perhapsTaken = false
    for (let tries = 1; ; tries += 1) {
      const said = await calls.run(info, task)
      if (this.#isOver(query, info)) return
      const answer = perhapsTaken ? doubted(said) : said
      if (answer.is !== 'unsure' || tries === TRIES) {
        this.#answered(query, info, answer)
        return
      }
      perhapsTaken = true
      await pause(clock, BETWEEN_TRIES_MS)
      if (this.#isOver(query, info)) return
    }
  }

  /** Reported, killed, lost meanwhile, or the term is over. */
  #isOver(query: Query, { workerId }: WorkerInfo): boolean {
    const { signal } = this.#options
    return signal.aborted || query.stage !== 'dispatching' || query.spot?.workerId !== workerId
  }

  #answered(query: Query, info: WorkerInfo, answer: RunAnswer): void {
    const { list, workers, clock, wallMs, onLost, onImpossible } = this.#options
    switch (answer.is) {
      case 'accepted':
        list.runs(query, spotOf(info), wallMs(), clock.nowMs())
        return
      case 'refused':
        list.giveBack(query, clock.nowMs())
        workers.isFull(info.workerId)
        this.kick()
        return
      case 'stranger':
        list.giveBack(query, clock.nowMs())
        workers.bar(info.workerId, info.incarnation, answer.why)
        this.kick()
        return
      case 'impossible':
        onImpossible(query, `${info.workerId}: ${answer.why}`)
        return
      case 'unsure':
        onLost(query, `${info.workerId}: ${answer.why}`)
        return
      default:
        unreachable(answer)
    }
  }
}
