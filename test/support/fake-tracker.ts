/** The ports of a master that workers talk to, without a master: tests say who is active, and see what is told. */
import type { FastifyInstance } from 'fastify'
import { systemClock } from '../../lib/base/time.ts'
import { RpcClient } from '../../lib/call/index.ts'
import type { Table } from '../../lib/catalog/model.ts'
import type { CatalogTable, Task, TaskReport, WorkerInfo } from '../../lib/contract/index.ts'
import { FilePages } from '../../lib/master/queries/catalog/catalog-service.ts'
import { type LineWriter, RpcError } from '../../lib/rpc/index.ts'
import { Guard, openAll, rpcServer } from '../../lib/serve/index.ts'
import { freePortRow } from './free-ports.ts'
import { pacedMs } from './pace.ts'

export const FAKE_SECRET = 'b'.repeat(64)
export const FAKE_CLUSTER = '00000000-0000-4000-8000-00000000000f'

const headOf = (table: Table | null) => {
  if (table === null) return null
  const { files: _, ...head } = table
  return head as Omit<CatalogTable, 'files'>
}

export class FakeTracker {
  readonly #pages = new FilePages(systemClock)
  readonly registered: { worker: WorkerInfo; tasks: { task: Task; report: TaskReport }[] }[] = []
  readonly beats: { freeSlots: number; reports: TaskReport[] }[] = []
  readonly tables = new Map<string, Table>()
  /** Answered to the next heartbeats, for each task that has ended. */
  forgetsEnded = true
  forget: string[] = []
  resolves = 0
  /** Which of all pages of files after first ones does not arrive; 0: none. */
  losesPage = 0
  #pagesTold = 0
  active = true
  knows = true
  epoch: number
  clusterId = FAKE_CLUSTER
  #followers: LineWriter<{ epoch: number }>[] = []
  #apps: FastifyInstance[] = []
  #ports: number[] = []

  constructor(epoch: number) {
    this.epoch = epoch
  }

  async start(): Promise<void> {
    const guard = new Guard({
      authentication: 'none',
      wallMs: Date.now,
      term: () => this.epoch,
      onNewerTerm: () => undefined,
      onRefused: () => undefined,
    })
    guard.join({ clusterId: this.clusterId, secret: FAKE_SECRET })
    const pass = {
      term: 0,
      signal: new AbortController().signal,
      confirm: () => {},
      leave: () => {},
    }
    const gate = {
      enter: () => {
        if (this.active) return pass
        throw new RpcError('NOT_ACTIVE', 'not active')
      },
    }
    const options = { guard, gate, clock: systemClock, beatMs: 100, log: () => undefined }
    const status = () => ({ epoch: this.epoch, address: 'localhost:1', inFlight: 0 })
    const epoch = (): number => this.epoch
    const tracker = rpcServer(
      'tracker',
      {
        status,
        register: (request) => {
          this.registered.push(request)
          return { epoch: epoch(), forget: this.forget }
        },
        heartbeat: ({ freeSlots, reports }) => {
          this.beats.push({ freeSlots, reports })
          const ended = reports.filter(({ state }) => state !== 'running')
          const forget = this.forgetsEnded ? ended.map(({ queryId }) => queryId) : this.forget
          return { epoch: epoch(), known: this.knows, forget }
        },
        prove: () => ({ host: 'localhost', places: [], found: [] }),
        astray: () => ({}),
        ended: () => ({}),
        follow: (_request, writer) => {
          this.#followers.push(writer)
          writer.send({ epoch: epoch() })
        },
      },
      options,
    )
    const catalog = rpcServer(
      'catalog',
      {
        status,
        databases: () => ({ databases: ['default'] }),
        tables: () => ({ tables: [] }),
        resolve: async ({ tables }) => {
          this.resolves += 1
          const found = tables.map(
            ({ database, name }) => this.tables.get(`${database}.${name}`) ?? null,
          )
          return { ...(await this.#pages.begin(tables, found)), tables: found.map(headOf) }
        },
        moreFiles: ({ next }) => {
          this.#pagesTold += 1
          if (this.#pagesTold === this.losesPage) throw new RpcError('UNAVAILABLE', 'lost')
          return this.#pages.more(next)
        },
        seesFiles: () => ({ sees: false }),
      },
      options,
    )
    this.#apps = [tracker, catalog]
    const port = await freePortRow(2)
    const bind = (i: number) => ({ key: 'test', host: '127.0.0.1', port: port + i })
    this.#ports = await openAll(this.#apps.map((app, i) => ({ app, bind: bind(i) })))
  }

  get addresses(): { tracker: string; catalog: string } {
    const [tracker = 0, catalog = 0] = this.#ports
    return { tracker: `127.0.0.1:${tracker}`, catalog: `127.0.0.1:${catalog}` }
  }

  get following(): number {
    return this.#followers.length
  }

  /** The role moves on: streams end, and calls are refused. */
  stepDown(): void {
    this.active = false
    for (const follower of this.#followers.splice(0)) follower.end()
  }

  /** Every report of that query, in the order they came. */
  reportsOf(queryId: string): TaskReport[] {
    return this.beats.flatMap(({ reports }) => reports.filter((one) => one.queryId === queryId))
  }

  /** To a worker's qm port, as this master. */
  caller(address: string, secret = FAKE_SECRET): RpcClient<'worker'> {
    return new RpcClient('worker', address, {
      clusterId: () => this.clusterId,
      secret: () => secret,
      term: () => this.epoch,
      clock: systemClock,
      connectTimeoutMs: pacedMs(1000),
    })
  }

  async stop(): Promise<void> {
    for (const follower of this.#followers.splice(0)) follower.end()
    await Promise.all(this.#apps.map((app) => app.close()))
  }
}
