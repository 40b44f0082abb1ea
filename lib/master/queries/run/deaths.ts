/**
 * What a worker died of, as far as it can be proven. A change that it ran is given to another one only where something
 * else than the change explains the death: its host, a kill, its mount. Where nothing does, the change itself may have
 * ended it, and would end the next one too.
 *
 * Silence proves nothing of this, so the worker's address is asked: a host whose kernel refuses the connection lives, and
 * its worker is gone from it; of one that gives no answer at all nobody knows. A SIGKILL can be anybody's, also the
 * kernel's own, which is out of memory because of the query. Whoever started a worker sees the signal, and the kernel
 * counts whom it kills: with no such kill between the worker's last report and its end, it was none.
 *
 * A read is begun again by its client, and the same is looked into before another worker is given it. Where somebody saw
 * that its worker ended by itself (a crash, the kernel that was out of memory), no other one is. Of a worker whose end
 * nobody saw (it was started without a watcher, or hangs) it may have been anything: the read is given to one more, and a
 * second one that dies alone under it is the last.
 */
import type { Clock } from '../../../base/time.ts'
import type { Ended } from '../../../contract/index.ts'
import type { Spot } from './query.ts'
import type { WorkerCalls } from './worker-calls.ts'
import type { Worker, WorkerTable } from './worker-table.ts'

/**
 * What an address says. `lives`: that very process answers. `anew`: another one does. `refused`: nobody listens, on a host
 * that lives. `mute`: the connection is taken, and nothing is answered. `unreachable`: not even a refusal.
 */
export type Sign =
  | { readonly is: 'lives' | 'refused' | 'mute' | 'unreachable' }
  | { readonly is: 'anew'; readonly network: string | undefined }

export interface Evidence {
  readonly sign: Sign
  /** As it was registered; null: with an earlier master, and with this one not yet. */
  readonly worker: Pick<Worker, 'storage' | 'oomKills'> | null
  /** Which host it was on, as it was then. */
  readonly network: string | undefined
  /** What whoever had started it saw; null: nobody did, or has not told. */
  readonly ended: Pick<Ended, 'code' | 'oomKills' | 'oomKillsBefore'> | null
  /** Workers that were on its host besides, and how many of them fell silent in the same moment. */
  readonly beside: { readonly all: number; readonly silent: number }
}

interface Death {
  /** Something else than what it ran. */
  readonly explained: boolean
  /** Somebody saw how it ended. */
  readonly seen: boolean
  /** What follows the worker's name. */
  readonly why: string
}

const SIGNAL_BASE = 128
const SIGNALS: Readonly<Record<number, string>> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  4: 'SIGILL',
  6: 'SIGABRT',
  7: 'SIGBUS',
  8: 'SIGFPE',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  15: 'SIGTERM',
  24: 'SIGXCPU',
}
/** A person, or a program that a person set to it, sends these. */
const ENDED_BY_SOMEBODY: ReadonlySet<number> = new Set([1, 2, 15])
const KILL = 9

const explained = (why: string): Death => ({ explained: true, seen: true, why })
const alone = (detail: string, { what = 'died', seen = true } = {}): Death => ({
  explained: false,
  seen,
  why: `${what} alone under this query (${detail}), so no other one is given it by itself`,
})
const UNSEEN = { seen: false } as const

/** Pure. */
export function deathOf({ sign, worker, network, ended, beside }: Evidence): Death {
  if (sign.is === 'lives') return explained('lives, but its reports do not arrive')
  if (worker?.storage != null) return explained(`is gone, as its mount was: ${worker.storage}`)
  if (sign.is === 'anew' && sign.network !== undefined && network !== undefined) {
    if (sign.network !== network) return explained('is gone: its host was started anew')
  }
  if (sign.is === 'unreachable') return explained('is lost: its host does not answer')
  if (ended !== null) return endedBy(ended, worker?.oomKills ?? ended.oomKillsBefore ?? null)
  if (beside.all > 0 && beside.silent === beside.all) {
    return explained(`is gone with all ${beside.all + 1} workers of its host`)
  }
  return sign.is === 'mute'
    ? alone('its host takes connections, and it answers nothing', { ...UNSEEN, what: 'hangs' })
    : alone('its host answers, and nobody told of a kill', UNSEEN)
}

/** `before`: the kernel's count when the worker was last heard, or, where that is not known, started. */
function endedBy({ code, oomKills }: NonNullable<Evidence['ended']>, before: number | null): Death {
  const signal = code - SIGNAL_BASE
  if (code === 0) return explained('was stopped')
  if (signal <= 0) return alone(`exit code ${code}`)
  if (ENDED_BY_SOMEBODY.has(signal)) return explained(`was ended by ${SIGNALS[signal]}`)
  if (signal !== KILL) return alone(`of ${SIGNALS[signal] ?? `signal ${signal}`}`)
  if (oomKills == null || before === null) {
    const text = 'killed, perhaps by the kernel: how often it was out of memory is not known'
    return alone(text, UNSEEN)
  }
  return oomKills === before
    ? explained('was killed (SIGKILL)')
    : alone('killed by the kernel, which was out of memory')
}

interface DeathsOptions {
  readonly workers: WorkerTable
  readonly calls: WorkerCalls
  readonly clock: Clock
  /** Aborts with the term. */
  readonly signal: AbortSignal
}

/** Whose death is looked into. */
interface Gone {
  readonly spot: Spot
  /** As it was registered with this master; null where it was not. */
  readonly worker: Worker | null
}

