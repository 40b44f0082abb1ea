/** A master on real ports with a seat in a made-up election: who is answered, who is refused, what is told to whom. */
import { request as httpRequest } from 'node:http'
import { Agent } from 'node:https'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import type { Standing } from '../../../lib/contract/index.ts'
import { HaError, type MemberView, makeTiming } from '../../../lib/ha/index.ts'
import { ActiveGate } from '../../../lib/master/active-gate.ts'
import { adminServer, Master, type MasterOptions, SingleMember } from '../../../lib/master/index.ts'
import { SplitBrainAlarm } from '../../../lib/master/network/split-brain.ts'
import type { QueryOptions } from '../../../lib/master/queries/options.ts'
import { PathRules } from '../../../lib/master/queries/statements/paths.ts'
import type { Membership } from '../../../lib/serve/index.ts'
import { EmbeddedActionsParser } from '../../../lib/sql/chevrotain.ts'
import { parseStatement } from '../../../lib/sql/index.ts'
import { escapeHtml, statusPage } from '../../../lib/web/status-page.ts'
import { inWords } from '../../../lib/web/term-words.ts'
import { testCertificate } from '../../support/certificate.ts'
import { addressesAt, FakeMember, peerAt } from '../../support/fake-member.ts'
import { freePortRow } from '../../support/free-ports.ts'
import { askKeyed } from '../../support/keyed.ts'
import { ID, Terms } from '../../support/query-terms.ts'
import { until } from '../../support/until.ts'

const SECRET = 's'.repeat(64)
const CLUSTER = 'cluster-1'

interface Seat {
  readonly master: Master
  readonly member: FakeMember
  readonly port: number
  readonly logged: { level: string; message: string }[]
  /** What it ends its process for. */
  readonly failures: string[]
}

function masterAt(
  port: number,
  member: FakeMember,
  secret = SECRET,
  refusal: Error | null = null,
  queries: QueryOptions | null = null,
  { clusterId = CLUSTER, ...more }: Partial<MasterOptions & Membership> = {},
): Seat {
  const addresses = addressesAt(port)
  const logged: Seat['logged'] = []
  const failures: string[] = []
  const bind = (key: string, offset: number) => ({ key, host: '127.0.0.1', port: port + offset })
  const master = new Master({
    address: addresses.umbilical,
    connectionsPerAddress: 1000,
    certify: testCertificate,
    binds: {
      umbilical: bind('tajo.master.umbilical-rpc.address', 0),
      clientRpc: bind('tajo.master.client-rpc.address', 1),
      resourceTracker: bind('tajo.resource-tracker.rpc.address', 2),
      catalog: bind('tajo.catalog.client-rpc.address', 3),
      infoHttp: bind('tajo.master.info-http.address', 4),
    },
    join: async (service) => {
      if (refusal !== null) throw refusal
      member.service = service
      return { member, clusterId, secret }
    },
    rootDirectory: '/root',
    directoryWarnings: () => [],
    warehouse: () => [],
    authentication: 'none',
    beatMs: 25,
    silenceMs: 5000,
    stopMs: 500,
    queries,
    timing: makeTiming(),
    web: { sql: 'read', sqlFromHereOnly: false, admin: false, authentication: 'none' },
    names: () => [],
    network: { network: 'here', witnesses: [] },
    config: () => ({ confDir: '/conf', settings: [] }),
    listed: () => [addresses.umbilical],
    version: '1',
    onFailure: ({ message }) => void failures.push(message),
    pid: 4711,
    startedAtSeconds: 1,
    clock: systemClock,
    wallMs: Date.now,
    log: (level, message) => void logged.push({ level, message }),
    ...more,
  })
  return { master, member, port, logged, failures }
}

async function start(t: Test, options: { port?: number; secret?: string } = {}): Promise<Seat> {
  const port = options.port ?? (await freePortRow(5))
  const seat = masterAt(port, new FakeMember(port), options.secret)
  await seat.master.start()
  t.teardown(() => seat.master.stop('test over'))
  return seat
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: Readonly<Record<string, unknown>>
}

