/**
 * Who gets in at the client port: a stranger and another user of a host of the cluster do not, its own user does without a
 * question. Real daemons, a real second user, and requests as anybody can make them.
 */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { clientExchange } from '../../lib/access/index.ts'
import { HOME } from '../support/install.ts'
import { DAEMON, type Machine, machine, START, STOP } from '../support/machine.ts'
import { asOther, runAsOther } from '../support/other-user.ts'
import { hasParts } from '../support/parts.ts'
import { mustRun, type Ran } from '../support/run.ts'
import { until } from '../support/until.ts'

const TSQL = join(HOME, 'bin/tsql')
const TAJO = join(HOME, 'bin/tajo')
const SESSION = { database: 'default', user: 'root', variables: {} }

interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
  readonly authenticate: string | null
  readonly text: string
}

async function world(t: Test, site: Readonly<Record<string, string>> = {}) {
  const at = await machine(t, { masters: 'localhost\n', workers: 'localhost\n', site })
  const { dir, conf, host } = at
  chmodSync(dir, 0o755)
  t.teardown(async () => void (await at.script(STOP)))
  const started = await at.script(START)
  t.equal(started.code, 0, started.stderr)
  /** As the cluster's own user. */
  const tsql = (sql: string): Promise<Ran> => host.run([TSQL, '--config', conf, '-c', sql])
  const tajo = (words: readonly string[], input?: string): Promise<Ran> =>
    host.run([TAJO, ...words, '--config', conf], input === undefined ? {} : { input })
  /** A request as anybody can make it. */
  const post = async (
    port: number,
    path: string,
    body: unknown,
    token?: string,
  ): Promise<Answer> => {
    const cluster = (await clusterOf(at)) ?? ''
    const headers = {
      'content-type': 'application/json',
      'x-tajo-cluster': cluster,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    }
    const script = askingAs({ port, path, headers }, JSON.stringify(body))
    const told = JSON.parse(
      await host.mustRun([process.execPath, '--input-type=module', '-e', script]),
    ) as Omit<Answer, 'body'>
    return { ...told, body: bodyOf(told.text) }
  }
  return { ...at, tsql, tajo, post }
}

function bodyOf(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    // A stream of lines.
    return {}
  }
}

/** A program that posts to a port of this host, and does not ask whose certificate it is shown. */
const askingAs = (
  target: { port: number; path: string; headers: Record<string, string> },
  body: string,
): string => `import { request } from 'node:https'
  const options = { host: 'localhost', method: 'POST', rejectUnauthorized: false, ...${JSON.stringify(target)} }
  const r = await new Promise((resolve, reject) => {
    request(options, resolve).on('error', reject).end(${JSON.stringify(body)})
  })
  let text = ''
  for await (const piece of r.setEncoding('utf8')) text += piece
  const { 'www-authenticate': authenticate = null, 'x-tajo-cluster': cluster = null } = r.headers
  console.log(JSON.stringify({ status: r.statusCode, authenticate, cluster, text }))`

async function clusterOf({ host }: Machine): Promise<string | null> {
  const headers = { 'content-type': 'application/json' }
  const script = askingAs({ port: 26002, path: '/rpc/client/status', headers }, '{}')
  const told = await host.mustRun([process.execPath, '--input-type=module', '-e', script])
  return (JSON.parse(told) as { cluster: string | null }).cluster
}

/** Logs in as the client library does, by hand. */
async function tokenOf(w: Awaited<ReturnType<typeof world>>, user: string): Promise<string> {
  const client = clientExchange(user, `secret of ${user}`)
  const first = await w.post(26002, '/rpc/client/beginLogIn', { message: client.first })
  const { message: told, state } = first.body as { message: string; state: string }
  const message = await client.final(told)
  const last = await w.post(26002, '/rpc/client/endLogIn', { message, state })
  client.check(String(last.body.message))
  return String(last.body.token)
}

const ID = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

