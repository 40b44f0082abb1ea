/**
 * The web API of real masters with a real worker: every route of the description is asked and its answer held against
 * the schema that is served; a page's events through kill -9; SQL, its limits and its end; who is refused.
 */
import { type IncomingMessage, request } from 'node:http'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { z } from 'zod'
import { makeTiming } from '../../lib/ha/index.ts'
import type { ClusterDocument, SqlLine } from '../../lib/web/view.ts'
import { monitorMs, pacedMs } from '../support/pace.ts'
import { run as runProgram } from '../support/run.ts'
import { makeCluster, type TestMaster } from '../support/test-masters.ts'
import { TestWorker } from '../support/test-worker.ts'
import { eventOf, until, within } from '../support/until.ts'

/** The monitor interval, ms. */
const M = monitorMs(2000)
const TAJO = fileURLToPath(new URL('../../../bin/tajo', import.meta.url))
const cluster = await makeCluster(t, {
  count: 2,
  monitorMs: M,
  site: { 'tajo.master.info-http.sql': 'all', 'tajo.master.info-http.admin': 'true' },
})
const worker = await TestWorker.make({
  dir: join(cluster.root, '..', 'worker'),
  root: cluster.root,
  masters: cluster.masters,
})
t.teardown(() => worker.destroy())
await worker.start()

const at = ({ ports }: TestMaster, path: string): string => `http://127.0.0.1:${ports.info}${path}`
const get = async (master: TestMaster, path: string, headers: Record<string, string> = {}) => {
  const answer = await fetch(at(master, path), {
    headers: { ...master.administrator, ...headers },
  })
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}
const post = (
  master: TestMaster,
  path: string,
  body: unknown,
  more: { headers?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<Response> =>
  fetch(at(master, path), {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...master.administrator, ...more.headers },
    ...(more.signal === undefined ? {} : { signal: more.signal }),
  })
const linesOf = (text: string): SqlLine[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
const run = async (master: TestMaster, sql: string, more: object = {}): Promise<SqlLine[]> =>
  linesOf(await (await post(master, '/api/v1/sql', { sql, ...more })).text())

interface Description {
  readonly paths: Record<
    string,
    Record<string, { responses: Record<string, { content: Record<string, { schema?: object }> }> }>
  >
  readonly components: { readonly schemas: Record<string, object> }
}
const described = JSON.parse(
  (await get((await cluster.settled()).active, '/api/v1/openapi.json')).text,
) as Description
const checkerOf = (schema: object): z.ZodType =>
  z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0])

t.test('every answer is what the description says, on the active and on a backup', async (t) => {
  const { active, backups } = await cluster.settled()
  await run(active, 'CREATE TABLE IF NOT EXISTS "<script>" (a INT4, b TEXT)')
  await run(active, `INSERT INTO "<script>" VALUES (1, 'x')`)
  const [{ queryId }] = (await run(active, 'SELECT * FROM "<script>"')) as [{ queryId: string }]
  const asked = new Set<string>()
  for (const master of [active, ...backups]) {
    await until('it knows the query', async () => {
      return (await get(master, `/api/v1/queries/${queryId}`)).status === 200
    })
    for (const [path, { get: operation }] of Object.entries(described.paths)) {
      if (operation === undefined || path.startsWith('/health') || path === '/metrics') continue
      if (path === '/api/v1/events' || path === '/api/v1/openapi.json') continue
      const real = path.replace('{queryId}', queryId).replace('{database}', 'default')
      const { status, text } = await get(master, real)
      t.equal(status, 200, real)
      const schema = operation.responses[200]?.content['application/json']?.schema ?? {}
      const checked = checkerOf(schema).safeParse(JSON.parse(text))
      t.ok(checked.success, `${real}: ${checked.error?.message ?? 'as described'}`)
      asked.add(path)
    }
  }
  t.equal(asked.size, 9, [...asked].join(' '))
  const failure = checkerOf(described.components.schemas.Failure ?? {})
  for (const path of ['/api/v1/queries/x', '/api/v1/catalog/nix', '/api/v1/queries?state=no']) {
    const { status, text } = await get(active, path)
    t.ok(status === 404 || status === 400, `${path}: ${status}`)
    t.ok(failure.safeParse(JSON.parse(text)).success, text)
  }
  const tables = JSON.parse((await get(active, '/api/v1/catalog/default')).text).tables
  t.match(tables, [{ name: '<script>', rows: 1, fileCount: 1 }])
})

