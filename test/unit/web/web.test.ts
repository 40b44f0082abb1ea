/** The info port over made-up facts: pages that do not read, too many of them, files, tokens, filters, judgements. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import { type HistoryEntry, makeTiming } from '../../../lib/ha/index.ts'
import { whyBegan } from '../../../lib/master/activation-time.ts'
import { PeerNews } from '../../../lib/master/network/heard.ts'
import type { QueryServices } from '../../../lib/master/queries/services.ts'
import { alertsOf, spaceAlerts } from '../../../lib/master/view/alerts.ts'
import { missingOf } from '../../../lib/master/view/cluster-document.ts'
import { HistoryCache } from '../../../lib/master/view/history-cache.ts'
import { ifActiveDied } from '../../../lib/master/view/if-active-died.ts'
import { LeaseRecord } from '../../../lib/master/view/lease-record.ts'
import { MasterWeb } from '../../../lib/master/view/master-web.ts'
import { hostNameOf, RpcError } from '../../../lib/rpc/index.ts'
import { limitedServer } from '../../../lib/serve/index.ts'
import { ACTIVE_ONLY, ActiveOnly } from '../../../lib/web/active-only.ts'
import { adminToken, isAdmin, pageOrigins, sqlModeFor } from '../../../lib/web/callers.ts'
import { COMMON_HEADERS } from '../../../lib/web/headers.ts'
import { Metrics } from '../../../lib/web/metrics.ts'
import { openApi, ROUTES } from '../../../lib/web/openapi.ts'
import { acceptsGzip, PageFiles } from '../../../lib/web/page-files.ts'
import { pageOfQueries, queryFilter } from '../../../lib/web/query-page.ts'
import { events } from '../../../lib/web/schemas.ts'
import { addWebRoutes, type WebDoor } from '../../../lib/web/server.ts'
import type {
  ClusterDocument,
  MasterRow,
  MetricsFacts,
  QueryRow,
  WebView,
} from '../../../lib/web/view.ts'
import { FakeMember, peerAt } from '../../support/fake-member.ts'
import { FAKE_CLUSTER, fakeCluster } from '../../support/fake-queries.ts'
import { freePortRow } from '../../support/free-ports.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { until } from '../../support/until.ts'

const timing = makeTiming(5000)

const master = (n: number, more: Partial<MasterRow> = {}): MasterRow => ({
  address: `host${n}:26001`,
  state: 'backup',
  self: false,
  epoch: 1,
  heartbeatAgeMs: 100,
  leaseMarginMs: null,
  lastRenewalMs: 1,
  priority: 100,
  version: '1',
  hostname: `host${n}`,
  pid: 1,
  page: `http://host${n}:26080/`,
  connected: true,
  clockOffsetMs: 0,
  problem: null,
  addresses: {
    umbilical: `host${n}:26001`,
    clientRpc: `host${n}:26002`,
    resourceTracker: `host${n}:26003`,
    catalog: `host${n}:26005`,
    infoHttp: `host${n}:26080`,
  },
  ...more,
})

const CLUSTER = '00000000-0000-4000-8000-00000000000c'
const OTHER = '00000000-0000-4000-8000-00000000000d'

const query = (n: number, more: Partial<QueryRow> = {}): QueryRow => ({
  queryId: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
  attempt: 1,
  sql: `SELECT ${n}`,
  user: 'me',
  database: 'default',
  kind: 'select',
  state: 'succeeded',
  submittedMs: 1e12 - n,
  startedMs: null,
  finishedMs: null,
  progress: 1,
  rows: 1,
  message: null,
  error: null,
  worker: null,
  master: 'host1:26001',
  epoch: 1,
  ...more,
})

function viewOf(queries: QueryRow[], listeners: Set<() => void>, problem: string | null): WebView {
  const cluster = {
    ...{ clusterId: CLUSTER, epoch: 1, active: 'host1:26001', self: 'host1:26001' },
    workerCounts: { live: 0, silent: 0, slots: 0, running: 0 },
    ...{ masters: [master(1)], workers: [], alerts: [], problem, warnings: [] },
  } as unknown as ClusterDocument
  return {
    ...{ serving: () => true, state: () => 'active', self: 'host1:26001' },
    clusterId: () => CLUSTER,
    cluster: async () => cluster,
    history: async () => [],
    lease: () => ({ bucketMs: 1000, deadlineMs: null, renewMs: null, masters: [] }),
    queries: async () => queries,
    hostNames: () => new Set(['host1']),
    pages: () => ['host1:26080', 'host2:26080'],
    secret: () => 's',
    onChange: (listener: () => void) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  } as unknown as WebView
}

async function serve(
  t: Test,
  options: { problem?: string; files?: PageFiles } = {},
): Promise<{
  app: FastifyInstance
  door: WebDoor
  port: number
  view: WebView
  change: () => void
}> {
  const log = (): void => {}
  const app = limitedServer({
    log,
    term: () => 1,
    clusterId: () => CLUSTER,
    headers: COMMON_HEADERS,
  })
  const listeners = new Set<() => void>()
  const view = viewOf([], listeners, options.problem ?? null)
  const door = addWebRoutes(app, {
    view,
    rules: { sql: 'read', sqlFromHereOnly: false, admin: false, authentication: 'none' },
    metrics: new Metrics(),
    version: '1',
    clock: systemClock,
    log,
    ...(options.files === undefined ? {} : { files: options.files }),
  })
  const port = await freePortRow(1)
  await app.listen({ host: '127.0.0.1', port })
  t.teardown(async () => {
    door.close('over')
    await app.close()
  })
  const change = (): void => {
    for (const listener of listeners) listener()
  }
  return { app, door, port, view, change }
}

t.test('requests that only the active master may answer', async (t) => {
  const clock = new HandClock()
  const now = { serving: true, elsewhere: false }
  const view = {
    serving: () => now.serving,
    activeElsewhere: () => now.elsewhere,
    clusterId: () => CLUSTER,
  }
  const door = new ActiveOnly({ view: view as WebView, clock })
  const raw = { destroyed: false }
  const ask = (headers: Record<string, string> = { [ACTIVE_ONLY]: '1' }) => {
    const asked = { outcome: 'kept' }
    door.admit({ headers, raw } as unknown as FastifyRequest).then(
      () => {
        asked.outcome = 'admitted'
      },
      ({ code }: { code: string }) => {
        asked.outcome = code
      },
    )
    return asked
  }
  const served = ask()
  now.serving = false
  const plain = ask({})
  await clock.advance(0)
  t.equal(served.outcome, 'admitted')
  t.equal(plain.outcome, 'admitted', 'without the header any master answers')
  now.serving = true
  const [ours, theirs] = [CLUSTER, OTHER].map((id) => ask({ [ACTIVE_ONLY]: id }))
  await clock.advance(0)
  t.equal(ours?.outcome, 'admitted')
  t.equal(theirs?.outcome, 'UNAVAILABLE', "the proxy's next one may be of that cluster")
  const upper = ask({ [ACTIVE_ONLY]: CLUSTER.toUpperCase() })
  const upperOther = ask({ [ACTIVE_ONLY]: OTHER.toUpperCase() })
  const malformed = ['', 'yes', `${CLUSTER}0`, `${CLUSTER}, ${OTHER}`, '-'.repeat(36)]
  const odd = malformed.map((text) => ask({ [ACTIVE_ONLY]: text }))
  await clock.advance(0)
  t.equal(upper.outcome, 'admitted', 'an id in capitals is the same id')
  t.equal(upperOther.outcome, 'UNAVAILABLE')
  for (const { outcome } of odd) t.equal(outcome, 'BAD_REQUEST', 'what is no id means nobody')
  now.serving = false

  now.elsewhere = true
  const misled = ask()
  await clock.advance(100)
  t.equal(misled.outcome, 'kept', 'the active one may have died a moment ago')
  await clock.advance(150)
  t.equal(misled.outcome, 'UNAVAILABLE')

  now.elsewhere = false
  const between = ask()
  await clock.advance(2000)
  t.equal(between.outcome, 'kept')
  now.serving = true
  await clock.advance(30)
  t.equal(between.outcome, 'admitted', 'this master has taken over')

  now.serving = false
  const orphan = ask()
  await clock.advance(4000)
  t.equal(orphan.outcome, 'kept')
  await clock.advance(1500)
  t.equal(orphan.outcome, 'UNAVAILABLE')

  const crowd = Array.from({ length: 1001 }, () => ask())
  await clock.advance(0)
  t.equal(crowd[0]?.outcome, 'kept')
  t.equal(crowd[1000]?.outcome, 'UNAVAILABLE', 'too many')
  raw.destroyed = true
  await clock.advance(15)
  t.equal(crowd[0]?.outcome, 'UNAVAILABLE', 'nobody waits for it any more')

  raw.destroyed = false
  const last = ask()
  door.close()
  await clock.advance(0)
  t.equal(last.outcome, 'UNAVAILABLE', 'this master stops')
  const later = ask()
  await clock.advance(0)
  t.equal(later.outcome, 'UNAVAILABLE')
})

t.test('an answer that is ready when the role is gone is not sent', async (t) => {
  const { app, view } = await serve(t)
  const headers = { host: 'host1', [ACTIVE_ONLY]: '1' }
  const ask = (url: string) => app.inject({ url, headers })
  t.match(await ask('/api/v1/queries'), { statusCode: 200, json: Function })
  let serving = true
  view.serving = () => serving
  view.queries = async () => {
    serving = false
    return []
  }
  const late = await ask('/api/v1/queries')
  t.equal(late.statusCode, 503)
  t.match(late.json(), { code: 'UNAVAILABLE', message: 'this master is not the active one' })
  serving = true
  t.equal(
    (await app.inject({ url: '/api/v1/queries', headers: { host: 'host1' } })).statusCode,
    200,
  )
})

t.test('a page that does not read is cut off, others go on', async (t) => {
  const { door, port, change } = await serve(t, { problem: 'x'.repeat(200_000) })
  const deaf = connect(port, '127.0.0.1')
  deaf.pause()
  deaf.on('error', () => {})
  deaf.write('GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n')
  const stop = new AbortController()
  const good = await fetch(`http://127.0.0.1:${port}/api/v1/events`, { signal: stop.signal })
  let read = 0
  const reading = (async () => {
    for await (const chunk of good.body ?? []) read += chunk.length
  })().catch(() => {
    // Its end is ours.
  })
  await until('both are there', () => door.pages === 2)
  await until('the deaf one is gone', () => {
    change()
    return door.pages === 1
  })
  const before = read
  change()
  await until('the other one still hears', () => read > before)
  stop.abort()
  await reading
  await until('nobody is left', () => door.pages === 0)
  deaf.destroy()
})

t.test(
  'every event is as described, also while the active master has not said how many workers it has',
  async (t) => {
    const { door, port, view, change } = await serve(t)
    const cluster = await view.cluster()
    let workerCounts: ClusterDocument['workerCounts'] = null
    view.cluster = async () => ({ ...cluster, workerCounts })
    const page = await fetch(`http://127.0.0.1:${port}/api/v1/events`)
    let text = ''
    const reading = (async () => {
      for await (const chunk of page.body?.pipeThrough(new TextDecoderStream()) ?? []) text += chunk
    })()
    await until('it has a snapshot', () => text.includes('event: queries'))
    workerCounts = { live: 1, silent: 0, slots: 4, running: 0 }
    change()
    await until('the workers are told', () => text.includes('"slots":4'))
    door.close('over')
    await reading
    const told = [...text.matchAll(/^event: workers\ndata: (.*)$/gm)].map(([, data]) => data)
    t.same(
      told.map((data) => events.workers.safeParse(JSON.parse(data ?? '')).success),
      [true, true],
    )
    t.match(told, ['null', /"live":1/])
  },
)

t.test(
  'a page lives on while the list of queries can not be told, and gets it later',
  async (t) => {
    const { app, door, port, view } = await serve(t)
    view.queries = async () => {
      throw new RpcError('UNAVAILABLE', 'only the active knows')
    }
    const asked = await app.inject({ url: '/api/v1/queries', headers: { host: 'host1' } })
    t.equal(asked.statusCode, 503)
    t.match(asked.json(), { code: 'UNAVAILABLE', message: 'only the active knows' })
    const page = await fetch(`http://127.0.0.1:${port}/api/v1/events`)
    let text = ''
    const reading = (async () => {
      for await (const chunk of page.body?.pipeThrough(new TextDecoderStream()) ?? []) text += chunk
    })()
    await until('it has a snapshot', () => text.includes('event: workers'))
    t.notMatch(text, 'event: queries', 'an empty list would be a lie')
    const lease = { address: 'host1:26001', samples: [[1, 2, 3] as [number, number, number]] }
    view.lease = () => ({
      ...{ bucketMs: 1000, deadlineMs: null, renewMs: null },
      masters: [{ ...lease, samples: [...lease.samples, ...lease.samples] }],
    })
    await until('it is told other things', () => text.includes('event: lease'))
    view.queries = async () => [query(1)]
    await until('and then the queries', () => text.includes('event: queries'))
    door.close('over')
    await reading
  },
)

t.test('pages are counted, and told when the master ends', async (t) => {
  const { door, port } = await serve(t)
  const url = `http://127.0.0.1:${port}/api/v1/events`
  const stop = new AbortController()
  const pages = await Promise.all(
    Array.from({ length: 200 }, () => fetch(url, { signal: stop.signal })),
  )
  t.equal(door.pages, 200)
  t.equal((await fetch(url)).status, 503, 'one too many')
  door.close('it stops')
  const text = await (pages[7] as Response).text()
  t.match(text, /^retry: 500\n\nevent: cluster\n/)
  t.match(text, /event: bye\ndata: \{"reason":"it stops"\}\n\n$/)
  t.equal((await fetch(url)).status, 503, 'no more')
  stop.abort()
})

t.test('files of the page: only what was there, compressed, kept by digest', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tajo-page-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'index.html'), '<!DOCTYPE html>')
  writeFileSync(join(folder, 'types.d.ts'), 'secret')
  const { app } = await serve(t, { files: new PageFiles(folder) })
  const page = await app.inject({ url: '/', headers: { 'accept-encoding': 'gzip', host: 'host1' } })
  t.equal(gunzipSync(page.rawPayload).toString(), '<!DOCTYPE html>')
  t.match(page.headers['content-security-policy'], /connect-src 'self' .*http:\/\/host2:26080/)
  const etag = String(page.headers.etag)
  const again = await app.inject({ url: '/', headers: { 'if-none-match': etag } })
  t.equal(again.statusCode, 304)
  for (const url of ['/page/types.d.ts', '/page/..%2f..%2fpackage.json', '/page/nix.js']) {
    t.equal((await app.inject({ url })).statusCode, 404, url)
  }
})

t.test('whether the compressed copy is taken', (t) => {
  for (const yes of [
    'gzip',
    'br, GZIP ; q=0.5',
    'deflate, gzip;q=1.0, *;q=0',
    '*',
    'br;q=1, *;q=0.1',
  ])
    t.ok(acceptsGzip(yes), yes)
  for (const no of [
    undefined,
    '',
    'identity',
    'gzip;q=0',
    'gzip; q=0.000, *',
    '*;q=0',
    'gzip;q=x',
    'gzipped',
  ])
    t.notOk(acceptsGzip(no), String(no))
  t.end()
})

t.test('what no route is asked about is answered like all else', async (t) => {
  const { app } = await serve(t)
  const host = 'host1'
  const json = { host, 'content-type': 'application/json' }
  const kill = '/api/v1/queries/00000000-0000-4000-8000-000000000000/kill'
  const asked = [
    [400, 'BAD_REQUEST', { url: '/api/v1/catalog/%E0%A4%A' }],
    [414, 'BAD_REQUEST', { url: `/api/v1/catalog/${'n'.repeat(201)}` }],
    [404, 'NOT_FOUND', { url: '/api/v1/nix' }],
    [404, 'NOT_FOUND', { url: '/api/v1/catalog/default/sales' }],
    [405, 'BAD_REQUEST', { method: 'DELETE', url: '/api/v1/catalog/default?x=1' }, 'GET, HEAD'],
    [405, 'BAD_REQUEST', { url: kill }, 'POST'],
    [413, 'BAD_REQUEST', { method: 'POST', url: kill, payload: `"${'x'.repeat(20_000)}"` }],
    [400, 'BAD_REQUEST', { method: 'POST', url: kill, payload: '{' }],
  ] as const
  for (const [status, code, what, allow] of asked) {
    const answer = await app.inject({ headers: 'payload' in what ? json : { host }, ...what })
    t.equal(answer.statusCode, status, what.url)
    t.match(answer.json(), { code, message: /./, active: null, epoch: 1 })
    t.equal(answer.headers.allow, allow)
    t.match(answer.headers, COMMON_HEADERS, 'a browser is told as little as by all else')
  }
})

t.test('admin orders are refused where the configuration is silent about them', async (t) => {
  const { app } = await serve(t)
  const payload = '{}'
  const headers = { 'content-type': 'application/json', host: 'host1' }
  for (const name of ['hand-over', 'take-over']) {
    const url = `/api/v1/admin/${name}`
    t.equal((await app.inject({ method: 'POST', url, headers, payload })).statusCode, 403)
  }
  const token = adminToken('secret')
  t.ok(isAdmin(`Bearer ${token}`, 'secret'))
  for (const wrong of [undefined, '', token, `Bearer ${token}x`, 'Bearer ', `Basic ${token}`]) {
    t.notOk(isAdmin(wrong, 'secret'), String(wrong))
  }
  t.notMatch(token, 'secret')
})

t.test('every route of the description is there, and no other answers', async (t) => {
  const { app } = await serve(t)
  const described = JSON.parse(openApi('1'))
  for (const { method, path } of ROUTES) {
    const url = path.replace(/\{(\w+)\}/g, ':$1')
    t.ok(app.hasRoute({ method: method.toUpperCase(), url }), `${method} ${path}`)
    t.ok(described.paths[path][method].responses[200])
  }
})

t.test('who asks: names, origins, this host', (t) => {
  t.equal(hostNameOf('Host1:26080'), 'host1')
  t.equal(hostNameOf('[::1]:80'), '::1')
  t.same(pageOrigins('127.0.0.1:26080', ['host1:26080', 'host2:27080', 'torn']), [
    'http://host1:26080',
    'http://127.0.0.1:26080',
    'http://host2:27080',
    'http://127.0.0.1:27080',
  ])
  t.same(
    pageOrigins("x'; script-src *", ['host1:26080']),
    ['http://host1:26080'],
    'no policy leaks',
  )
  const here = { sql: 'all', sqlFromHereOnly: true, admin: false, authentication: 'none' } as const
  t.equal(sqlModeFor('10.0.0.7', here), 'off')
  for (const ip of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) t.equal(sqlModeFor(ip, here), 'all')
  t.end()
})

t.test('who names a cluster is answered by a master of that one only', async (t) => {
  const { port } = await serve(t)
  const ask = async (path: string, options: RequestInit = {}) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, options)
    t.equal(answer.headers.get('x-tajo-cluster'), CLUSTER, 'each answer says whose it is')
    return { status: answer.status, text: await answer.text() }
  }
  for (const path of ['/health/active', '/health/live', '/api/v1/cluster', '/metrics', '/', '/x']) {
    const { status, text } = await ask(`${path}?cluster=${OTHER}`)
    t.equal(status, 409, path)
    t.match(text, `this is cluster ${CLUSTER}, and the message is for ${OTHER}`)
  }
  t.equal((await ask(`/health/active?cluster=${CLUSTER}`)).status, 200)
  t.equal((await ask(`/health/active?cluster=${CLUSTER.toUpperCase()}`)).status, 200)
  t.equal((await ask('/health/active')).status, 200, 'who names none reads what the address tells')
  t.equal((await ask('/health/active', { headers: { 'x-tajo-cluster': OTHER } })).status, 409)
  t.equal((await ask('/health/active?cluster=')).status, 400, 'a variable that was never set')
  t.equal((await ask(`/health/active?cluster=${CLUSTER}&cluster=${OTHER}`)).status, 400)
  const headers = { 'content-type': 'application/json', origin: `http://127.0.0.1:${port}` }
  const kill = `/api/v1/queries/${query(1).queryId}/kill`
  const old = await ask(kill, { method: 'POST', headers, body: '{}' })
  t.match(old, { status: 400, text: /of an older state.*reload it/ })
})

t.test('queries by page and filter', (t) => {
  const rows = Array.from({ length: 120 }, (_, n) =>
    query(n, { state: n % 10 === 0 ? 'failed' : 'succeeded' }),
  )
  const page = pageOfQueries(rows, queryFilter({ limit: '5', offset: '5', state: 'failed' }))
  t.match(page, { total: 12, offset: 5, counts: { failed: 12, succeeded: 108 } })
  t.equal(page.queries.length, 5)
  t.equal(page.queries[0]?.sql, 'SELECT 50')
  t.equal(pageOfQueries(rows, queryFilter({ search: 'select 11' })).total, 11)
  for (const wrong of [{ limit: '0' }, { limit: ['1', '2'] }, { state: 'x' }, { offset: '-1' }]) {
    t.throws(() => queryFilter(wrong), { code: 'BAD_REQUEST' })
  }
  t.throws(() => queryFilter({ search: 'x'.repeat(201) }), { code: 'BAD_REQUEST' })
  t.end()
})

t.test('if the active died now', (t) => {
  const active = master(1, { state: 'active' })
  const judge = (masters: MasterRow[], more = {}) =>
    ifActiveDied({
      ...{ masters, active: active.address, storage: 'ok' as const, timing, problem: null },
      ...more,
    })
  t.same(judge([active, master(3), master(2), master(4, { priority: 200 })]), {
    successor: 'host4:26001',
    processDeathMs: 750,
    hostLossMs: 4100,
    why: null,
  })
  t.equal(judge([active, master(3), master(2)]).successor, 'host2:26001', 'by address then')
  const barred = master(2, { problem: 'this master stood down' })
  t.equal(judge([active, master(3), barred]).successor, 'host3:26001')
  t.match(judge([active, barred]).why, /host2:26001: this master stood down/)
  t.match(judge([active]).why, /no backup master/)
  t.match(judge([active, master(2, { priority: 0 })]).why, /priority 0/)
  const silent = { connected: false, heartbeatAgeMs: 9000 }
  t.match(judge([active, master(2, silent)]).why, /host2:26001 \(backup\) shows no fresh/)
  t.match(judge([active, master(2)], { timing: null }).why, /high availability is off/)
  t.match(judge([active, master(2)], { storage: 'unreadable' }).why, /blind/)
  t.match(judge([active, master(2)], { storage: 'unwritable' }).why, /cannot be written/)
  t.match(judge([master(2)], { active: null, problem: 'so it is' }).why, /so it is/)
  t.end()
})

/** Of term 1. */
const servedAt = (at: string): HistoryEntry =>
  ({ term: { term: 1 }, served: { servedAt: at } }) as unknown as HistoryEntry