t.test('a stranger drops no table as root, and reads nobody’s result', async (t) => {
  if (!hasParts(t, 'netns')) return
  const w = await world(t)
  const made = await w.tsql('CREATE TABLE t (a INT4); INSERT INTO t VALUES (1)')
  t.equal(made.code, 0, made.stderr)
  const submit = (n: number, sql: string) =>
    w.post(26002, '/rpc/client/submit', { queryId: ID(n), attempt: 1, session: SESSION, sql })
  const dropped = await submit(1, 'DROP TABLE t')
  t.match(dropped, { status: 401, authenticate: 'Bearer', body: { code: 'UNAUTHENTICATED' } })
  t.match(await w.tsql('SELECT a FROM t'), { code: 0 }, 'the table is still there')
  for (const [path, body] of [
    ['/rpc/client/wait', { queryId: ID(1), state: 'queued', attempt: 1, worker: null, waitMs: 0 }],
    ['/rpc/client/kill', { queryId: ID(1) }],
    ['/rpc/client/queries', { limit: 10 }],
    ['/rpc/client/workers', {}],
  ] as const) {
    t.match(await w.post(26002, path, body), { status: 401 }, path)
    t.match(await w.post(26002, path, body, 'forged.AAAA'), { status: 401 }, path)
  }
  t.match(await w.post(26005, '/rpc/catalog/tables', { database: 'default' }), { status: 401 })
  t.match(await w.post(26005, '/rpc/catalog/databases', {}), { status: 401 })
  const files = { tables: [{ database: 'default', name: 't' }] }
  t.match(await w.post(26005, '/rpc/catalog/resolve', files), { status: 403 })
  t.match(await w.post(26002, '/rpc/client/masters', {}), { status: 200 })
  // A result that its owner has begun to read is not there; one that waits is nobody's to take.
  t.match(
    await w.post(28092, '/rpc/results/fetch', { queryId: ID(2), attempt: 1 }),
    { status: 401 },
    'an id is no key',
  )
})

t.test(
  'another user of the host is told whom to ask, and the cluster’s own is asked for nothing',
  async (t) => {
    if (!hasParts(t, 'netns', 'users')) return
    const isReached = (await runAsOther('test -r "$1" && node --version', [TSQL])).code === 0
    if (!isReached) return void t.pass('the install, or Node, lies where he can not read')
    const w = await world(t)
    const { dir, conf, host } = w
    t.match(await w.tsql('CREATE TABLE t (a INT4)'), { code: 0, stderr: '' })
    const home = join(dir, 'his')
    mkdirSync(home)
    chmodSync(home, 0o777)
    const his = (words: readonly string[], env: Readonly<Record<string, string>> = {}) => {
      const named = Object.entries({ HOME: home, USER: 'root', ...env }).map(
        ([k, v]) => `${k}=${v}`,
      )
      return host.run(asOther('env', ...named, TSQL, '--config', conf, ...words))
    }
    const dropped = await his(['-c', 'DROP TABLE t'])
    t.equal(dropped.code, 1)
    t.match(dropped.stderr, 'log in: tajo user add root')
    t.equal(dropped.stderr.trim().split('\n').length, 1, dropped.stderr)
    const guessed = await his(['-c', 'DROP TABLE t'], { TAJO_PASSWORD: 'guess' })
    t.equal(guessed.code, 1)
    t.match(guessed.stderr, "the password of user 'root' is wrong, or there is no such user")
    writeFileSync(join(home, '.tajopass'), '*:*:*:*:guess\n')
    chmodSync(join(home, '.tajopass'), 0o644)
    const open = await his(['-c', 'DROP TABLE t'])
    t.equal(open.code, 1)
    t.match(open.stderr, `chmod 600 ${join(home, '.tajopass')}`)
    t.match(await w.tsql('SELECT a FROM t'), { code: 0 })
    t.notOk(existsSync(join(home, 'secret')))
  },
)

