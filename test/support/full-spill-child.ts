/**
 * A worker's engine whose spill directory is full: `unshare -m` gives this process a small mount that nobody else sees. A
 * sort that has to spill, before and after somebody has filled it, beside a query that needs no disk.
 */
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../lib/base/time.ts'
import { Engines } from '../../lib/worker/engines.ts'
import { queryErrorOf } from '../../lib/worker/query-error.ts'
import { NOTHING } from '../../lib/worker/reach.ts'

const [directory = ''] = process.argv.slice(2)
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256m', 'tmpfs', directory])
const spillDirectory = join(directory, 'spill')
mkdirSync(spillDirectory)
const engines = await Engines.open({
  ...{ threads: 2, memoryBytes: 192 * 1024 * 1024, slots: 2, spillDirectory },
  ...{
    niceness: 0,
    spillBytes: 1024 ** 4,
    secretName: randomUUID,
    clock: systemClock,
    log: () => {},
  },
})

/** How it ended. */
async function run(sql: string): Promise<unknown> {
  const engine = await engines.take()
  try {
    engine.open(NOTHING)
    await engine.run(sql)
    return 'ok'
  } catch (error) {
    return queryErrorOf(error, null)
  } finally {
    await engine.close()
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
await engines.close()
rmSync(spillDirectory, { recursive: true })
process.stdout.write(JSON.stringify({ full, beside, again }))
