/**
 * A worker with its ports open and masters played by hand: tasks, results, epochs, and the way from one active master
 * to the next. At the end the command itself, as the start scripts run it.
 */

import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request as requestSecurely } from 'node:https'
import { join } from 'node:path'
import t from 'tap'
import { request } from 'undici'
import { splitHostPort } from '../../lib/base/host-port.ts'
import { systemClock } from '../../lib/base/time.ts'
import { FileList } from '../../lib/catalog/file-list.ts'
import type { Table } from '../../lib/catalog/model.ts'
import type { ManifestPage, ResultLine, Task, TaskReport } from '../../lib/contract/index.ts'
import { callingWith, whoKey } from '../../lib/rpc/index.ts'
import { Worker, type WorkerOptions } from '../../lib/worker/index.ts'
import { FAKE_CLUSTER, FAKE_SECRET, FakeTracker } from '../support/fake-tracker.ts'
import { freePortRow } from '../support/free-ports.ts'
import { askKeyed } from '../support/keyed.ts'
import { pacedMs, patienceMs } from '../support/pace.ts'
import { ended as endOfProcess, hasEnded, start as startProgram } from '../support/processes.ts'
import { testdirOf } from '../support/testdir.ts'
import { eventOf, until } from '../support/until.ts'
import { columnsOf, TYPES } from '../support/worker-engine.ts'

const home = realpathSync(testdirOf(t))
const warehouse = join(home, 'warehouse')
mkdirSync(warehouse)

const shownBy = (masters: readonly FakeTracker[], ofCluster = FAKE_CLUSTER) => ({
  newest: Math.max(
    0,
    ...masters.map(({ active, epoch, clusterId }) =>
      active && clusterId === ofCluster ? epoch : 0,
    ),
  ),
  isAlone: false,
})

let workers = 0
async function startWorker(masters: FakeTracker[], more: Partial<WorkerOptions> = {}) {
  const port = await freePortRow(4)
  const at = (i: number): string => `127.0.0.1:${port + i}`
  const addresses = { peer: at(0), qm: at(1), clientRpc: at(2), infoHttp: at(3) }
  const bind = (i: number) => ({ key: 'test', host: '127.0.0.1', port: port + i })
  workers += 1
  const spillDirectory = join(home, `spill${workers}`)
  mkdirSync(spillDirectory)
  const worker = new Worker({
    authentication: 'none',
    worker: {
      workerId: at(0),
      incarnation: randomUUID(),
      host: 'here',
      pid: process.pid,
      version: '1',
      addresses,
      cores: 2,
      memoryBytes: 1,
      slots: 2,
    },
    binds: { peer: bind(0), qm: bind(1), clientRpc: bind(2), infoHttp: bind(3) },
    names: [],
    masters: masters.map((one) => one.addresses),
    engine: {
      ...{ threads: 2, memoryBytes: 512 * 1024 * 1024, niceness: 5 },
      ...{ spillDirectory, secretName: randomUUID },
      spillBytes: 1024 ** 4,
    },
    roots: [warehouse],
    closed: [],
    types: TYPES,
    readMembership: async () => ({ clusterId: FAKE_CLUSTER, secret: FAKE_SECRET }),
    // As a directory would show them: of those that are active.
    terms: { directory: 'ha', read: async () => shownBy(masters), everyMs: pacedMs(2000) },
    idleMs: 200,
    activeMs: 50,
    beatMs: 100,
    silenceMs: pacedMs(2000),
    catalogMs: patienceMs(),
    ...{ maxRunMs: 0, connectionsPerAddress: 100 },
    clock: systemClock,
    wallClockMs: Date.now,
    random: () => 0.5,
    log: () => undefined,
    ...more,
  })
  await worker.start()
  return { worker, addresses, stop: () => worker.stop('the test is over') }
}

const session = { database: 'default', user: 'me', variables: {} }
function taskOf(sql: string, more: Partial<Task> = {}): Task {
  return {
    queryId: randomUUID(),
    attempt: 1,
    sql,
    query: { text: sql, place: { line: 1, column: 1 } },
    mode: 'select',
    session,
    write: null,
    create: null,
    publishTo: null,
    submittedMs: 0,
    ...more,
  }
}