t.test('whoever asks once hears no old news, and waits for nobody who is silent', async (t) => {
  const clock = new HandClock()
  const member = new FakeMember(26001)
  let answer = async (): Promise<QueryRow[]> => [query(1)]
  const web = new MasterWeb({
    ...{ self: 'localhost:26001', joined: () => member, isJoined: () => true },
    own: () => ({
      ...{ serving: true, term: 1, pid: 1, clusterId: 'c' },
      ...{ rootDirectory: '/r', directoryWarnings: [], warnings: [], trouble: null },
      ...{ givenUp: null, foreign: [] },
    }),
    ...{ state: () => 'active', serving: () => true, peers: () => null },
    ...{ news: new PeerNews(clock.nowMs), record: new LeaseRecord(clock.nowMs) },
    history: new HistoryCache(async () => [servedAt('2026-11-27T12:00:00.000Z')], clock),
    queries: { newest: () => answer(), workers: () => [] } as unknown as QueryServices,
    metrics: () => ({}) as MetricsFacts,
    config: () => ({ confDir: '', settings: [] }),
    ...{
      listed: () => [],
      names: () => [],
      secret: () => 's',
      authority: () => null,
      timing,
      clock,
      wallMs: clock.nowMs,
    },
  })
  t.equal((await web.cluster()).queryCounts, null, 'not known yet, which is not zero')
  member.active = peerAt(26001, { state: 'active' })
  const first = await web.cluster(300)
  t.equal(first.queryCounts?.succeeded, 1)
  t.equal(first.activeSinceMs, Date.parse('2026-11-27T12:00:00.000Z'))
  await clock.advance(60_000)
  answer = async () => [query(1), query(2)]
  t.equal((await web.cluster(300)).queryCounts?.succeeded, 2, 'the first answer after a rest')

  await clock.advance(60_000)
  answer = () => new Promise(() => {})
  const asked = web.cluster(300)
  await clock.advance(300)
  t.equal((await asked).queryCounts, null, 'what is a minute old is left out')
  await web.close()
})

