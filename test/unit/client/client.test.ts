/** The client over real sockets: who is asked, what is repeated, what a result is, and that nothing stays open. */
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  type ClusterKnowledge,
  type MasterAddress,
  type QueryResult,
  TajoClient,
  type TajoClientOptions,
} from '../../../lib/client/index.ts'
import { fakeCluster, fakeWorker, type Say, sayLines } from '../../support/fake-queries.ts'
import { freePortRow } from '../../support/free-ports.ts'
import { pacedMs } from '../../support/pace.ts'
import { eventOf, until } from '../../support/until.ts'

const COLUMNS = { columns: [{ name: 'a', type: 'INT4' }] }
const QUICK = { maxNum: 200, pauseTimeMs: pacedMs(50) }

function clientOf(
  t: Test,
  masters: readonly MasterAddress[],
  options: Partial<TajoClientOptions> = {},
): TajoClient {
  const client = new TajoClient({ masters, retry: QUICK, ...options })
  t.teardown(() => client.close())
  return client
}

async function rowsOf(client: TajoClient, sql: string): Promise<unknown[]> {
  const all: unknown[] = []
  for await (const batch of (await client.query(sql)).rows()) all.push(...batch)
  return all
}

async function drain(result: QueryResult): Promise<void> {
  for await (const _ of result.rows());
}

t.test('a change: submitted, waited for, its message', async (t) => {
  const cluster = fakeCluster()
  const master = await cluster.master(t)
  cluster.script = (_request, previous) =>
    previous === null ? { state: 'queued' } : { message: 'INSERT 5', rows: 5 }
  const client = clientOf(t, [master], { session: { database: 'd', user: 'me' } })
  const result = await client.query('insert into t select 1')
  t.match(result, { kind: 'change', message: 'INSERT 5', changed: 5, columns: [] })
  t.same(await rowsOf(client, 'drop table t'), [])
  t.match(cluster.submitted[0], {
    attempt: 1,
    session: { database: 'd', user: 'me', variables: {} },
    sql: 'insert into t select 1',
  })
  t.equal(client.activeMaster, master.client)
  const many = Array.from({ length: 30 }, () => client.execute('truncate t'))
  t.same(new Set(await Promise.all(many)), new Set(['INSERT 5']))
})

t.test('a select: rows come from the worker, empty lines are only signs of life', async (t) => {
  const cluster = fakeCluster()
  const master = await cluster.master(t)
  const worker = await fakeWorker(t, (response) => {
    response.write(`${JSON.stringify(COLUMNS)}\n\n\n{"rows":[[1],`)
    response.write('["é')
    response.end('"]]}\n{"rows":[]}\n{"rows":[[3]]}\n{"end":{"rows":3}}\n')
  })
  cluster.script = (_request, previous) =>
    previous === null
      ? { kind: 'select', state: 'queued' }
      : { kind: 'select', state: 'running', worker: worker.address }
  const client = clientOf(t, [master])
  const result = await client.query('select a from t')
  t.same(result.columns, COLUMNS.columns)
  const rows: unknown[] = []
  for await (const batch of result.rows()) rows.push(...batch)
  t.same(rows, [[1], ['é'], [3]])
  t.same(cluster.killed, [])
  await until('nothing stays open', () => worker.sockets.size === 0)
})

t.test("an answer of the master's own, and the session that it changed", async (t) => {
  const cluster = fakeCluster()
  const master = await cluster.master(t)
  const client = clientOf(t, [master])
  cluster.script = ({ session }) => ({
    kind: 'answer',
    answer: { columns: [{ name: 'x', type: 'TEXT' }], rows: [['y']] },
    session: { ...session, variables: { x: 'y' } },
  })
  t.same(await rowsOf(client, 'set x to y'), [['y']])
  t.same(client.session.variables, { x: 'y' })
})

t.test(
  'an error carries its kind and place; a statement that is too long never leaves',
  async (t) => {
    const cluster = fakeCluster()
    const master = await cluster.master(t)
    const client = clientOf(t, [master])
    const place = { line: 2, column: 8 }
    cluster.script = () => ({
      state: 'failed',
      error: { message: 'no such table', place, kind: 'user' },
    })
    await t.rejects(client.query('select'), { kind: 'user', message: 'no such table', place })
    t.equal(cluster.submitted.length, 1)
    await t.rejects(client.query(`select '${'x'.repeat(200_000)}'`), {
      kind: 'refused',
      message: /200000 are allowed/,
    })
    t.equal(cluster.submitted.length, 1)
    cluster.script = () => ({ state: 'nonsense' as 'queued' })
    await t.rejects(client.query('select'), { kind: 'internal', message: /state nonsense/ })
  },
)