const ASKING = { 'content-type': 'application/json', 'x-tajo-cluster': FAKE_CLUSTER }

/** All lines of a result. */
async function fetchAll(address: string, task: Task): Promise<ResultLine[]> {
  const { text } = await askKeyed(address, '/rpc/results/fetch', {
    headers: ASKING,
    body: JSON.stringify({ queryId: task.queryId, attempt: task.attempt }),
  })
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

/** A client that has asked and then reads nothing until it is told to. */
async function lazyClient(address: string, task: Task) {
  const { host, port } = splitHostPort(address) ?? { host: '', port: 0 }
  const path = '/rpc/results/fetch'
  const options = { host, port, path, method: 'POST', headers: ASKING, agent: false }
  const asked = requestSecurely({ ...options, ...callingWith(whoKey) })
  asked.on('error', () => undefined)
  asked.end(JSON.stringify({ queryId: task.queryId, attempt: task.attempt }))
  const [answer] = (await eventOf(asked, 'response')) as [IncomingMessage]
  return { answer, leave: () => asked.destroy() }
}

const REFUSED = {
  FORBIDDEN: /another secret of this cluster/,
  STALE_EPOCH: /is over, the newest is/,
}

const last = (reports: TaskReport[]): TaskReport | undefined => reports.at(-1)
const ended = (tracker: FakeTracker, { queryId }: Task) =>
  until(`the end of ${queryId}`, () => {
    const report = last(tracker.reportsOf(queryId))
    return report !== undefined && report.state !== 'running' ? report : null
  })

t.test('tasks', async (t) => {
  const tracker = new FakeTracker(3)
  await tracker.start()
  const { worker, addresses, stop } = await startWorker([tracker])
  const master = tracker.caller(addresses.qm)
  const run = (task: Task) => master.call('run', task, { deadlineMs: patienceMs() })
  await until('registered', () => tracker.following > 0)
  t.same(tracker.registered[0]?.tasks, [])

  await t.test('a select goes to the client, once', async (t) => {
    const task = taskOf('SELECT i, i::VARCHAR s FROM range(5000) r(i)')
    t.same(await run(task), { accepted: true, why: null })
    t.same(await run(task), { accepted: true, why: null }, 'told twice')
    const lines = await fetchAll(addresses.clientRpc, task)
    t.same(lines[0], {
      columns: [
        { name: 'i', type: 'INT8' },
        { name: 's', type: 'TEXT' },
      ],
    })
    t.same(lines.at(-1), { end: { rows: 5000 } })
    const rows = lines.flatMap((line) => ('rows' in line ? line.rows : []))
    t.same(
      rows.map(([i]) => i),
      Array.from({ length: 5000 }, (_, i) => i),
    )
    t.match(await ended(tracker, task), { state: 'succeeded', rows: 5000, progress: 1 })
    t.match((await fetchAll(addresses.clientRpc, task)).at(-1), { error: {} }, 'a second time')
  })

  await t.test('an error reaches master and client', async (t) => {
    const task = taskOf('SELECT 1\nFROM nosuch')
    tracker.forgetsEnded = false
    await run(task)
    const error = {
      kind: 'user',
      message: 'there is no table default.nosuch',
      place: { line: 2, column: 6 },
    }
    t.match(await ended(tracker, task), { state: 'failed', error })
    t.same(await fetchAll(addresses.clientRpc, task), [{ error }])
    tracker.forgetsEnded = true
  })

  await t.test('plans are rows', async (t) => {
    for (const mode of ['explain', 'explain-analyze'] as const) {
      const task = taskOf('SELECT sum(i) FROM range(10) r(i)', { mode })
      await run(task)
      const text = JSON.stringify(await fetchAll(addresses.clientRpc, task))
      t.match(text, 'AGGREGATE', mode)
    }
  })

  await t.test(
    'a write of very many files is reported without them, and told in pages',
    async (t) => {
      const location = join(warehouse, 'default', 't-many')
      const columns = columnsOf('a INT4, p INT4')
      const write: Task['write'] = {
        ...{ tableId: 1, schemaVersion: 1, mode: 'append', base: location, format: 'TEXT' },
        ...{ directory: join(location, 'data-y-1'), options: {}, columns, into: null },
        partitionBy: [{ name: 'p', type: 'INT4' }],
      }
      const task = taskOf('SELECT i, i % 1200 FROM range(2400) r(i)', { mode: 'write', write })
      tracker.forgetsEnded = false
      await run(task)
      const { manifest, paged, rows } = await ended(tracker, task)
      t.same([manifest, rows], [null, 2400])
      const { queryId, attempt } = task
      const page = (number: number, more = {}) => {
        const asked = { queryId, attempt, page: number, ...more }
        return master.call('manifest', asked, { deadlineMs: patienceMs() })
      }
      for (const again of [1, 2]) {
        const paths: string[] = []
        let first: ManifestPage | null = null
        for (let next: number | null = 0; next !== null; ) {
          const one = await page(next)
          first ??= one
          paths.push(...one.files.flatMap((packed) => packed.paths))
          next = one.next
        }
        t.match(
          first?.head,
          { rows: 2400, partitionColumns: [{ name: 'p' }], reads: [] },
          `${again}`,
        )
        t.equal(paths.length, paged)
        t.equal(new Set(paths.map((path) => path.split('/')[1])).size, 1200)
      }
      await t.rejects(page(1000), { code: 'UNAVAILABLE' })
      await t.rejects(page(0, { attempt: 2 }), { code: 'UNAVAILABLE' })
      const stranger = tracker.caller(addresses.qm, 'x'.repeat(64))
      const asked = { queryId, attempt, page: 0 }
      const refused = stranger.call('manifest', asked, { deadlineMs: patienceMs() })
      await t.rejects(refused, { code: 'FORBIDDEN' })
      await stranger.close()
      tracker.forgetsEnded = true
      await until('it is forgotten', () =>
        page(0).then(
          () => false,
          () => true,
        ),
      )
    },
  )

  await t.test('a write is reported with its files', async (t) => {
    const location = join(warehouse, 'default', 't-1')
    const write = {
      tableId: 1,
      schemaVersion: 1,
      mode: 'append',
      directory: join(location, 'data-x-1'),
      base: location,
      format: 'PARQUET',
      options: {},
      columns: columnsOf('a INT4, b TEXT'),
      into: null,
      partitionBy: [],
    } as const
    const task = taskOf("SELECT i, 'x' FROM range(10) r(i)", {
      mode: 'write',
      write: { ...write, columns: [...write.columns], partitionBy: [] },
    })
    await run(task)
    const { manifest } = await ended(tracker, task)
    t.match(manifest, { rows: 10, files: [{ path: 'data-x-1/part-0.parquet', rows: 10 }] })
    const table: Table = {
      ...write,
      id: 1,
      database: 'default',
      name: 't',
      kind: 'managed',
      partitionColumns: [],
      location,
      wholeDirectory: false,
      files: FileList.of(manifest?.files ?? []),
      createdAt: '',
    }
    tracker.tables.set('default.t', table)
    const read = taskOf('SELECT count(*), max(a) FROM t')
    await run(read)
    t.same((await fetchAll(addresses.clientRpc, read))[1], { rows: [[10, 9]] })
    const broken = taskOf("SELECT 'x', 'y'", {
      mode: 'write',
      write: {
        ...write,
        columns: [...write.columns],
        partitionBy: [],
        directory: join(location, 'data-y-1'),
      },
    })
    await run(broken)
    t.match(await ended(tracker, broken), { state: 'failed', error: { kind: 'user' } })
    t.same(readdirSync(location), ['data-x-1'], 'nothing is left of it')
  })

  await t.test('slots, newer attempts and kills', async (t) => {
    const endless = () =>
      taskOf('SELECT sum(a.i * b.i) FROM range(100000000) a(i), range(100000) b(i)')
    const [one, two, three] = [endless(), endless(), endless()]
    await run(one)
    await run(two)
    t.match(await run(three), { accepted: false, why: 'no free slot' })
    await until('no free slot told', () => tracker.beats.at(-1)?.freeSlots === 0)
    await master.call('kill', { queryId: one.queryId }, { deadlineMs: patienceMs() })
    t.match(await ended(tracker, one), { state: 'killed', error: { kind: 'killed' } })
    await until('a free slot told', () => tracker.beats.at(-1)?.freeSlots === 1)
    await run({ ...two, attempt: 2, query: { ...two.query, text: 'SELECT 42' } })
    t.match(await run(two), { accepted: false, why: 'attempt 2 has replaced it' })
    const lines = await fetchAll(addresses.clientRpc, { ...two, attempt: 2 })
    t.same(lines[1], { rows: [[42]] })
    t.match((await fetchAll(addresses.clientRpc, two))[0], { error: { kind: 'lost' } })
    await until('all slots free', () => worker.status().running === 0)
  })

  await t.test('a small result that is done waits for its client without a slot', async (t) => {
    const small = [1, 2, 3, 4].map((n) => taskOf(`SELECT ${n}`))
    for (const task of small) {
      t.match(await run(task), { accepted: true })
      await until('its slot is free', () => {
        const beat = tracker.beats.at(-1)
        const report = beat?.reports.find(({ queryId }) => queryId === task.queryId)
        return report?.computed === true && beat?.freeSlots === 2
      })
    }
    for (const [at, task] of small.entries()) {
      t.same((await fetchAll(addresses.clientRpc, task))[1], { rows: [[at + 1]] })
      t.match(await ended(tracker, task), { state: 'succeeded', rows: 1 })
    }
    const large = taskOf("SELECT repeat('x', 1000) FROM range(100000)")
    await run(large)
    await until('it stands still', () => {
      const report = last(tracker.reportsOf(large.queryId))
      return report?.computed === undefined && (report?.unreadMs ?? 0) > 0
    })
    t.equal(tracker.beats.at(-1)?.freeSlots, 1, 'a large one has its slot')
    const why = 'others waited for its slot'
    const { answer, leave } = await lazyClient(addresses.clientRpc, large)
    await master.call('kill', { queryId: large.queryId, why }, { deadlineMs: patienceMs() })
    let text = ''
    for await (const part of answer) text += String(part)
    t.match(JSON.parse(text.trim().split('\n').at(-1) ?? ''), { error: { message: why } })
    leave()
  })

  await t.test(
    'a client that leaves ends its query, and one that only waits costs bounded memory',
    async (t) => {
      const big = taskOf("SELECT i, repeat('x', 1000) FROM range(100000000) r(i)")
      await run(big)
      const { answer, leave } = await lazyClient(addresses.clientRpc, big)
      const before = process.memoryUsage().rss
      let reports = 0
      await until('it stands still', async () => {
        const rows = last(tracker.reportsOf(big.queryId))?.rows ?? 0
        const same = rows > 0 && rows === reports
        reports = rows
        await new Promise((resolve) => setTimeout(resolve, 300))
        return same
      })
      const grown = process.memoryUsage().rss - before
      t.ok(grown < 300 * 1024 * 1024, `grown by ${grown}`)
      answer.once('data', () => undefined)
      await until('it goes on', () => (last(tracker.reportsOf(big.queryId))?.rows ?? 0) > reports)
      leave()
      t.match(await ended(tracker, big), { state: 'killed', error: { message: /went away/ } })
    },
  )

  await t.test('orders of an old term, or of strangers, are refused', async (t) => {
    const stranger = tracker.caller(addresses.qm, 'c'.repeat(64))
    const old = new FakeTracker(2).caller(addresses.qm)
    const task = taskOf('SELECT 1')
    await t.rejects(stranger.call('run', task, { deadlineMs: patienceMs() }), {
      message: REFUSED.FORBIDDEN,
    })
    await t.rejects(old.call('run', task, { deadlineMs: patienceMs() }), {
      message: REFUSED.STALE_EPOCH,
    })
    await t.rejects(old.call('kill', task, { deadlineMs: patienceMs() }), {
      message: REFUSED.STALE_EPOCH,
    })
    await Promise.all([stranger.close(), old.close()])
  })

  await t.test('health, status and metrics', async (t) => {
    const get = async (path: string) =>
      (await request(`http://${addresses.infoHttp}${path}`)).body.text()
    t.equal(await get('/health/live'), 'live\n')
    t.match(await get('/metrics'), /tajo_worker_epoch 3\n/)
    t.match(JSON.parse(await get('/api/v1/worker')), { slots: 2, epoch: 3 })
    const peer = await askKeyed(addresses.peer, '/rpc/worker/status')
    t.match(JSON.parse(peer.text), { workerId: addresses.peer })
  })

  await master.close()
  await stop()
  await tracker.stop()
})

t.test('from one active master to the next', async (t) => {
  const [first, second] = [new FakeTracker(5), new FakeTracker(6)]
  await Promise.all([first.start(), second.start()])
  second.active = false
  const { addresses, stop } = await startWorker([first, second])
  await until('registered', () => first.following > 0)
  const master = first.caller(addresses.qm)
  first.forgetsEnded = false

  const done = taskOf('SELECT 1')
  await master.call('run', done, { deadlineMs: patienceMs() })
  await fetchAll(addresses.clientRpc, done)
  await ended(first, done)
  const running = taskOf("SELECT i, repeat('y', 100) FROM range(300000) r(i)")
  await master.call('run', running, { deadlineMs: patienceMs() })
  const reader = await lazyClient(addresses.clientRpc, running)
  await until('it runs', () => first.reportsOf(running.queryId).length > 0)

  first.stepDown()
  second.active = true
  const adopted = await until('registered again', () => second.registered[0])
  t.same(
    adopted.tasks.map(({ task }) => task.queryId).sort(),
    [done.queryId, running.queryId].sort(),
    'with what runs and what nobody has taken note of',
  )
  t.match(
    adopted.tasks.find(({ task }) => task.queryId === running.queryId),
    {
      task: { sql: running.sql },
      report: { state: 'running' },
    },
  )
  let bytes = 0
  let text = ''
  reader.answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    text = (text + chunk.toString()).slice(-100)
  })
  await eventOf(reader.answer, 'end')
  t.match(text, '{"end":{"rows":300000}}', 'the stream was not touched')
  t.ok(bytes > 30_000_000)
  t.match(await ended(second, running), { state: 'succeeded', rows: 300_000 })
  await t.rejects(master.call('run', taskOf('SELECT 1'), { deadlineMs: patienceMs() }), {
    message: REFUSED.STALE_EPOCH,
  })

  second.knows = false
  const times = second.registered.length
  await until(
    'a master that has forgotten it hears of it again',
    () => second.registered.length > times,
  )
  second.knows = true

  // No master at all: the query waits for the next one's catalog.
  const later = second.caller(addresses.qm)
  second.stepDown()
  const waiting = taskOf('SELECT * FROM absent')
  await later.call('run', waiting, { deadlineMs: patienceMs() })
  second.epoch = 7
  second.active = true
  t.match(await ended(second, waiting), { error: { message: 'there is no table default.absent' } })
  await Promise.all([master.close(), later.close()])

  // Stopped while it runs something: told as lost, so that it is tried elsewhere.
  const unlucky = taskOf('SELECT sum(a.i * b.i) FROM range(100000000) a(i), range(100000) b(i)')
  const newest = second.caller(addresses.qm)
  await newest.call('run', unlucky, { deadlineMs: patienceMs() })
  await stop()
  t.match(last(second.reportsOf(unlucky.queryId)), { state: 'failed', error: { kind: 'lost' } })
  await newest.close()
  await Promise.all([first.stop(), second.stop()])
})

