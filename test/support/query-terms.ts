/** A term's query services over a catalog in memory, with workers that a test plays itself. */
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { AuditEvent } from '../../lib/base/audit.ts'
import type { Log } from '../../lib/base/log.ts'
import { Catalog } from '../../lib/catalog/catalog.ts'
import { type MemKept, MemStore, memKept } from '../../lib/catalog/store.ts'
import type { Manifest, Task, TaskReport, WorkerInfo } from '../../lib/contract/index.ts'
import type { QueryOptions } from '../../lib/master/queries/options.ts'
import type { Sign } from '../../lib/master/queries/run/deaths.ts'
import type { Spot } from '../../lib/master/queries/run/query.ts'
import { type HistoryOptions, QueryHistory } from '../../lib/master/queries/run/query-history.ts'
import type {
  CalledBack,
  PageAnswer,
  RunAnswer,
  WorkerCalls,
} from '../../lib/master/queries/run/worker-calls.ts'
import { QueryServices } from '../../lib/master/queries/services.ts'
import { QueryTerm } from '../../lib/master/queries/term.ts'
import { HandClock, settle } from './hand-clock.ts'

export const ID = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

/** Bounds that no test meets which doesn't mean to. */
export const QUEUE: QueryOptions['queue'] = {
  ...{ most: 10, mostOfUser: 10, runningOfUser: 0, chars: 1e9 },
}

export class FakeCalls implements WorkerCalls {
  readonly ran: { readonly workerId: string; readonly task: Task }[] = []
  readonly killed: string[] = []
  /** What the next `run` is answered; accepted when there is nothing. */
  answer: (info: WorkerInfo, task: Task) => RunAnswer | Promise<RunAnswer> = () => ({
    is: 'accepted',
  })

  /** What the address of a worker that is gone says. */
  signOf: (spot: Spot) => Sign | Promise<Sign> = () => ({ is: 'refused' })

  /** Who answers where a worker says that it takes orders. */
  backOf: (info: WorkerInfo) => CalledBack | Promise<CalledBack> = () => ({ is: 'it' })

  async callBack(info: WorkerInfo): Promise<CalledBack> {
    return this.backOf(info)
  }

  async run(info: WorkerInfo, task: Task): Promise<RunAnswer> {
    this.ran.push({ workerId: info.workerId, task })
    return this.answer(info, task)
  }

  async kill(_info: WorkerInfo, { queryId }: { queryId: string }): Promise<void> {
    this.killed.push(queryId)
  }

  /** What a page of a manifest is answered; there is none when a test says nothing. */
  pageOf: (
    info: WorkerInfo,
    asked: { queryId: string; attempt: number; page: number },
  ) => PageAnswer | Promise<PageAnswer> = () => ({ is: 'missing', why: 'nobody is asked' })

  async manifest(
    info: WorkerInfo,
    asked: { queryId: string; attempt: number; page: number },
  ): Promise<PageAnswer> {
    return this.pageOf(info, asked)
  }

  async sign(spot: Spot): Promise<Sign> {
    return this.signOf(spot)
  }

  drop(): void {}
  close(): void {}
}

export const workerAt = (n: number, slots = 2, incarnation = 'a'): WorkerInfo => ({
  workerId: `w${n}:28091`,
  incarnation,
  host: `w${n}`,
  pid: n,
  version: '1',
  addresses: {
    qm: `w${n}:28093`,
    clientRpc: `w${n}:28092`,
    peer: `w${n}:28091`,
    infoHttp: `w${n}:28080`,
  },
  cores: 2,
  memoryBytes: 1,
  slots,
})

export const manifestOf = (task: Task, rows = 3): Manifest => ({
  reads: [],
  columns: [{ name: 'a', type: 'INT4' }],
  partitionColumns: [],
  files: [
    {
      path: `${task.write?.directory.slice(task.write.base.length + 1)}/part-0`,
      rows,
      bytes: 10,
      partition: [],
    },
  ],
  rows,
  bytes: 10,
})

export const reportOf = (
  task: Task,
  state: TaskReport['state'],
  more: Partial<TaskReport> = {},
): TaskReport => ({
  queryId: task.queryId,
  attempt: task.attempt,
  state,
  progress: 0.5,
  rows: 3,
  startedMs: 1,
  error: null,
  manifest: state === 'succeeded' && task.mode === 'write' ? manifestOf(task) : null,
  ...more,
})