/** So many workers may die alone under a read where nobody saw how. */
const UNSEEN_AT_MOST = 2
/** Whoever started a worker needs a moment to tell its end. */
const TELLING_MS = 10_000
/** Two streams that break within it break in the same moment. */
const MOMENT_MS = 1000
/** Ends that were told and perhaps never asked for, and workers that are gone. */
const MOST_KEPT = 1000

export class Deaths {
  readonly #options: DeathsOptions
  /** By incarnation, oldest first. */
  readonly #ended = new Map<string, Ended>()
  readonly #asking = new Map<string, Promise<Death>>()
  readonly #waiting = new Map<string, () => void>()
  /** No longer in the table, oldest first. */
  readonly #gone: Worker[] = []

  constructor(options: DeathsOptions) {
    this.#options = options
  }

  told(ended: Ended): void {
    this.#ended.set(ended.incarnation, ended)
    const [oldest] = this.#ended.keys()
    if (this.#ended.size > MOST_KEPT && oldest !== undefined) this.#ended.delete(oldest)
    this.#waiting.get(ended.incarnation)?.()
  }

  /** To be called of each worker that leaves the table, before its death is looked into. */
  left(worker: Worker): void {
    this.#gone.push(worker)
    if (this.#gone.length > MOST_KEPT) this.#gone.shift()
  }

  /** Never rejects. All that ran there are told the same. */
  of(gone: Gone): Promise<Death> {
    const { incarnation } = gone.spot
    const asking = this.#asking.get(incarnation)
    if (asking !== undefined) return asking
    const begun = this.#lookInto(gone).finally(() => this.#asking.delete(incarnation))
    this.#asking.set(incarnation, begun)
    return begun
  }

  /**
   * Why a read is given to no other worker: of those in `tried`, which are in their order, one was seen to die of it, or two
   * died alone. Null: it may go on.
   */
  async whyNoMore(tried: readonly Spot[]): Promise<string | null> {
    const deaths = await Promise.all(
      tried.map(async (spot) => ({ spot, death: await this.#at(spot) })),
    )
    const alone = deaths.filter(({ death }) => death?.explained === false)
    const [first, last] = [alone.at(0), alone.at(-1)]
    if (first === undefined || last === undefined) return null
    const isSeen = alone.some(({ death }) => death?.seen === true)
    if (!isSeen && alone.length < UNSEEN_AT_MOST) return null
    const before = first === last ? '' : `, as did worker ${first.spot.workerId} before`
    return `worker ${last.spot.workerId} ${last.death?.why}${before}`
  }

  /** Null: it lives. A client may know that one is gone before this master has heard of it, so the worker is asked. */
  async #at(spot: Spot): Promise<Death | null> {
    const { workers, calls } = this.#options
    const isIt = ({ info }: Worker): boolean => info.incarnation === spot.incarnation
    const there = [...workers.all()].find(isIt)
    if (there?.brokenMs === null) {
      const { is } = await calls.sign(spot)
      // Its reports come: that it is slow to answer, or out of this master's reach for a moment, is no death.
      if (is !== 'refused' && is !== 'anew') return null
    }
    return this.of({ spot, worker: there ?? this.#gone.find(isIt) ?? null })
  }

  async #lookInto({ spot, worker }: Gone): Promise<Death> {
    const { calls } = this.#options
    const info = worker?.info ?? null
    const sign = this.#signOf(spot) ?? (await calls.sign(spot))
    const isThere = sign.is === 'lives' || sign.is === 'unreachable' || sign.is === 'mute'
    if (!isThere && info?.watched === true) await this.#telling(spot.incarnation)
    const ended = this.#ended.get(spot.incarnation) ?? null
    const beside = this.#beside(worker)
    return deathOf({ sign, worker, network: info?.network ?? spot.network, ended, beside })
  }

  /** The sign of one whose successor under its name has registered already; null where it has not. */
  #signOf({ workerId, incarnation }: Spot): Sign | null {
    const now = this.#options.workers.get(workerId)?.info
    if (now === undefined || now.incarnation === incarnation) return null
    return { is: 'anew', network: now.network }
  }

  #beside(worker: Worker | null): Evidence['beside'] {
    if (worker === null) return { all: 0, silent: 0 }
    const { host, workerId } = worker.info
    const isWith = ({ brokenMs }: Worker): boolean =>
      brokenMs !== null &&
      worker.brokenMs !== null &&
      Math.abs(brokenMs - worker.brokenMs) <= MOMENT_MS
    const isOther = ({ info }: Worker): boolean => info.host === host && info.workerId !== workerId
    const there = [...this.#options.workers.all()].filter(isOther)
    const silent = [...there, ...this.#gone.filter(isOther)].filter(isWith)
    const names = (some: readonly Worker[]): number =>
      new Set(some.map(({ info }) => info.workerId)).size
    return { all: names([...there, ...silent]), silent: names(silent) }
  }

  #telling(incarnation: string): Promise<void> {
    if (this.#ended.has(incarnation)) return Promise.resolve()
    const { clock, signal } = this.#options
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        signal.removeEventListener('abort', done)
        this.#waiting.delete(incarnation)
        resolve()
      }
      const cancel = clock.after(TELLING_MS, done)
      signal.addEventListener('abort', done, { once: true })
      this.#waiting.set(incarnation, done)
    })
  }
}