function ask(port: number, path: string, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = httpRequest({ host: '127.0.0.1', port, path, method }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text, headers: response.headers }),
      )
    })
    call.on('error', reject)
    call.end()
  })
}

const askDaemon = (port: number, path: string): Promise<Answer> =>
  askKeyed(`127.0.0.1:${port}`, path)
const clientStatus = (seat: Seat, agent: Agent | false = false): Promise<Answer> =>
  askKeyed(`127.0.0.1:${seat.port + 1}`, '/rpc/client/status', { agent })
const health = async (seat: Seat, what: string): Promise<number> =>
  (await ask(seat.port + 4, `/health/${what}`)).status

// The first of this file: the parser is made once in a process.
t.test('the parser of statements is there once a master has started', async (t) => {
  const parsers = EmbeddedActionsParser.prototype as unknown as { performSelfAnalysis(): void }
  const made = t.capture(parsers, 'performSelfAnalysis', parsers.performSelfAnalysis)
  await start(t)
  t.equal(made().length, 1)
  const statements = ['SELECT 1', 'INSERT INTO t VALUES (1)', 'CREATE TABLE t (a INT4)']
  for (const sql of statements) parseStatement(sql)
  t.equal(made().length, 0)
})

t.test('a backup has all ports open and says where the active is', async (t) => {
  const seat = await start(t)
  const active = peerAt(1000, { state: 'active' })
  Object.assign(seat.member, { active, epoch: 7 })
  seat.member.change('backup')
  for (const [offset, service] of ['client', 'tracker', 'catalog'].entries()) {
    const path = `/rpc/${service}/status`
    const port = seat.port + 1 + offset
    const answer = await askDaemon(port, path)
    t.equal(answer.status, 421, service)
    t.match(JSON.parse(answer.text), {
      code: 'NOT_ACTIVE',
      active: active.addresses.clientRpc,
      epoch: 7,
      message: /the active master is at localhost:1001/,
    })
  }
  const status = await askDaemon(seat.port, '/rpc/umbilical/status')
  t.match(JSON.parse(status.text), {
    state: 'backup',
    serving: false,
    epoch: 7,
    active: 'localhost:1000',
    activeClient: 'localhost:1001',
    pid: 4711,
    heartbeatAgesMs: { 'localhost:1000': 12 },
  })
  t.equal(await health(seat, 'active'), 503)
  t.equal(await health(seat, 'backup'), 200)
  t.equal(await health(seat, 'live'), 200)
})

t.test('an active master whose catalog can take no more changes ends', async (t) => {
  const { options, kept } = new Terms(t)
  const port = await freePortRow(5)
  const seat = masterAt(port, new FakeMember(port), SECRET, null, options)
  await seat.master.start()
  t.teardown(() => seat.master.stop('test over'))
  await seat.member.activate(3)
  const submit = async (n: number, sql: string) => {
    const session = { database: 'default', user: 'me', variables: {} }
    const answer = await askKeyed(`127.0.0.1:${port + 1}`, '/rpc/client/submit', {
      headers: { 'content-type': 'application/json', 'x-tajo-cluster': CLUSTER },
      body: JSON.stringify({ queryId: ID(n), attempt: 1, sql, session }),
    })
    return { status: answer.status, body: JSON.parse(answer.text) }
  }
  t.match(await submit(1, 'create database a'), { status: 200, body: { state: 'succeeded' } })
  t.same(seat.failures, [])
  kept.seq = 99
  t.notMatch(
    await submit(2, 'create database b'),
    { body: { state: /succeeded|failed/ } },
    'the next active knows whether it was done',
  )
  const why = 'change 2 does not follow 99'
  t.same(seat.failures, [`the catalog takes no more changes from this master, so it ends: ${why}`])
})

t.test('the active serves on every port', async (t) => {
  const seat = await start(t)
  await seat.member.activate(3)
  const answer = await clientStatus(seat)
  t.equal(answer.status, 200)
  t.same(JSON.parse(answer.text), { epoch: 3, address: `localhost:${seat.port}`, inFlight: 1 })
  t.equal((await askDaemon(seat.port + 2, '/rpc/tracker/status')).status, 200)
  t.equal((await askDaemon(seat.port + 3, '/rpc/catalog/status')).status, 200)
  t.equal(await health(seat, 'active'), 200)
  t.equal(await health(seat, 'backup'), 503)
})

