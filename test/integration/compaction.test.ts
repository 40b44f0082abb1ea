/**
 * Small files are joined, with real masters and workers: by hand and by themselves, in every format, beside queries that
 * run, and through the deaths of the worker that does it and of the master that ordered it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { TajoClient } from '../../lib/client/index.ts'
import { monitorMs } from '../support/pace.ts'
import { makeCluster, type TestCluster } from '../support/test-masters.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'

interface Stage {
  readonly cluster: TestCluster
  readonly workers: readonly TestWorker[]
  readonly client: TajoClient
}

async function stageOf(t: Test, site: Record<string, string>, count = 1): Promise<Stage> {
  const cluster = await makeCluster(t, { count: 2, monitorMs: monitorMs(3000), site })
  const { masters, root } = cluster
  const dir = mkdtempSync(join(tmpdir(), 'tajo-compaction-'))
  const workers: TestWorker[] = []
  t.teardown(async () => {
    for (const worker of workers) worker.destroy()
    await Promise.all(workers.map((worker) => worker.ended()))
    rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  })
  for (let n = 0; n < count; n += 1) {
    workers.push(await TestWorker.make({ dir: join(dir, `w${n}`), root, masters, watched: true }))
  }
  await cluster.settled()
  await Promise.all(workers.map((worker) => worker.start()))
  const client = clientOf(masters)
  t.teardown(() => client.close())
  return { cluster, workers, client }
}

async function rowsOf(client: TajoClient, sql: string): Promise<(readonly unknown[])[]> {
  const all: (readonly unknown[])[] = []
  for await (const rows of (await client.query(sql)).rows()) all.push(...rows)
  return all
}

async function filesOf(client: TajoClient, name: string): Promise<number> {
  const tables = await client.tables()
  return tables.find((table) => table.name === name)?.fileCount ?? 0
}

const FORMATS: readonly [string, string][] = [
  ['p', 'using parquet'],
  ['c', 'using csv'],
  ['h', "using csv with ('text.skip.headerlines' = '1', 'text.null' = '\\N')"],
  ['j', 'using json'],
]
const COLUMNS =
  'a int4, b text, c blob, d timestamptz, e record(x int8, y array<text>), f numeric(30,5)'
const values = (n: number): string =>
  `${n}, ${n % 3 === 0 ? 'NULL' : `'t"|${n}'`}, '\\x0${n % 10}\\xFF'::blob, '2026-01-01 00:00:0${n % 10}+09', {'x': ${n}, 'y': ['a', NULL, '${n}']}, ${n}.12345`

t.test('OPTIMIZE TABLE: every format comes back value by value', async (t) => {
  const { client } = await stageOf(t, { 'tajo.table.compaction.enabled': 'false' })
  for (const [name, how] of FORMATS) {
    await client.execute(`create table ${name} (${COLUMNS}) ${how} partition by column (q int4)`)
    for (let n = 0; n < 12; n += 1) {
      await client.execute(`insert into ${name} select ${values(n)}, ${n % 2}`)
    }
    const sql = `select * from ${name} where q = 1`
    const before = await rowsOf(client, sql)
    t.equal(before.length, 6)
    t.equal(await filesOf(client, name), 12)
    t.equal(await client.execute(`optimize table ${name}`), 'OPTIMIZE 12 files into 2', how)
    t.equal(await filesOf(client, name), 2)
    t.same(await rowsOf(client, sql), before)
    t.equal(await client.execute(`optimize table ${name}`), 'OPTIMIZE: no small files to join')
  }
})