t.test('the cluster document says whether a failover would work', async (t) => {
  const { pollMs, activationMs, patienceMs, settleMs, renewMs } = makeTiming(M)
  const { active, backups } = await cluster.settled()
  const [backup] = backups
  const view = await until('the backup has seen all', async () => {
    const one = JSON.parse((await get(backup as TestMaster, '/api/v1/cluster')).text)
    const isWhole = one.activeSinceMs !== null && one.workerCounts.live === 1
    return isWhole && one.masters.every((row: { connected: boolean }) => row.connected) ? one : null
  })
  t.match(view, {
    active: active.address,
    self: backup?.address,
    ifActiveDied: { successor: backup?.address, processDeathMs: pollMs + activationMs, why: null },
    periods: { monitorMs: M, renewMs },
    sql: 'all',
    admin: true,
  })
  // The holder's time to settle grows with the slowest renewal that it has seen.
  const leastMs = pollMs + patienceMs + pollMs + settleMs + activationMs
  t.ok(view.ifActiveDied.hostLossMs >= leastMs && view.ifActiveDied.hostLossMs <= leastMs + M)
  const row = view.masters.find(({ address }: { address: string }) => address === active.address)
  t.match(row, { state: 'active', epoch: view.epoch })
  t.ok(row.leaseMarginMs > 0 && row.lastRenewalMs > 0, 'the active tells of its lease')
  // Told one way and so late by what the machine costs.
  t.ok(Math.abs(row.clockOffsetMs) < pacedMs(1000), 'one clock')
})

t.test('who may do what', async (t) => {
  const { active, backups } = await cluster.settled()
  const foreign = await get(active, '/api/v1/cluster', { origin: 'http://evil.example' })
  t.equal(foreign.headers.get('access-control-allow-origin'), null)
  const origin = `http://127.0.0.1:${backups[0]?.ports.info}`
  const sister = await get(active, '/health/live', { origin })
  t.equal(sister.headers.get('access-control-allow-origin'), origin, "a sister's page may read")
  t.equal(sister.headers.get('x-content-type-options'), 'nosniff')
  t.equal(sister.headers.get('set-cookie'), null)
  const page = await get(active, '/')
  t.match(page.headers.get('content-security-policy'), /^default-src 'none'; script-src 'self';/)
  const refused = async (headers: Record<string, string>): Promise<number> =>
    (await post(active, '/api/v1/sql', { sql: 'SELECT 1' }, { headers })).status
  t.equal(await refused({ 'content-type': 'text/plain' }), 400, 'no form of another site')
  t.equal(await refused({ origin: 'http://evil.example' }), 403)
  t.equal(await refused({ origin }), 403, "a sister's page may read only")
  t.equal(await refused({ 'sec-fetch-site': 'cross-site' }), 403)
  const order = '/api/v1/admin/hand-over'
  for (const authorization of ['', 'Bearer 0123456789']) {
    t.equal((await post(active, order, {}, { headers: { authorization } })).status, 401)
  }
})

t.test('a Host that somebody pointed at us is refused', async (t) => {
  const { active } = await cluster.settled()
  const asked = request({
    ...{ host: '127.0.0.1', port: active.ports.info, method: 'POST', path: '/api/v1/sql' },
    headers: { host: 'evil.example', 'content-type': 'application/json' },
  })
  asked.end('{"sql":"SELECT 1"}')
  const [answer] = (await eventOf(asked, 'response')) as [IncomingMessage]
  answer.resume()
  t.equal(answer.statusCode, 403)
})

t.test('a further name of the cluster reads once the configuration has it', async (t) => {
  const { active } = await cluster.settled()
  const statusFor = async (port: number, host: string): Promise<number | undefined> => {
    const path = port === active.ports.info ? '/api/v1/queries' : '/api/v1/worker'
    const headers = { host, ...active.administrator }
    const asked = request({ host: '127.0.0.1', port, path, headers })
    asked.end()
    const [answer] = (await eventOf(asked, 'response')) as [IncomingMessage]
    answer.resume()
    return answer.statusCode
  }
  t.equal(await statusFor(worker.port + 3, 'tajo.example:28080'), 403)
  t.equal(await statusFor(worker.port + 3, hostname()), 200)
  t.equal(await statusFor(active.ports.info, hostname().toUpperCase()), 200)
  t.equal(await statusFor(active.ports.info, 'tajo.example'), 403)
  active.reconfigure({ 'tajo.master.info-http.names': 'tajo.example' })
  const isKnown = async () => (await statusFor(active.ports.info, 'tajo.example:8080')) === 200
  await until('the running master knows it', isKnown)
  t.equal(await statusFor(active.ports.info, 'other.example'), 403)
})

t.test('SQL from a backup: rows, limits, errors with their place', async (t) => {
  const { backups } = await cluster.settled()
  const [backup] = backups as [TestMaster]
  const line = checkerOf(
    described.paths['/api/v1/sql']?.post?.responses[200]?.content['application/x-ndjson']?.schema ??
      {},
  )
  const lines = await run(backup, 'SELECT * FROM range(3000) t(n)', { maxRows: 2500 })
  for (const one of lines) t.ok(line.safeParse(one).success, JSON.stringify(one).slice(0, 80))
  const rows = lines.flatMap((one) => ('rows' in one ? one.rows : []))
  t.equal(rows.length, 2500)
  t.same(rows.at(-1), [2499])
  t.match(lines.at(-1), { end: { rows: 2500, truncated: true } })
  const wrong = await run(backup, 'SELECT nix FROM range(3) t(n)')
  t.match(wrong.at(-1), { error: { kind: 'user', place: { line: 1 } } })
  t.equal((await post(backup, '/api/v1/sql', { sql: 7 })).status, 400)
})