t.test(
  'a term that is only heard of parts nobody, and one that is shown counts at once',
  async (t) => {
    const tracker = new FakeTracker(3)
    const next = new FakeTracker(4)
    next.active = false
    await Promise.all([tracker.start(), next.start()])
    const { worker, addresses, stop } = await startWorker([tracker, next])
    await until('registered', () => tracker.following > 0)
    const master = tracker.caller(addresses.qm)
    const run = (by: typeof master, task: Task) =>
      by.call('run', task, { deadlineMs: patienceMs() })

    const liar = new FakeTracker(9_999_999_999).caller(addresses.qm)
    await run(liar, taskOf('SELECT 1')).catch(() => {})
    const task = taskOf('SELECT 1')
    t.same(await run(master, task), { accepted: true, why: null }, 'the active gives it work')
    await fetchAll(addresses.clientRpc, task)
    t.match(await ended(tracker, task), { state: 'succeeded' }, 'and is told')
    t.equal(worker.status().epoch, 3)

    tracker.stepDown()
    next.active = true
    await until('the next one is followed', () => next.following > 0)
    t.equal(worker.status().epoch, 4)
    await t.rejects(run(master, taskOf('SELECT 1')), { message: REFUSED.STALE_EPOCH })
    await Promise.all([master.close(), liar.close()])
    await stop()
    await Promise.all([tracker.stop(), next.stop()])
  },
)

