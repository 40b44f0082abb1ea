/** The engines of a worker: who gets which, what is made ahead, and how the memory is shared. */
import { existsSync, mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import { Engines, sharesOf } from '../../../lib/worker/engines.ts'
import type { QueryEngine } from '../../../lib/worker/query-engine.ts'
import { queryErrorOf } from '../../../lib/worker/query-error.ts'
import { NOTHING, type Reach } from '../../../lib/worker/reach.ts'
import { SlowDisk } from '../../../lib/worker/slow-disk.ts'
import { testdirOf } from '../../support/testdir.ts'

const MB = 1024 * 1024

interface Opened {
  readonly engines: Engines
  readonly spill: string
  /** Not to be closed by the test. */
  readonly open: (reach?: Reach) => Promise<QueryEngine>
}

/** Names of processes are 1, 2, …, in the order in which they are made, and so are those of engines in each. */
async function enginesOf(
  t: Test,
  slots = 2,
  memoryMb = 512,
  spillBytes = 1024 ** 4,
): Promise<Opened> {
  const spill = join(realpathSync(testdirOf(t)), 'spill')
  mkdirSync(spill)
  let made = 0
  const secretName = (): string => {
    made += 1
    return String(made)
  }
  const engines = await Engines.open({
    ...{ threads: 1, memoryBytes: memoryMb * MB, slots, niceness: 0, spillDirectory: spill },
    ...{ secretName, spillBytes, clock: systemClock, log: () => {} },
  })
  t.teardown(() => engines.close())
  const open = async (reach: Reach = NOTHING): Promise<QueryEngine> => {
    const engine = await engines.take()
    engine.open(reach)
    await engine.rows('SELECT 1')
    return engine
  }
  return { engines, spill, open }
}

t.test('shares: each is sure of its part, and all together get no more than there is', (t) => {
  for (const slots of [1, 2, 3, 8, 100]) {
    const memoryBytes = 64 * 1024 * MB
    const shares = sharesOf({ memoryBytes, slots })
    t.equal(shares.length, slots)
    t.ok(shares.reduce((sum, one) => sum + one, 0) <= memoryBytes, `${slots}: no more than all`)
    t.ok(Math.min(...shares) >= Math.floor(memoryBytes / 2 / slots), `${slots}: each its part`)
    t.ok((shares[0] ?? 0) >= memoryBytes / 4, `${slots}: who is alone has a quarter of it or more`)
    t.same(
      shares,
      shares.toSorted((a, b) => b - a),
      'the largest first',
    )
  }
  const [first] = sharesOf({ memoryBytes: 64 * MB, slots: 1024 })
  t.equal(first, 16 * MB + MB / 32, 'a quarter and more')
  const least = sharesOf({ memoryBytes: MB, slots: 4 })
  t.same(least, Array(4).fill(16 * MB), 'none gets along with less')
  t.end()
})

t.test('an engine is used again for the same files, and for no others', async (t) => {
  const { open, spill } = await enginesOf(t)
  const own = join(spill, '1')
  const usedFor = async (files: string[], directories: string[] = []): Promise<string[]> => {
    const before = new Set(existsSync(own) ? readdirSync(own) : [])
    const engine = await open({ files, directories })
    const used = readdirSync(own).filter((one) => !before.has(one))
    await engine.close()
    return used
  }
  t.same(await usedFor([]), ['2'])
  t.same(await usedFor([]), [])
  t.same(await usedFor(['/a', '/b']), ['3'])
  t.same(await usedFor(['/b', '/a']), [], 'in any order')
  t.same(await usedFor(['/a']), ['4'])
  t.same(await usedFor(['/a'], ['/out']), ['5'])
  t.notOk(existsSync(join(own, '5')), 'one that wrote is gone')
  t.same(await usedFor(['/a'], ['/out']), ['6'])
  t.same(await usedFor(['/a']), [])
})

t.test('two at a time have two processes, and the first one has the larger share', async (t) => {
  const { open, spill } = await enginesOf(t, 3)
  const [a, b] = await Promise.all([open(), open()])
  t.same(readdirSync(spill).sort(), ['1', '2'])
  const memory = async (one: typeof a): Promise<string> =>
    String((await one.rows("SELECT current_setting('memory_limit')"))[0]?.[0])
  t.same([await memory(a), await memory(b)], ['213.3 MiB', '149.3 MiB'])
  await Promise.all([a.close(), b.close()])
  const c = await open()
  t.equal(await memory(c), '213.3 MiB', 'alone again')
  await c.close()
})

t.test('who comes before an ended query has left its place has the smallest share', async (t) => {
  const { open, spill } = await enginesOf(t, 1, 512)
  const [a, b] = [await open(), await open()]
  t.same(await b.rows('SELECT 1'), [[1]])
  await Promise.all([a.close(), b.close()])
  t.same(readdirSync(spill), ['1'], 'and its process goes with it')
})

t.test('only so many wait for their next query', async (t) => {
  const { open, spill } = await enginesOf(t)
  for (let i = 0; i < 20; i += 1) await (await open({ files: [`/${i}`], directories: [] })).close()
  const left = (): string[] => readdirSync(join(spill, '1')).sort((a, b) => Number(a) - Number(b))
  while (left().length > 4) await new Promise((resolve) => setTimeout(resolve, 10))
  t.same(left()[0], '18', 'those that were used last')
})

t.test('what an ended query held is given back', async (t) => {
  const { open, spill } = await enginesOf(t)
  const held = async (one: QueryEngine): Promise<number> => {
    const [[bytes] = []] = await one.rows('SELECT sum(memory_usage_bytes) FROM duckdb_memory()')
    return Number(bytes)
  }
  const connection = await open()
  const rows = 'SELECT i, hash(i) AS h FROM range(3000000) r(i)'
  await connection.enter(['default'], [`CREATE TABLE x AS ${rows}`])
  t.ok((await held(connection)) > 16 * MB)
  await connection.close()
  const again = await open()
  t.ok((await held(again)) < MB)
  await again.close()

  const file = join(spill, '..', 'rows.parquet')
  const writer = await open({ files: [], directories: [join(spill, '..')] })
  await writer.run(`COPY (${rows}) TO '${file}'`)
  await writer.close()
  const reach = { files: [file], directories: [] }
  const reader = await open(reach)
  await reader.rows(`SELECT sum(h) FROM '${file}'`)
  await reader.close()
  const next = await open(reach)
  t.ok((await held(next)) < MB, 'of a file that it has read it keeps little')
  await next.close()
})

t.test('a statement of the longest text is read', async (t) => {
  const { engines } = await enginesOf(t, 1, 64)
  const engine = await engines.take()
  const sql = `SELECT 1 WHERE ${Array(24_000).fill('1=1').join(' AND ')}`
  t.ok(sql.length > 190_000)
  t.match(await engine.serialized(sql), /^\{"error":false/)
  await engine.close()
})

t.test('a spill directory that somebody has removed is made again', async (t) => {
  const { open, spill } = await enginesOf(t)
  await (await open()).close()
  rmSync(join(spill, '1'), { recursive: true })
  const connection = await open()
  t.ok(existsSync(join(spill, '1', '2')))
  await connection.close()
  rmSync(spill, { recursive: true })
  const other = await open({ files: ['/x'], directories: [] })
  t.same(await other.rows('SELECT 1'), [[1]], 'who needs no disk does not ask for it')
  await other.close()
})

t.test('a disk that hangs keeps one thread, and nobody waits for it twice', async (t) => {
  const disk = new SlowDisk(systemClock, 20)
  // The clock's timers hold nothing up by themselves.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(alive))
  const begun: string[] = []
  let end = (): void => {}
  const hangs = new Promise<void>((resolve) => {
    end = resolve
  })
  await disk.call(async () => {
    begun.push('first')
    await hangs
  })
  t.ok(disk.hangs)
  await Promise.all(['a', 'b'].map((name) => disk.call(async () => begun.push(name))))
  t.same(begun, ['first'])
  end()
  await disk.call(async () => {
    begun.push('last')
    throw new Error('no room')
  })
  while (disk.hangs) await new Promise((resolve) => setTimeout(resolve, 1))
  await disk.call(async () => begun.push('end'))
  t.same(begun, ['first', 'a', 'b', 'last', 'end'])
})

t.test('options that the engine refuses', async (t) => {
  const options = { threads: 0, memoryBytes: MB, slots: 1, spillDirectory: testdirOf(t) }
  const own = { niceness: 0, secretName: () => 'x' }
  const more = { ...own, spillBytes: 1024 ** 4, clock: systemClock, log: () => {} }
  await t.rejects(Engines.open({ ...options, ...more }), { name: 'EngineError' })
})

t.test('no error tells where an engine spills', async (t) => {
  const { open, spill } = await enginesOf(t, 1, 48)
  const connection = await open()
  // A file in its place: nothing can be spilled.
  rmSync(join(spill, '1', '2'), { recursive: true })
  writeFileSync(join(spill, '1', '2'), '')
  const sort =
    'CREATE TEMP TABLE x AS SELECT i, repeat(hash(i)::VARCHAR, 4) AS a FROM range(1200000) r(i) ORDER BY a'
  const error = await connection.run(sort).then(
    () => 'it needed no disk',
    ({ message }: Error) => message,
  )
  t.match(error, /the spill directory/)
  t.notMatch(error, spill)
  rmSync(join(spill, '1', '2'))
  await connection.close()
})

t.test('what spills has a bound: each engine an equal part of it', async (t) => {
  const { open } = await enginesOf(t, 2, 96, 40 * MB)
  const run = async (sql: string): Promise<string | null> => {
    const engine = await open()
    try {
      await engine.rows(sql)
      return null
    } catch (error) {
      return queryErrorOf(error, null).message
    } finally {
      await engine.close()
    }
  }
  const held = (rows: number): string =>
    `CREATE TEMP TABLE t AS SELECT hash(i) a, hash(i + 1) b, hash(i + 2) c FROM range(${rows}) r(i)`
  t.match(
    await run(held(6_000_000)),
    /^the query needs more disk than its part of what this worker may spill \(tajo.worker.spill.max-size\): \S+ MiB\/20.0 MiB are used$/,
  )
  t.equal(await run(held(1000)), null)
})