t.test(
  'a lease that ran out ends the service on kept connections too, and comes back',
  async (t) => {
    const seat = await start(t)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    await seat.member.activate(3)
    t.equal((await clientStatus(seat, agent)).status, 200)
    seat.member.leased = false
    const refused = await clientStatus(seat, agent)
    t.equal(refused.status, 421)
    t.match(JSON.parse(refused.text), { code: 'NOT_ACTIVE', active: null })
    t.equal(await health(seat, 'active'), 503)
    t.match((await ask(seat.port + 4, '/health/active')).text, 'suspended')
    seat.member.leased = true
    t.equal((await clientStatus(seat, agent)).status, 200)
    await seat.member.depose(4, peerAt(1000, { state: 'active' }))
    t.match(JSON.parse((await clientStatus(seat, agent)).text), {
      active: 'localhost:1001',
      epoch: 4,
    })
  },
)

t.test('the gate', async (t) => {
  const rights = { serve: true, held: 5 as number | null }
  const gate = new ActiveGate({ mayServe: () => rights.serve, term: () => rights.held }, () => ({
    active: null,
    epoch: 5,
  }))
  const signal = new AbortController().signal
  t.throws(() => gate.enter(), { code: 'NOT_ACTIVE' }, 'before the services are open')
  gate.open(5, signal)
  const [first, second] = [gate.enter(), gate.enter()]
  rights.serve = false
  t.throws(() => gate.enter(), { code: 'NOT_ACTIVE' }, 'while it drains nothing new gets in')
  let drained = false
  const draining = gate.drained().then(() => {
    drained = true
  })
  first.confirm()
  first.leave()
  first.leave()
  await new Promise(setImmediate)
  t.notOk(drained, 'a pass given back twice counts once')
  second.confirm()
  second.leave()
  await draining
  await gate.drained()
  rights.serve = true
  const late = gate.enter()
  rights.held = 6
  t.throws(
    () => late.confirm(),
    { code: 'NOT_ACTIVE' },
    'another term is not the one it entered under',
  )
  rights.held = null
  t.throws(() => late.confirm(), { code: 'NOT_ACTIVE' })
  rights.held = 6
  t.throws(() => gate.enter(), { code: 'NOT_ACTIVE' }, 'the services are those of term 5')
  gate.close()
  t.throws(() => gate.enter(), { code: 'NOT_ACTIVE' })
})

t.test('a hand-over waits for the answer to what was accepted', async (t) => {
  const { directory, options } = new Terms(t)
  const port = await freePortRow(5)
  const seat = masterAt(port, new FakeMember(port), SECRET, null, options)
  await seat.master.start()
  t.teardown(() => seat.master.stop('test over'))
  await seat.member.activate(3)
  // Its directory takes its time, as one on a busy file server does.
  const { confine } = PathRules.prototype
  let asked = false
  let look = (): void => {}
  const looked = new Promise<void>((resolve) => {
    look = resolve
  })
  PathRules.prototype.confine = async function (location) {
    asked = true
    await looked
    return confine.call(this, location)
  }
  t.teardown(() => {
    PathRules.prototype.confine = confine
  })
  const sql = `insert overwrite into location '${directory}/allowed/out' select 1`
  const session = { database: 'default', user: 'me', variables: {} }
  const answered = askKeyed(`127.0.0.1:${port + 1}`, '/rpc/client/submit', {
    headers: { 'content-type': 'application/json', 'x-tajo-cluster': CLUSTER },
    body: JSON.stringify({ queryId: ID(1), attempt: 1, sql, session }),
  })
  await until('it is being planned', () => asked)
  let drained = false
  const draining = seat.member.drain().then(() => {
    drained = true
  })
  t.equal((await clientStatus(seat)).status, 421, 'nothing new is accepted')
  await Promise.race([draining, sleep(500)])
  t.notOk(drained, 'one request has no answer yet')
  look()
  await draining
  await seat.member.depose(4, null)
  t.equal((await answered).status, 200)
})