t.test('a master that is added later is found when the one that was known is gone', async (t) => {
  const [first, second] = [new FakeTracker(5), new FakeTracker(6)]
  second.active = false
  await Promise.all([first.start(), second.start()])
  const unread = 'the list of masters stays as it was: masters:1: no host'
  const said: string[] = []
  let list = async () => [first.addresses]
  const { worker, stop } = await startWorker([first], {
    readMasters: () => list(),
    terms: { directory: 'ha', read: async () => shownBy([first, second]), everyMs: pacedMs(2000) },
    log: (_level, message) => {
      said.push(message)
    },
  })
  await until('registered', () => first.following > 0)
  list = () => Promise.reject(new Error('masters:1: no host'))
  first.stepDown()
  await until('the file is read again', () => said.includes(unread))
  list = async () => [second.addresses]
  second.active = true
  await until('registered with the new one', () => second.registered[0])
  t.equal(worker.status().epoch, 6)
  t.equal(said.filter((message) => message === unread).length, 1, 'said once')
  second.stepDown()
  first.epoch = 7
  first.active = true
  await until('none is forgotten', () => first.registered.length >= 2)
  await stop()
  await Promise.all([first.stop(), second.stop()])
})

t.test('a query that runs for longer than it may is ended', async (t) => {
  const tracker = new FakeTracker(1)
  await tracker.start()
  const { addresses, stop } = await startWorker([tracker], { maxRunMs: 300 })
  const master = tracker.caller(addresses.qm)
  await until('registered', () => tracker.following > 0)
  const run = (task: Task) => master.call('run', task, { deadlineMs: patienceMs() })
  const endless = taskOf('SELECT sum(a.i * b.i) FROM range(100000000) a(i), range(100000) b(i)')
  await run(endless)
  const message = 'it has run for 300 ms, and may not run for longer (tajo.query.max-run-time)'
  t.match(await ended(tracker, endless), { state: 'failed', error: { kind: 'refused', message } })
  const waits = taskOf('SELECT 7')
  await run(waits)
  await new Promise((resolve) => setTimeout(resolve, 1000))
  t.same((await fetchAll(addresses.clientRpc, waits))[1], { rows: [[7]] }, 'one that is done waits')
  await master.close()
  await stop()
  await tracker.stop()
})

