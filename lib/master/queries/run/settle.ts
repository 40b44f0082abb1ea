/**
 * Brings the ends of changes into the catalog before anybody is told: a write whose worker has finished, one that failed,
 * one whose worker is lost, one that was killed. However many of these come for one query, and in whatever order,
 * one transaction with its outcome is all there is (recorder.ts), and everybody is told what that says.
 *
 * A write that replaces what it has read, and was overtaken, is planned anew from the newest state; it holds its table
 * in its last run, and whoever else would change that table waits here (holds.ts). So is one whose worker died of
 * something else than the query (deaths.ts), once.
 */
import { join } from 'node:path/posix'
import { messageOf } from '../../../base/failures.ts'
import type { Log } from '../../../base/log.ts'
import { pause } from '../../../base/time.ts'
import type { CatalogState, DataFile } from '../../../catalog/index.ts'
import { CatalogError, isTermOver } from '../../../catalog/index.ts'
import type { QueryError, Task, WriteTarget } from '../../../contract/index.ts'
import { unreachable } from '../../../ha/index.ts'
import { SqlError } from '../../../sql/index.ts'
import type { QueryOptions } from '../options.ts'
import type { Steps } from '../statements/ddl.ts'
import type { Plan } from '../statements/plan.ts'
import { Held, heldUpBy, holderOf, MOST_OVERTAKEN } from './holds.ts'
import type { WholeManifest } from './manifests.ts'
import type { Query } from './query.ts'
import { FULL_PAUSE_MS, isRefusal, isUnkept, Recorder, type RecorderOptions } from './recorder.ts'
import type { Waiters } from './waiters.ts'
import { AlreadyEnded, givenUpOf, overtakenOf, stepsOutcome, successOf } from './write-end.ts'

interface SettlerOptions extends RecorderOptions {
  /** While this master may not serve it stands still. */
  readonly awakeMs: () => number
  readonly log: Log
  readonly lookFor: QueryOptions['lookFor']
  /** Why what this master sees where it was written is none of the cluster's; null when it is. Rejects where nobody can tell. */
  readonly whyNotOurs: (write: WriteTarget) => Promise<string | null>
  /** Carries out what a transaction has decided to publish; resolves when it is in place. */
  readonly publish: (queryId: string) => Promise<void>
  /** How many results were put in their place: files that were looked at before one more may have been moved. */
  readonly carriedOut: () => number
  /** The statement from the newest state, as that attempt. Rejects SqlError. */
  readonly planAgain: (task: Task, attempt: number) => Promise<Plan>
  /** A query has come back to the queue. */
  readonly onQueued: () => void
  /** What its client has to submit again is known no more. */
  readonly onDropped: (query: Query, why: string) => void
  readonly waiters: Waiters
  /** A change waits so long for a query that holds its table. */
  readonly writeWaitMs: number
}

const LOOKS_AT_ONCE = 4

/** A change of the catalog, and `Settler.asOf` before the file system was looked at for it. */
export interface PlannedChange {
  readonly build: (state: CatalogState) => Steps
  readonly asOf: number
}

/** A publication was carried out meanwhile. */
class Moved extends Error {}

export class Settler {
  readonly #options: SettlerOptions
  readonly #recorder: Recorder
  readonly #pending = new Set<Promise<void>>()
  /** Since when they wait for their turn, also where it is for one holder after another. */
  readonly #waitingSinceMs = new WeakMap<Query, number>()

  constructor(options: SettlerOptions) {
    this.#options = options
    this.#recorder = new Recorder(options)
  }

