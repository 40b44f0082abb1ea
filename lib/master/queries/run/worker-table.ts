/**
 * The workers of this term: who has registered, what each has free, and who is lost. Pure: time comes in.
 *
 * A report costs the same however many workers there are; only the regular look at all of them, twice a second,
 * counts them, and a choice among them when a query waits. Time here is this master's own waking time (`age`): a
 * master that was stopped for a minute has missed a minute's reports itself, and nobody is lost for that.
 */
import type { WorkerInfo, WorkerRow } from '../../../contract/index.ts'

interface WorkerTimes {
  readonly idleMs: number
  readonly activeMs: number
  /** Silence before then says nothing: this master refused whoever called. */
  readonly anewMs: () => number
}

export interface Worker {
  readonly info: WorkerInfo
  /** What it said itself when it was last heard, and what this master had given it by then. */
  saidFree: number
  gaveThen: number
  heardMs: number
  /** Since when it has something to run; null while it has not. */
  busyMs: number | null
  /** Follow streams that are open. */
  follows: number
  /** Since when it follows no more; null while it does, and before it first did. */
  brokenMs: number | null
  /** What is wrong with its mount of the shared directory, in its own words; null when nothing is. */
  storage: string | null
  /** What has happened to its spill directory. */
  spill: string | null
  /** Since when it is so. */
  storageMs: number
  /** Since when it has not found this term's nonces in its directories; null: it has, or its version looks for none. */
  unprovenMs: number | null
  /** It is not in `conf/workers`; null: not judged yet. */
  unlisted: boolean | null
  /** Why this master gives it no queries; null: it does. */
  barred: string | null
  /** What it said last of its kernel (`tracker.heartbeat`); null: it has not. */
  oomKills: number | null
}

/** So many reports may be missed. */
const MISSED = 3
/**
 * What a stuck worker runs is given to others when its mount has not answered for so long while another's did: all hang
 * while their file server is away, and some come back later than others.
 */
const STUCK_MS = 10_000
/** A host that is busy with queries may be late: nobody is lost for less than this. */
const LEAST_PATIENCE_MS = 5000
/** A worker whose stream broke looks for the active at once: so long it may take to be back. */
const BACK_MS = 3000

export class WorkerTable {
  readonly #workers = new Map<string, Worker>()
  readonly #times: WorkerTimes
  readonly #running: (workerId: string) => number

  /** `running`: how many queries this master has given a worker that have not ended. */
  constructor(times: WorkerTimes, running: (workerId: string) => number) {
    this.#times = times
    this.#running = running
  }

  get size(): number {
    return this.#workers.size
  }

  get(workerId: string): Worker | null {
    return this.#workers.get(workerId) ?? null
  }

  all(): Iterable<Worker> {
    return this.#workers.values()
  }

  /** A new incarnation takes the old one's place. */
  register(info: WorkerInfo, nowMs: number): Worker {
    const before = this.#workers.get(info.workerId)
    const same = before?.info.incarnation === info.incarnation
    const running = this.#running(info.workerId)
    const worker: Worker = {
      info,
      saidFree: info.slots - running,
      gaveThen: running,
      heardMs: nowMs,
      busyMs: running > 0 ? nowMs : null,
      follows: same ? (before?.follows ?? 0) : 0,
      brokenMs: null,
      storage: same ? (before?.storage ?? null) : null,
      storageMs: same ? (before?.storageMs ?? nowMs) : nowMs,
      unprovenMs: same ? (before?.unprovenMs ?? null) : null,
      spill: null,
      unlisted: same ? (before?.unlisted ?? null) : null,
      barred: same ? (before?.barred ?? null) : null,
      oomKills: null,
    }
    this.#workers.set(info.workerId, worker)
    return worker
  }

  /** Null: it has to register first. */
  heard(workerId: string, incarnation: string, freeSlots: number, nowMs: number): Worker | null {
    const worker = this.#of(workerId, incarnation)
    if (worker === null) return null
    worker.heardMs = nowMs
    worker.brokenMs = null
    worker.saidFree = freeSlots
    worker.gaveThen = this.#running(workerId)
    if (worker.gaveThen === 0) worker.busyMs = null
    return worker
  }

  /** A stream of it opened or closed. */
  follows(workerId: string, incarnation: string, by: 1 | -1, nowMs: number): void {
    const worker = this.#of(workerId, incarnation)
    if (worker === null) return
    worker.follows = Math.max(0, worker.follows + by)
    worker.brokenMs = worker.follows === 0 ? nowMs : null
  }

  /**
   * What it can take: what it has slots for, and what it said was free less what it was given since. It may say so
   * without having seen what it was given a moment ago, so neither alone is enough.
   */
  freeOf({ info, saidFree, gaveThen }: Worker): number {
    const running = this.#running(info.workerId)
    return Math.min(info.slots - running, saidFree - (running - gaveThen))
  }