t.test('a result that nobody fetches is dropped', async (t) => {
  const tracker = new FakeTracker(1)
  await tracker.start()
  const results = { aheadBytes: 1000, fetchMs: 300, stallMs: 60_000 }
  const { addresses, stop } = await startWorker([tracker], { results })
  const master = tracker.caller(addresses.qm)
  const task = taskOf('SELECT i FROM range(1000000) r(i)')
  await master.call('run', task, { deadlineMs: patienceMs() }).catch(async () => {
    await until('registered', () => tracker.following > 0)
    await master.call('run', task, { deadlineMs: patienceMs() })
  })
  t.match(await ended(tracker, task), {
    state: 'killed',
    error: { message: /nobody came to read/ },
  })
  await master.close()
  await stop()
  await tracker.stop()
})

t.test('a kill waits for no reader, nor does the end of a worker', async (t) => {
  const tracker = new FakeTracker(1)
  await tracker.start()
  const results = { aheadBytes: 1000, fetchMs: 600_000, stallMs: 600_000 }
  const { worker, addresses, stop } = await startWorker([tracker], { results })
  await until('registered', () => tracker.following > 0)
  const master = tracker.caller(addresses.qm)
  const begin = async (sql: string): Promise<Task> => {
    const task = taskOf(sql)
    await master.call('run', task, { deadlineMs: patienceMs() })
    return task
  }
  const big = "SELECT i, repeat('x', 1000) FROM range(100000000) r(i)"
  const unread = await begin('SELECT 1')
  const stalled = await begin(big)
  const { leave } = await lazyClient(addresses.clientRpc, stalled)
  for (const { queryId } of [unread, stalled]) {
    await master.call('kill', { queryId }, { deadlineMs: patienceMs() })
  }
  for (const task of [unread, stalled]) {
    t.match(await ended(tracker, task), { state: 'killed', error: { kind: 'killed' } })
  }
  t.equal(worker.status().running, 0)
  t.match(await fetchAll(addresses.clientRpc, unread), [{ error: { kind: /killed|lost/ } }])
  leave()

  const last = [await begin('SELECT 1'), await begin(big)]
  await master.close()
  await stop()
  for (const { queryId } of last) {
    t.match(tracker.reportsOf(queryId).at(-1), { state: 'failed', error: { kind: 'lost' } })
  }
  await tracker.stop()
})