  /** Resolves when everything that was under way is done. What waits for its turn is the next active's, if need be. */
  async idle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending)
  }

  /** Its worker has written everything. */
  succeeded(query: Query, manifest: WholeManifest): void {
    // It was told before.
    if (query.stage !== 'waiting') this.#apply(query, manifest)
  }

  #apply(query: Query, manifest: WholeManifest): void {
    this.#run(query, async () => {
      const { publish } = this.#options
      const { task } = query
      if (task === null) throw new Error(`nobody knows what query ${query.queryId} wrote`)
      const { asOf } = this
      const gone = await this.#whyGone(task, manifest)
      if (gone !== null) {
        const message = `${gone}; nothing was changed`
        await this.#recorder.fail(query, { message, place: null, kind: 'internal' }, 'failed', true)
        return
      }
      try {
        await this.#recorder.surely(query.queryId, (state) => {
          this.#requireUnmoved(asOf)
          return successOf(state, task, manifest, this.#recorder.now())
        })
      } catch (error) {
        if (error instanceof Held) {
          this.#wait(query, error, () => this.#apply(query, manifest))
          return
        }
        if (error instanceof Moved) return this.#retry(query, () => this.#apply(query, manifest))
        if (!(error instanceof CatalogError)) throw error
        if (error.code === 'CHANGED') {
          await this.#overtaken(query, task, { error, retry: () => this.#apply(query, manifest) })
          return
        }
        const kind = isRefusal(error) ? 'user' : isUnkept(error) ? 'internal' : null
        if (kind === null) throw error
        const message = `${error.message}; nothing was changed`
        await this.#recorder.fail(query, { message, place: null, kind }, 'failed', true)
        return
      }
      if (task.publishTo !== null) await publish(query.queryId)
      this.#recorder.endBy(query)
    })
  }

  /**
   * What becomes a table's content has to be where this master sees it: it may have been removed since its worker synced it,
   * or the worker may have another directory under that name, or this master. Waits where nobody can tell.
   */
  async #whyGone({ write, publishTo }: Task, { files }: WholeManifest): Promise<string | null> {
    const { lookFor, whyNotOurs, clock, log, signal } = this.#options
    if (lookFor === undefined || write === null) return null
    let gone: string | null = null
    const look = async (left: Iterator<DataFile>): Promise<void> => {
      for (let one = left.next(); one.done !== true && gone === null; one = left.next()) {
        gone ??= await lookFor(join(write.base, one.value.path), one.value.bytes)
      }
    }
    for (;;) {
      const left = files[Symbol.iterator]()
      try {
        gone = await whyNotOurs(write)
        // One without rows is a directory all the same.
        if (publishTo !== null && files.length === 0) gone ??= await lookFor(write.directory, null)
        await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, () => look(left)))
        return gone
      } catch (error) {
        log('warn', `files that a worker has written can't be looked for: ${messageOf(error)}`, {
          event: 'written-files-unproven',
        })
      }
      await pause(clock, FULL_PAUSE_MS)
      signal.throwIfAborted()
    }
  }

  /** Grows when files that were looked at may have been moved. */
  get asOf(): number {
    return this.#options.carriedOut()
  }

  /**
   * A change that this master makes itself: what does not fit is the user's to know, and changes nothing. Planned again
   * when it had to wait.
   */
  changed(
    query: Query,
    plan: () => PlannedChange | Promise<PlannedChange>,
    planAgain: () => Promise<PlannedChange>,
  ): void {
    this.#run(query, async () => {
      const { queryId } = query
      const again = (): void => this.changed(query, planAgain, planAgain)
      try {
        const { build, asOf } = await plan()
        await this.#recorder.surely(queryId, (state) => {
          this.#requireUnmoved(asOf)
          return stepsOutcome(state, queryId, build, this.#recorder.now())
        })
      } catch (error) {
        if (error instanceof Held) {
          this.#wait(query, error, again)
          return
        }
        if (error instanceof Moved) return this.#retry(query, again)
        if (!(error instanceof SqlError || (error instanceof CatalogError && isRefusal(error))))
          throw error
        const place = error instanceof SqlError ? error.place : null
        const { message } = error
        this.#recorder.end(query, { state: 'failed', error: { message, place, kind: 'user' } })
        return
      }
      this.#recorder.endBy(query)
    })
  }

  /** It failed, was killed or is lost: recorded first, so that no late report can be applied. */
  failed(query: Query, error: QueryError, state: 'failed' | 'killed' = 'failed'): void {
    const isWaiting = query.stage === 'waiting'
    // What it wrote is whole, whatever becomes of its worker.
    if (isWaiting && error.kind === 'lost') return
    // A worker that has failed can't come back with a success; one that is lost can.
    const maySucceed = isWaiting || error.kind === 'lost' || error.kind === 'killed'
    this.#run(query, () => this.#recorder.fail(query, error, state, maySucceed))
  }

  /**
   * Its worker died of something else: it runs again, as its next attempt. That this one was given up is recorded first,
   * so that no master will ever apply what comes of it. What an earlier master began nobody here can plan: its client
   * submits it again.
   */
  moved(query: Query, why: string): void {
    if (query.stage === 'waiting') return
    this.#run(query, async () => {
      const { list, onDropped } = this.#options
      const { queryId, attempt, task } = query
      const lost = { queryId, attempt, message: why, task }
      try {
        await this.#recorder.surely(queryId, (state) =>
          givenUpOf(state, lost, this.#recorder.now()),
        )
      } catch (error) {
        if (!(error instanceof CatalogError && isUnkept(error))) throw error
        const text = `${why}; nothing was changed; submit it again`
        await this.#recorder.fail(
          query,
          { message: text, place: null, kind: 'lost' },
          'failed',
          true,
        )
        return
      }
      if (task === null) {
        list.drop(query)
        onDropped(query, why)
        return
      }
      const text = `${why}: it runs again on another one`
      await this.#anew(query, task, { message: text, died: why, overtaken: task.overtaken })
    })
  }

  #run(query: Query, work: () => Promise<void>): void {
    const { list, clock, log, signal } = this.#options
    if (!list.beginApplying(query, clock.nowMs())) return
    const pending = work()
      .catch((error: unknown) => {
        if (error instanceof AlreadyEnded) {
          this.#recorder.endAs(query, error.outcome)
          return
        }
        if (signal.aborted || isTermOver(error)) return
        log('error', `the end of query ${query.queryId} can't be recorded: ${messageOf(error)}`, {
          event: 'query-end-unrecorded',
          error,
        })
        const message = `the catalog can't record it: ${messageOf(error)}`
        this.#recorder.end(query, {
          state: 'failed',
          error: { message, place: null, kind: 'internal' },
        })
      })
      .finally(() => this.#pending.delete(pending))
    this.#pending.add(pending)
  }

  /**
   * Runs it again from the newest state, unless that was tried often enough. Its worker may come to another master with
   * this attempt.
   */
  async #overtaken(
    query: Query,
    task: Task,
    { error: { message }, retry }: { error: CatalogError; retry: () => void },
  ): Promise<void> {
    const { list } = this.#options
    const times = (task.overtaken ?? 0) + 1
    const fail = (error: QueryError): Promise<void> =>
      this.#recorder.fail(query, error, 'failed', true)
    if (times > MOST_OVERTAKEN) {
      const text = `${message}, ${times} times; nothing was changed; submit it again when fewer others write there`
      return fail({ message: text, place: null, kind: 'refused' })
    }
    // It would hold the table from now on: one after the other.
    const holder = times === MOST_OVERTAKEN ? holderOf(list.unended(), task.write?.tableId) : null
    if (holder !== null) {
      this.#wait(query, heldUpBy(holder), retry)
      return
    }
    list.overtaken(query)
    try {
      await this.#recorder.surely(query.queryId, (state) =>
        overtakenOf(state, task, this.#recorder.now()),
      )
    } catch (error) {
      if (!(error instanceof CatalogError && isUnkept(error))) throw error
      return fail({ message: error.message, place: null, kind: 'internal' })
    }
    await this.#anew(query, task, { message: `${message}: it runs again`, overtaken: times })
  }

  /** Puts it back to the queue, from the newest state, as its next attempt. This one is over, in the catalog too. */
  async #anew(
    query: Query,
    task: Task,
    { message, died, overtaken }: { message: string; died?: string; overtaken: number | undefined },
  ): Promise<void> {
    const { list, planAgain, onQueued, clock, signal } = this.#options
    let planned: Plan
    try {
      planned = await planAgain(task, query.attempt + 1)
    } catch (error) {
      if (!(error instanceof SqlError)) throw error
      const { message: text, place } = error
      return this.#recorder.fail(query, { message: text, place, kind: 'user' }, 'failed', true)
    }
    if (signal.aborted) return
    switch (planned.is) {
      case 'task':
        list.again(query, { ...planned.task, overtaken }, { message, died, nowMs: clock.nowMs() })
        onQueued()
        return
      case 'answer': {
        // CREATE TABLE IF NOT EXISTS … AS, and another one made it meanwhile.
        const nothing = { changes: [], message: planned.message ?? '' }
        const { queryId } = query
        await this.#recorder.surely(queryId, (state) =>
          stepsOutcome(state, queryId, () => nothing, this.#recorder.now()),
        )
        this.#recorder.endBy(query)
        return
      }
      case 'change':
        throw new Error(`query ${query.queryId} has become another one`)
      default:
        unreachable(planned)
    }
  }

  /** Throws Moved where files were moved between the look at them and the transaction. */
  #requireUnmoved(asOf: number): void {
    if (this.asOf !== asOf) throw new Moved()
  }

  async #retry(query: Query, retry: () => void): Promise<void> {
    const { list, clock } = this.#options
    list.waits(query, 'looks once more at what it found in the file system', clock.nowMs())
    retry()
  }

  /** Waits until what holds it up is over; after `writeWaitMs` in all it is refused. It can be killed meanwhile. */
  #wait(query: Query, held: Held, retry: () => void): void {
    const { list, clock, awakeMs } = this.#options
    const sinceMs = this.#waitingSinceMs.get(query) ?? awakeMs()
    this.#waitingSinceMs.set(query, sinceMs)
    list.waits(query, held.message, clock.nowMs())
    void this.#turnOf(query, held, sinceMs).then((turn) => {
      if (turn === 'now') retry()
      if (turn !== 'too-late') return
      const { writeWaitMs } = this.#options
      const text = `query ${held.queryId} ${held.what}, and was waited for ${writeWaitMs} ms (tajo.table.write.wait); nothing was changed; submit it again later`
      this.failed(query, { message: text, place: null, kind: 'refused' })
    })
  }

  async #turnOf(
    query: Query,
    held: Held,
    sinceMs: number,
  ): Promise<'now' | 'too-late' | 'not-any-more'> {
    const { waiters, awakeMs, signal, writeWaitMs } = this.#options
    const leftMs = (): number => sinceMs + writeWaitMs - awakeMs()
    while (!held.isOver() && !waiters.closed && leftMs() > 0) {
      await waiters.next(held.queryId, leftMs())
    }
    if (query.stage !== 'waiting' || waiters.closed || signal.aborted) return 'not-any-more'
    return held.isOver() ? 'now' : 'too-late'
  }
}
