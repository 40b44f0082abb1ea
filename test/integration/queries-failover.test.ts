/**
 * Every way in which the active master or a worker can go while statements run, with real processes: who is to notice
 * nothing, who is to be told what, and that a change is there once or not at all.
 */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import type { QueryResult, TajoClient } from '../../lib/client/index.ts'
import type { QueryRecord } from '../../lib/contract/index.ts'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { startPostgres } from '../support/postgres.ts'
import { slow } from '../support/slow.ts'
import { ask, makeCluster, type TestCluster, type TestMaster } from '../support/test-masters.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

/** So many rows that a reader who pauses holds the query up, and cheap ones. */
const ROWS = 3_000_000
const SUM = (ROWS * (ROWS - 1)) / 2
/** What a page shows of the queries may be half a second old. */
const { from: SLOW, rows: SLOW_ROWS } = slow(20)
/** A death is heard of at once: so no failover comes of a machine that is only busy. */
const CALM_MS = monitorMs(20_000)

interface Stage {
  readonly cluster: TestCluster
  readonly workers: readonly TestWorker[]
  readonly client: TajoClient
}

async function stageOf(t: Test, options: { workers: number; monitorMs: number }): Promise<Stage> {
  const cluster = await makeCluster(t, { count: 2, monitorMs: options.monitorMs })
  const { root, masters } = cluster
  const { active } = await cluster.settled()
  const workers: TestWorker[] = []
  for (let i = 0; i < options.workers; i += 1) {
    const dir = join(root, '..', `worker-${i}`)
    workers.push(await TestWorker.make({ dir, root, masters }))
  }
  t.teardown(() => {
    for (const worker of workers) worker.destroy()
  })
  await Promise.all(workers.map((worker) => worker.start()))
  await until('the workers have registered', async () => {
    const { workers: known } = (await active.cluster()) as unknown as { workers: unknown[] }
    return known.length === workers.length
  })
  const client = clientOf(masters)
  t.teardown(() => client.close())
  return { cluster, workers, client }
}

const queriesOf = async ({
  ports,
  administrator: headers,
}: TestMaster): Promise<readonly QueryRecord[]> =>
  (
    JSON.parse((await ask(ports.info, '/api/v1/queries', { headers })).text) as {
      queries: QueryRecord[]
    }
  ).queries

const recordOf = async (master: TestMaster, sql: string): Promise<QueryRecord | undefined> =>
  (await queriesOf(master)).find((query) => query.sql === sql)

/** With `epoch` as that term's active tells it. */
const runsAt = (master: TestMaster, sql: string, epoch?: number): Promise<QueryRecord> =>
  until(`it runs: ${sql}`, async () => {
    const record = await recordOf(master, sql)
    const runs = record?.state === 'running' && record.worker !== null
    return runs && (epoch ?? record.epoch) === record.epoch ? record : null
  })

/** A worker's report comes a moment after its client has the result. */
const endOf = (master: TestMaster, sql: string): Promise<QueryRecord> =>
  until('its end is known', async () => {
    const record = await recordOf(master, sql)
    return record === undefined || record.state === 'running' ? null : record
  })

async function numberOf(client: TajoClient, sql: string): Promise<number> {
  const result = await client.query(sql)
  let value = Number.NaN
  for await (const rows of result.rows()) value = Number(rows[0]?.[0])
  return value
}

/** Reads the first rows, then nothing until `proceed`: a query that lasts as long as the test wants. */
async function slowly(result: QueryResult, proceed: Promise<unknown>): Promise<[number, number]> {
  let count = 0
  let sum = 0
  for await (const rows of result.rows()) {
    for (const [value] of rows) {
      count += 1
      sum += Number(value)
    }
    await proceed
  }
  return [count, sum]
}

async function write(client: TajoClient, table: string, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i += 1) await client.execute(`insert into ${table} select ${i}`)
}

/** Each of 0 … n-1 once. */
async function holdsEach(t: Test, client: TajoClient, table: string, n: number): Promise<void> {
  t.equal(await numberOf(client, `select count(*) from ${table}`), n)
  t.equal(await numberOf(client, `select count(distinct a) from ${table}`), n)
  t.equal(await numberOf(client, `select sum(a) from ${table}`), (n * (n - 1)) / 2)
}

