/**
 * Small files are joined, with real masters and workers: by hand and by themselves, in every format, beside queries that
 * run, and through the deaths of the worker that does it and of the master that ordered it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { TajoClient } from '../../lib/client/index.ts'
import type { QueryRecord } from '../../lib/contract/index.ts'
import { HOME } from '../support/install.ts'
import { monitorMs } from '../support/pace.ts'
import { mustRun } from '../support/run.ts'
import { slow } from '../support/slow.ts'
import { ask, makeCluster, type TestCluster, type TestMaster } from '../support/test-masters.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

/** Slots enough for all that goes on here. */
const WORKER = { watched: true, site: { 'tajo.worker.parallel-queries': '8' } }
const THREADS = { UV_THREADPOOL_SIZE: '12' }

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
    workers.push(
      await TestWorker.make({ ...{ dir: join(dir, `w${n}`), root, masters }, ...WORKER }),
    )
  }
  await cluster.settled()
  await Promise.all(workers.map((worker) => worker.start(THREADS)))
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
  const { client, cluster } = await stageOf(t, { 'tajo.table.compaction.enabled': 'false' })
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
  await client.execute(`insert into c select ${values(12)}, 0`)
  const conf = join(cluster.masters[0]?.dir ?? '', 'conf')
  const tsql = [process.execPath, join(HOME, 'bin/tsql'), '--config', conf]
  const said = await mustRun([...tsql, '-f', '-'], { input: 'optimize table c;\n\\d c\n' })
  t.match(said, /OPTIMIZE 2 files into 1/)
  t.match(said, /^volume: .* in 2 files$/m)
})

/** With the types of the table. */
const CHECKED = 'a, b, c, cast(d as timestamptz), e, cast(f as numeric(30,5))'

const SITE = {
  'tajo.table.compaction.check-interval': '300',
  'tajo.table.compaction.min-input-files': '8',
  'tajo.table.compaction.retention-hour': '0',
}

t.test('by itself: files stay few, and whoever reads meanwhile sees the same', async (t) => {
  const { client, cluster } = await stageOf(t, SITE)
  const formats = FORMATS.filter(([name]) => name !== 'h')
  const count = 100
  for (const [name, how] of formats)
    await client.execute(`create table ${name} (${COLUMNS}) ${how}`)
  for (let n = 0; n < 8; n += 1) await client.execute(`insert into p select ${values(n)}`)
  // It has read its list of files, and waits for whoever reads its rows.
  const { from, rows: many } = slow(2)
  const reader = await client.query(`select p.a from p, (select i from ${from}) as s order by i, a`)
  const rows = reader.rows()
  const first = await rows.next()
  const most = new Map<string, number>()
  await Promise.all(
    formats.map(async ([name]) => {
      const own = clientOf(cluster.masters)
      for (let n = name === 'p' ? 8 : 0; n < count; n += 1) {
        await own.execute(`insert into ${name} select ${values(n)}`)
        if (n % 10 === 0) most.set(name, Math.max(most.get(name) ?? 0, await filesOf(own, name)))
      }
      await own.close()
    }),
  )
  for (const [name] of formats) {
    await until(`the files of ${name} are few`, async () => (await filesOf(client, name)) < 20)
    t.comment(`${name}: ${most.get(name)} files at most, ${await filesOf(client, name)} in the end`)
    const found = await rowsOf(client, `select * from ${name}`)
    const expected = Array.from({ length: count }, (_, n) => n)
    t.same(
      found.map(([a]) => a),
      expected,
      `${name}: each once, in the order of before`,
    )
    const same = await rowsOf(client, `select ${CHECKED} from ${name} order by a`)
    const wanted = expected.map((n) => `(${values(n)})`).join(', ')
    const direct = `select ${CHECKED} from (values ${wanted}) as v(a, b, c, d, e, f) order by a`
    t.same(same, await rowsOf(client, direct), `${name}: value by value`)
  }
  let seen = first.value?.length ?? 0
  for await (const more of rows) seen += more.length
  t.equal(seen, 8 * many, 'the reader has seen what was there when it began')
})

/** Of those that nobody asked for. */
async function behind(master: TestMaster): Promise<QueryRecord[]> {
  const { text } = await ask(master.ports.info, '/api/v1/queries', {
    headers: master.administrator,
  })
  const { queries } = JSON.parse(text) as { queries: QueryRecord[] }
  return queries.filter(({ user }) => user === 'compaction')
}

t.test('kill -9 in the middle: of its worker, and of the master that ordered it', async (t) => {
  const { client, cluster, workers } = await stageOf(t, SITE)
  const [worker] = workers
  const runs = (master: TestMaster, before: number): Promise<QueryRecord> =>
    until('files are being joined', async () => {
      const later = (await behind(master)).filter(({ submittedMs }) => submittedMs > before)
      if (later.some(({ state }) => state === 'succeeded')) throw new Error('it was too quick')
      return later.find(({ state }) => state === 'running') ?? null
    })
  // Slow to write, so that there is a middle.
  const how = "using parquet with ('parquet.compression' = 'gzip')"
  await client.execute(`create table big (a int8, b text) ${how}`)
  const rows = 60_000
  const total = 8
  for (let n = 0; n < total; n += 1) {
    const sql = `select i, md5(i::varchar) || repeat('x', 40) from range(${n * rows}, ${(n + 1) * rows}) r(i)`
    await client.execute(`insert into big ${sql}`)
  }
  const sums = 'select count(*), sum(a), count(distinct b), min(a), max(a) from big'
  const expected = [
    [
      total * rows,
      String((total * rows * (total * rows - 1)) / 2),
      total * rows,
      '0',
      String(total * rows - 1),
    ],
  ]
  const { active, backups } = await cluster.settled()
  const joining = await runs(active, 0)
  worker?.kill('SIGKILL')
  await worker?.ended()
  await until('it has ended with its worker', async () => {
    const found = (await behind(active)).find(({ queryId }) => queryId === joining.queryId)
    return found?.state === 'failed'
  })
  t.equal(await filesOf(client, 'big'), total, 'nothing was changed')
  await worker?.start(THREADS)
  await runs(active, joining.submittedMs)
  process.kill(active.pid, 'SIGKILL')
  await active.ended()
  const [next] = backups
  if (next === undefined) throw new Error('no backup')
  await until('the next one serves', () => next.health('active'))
  await until('the files are one', async () => (await filesOf(client, 'big')) === 1)
  const found = await rowsOf(client, sums)
  t.same(
    found.map((row) => row.map(String)),
    expected.map((row) => row.map(String)),
  )
  const done = (await behind(next)).filter(({ state }) => state === 'succeeded')
  t.equal(done.length, 1, 'once')
})
