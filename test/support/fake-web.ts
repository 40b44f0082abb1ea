/**
 * The info port of a master that does not exist: the real routes, headers and files over documents that the test made up,
 * so that a browser can be shown what no real cluster would be at will: nothing at all, very much, or names from hell.
 */
import type { Test } from 'tap'
import { systemClock } from '../../lib/base/time.ts'
import { limitedServer } from '../../lib/serve/index.ts'
import { Metrics } from '../../lib/web/metrics.ts'
import { countQueries } from '../../lib/web/query-page.ts'
import { addWebRoutes } from '../../lib/web/server.ts'
import type {
  ClusterDocument,
  ConfigDocument,
  LeaseDocument,
  MasterRow,
  QueryRow,
  SqlMode,
  SqlOut,
  SqlRequest,
  TablesDocument,
  TermRow,
  WebView,
  WorkerRow,
} from '../../lib/web/view.ts'
import { freePortRow } from './free-ports.ts'

/** All that it tells; to be changed at will while it runs. */
export interface FakeFacts {
  cluster: ClusterDocument
  history: TermRow[]
  lease: LeaseDocument
  workers: WorkerRow[]
  queries: QueryRow[]
  tables: TablesDocument['tables']
  databases: string[]
  config: ConfigDocument
  run: (request: SqlRequest, signal: AbortSignal, out: SqlOut) => Promise<void>
  /** Called after a kill, with the query's id. */
  killed: string[]
  sql: SqlMode
  admin: boolean
  /** Default: nobody has to prove anything. */
  authentication?: 'password' | 'none'
  /** Who shows which `Authorization` header. */
  visitors?: ReadonlyMap<string, ReturnType<WebView['visitor']>>
}

export interface FakeWeb {
  readonly facts: FakeFacts
  readonly url: string
  /** Pages hear of a change of the cluster at once. */
  tell(): void
  /** Breaks all connections, as the death of a master does. */
  cut(): void
  close(): Promise<void>
}

export async function fakeWeb(facts: FakeFacts): Promise<FakeWeb> {
  const listeners = new Set<() => void>()
  const log = (): void => {}
  const app = limitedServer({
    log,
    term: () => facts.cluster.epoch,
    clusterId: () => facts.cluster.clusterId,
  })
  const door = addWebRoutes(app, {
    view: viewOf(facts, listeners),
    rules: {
      sql: facts.sql,
      sqlFromHereOnly: false,
      admin: facts.admin,
      authentication: facts.authentication ?? 'none',
    },
    metrics: new Metrics(),
    version: '0.1.0',
    clock: systemClock,
    log,
  })
  const url = await app.listen({ host: '127.0.0.1', port: await freePortRow(1) })
  return {
    facts,
    url,
    tell: () => {
      for (const listener of listeners) listener()
    },
    cut: () => app.server.closeAllConnections(),
    close: async () => {
      door.close('the test is over')
      await app.close()
    },
  }
}

function viewOf(facts: FakeFacts, listeners: Set<() => void>): WebView {
  const cluster = async (): Promise<ClusterDocument> => ({
    ...facts.cluster,
    takenAtMs: Date.now(),
    queryCounts: countQueries(facts.queries),
    workers: facts.workers,
  })
  return {
    self: facts.cluster.self,
    serving: () => facts.cluster.active === facts.cluster.self,
    activeElsewhere: () => facts.cluster.active !== facts.cluster.self,
    state: () => 'active',
    clusterId: () => facts.cluster.clusterId,
    cluster,
    history: async (limit) => facts.history.slice(0, limit),
    lease: () => facts.lease,
    workers: async () => ({ workers: facts.workers, asOfMs: Date.now() }),
    queries: async (limit) => facts.queries.slice(0, limit),
    metrics: () => {
      throw new Error('nobody asks a made-up master for metrics')
    },
    config: () => facts.config,
    databases: async () => facts.databases,
    tables: async (_database, { names, search = '', offset, limit }) => {
      const fits = ({ name }: { name: string }): boolean =>
        (names?.includes(name) ?? true) && name.toLowerCase().includes(search.toLowerCase())
      const found = facts.tables.filter(fits)
      return { tables: found.slice(offset, offset + limit), total: found.length }
    },
    kill: async (queryId) => {
      facts.killed.push(queryId)
      return true
    },
    readsOnly: async (sql) => /^\s*(select|show)/i.test(sql),
    run: (request, _who, signal, out) => facts.run(request, signal, out),
    handOver: async () => null,
    takeOver: async () => null,
    visitor: (header) =>
      header === undefined ? 'missing' : (facts.visitors?.get(header) ?? 'strange'),
    secret: () => 's'.repeat(64),
    hostNames: () => new Set(['localhost']),
    pages: () => facts.cluster.masters.map(({ addresses }) => addresses.infoHttp),
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

export function masterRow(address: string, facts: Partial<MasterRow> = {}): MasterRow {
  const [host = 'localhost'] = address.split(':')
  const at = (port: number): string => `${host}:${port}`
  return {
    address,
    state: 'backup',
    self: false,
    epoch: 7,
    heartbeatAgeMs: 120,
    leaseMarginMs: null,
    problem: null,
    lastRenewalMs: 1.4,
    priority: 100,
    version: '0.1.0',
    hostname: host,
    pid: 4711,
    page: `http://${host}:26080/`,
    connected: true,
    clockOffsetMs: 2,
    addresses: {
      umbilical: address,
      clientRpc: at(26002),
      resourceTracker: at(26003),
      catalog: at(26005),
      infoHttp: at(26080),
    },
    ...facts,
  }
}

/** A healthy cluster of three masters without workers, queries, tables and settings. */
export function emptyFacts(): FakeFacts {
  const self = 'host1:26001'
  return {
    cluster: {
      clusterId: '7b0c4c5e',
      epoch: 7,
      active: self,
      activeClient: 'host1:26002',
      activePage: 'http://host1:26080/',
      activeSinceMs: Date.now() - 3_725_000,
      self,
      takenAtMs: Date.now(),
      version: '0.1.0',
      highAvailability: true,
      periods: null,
      masters: [
        masterRow(self, { state: 'active', self: true, leaseMarginMs: 2391, heartbeatAgeMs: 0 }),
        masterRow('host2:26001', { priority: 90 }),
        masterRow('host3:26001', { priority: 80, clockOffsetMs: -4 }),
      ],
      ifActiveDied: {
        successor: 'host2:26001',
        processDeathMs: 770,
        hostLossMs: 4610,
        why: null,
      },
      alerts: [],
      workers: [],
      workerCounts: { live: 0, silent: 0, slots: 0, running: 0 },
      queryCounts: { queued: 0, running: 0, succeeded: 0, failed: 0, killed: 0 },
      storage: 'ok',
      problem: null,
      warnings: [],
    },
    history: [],
    lease: { bucketMs: 1000, deadlineMs: null, renewMs: null, masters: [] },
    workers: [],
    queries: [],
    tables: [],
    databases: ['default'],
    config: { confDir: '/etc/tajo', settings: [] },
    run: async (_request, _signal, out) => out.say({ queryId: queryIdOf(0) }),
    killed: [],
    sql: 'all',
    admin: false,
  }
}

export const queryIdOf = (number: number): string =>
  `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`

/** The same for a test, which ends it. */
export async function webOf(t: Test, facts: FakeFacts): Promise<FakeWeb> {
  const server = await fakeWeb(facts)
  t.teardown(() => server.close())
  return server
}
