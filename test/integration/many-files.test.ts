/**
 * A change that writes more files than a worker's report has room for, with real processes: all of it is there, once, and so
 * it is when the master that should hear of it dies.
 */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import type { TajoClient } from '../../lib/client/index.ts'
import { monitorMs } from '../support/pace.ts'
import { makeCluster } from '../support/test-masters.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

const PARTITIONS = 1500
const ROWS = 3000
const SOURCE = `select i, i % ${PARTITIONS} from range(${ROWS}) x(i)`

async function firstRow(client: TajoClient, sql: string): Promise<unknown[]> {
  const result = await client.query(sql)
  let row: unknown[] = []
  for await (const rows of result.rows()) row = rows[0]?.map(Number) ?? row
  return row
}

t.test('more files than a report carries are there once', async (t) => {
  const cluster = await makeCluster(t, { count: 2, monitorMs: monitorMs(5000) })
  const { root, masters } = cluster
  const { active } = await cluster.settled()
  const worker = await TestWorker.make({ dir: join(root, '..', 'worker'), root, masters })
  t.teardown(() => worker.destroy())
  await worker.start()
  await until('the worker has registered', async () => {
    const { workers } = (await active.cluster()) as unknown as { workers: unknown[] }
    return workers.length === 1
  })
  const client = clientOf(masters)
  t.teardown(() => client.close())
  const all = (table: string): Promise<unknown[]> =>
    firstRow(client, `select count(*), count(distinct a), count(distinct p), sum(a) from ${table}`)
  const whole = [ROWS, ROWS, PARTITIONS, (ROWS * (ROWS - 1)) / 2]

  await client.execute('create table t (a int8) using text partition by column (p int4)')
  t.equal(await client.execute(`insert into t ${SOURCE}`), `INSERT ${ROWS}`)
  t.same(await all('t'), whole)
  t.equal(await client.execute(`insert overwrite into t ${SOURCE}`), `INSERT ${ROWS}`)
  t.same(await all('t'), whole, 'and what is overwritten is gone')

  await client.execute('create table u (a int8) using text partition by column (p int4)')
  const written = client.execute(`insert into u ${SOURCE}`)
  // They have their names for readers when all is written, and are made durable then.
  await until('its worker has written', () => {
    const names = readdirSync(root, { recursive: true }).map(String)
    const ofU = names.filter((path) => path.includes('/u-') && basename(path).startsWith('p='))
    return ofU.length >= PARTITIONS
  })
  process.kill(active.pid, 'SIGKILL')
  t.equal(await written, `INSERT ${ROWS}`)
  t.same(await all('u'), whole)
  const [backup] = masters.filter((master) => master !== active)
  t.notMatch(backup?.log, /413|too large/)
})