t.test('hints are followed, also to a master that was not named', async (t) => {
  const cluster = fakeCluster()
  const [first, second] = [await cluster.master(t), await cluster.master(t)]
  first.active = false
  first.hint = second.client
  const client = clientOf(t, [first])
  t.equal(await client.execute('x'), 'OK')
  t.equal(client.activeMaster, second.client)
  await client.execute('y')
  t.same([first.asked.submit, second.asked.submit], [undefined, 2], 'it is remembered')
})

t.test('masters that nobody named are found when none of the named ones is active', async (t) => {
  const cluster = fakeCluster()
  const [first, second, third] = [
    await cluster.master(t),
    await cluster.master(t),
    await cluster.master(t),
  ]
  let found = 0
  const findMore = async (): Promise<MasterAddress[]> => {
    found += 1
    return found === 1 ? [second] : Promise.reject(new Error('its mount hangs'))
  }
  const retry = { maxNum: 100, pauseTimeMs: pacedMs(50) }
  const client = clientOf(t, [first, third], { findMore, retry })
  third.active = false
  t.equal(await client.execute('x'), 'OK')
  t.equal(found, 0, 'nobody asks while one is active')
  await first.close()
  t.equal(await client.execute('y'), 'OK')
  t.equal(client.activeMaster, second.client)
  t.equal(found, 1)
})

t.test('a failover is not noticed: the same id is asked for again elsewhere', async (t) => {
  const cluster = fakeCluster()
  const [first, second] = [await cluster.master(t), await cluster.master(t)]
  second.active = false
  cluster.script = () => ({ state: 'running' })
  const client = clientOf(t, [first, second])
  const query = client.query('insert into t values (1)')
  await until('it waits', () => first.asked.wait)
  await first.close()
  await sleep(120)
  cluster.queries.clear()
  cluster.script = () => ({ message: 'INSERT 1' })
  second.active = true
  t.match(await query, { message: 'INSERT 1' })
  t.equal(cluster.submitted.length, 2, 'the new one had never heard of it')
  t.equal(new Set(cluster.submitted.map(({ queryId }) => queryId)).size, 1)
})

t.test('a proxy in front of the masters that finds none of them is asked again', async (t) => {
  const cluster = fakeCluster()
  const master = await cluster.master(t)
  let asked = 0
  const port = await freePortRow(1)
  // As one does that only hands bytes on: it takes the connection, and finds nobody for it.
  const proxy = createServer((socket) => {
    asked += 1
    socket.destroy()
  }).listen(port, '127.0.0.1')
  t.teardown(() => proxy.close())
  await eventOf(proxy, 'listening')
  const address = `127.0.0.1:${port}`
  cluster.masters.push(address)
  const client = clientOf(t, [{ client: address, catalog: address }, master])
  t.equal(await client.execute('x'), 'OK')
  t.ok(asked > 0)
})

t.test('in a session it never goes to another cluster', async (t) => {
  const ours = fakeCluster()
  const theirs = fakeCluster('cluster-2')
  const [own, foreign] = [await ours.master(t), await theirs.master(t)]
  const client = clientOf(t, [own], { retry: { maxNum: 8, pauseTimeMs: pacedMs(50), nobodyMs: 1 } })
  t.equal(await client.execute('x'), 'OK')
  t.equal(client.clusterId, 'cluster-1')
  own.active = false
  own.hint = foreign.client
  const error = await client.execute('insert overwrite into precious values (99)').catch((e) => e)
  t.match(error, { code: 'NO_MASTER', message: /belongs to cluster cluster-2, not to cluster-1/ })
  t.same(theirs.submitted, [], 'nothing was asked of it')
})

t.test('who does not know the cluster asks all masters, and two ids are refused', async (t) => {
  const ours = fakeCluster()
  const theirs = fakeCluster('cluster-2')
  const [own, foreign] = [await ours.master(t), await theirs.master(t)]
  own.active = false
  const client = clientOf(t, [own, foreign])
  await t.rejects(client.execute('insert overwrite into precious values (99)'), {
    kind: 'refused',
    message: /belong to 2 clusters.* to cluster-1, .* to cluster-2/,
  })
  t.same(theirs.submitted, [])
})

