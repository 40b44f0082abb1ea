/** What a query does to its engine ends that query: its worker, and whatever else runs there, notice nothing of it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { getPriority } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import { EngineHost } from '../../../lib/worker/engine-host.ts'
import { Engines, type EnginesOptions } from '../../../lib/worker/engines.ts'
import type { QueryEngine } from '../../../lib/worker/query-engine.ts'
import { queryErrorOf } from '../../../lib/worker/query-error.ts'
import { NOTHING } from '../../../lib/worker/reach.ts'
import { enginePids, lives } from '../../support/engine-processes.ts'
import { testdirOf } from '../../support/testdir.ts'

const MB = 1024 * 1024
const PROGRAM = fileURLToPath(new URL('../../support/engines-child.js', import.meta.url))
const moment = (ms = 20): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function enginesOf(
  t: Test,
  more: Partial<EnginesOptions> = {},
): Promise<{ engines: Engines; open: () => Promise<QueryEngine>; told: string[]; spill: string }> {
  const spill = join(realpathSync(testdirOf(t)), 'spill')
  mkdirSync(spill)
  let made = 0
  const told: string[] = []
  const engines = await Engines.open({
    ...{ threads: 2, memoryBytes: 512 * MB, slots: 2, niceness: 0, spillDirectory: spill },
    spillBytes: 1024 ** 4,
    secretName: () => String(++made),
    ...{ clock: systemClock, log: (_level, message) => told.push(message) },
    ...more,
  })
  t.teardown(() => engines.close())
  const open = async (): Promise<QueryEngine> => {
    const engine = await engines.take()
    engine.open(NOTHING)
    return engine
  }
  return { engines, open, told, spill }
}

/** How it ended, as its client is told. */
async function endOf(engine: QueryEngine, sql: string): Promise<unknown> {
  try {
    const rows = await engine.stream(sql)
    for (let next = await rows.next(); next !== null; ) next = await rows.next()
    return 'ended well'
  } catch (error) {
    return queryErrorOf(error, null)
  } finally {
    await engine.close()
  }
}

/** It runs as long as somebody wants it to. */
const LONG = 'SELECT count(*) FROM range(100000000000) r(i) WHERE hash(i) = 1'
const SOME = 'SELECT sum(i % 7) FROM range(30000000) r(i)'
const TOO_MUCH =
  /^the query needed more memory than \d+ MB, its share of this worker's tajo.worker.resource.memory-mb: /

t.test('constants that take more than there is end their own query', async (t) => {
  const { open } = await enginesOf(t)
  const before = process.memoryUsage.rss()
  let highest = 0
  const timer = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage.rss())
  }, 20)
  t.teardown(() => clearInterval(timer))
  for (const sql of [
    'SELECT range(60000000)',
    "SELECT repeat('x', 1000000000)",
    "SELECT repeat(repeat('x', 1000000), 1000)",
  ]) {
    const beside = open().then((engine) => endOf(engine, SOME))
    const end = await endOf(await open(), sql)
    t.match(end, { kind: 'user', message: TOO_MUCH }, sql)
    t.equal(await beside, 'ended well')
  }
  t.ok(highest - before < 200 * MB, 'nothing of it lies in this process')
})

t.test('a statement that is too much to read ends its own query', async (t) => {
  const { engines } = await enginesOf(t)
  const engine = await engines.take()
  const unions = `SELECT 1${' UNION ALL SELECT 1'.repeat(9500)}`
  const read = await engine.serialized(unions).then(
    () => 'read',
    (error) => queryErrorOf(error, null).kind,
  )
  t.ok(['read', 'user'].includes(read), read)
  const deep = await engine.serialized(`SELECT ${'('.repeat(60_000)}1${')'.repeat(60_000)}`).then(
    () => 'read',
    (error) => queryErrorOf(error, null).kind,
  )
  t.ok(['read', 'user'].includes(deep), deep)
  await engine.close()
  const next = await engines.take()
  t.match(await next.serialized('SELECT 1'), /^\{"error":false/)
  await next.close()
})

for (const signal of ['SIGKILL', 'SIGSEGV', 'SIGABRT'] as const) {
  t.test(`an engine that dies of ${signal} ends its own query`, async (t) => {
    const { open, told, spill } = await enginesOf(t, { slots: 3 })
    const doomed = await open()
    const [pid = 0] = enginePids()
    const beside = await open()
    const ends = Promise.all([endOf(doomed, LONG), endOf(beside, SOME)])
    await moment(200)
    process.kill(pid, signal)
    const [end, other] = await ends
    t.match(end, { kind: 'user', message: TOO_MUCH })
    t.match(end, { message: new RegExp(`: its engine ended \\(${signal}\\)$`) })
    t.equal(other, 'ended well')
    t.match(told, [new RegExp(`^the process ${pid} of an engine has ended \\(${signal}\\)`)])
    t.notOk(readdirSync(spill).includes('1'), 'nothing of it is left')
    t.equal(await endOf(await open(), SOME), 'ended well', 'another one has its place')
  })
}

t.test('one that has died while nobody used it is replaced', async (t) => {
  const { open } = await enginesOf(t)
  const [pid = 0] = enginePids()
  process.kill(pid, 'SIGKILL')
  while (lives(pid)) await moment()
  await moment(100)
  t.equal(await endOf(await open(), SOME), 'ended well')
})

t.test('a query that does not hear that it shall stop is ended with its process', async (t) => {
  const { open } = await enginesOf(t)
  const engine = await open()
  const [pid = 0] = enginePids()
  const end = endOf(engine, LONG)
  await moment(200)
  process.kill(pid, 'SIGSTOP')
  engine.interrupt()
  t.match(await end, { kind: 'killed' })
  t.notOk(lives(pid))
})

t.test('a process that keeps much of what it was given serves no other query', async (t) => {
  const host = new EngineHost()
  const spills = { spillDirectory: testdirOf(t), spillBytes: 1024 ** 4 }
  await host.start({ threads: 1, memoryBytes: 64 * MB, ...spills })
  const serve = async (): Promise<boolean> => {
    await host.open(NOTHING)
    await host.run('SELECT 1')
    return host.end()
  }
  t.ok(await serve())
  const kept = Buffer.alloc(256 * MB, 1)
  t.notOk(await serve())
  t.equal(kept.length, 256 * MB)
})

t.test('it has a bound, gives way to others, and is the first that the kernel ends', async (t) => {
  await enginesOf(t, { niceness: 3 })
  const [pid = 0] = enginePids()
  const own = Number(readFileSync('/proc/self/oom_score_adj', 'utf8'))
  t.equal(Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8')), Math.max(own, 500))
  // Of 512 MB each of two has half; the rest of it is the process's own room.
  const limits = readFileSync(`/proc/${pid}/limits`, 'utf8')
  const bytes = Number(/^Max data size +(\d+)/m.exec(limits)?.[1])
  t.ok(bytes > 256 * MB && bytes < 1024 * MB, `${bytes} bytes`)
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    t.equal(getPriority(Number(thread)), getPriority() + 3, `thread ${thread}`)
  }
})

t.test('engines end with their worker, whatever they do', async (t) => {
  const child = spawn(process.execPath, [PROGRAM, testdirOf(t)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  const pids: number[] = JSON.parse(String(line))
  t.ok(pids.length >= 2)
  t.ok(pids.every(lives))
  child.kill('SIGKILL')
  while (pids.some(lives)) await moment()
  t.pass('none is left')
})
