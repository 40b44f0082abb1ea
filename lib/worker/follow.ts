/**
 * A worker's tie to the active master, whoever that is: find it, register with all that runs here, send reports, and
 * keep a stream open whose end means that the role may have moved. Then it looks for the new one at once. Queries that
 * run don't notice any of it.
 *
 * Reports carry every task that the master has not taken note of; it is told at once when one begins or ends. What
 * the master answers is applied to what was reported in that same message only.
 */

import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import { type Clock, pause, Signal } from '../base/time.ts'
import type { WorkerInfo } from '../contract/index.ts'
import { RpcError } from '../rpc/index.ts'
import type { ActiveMaster, Masters } from './masters.ts'
import type { TaskList } from './task-list.ts'

interface FollowOptions {
  readonly masters: Masters
  readonly worker: WorkerInfo
  readonly tasks: TaskList
  /** How often it reports without a task that the master has yet to hear of, and with one. */
  readonly idleMs: number
  readonly activeMs: number
  /** So long a silence of the stream means a frozen master. */
  readonly silenceMs: number
  /** The master that is followed says this term. */
  readonly onTerm: (term: number) => void
  /** What is wrong with the mount of the shared directory; null when nothing is. */
  readonly storage: () => string | null
  /** What has happened to its spill directory; null when nothing has. */
  readonly spill: () => string | null
  /** Nonces of the master's term that were found in its directories; null: that master looks for none. */
  readonly proven: () => string[] | null
  /** A master has it on its list from now on. */
  readonly onRegistered: (active: ActiveMaster) => void
  /** How many processes this host's kernel has killed for want of memory; null: it does not tell. */
  readonly oomKills?: (() => number | null) | undefined
  /** The secret that we show is refused: perhaps the cluster has got a new one. */
  readonly onForbidden: () => Promise<void>
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  readonly log: Log
}

const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 1000
const CALL_MS = 10_000
const LAST_WORDS_MS = 1000

export class Follow {
  readonly #options: FollowOptions
  readonly #stopped = new AbortController()
  /** Makes it report before its time. */
  readonly #news = new Signal()
  #active: ActiveMaster | null = null
  #session = new AbortController()
  /** The term in which the session's master was found active; it may not have registered this worker yet. */
  #sessionTerm = 0
  #pauseMs = FIRST_PAUSE_MS
  /** Told last; null: it holds nothing against this worker. */
  #held: string | null = null
  #running: Promise<void> = Promise.resolve()
  #registrations = 0

  constructor(options: FollowOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = this.#run()
  }

  /** The master that has registered this worker, as far as it is known. */
  get active(): ActiveMaster | null {
    return this.#active
  }

  get registrations(): number {
    return this.#registrations
  }

  /** A task has begun or ended. */
  poke(): void {
    this.#news.wake()
  }

