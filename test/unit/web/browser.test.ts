/**
 * A browser as a bridge into the network: whoever has a name point at an address of the cluster's (DNS rebinding), and
 * whoever's page is open beside ours, reads nothing here.
 */
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import { Guard, limitedServer, rpcServer } from '../../../lib/serve/index.ts'
import { COMMON_HEADERS } from '../../../lib/web/headers.ts'
import { Metrics } from '../../../lib/web/metrics.ts'
import { addWebRoutes } from '../../../lib/web/server.ts'
import type { ClusterDocument, WebView } from '../../../lib/web/view.ts'
import { addInfoRoutes } from '../../../lib/worker/info-routes.ts'
import { freePortRow } from '../../support/free-ports.ts'
import { askKeyed } from '../../support/keyed.ts'

const CLUSTER = '00000000-0000-4000-8000-00000000000c'
const log = (): void => {}
const KEY = 'tajo.master.info-http.names'

const server = () =>
  limitedServer({ log, term: () => 1, clusterId: () => CLUSTER, headers: COMMON_HEADERS })

/** The info port of a master on host1, whose cluster is called `tajo.example` as well. */
async function infoPort(t: Test): Promise<number> {
  const app = server()
  const view = {
    ...{ serving: () => true, state: () => 'active', self: 'host1:26001' },
    clusterId: () => CLUSTER,
    cluster: async () => ({ masters: [], workers: [], alerts: [] }) as unknown as ClusterDocument,
    history: async () => [],
    queries: async () => [],
    config: () => ({ confDir: '/conf', settings: [] }),
    metrics: () => {
      throw new Error('not of interest here')
    },
    hostNames: () => new Set(['host1', 'tajo.example']),
    pages: () => ['host1:26080', 'host2:26080'],
    onChange: () => () => {},
  } as unknown as WebView
  const door = addWebRoutes(app, {
    ...{ view, log, metrics: new Metrics(), version: '1', clock: systemClock },
    rules: { sql: 'read', sqlFromHereOnly: false, admin: false, authentication: 'none' },
  })
  const port = await freePortRow(1)
  await app.listen({ host: '127.0.0.1', port })
  t.teardown(async () => {
    door.close('over')
    await app.close()
  })
  return port
}

/** Status line, headers and body as they come, up to the end of the connection. */
function asked(port: number, lines: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
    })
    socket.on('error', reject).on('close', () => resolve(text))
    socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  })
}

const get = (port: number, path: string, headers: readonly string[]): Promise<string> =>
  asked(port, [`GET ${path} HTTP/1.1`, ...headers, 'Connection: close'])
const statusOf = (answer: string): number => Number(answer.split(' ', 2)[1])

t.test('a name that somebody pointed at us reads nothing', async (t) => {
  const port = await infoPort(t)
  for (const path of [
    '/',
    '/plain',
    '/page/main.js',
    '/api/v1/cluster',
    '/api/v1/queries',
    '/api/v1/config',
    '/api/v1/history',
    '/api/v1/events',
    '/api/v1/openapi.json',
    '/nothing/of/that/name',
  ]) {
    for (const host of [`evil.example:${port}`, 'host1.evil.example', 'localhost.evil.example']) {
      const answer = await get(port, path, [`Host: ${host}`])
      t.equal(statusOf(answer), 403, `${path} of ${host}`)
      t.match(answer, KEY, 'the key that would let it in')
      t.match(answer, `'${host.replace(/:.*/, '')}'`)
    }
  }
  const head = await asked(port, ['HEAD / HTTP/1.1', 'Host: evil.example', 'Connection: close'])
  t.equal(statusOf(head), 403)
})

t.test('names of the cluster, this host and addresses read', async (t) => {
  const port = await infoPort(t)
  for (const host of [
    'host1',
    `HOST1:${port}`,
    `host1.:${port}`,
    'tajo.example',
    'Tajo.Example:8080',
    'localhost',
    `localhost:${port}`,
    '127.0.0.1',
    `10.20.30.40:${port}`,
    `[::1]:${port}`,
    '[fe80::1]',
  ]) {
    t.equal(statusOf(await get(port, '/api/v1/queries', [`Host: ${host}`])), 200, host)
  }
  for (const host of [
    '',
    ':26080',
    '[host1]',
    'host1:80:80',
    '[::1',
    'host1 ',
    'ho st1',
    'a/host1',
  ])
    t.not(statusOf(await get(port, '/api/v1/queries', [`Host: ${host}x`])), 200, host)
})

t.test('health and metrics are told to whoever asks, by any name', async (t) => {
  const port = await infoPort(t)
  const headers = ['Host: prometheus-target.example', 'Origin: http://evil.example']
  for (const path of ['/health/live', '/health/active?x=1']) {
    const answer = await get(port, path, headers)
    t.equal(statusOf(answer), 200, path)
    t.notMatch(answer, /access-control-allow-origin/i, 'which is no leave to read')
  }
  t.equal(statusOf(await get(port, '/health/backup', headers)), 503)
  t.not(statusOf(await get(port, '/metrics', headers)), 403)
  const old = await asked(port, ['GET /health/live HTTP/1.0'])
  t.equal(statusOf(old), 200, 'checks of old proxies name no host at all')
})