t.test('the command', async (t) => {
  const port = await freePortRow(9)
  const conf = join(home, 'conf')
  const root = join(home, 'root')
  mkdirSync(conf)
  const names = ['umbilical-rpc', 'client-rpc']
  const property = (name: string, value: string): string =>
    `<property><name>${name}</name><value>${value}</value></property>`
  writeFileSync(
    join(conf, 'tajo-site.xml'),
    `<configuration>${[
      property('tajo.rootdir', root),
      property('tajo.master.ha.enable', 'true'),
      property('tajo.worker.tmpdir.locations', join(home, 'tmp')),
      ...names.map((name, i) => property(`tajo.master.${name}.address`, `localhost:${port + i}`)),
      property('tajo.resource-tracker.rpc.address', `localhost:${port + 2}`),
      property('tajo.catalog.client-rpc.address', `localhost:${port + 3}`),
      property('tajo.master.info-http.address', `localhost:${port + 4}`),
      property('tajo.worker.peer-rpc.address', `localhost:${port + 5}`),
      property('tajo.worker.qm-rpc.address', `localhost:${port + 6}`),
      property('tajo.worker.client-rpc.address', `localhost:${port + 7}`),
      property('tajo.worker.info-http.address', `localhost:${port + 8}`),
    ].join('')}</configuration>`,
  )
  writeFileSync(join(conf, 'masters'), 'localhost\n')
  const env = {
    UV_THREADPOOL_SIZE: '16',
    TAJO_CONF_DIR: conf,
    TAJO_PID_DIR: join(home, 'run'),
    TAJO_LOG_DIR: join(home, 'log'),
  }
  const begin = async (...words: string[]) => {
    const child = startProgram(['node', 'build/programs/tajo.js', ...words], { env })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk))
    await until(
      `${words} ready`,
      () => said.startsWith('ready ') || (said !== '' && hasEnded(child)),
    )
    return { child, said: () => said }
  }
  const end = async ({ child }: Awaited<ReturnType<typeof begin>>): Promise<number | null> => {
    child.kill('SIGTERM')
    const [code] = await endOfProcess(child)
    return code
  }
  writeFileSync(root, '')
  const nowhere = await begin('worker')
  t.match(nowhere.said(), /ENOTDIR/)
  t.match(nowhere.said(), /tajo\.rootdir/, 'with the key that named it')
  rmSync(root)
  const worker = await begin('worker')
  t.equal(worker.said(), `ready worker localhost:${port + 5}\n`, 'before any master')
  const again = await begin('worker')
  t.match(again.said(), /already running as pid/)
  const master = await begin('master')
  const epoch = await until('the worker knows the master', async () => {
    const { body } = await request(`http://localhost:${port + 8}/api/v1/worker`)
    return ((await body.json()) as { epoch: number }).epoch
  })
  t.equal(epoch, 1)
  t.equal(await end(worker), 0)
  t.same(
    readdirSync(join(home, 'run')).filter((name) => name.includes('worker')),
    [],
  )
  t.same(readdirSync(join(home, 'tmp')), [], 'no spill is left')
  t.equal(await end(master), 0)
})