t.test('a user has his own queries and results, and nobody else’s', async (t) => {
  if (!hasParts(t, 'netns')) return
  const w = await world(t)
  const { conf, host, dir } = w
  for (const name of ['anna', 'bert']) {
    const added = await w.tajo(['user', 'add', name], `secret of ${name}\n`)
    t.equal(added.code, 0, added.stderr)
  }
  const again = await w.tajo(['user', 'add', 'anna'], 'other\n')
  t.equal(again.code, 1)
  const listed = await w.tajo(['user', 'list', '--json'])
  t.match(JSON.parse(listed.stdout), { users: [{ user: 'anna' }, { user: 'bert' }] })
  t.notMatch(listed.stdout, /SCRAM/)
  const as = (user: string, sql: string, password = `secret of ${user}`): Promise<Ran> =>
    host.run(['env', `TAJO_PASSWORD=${password}`, TSQL, '--config', conf, '-U', user, '-c', sql])
  t.match(await as('anna', 'SELECT 1 + 1'), { code: 0, stdout: /2/, stderr: '' })
  t.match(await as('anna', 'SELECT 1', 'wrong'), {
    code: 1,
    stderr: /password of user 'anna' is wrong/,
  })

  // Tokens as tsql gets them, and requests as tsql does not make them.
  const anna = await tokenOf(w, 'anna')
  const bert = await tokenOf(w, 'bert')
  const queryId = ID(7)
  const session = { ...SESSION, user: 'root' }
  const begun = await w.post(
    26002,
    '/rpc/client/submit',
    { queryId, attempt: 1, session, sql: 'SELECT 42 AS answer' },
    anna,
  )
  t.match(begun, { status: 200, body: { state: 'running' } }, begun.text)
  const wait = { queryId, state: 'queued', attempt: 1, worker: null, waitMs: 0 }
  const list = async (token: string): Promise<unknown[]> => {
    const { body } = await w.post(26002, '/rpc/client/queries', { limit: 100 }, token)
    return (body.queries as { user: string; queryId: string }[]).map((one) => one)
  }
  t.match(
    (await list(anna)).filter((one) => (one as { queryId: string }).queryId === queryId),
    [{ user: 'anna', asUser: 'anna' }],
    'he is who he has proven to be, whatever his session says',
  )
  t.same(await list(bert), [])
  for (const [path, body] of [
    ['/rpc/client/wait', wait],
    ['/rpc/client/kill', { queryId }],
    ['/rpc/client/submit', { queryId, attempt: 2, session, sql: 'SELECT 42 AS answer' }],
  ] as const) {
    t.match(
      await w.post(26002, path, body, bert),
      { status: 403, body: { code: 'FORBIDDEN' } },
      path,
    )
  }
  const fetch = (token?: string): Promise<Answer> =>
    w.post(28092, '/rpc/results/fetch', { queryId, attempt: 1 }, token)
  t.match(await fetch(), { status: 401 })
  t.match(await fetch(bert), { status: 200, text: /this worker has no such query/ })
  t.match(await fetch(anna), { status: 200, text: /\[42\]/ }, 'it waited for its owner')

  // A failover, and he is still logged in; another password, and he is not.
  t.equal((await w.script(DAEMON, ['restart', 'master'])).code, 0)
  const serves = async (): Promise<boolean> =>
    (await w.post(26002, '/rpc/client/queries', { limit: 1 }, anna)).status === 200
  await until('the next master serves', serves)
  t.match(await w.tajo(['user', 'passwd', 'anna'], 'new\n'), { code: 0 })
  t.match(await w.post(26002, '/rpc/client/wait', wait, anna), { status: 401 })
  t.match(await as('anna', 'SELECT 1'), { code: 1 })
  t.match(await as('anna', 'SELECT 1', 'new'), { code: 0 })
  t.match(await w.tajo(['user', 'drop', 'bert']), { code: 0 })
  t.match(await w.post(26002, '/rpc/client/wait', wait, bert), { status: 401 })
  t.match(await as('bert', 'SELECT 1'), { code: 1, stderr: /or there is no such user/ })
  const all = await mustRun(['grep', '-rlE', 'secret of (anna|bert)', dir]).catch(() => '')
  t.equal(all, '', 'no file of the cluster has a password')
})