t.test(
  'two masters hear each other, and look at the directory when something changes',
  async (t) => {
    const [a, b] = [await start(t), await start(t)]
    a.member.peers = [peerAt(b.port)]
    b.member.peers = [peerAt(a.port)]
    a.member.change('backup')
    b.member.change('backup')
    const connected = (seat: Seat, to: Seat): boolean =>
      seat.logged.some(({ message }) => message === `connected to localhost:${to.port}`)
    await until('both streams are open', () => connected(a, b) && connected(b, a))
    b.member.hints.length = 0
    await a.member.activate(4)
    await until('the stream told it', () =>
      b.member.hints.includes(`localhost:${a.port} is active in term 4`),
    )
    await until('and the announcement', () =>
      b.member.hints.includes(`localhost:${a.port} announced: active in term 4`),
    )
    t.match((await ask(b.port + 4, '/api/v1/cluster')).text, '"epoch":4', 'the newer term counts')
    await a.master.stop('over')
    await until('the broken stream is noticed', () =>
      b.member.hints.some((why) => /broke or the other side has ended/.test(why)),
    )
    t.match(a.member.orders, ['stop over'])
    t.ok(
      b.member.hints.includes(`localhost:${a.port} is stopped in term 4`),
      'its last line told why',
    )
  },
)

t.test('an address in the directory that is none harms nobody', async (t) => {
  const seat = await start(t)
  const strange = ['', 'x', 'http://x:1', 'a@b:1', 'x:99999', 'a b:1', '../x:1', '[:::]:1']
  seat.member.peers = strange.map((address) => ({ ...peerAt(1), address }))
  seat.member.change('backup')
  t.equal((await ask(seat.port + 4, '/')).status, 200)
  t.match((await ask(seat.port + 4, '/metrics')).text, /^tajo_master_peers_connected 0$/m)
})

t.test('a master with another secret is refused and counted', async (t) => {
  const [a, stranger] = [await start(t), await start(t, { secret: 'x'.repeat(64) })]
  stranger.member.peers = [peerAt(a.port)]
  stranger.member.change('backup')
  await until('it is counted', async () =>
    /refused_total\{reason="secret"\} [1-9]/.test((await ask(a.port + 4, '/metrics')).text),
  )
  t.match(a.logged, [{ level: 'info' }, { level: 'warn', message: /secret/ }])
})

t.test(
  'masters of two clusters in conf/masters: told on both sides, and no split brain',
  async (t) => {
    const ports = [await freePortRow(5), await freePortRow(5)]
    const [first = 0, second = 0] = ports
    const seats = ports.map((port, i) =>
      masterAt(port, new FakeMember(port), SECRET, null, null, {
        clusterId: `cluster-${i + 1}`,
        rootDirectory: `/root-${i + 1}`,
        // Only the first one lists the other.
        listed: () => (i === 0 ? ports.map((one) => `localhost:${one}`) : [`localhost:${port}`]),
      }),
    )
    for (const { master } of seats) {
      await master.start()
      t.teardown(() => master.stop('test over'))
    }
    for (const { member } of seats) await member.activate(1)
    const alertOf = async (port: number): Promise<unknown> => {
      const { alerts } = JSON.parse((await ask(port + 4, '/api/v1/cluster')).text)
      return alerts.find(({ kind }: { kind: string }) => kind === 'other-cluster')
    }
    t.match(await until('the one that lists it tells', () => alertOf(first)), {
      level: 'critical',
      text: `localhost:${second} belongs to cluster cluster-2 in /root-2: its tajo.rootdir differs`,
    })
    t.match(await until('the other one tells too', () => alertOf(second)), {
      level: 'critical',
      text: `localhost:${first} belongs to cluster cluster-1 in /root-1 and has this master`,
    })
    const { alerts } = JSON.parse((await ask(first + 4, '/api/v1/cluster')).text)
    t.notOk(alerts.some(({ kind }: { kind: string }) => kind === 'master-missing'))
    t.match((await ask(first + 4, '/metrics')).text, /^tajo_master_foreign_masters 1$/m)
    t.match((await ask(first + 4, '/metrics')).text, /^tajo_master_split_brain_total 0$/m)
    await seats[1]?.master.stop('its rootdir is corrected')
    await until('it is over', async () => (await alertOf(first)) === undefined)
  },
)