t.test('an active master of another cluster is told of, and never followed', async (t) => {
  const theirs = new FakeTracker(9)
  theirs.clusterId = 'cluster-2'
  const ours = new FakeTracker(3)
  ours.active = false
  await Promise.all([theirs.start(), ours.start()])
  const told: string[] = []
  const { addresses, stop } = await startWorker([theirs, ours], {
    log: (level, message) => void told.push(`${level}: ${message}`),
    // Its directory is one cluster's alone.
    terms: { directory: 'ha', read: async () => shownBy([ours]), everyMs: pacedMs(2000) },
  })
  await until('it is told', () =>
    told.find((one) => /^error.*belongs to cluster cluster-2/.test(one)),
  )
  const deadlineMs = patienceMs()
  await t.rejects(theirs.caller(addresses.qm).call('run', taskOf('SELECT 1'), { deadlineMs }), {
    code: 'OTHER_CLUSTER',
  })
  const asked = { queryId: taskOf('').queryId, attempt: 1 }
  const fetched = await askKeyed(addresses.clientRpc, '/rpc/results/fetch', {
    headers: { 'content-type': 'application/json', 'x-tajo-cluster': 'cluster-2' },
    body: JSON.stringify(asked),
  })
  t.match(JSON.parse(fetched.text), { code: 'OTHER_CLUSTER' })
  const info = `http://${addresses.infoHttp}/health/live`
  t.equal((await request(`${info}?cluster=cluster-2`)).statusCode, 409)
  t.equal((await request(`${info}?cluster=${FAKE_CLUSTER}`)).statusCode, 200)
  ours.active = true
  await until('registered with its own', () => ours.following > 0)
  t.same(theirs.registered, [])
  await Promise.all([stop(), theirs.stop(), ours.stop()])
})

