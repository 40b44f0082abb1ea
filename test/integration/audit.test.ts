/**
 * The audit logs of real masters: who ran what and from where, who was refused, who moved the role; with the ends of what
 * ran while the active was killed; in files that only their user reads, and that a signal opens anew.
 */
import { readFileSync, renameSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { monitorMs } from '../support/pace.ts'
import { slow } from '../support/slow.ts'
import { ask, makeCluster, type TestMaster } from '../support/test-masters.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

type Entry = Readonly<Record<string, unknown>>

const pathOf = ({ dir }: TestMaster): string =>
  join(dir, 'logs', `tajo-test-master-${hostname()}.audit.log`)
const linesIn = (path: string): Entry[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

/** A death is heard of at once: so no failover comes of a machine that is only busy. */
const cluster = await makeCluster(t, { count: 2, monitorMs: monitorMs(20_000) })
const entries = (): Entry[] => cluster.masters.flatMap((master) => linesIn(pathOf(master)))
const worker = await TestWorker.make({
  ...{ dir: join(cluster.root, '..', 'worker'), root: cluster.root, masters: cluster.masters },
})
t.teardown(() => worker.destroy())
await worker.start()
const client = clientOf(cluster.masters)
t.teardown(() => client.close())
const statements = (): Entry[] => entries().filter(({ event }) => event === 'statement')

t.test('statements, refusals and orders, in a file of its own', async (t) => {
  const { active, backups } = await cluster.settled()
  await client.execute('create table secrets (a int8) using parquet')
  await client.execute("insert into secrets select 4711 where 'hidden' <> ''")
  const foreign = await ask(active.ports.info, '/api/v1/queries', {
    headers: { host: 'evil.example' },
  })
  t.equal(foreign.status, 403)
  const sql = JSON.stringify({ sql: 'select 1' })
  const json = { 'content-type': 'application/json' }
  const stranger = await ask(active.ports.info, '/api/v1/sql', {
    ...{ method: 'POST', body: sql },
    headers: { ...json, authorization: 'Bearer forged.AAAA' },
  })
  t.equal(stranger.status, 401)
  const headers = { ...json, ...active.administrator }
  await ask(active.ports.info, '/api/v1/sql', { method: 'POST', headers, body: sql })
  const secret = await ask(active.ports.umbilical, '/rpc/umbilical/announce', {
    method: 'POST',
    headers: { 'x-tajo-cluster': (await active.cluster()).clusterId },
  })
  t.equal(secret.status, 403)
  const has = (fits: Entry): Promise<Entry> =>
    until(`there is ${JSON.stringify(fits)}`, () => {
      const found = entries().find((one) =>
        Object.entries(fits).every(([name, value]) => one[name] === value),
      )
      return found ?? null
    })
  t.match(await has({ event: 'statement', is: 'create-table' }), {
    ...{ from: '127.0.0.1', tables: ['default.secrets'], outcome: 'succeeded' },
    ...{ master: active.address, time: /Z$/ },
  })
  t.match(await has({ event: 'statement', is: 'insert' }), { rows: 1, outcome: 'succeeded' })
  t.match(await has({ event: 'refusal', what: 'page' }), { from: '127.0.0.1', why: /evil/ })
  t.match(await has({ event: 'refusal', what: 'secret' }), { from: '127.0.0.1' })
  t.match(await has({ event: 'refusal', what: 'token' }), { from: '127.0.0.1' })
  const page = await has({ event: 'page', asks: 'statement' })
  await has({ event: 'statement', queryId: page.queryId })
  const role = { event: 'role', state: 'active', master: active.address }
  t.match(await has(role), { before: 'activating' })
  for (const master of cluster.masters) {
    t.equal(statSync(pathOf(master)).mode & 0o777, 0o600)
    t.notMatch(readFileSync(pathOf(master), 'utf8'), /hidden/, 'no text without the key')
  }
  const [successor] = backups as [TestMaster]
  await active.handOverTo(successor)
  t.match(await has({ event: 'order', order: 'handOver' }), { refused: null, by: /./ })
  await has({ event: 'role', before: 'active', master: active.address })
  await has({ ...role, master: successor.address })
})

t.test('kill -9 of the active: each end is told once by one of them', async (t) => {
  const { active, backups } = await cluster.settled()
  await client.execute('create table t (a int8) using parquet')
  const { from, rows } = slow(20)
  const change = client.execute(`insert into t select i from ${from}`)
  const idOf = async (): Promise<string | null> => {
    const headers = active.administrator
    const { text } = await ask(active.ports.info, '/api/v1/queries?state=running', { headers })
    const { queries = [] } = JSON.parse(text || '{}') as { queries?: { queryId: string }[] }
    return queries[0]?.queryId ?? null
  }
  const queryId = await until('the change runs', idOf)
  process.kill(active.pid, 'SIGKILL')
  await active.ended()
  await change
  const told = (): Entry[] => statements().filter((one) => one.queryId === queryId)
  await until('its end is told', () => told().length > 0)
  t.equal(told().length, 1)
  t.match(told()[0], {
    ...{ master: backups[0]?.address, is: 'insert', tables: ['default.t'], outcome: 'succeeded' },
    ...{ rows, from: '127.0.0.1' },
  })
  await active.start()
})

t.test('moved away and told so by the signal, it begins anew', async (t) => {
  const { active } = await cluster.settled()
  const path = pathOf(active)
  renameSync(path, `${path}.moved`)
  process.kill(active.pid, 'SIGHUP')
  await until('the signal is heard', () => {
    const log = readFileSync(path.replace('.audit.log', '.log'), 'utf8')
    return log.includes('"log-reopened"')
  })
  await client.execute('drop table t')
  await until('the new one has it', () => {
    try {
      return linesIn(path).some(({ is }) => is === 'drop-table')
    } catch {
      return false
    }
  })
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.notOk(linesIn(`${path}.moved`).some(({ is }) => is === 'drop-table'))
})