t.test('kill -9 of the active: a read goes on, a write ends once', async (t) => {
  const { cluster, client } = await stageOf(t, { workers: 1, monitorMs: CALM_MS })
  const { active, backups, epoch } = await cluster.settled()
  const [backup] = backups as [TestMaster]
  await client.execute('create table src (a int8) using parquet')
  await client.execute(`insert into src select i from range(${ROWS}) x(i)`)
  await client.execute('create table t (a int8) using parquet')
  const read = 'select a from src'
  const insert = `insert into t select i from ${SLOW}`

  let proceed = (): void => {}
  const held = new Promise<void>((resolve) => {
    proceed = resolve
  })
  const rows = slowly(await client.query(read), held)
  const written = client.execute(insert)
  const { queryId } = await runsAt(active, insert)
  await runsAt(active, read)
  process.kill(active.pid, 'SIGKILL')

  t.ok(await runsAt(backup, read, epoch + 1), 'the new active has it in its list while it runs')
  // Its files belong to no table any more, and somebody reads them.
  t.equal(await client.execute('drop table src'), 'DROP TABLE')
  proceed()
  t.same(await rows, [ROWS, SUM], 'the full, right result')
  const message = await written
  t.equal(message, `INSERT ${SLOW_ROWS}`)
  t.equal(await numberOf(client, 'select count(*) from t'), SLOW_ROWS, 'once')
  const ended = { state: 'succeeded', epoch: epoch + 1 }
  t.match(await endOf(backup, read), { ...ended, rows: ROWS })
  t.match(await endOf(backup, insert), { ...ended, queryId, rows: SLOW_ROWS })
})

t.test('kill -9 of the active under an OVERWRITE that reads what it replaces', async (t) => {
  const { cluster, client } = await stageOf(t, { workers: 1, monitorMs: CALM_MS })
  const { active, backups } = await cluster.settled()
  const [backup] = backups as [TestMaster]
  await client.execute('create table t (a int8) using parquet')
  await client.execute('insert into t values (-1)')
  const overwrite = `insert overwrite into t select a from t union all select i from ${SLOW}`
  const written = client.execute(overwrite)
  const { queryId } = await runsAt(active, overwrite)
  // Its worker makes a place for the rows when it knows what it reads.
  await until('it knows what it reads', async () =>
    readdirSync(cluster.root, { recursive: true }).some((path) =>
      basename(String(path)).startsWith(`data-${queryId}`),
    ),
  )
  const other = clientOf(cluster.masters)
  t.teardown(() => other.close())
  t.equal(await other.execute('insert into t values (-2)'), 'INSERT 1')
  t.match(await recordOf(active, overwrite), { state: 'running' }, 'it runs all the while')
  process.kill(active.pid, 'SIGKILL')

  t.match(await written, /^INSERT \d+$/)
  const kept = 'select count(*) from t where a in (-1, -2)'
  t.equal(await numberOf(client, kept), 2, 'the row that was inserted meanwhile is there')
  t.equal(await numberOf(client, 'select count(*) from t'), SLOW_ROWS + 2, 'and nothing twice')
  t.match(await endOf(backup, overwrite), { state: 'succeeded', attempt: 2 })
})