t.test('two that serve at once are told aloud', async (t) => {
  const [a, b] = [await start(t), await start(t)]
  a.member.peers = [peerAt(b.port)]
  await a.member.activate(4)
  await b.member.activate(5)
  a.member.change('active')
  await until('the alarm rings', () => a.logged.some(({ level }) => level === 'error'))
  const view = JSON.parse((await ask(a.port + 4, '/api/v1/cluster')).text)
  t.match(view.warnings, [/two masters serve at once: localhost:\d+ in term 5, this one in term 4/])
  t.match((await ask(a.port + 4, '/metrics')).text, /tajo_master_split_brain_total [1-9]/)
})

t.test(
  'the alarm does not ring for an old line, nor for an answer that came too late',
  async (t) => {
    const state = { serve: true, held: 6 as number | null }
    const other: Standing = { address: 'b', state: 'active', serving: true, epoch: 5, active: 'b' }
    let answer: () => Standing | null = () => ({ ...other, serving: false })
    let asked = 0
    const alarm = new SplitBrainAlarm({
      rights: { mayServe: () => state.serve, term: () => state.held },
      clock: systemClock,
      log: (_level, message) => t.fail(message),
      ask: async () => {
        asked += 1
        return answer()
      },
    })
    await alarm.heard(other)
    answer = () => null
    await alarm.heard(other)
    answer = () => {
      state.held = 7
      return other
    }
    await alarm.heard(other)
    answer = () => {
      state.serve = false
      return other
    }
    await alarm.heard(other)
    await alarm.heard(other)
    state.serve = true
    await alarm.heard({ ...other, serving: false })
    t.equal(asked, 4)
    t.equal(alarm.count, 0)
    t.same(alarm.warnings(), [])
  },
)

t.test('a port that is taken is named, and nothing stays open', async (t) => {
  const port = await freePortRow(5)
  const blocker = createServer().listen(port + 2, '127.0.0.1')
  t.teardown(() => void blocker.close())
  const { master } = masterAt(port, new FakeMember(port))
  await t.rejects(master.start(), {
    message: `tajo.resource-tracker.rpc.address: can't open 127.0.0.1:${port + 2}: process ${process.pid} (node) listens there. Free it, or choose another port`,
  })
  for (const offset of [0, 1, 3, 4]) {
    await t.rejects(ask(port + offset, '/'), { code: 'ECONNREFUSED' })
  }
})

t.test('an election that refuses leaves nothing open', async (t) => {
  const port = await freePortRow(5)
  const refused = new HaError('CATALOG_DIFFERS', 'another catalog')
  const { master } = masterAt(port, new FakeMember(port), SECRET, refused)
  await t.rejects(master.start(), refused)
  for (const offset of [0, 1, 2, 3, 4]) {
    await t.rejects(ask(port + offset, '/'), { code: 'ECONNREFUSED' })
  }
})