t.test(
  'who knows the cluster goes by that, and hears the way out where it is another',
  async (t) => {
    const ours = fakeCluster()
    const theirs = fakeCluster('cluster-2')
    const [own, foreign] = [await ours.master(t), await theirs.master(t)]
    const confirmed: string[] = []
    const knows = (expected: string, now: string | null): ClusterKnowledge => ({
      expected: async () => expected,
      instead: async () => {
        if (now === null) throw new Error('remove the file')
        return now
      },
      confirmed: async (id) => void confirmed.push(id),
    })
    const client = clientOf(t, [foreign, own], { cluster: knows('cluster-1', null) })
    t.equal(await client.execute('x'), 'OK')
    t.same(theirs.submitted, [], 'the foreign one is passed over')

    const stale = clientOf(t, [own], { cluster: knows('cluster-0', null) })
    await t.rejects(stale.execute('x'), { kind: 'refused', message: 'remove the file' })
    const renewed = clientOf(t, [own], { cluster: knows('cluster-0', 'cluster-1') })
    t.equal(await renewed.execute('x'), 'OK')
    await own.close()
    const patience = { maxNum: 1000, pauseTimeMs: 50, nobodyMs: 100 }
    const alone = clientOf(t, [foreign, own], {
      cluster: knows('cluster-1', null),
      retry: patience,
    })
    await t.rejects(alone.execute('x'), {
      code: 'NO_MASTER',
      message: /belongs to cluster cluster-2.*remove the file/,
    })
    t.same(theirs.submitted, [])
    t.same(confirmed, ['cluster-1', 'cluster-1'])
  },
)

t.test('a silent master must be known to those that answer', async (t) => {
  const ours = fakeCluster()
  const theirs = fakeCluster('cluster-2')
  const [own, backup, foreign] = [
    await ours.master(t),
    await ours.master(t),
    await theirs.master(t),
  ]
  const confirmed: string[] = []
  const cluster: ClusterKnowledge = {
    expected: async () => null,
    instead: async () => Promise.reject(new Error('not this one')),
    confirmed: async (id) => void confirmed.push(id),
  }
  t.equal(await clientOf(t, [own, backup], { cluster }).execute('x'), 'OK')
  t.same(confirmed, ['cluster-1'], 'all have said so')
  await own.close()
  await t.rejects(clientOf(t, [own, foreign], { cluster }).execute('drop database precious'), {
    kind: 'refused',
    message: new RegExp(`${own.client} does not tell .* cluster-2, .* knows no master there`),
  })
  t.same(theirs.submitted, [])
  t.equal(await clientOf(t, [own, backup], { cluster }).execute('y'), 'OK', 'a failover')
  t.same(confirmed, ['cluster-1'], 'which is kept for no later client')
  backup.frozen = true
  setTimeout(() => {
    backup.frozen = false
  }, pacedMs(1500))
  t.equal(await clientOf(t, [own, backup], { cluster }).execute('z'), 'OK', 'nobody answers yet')
  ours.masters.length = 0
  await t.rejects(clientOf(t, [own, backup], { cluster }).execute('z'), {
    message: /knows no master there/,
  })
})

t.test('a worker of another cluster at the address of ours is none', async (t) => {
  const cluster = fakeCluster()
  const master = await cluster.master(t)
  const stranger = await fakeWorker(t, sayLines(COLUMNS, { rows: [[13]] }, { end: { rows: 1 } }), {
    clusterId: 'cluster-2',
  })
  const good = await fakeWorker(t, sayLines(COLUMNS, { rows: [[7]] }, { end: { rows: 1 } }))
  cluster.script = ({ attempt }) => ({
    ...{ kind: 'select', state: 'running' },
    worker: attempt === 1 ? stranger.address : good.address,
  })
  t.same(await rowsOf(clientOf(t, [master]), 'select 7'), [[7]])
})

t.test('a frozen master costs no more than the time until another one is active', async (t) => {
  const cluster = fakeCluster()
  const [first, second] = [await cluster.master(t), await cluster.master(t)]
  second.active = false
  const client = clientOf(t, [first, second])
  await client.execute('x')
  first.frozen = true
  const done = client.execute('y')
  await until('the other one is asked', () => second.asked.status ?? client.activeMaster)
  second.active = true
  t.equal(await done, 'OK')
  t.equal(client.activeMaster, second.client)
})

