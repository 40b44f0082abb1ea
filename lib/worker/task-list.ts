/**
 * The tasks of this worker: what runs, and what has ended and no master has taken note of yet. A query is here at most
 * once, with its newest attempt; to be told of one twice changes nothing.
 *
 * What a worker tells of its tasks goes in one message, a report or a registration, and a master refuses one of more
 * than 64 MB (lib/serve, server.ts): a worker whose message is longer could not report at all, would be lost with all that
 * it runs, and so would the next one that gets the same query. So all that grows has its bound here, in characters, each
 * of which is three bytes at most, and the sum of them has room below those 64 MB:
 *
 * - tasks, of which a registration has them all: `TASK_CHARS`; what does not fit is not taken;
 * - errors have `ERROR_CHARS` each, for a thousand reports at most;
 * - manifests: `MANIFEST_CHARS` and `MANIFEST_FILES` for all of a message together, since a master reads them in one piece;
 *   what has no room is told of only, and the master fetches it (`worker.manifest`).
 */
import type { Clock } from '../base/time.ts'
import type { Task, TaskReport } from '../contract/index.ts'
import { RpcError } from '../rpc/index.ts'
import type { RunningQuery } from './running-query.ts'

/** As JSON, of all that run or have ended and are still to be told. */
export const TASK_CHARS = 12 * 1024 * 1024
const ERROR_CHARS = 4000
export const MANIFEST_FILES = 1000
const MANIFEST_CHARS = 256 * 1024

/** An engine's error may quote the whole value that it could not convert. */
export const cutError = (message: string): string =>
  message.length > ERROR_CHARS ? `${message.slice(0, ERROR_CHARS)}…` : message

/** It is the room of one message. */
export class MessageRoom {
  #files = MANIFEST_FILES
  #chars = MANIFEST_CHARS

  /** Whether a manifest has a place in it, which is taken then. */
  take({ files, chars }: { readonly files: number; readonly chars: number }): boolean {
    if (files > this.#files || chars > this.#chars) return false
    this.#files -= files
    this.#chars -= chars
    return true
  }
}

interface TaskListOptions {
  readonly slots: number
  /** A query may run so long; 0: as long as it takes. What joins files in the background is not meant. */
  readonly maxRunMs: number
  readonly clock: Clock
  readonly start: (task: Task) => RunningQuery
  /** Something began or ended: the master should hear of it. */
  readonly onChange: () => void
}

interface Acceptance {
  readonly accepted: boolean
  readonly why: string | null
}

/** Should no master come for them: beyond it the oldest are forgotten. */
const MOST_ENDED = 1000

const ACCEPTED: Acceptance = { accepted: true, why: null }

export class TaskList {
  readonly #options: TaskListOptions
  readonly #queries = new Map<string, RunningQuery>()
  /** How long each of their tasks is in a registration. */
  readonly #chars = new WeakMap<Task, number>()
  /** Nobody asks for them any more, but they have not ended yet. */
  readonly #abandoned = new Set<RunningQuery>()
  #stopping = false

  constructor(options: TaskListOptions) {
    this.#options = options
  }