t.test('a cluster that was made anew under the worker is joined, with its own terms', async (t) => {
  const former = new FakeTracker(9)
  const renewed = new FakeTracker(1)
  renewed.clusterId = 'cluster-2'
  renewed.active = false
  await Promise.all([former.start(), renewed.start()])
  let clusterId = FAKE_CLUSTER
  const { addresses, worker, stop } = await startWorker([former, renewed], {
    readMembership: async () => ({ clusterId, secret: FAKE_SECRET }),
    terms: {
      directory: 'ha',
      read: async () => shownBy([former, renewed], clusterId),
      everyMs: pacedMs(2000),
    },
  })
  await until('registered', () => former.following > 0)
  const caller = former.caller(addresses.qm)
  const endless = taskOf('SELECT count(*) FROM range(100000000000) r(i)')
  await caller.call('run', endless, { deadlineMs: patienceMs() })
  await caller.close()
  clusterId = 'cluster-2'
  renewed.active = true
  await former.stop()
  await until('registered with the new one', () => renewed.following > 0)
  t.same(renewed.registered[0]?.tasks, [], "a former cluster's tasks are none of it")
  await until('what ran for the former one has ended', () => worker.status().running === 0)
  t.equal(worker.status().epoch, 1)
  await Promise.all([stop(), renewed.stop()])
})
