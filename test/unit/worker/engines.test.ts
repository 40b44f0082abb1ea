/** The engines of a worker: who gets which, what is made ahead, and how the memory is shared. */
import { existsSync, mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import type { EngineConnection } from '../../../lib/worker/duckdb.ts'
import { Engines, shareOf } from '../../../lib/worker/engines.ts'
import { queryErrorOf } from '../../../lib/worker/query-error.ts'
import { NOTHING } from '../../../lib/worker/reach.ts'
import { SlowDisk } from '../../../lib/worker/slow-disk.ts'
import { StatementReader } from '../../../lib/worker/statement-reader.ts'
import { testdirOf } from '../../support/testdir.ts'

const MB = 1024 * 1024

/** Names of engines are 1, 2, …, in the order in which they are made. */
async function enginesOf(
  t: Test,
  slots = 2,
  memoryMb = 512,
  spillBytes = 1024 ** 4,
): Promise<{ engines: Engines; spill: string }> {
  const spill = join(realpathSync(testdirOf(t)), 'spill')
  mkdirSync(spill)
  let made = 0
  const secretName = (): string => {
    made += 1
    return String(made)
  }
  const engines = await Engines.open({
    ...{ threads: 1, memoryBytes: memoryMb * MB, slots, spillDirectory: spill },
    ...{ secretName, spillBytes, clock: systemClock },
  })
  t.teardown(() => engines.close())
  return { engines, spill }
}

t.test('shares: each is sure of its part, and all together get no more than there is', (t) => {
  for (const slots of [1, 2, 3, 8, 100]) {
    const memoryBytes = 64 * 1024 * MB
    const given: number[] = []
    for (let i = 0; i < slots; i += 1) given.push(shareOf({ memoryBytes, slots }, given))
    t.ok(given.reduce((sum, one) => sum + one, 0) <= memoryBytes, `${slots}: no more than all`)
    t.ok(Math.min(...given) >= Math.floor(memoryBytes / 2 / slots), `${slots}: each its part`)
    t.ok((given[0] ?? 0) >= memoryBytes / 4, `${slots}: who is alone has a quarter of it or more`)
    const again = shareOf({ memoryBytes, slots }, given.slice(1))
    t.equal(again, Math.floor(given[0] ?? 0), `${slots}: what was given back is given again`)
  }
  t.equal(
    shareOf({ memoryBytes: 64 * MB, slots: 1024 }, []),
    16 * MB + MB / 32,
    'a quarter and more',
  )
  t.equal(shareOf({ memoryBytes: MB, slots: 4 }, []), 16 * MB, 'none gets along with less')
  t.end()
})

t.test('an engine is used again for the same files, and for no others', async (t) => {
  const { engines, spill } = await enginesOf(t)
  const usedFor = async (files: string[], directories: string[] = []): Promise<string[]> => {
    const before = new Set(readdirSync(spill))
    const connection = await engines.connect({ files, directories })
    const used = readdirSync(spill).filter((one) => !before.has(one))
    await connection.close()
    return used
  }
  t.same(await usedFor([]), ['2'])
  t.same(await usedFor([]), [])
  t.same(await usedFor(['/a', '/b']), ['3'])
  t.same(await usedFor(['/b', '/a']), [], 'in any order')
  t.same(await usedFor(['/a']), ['4'])
  t.same(await usedFor(['/a'], ['/out']), ['5'])
  t.notOk(existsSync(join(spill, '5')), 'one that wrote is gone')
  t.same(await usedFor(['/a'], ['/out']), ['6'])
  t.same(await usedFor(['/a']), [])
})

t.test('two at a time have two', async (t) => {
  const { engines, spill } = await enginesOf(t, 3)
  const [a, b] = await Promise.all([engines.connect(NOTHING), engines.connect(NOTHING)])
  t.same(readdirSync(spill).sort(), ['2', '3'])
  const memory = async (one: typeof a): Promise<string> =>
    String((await one.rows("SELECT current_setting('memory_limit')"))[0]?.[0])
  t.same([await memory(a), await memory(b)], ['213.3 MiB', '149.3 MiB'])
  await Promise.all([a.close(), b.close()])
  const c = await engines.connect(NOTHING)
  t.equal(await memory(c), '213.3 MiB', 'alone again')
  await c.close()
})

t.test('only so many wait for their next query', async (t) => {
  const { engines, spill } = await enginesOf(t)
  for (let i = 0; i < 20; i += 1)
    await (await engines.connect({ files: [`/${i}`], directories: [] })).close()
  const left = (): string[] => readdirSync(spill).sort((a, b) => Number(a) - Number(b))
  while (left().length > 14) await new Promise((resolve) => setTimeout(resolve, 10))
  t.same(left()[0], '8', 'those that were used last')
})

t.test('what an ended query held is given back', async (t) => {
  const { engines, spill } = await enginesOf(t)
  const held = async (one: EngineConnection): Promise<number> => {
    const [[bytes] = []] = await one.rows('SELECT sum(memory_usage_bytes) FROM duckdb_memory()')
    return Number(bytes)
  }
  const connection = await engines.connect(NOTHING)
  const rows = 'SELECT i, hash(i) AS h FROM range(3000000) r(i)'
  await connection.enter(['default'], [`CREATE TABLE x AS ${rows}`])
  t.ok((await held(connection)) > 16 * MB)
  await connection.close()
  const again = await engines.connect(NOTHING)
  t.ok((await held(again)) < MB)
  await again.close()

  const file = join(spill, '..', 'rows.parquet')
  const writer = await engines.connect({ files: [], directories: [join(spill, '..')] })
  await writer.run(`COPY (${rows}) TO '${file}'`)
  await writer.close()
  const reach = { files: [file], directories: [] }
  const reader = await engines.connect(reach)
  await reader.rows(`SELECT sum(h) FROM '${file}'`)
  await reader.close()
  const next = await engines.connect(reach)
  t.ok((await held(next)) < MB, 'of a file that it has read it keeps little')
  await next.close()
})

t.test('a statement that makes the engine fail spoils the next ones of nobody', async (t) => {
  const made: string[] = []
  const reader = new StatementReader(async () => {
    const name = String(made.push('open'))
    let failed = false
    const rows = async (_sql: string, [statement]: readonly string[]): Promise<unknown[][]> => {
      if (statement === 'later') await new Promise((resolve) => setImmediate(resolve))
      failed ||= statement === 'bad'
      if (failed) throw new Error('INTERNAL')
      return [[`${name}: ${statement}`]]
    }
    const connection = {
      get failed() {
        return failed
      },
      rows,
      close: async () => {},
    }
    return {
      connect: async () => connection,
      close: async () => {
        made[Number(name) - 1] = 'closed'
      },
    }
  })
  await reader.ready()
  t.equal(await reader.serialized('a'), '1: a')
  const later = reader.serialized('later')
  await t.rejects(reader.serialized('bad'), { message: 'INTERNAL' })
  t.same(made, ['open', 'open'], 'it is still in use')
  t.equal(await reader.serialized('b'), '2: b')
  await t.rejects(later, { message: 'INTERNAL' })
  t.same(made, ['closed', 'open'])
  await reader.close()
  t.same(made, ['closed', 'closed'])
})

t.test('a statement of the longest text is read', async (t) => {
  const { engines } = await enginesOf(t, 1, 64)
  const sql = `SELECT 1 WHERE ${Array(24_000).fill('1=1').join(' AND ')}`
  t.ok(sql.length > 190_000)
  t.match(await engines.serialized(sql), /^\{"error":false/)
})

t.test('a spill directory that somebody has removed is made again', async (t) => {
  const { engines, spill } = await enginesOf(t)
  await (await engines.connect(NOTHING)).close()
  rmSync(join(spill, '2'), { recursive: true })
  const connection = await engines.connect(NOTHING)
  t.ok(existsSync(join(spill, '2')))
  await connection.close()
  rmSync(spill, { recursive: true })
  const other = await engines.connect({ files: ['/x'], directories: [] })
  t.same(await other.rows('SELECT 1'), [[1]], 'who needs no disk does not ask for it')
  await other.close()
})

t.test('a reader that could not be opened, or entered, is opened anew', async (t) => {
  const trouble = ['make', 'connect', '']
  const closed: string[] = []
  const reader = new StatementReader(async () => {
    const now = trouble.shift()
    if (now === 'make') throw new Error('no memory to make it')
    return {
      connect: async () => {
        if (now === 'connect') throw new Error('no memory to enter it')
        return { failed: false, rows: async () => [['read']], close: async () => {} }
      },
      close: async () => void closed.push(String(now)),
    }
  })
  await t.rejects(reader.serialized('a'), { message: 'no memory to make it' })
  await t.rejects(reader.serialized('a'), { message: 'no memory to enter it' })
  t.same(closed, ['connect'])
  t.equal(await reader.serialized('a'), 'read')
  await reader.close()
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
  const more = { secretName: () => 'x', spillBytes: 1024 ** 4, clock: systemClock }
  await t.rejects(Engines.open({ ...options, ...more }), {
    name: 'EngineError',
  })
})

t.test('no error tells where an engine spills', async (t) => {
  const { engines, spill } = await enginesOf(t, 1, 48)
  const connection = await engines.connect(NOTHING)
  // A file in its place: nothing can be spilled.
  rmSync(join(spill, '2'), { recursive: true })
  writeFileSync(join(spill, '2'), '')
  const sort =
    'CREATE TEMP TABLE x AS SELECT i, repeat(hash(i)::VARCHAR, 4) AS a FROM range(1200000) r(i) ORDER BY a'
  const error = await connection.run(sort).then(
    () => 'it needed no disk',
    ({ message }: Error) => message,
  )
  t.match(error, /the spill directory/)
  t.notMatch(error, spill)
  rmSync(join(spill, '2'))
  await connection.close()
})

t.test('what spills has a bound: each engine an equal part of it', async (t) => {
  const { engines } = await enginesOf(t, 2, 96, 40 * MB)
  const run = async (sql: string): Promise<string | null> => {
    const connection = await engines.connect(NOTHING)
    try {
      await connection.rows(sql)
      return null
    } catch (error) {
      return queryErrorOf(error, null).message
    } finally {
      await connection.close()
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
