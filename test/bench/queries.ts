/**
 * What the cluster adds to a query: `npm run bench -- queries`. In one run, on this machine:
 *
 * - `select count(*)` over a Parquet file of 5 million rows, by turns in a warm DuckDB of this process and through the
 *   cluster with a warm client; then by `tsql -c`, a whole process each time.
 * - Short queries of several clients at once, how many a second, and what they cost master and worker.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import type { TajoClient } from '../../lib/client/index.ts'
import { readCpu } from '../../lib/ha/world/processes.ts'
import { mustRun } from '../support/run.ts'
import { clientOf, writeConf } from '../support/test-worker.ts'
import { until } from '../support/until.ts'
import { benchCluster, quantile } from './cluster.ts'
import { optionsOf } from './options.ts'

const options = optionsOf({ rows: 5_000_000, trials: 100, seconds: 10 })
const HOME = fileURLToPath(new URL('../../..', import.meta.url))
const ROWS = options.rows
const TRIALS = options.trials
const CLIENTS = [1, 2, 4, 8, 16]
const TSQL_TRIALS = 10

const say = (line: string): void => void process.stdout.write(`${line}\n`)

async function firstValue(client: TajoClient, sql: string): Promise<unknown> {
  const result = await client.query(sql)
  let value: unknown = null
  for await (const batch of result.rows()) value = batch[0]?.[0]
  return value
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const beginMs = performance.now()
  await work()
  return performance.now() - beginMs
}

const tell = (what: string, times: readonly number[]): void =>
  say(
    `${what.padEnd(44)} ${[0.5, 0.9, 1].map((q) => quantile(times, q).toFixed(1).padStart(8)).join('')}`,
  )

const cluster = await benchCluster({ workers: 1 })
const client = clientOf([cluster.master])
try {
  await until(
    'a worker answers queries',
    async () => (await firstValue(client, 'select 1')) !== null,
  )
  const folder = join(cluster.root, 'warehouse', 'bench')
  mkdirSync(folder, { recursive: true })
  const duckdb = await (await DuckDBInstance.create(':memory:', { threads: '2' })).connect()
  await duckdb.run(
    `copy (select i as id, 'row ' || i as note, random() as x from range(${ROWS}) t(i)) to '${folder}/data.parquet' (format parquet)`,
  )
  await client.execute(
    `create external table big (id INT8, note TEXT, x FLOAT8) using parquet location '${folder}'`,
  )

  const alone: number[] = []
  const through: number[] = []
  const over: number[] = []
  const nothing: number[] = []
  for (let i = 0; i < TRIALS; i += 1) {
    alone.push(
      await timed(async () =>
        (await duckdb.runAndReadAll(`select count(*) from '${folder}/*.parquet'`)).getRows(),
      ),
    )
    through.push(await timed(() => firstValue(client, 'select count(*) from big')))
    over.push((through.at(-1) ?? 0) - (alone.at(-1) ?? 0))
    nothing.push(await timed(() => firstValue(client, 'select 1')))
  }
  say(`bench: ${ROWS} rows, ${TRIALS} trials, ${process.version}`)
  say('ms                                             median     p90     max')
  tell('DuckDB alone, warm: count(*)', alone)
  tell('through the cluster, warm client: count(*)', through)
  tell('  added', over)
  tell('through the cluster, warm client: select 1', nothing)

  const confDir = join(cluster.dir, 'conf')
  writeConf(confDir, [cluster.master], { 'tajo.rootdir': `file://${cluster.root}` })
  const shell: number[] = []
  for (let i = 0; i < TSQL_TRIALS; i += 1) {
    const words = [join(HOME, 'bin/tsql'), '-c', 'select count(*) from big']
    shell.push(await timed(() => mustRun(words, { env: { TAJO_CONF_DIR: confDir } })))
  }
  tell('tsql -c, the whole process', shell)

  say('clients  queries/s  master, ms CPU a query  worker, ms CPU a query  (select 1)')
  const worker = cluster.workers[0]
  for (const count of CLIENTS) {
    const clients = Array.from({ length: count }, () => clientOf([cluster.master]))
    const cpu = (): readonly [number, number] => [
      readCpu(cluster.master.pid)?.cpuMs ?? 0,
      readCpu(worker?.pid ?? 0)?.cpuMs ?? 0,
    ]
    const before = cpu()
    const beginMs = performance.now()
    const endMs = beginMs + options.seconds * 1000
    let done = 0
    await Promise.all(
      clients.map(async (one) => {
        while (performance.now() < endMs) {
          await firstValue(one, 'select 1')
          done += 1
        }
      }),
    )
    const seconds = (performance.now() - beginMs) / 1000
    const after = cpu()
    const each = [0, 1].map((i) => (((after[i] ?? 0) - (before[i] ?? 0)) / done).toFixed(2))
    say(
      `${String(count).padStart(7)} ${(done / seconds).toFixed(0).padStart(10)} ${each.map((cell) => cell.padStart(23)).join(' ')}`,
    )
    await Promise.all(clients.map((one) => one.close()))
  }
} finally {
  await client.close()
  await cluster.end()
}