t.test('the info port is no way around', async (t) => {
  if (!hasParts(t, 'netns')) return
  const w = await world(t, { 'tajo.master.info-http.sql': 'all' })
  t.match(await w.tsql('CREATE TABLE told_to_nobody (a INT4)'), { code: 0 })
  t.match(await w.tajo(['user', 'add', 'hidden_user'], 'secret of hidden_user\n'), { code: 0 })
  const ask = async (path: string, token?: string, body?: unknown): Promise<Answer> => {
    const headers = {
      'content-type': 'application/json',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    }
    const how = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
    const script = `const r = await fetch('http://localhost:26080${path}', ${JSON.stringify({ headers, ...how })})
      const reader = r.body.getReader()
      let text = ''
      const late = setTimeout(() => reader.cancel(), 3000)
      for (let part; !(part = await reader.read()).done; ) text += Buffer.from(part.value)
      clearTimeout(late)
      console.log(JSON.stringify({ status: r.status, authenticate: r.headers.get('www-authenticate'), text }))`
    const told = JSON.parse(
      await w.host.mustRun([process.execPath, '--input-type=module', '-e', script]),
    ) as Omit<Answer, 'body'>
    return { ...told, body: bodyOf(told.text) }
  }
  const sql = { sql: 'DROP TABLE told_to_nobody', maxRows: 10, database: 'default', variables: {} }
  t.match(await ask('/api/v1/sql', undefined, sql), { status: 401, authenticate: 'Bearer' })
  t.match(await ask(`/api/v1/queries/${ID(1)}/kill`, undefined, {}), { status: 401 })
  for (const path of [
    '/api/v1/queries',
    `/api/v1/queries/${ID(1)}`,
    '/api/v1/catalog',
    '/api/v1/catalog/default',
    '/api/v1/config',
    '/api/v1/workers',
    '/api/v1/lease',
  ]) {
    t.match(await ask(path), { status: 401, authenticate: 'Bearer' }, path)
    t.match(await ask(path, 'forged.AAAA'), { status: 401 }, path)
  }
  for (const path of [
    '/',
    '/plain',
    '/health/live',
    '/metrics',
    '/api/v1/cluster',
    '/api/v1/history',
    '/api/v1/events',
  ]) {
    const answer = await ask(path)
    t.match(answer, { status: 200 }, path)
    t.notMatch(answer.text, /told_to_nobody|hidden_user|CREATE TABLE/, path)
  }
  const admin = (await w.tajo(['haadmin', '-token'])).stdout.trim()
  t.match(await ask('/api/v1/queries', admin), { status: 200, text: /told_to_nobody/ })
  t.match(await ask('/api/v1/config', admin), { status: 200 })
  t.match(await ask('/api/v1/events', admin), { status: 200, text: /told_to_nobody/ })
  const his = await tokenOf(w, 'hidden_user')
  t.match(await ask('/api/v1/queries', his), { status: 200, body: { queries: [] } })
  t.match(await ask('/api/v1/config', his), { status: 403 })
  t.notMatch((await ask('/api/v1/catalog/default', his)).text, /told_to_nobody/)
  t.match((await ask('/api/v1/catalog/default', admin)).text, /told_to_nobody/)
  t.notMatch((await ask('/api/v1/sql', his, sql)).text, /"end"/, 'he may not')
  t.match((await ask('/api/v1/sql', admin, sql)).text, /"end"/)
})

t.test(
  'with tajo.security.authentication none the old command lines work, with a warning',
  async (t) => {
    if (!hasParts(t, 'netns')) return
    const w = await world(t, { 'tajo.security.authentication': 'none' })
    t.match(await w.tsql('CREATE TABLE t (a INT4)'), { code: 0, stderr: '' })
    const sql = 'DROP TABLE t'
    const request = { queryId: ID(1), attempt: 1, session: SESSION, sql }
    t.match(await w.post(26002, '/rpc/client/submit', request), { status: 200 })
    const script = `console.log(await (await fetch('http://localhost:26080/api/v1/cluster')).text())`
    const page = await w.host.mustRun([process.execPath, '--input-type=module', '-e', script])
    t.match(page, 'tajo.security.authentication is none')
  },
)