  /** The one with the most free slots, of equals the one that runs least. */
  choose(): Worker | null {
    let best: { worker: Worker; free: number; running: number } | null = null
    for (const worker of this.#workers.values()) {
      const free = this.freeOf(worker)
      if (
        free <= 0 ||
        worker.brokenMs !== null ||
        worker.storage !== null ||
        worker.barred !== null ||
        worker.unprovenMs !== null
      ) {
        continue
      }
      const running = this.#running(worker.info.workerId)
      const better =
        best === null || free > best.free || (free === best.free && running < best.running)
      if (better) best = { worker, free, running }
    }
    return best?.worker ?? null
  }

  /** It was given something, counted already: if that is all it has, it reports at the active interval from now on. */
  took(worker: Worker, nowMs: number): void {
    if (worker.busyMs === null || this.#running(worker.info.workerId) === 1) worker.busyMs = nowMs
  }

  /** It refused: it gets nothing more before it says that it has something free, or something of it ends. */
  isFull(workerId: string): void {
    const worker = this.#workers.get(workerId)
    if (worker === undefined) return
    worker.saidFree = 0
    worker.gaveThen = this.#running(workerId)
  }

  /** It gets nothing more, until it is judged anew. */
  bar(workerId: string, incarnation: string, why: string): void {
    const worker = this.#of(workerId, incarnation)
    if (worker !== null) worker.barred = why
  }

  noteStorage(worker: Worker, storage: string | null, nowMs: number): void {
    if ((worker.storage === null) !== (storage === null)) worker.storageMs = nowMs
    worker.storage = storage
  }

  noteProven(worker: Worker, proven: boolean, nowMs: number): void {
    worker.unprovenMs = proven ? null : (worker.unprovenMs ?? nowMs)
  }

  /** Whose queries are to be given to others. */
  stuck(nowMs: number): Worker[] {
    const all = [...this.#workers.values()]
    const answers = all.filter(({ storage, brokenMs }) => storage === null && brokenMs === null)
    const othersMs = Math.min(...answers.map(({ storageMs }) => storageMs))
    const sinceMs = Math.max(othersMs, this.#times.anewMs())
    return all.filter(
      ({ storage, storageMs }) =>
        storage !== null && nowMs - Math.max(storageMs, sinceMs) >= STUCK_MS,
    )
  }

  /** Takes out and returns who has not been heard of for too long. */
  takeLost(nowMs: number): Worker[] {
    const lost: Worker[] = []
    for (const worker of this.#workers.values()) {
      if (this.#isLost(worker, nowMs)) lost.push(worker)
    }
    for (const { info } of lost) this.#workers.delete(info.workerId)
    return lost
  }

  /** Takes out that one, whose process has ended; null: it is not there, or another one is by now. */
  takeOut(workerId: string, incarnation: string): Worker | null {
    const worker = this.#of(workerId, incarnation)
    if (worker !== null) this.#workers.delete(workerId)
    return worker
  }

  /**
   * The rows are for people. `proofLimitMs`: so long may a look at the directories take where they are to be proven; null:
   * they aren't.
   */
  rows(nowMs: number, proofLimitMs: number | null): WorkerRow[] {
    return [...this.#workers.values()].map((worker) => {
      const { info, heardMs, spill, unlisted } = worker
      return {
        ...stateOf(worker, nowMs, proofLimitMs),
        address: info.workerId,
        spill,
        unlisted,
        host: info.host,
        pid: info.pid,
        version: info.version,
        slots: info.slots,
        running: this.#running(info.workerId),
        heartbeatAgeMs: Math.round(nowMs - heardMs),
        webPage: `http://${info.addresses.infoHttp}/`,
      }
    })
  }

  #isLost({ info, busyMs, heardMs: lastMs, brokenMs }: Worker, nowMs: number): boolean {
    const { idleMs, activeMs, anewMs } = this.#times
    const heardMs = Math.max(lastMs, anewMs())
    if (brokenMs !== null && nowMs - Math.max(brokenMs, heardMs) > BACK_MS) return true
    if (nowMs - heardMs > MISSED * idleMs) return true
    // What it ran may have ended with its last report: then the next one comes at the idle interval.
    if (busyMs === null || this.#running(info.workerId) === 0) return false
    const patienceMs = Math.max(LEAST_PATIENCE_MS, MISSED * activeMs)
    return nowMs - Math.max(busyMs, heardMs) > patienceMs
  }

  #of(workerId: string, incarnation: string): Worker | null {
    const worker = this.#workers.get(workerId)
    return worker?.info.incarnation === incarnation ? worker : null
  }
}

/** Its own word says what is wrong; that it says nothing for so long is wrong as well. */
function stateOf(
  { storage, brokenMs, unprovenMs, barred }: Worker,
  nowMs: number,
  proofLimitMs: number | null,
): Pick<WorkerRow, 'state' | 'trouble'> {
  const waitedMs = unprovenMs === null ? 0 : nowMs - unprovenMs
  const isLate = waitedMs > 2 * (proofLimitMs ?? waitedMs)
  const late = `it has not proven for ${Math.round(waitedMs / 1000)} s that it has the cluster's directories (its log says why)`
  const trouble = storage ?? barred ?? (isLate ? late : null)
  return { state: brokenMs !== null ? 'silent' : trouble === null ? 'live' : 'stuck', trouble }
}
