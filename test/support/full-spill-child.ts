/**
 * A worker's engine whose spill directory is full: `unshare -m` gives this process a small mount that nobody else sees. A
 * sort that has to spill, before and after somebody has filled it, beside a query that needs no disk.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Engine } from '../../lib/worker/duckdb.ts'
import { queryErrorOf } from '../../lib/worker/query-error.ts'

const [directory = ''] = process.argv.slice(2)
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256m', 'tmpfs', directory])
const spillDirectory = join(directory, 'spill')
mkdirSync(spillDirectory)
const engine = await Engine.open({
  threads: 2,
  memoryBytes: 64 * 1024 * 1024,
  spillDirectory,
  roots: [directory],
})

/** How it ended. */
async function run(sql: string): Promise<unknown> {
  const connection = await engine.connect()
  try {
    await connection.run(sql)
    return 'ok'
  } catch (error) {
    return queryErrorOf(error, null)
  } finally {
    await connection.close()
  }
}

const SORT =
  'CREATE TEMP TABLE x AS SELECT i, repeat(hash(i)::VARCHAR, 4) AS a FROM range(1200000) r(i) ORDER BY a'

function fill(): void {
  try {
    for (let i = 0; ; i += 1) writeFileSync(join(directory, `filler-${i}`), Buffer.alloc(65_536))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}

fill()
const full = await Promise.all([
  run(SORT),
  run('SELECT count(*) FROM range(20000000) r(i) WHERE i % 7 = 3'),
])
const beside = await run('SELECT 1')
execFileSync('find', [directory, '-name', 'filler-*', '-delete'])
const again = await run(SORT)
await engine.close()
rmSync(spillDirectory, { recursive: true })
process.stdout.write(JSON.stringify({ full, beside, again }))