t.test('SIGSTOP of the active and hand-overs while several write', async (t) => {
  const { cluster, client } = await stageOf(t, { workers: 2, monitorMs: monitorMs(2000) })
  await client.execute('create table t (a int8) using parquet')
  const others = [clientOf(cluster.masters), clientOf(cluster.masters), clientOf(cluster.masters)]
  t.teardown(() => Promise.all(others.map((other) => other.close())))
  const EACH = 12
  const writing = Promise.all(others.map((other, i) => write(other, 't', EACH * i, EACH * (i + 1))))
  await until('they write', async () => (await numberOf(client, 'select count(*) from t')) > 0)

  const { active: first, backups } = await cluster.settled()
  const [second] = backups as [TestMaster]
  process.kill(first.pid, 'SIGSTOP')
  await until('the other one serves', () => second.health('active'))
  try {
    process.kill(first.pid, 'SIGCONT')
  } catch (error) {
    // Its keeper may have ended it by now.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
  // It finds its term over, as a backup or by ending.
  const hasEnded = await Promise.race([
    first.ended().then(() => true),
    until('it is a backup', () => first.health('backup')).then(() => false),
  ])
  if (hasEnded) await first.start()
  await cluster.settled()
  // A machine that is too busy for a successor's pulse has it refused, rightly.
  await until('the hand-over is accepted', () => second.handOverTo(first).then(() => true))
  await until('the first one serves again', () => first.health('active'))
  await writing
  await holdsEach(t, client, 't', 3 * EACH)
})

t.test(
  'kill -9 of a worker: a read that gave no row moves, one that did and a write are told',
  async (t) => {
    const { cluster, workers, client } = await stageOf(t, { workers: 2, monitorMs: CALM_MS })
    const { active } = await cluster.settled()
    await client.execute('create table t (a int8) using parquet')
    await client.execute('insert into t select 7')
    const workerOf = ({ worker }: QueryRecord): TestWorker => {
      const found = workers.find(({ address }) => address === worker)
      if (found === undefined) throw new Error(`no worker ${worker}`)
      return found
    }
    const revive = async (worker: TestWorker): Promise<void> => {
      await worker.ended()
      await worker.start()
      await until('both are there', async () => {
        const known = (await active.cluster()) as unknown as { workers: { address: string }[] }
        return known.workers.some(({ address }) => address === worker.address)
      })
    }

    const silent = `select count(*) from ${SLOW}`
    const counted = numberOf(client, silent)
    const first = await runsAt(active, silent)
    workerOf(first).kill('SIGKILL')
    t.equal(await counted, SLOW_ROWS, 'the client noticed nothing')
    const moved = await endOf(active, silent)
    t.match(moved, { state: 'succeeded', attempt: 2 })
    t.not(moved.worker, first.worker)
    await revive(workerOf(first))

    const talking = `select i from range(${ROWS}) x(i)`
    let proceed = (): void => {}
    const held = new Promise<void>((resolve) => {
      proceed = resolve
    })
    const rows = slowly(await client.query(talking), held)
    const broken = t.rejects(rows, { kind: 'lost', message: /broke off after \d+ rows.*again/ })
    const second = workerOf(await runsAt(active, talking))
    second.kill('SIGKILL')
    proceed()
    await broken
    await revive(second)

    const insert = `insert overwrite into t select i from ${SLOW}`
    const written = t.rejects(client.execute(insert), {
      kind: 'lost',
      message: /worker .* nothing was changed; submit it again/,
    })
    const third = workerOf(await runsAt(active, insert))
    third.kill('SIGKILL')
    await written
    t.equal(await numberOf(client, 'select sum(a) from t'), 7, 'nothing was changed')
    t.match(await endOf(active, insert), { state: 'failed', error: { kind: 'lost' } })
    await revive(third)
    t.match(await client.execute(insert), /^INSERT \d+$/, 'again, as it was told')
  },
)

t.test(
  'a catalog that somebody has changed under the active: it gives its term up, and a backup goes on',
  async (t) => {
    if (!hasParts(t, 'postgres')) return
    const server = await startPostgres(t)
    const { user, password, port } = server
    const cluster = await makeCluster(t, {
      count: 2,
      monitorMs: monitorMs(5000),
      site: {
        'tajo.catalog.store.class': 'PostgreSQLStore',
        'tajo.catalog.uri': server.uri('catalog?createDatabaseIfNotExist=true'),
        'tajo.catalog.connection.id': user,
        'tajo.catalog.connection.password': password,
      },
    })
    const { active } = await cluster.settled()
    const client = clientOf(cluster.masters)
    t.teardown(() => client.close())
    t.equal(await client.execute('create table a (a int4)'), 'CREATE TABLE')
    const hand = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'catalog' })
    await hand.connect()
    await hand.query('UPDATE catalog_term SET kept = 99')
    await hand.end()
    t.equal(await client.execute('create table b (a int4)'), 'CREATE TABLE', 'by the next active')
    t.match(active.log, /99 transactions of term 1 are kept/)
    t.match(active.log, /term 1 is given up/)
    await until('it waits behind the next one', () => active.health('backup'))
    t.equal(await client.execute('create table c (a int4)'), 'CREATE TABLE')
  },
)