  /** A term counts from now on that may be newer than our master's. */
  onNewerTerm(term: number): void {
    if (term > this.#sessionTerm) this.#session.abort()
  }

  /** Tells the master how all tasks have ended, if it can be reached, and goes. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#session.abort()
    await this.#running
    const active = this.#active
    if (active === null) return
    await this.#beat(active, LAST_WORDS_MS).catch((error: unknown) => {
      this.#options.log('info', `the master did not hear the end: ${messageOf(error)}`, {
        event: 'query-end-unheard',
      })
    })
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      const active = await this.#options.masters.findActive(signal)
      if (active !== null) await this.#serve(active)
      if (!signal.aborted) await this.#pause()
    }
  }

  /** Resolves when this master is not the one to follow any more. */
  async #serve(active: ActiveMaster): Promise<void> {
    const { log } = this.#options
    const session = new AbortController()
    this.#session = session
    this.#sessionTerm = active.term
    try {
      if (!(await this.#register(active))) return
      this.#active = active
      this.#pauseMs = FIRST_PAUSE_MS
      this.#options.onRegistered(active)
      log('info', `registered with ${active.addresses.tracker}`, {
        event: 'master-followed',
        epoch: active.term,
      })
      const following = this.#follow(active, session)
      await this.#beats(active, session.signal).finally(() => session.abort())
      await following
    } catch (error) {
      await this.#onLost(active, error)
    }
  }

  async #onLost(active: ActiveMaster, error: unknown): Promise<void> {
    const { log, onForbidden } = this.#options
    if (this.#stopped.signal.aborted) return
    log('info', `${active.addresses.tracker} is not followed any more: ${messageOf(error)}`, {
      event: 'master-left',
    })
    // What it knows of a newer term is shown by whoever is active under that.
    if (RpcError.is(error, 'FORBIDDEN')) await onForbidden()
  }

  /** False: this master does not take it. */
  async #register(active: ActiveMaster): Promise<boolean> {
    const { worker, tasks, storage, spill, proven, oomKills, onTerm } = this.#options
    const running = tasks.tasks()
    const { signal } = this.#session
    const answer = await active.tracker.call(
      'register',
      {
        worker,
        tasks: running,
        storage: storage(),
        spill: spill(),
        proven: proven(),
        oomKills: oomKills?.(),
      },
      { deadlineMs: CALL_MS, signal },
    )
    onTerm(answer.epoch)
    this.#tell(active, 'does not admit this worker', answer.refused)
    if (answer.refused != null) return false
    this.#registrations += 1
    tasks.forget(
      answer.forget,
      running.map(({ report }) => report),
    )
    return true
  }

  /** What the active holds against this worker, when that is another than before. */
  #tell(active: ActiveMaster, what: string, why: string | null = null): void {
    const text = why === null ? null : `master ${active.addresses.tracker} ${what}: ${why}`
    if (text === this.#held) return
    this.#held = text
    if (text !== null) this.#options.log('error', text, { event: 'worker-unwanted' })
  }

  /** Never rejects: what ends the stream ends the session. */
  async #follow(active: ActiveMaster, session: AbortController): Promise<void> {
    const { worker, silenceMs, onTerm, log } = this.#options
    const { workerId, incarnation } = worker
    try {
      await active.tracker.stream(
        'follow',
        { workerId, incarnation },
        { silenceMs, signal: session.signal, onLine: ({ epoch }) => onTerm(epoch) },
      )
    } catch (error) {
      if (!session.signal.aborted) {
        log('info', `the stream of ${active.addresses.tracker} ended: ${messageOf(error)}`, {
          event: 'master-stream-ended',
        })
      }
      session.abort()
    }
  }

  async #beats(active: ActiveMaster, signal: AbortSignal): Promise<void> {
    const { tasks, idleMs, activeMs, clock } = this.#options
    while (!signal.aborted) {
      // What has ended counts until the master has taken note of it: for a change, until it is in the catalog.
      const everyMs = tasks.size > 0 ? activeMs : idleMs
      await this.#news.wait(clock, everyMs, signal)
      if (signal.aborted) return
      const known = await this.#beat(active, CALL_MS, signal)
      if (!known && !(await this.#register(active))) return
    }
  }

  /** False: this master does not know us. */
  async #beat(active: ActiveMaster, deadlineMs: number, signal?: AbortSignal): Promise<boolean> {
    const { tasks, worker, storage, spill, proven, oomKills, onTerm } = this.#options
    const { workerId, incarnation } = worker
    const reports = tasks.reports()
    const answer = await active.tracker.call(
      'heartbeat',
      {
        workerId,
        incarnation,
        freeSlots: tasks.freeSlots,
        reports,
        storage: storage(),
        spill: spill(),
        proven: proven(),
        oomKills: oomKills?.(),
      },
      { deadlineMs, ...(signal === undefined ? {} : { signal }) },
    )
    onTerm(answer.epoch)
    if (answer.known) this.#tell(active, 'gives this worker no queries', answer.barred)
    tasks.forget(answer.forget, reports)
    return answer.known
  }

  /** Short after a loss, since a failover takes less than a tenth of a second; longer while nobody comes. */
  async #pause(): Promise<void> {
    const { clock, random, silenceMs } = this.#options
    const delayMs = this.#pauseMs * (0.75 + random() / 2)
    // Who is refused has to be taken within M after that was mended.
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, silenceMs / 2, this.#pauseMs * 1.5)
    await pause(clock, delayMs, this.#stopped.signal)
  }
}