t.test('nobody is active: pauses grow, and all that was said is told in the end', async (t) => {
  const cluster = fakeCluster()
  const master = await cluster.master(t)
  master.active = false
  cluster.masters.push('127.0.0.1:1')
  const told: number[] = []
  const client = clientOf(t, [master, { client: '127.0.0.1:1', catalog: '127.0.0.1:2' }], {
    // Two seconds: on a busy machine a round takes its time too.
    retry: { maxNum: 40, pauseTimeMs: pacedMs(50) },
    onWaiting: (said) => told.push(said.size),
  })
  const error = await client.query('x').catch((error) => error)
  t.match(error, { code: 'NO_MASTER', message: /a backup.*127.0.0.1:1.*refused/ })
  t.ok(told.length >= 3 && told.length <= 45, `${told.length} rounds`)
  t.same(new Set(told), new Set([2]))
})

t.test('where nothing ever listened it is told sooner', async (t) => {
  const client = clientOf(t, [], {
    masters: [{ client: '127.0.0.1:1', catalog: '127.0.0.1:2' }],
    retry: { maxNum: 100_000, pauseTimeMs: 50, nobodyMs: 60 },
  })
  await t.rejects(client.query('x'), { code: 'NO_MASTER' })
  t.throws(() => new TajoClient({ masters: [] }), RangeError)
})

t.test('a worker lost before the first row: the next attempt, elsewhere', async (t) => {
  const cluster = fakeCluster()
  const master = await cluster.master(t)
  const cut = await fakeWorker(t, (response) => {
    response.write(`${JSON.stringify(COLUMNS)}\n`)
    setTimeout(() => response.destroy(), 10)
  })
  const lost = await fakeWorker(t, sayLines({ error: { kind: 'lost', message: 'x', place: null } }))
  const good = await fakeWorker(t, sayLines(COLUMNS, { rows: [[7]] }, { end: { rows: 1 } }))
  const workers = [cut.address, '127.0.0.1:1', lost.address, good.address]
  cluster.script = ({ attempt }) => ({
    kind: 'select',
    state: 'running',
    worker: workers[attempt - 1] ?? null,
  })
  const client = clientOf(t, [master])
  t.same(await rowsOf(client, 'select a'), [[7]])
  t.same(
    cluster.submitted.map(({ attempt }) => attempt),
    [1, 2, 3, 4],
  )
  cluster.script = () => ({ kind: 'select', state: 'running', worker: '127.0.0.1:1' })
  await t.rejects(client.query('select a'), { kind: 'lost', message: /in 6 attempts/ })
})

t.test('a worker lost after rows were handed out is a clear error', async (t) => {
  const cluster = fakeCluster()
  const master = await cluster.master(t)
  const worker = await fakeWorker(t, sayLines(COLUMNS, { rows: [[1], [2]] }))
  cluster.script = () => ({ kind: 'select', state: 'running', worker: worker.address })
  await t.rejects(rowsOf(clientOf(t, [master]), 'select a'), {
    kind: 'lost',
    message: /broke off after 2 rows.*run the query again/,
  })
  t.equal(cluster.submitted.length, 1)
})

t.test('rows that are not pulled are not read: the worker has to wait', async (t) => {
  const cluster = fakeCluster()
  const master = await cluster.master(t)
  const batch = JSON.stringify({ rows: Array.from({ length: 1000 }, () => ['x'.repeat(100)]) })
  let written = 0
  const flood: Say = async (response) => {
    let go = (): void => {}
    response.on('drain', () => go()).on('close', () => go())
    response.write(`${JSON.stringify(COLUMNS)}\n`)
    for (; written < 400 && !response.destroyed; written++) {
      if (!response.write(`${batch}\n`)) {
        await new Promise<void>((done) => {
          go = done
        })
      }
    }
    response.end('{"end":{"rows":400000}}\n')
  }
  const worker = await fakeWorker(t, flood)
  cluster.script = () => ({ kind: 'select', state: 'running', worker: worker.address })
  const result = await clientOf(t, [master]).query('select a')
  await sleep(300)
  const ahead = written
  t.ok(ahead < 200, `${ahead} of 400 batches were written before anybody read`)
  let rows = 0
  for await (const batch of result.rows()) rows += batch.length
  t.equal(rows, 400_000)
})

