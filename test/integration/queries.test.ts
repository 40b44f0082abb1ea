/** Queries through the loss of the active master, with real processes: nobody notices, and every change is there once. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { TajoClient } from '../../lib/client/index.ts'
import { monitorMs } from '../support/pace.ts'
import { ask, makeCluster, type TestMaster } from '../support/test-masters.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

interface Queries {
  readonly queries: readonly {
    readonly sql: string
    readonly state: string
    readonly epoch: number
    readonly worker: string | null
  }[]
}

const queriesOf = async ({
  ports,
  administrator: headers,
}: TestMaster): Promise<Queries['queries']> =>
  (JSON.parse((await ask(ports.info, '/api/v1/queries', { headers })).text) as Queries).queries

async function firstOf(client: TajoClient, sql: string): Promise<unknown> {
  const result = await client.query(sql)
  for await (const rows of result.rows()) return rows[0]?.[0]
  return null
}

t.test('kill -9 of the active in the middle of a write and of a read', async (t) => {
  // A death is heard of at once: so no failover comes of a machine that is only busy.
  const cluster = await makeCluster(t, { count: 2, monitorMs: monitorMs(20_000) })
  const { active, backups, epoch: before } = await cluster.settled()
  const [backup] = backups as [TestMaster]
  const worker = await TestWorker.make({
    dir: join(cluster.root, '..', 'worker'),
    root: cluster.root,
    masters: cluster.masters,
  })
  t.teardown(() => worker.destroy())
  await worker.start()
  await until('the worker has registered', async () => {
    const { workers } = (await active.cluster()) as unknown as { workers: unknown[] }
    return workers.length === 1
  })
  const client = clientOf(cluster.masters)
  t.teardown(() => client.close())
  t.equal(await client.execute('create table t (a int4) using parquet'), 'CREATE TABLE')
  t.equal(await client.execute('insert into t select 1'), 'INSERT 1')

  // Some seconds of work on any machine, so that both are under way at the kill.
  const work = 'select sum(length(md5(cast(j as text)))) from range(16000000) y(j)'
  const made = client.execute(
    `create table big as select i a from range(1000000) x(i) where (${work}) > 0`,
  )
  const rows = firstOf(client, work)
  await until('both run', async () => {
    const running = (await queriesOf(active)).filter(({ state }) => state === 'running')
    return running.length === 2
  })
  const pid = active.pid
  process.kill(pid, 'SIGKILL')
  await until('the backup has them in its list', async () => {
    const queries = await queriesOf(backup)
    const taken = queries.filter(({ sql, epoch }) => epoch === before + 1 && /range/.test(sql))
    return taken.length === 2 && taken.every(({ worker: by }) => by === worker.address)
  })
  t.equal(await made, 'CREATE TABLE 1000000')
  t.equal(Number(await rows), 512_000_000)
  t.equal(Number(await firstOf(client, 'select count(*) from big')), 1_000_000)
  t.equal(await client.execute('insert into t select 2'), 'INSERT 1')
  t.equal(Number(await firstOf(client, 'select sum(a) from t')), 3)

  const history = await queriesOf(backup)
  t.match(
    history.find(({ sql }) => sql === 'insert into t select 1'),
    { state: 'succeeded', epoch: before },
    'what ended under the first active is not lost',
  )
  t.match(
    history.find(({ sql }) => sql.startsWith('create table big')),
    { state: 'succeeded', epoch: before + 1 },
  )
  await until('the new term has the whole log', () => {
    return readdirSync(join(cluster.root, 'system', 'queries')).length === 1
  })

  await active.start()
  await cluster.settled()
  // A backup reads the log every now and then.
  await until(
    'a backup tells the same',
    async () => (await queriesOf(active)).length === history.length,
  )
  await t.rejects(client.execute('create table t (a int4)'), { message: /exists already/ })
})