t.test('breaking it off ends the query', async (t) => {
  const { active } = await cluster.settled()
  const stop = new AbortController()
  const sql = 'SELECT count(*) FROM range(100000000000) a(n) WHERE hash(n) = 7'
  const answer = await post(active, '/api/v1/sql', { sql }, { signal: stop.signal })
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
  if (reader === undefined) throw new Error('the answer has no body')
  let text = ''
  while (!text.includes('"running"')) {
    const { done, value } = await within('the query runs', reader.read())
    if (done) throw new Error(`the answer is over: ${text}`)
    text += value
  }
  const { queryId } = linesOf(text)[0] as { queryId: string }
  stop.abort()
  const state = await until('it has ended', async () => {
    const { query } = JSON.parse((await get(active, `/api/v1/queries/${queryId}`)).text)
    return query.state === 'running' ? null : query.state
  })
  t.equal(state, 'killed')
  t.same(await (await post(active, `/api/v1/queries/${queryId}/kill`, {})).json(), { known: true })
})

/** Events of a master as they come. */
function listen(master: TestMaster) {
  const stop = new AbortController()
  const seen: { name: string; data: Record<string, unknown>; atMs: number }[] = []
  const done = (async () => {
    const answer = await fetch(at(master, '/api/v1/events'), { signal: stop.signal })
    let rest = ''
    for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (rest + chunk).split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) {
        const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? []
        if (name === undefined || data === undefined) continue
        seen.push({ name, data: JSON.parse(data), atMs: performance.now() })
      }
    }
  })().catch(() => {
    // A master that is killed breaks it, and so does `stop`.
  })
  return { seen, stop: () => stop.abort(), done }
}

t.test('events: a hand-over by the page, and kill -9 as its page sees it', async (t) => {
  const { active, backups, epoch } = await cluster.settled()
  const [backup] = backups as [TestMaster]
  const conf = join(active.dir, 'conf')
  const { stdout } = await runProgram([TAJO, 'haadmin', '-token', '--config', conf])
  const headers = { authorization: `Bearer ${stdout.trim()}` }
  const successor = backup.address
  const first = listen(backup)
  await until('a snapshot', () => first.seen.some(({ name }) => name === 'history'))
  const order = '/api/v1/admin/hand-over'
  t.equal((await post(active, order, { successor: 'x:1' }, { headers })).status, 409)
  t.same(await (await post(active, order, { successor }, { headers })).json(), {})
  await until('its page shows the new active', () => {
    const cluster = first.seen.findLast(({ name }) => name === 'cluster')?.data
    return cluster?.active === successor && Number(cluster.epoch) > epoch
  })
  await cluster.settled()
  const second = listen(active)
  await until('the other page is there', () => second.seen.length > 0)
  const killedMs = performance.now()
  process.kill(backup.pid, 'SIGKILL')
  const turned = await until('the page turned', () =>
    second.seen.find(({ name, data }) => name === 'cluster' && data.active === active.address),
  )
  t.comment(`the page turned ${Math.round(turned.atMs - killedMs)} ms after kill -9`)
  await until('the terms are told', () =>
    second.seen.some(
      ({ name, data }) =>
        name === 'history' &&
        (data.history as { term: { term: number } }[])[0]?.term.term === turned.data.epoch,
    ),
  )
  await until('a second of the lease', () => second.seen.some(({ name }) => name === 'lease'))
  for (const { name, data } of [...first.seen, ...second.seen]) {
    const checked = checkerOf(described.components.schemas[`Event.${name}`] ?? {}).safeParse(data)
    if (!checked.success) t.fail(`${name}: ${checked.error.message}`)
  }
  const alone = JSON.parse((await get(active, '/api/v1/cluster')).text) as ClusterDocument
  t.match(alone.ifActiveDied, { successor: null, why: /./ })
  const metrics = await until('the term is counted', async () => {
    const { text } = await get(active, '/metrics')
    // Its keeper says so, or on the same host the backup itself has seen it first.
    const died = /^tajo_master_terms_total\{reason="(master-died|process-dead)"\} [1-9]/m
    return died.test(text) ? text : null
  })
  t.match(metrics, /^tajo_master_renewal_duration_seconds_count [1-9]/m)
  t.ok(await worker.live(), 'the worker lives on')
  process.kill(active.pid, 'SIGTERM')
  await until('it says goodbye', () => second.seen.some(({ name }) => name === 'bye'))
  await within('the end of both streams', Promise.all([first.done, second.done]))
})