t.test('breaking off ends the query in the cluster', async (t) => {
  const cluster = fakeCluster()
  const master = await cluster.master(t)
  const worker = await fakeWorker(t, (response) => {
    response.write(`${JSON.stringify(COLUMNS)}\n${JSON.stringify({ rows: [[1]] })}\n`)
  })
  cluster.script = () => ({ kind: 'select', state: 'running', worker: worker.address })
  const client = clientOf(t, [master])
  for await (const _ of (await client.query('select 1')).rows()) break
  await until('it is killed', () => cluster.killed.length === 1)

  const first = new AbortController()
  const result = await client.query('select 2', { signal: first.signal })
  const reading = drain(result)
  reading.catch(() => undefined)
  first.abort()
  await t.rejects(reading, { kind: 'killed', message: /cancelled/ })

  cluster.script = () => ({ state: 'running' })
  const second = new AbortController()
  const change = client.query('insert', { signal: second.signal })
  change.catch(() => undefined)
  await until('it waits', () => master.asked.wait)
  second.abort()
  await t.rejects(change, { kind: 'killed', message: /cancelled/ })
  await until('all are killed', () => cluster.killed.length === 3)
  t.same(cluster.killed, [...cluster.queries.keys()])
  await until('nothing stays open', () => worker.sockets.size === 0)
})

t.test('progress is told while rows are waited for, and its failure is nobody’s', async (t) => {
  const cluster = fakeCluster()
  const master = await cluster.master(t)
  let release = (): void => {}
  const worker = await fakeWorker(t, async (response) => {
    response.write('\n')
    await new Promise<void>((done) => {
      release = done
    })
    sayLines(COLUMNS, { end: { rows: 0 } })(response, { queryId: '' })
  })
  let progress = 0
  cluster.script = () => {
    progress = Math.min(1, progress + 0.25)
    return { kind: 'select', state: 'running', worker: worker.address, progress }
  }
  const seen: number[] = []
  const query = clientOf(t, [master]).query('select 1', {
    onProgress: ({ progress }) => seen.push(progress),
  })
  await until('progress came', () => seen.length >= 3)
  master.active = false
  release()
  t.match(await query, { kind: 'select', columns: COLUMNS.columns })
  t.same(seen.slice(0, 3), [0.25, 0.5, 0.75])
})

t.test('the catalog is asked where the active master has it', async (t) => {
  const cluster = fakeCluster()
  const [first, second] = [await cluster.master(t), await cluster.master(t)]
  first.active = false
  first.hint = second.client
  cluster.tables = { default: [], sales: [] }
  const client = clientOf(t, [first, second])
  t.same(await client.databases(), ['default', 'sales'])
  t.same(await client.tables(), [])
  t.equal(await client.describe('t'), null)
  await client.use('sales')
  t.equal(client.session.database, 'sales')
  await t.rejects(client.use('nowhere'), { kind: 'user', message: /"nowhere" does not exist/ })
  t.same(await client.queries(10), [])
})

t.test(
  'a backup that may not read the query log sends who asks for it to the active',
  async (t) => {
    const cluster = fakeCluster()
    const [first, second] = [await cluster.master(t), await cluster.master(t)]
    first.active = false
    first.hint = second.client
    cluster.history = { of: 'active', records: [] }
    t.same(await clientOf(t, [first]).queries(10), [])
    t.equal(second.asked.queries, 1)
  },
)

t.test('a closed client breaks off what is under way, and holds no socket', async (t) => {
  const cluster = fakeCluster()
  const master = await cluster.master(t)
  const worker = await fakeWorker(t, (response) => {
    response.write(`${JSON.stringify(COLUMNS)}\n${JSON.stringify({ rows: [[1]] })}\n`)
  })
  const client = clientOf(t, [master])
  cluster.script = () => ({ kind: 'select', state: 'running', worker: worker.address })
  const result = await client.query('select 1')
  cluster.script = () => ({ state: 'running' })
  const waiting = client.query('insert')
  waiting.catch(() => undefined)
  await until('it waits', () => master.asked.wait)
  await client.close()
  await t.rejects(waiting, { code: 'CLOSED' })
  await t.rejects(
    async () => {
      for await (const _ of result.rows());
    },
    { code: 'CLOSED' },
  )
  await until('the worker sees it', () => worker.sockets.size === 0)
  await t.rejects(client.query('again'), { code: 'CLOSED' })
  await master.close()
  await worker.close()
  await until(
    'no socket is left',
    () => !process.getActiveResourcesInfo().some((name) => name.startsWith('TCP')),
  )
})