  get freeSlots(): number {
    if (this.#stopping) return 0
    const held = [...this.#queries.values()].filter((query) => query.holdsSlot)
    return Math.max(0, this.#options.slots - held.length - this.#abandoned.size)
  }

  get running(): number {
    const running = [...this.#queries.values()].filter((query) => query.running)
    return running.length + this.#abandoned.size
  }

  /** What runs, and what is still to be told. */
  get size(): number {
    return this.#queries.size + this.#abandoned.size
  }

  /** Throws RpcError BAD_REQUEST for a task that no worker can take. */
  run(task: Task): Acceptance {
    const known = this.#queries.get(task.queryId)
    if (known !== undefined && known.task.attempt === task.attempt) return ACCEPTED
    if (known !== undefined && known.task.attempt > task.attempt) {
      return { accepted: false, why: `attempt ${known.task.attempt} has replaced it` }
    }
    if (this.#stopping) return { accepted: false, why: 'this worker is being stopped' }
    if (this.freeSlots === 0) return { accepted: false, why: 'no free slot' }
    if (!this.#fits(task)) return { accepted: false, why: 'what it has to tell of fills a message' }
    if (known !== undefined) this.#abandon(known, 'a newer attempt has replaced it')
    const query = this.#options.start(task)
    this.#queries.delete(task.queryId)
    this.#queries.set(task.queryId, query)
    this.#limit(query)
    void query.ended.then(() => {
      this.#trim()
      this.#options.onChange()
    })
    this.#options.onChange()
    return ACCEPTED
  }

  find(queryId: string, attempt: number): RunningQuery | null {
    const query = this.#queries.get(queryId)
    return query?.task.attempt === attempt ? query : null
  }

  /** Where `attempt` is given no later attempt is killed. */
  kill(queryId: string, attempt: number | undefined, why: string): void {
    const query = this.#queries.get(queryId)
    if (attempt === undefined || (query?.task.attempt ?? 0) <= attempt) query?.kill(why)
  }

  /** They are for one message, like `reports`. */
  tasks(): { task: Task; report: TaskReport }[] {
    const room = new MessageRoom()
    return [...this.#queries.values()].map((query) => ({
      task: query.task,
      report: query.report(room),
    }))
  }

  reports(): TaskReport[] {
    const room = new MessageRoom()
    return [...this.#queries.values()].map((query) => query.report(room))
  }

  /**
   * What a master answered to these reports: ended ones it has taken note of, running ones it wants to end. An attempt
   * that began since then is not meant.
   */
  forget(queryIds: readonly string[], reports: readonly TaskReport[]): void {
    for (const report of reports) {
      if (!queryIds.includes(report.queryId)) continue
      const query = this.find(report.queryId, report.attempt)
      if (query === null) continue
      if (query.running) this.#abandon(query, 'the master does not know of it any more')
      // One that has ended since then is still to be reported.
      if (!query.running && report.state === 'running') continue
      this.#queries.delete(report.queryId)
    }
  }

  /** Of them all: whoever asked for them is gone. */
  forgetAll(): void {
    const reports = this.reports()
    this.forget(
      reports.map(({ queryId }) => queryId),
      reports,
    )
  }

  /** Ends all; resolves when all have ended. */
  async stop(): Promise<void> {
    this.#stopping = true
    const queries = [...this.#queries.values(), ...this.#abandoned]
    for (const query of queries) query.stop('the worker that ran it was stopped')
    await Promise.all(queries.map(({ ended }) => ended))
  }

  #limit(query: RunningQuery): void {
    const { maxRunMs, clock } = this.#options
    if (maxRunMs === 0 || query.task.compaction?.background === true) return
    const cancel = clock.after(maxRunMs, () => query.overran(maxRunMs))
    void query.ended.then(cancel)
  }

  /** Ends it without a report; until then it still counts. */
  #abandon(query: RunningQuery, why: string): void {
    if (!query.running) return
    this.#abandoned.add(query)
    query.kill(why)
    void query.ended.then(() => this.#abandoned.delete(query))
  }

  /** Whether it has a place in the next registration, beside all that is to be told there. */
  #fits(task: Task): boolean {
    const chars = this.#charsOf(task)
    if (chars > TASK_CHARS) {
      const text = `the task is ${chars} characters long, and may be ${TASK_CHARS}`
      throw new RpcError('BAD_REQUEST', text)
    }
    const others = [...this.#queries.values()].filter((one) => one.task.queryId !== task.queryId)
    return others.reduce((sum, one) => sum + this.#charsOf(one.task), chars) <= TASK_CHARS
  }

  #charsOf(task: Task): number {
    const known = this.#chars.get(task) ?? JSON.stringify(task).length
    this.#chars.set(task, known)
    return known
  }

  #trim(): void {
    const ended = [...this.#queries.values()].filter((query) => !query.running)
    for (const { task } of ended.slice(0, Math.max(0, ended.length - MOST_ENDED))) {
      this.#queries.delete(task.queryId)
    }
  }
}