t.test('where only the active knows the queries a backup shows what he tells', async (t) => {
  const cluster = fakeCluster()
  const active = await cluster.master(t)
  const record = query(1)
  cluster.history = { of: 'active', records: [record] }
  const member = new FakeMember(26001)
  const view = member.view()
  const addresses = {
    ...view.self.addresses,
    ...{ clientRpc: active.client, catalog: active.catalog },
  }
  member.view = () => ({ ...view, self: { ...view.self, addresses } })
  const refused = new RpcError('NOT_ACTIVE', 'only the active knows', { active: active.client })
  const web = new MasterWeb({
    authority: () => null,
    ...{ self: 'localhost:26001', joined: () => member, isJoined: () => true },
    own: () => ({
      ...{ serving: false, term: 1, pid: 1, clusterId: FAKE_CLUSTER },
      ...{ rootDirectory: '/r', directoryWarnings: [], warnings: [], trouble: null },
      ...{ givenUp: null, foreign: [] },
    }),
    ...{ state: () => 'backup', serving: () => false, peers: () => null },
    ...{ news: new PeerNews(systemClock.nowMs), record: new LeaseRecord(systemClock.nowMs) },
    history: new HistoryCache(async () => [], systemClock),
    queries: {
      newest: () => Promise.reject(refused),
      workers: () => [],
    } as unknown as QueryServices,
    metrics: () => ({}) as MetricsFacts,
    config: () => ({ confDir: '', settings: [] }),
    ...{
      listed: () => [],
      names: () => [],
      secret: () => 's',
      timing,
      clock: systemClock,
      wallMs: Date.now,
    },
  })
  t.same(await web.queries(10), [record])
  t.same(await web.queries(10), [record])
  t.equal(active.asked.queries, 1, 'many pages are one question')
  active.active = false
  const unknown = async (): Promise<boolean> =>
    web.queries(10).then(
      () => false,
      ({ code, message }) => code === 'UNAVAILABLE' && message === 'only the active knows',
    )
  await until('nobody knows them', unknown)
  await web.close()
})

