/**
 * Masters and workers for tests of the client: real sockets and the contract's own checks, but queries that are scripted.
 * What the masters know of queries is one object that they share, as real ones share their directory.
 */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { Test } from 'tap'
import { systemClock } from '../../lib/base/time.ts'
import type {
  AnswerOf,
  QueryRecord,
  QueryStatus,
  RequestOf,
  Services,
} from '../../lib/contract/index.ts'
import { RpcError } from '../../lib/rpc/index.ts'
import { type Gate, Guard, rpcServer } from '../../lib/serve/index.ts'
import { testCertificate } from './certificate.ts'
import { freePortRow } from './free-ports.ts'

type Submit = RequestOf<Services['client']['submit']>
export type Tables = AnswerOf<Services['catalog']['tables']>['tables']

export interface FakeMaster {
  readonly client: string
  readonly catalog: string
  /** It answers as the active master. */
  active: boolean
  /** Client RPC address that it gives with NOT_ACTIVE. */
  hint: string | null
  /** It takes connections and says nothing. */
  frozen: boolean
  /** Requests that it got, by method. */
  readonly asked: Record<string, number>
  close(): Promise<void>
}

export interface FakeCluster {
  /** How a statement goes: what `submit` and each `wait` answer, null for "never heard of". */
  script: (request: Submit, previous: QueryStatus | null) => Partial<QueryStatus>
  readonly queries: Map<string, QueryStatus>
  readonly submitted: Submit[]
  readonly killed: string[]
  tables: Record<string, Tables>
  /** What `queries` answers, and who: the active alone where backups may not read the query log. */
  history: { readonly of: 'all' | 'active'; readonly records: QueryRecord[] }
  /** Client RPC addresses that its masters know. */
  readonly masters: string[]
  master(t: Test): Promise<FakeMaster>
}

export const statusOf = (request: Submit, part: Partial<QueryStatus>): QueryStatus => ({
  queryId: request.queryId,
  attempt: request.attempt,
  state: 'succeeded',
  kind: 'change',
  worker: null,
  progress: 0,
  rows: null,
  message: null,
  error: null,
  answer: null,
  session: null,
  epoch: 1,
  ...part,
})

export const FAKE_CLUSTER = 'cluster-1'

export function fakeCluster(clusterId = FAKE_CLUSTER): FakeCluster {
  const cluster: FakeCluster = {
    script: () => ({ message: 'OK' }),
    queries: new Map(),
    submitted: [],
    killed: [],
    tables: { default: [] },
    history: { of: 'all', records: [] },
    masters: [],
    master: (t) => fakeMaster(t, cluster, clusterId),
  }
  return cluster
}

async function fakeMaster(t: Test, cluster: FakeCluster, clusterId: string): Promise<FakeMaster> {
  const asked: Record<string, number> = {}
  const guard = new Guard({
    authentication: 'none',
    wallMs: Date.now,
    term: () => 1,
    onNewerTerm: () => {},
    onRefused: () => {},
  })
  const certificate = await testCertificate(clusterId)
  guard.join({ clusterId, secret: 's'.repeat(64), certificate })
  const gate: Gate = {
    enter() {
      if (!master.active) throw new RpcError('NOT_ACTIVE', 'a backup', { active: master.hint })
      return {
        term: 1,
        signal: new AbortController().signal,
        confirm() {
          if (!master.active) throw new RpcError('NOT_ACTIVE', 'no more', { active: master.hint })
        },
        leave: () => {},
      }
    },
  }
  const log = (): void => {}
  const options = { guard, gate, clock: systemClock, beatMs: 50, log }
  const told = async <T>(method: string, answer: () => T): Promise<T> => {
    asked[method] = (asked[method] ?? 0) + 1
    while (master.frozen) await new Promise((done) => setTimeout(done, 20))
    return answer()
  }
  const advance = (request: Submit): QueryStatus => {
    const previous = cluster.queries.get(request.queryId) ?? null
    const status = statusOf(request, cluster.script(request, previous))
    cluster.queries.set(request.queryId, status)
    return status
  }
  const service = { epoch: 1, address: 'fake:1', inFlight: 0 }
  const client = rpcServer(
    'client',
    {
      status: () => told('status', () => service),
      beginLogIn: () => {
        throw new Error('nobody logs in')
      },
      endLogIn: () => {
        throw new Error('nobody logs in')
      },
      masters: () => told('masters', () => ({ masters: cluster.masters })),
      workers: () => ({ workers: [] }),
      submit: (request) =>
        told('submit', () => {
          cluster.submitted.push(request)
          return advance(request)
        }),
      wait: ({ queryId }) =>
        told('wait', () => {
          const request = cluster.submitted.findLast((one) => one.queryId === queryId)
          return cluster.queries.has(queryId) && request !== undefined ? advance(request) : null
        }),
      kill: ({ queryId }) =>
        told('kill', () => {
          cluster.killed.push(queryId)
          return cluster.queries.get(queryId) ?? null
        }),
      queries: () =>
        told('queries', () => {
          if (cluster.history.of === 'active') gate.enter()
          return { queries: cluster.history.records }
        }),
    },
    options,
  )
  const catalog = rpcServer(
    'catalog',
    {
      status: () => service,
      databases: () => told('databases', () => ({ databases: Object.keys(cluster.tables) })),
      tables: ({ database }) => told('tables', () => ({ tables: cluster.tables[database] ?? [] })),
      resolve: () => ({ tables: [], files: [], next: null }),
      moreFiles: () => ({ files: [], next: null }),
      seesFiles: () => ({ sees: false }),
    },
    options,
  )
  const [clientUrl, catalogUrl] = await Promise.all(
    [client, catalog].map(async (app) =>
      app.listen({ port: await freePortRow(1), host: '127.0.0.1' }),
    ),
  )
  cluster.masters.push(String(clientUrl).replace('http://', ''))
  let closing: Promise<unknown> | null = null
  const master: FakeMaster = {
    client: String(clientUrl).replace('http://', ''),
    catalog: String(catalogUrl).replace('http://', ''),
    active: true,
    hint: null,
    frozen: false,
    asked,
    async close() {
      master.frozen = false
      closing ??= Promise.all([client.close(), catalog.close()])
      await closing
    },
  }
  t.teardown(() => master.close())
  return master
}

export interface FakeWorker {
  readonly address: string
  /** Connections that are open now. */
  readonly sockets: ReadonlySet<Duplex>
  fetches: number
  close(): Promise<void>
}

/** What a worker says: lines as they stand in the contract; a function may write and wait by itself. */
export type Say = (response: ServerResponse, fetch: { queryId: string }) => Promise<void> | void

export const sayLines =
  (...lines: readonly unknown[]): Say =>
  (response) => {
    for (const line of lines) response.write(`${JSON.stringify(line)}\n`)
    response.end()
  }

export async function fakeWorker(
  t: Test,
  say: Say,
  { clusterId = FAKE_CLUSTER } = {},
): Promise<FakeWorker> {
  const sockets = new Set<Duplex>()
  const { key, chain } = await testCertificate(clusterId)
  const server = createServer({ key, cert: chain }, (request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      worker.fetches += 1
      response.on('error', () => {})
      response.writeHead(200, {
        'content-type': 'application/x-ndjson',
        'x-tajo-cluster': clusterId,
      })
      response.flushHeaders()
      void say(response, JSON.parse(body))
    })
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  const port = await freePortRow(1)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const worker: FakeWorker = {
    address: `127.0.0.1:${port}`,
    sockets,
    fetches: 0,
    async close() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
  t.teardown(() => worker.close())
  return worker
}