t.test('pages of others read nothing, and cost nothing', async (t) => {
  const port = await infoPort(t)
  const host = `Host: host1:${port}`
  const events = (...more: string[]) => get(port, '/api/v1/events', [host, ...more])
  for (const origin of [
    'http://evil.example',
    `http://evil.example:${port}`,
    'null',
    'http://host1:1',
    'http://host3:26080',
    `http://host1:${port}.evil.example`,
  ]) {
    const answer = await events(`Origin: ${origin}`)
    t.equal(statusOf(answer), 403, origin)
  }
  for (const origin of [`http://host1:${port}`, 'http://host2:26080', 'http://host1:26080']) {
    const answer = await get(port, '/api/v1/queries', [host, `Origin: ${origin}`])
    t.equal(statusOf(answer), 200, origin)
  }
  const queries = (...more: string[]) => get(port, '/api/v1/queries', [host, ...more])
  for (const site of ['cross-site', 'same-site']) {
    const from = `Sec-Fetch-Site: ${site}`
    t.equal(statusOf(await queries(from, 'Sec-Fetch-Mode: no-cors')), 403, 'a script or an image')
    const frame = ['Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: iframe']
    t.equal(statusOf(await queries(from, ...frame)), 403, 'a frame')
    const link = ['Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document']
    t.equal(statusOf(await queries(from, ...link)), 200, 'a link that somebody follows')
    const sister = [from, 'Sec-Fetch-Mode: cors', 'Origin: http://host2:26080']
    t.equal(statusOf(await queries(...sister)), 200, "another master's page")
  }
  for (const site of ['same-origin', 'none'])
    t.equal(statusOf(await queries(`Sec-Fetch-Site: ${site}`)), 200, site)
})

t.test('people are refused in a page, programs in JSON', async (t) => {
  const port = await infoPort(t)
  const evil = 'Host: evil.example"><script>'
  const page = await get(port, '/', [evil, 'Accept: text/html,*/*;q=0.8'])
  t.equal(statusOf(page), 403)
  t.match(page, /content-type: text\/html/i)
  t.match(page, KEY)
  t.notMatch(page, '<script>')
  t.match(page, "default-src 'none'")
  const json = await get(port, '/', ['Host: evil.example', 'Accept: */*'])
  t.match(JSON.parse(json.slice(json.indexOf('{'))), {
    code: 'FORBIDDEN',
    message: new RegExp(KEY),
  })
})

t.test('one Host, no more and no less, on every port', async (t) => {
  const port = await infoPort(t)
  for (const path of ['/health/live', '/api/v1/queries', '/nothing']) {
    const two = await get(port, path, ['Host: host1', 'Host: evil.example'])
    t.equal(statusOf(two), 400, path)
    t.match(two, /"message":"the request has 2 Host headers/)
    t.equal(statusOf(await get(port, path, ['Host: host1', 'host: host1'])), 400, 'the same twice')
    const none = await get(port, path, [])
    t.equal(statusOf(none), 400, path)
    t.match(none, /"message":"the request has no Host header/)
  }
  const old = await asked(port, ['GET /api/v1/queries HTTP/1.0'])
  t.equal(statusOf(old), 400, 'which HTTP/1.0 need not have, but no browser is without')
})

t.test('no page asks a port of the daemons', async (t) => {
  const guard = new Guard({
    authentication: 'none',
    wallMs: Date.now,
    term: () => 1,
    onNewerTerm: () => {},
    onRefused: () => {},
  })
  guard.join({ clusterId: CLUSTER, secret: 's' })
  const never = (): never => {
    throw new Error('nobody gets so far')
  }
  const app = rpcServer(
    'results',
    { fetch: never, status: never },
    {
      ...{ guard, clock: systemClock, beatMs: 1000, log },
      gate: { enter: never },
    },
  )
  const port = await freePortRow(1)
  await app.listen({ host: '127.0.0.1', port })
  t.teardown(() => app.close())
  // As a page does that was loaded from this very port under a name that points here now.
  const post = (more: Record<string, string>) =>
    askKeyed(`127.0.0.1:${port}`, '/rpc/results/status', {
      headers: {
        host: `evil.example:${port}`,
        'content-type': 'application/json',
        'x-tajo-cluster': CLUSTER,
        ...more,
      },
      body: '{}',
    })
  for (const more of [
    { origin: `http://evil.example:${port}` },
    { 'sec-fetch-site': 'same-origin' },
  ]) {
    const answer = await post(more)
    t.equal(answer.status, 403, JSON.stringify(more))
    t.match(answer.text, /"message":"no page may ask this port/)
  }
  t.equal((await post({})).status, 500, 'a program gets through')
})

t.test("a worker's info port is the same kind", async (t) => {
  const app = server()
  addInfoRoutes(app, {
    names: ['host1'],
    status: () => ({ workerId: 'host1:28091' }),
    metrics: () => {
      throw new Error('not of interest here')
    },
  })
  const ask = async (url: string, headers: Record<string, string>): Promise<number> =>
    (await app.inject({ url, headers })).statusCode
  t.equal(await ask('/api/v1/worker', { host: 'evil.example' }), 403)
  t.equal(await ask('/nothing', { host: 'evil.example' }), 403)
  t.equal(await ask('/api/v1/worker', { host: 'host1', origin: 'http://evil.example' }), 403)
  t.equal(await ask('/api/v1/worker', { host: 'host1:28080' }), 200)
  t.equal(await ask('/health/live', { host: 'any.example' }), 200)
  t.equal(await ask('/metrics', { host: 'any.example' }), 500, 'as far as the metrics')
})