t.test('what an operator should look at', (t) => {
  const facts = {
    ...{ masters: [master(1), master(2)], active: 'host1:26001', problem: null },
    ...{ storage: 'ok' as const, space: null, timing, storageWarnings: [], splitBrain: [] },
    storageDangers: [],
    ...{ queued: 0, slowActivation: null },
    network: null,
    workers: [],
    ...{ slowest: new Map([['host1:26001', 3]]), liveWorkers: 1, missing: [] },
    foreign: [],
    astray: [],
    directories: [],
  }
  const stuck = { address: 'w1:28091', host: 'w1', trouble: 'its mount hangs' }
  t.match(alertsOf({ ...facts, workers: [stuck] }), [
    { kind: 'worker-storage', text: 'worker w1:28091 on w1 gets no queries: its mount hangs' },
  ])
  t.same(alertsOf(facts), [])
  const kinds = (more: object): string[] =>
    alertsOf({ ...facts, ...more }).map(({ kind, level }) => `${level} ${kind}`)
  t.same(kinds({ masters: [master(1)] }), ['warning one-master'])
  t.same(kinds({ timing: null }), ['warning one-master'])
  t.same(kinds({ missing: ['host3:26001'] }), ['warning master-missing'])
  const astray = { address: 'host3:26001', level: 'critical', text: '…' }
  t.same(kinds({ missing: ['host3:26001', 'host4:26001'], directories: [astray] }), [
    'critical other-directory',
    'warning master-missing',
  ])
  t.same(kinds({ foreign: ['host3:26001 …'] }), ['critical other-cluster'])
  const alone = alertsOf({ ...facts, masters: [master(1)], missing: ['host2:26001'] })
  t.match(alone, [
    { text: /^host2:26001 is in conf\/masters/ },
    { text: 'this is the only master' },
  ])
  const known = [master(1), master(2, { address: 'localhost:26001', hostname: 'host2.example' })]
  const listed = ['host1:26001', 'host2:26001', 'host2:27001', 'host3:26001']
  t.same(missingOf(listed, known), ['host2:27001', 'host3:26001'])
  t.same(kinds({ queued: 3, liveWorkers: null }), ['info queries-queued'])
  t.same(kinds({ slowest: new Map([['host1:26001', 130]]) }), ['warning storage-slow'])
  t.same(kinds({ masters: [master(1), master(2, { clockOffsetMs: -1500 })] }), [
    'warning clocks-apart',
  ])
  t.same(kinds({ masters: [master(1), master(2, { connected: false })] }), [
    'warning not-connected',
  ])
  t.same(kinds({ slowActivation: 'it took 5 s' }), ['warning activation-slow'])
  t.same(kinds({ queued: 3 }), ['info queries-queued'])
  t.same(kinds({ queued: 3, liveWorkers: 0 }), ['warning queries-queued'])
  t.same(kinds({ storageDangers: ['a soft mount'] }), ['critical storage'])
  const none = alertsOf({ ...facts, queued: 3, liveWorkers: 0, workers: [stuck] })
  t.match(none.at(-1), {
    text: '3 queries wait and none of the registered workers (1) takes any',
  })
  t.same(kinds({ active: null, problem: 'x', splitBrain: ['y'], storageWarnings: ['z'] }), [
    'critical split-brain',
    'critical no-active',
    'warning storage',
  ])
  t.same(kinds({ active: null, problem: 'x', storage: 'unwritable' }), ['critical storage'])
  const row = master(2, { problem: 'ENOSPC' })
  t.match(alertsOf({ ...facts, active: null, problem: 'x', masters: [master(1), row] }), [
    { kind: 'no-active', text: 'x' },
    { kind: 'no-active', level: 'critical', text: 'host2:26001 says: ENOSPC' },
  ])
  t.same(alertsOf({ ...facts, masters: [master(1), row] }), [], 'of no interest while one serves')
  const still = { ...row, heartbeatAgeMs: timing.patienceMs + 1 }
  t.match(
    alertsOf({ ...facts, masters: [master(1), still] }),
    [
      {
        kind: 'backup-hindered',
        level: 'warning',
        text: `${row.address} on ${row.hostname} can't`,
      },
    ],
    'unless it shows no sign of life in the shared directory',
  )
  t.end()
})

