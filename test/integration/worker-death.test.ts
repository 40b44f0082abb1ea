/**
 * Workers die under a change, with real processes: it runs again on another one where something else explains the death,
 * ends with that word where nothing does, and is done once in each case. And the storage of all goes away for a while.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { TajoClient } from '../../lib/client/index.ts'
import type { QueryRecord } from '../../lib/contract/index.ts'
import { mountHangFs } from '../support/hangfs.ts'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { slow } from '../support/slow.ts'
import { ask, makeCluster, type TestCluster, type TestMaster } from '../support/test-masters.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

const { from: SLOW, rows: SLOW_ROWS } = slow(20)
/** Longer than anybody waits for it. */
const ENDLESS = slow(20_000).from
/** A death is heard of at once: so no failover comes of a machine that is only busy. */
const CALM_MS = monitorMs(20_000)

interface Stage {
  readonly cluster: TestCluster
  readonly workers: readonly TestWorker[]
  readonly client: TajoClient
}

/** Two workers, each started as the scripts do it. */
async function stageOf(t: Test, cluster: TestCluster, root = cluster.root): Promise<Stage> {
  const { masters } = cluster
  const dir = mkdtempSync(join(tmpdir(), 'tajo-death-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }))
  const workers: TestWorker[] = []
  t.teardown(async () => {
    for (const worker of workers) worker.destroy()
    await Promise.all(workers.map((worker) => worker.ended()))
  })
  for (const name of ['w1', 'w2']) {
    const own = join(dir, name)
    workers.push(await TestWorker.make({ dir: own, root, masters, watched: true }))
  }
  const { active } = await cluster.settled()
  await Promise.all(workers.map((worker) => worker.start()))
  await until('the workers have registered', async () => (await live(active)).length === 2)
  const client = clientOf(masters)
  t.teardown(() => client.close())
  return { cluster, workers, client }
}

const live = async (master: TestMaster): Promise<string[]> => {
  const document = JSON.parse((await ask(master.ports.info, '/api/v1/cluster')).text) as {
    workers: { address: string; state: string }[]
  }
  return document.workers.filter(({ state }) => state === 'live').map(({ address }) => address)
}

const recordOf = async (
  { ports, administrator: headers }: TestMaster,
  sql: string,
): Promise<QueryRecord | undefined> => {
  const { text } = await ask(ports.info, '/api/v1/queries', { headers })
  return (JSON.parse(text) as { queries: QueryRecord[] }).queries.find((one) => one.sql === sql)
}

/** As that attempt. */
const runsAt = (master: TestMaster, sql: string, attempt: number): Promise<QueryRecord> =>
  until(`it runs as attempt ${attempt}: ${sql}`, async () => {
    const record = await recordOf(master, sql)
    const runs = record?.state === 'running' && record.worker !== null
    return runs && record.attempt === attempt ? record : null
  })

async function numberOf(client: TajoClient, sql: string): Promise<number> {
  const result = await client.query(sql)
  let value = Number.NaN
  for await (const rows of result.rows()) value = Number(rows[0]?.[0])
  return value
}

const workerOf = ({ workers }: Stage, { worker }: QueryRecord): TestWorker => {
  const found = workers.find(({ address }) => address === worker)
  if (found === undefined) throw new Error(`no worker ${worker}`)
  return found
}

t.test('kill -9 of a worker: a change runs again on the other one, once', async (t) => {
  const stage = await stageOf(t, await makeCluster(t, { count: 2, monitorMs: CALM_MS }))
  const { cluster, client } = stage
  const { active, backups } = await cluster.settled()
  const revive = async (worker: TestWorker): Promise<void> => {
    await worker.ended()
    await worker.start()
    await until('both are there', async () => (await live(active)).length === 2)
  }

  await t.test('INSERT … SELECT', async (t) => {
    await client.execute('create table t (a int8) using parquet')
    const sql = `insert into t select i from ${SLOW}`
    const told: string[] = []
    const written = client.execute(sql, { onHeldUp: (why: string) => told.push(why) })
    const first = workerOf(stage, await runsAt(active, sql, 1))
    first.kill('SIGKILL')
    const second = workerOf(stage, await runsAt(active, sql, 2))
    t.not(second.address, first.address)
    t.equal(await written, `INSERT ${SLOW_ROWS}`)
    t.equal(await numberOf(client, 'select count(*) from t'), SLOW_ROWS, 'once')
    t.equal(await numberOf(client, 'select count(distinct a) from t'), SLOW_ROWS)
    const why = `worker ${first.address} was killed (SIGKILL)`
    t.match(await recordOf(active, sql), {
      state: 'succeeded',
      attempt: 2,
      failures: [{ attempt: 1, worker: first.address, why }],
    })
    t.ok(told.includes(`${why}: it runs again on another one`), 'its client is told')
    await revive(first)
  })

  await t.test('one that is stopped in order', async (t) => {
    const sql = `insert overwrite into t select i from ${SLOW}`
    const written = client.execute(sql)
    const first = workerOf(stage, await runsAt(active, sql, 1))
    first.kill('SIGTERM')
    t.equal(await written, `INSERT ${SLOW_ROWS}`)
    t.equal(await numberOf(client, 'select count(*) from t'), SLOW_ROWS, 'once')
    const why = `worker ${first.address} was stopped`
    t.match(await recordOf(active, sql), { attempt: 2, failures: [{ attempt: 1, why }] })
    await revive(first)
  })

  await t.test('CREATE TABLE AS, and its active master after it', async (t) => {
    const sql = `create table c using parquet as select i from ${SLOW}`
    const written = client.execute(sql)
    workerOf(stage, await runsAt(active, sql, 1)).kill('SIGKILL')
    await runsAt(active, sql, 2)
    active.destroy()
    t.equal(await written, `CREATE TABLE ${SLOW_ROWS}`)
    t.equal(await numberOf(client, 'select count(*) from c'), SLOW_ROWS, 'once')
    t.equal(await numberOf(client, 'select count(distinct i) from c'), SLOW_ROWS)
    const [backup] = backups as [TestMaster]
    const record = await until('its end is known', async () => {
      const found = await recordOf(backup, sql)
      return found?.state === 'succeeded' ? found : null
    })
    t.equal(record.attempt, 2, 'the attempts were counted on')
  })
})

t.test('a change that ends its worker by itself ends no other one', async (t) => {
  const stage = await stageOf(t, await makeCluster(t, { count: 1, monitorMs: CALM_MS }))
  const { cluster, client, workers } = stage
  const { active } = await cluster.settled()
  await client.execute('create table t (a int8) using parquet')
  await client.execute('insert into t select 7')
  const sql = `insert into t select i from ${ENDLESS}`
  const written = t.rejects(client.execute(sql), {
    kind: 'lost',
    message:
      /^worker \S+ died alone under this query \(of SIGXCPU\), so no other one is given it by itself; nothing was changed; submit it again$/,
  })
  const first = workerOf(stage, await runsAt(active, sql, 1))
  // As the kernel ends who computes for too long; what computes is a process of its own.
  first.kill('SIGXCPU')
  await written
  await first.ended()
  const other = workers.find((one) => one !== first)
  const record = await until('its record tells the end', async () => {
    const found = await recordOf(active, sql)
    return found?.state === 'running' ? null : found
  })
  t.match(record, { state: 'failed', attempt: 1, worker: first.address })
  t.equal(other?.hasEnded, false)
  t.equal(await numberOf(client, 'select sum(a) from t'), 7, 'the other one answers')
})

t.test('8 s without storage under an INSERT: it ends well, and once', async (t) => {
  if (!hasParts(t, 'hangfs')) return
  const dir = mkdtempSync(join(tmpdir(), 'tajo-outage-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }))
  mkdirSync(join(dir, 'backing'))
  const mount = await mountHangFs(t, join(dir, 'backing'), { path: join(dir, 'shared') })
  const site = { 'tajo.rootdir': `file://${mount.path}` }
  const m = monitorMs(2000)
  const made = await makeCluster(t, { count: 2, monitorMs: m, site })
  const { cluster, client } = await stageOf(t, made, mount.path)
  const { active, epoch } = await cluster.settled()
  await client.execute('create table t (a int8) using parquet')
  const sql = `insert into t select i from ${SLOW}`
  const written = client.execute(sql)
  await runsAt(active, sql, 1)
  await mount.hang('all')
  // The master refuses its workers from M/2 on; it must do so for longer than a busy one may be silent.
  await sleep(Math.max(8000, m + 8000))
  await mount.release()
  t.equal(await written, `INSERT ${SLOW_ROWS}`)
  t.equal(await numberOf(client, 'select count(*) from t'), SLOW_ROWS, 'once')
  t.equal(await numberOf(client, 'select count(distinct a) from t'), SLOW_ROWS)
  t.match(await recordOf(active, sql), { state: 'succeeded', attempt: 1 }, 'in its first attempt')
  t.notMatch(active.log, /worker \S+ is lost/, 'nobody was given up')
  t.comment(`term ${epoch} before, ${(await cluster.settled()).epoch} after`)
})