t.test('the page and its JSON', async (t) => {
  const seat = await start(t)
  const { member } = seat
  const evil = `<script>alert("1")</script>&'`
  member.peers = [peerAt(1000, { hostname: evil, heartbeatAgeMs: null })]
  member.problem = `no active: ${evil}`
  member.change('backup')
  const info = seat.port + 4
  const page = await ask(info, '/plain')
  t.equal(page.status, 200)
  t.match(page.headers['content-security-policy'], /^default-src 'none'; style-src 'sha256-/)
  t.notMatch(page.text, /<script/)
  t.match(page.text, /&lt;script&gt;alert\(&quot;1&quot;\)&lt;\/script&gt;&amp;&#39;/)
  t.match(page.text, /role="alert"/)
  t.match(JSON.parse((await ask(info, '/api/v1/cluster')).text), {
    clusterId: 'cluster-1',
    active: null,
    problem: /no active/,
    masters: [
      { address: 'localhost:1000', state: 'backup', heartbeatAgeMs: null, self: false },
      { address: `localhost:${seat.port}`, state: 'backup', self: true, pid: 4711 },
    ].sort((x, y) => (x.address < y.address ? -1 : 1)),
    workers: [],
  })
  t.match(JSON.parse((await ask(info, '/api/v1/queries')).text), { queries: [], total: 0 })
  t.same(JSON.parse((await ask(info, '/api/v1/history?limit=5')).text), { history: [] })
  const reads = member.historyReads
  await Promise.all(Array.from({ length: 20 }, () => ask(info, '/api/v1/history?limit=5')))
  // What is kept is read again after a second, whenever that is over (history-cache.test.ts has the exact rule).
  t.ok(member.historyReads - reads <= 2, 'reloading a page costs the directory next to nothing')
  for (const limit of ['0', '1001', '-1', 'x', '1e3']) {
    t.equal((await ask(info, `/api/v1/history?limit=${limit}`)).status, 400, limit)
  }
  t.equal((await ask(info, '/nothing')).status, 404)
  t.equal((await ask(info, '/', 'POST')).status, 405, 'nothing can be changed here')
  t.equal(escapeHtml('a<b'), 'a&lt;b')
  const empty = { clusterId: null, epoch: 0, active: null, self: 'x' }
  const cluster = { ...empty, masters: [], problem: null, warnings: [], alerts: [] }
  const text = 'host3:26001 belongs to cluster <c-2>'
  const alert = { kind: 'other-cluster', level: 'critical', text } as const
  for (const warnings of [[], [text]]) {
    const alerted = statusPage({ ...cluster, alerts: [alert], warnings }, [])
    t.equal(alerted.split('host3:26001 belongs to cluster &lt;c-2&gt;').length, 2, 'told once')
  }
  t.match(statusPage(cluster, null), /could not be read/)
  const term = {
    ...{ term: 2, address: 'b:1', hostname: 'b', nonce: 'n', at: '', previousTerm: 1 },
    ...{ reason: 'released', evidence: 'the holder had released the term', previousAddress: 'a:1' },
  }
  const end = { reason: 'master-died', by: 'keeper', successor: null, at: '' }
  const times = { noticedMs: 1, decidedMs: 1, claimedMs: 1, endedMs: 1, settledMs: 1, openedMs: 1 }
  const phases = { ...times, totalMs: 6 }
  const entry = { term, served: { term: 2, servedAt: '', previousEnd: end, phases } }
  const killed = statusPage(cluster, [inWords(entry)])
  t.match(killed, 'its process died (killed or crashed)', 'in the words of haadmin')
  t.notMatch(killed, 'released')
  const ordered = { term: { ...term, reason: 'command', orderedBy: 'ann@h1' }, served: null }
  const asked = statusPage(cluster, [inWords(ordered)])
  t.match(asked, `${term.evidence}; asked for by ann@h1`)
})

t.test('a history that can not be read in time is an error of its own', async (t) => {
  const seat = await start(t)
  seat.member.refusal = new HaError('TIMEOUT', 'no answer in 5000 ms')
  const answer = await ask(seat.port + 4, '/api/v1/history')
  t.equal(answer.status, 504)
  t.match(JSON.parse(answer.text), { code: 'TIMEOUT', message: /no answer in 5000 ms/ })
  t.equal((await ask(seat.port + 4, '/plain')).status, 200, 'the page comes without it')
})

t.test('metrics are in the format of Prometheus', async (t) => {
  const seat = await start(t)
  await seat.member.activate(3)
  const { text, headers } = await ask(seat.port + 4, '/metrics')
  t.match(headers['content-type'], 'version=0.0.4')
  t.match(text, /^tajo_master_state\{state="active"\} 1$/m)
  t.match(text, /^tajo_master_epoch 3$/m)
  t.match(text, /^tajo_master_lease_margin_seconds 2$/m)
  t.match(text, /^tajo_master_last_renewal_seconds NaN$/m)
  for (const line of text.trimEnd().split('\n')) {
    t.match(line, /^(|# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[\w+.:-]+",?)+\})? (NaN|[\d.e+-]+))$/)
  }
})

t.test('orders on the admin socket', async (t) => {
  const member = new FakeMember(1000)
  const stops: string[] = []
  let joined: FakeMember | null = null
  const app = adminServer({
    member: () => joined,
    status: () => ({}) as never,
    stop: (why) => void stops.push(why),
    term: () => 1,
    clusterId: () => 'c',
    log: () => {},
  })
  t.teardown(() => app.close())
  const post = async (
    name: string,
    payload: object,
    cluster = 'c',
  ): Promise<{ status: number; body: unknown }> => {
    const headers = { 'x-tajo-cluster': cluster }
    const answer = await app.inject({ method: 'POST', url: `/admin/${name}`, headers, payload })
    return { status: answer.statusCode, body: answer.json() }
  }
  const order = { successor: 'b:1', force: false, by: 'me@here' }
  t.match(await post('handOver', order), { status: 503, body: { code: 'UNAVAILABLE' } })
  joined = member
  t.match(await post('handOver', order), { status: 200, body: {} })
  t.match(await post('takeOver', { force: true, by: 'me' }), { status: 200 })
  t.match(await post('stop', { by: 'me' }), { status: 200 })
  t.same(member.orders, ['handOver b:1 by me@here', 'takeOver true by me'])
  t.same(stops, ['stopped by me'])
  t.match(await post('stop', { by: 'me' }, 'd'), {
    status: 409,
    body: { code: 'OTHER_CLUSTER', message: 'this is cluster c, and the message is for d' },
  })
  t.match(await post('stop', { by: 'me' }, ''), { body: { message: /of an older state/ } })
  t.same(stops, ['stopped by me'], 'orders for another cluster are not followed')
  t.match(await post('handOver', { force: 'yes' }), { status: 400, body: { code: 'BAD_REQUEST' } })
  member.refusal = new HaError('UNSAFE', 'nobody to hand over to')
  t.match(await post('handOver', order), {
    status: 409,
    body: { code: 'UNSAFE', message: 'nobody to hand over to' },
  })
})

t.test('a master without high availability is active from start to end', async (t) => {
  const port = await freePortRow(5)
  const seen: string[] = []
  const addresses = addressesAt(port)
  let storage: Pick<MemberView, 'storage' | 'space' | 'problem'> = {
    storage: 'ok',
    space: null,
    problem: null,
  }
  let changed = (): void => {}
  const member = new SingleMember({
    storage: {
      start: (onChange) => {
        changed = onChange
      },
      stop: () => void seen.push('storage stops'),
      view: () => storage,
    },
    self: { address: addresses.umbilical, addresses, version: '1', priority: 1, adminSocket: '' },
    hostname: 'h',
    pid: 1,
    clusterId: 'c',
    startedAt: '',
    service: {
      activate: async (term) => void seen.push(`activate ${term}`),
      drain: async () => void seen.push('drain'),
      deactivate: async () => void seen.push('deactivate'),
    },
    onFailure: () => {},
    term: 1,
  })
  t.equal(member.mayServe(), false)
  await member.start()
  t.ok(member.mayServe())
  t.match(member.view(), { state: 'active', epoch: 1, active: { address: addresses.umbilical } })
  const told: MemberView[] = []
  member.onState((view) => void told.push(view))
  storage = { storage: 'unwritable', space: null, problem: 'EROFS' }
  changed()
  t.match(told, [{ state: 'active', storage: 'unwritable', problem: 'EROFS' }])
  await member.commit()
  await t.rejects(member.handOver(), { code: 'UNSAFE' })
  await member.takeOver()
  t.same(await member.history(), [])
  await member.stop('over')
  await member.stop('again')
  t.equal(member.term(), null)
  await t.rejects(member.commit(), { code: 'NOT_ACTIVE' })
  t.same(seen, ['activate 1', 'storage stops', 'drain', 'deactivate'])
})