t.test('the room of the shared directory: told before it is used up, and when it is', (t) => {
  const space = {
    ...{ freeBytes: 3_000_000, totalBytes: 1e9, freeFiles: 40, totalFiles: 1000 },
    ...{ need: { bytes: 90_112, files: 17 }, low: { bytes: false, files: false }, refused: null },
  }
  const takeOvers = true
  t.same(spaceAlerts(null, { takeOvers }), [])
  t.same(spaceAlerts(space, { takeOvers }), [])
  t.match(spaceAlerts({ ...space, low: { bytes: true, files: true } }, { takeOvers }), [
    { kind: 'storage-low', level: 'warning', text: /has 2\.9 MB of 953\.7 MB left.* 88\.0 KB/ },
    { kind: 'storage-low', level: 'warning', text: /has 40 of 1000 inodes left.* the 17 / },
  ])
  t.match(spaceAlerts({ ...space, refused: 'EDQUOT: disk quota exceeded' }, { takeOvers }), [
    { kind: 'storage-full', level: 'critical', text: /takes nothing more.*EDQUOT/ },
  ])
  t.end()
})

t.test('the lease by the second, bounded; clocks by the fastest line; why a term began', (t) => {
  let now = 1_000_000
  const record = new LeaseRecord(() => now)
  record.note('a', { renewalMs: 2, marginMs: 2000 })
  record.note('a', { renewalMs: 5.123456, marginMs: 1500 })
  record.note('b', { renewalMs: null, marginMs: null })
  t.same(record.secondsOf('a'), [{ atMs: 1_000_000, renewalMs: 5.12, marginMs: 1500 }])
  t.same(record.addresses(), ['a'])
  for (let n = 0; n < 2000; n += 1) {
    now += 1000
    record.note('a', { renewalMs: 1, marginMs: null })
  }
  t.equal(record.secondsOf('a').length, 900)
  t.same(record.worst('a', 60_000), { renewalMs: 1, marginMs: null })
  for (let n = 0; n < 100; n += 1) record.note(`m${n}`, { renewalMs: 1, marginMs: null })
  t.equal(record.addresses().length, 32)

  const news = new PeerNews(() => now)
  const line = { address: 'a', state: 'backup', serving: false, epoch: 1, active: null } as const
  t.equal(news.clockOffsetMs('a'), null)
  for (const offset of [-900, -20, -300]) news.heard({ ...line, wallMs: now + offset })
  t.equal(news.clockOffsetMs('a'), -20)

  const term = { reason: 'released' } as Parameters<typeof whyBegan>[0]['term']
  const served = { previousEnd: { reason: 'master-died' } }
  t.equal(whyBegan({ term, served } as Parameters<typeof whyBegan>[0]), 'master-died')
  t.equal(whyBegan({ term: { ...term, reason: 'expired' }, served: null }), 'expired')
  t.end()
})