export interface Seat {
  readonly term: QueryTerm
  readonly calls: FakeCalls
  readonly catalog: Catalog
  /** The term is over, as for a deposed master. */
  readonly end: () => Promise<void>
}

export class Terms {
  readonly clock = new HandClock()
  readonly directory: string
  readonly kept: MemKept = memKept()
  /** What all its masters have written down for auditors, in order. */
  readonly audited: (Record<string, unknown> & { event: AuditEvent })[] = []
  readonly options: QueryOptions
  /** False: suspended, as by a storage that hangs. */
  mayServe = true
  /** Why there is little room; null: there is enough. */
  lowOnSpace: string | null = null
  readonly #ends: (() => Promise<void>)[] = []
  #term = 0

  constructor(t: Test, options: Partial<QueryOptions> = {}) {
    this.directory = mkdtempSync(join(tmpdir(), 'tajo-queries-'))
    t.teardown(async () => {
      for (const end of this.#ends) await end()
      // What a term that was cut off had under way may still make a file: the synchronous one looks only once.
      await rm(this.directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    })
    this.options = {
      preload: async () => {},
      makeStore: async () => new MemStore(this.kept),
      followMs: 500,
      logDirectory: join(this.directory, 'queries'),
      warehouse: join(this.directory, 'warehouse'),
      allowedPaths: [join(this.directory, 'allowed')],
      systemDirectory: join(this.directory, 'system'),
      queue: QUEUE,
      historyLimit: 100,
      historyMaxAgeMs: 1e12,
      idleMs: 10_000,
      activeMs: 1000,
      writeWaitMs: 30_000,
      compaction: {
        ...{ enabled: false, minInputFiles: 5, minFileBytes: 1000, targetFileBytes: 4000 },
        ...{ maxConcurrent: 1, checkMs: 1000, retentionMs: 1000 },
      },
      litterGraceMs: 1e9,
      ...options,
    }
  }

  history(more: Partial<HistoryOptions> = {}): QueryHistory {
    const { logDisk } = this.options
    return new QueryHistory({
      directory: this.options.logDirectory,
      limit: this.options.historyLimit,
      maxAgeMs: this.options.historyMaxAgeMs,
      wallMs: Date.now,
      clock: this.clock,
      log: () => {},
      ...(logDisk === undefined ? {} : { disk: logDisk }),
      ...more,
    })
  }

  /** The next term, on another master. `commit` is the lease's word. */
  async begin(commit: () => Promise<void> = async () => {}): Promise<Seat> {
    this.#term += 1
    const { clock, options } = this
    const over = new AbortController()
    const log = (): void => {}
    const catalog = new Catalog({ store: await options.makeStore(null), commit, clock, log })
    await catalog.open(this.#term, over.signal)
    const calls = new FakeCalls()
    const term = new QueryTerm(
      {
        ...options,
        term: this.#term,
        signal: over.signal,
        onTrouble: () => {},
        renewed: async () => {},
        address: `m${this.#term}:26001`,
        commit,
        mayServe: () => this.mayServe,
        onBroken: () => {},
        onGone: () => {},
        lowOnSpace: () => this.lowOnSpace,
        clusterId: () => 'c',
        secret: () => 's',
        history: this.history(),
        clock,
        wallMs: Date.now,
        log,
        audit: (event, facts, texts) => void this.audited.push({ event, ...facts, ...texts }),
      },
      { catalog, calls, close: () => catalog.close() },
    )
    const end = async (): Promise<void> => {
      over.abort()
      await term.close()
      await settle()
    }
    this.#ends.push(end)
    return { term, calls, catalog, end }
  }
}

/** A master's, m1:26001, while m2:26002 is the active. */
export const servicesOf = (
  { options, clock }: Terms,
  {
    queries = {},
    log = () => {},
    othersOpen = () => false,
  }: { queries?: Partial<QueryOptions>; log?: Log; othersOpen?: () => boolean } = {},
): QueryServices =>
  new QueryServices({
    queries: { ...options, ...queries },
    address: 'm1:26001',
    status: () => ({ epoch: 3, address: 'm1:26001', inFlight: 0 }),
    whereabouts: () => ({ active: 'm2:26002', epoch: 3 }),
    masters: async () => [],
    othersOpen,
    onAstray: () => {},
    commit: async () => {},
    mayServe: () => true,
    onBroken: () => {},
    onGone: () => {},
    lowOnSpace: () => null,
    clusterId: () => 'c',
    secret: () => 's',
    clock,
    wallMs: Date.now,
    log,
  })
