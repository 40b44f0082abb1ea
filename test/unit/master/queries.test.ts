/** The queries of a term: what is begun, who runs it, what is told, and that a change is applied once whatever happens. */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import t from 'tap'
import { administrator } from '../../../lib/access/index.ts'
import { CatalogError } from '../../../lib/catalog/errors.ts'
import type { Batch } from '../../../lib/catalog/store.ts'
import { MemStore, memKept } from '../../../lib/catalog/store.ts'
import type { QueryStatus, Task, WorkerInfo } from '../../../lib/contract/index.ts'
import { QueryList } from '../../../lib/master/queries/run/list.ts'
import { judge } from '../../../lib/master/queries/run/worker-calls.ts'
import { isGivenUp } from '../../../lib/master/queries/run/write-end.ts'
import { RpcError } from '../../../lib/rpc/index.ts'
import { settle } from '../../support/hand-clock.ts'
import { fc } from '../../support/properties.ts'
import { ID, QUEUE, reportOf, type Seat, Terms, workerAt } from '../../support/query-terms.ts'
import { until } from '../../support/until.ts'

const session = { database: 'default', user: 'me', variables: {} }
let lastId = 0
const submit = (
  { term }: Seat,
  sql: string,
  {
    queryId = ID(++lastId),
    attempt = 1,
    database = 'default',
    principal = administrator('me'),
  } = {},
): Promise<QueryStatus> =>
  term.client.submit({ queryId, attempt, sql, session: { ...session, database } }, principal)
const ask = ({ term }: Seat, { queryId, state, attempt, worker }: QueryStatus, waitMs = 0) =>
  term.client.wait({ queryId, state, attempt, worker, waitMs }, administrator('me'))
const register = (
  { term }: Seat,
  worker: WorkerInfo,
  tasks: { task: Task; report: ReturnType<typeof reportOf> }[] = [],
) => term.tracker.register({ worker, tasks, oomKills: 0 })
const beat = (
  { term }: Seat,
  worker: WorkerInfo,
  reports: ReturnType<typeof reportOf>[] = [],
  freeSlots = 2,
) =>
  term.tracker.heartbeat({
    workerId: worker.workerId,
    incarnation: worker.incarnation,
    freeSlots,
    reports,
    oomKills: 0,
  })
const taskOf = ({ calls }: Seat, queryId: string): Task => {
  const found = calls.ran.findLast(({ task }) => task.queryId === queryId)
  if (found === undefined) throw new Error(`${queryId} was never run`)
  return found.task
}

t.test('DDL, SET, SHOW and DESC are done by the master, in one answer', async (t) => {
  const seat = await new Terms(t).begin()
  const ok = async (sql: string, more?: Parameters<typeof submit>[2]) => {
    const status = await submit(seat, sql, more)
    t.equal(status.state, 'succeeded', `${sql}: ${status.error?.message}`)
    return status
  }
  const fails = async (sql: string, message: RegExp) => {
    const { state, error } = await submit(seat, sql)
    t.match({ state, error }, { state: 'failed', error: { kind: 'user', message } }, sql)
  }
  await ok('create database d')
  await fails('create database d', /exists already/)
  await ok('create database if not exists d')
  await ok('create table t (a int4, b text) using parquet')
  await ok('create table p (a int4) partition by column (c text)')
  await ok('create table d.u like t')
  await fails('create table t (a int4)', /default\.t exists already/)
  await fails('create table x (a int4, A text)', /twice/)
  await fails('create table nowhere.x (a int4)', /database nowhere does not exist/)
  await fails('drop table tt', /did you mean t/)
  await fails('drop database default', /can not be dropped/)
  await ok('alter table t add column c int8')
  await ok('alter table t rename column c to z')
  await fails('alter table t rename column q to r', /no column q/)
  await ok('alter table t rename to t9')
  t.strictSame((await ok('show tables')).answer?.rows, [['p'], ['t9']])
  t.strictSame((await ok('desc t9')).answer?.rows, [
    ['a', 'INT4', ''],
    ['b', 'TEXT', ''],
    ['z', 'INT8', ''],
  ])
  t.strictSame((await ok('desc p')).answer?.rows[1], ['c', 'TEXT', 'partition'])
  t.strictSame((await ok("set timezone = 'UTC'")).session?.variables, { timezone: 'UTC' })
  await fails("set timezone = 'Mars'", /allowed: a time zone/)
  await fails("set timezoen = 'UTC'", /did you mean timezone/)
  await fails('insert into p (nope) select 1', /no column nope/)
  await fails('selec 1', /did you mean SELECT/)
  await ok('truncate table t9')
  await ok('drop table t9')
  t.strictSame(
    seat.catalog
      .state()
      .litter()
      .map(({ path }) => path.includes('/warehouse/default/t-')),
    [true],
    'what it held is left to the sweeper',
  )
  const again = await ok('create table twice (a int4)', { queryId: ID(777) })
  t.strictSame(await submit(seat, 'create table twice (a int4)', { queryId: ID(777) }), again)
})

t.test('options that can not work are told by the statement that gives them', async (t) => {
  const terms = new Terms(t)
  const seat = await terms.begin()
  const ok = async (sql: string) => t.match(await submit(seat, sql), { state: 'succeeded' }, sql)
  const fails = async (sql: string, message: string | RegExp) =>
    t.match(await submit(seat, sql), { state: 'failed', error: { kind: 'user', message } }, sql)
  const wrong: [string, string, string][] = [
    ['text.delimiter', '', "'text.delimiter' is ''"],
    ['text.delimiter', 'abcdefgh', "'text.delimiter' is 'abcdefgh'"],
    ['text.delimiter', '"', 'not the quote'],
    ['text.skip.headerlines', 'x', 'a whole number'],
    ['text.delim', ',', "no option 'text.delim' (did you mean 'text.delimiter'?)"],
    ['Text.Null', 'x', "did you mean 'text.null'?"],
  ]
  await ok('create table t (a int4)')
  for (const [key, value, message] of wrong) {
    const options = `('${key}' = '${value}')`
    await fails(`create table x (a int4) with ${options}`, message)
    await fails(`create table x (a int4) using json with ${options}`, message)
    await fails(`create table x with ${options} as select 1 a`, message)
    await fails(
      `insert overwrite into location '${terms.directory}/allowed/out' with ${options} select 1`,
      message,
    )
    await fails(`alter table t set property ${options}`, message)
  }
  // What Tajo's own tables have, whatever it means there.
  const tajos = `'text.serde' = 'org.apache.tajo.storage.text.CSVLineSerDe', 'timezone' = 'Asia/Seoul',
    'compression.type' = 'BLOCK', 'csvfile.serde' = 'x', 'csvfile.delimiter' = ',', 'rcfile.null' = 'x'`
  await ok(`create table old (a int4) using csv with (${tajos})`)
  await ok("alter table t set property ('text.delimiter' = ',')")
  await fails("alter table t set property ('text.quote' = ',')", 'not the quote')
})

t.test('a column more does not lose the empty lines of one', async (t) => {
  const terms = new Terms(t)
  const seat = await terms.begin()
  const location = join(terms.directory, 'allowed', 'lines')
  mkdirSync(location, { recursive: true })
  writeFileSync(join(location, 'x'), '1\n\n')
  const create = (name: string, more: string) =>
    submit(seat, `create external table ${name} (a int4) ${more} location '${location}'`)
  const widen = (name: string) => submit(seat, `alter table ${name} add column b text`)
  await create('e', 'using text')
  t.match((await widen('e')).error, { message: /NULL in it is an empty line, which would be lost/ })
  await create('n', "using text with ('text.null' = 'N')")
  await create('j', 'using json')
  await submit(seat, 'create table fresh (a int4) using text')
  for (const name of ['n', 'j', 'fresh']) t.match(await widen(name), { state: 'succeeded' }, name)
})

t.test('LOCATION reaches the allowed directories only, links included', async (t) => {
  const terms = new Terms(t)
  const seat = await terms.begin()
  const { directory } = terms
  mkdirSync(join(directory, 'allowed', 'data'), { recursive: true })
  mkdirSync(join(directory, 'secret'))
  mkdirSync(join(directory, 'warehouse'))
  symlinkSync(join(directory, 'secret'), join(directory, 'allowed', 'link'))
  writeFileSync(join(directory, 'allowed', 'data', 'x'), '1\n')
  const external = (location: string) =>
    submit(seat, `create external table e${++lastId} (a int4) location '${location}'`)
  for (const location of [
    '/etc',
    `${directory}/allowed/../secret`,
    `${directory}/allowed/link`,
    'relative',
    `${directory}/allowed`,
    `file://${directory}/secret`,
  ]) {
    t.match(await external(location), { state: 'failed', error: { kind: 'user' } }, location)
  }
  t.match((await external(`${directory}/allowed/none`)).error, { message: /does not exist/ })
  t.equal((await external(`file://${directory}/allowed/data`)).state, 'succeeded')
  t.match(
    (await submit(seat, `insert overwrite into location '${directory}/secret/x' select 1`)).error,
    { message: /outside/ },
  )
})

t.test('what is wrong with a name, a value or a place is told with line and column', async (t) => {
  const terms = new Terms(t)
  const seat = await terms.begin()
  register(seat, workerAt(1))
  const { directory } = terms
  mkdirSync(join(directory, 'allowed/empty'), { recursive: true })
  mkdirSync(join(directory, 'allowed/ext'))
  await submit(seat, 'create database full')
  await submit(seat, 'create table full.t (a int4) partition by column (p int4)')
  const external = `create external table ext (a int4) location '${directory}/allowed/ext'`
  t.match(await submit(seat, external), { state: 'succeeded' })
  rmSync(join(directory, 'allowed/ext'), { recursive: true })
  symlinkSync('/etc', join(directory, 'allowed/ext'))
  // The place is where the second line begins that is not blank.
  const cases: [string, RegExp][] = [
    ["create external table e (a int4) location\n '/etc'", /outside/],
    ["create external table e (a int4) location\n 'relative'", /absolute path/],
    ["insert overwrite into location\n '/etc' select 1", /outside/],
    [`insert into location\n '${directory}/allowed/x' select 1`, /can only overwrite/],
    [`insert overwrite into location\n '${directory}/warehouse/full' select 1`, /belongs to/],
    ["alter table full.t add partition (p = 1) location\n '/etc'", /outside/],
    [
      `alter table full.t add partition (p = 1) location\n '${directory}/allowed/empty'`,
      /no files/,
    ],
    ['insert into\n ext select 1', /outside/],
    ['create database\n full', /exists already/],
    ['create database\n temp', /the engine has one/],
    ['drop database\n nosuch', /does not exist/],
    ['drop database\n full', /not empty/],
    ['drop database\n default', /can not be dropped/],
    ['show tables in\n nosuch', /does not exist/],
    ['set\n nosuch to 1', /no session variable/],
    ['unset\n nosuch', /no session variable/],
    ['show\n nosuch', /no session variable/],
    ["set timezone to\n 'nowhere'", /allowed: a time zone/],
    ['set database to\n nosuch', /does not exist/],
    ['set catalog\n nosuch', /does not exist/],
  ]
  for (const [sql, message] of cases) {
    const { error } = await submit(seat, sql)
    t.match(error, { kind: 'user', message, place: { line: 2, column: 2 } }, sql)
  }
  t.match(await submit(seat, 'set catalog full'), { session: { database: 'full' } })
})

t.test("the cluster's own files can't be named, nor places where tables keep theirs", async (t) => {
  // An operator's slip: all that the cluster has is allowed, and by way of a link.
  const directory = mkdtempSync(join(tmpdir(), 'tajo-places-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const root = join(directory, 'real')
  for (const one of ['system/ha', 'warehouse/default/t', 'ext/p', 'out', 'system2']) {
    mkdirSync(join(root, one), { recursive: true })
  }
  for (const one of ['system/ha/secret', 'ext/f', 'ext/p/f', 'system2/f']) {
    writeFileSync(join(root, one), '1\n')
  }
  const link = join(directory, 'link')
  symlinkSync(root, link)
  const seat = await new Terms(t, {
    warehouse: join(link, 'warehouse'),
    allowedPaths: [directory],
    systemDirectory: join(link, 'system'),
  }).begin()
  const ok = async (sql: string) => {
    const { state, error } = await submit(seat, sql)
    t.equal(state, sql.startsWith('insert') ? 'queued' : 'succeeded', `${sql}: ${error?.message}`)
  }
  const fails = async (sql: string, message: RegExp) =>
    t.match(await submit(seat, sql), { state: 'failed', error: { kind: 'user', message } }, sql)
  for (const base of [root, link]) {
    for (const path of ['system', 'system/ha', 'system/ha/secret', 'system/new', '']) {
      const location = join(base, path)
      await fails(`create external table s (a text) location '${location}'`, /cluster's own files/)
      await fails(`insert overwrite into location '${location}' select 1`, /cluster's own files/)
    }
  }
  await ok(`create external table s2 (a text) location '${root}/system2'`)
  await ok('create table t (a int4) partition by column (p int4)')
  for (const base of [root, link]) {
    await fails(
      `insert overwrite into location '${base}/warehouse/default' select 1`,
      /belongs to database default/,
    )
    await fails(
      `create external table e (a text) location '${base}/warehouse/default'`,
      /belongs to table default\.t/,
    )
  }
  await ok(`create external table e (a int4) location '${root}/ext'`)
  await ok(`insert overwrite into location '${root}/ext' select 1`)
  const partition = (value: string, path: string) =>
    `alter table t add partition (p = ${value}) location '${root}/${path}'`
  await fails(partition("'x'", 'ext/p'), /'x' is no INT4, which column p is/)
  await fails(partition('3000000000', 'ext/p'), /is no INT4/)
  await ok(partition('1', 'ext/p'))
  await fails(
    `insert overwrite into location '${link}/ext' select 1`,
    /belongs to table default\.t: write INSERT OVERWRITE INTO default\.t/,
  )
  await ok('alter table t drop partition (p = 1)')
  t.same(seat.catalog.state().litter(), [], 'what a user brought is not ours to remove')
  for (const name of ['temp', 'system', 'memory', 'information_schema', 'pg_catalog']) {
    await fails(`create database ${name}`, /the engine has one of that name/)
  }
})

t.test(
  'queries go to the worker with the most room, in order, and wait when there is none',
  async (t) => {
    const terms = new Terms(t, { queue: { ...QUEUE, most: 2 } })
    const seat = await terms.begin()
    const [one, two] = [workerAt(1, 1), workerAt(2, 2)]
    const waiting = await submit(seat, 'select 0')
    t.equal(waiting.state, 'queued')
    register(seat, one)
    await settle()
    t.match(await ask(seat, waiting, 1000), { state: 'running', worker: one.addresses.clientRpc })
    register(seat, two)
    const [a, b] = [await submit(seat, 'select 1'), await submit(seat, 'select 2')]
    t.same([a.worker, b.worker], ['w2:28092', 'w2:28092'])
    const queued = [await submit(seat, 'select 3'), await submit(seat, 'select 4')]
    t.same(
      queued.map(({ state }) => state),
      ['queued', 'queued'],
    )
    t.match(await submit(seat, 'select 5'), {
      state: 'failed',
      error: { kind: 'refused', message: /2 queries wait/ },
    })
    t.same(beat(seat, two, [reportOf(taskOf(seat, a.queryId), 'succeeded')]).forget, [a.queryId])
    await settle()
    t.match(
      await ask(seat, queued[0] as QueryStatus),
      { state: 'running' },
      'the first that waited',
    )
    t.match(await ask(seat, queued[1] as QueryStatus), { state: 'queued' })
    t.match(
      await ask(seat, { ...a, state: 'succeeded' }, 5000),
      { state: 'succeeded', rows: 3 },
      'an end is told at once',
    )
  },
)

t.test(
  'a run whose answer is lost is asked again there, and elsewhere only when it was surely not taken',
  async (t) => {
    const terms = new Terms(t)
    const seat = await terms.begin()
    register(seat, workerAt(1))
    register(seat, workerAt(2))
    seat.calls.answer = () => ({ is: 'unsure', why: 'no answer' })
    const lost = submit(seat, 'select 1')
    await terms.clock.advance(2000)
    t.equal(new Set(seat.calls.ran.map(({ workerId }) => workerId)).size, 1, 'one worker only')
    t.ok(seat.calls.ran.length > 1)
    t.match(await ask(seat, await lost), { state: 'failed', error: { kind: 'lost' } })
    let refusals = 0
    seat.calls.answer = () =>
      refusals++ === 0 ? { is: 'refused', why: 'busy', reached: true } : { is: 'accepted' }
    seat.calls.ran.length = 0
    const moved = await submit(seat, 'select 2')
    t.equal(moved.state, 'running')
    t.equal(new Set(seat.calls.ran.map(({ workerId }) => workerId)).size, 2)
    t.match(judge(new RpcError('UNAVAILABLE', 'x', { cause: { code: 'ECONNREFUSED' } })), {
      is: 'refused',
    })
    t.match(judge(new RpcError('UNAVAILABLE', 'x', { cause: { code: 'ECONNRESET' } })), {
      is: 'unsure',
    })
    t.match(judge(new RpcError('TIMEOUT', 'x')), { is: 'unsure' })
    t.match(judge(new RpcError('BAD_REQUEST', 'x')), { is: 'impossible' })
  },
)

t.test(
  'a lost worker: its reads may be asked again, its writes are recorded as failed before that is told',
  async (t) => {
    const terms = new Terms(t)
    const seat = await terms.begin()
    const worker = workerAt(1)
    register(seat, worker)
    await submit(seat, 'create table t (a int4)')
    const [read, write] = [
      await submit(seat, 'select 1'),
      await submit(seat, 'insert into t select 1'),
    ]
    t.same([read.state, write.state], ['running', 'running'])
    const task = taskOf(seat, write.queryId)
    await terms.clock.advance(7000)
    t.match(await ask(seat, read), { state: 'failed', error: { kind: 'lost' } })
    t.match(await ask(seat, write), {
      state: 'failed',
      error: { kind: 'lost', message: /nothing was changed/ },
    })
    t.match(seat.catalog.state().outcome(write.queryId), { state: 'failed' })
    t.ok(
      seat.catalog
        .state()
        .litter()
        .some(({ path }) => path === task.write?.directory),
    )
    t.same(
      register(seat, worker, [{ task, report: reportOf(task, 'succeeded') }]).forget,
      [write.queryId],
      'it comes too late',
    )
    t.equal(seat.catalog.state().find('default', 't')?.files.length, 0)
    const next = await submit(seat, 'select 1', { queryId: read.queryId, attempt: 2 })
    t.match(next, { state: 'running', attempt: 2 })
  },
)

t.test('who comes too late for a result is told how the query ended', async (t) => {
  const terms = new Terms(t)
  const seat = await terms.begin()
  const worker = workerAt(1, 9)
  register(seat, worker)
  const endAs = async (state: 'failed' | 'killed' | 'succeeded', kind?: 'user' | 'lost') => {
    const begun = await submit(seat, 'select nocol')
    const error = kind === undefined ? null : { kind, message: 'why', place: null }
    const report = reportOf(taskOf(seat, begun.queryId), state, { error })
    t.same(beat(seat, worker, [report], 9).forget, [begun.queryId])
    const { queryId } = begun
    return submit(seat, 'select nocol', { queryId, attempt: 2 })
  }
  const wrong = await endAs('failed', 'user')
  t.match(wrong, { state: 'failed', attempt: 1, error: { kind: 'user', message: 'why' } })
  const again = await endAs('killed', 'lost')
  t.match(again, { state: 'running', attempt: 2 }, 'nobody has killed it, its reader was gone')
  t.match(await endAs('succeeded'), { state: 'running', attempt: 2 }, 'its rows were lost')

  const endless = await submit(seat, 'select 1')
  await seat.term.client.kill(endless, administrator('me'))
  const killed = await submit(seat, 'select 1', { queryId: endless.queryId, attempt: 2 })
  t.match(killed, { state: 'killed', attempt: 1, error: { kind: 'killed' } })
  const attempts = seat.calls.ran.map(({ task }) => `${task.queryId} ${task.attempt}`)
  t.notOk(attempts.includes(`${wrong.queryId} 2`) || attempts.includes(`${endless.queryId} 2`))
})

t.test(
  'a worker that does run something must report more often than one that does not',
  async (t) => {
    const terms = new Terms(t)
    const seat = await terms.begin()
    register(seat, workerAt(1))
    await terms.clock.advance(20_000)
    t.equal(seat.term.workers().length, 1, 'idle: two of three are missed')
    const running = await submit(seat, 'select 1')
    await terms.clock.advance(4000)
    t.match(await ask(seat, running), { state: 'running' }, 'patience begins with the task')
    await terms.clock.advance(2000)
    t.equal(seat.term.workers().length, 0)
    t.match(await ask(seat, running), { state: 'failed', error: { kind: 'lost' } })
    const task = taskOf(seat, running.queryId)
    const back = register(seat, workerAt(1), [{ task, report: reportOf(task, 'running') }])
    t.same(back.forget, [], 'its client may have read on all the time')
    t.match(await ask(seat, running), { state: 'running' })
  },
)

t.test('while it may not serve nobody is lost to it, and patience begins anew after', async (t) => {
  const terms = new Terms(t)
  const seat = await terms.begin()
  const worker = workerAt(1)
  await submit(seat, 'create table t (a int4)')
  register(seat, worker)
  const write = await submit(seat, 'insert into t select 1')
  await terms.clock.advance(1000)
  terms.mayServe = false
  await terms.clock.advance(8000)
  t.match(await ask(seat, write), { state: 'running' }, 'an outage of the storage')
  terms.mayServe = true
  await terms.clock.advance(2000)
  t.match(await ask(seat, write), { state: 'running' }, 'it finds back')
  beat(seat, worker, [reportOf(taskOf(seat, write.queryId), 'running')])
  await terms.clock.advance(4000)
  t.match(await ask(seat, write), { state: 'running' })
  await terms.clock.advance(4000)
  const lost = { state: 'failed', error: { kind: 'lost' } }
  t.match(await ask(seat, write), lost, 'its silence counts again')
})

t.test("a worker's list that was on the way when it took a query names it not yet", async (t) => {
  const terms = new Terms(t)
  const seat = await terms.begin()
  const worker = workerAt(1)
  await submit(seat, 'create table late (a int4)')
  register(seat, worker)
  const write = await submit(seat, 'insert into late select 1')
  const read = await submit(seat, 'select 1')
  register(seat, worker)
  t.match(await ask(seat, write), { state: 'running' }, 'nothing says that it is lost')
  const task = taskOf(seat, write.queryId)
  t.match(beat(seat, worker, [reportOf(task, 'running')]), { known: true, forget: [] })
  for (let n = 0; n < 12; n += 1) {
    await terms.clock.advance(1000)
    beat(seat, worker, [reportOf(task, 'running')])
  }
  t.match(await ask(seat, write), { state: 'running' })
  const error = { kind: 'lost', message: /does not run it any more; submit it again/ }
  t.match(await ask(seat, read), { state: 'failed', error }, 'nobody has told of this one')
})

t.test('a worker whose last query has ended reports as seldom as an idle one', async (t) => {
  const terms = new Terms(t)
  const seat = await terms.begin()
  const worker = workerAt(1)
  register(seat, worker)
  const first = await submit(seat, 'select 1')
  await terms.clock.advance(1000)
  beat(seat, worker, [reportOf(taskOf(seat, first.queryId), 'succeeded')])
  t.match(await ask(seat, first), { state: 'succeeded' })
  await terms.clock.advance(9000)
  t.equal(seat.term.workers().length, 1, 'still there')
  const second = await submit(seat, 'select 2')
  t.equal(second.state, 'running', 'and asked at once')
  await terms.clock.advance(4000)
  t.match(await ask(seat, second), { state: 'running' }, 'patience begins with the new task')
})

t.test('a failover: what runs is adopted, what ended is told, long polls let go', async (t) => {
  const terms = new Terms(t)
  const old = await terms.begin()
  const worker = workerAt(1, 4)
  register(old, worker)
  await submit(old, 'create table t (a int4)')
  const read = await submit(old, 'select 1')
  const write = await submit(old, 'insert into t select 1')
  const done = await submit(old, 'insert into t select 2')
  const doneTask = taskOf(old, done.queryId)
  beat(old, worker, [reportOf(doneTask, 'succeeded')])
  await settle()
  t.match(await ask(old, done), { state: 'succeeded', message: 'INSERT 3' })
  const poll = ask(old, write, 30_000)
  await old.term.drain()
  t.match(await poll, { state: 'running' }, 'a hand-over ends it at once')
  await until('the log is written', async () => (await terms.history().newest(10)).length >= 4)
  await old.end()

  const fresh = await terms.begin()
  t.match(await ask(fresh, done), { state: 'succeeded', message: 'INSERT 3' }, 'from the catalog')
  const tasks = [read, write].map(({ queryId }) => taskOf(old, queryId))
  const waits = ask(fresh, write, 20_000)
  const answer = register(fresh, worker, [
    ...tasks.map((task) => ({
      task,
      report: reportOf(task, task.mode === 'write' ? 'succeeded' : 'running'),
    })),
    { task: doneTask, report: reportOf(doneTask, 'succeeded') },
  ])
  t.same(answer.forget, [done.queryId])
  t.match(await waits, { state: 'succeeded' })
  t.match(await ask(fresh, read), { state: 'running', worker: 'w1:28092' })
  t.same(beat(fresh, worker, [reportOf(tasks[1] as Task, 'succeeded')]).forget, [write.queryId])
  t.equal(fresh.catalog.state().find('default', 't')?.files.length, 2)
  t.ok(
    fresh.term
      .records()
      .some(({ queryId, state }) => queryId === read.queryId && state === 'running'),
  )
  await until('the history is inherited', async () =>
    (await terms.history().newest(10)).some(({ queryId }) => queryId === done.queryId),
  )
  const nobody = fresh.term.client.wait(
    {
      queryId: ID(999_999),
      state: 'running',
      attempt: 1,
      worker: null,
      waitMs: 30_000,
    },
    administrator('me'),
  )
  await terms.clock.advance(3000)
  t.equal(await nobody, null, 'unknown, once all workers had time to come back')
  await fresh.end()
})

t.test('what a failed write is told is told by the next active as well', async (t) => {
  const terms = new Terms(t)
  const old = await terms.begin()
  register(old, workerAt(1, 4))
  await submit(old, 'create table t (a int4)')
  const [killed, lost] = [
    await submit(old, 'insert into t select 1'),
    await submit(old, 'insert into t select 2'),
  ]
  await old.term.client.kill({ queryId: killed.queryId }, administrator('me'))
  await terms.clock.advance(7000)
  const told = [await ask(old, killed), await ask(old, lost)]
  t.match(told, [
    { state: 'killed', error: { kind: 'killed' } },
    { state: 'failed', error: { kind: 'lost' } },
  ])
  await old.end()
  const fresh = await terms.begin()
  for (const { queryId, state, error } of told as QueryStatus[]) {
    t.match(await ask(fresh, { queryId } as QueryStatus), { state, error })
  }
})

t.test('kill: before it is told a write can not succeed any more', async (t) => {
  const terms = new Terms(t)
  const seat = await terms.begin()
  const worker = workerAt(1)
  register(seat, worker)
  await submit(seat, 'create table t (a int4)')
  const write = await submit(seat, 'insert into t select 1')
  t.match(await seat.term.client.kill({ queryId: write.queryId }, administrator('me')), {
    state: 'killed',
  })
  t.same(seat.calls.killed, [write.queryId])
  const task = taskOf(seat, write.queryId)
  t.same(beat(seat, worker, [reportOf(task, 'succeeded')]).forget, [write.queryId])
  await settle()
  t.equal(seat.catalog.state().find('default', 't')?.files.length, 0)
  const nobody = seat.term.client.kill({ queryId: ID(999_998) }, administrator('me'))
  await terms.clock.advance(3000)
  t.equal(await nobody, null, 'unknown, once all workers had time to come back')
})

t.test(
  'INSERT OVERWRITE INTO LOCATION takes the place of what stood there, once, also by the next active',
  async (t) => {
    const terms = new Terms(t)
    const { directory } = terms
    mkdirSync(join(directory, 'warehouse'))
    mkdirSync(join(directory, 'allowed', 'out'), { recursive: true })
    writeFileSync(join(directory, 'allowed', 'out', 'old'), 'old')
    const seat = await terms.begin()
    const worker = workerAt(1)
    register(seat, worker)
    const { queryId, state } = await submit(
      seat,
      `insert overwrite into location '${directory}/allowed/out' select 1`,
    )
    t.equal(state, 'running')
    const task = taskOf(seat, queryId)
    mkdirSync(task.write?.directory as string)
    writeFileSync(join(task.write?.directory as string, 'part-0'), 'new')
    beat(seat, worker, [reportOf(task, 'succeeded')])
    const status = await until('it is published', async () => {
      const found = await seat.term.client.wait(
        {
          queryId,
          state: 'running',
          attempt: 1,
          worker: null,
          waitMs: 0,
        },
        administrator('me'),
      )
      return found?.state === 'succeeded' ? found : null
    })
    t.equal(status.message, 'INSERT 3')
    const { readdirSync } = await import('node:fs')
    t.same(readdirSync(join(directory, 'allowed', 'out')), ['part-0'])
    t.equal(seat.catalog.state().publications().length, 0)
  },
)

t.test(
  'of a CREATE TABLE AS that made no table nothing is left, its directory included',
  async (t) => {
    const terms = new Terms(t, { litterGraceMs: 0 })
    const seat = await terms.begin()
    const worker = workerAt(1, 3)
    register(seat, worker)
    const [killed, late, won] = [
      await submit(seat, 'create table k as select 1 a'),
      await submit(seat, 'create table if not exists l as select 1 a'),
      await submit(seat, 'create table w as select 1 a'),
    ].map(({ queryId }) => taskOf(seat, queryId))
    for (const task of [killed, late, won])
      mkdirSync(task?.write?.directory ?? '', { recursive: true })
    await submit(seat, 'create table l (a int4)')
    await seat.term.client.kill({ queryId: killed?.queryId ?? '' }, administrator('me'))
    for (const task of [late, won]) beat(seat, worker, [reportOf(task as Task, 'succeeded')])
    await settle()
    t.equal(
      seat.catalog.state().outcome(late?.queryId ?? '')?.message,
      'CREATE TABLE: it exists already',
    )
    // A worker that comes back with what has ended long ago.
    const report = reportOf(won as Task, 'succeeded')
    register(seat, workerAt(2), [{ task: won as Task, report }])
    await new Promise((resolve) => setTimeout(resolve, 5))
    await seat.term.sweeper.sweep()
    await new Promise((resolve) => setTimeout(resolve, 5))
    await seat.term.sweeper.sweep()
    t.same(readdirSync(join(terms.directory, 'warehouse', 'default')), [
      basename(won?.write?.base ?? ''),
    ])
    t.ok(existsSync(won?.write?.directory ?? ''), 'what a table names stays')
  },
)

t.test('a kill that comes right after a change of masters finds its query', async (t) => {
  const terms = new Terms(t)
  const old = await terms.begin()
  const worker = workerAt(1)
  register(old, worker)
  await submit(old, 'create table t (a int4)')
  const write = await submit(old, 'insert into t select 1')
  const task = taskOf(old, write.queryId)
  await old.end()
  const fresh = await terms.begin()
  const killed = fresh.term.client.kill({ queryId: write.queryId }, administrator('me'))
  const repeated = fresh.term.client.kill({ queryId: write.queryId }, administrator('me'))
  await settle()
  register(fresh, worker, [{ task, report: reportOf(task, 'running') }])
  t.match(await killed, { state: 'killed' })
  t.match(await repeated, { state: 'killed' })
  t.same(
    register(fresh, worker, [{ task, report: reportOf(task, 'succeeded') }]).forget,
    [write.queryId],
    'its success comes too late',
  )
  t.equal(fresh.catalog.state().find('default', 't')?.files.length, 0)
})

t.test('a write whose worker is stopped is told what that means', async (t) => {
  const terms = new Terms(t)
  const seat = await terms.begin()
  const worker = workerAt(1)
  register(seat, worker)
  await submit(seat, 'create table t (a int4)')
  const write = await submit(seat, 'insert into t select 1')
  const error = { kind: 'lost', message: 'its worker was stopped', place: null } as const
  beat(seat, worker, [reportOf(taskOf(seat, write.queryId), 'failed', { error })])
  await settle()
  t.match(await ask(seat, write), {
    state: 'failed',
    error: {
      kind: 'lost',
      message: 'its worker was stopped; nothing was changed; submit it again',
    },
  })
})

t.test('what perhaps runs at a worker that is out of reach runs nowhere else', async (t) => {
  const terms = new Terms(t)
  const seat = await terms.begin()
  register(seat, workerAt(1))
  register(seat, workerAt(2))
  await submit(seat, 'create table t (a int4)')
  let calls = 0
  seat.calls.answer = () =>
    calls++ === 0
      ? { is: 'unsure', why: 'no answer' }
      : { is: 'refused', why: 'connection refused', reached: false }
  const write = submit(seat, 'insert into t select 1')
  await terms.clock.advance(3000)
  t.equal(new Set(seat.calls.ran.map(({ workerId }) => workerId)).size, 1)
  t.match(await ask(seat, await write), { state: 'failed', error: { kind: 'lost' } })
})

t.test('a write that found no space is told as failed only when it is recorded', async (t) => {
  const kept = memKept()
  let isFull = false
  class FullStore extends MemStore {
    override async append(batch: Batch): Promise<void> {
      if (isFull) throw new CatalogError('FULL', 'no space left')
      await super.append(batch)
    }
  }
  const terms = new Terms(t, { makeStore: async () => new FullStore(kept) })
  const seat = await terms.begin()
  const worker = workerAt(1)
  register(seat, worker)
  await submit(seat, 'create table t (a int4)')
  const write = await submit(seat, 'insert into t select 1')
  isFull = true
  const task = taskOf(seat, write.queryId)
  t.same(beat(seat, worker, [reportOf(task, 'succeeded')]).forget, [])
  await settle()
  t.match(await ask(seat, write), { state: 'running' }, 'the next active would believe its worker')
  isFull = false
  await terms.clock.advance(2000)
  t.match(await ask(seat, write), { state: 'failed', error: { message: /no space left; nothing/ } })
  t.match(seat.catalog.state().outcome(write.queryId), { state: 'failed' })
})

t.test('the history of a change says what the catalog says', async (t) => {
  const terms = new Terms(t)
  const old = await terms.begin()
  await submit(old, 'create table t (a int4)')
  const worker = workerAt(1)
  register(old, worker)
  const write = await submit(old, 'insert into t select 1')
  await until('that it runs is in the log', async () =>
    (await terms.history().newest(10)).some(
      ({ queryId, state }) => queryId === write.queryId && state === 'running',
    ),
  )
  // The master dies after the transaction, before the line in its log.
  await old.catalog.transact(() => ({
    by: 'm',
    atMs: Date.now(),
    changes: [],
    outcome: { queryId: write.queryId, state: 'done', message: 'INSERT 3', rows: 3, atMs: 5 },
  }))
  await old.end()
  await terms.begin()
  const line = await until('it is inherited', async () =>
    (await terms.history().newest(10)).find(
      ({ queryId, state }) => queryId === write.queryId && state !== 'running',
    ),
  )
  t.match(line, { state: 'succeeded', message: 'INSERT 3', error: null, finishedMs: 5 })
})

// ---- whatever order ------------------------------------------------------------------------------------------------

const step = fc.oneof(
  fc.record({ do: fc.constant('submit' as const), query: fc.nat(2) }),
  fc.record({
    do: fc.constant('run' as const),
    answer: fc.constantFrom('accepted', 'refused', 'unsure'),
  }),
  fc.record({ do: fc.constant('finish' as const), query: fc.nat(2), well: fc.boolean() }),
  fc.record({ do: fc.constant('beat' as const), worker: fc.nat(1) }),
  fc.record({ do: fc.constant('register' as const), worker: fc.nat(1) }),
  fc.record({ do: fc.constant('silence' as const), ms: fc.constantFrom(500, 1500, 7000, 40_000) }),
  fc.record({ do: fc.constant('kill' as const), query: fc.nat(2) }),
  fc.record({ do: fc.constant('failover' as const), flushed: fc.boolean() }),
  // What explains that a worker is gone, which may be so or not: that one may live, and come back with what it has.
  fc.record({
    do: fc.constant('sign' as const),
    is: fc.constantFrom('refused' as const, 'unreachable' as const, 'lives' as const),
  }),
  fc.record({
    do: fc.constant('ended' as const),
    worker: fc.nat(1),
    code: fc.constantFrom(137, 139),
    anew: fc.boolean(),
  }),
)

t.test(
  'property: a write is applied at most once, and everybody is told the same, in whatever order',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 10, maxLength: 50, size: 'max' }),
        async (steps) => {
          const terms = new Terms(t)
          let seat = await terms.begin()
          const seats = [seat]
          await submit(seat, 'create table t (a int4)', { queryId: ID(500) })
          const workers = [workerAt(1), workerAt(2)]
          /** What each worker has, as it would report it. */
          const has = workers.map(
            () => new Map<string, { task: Task; state: 'running' | 'succeeded' | 'failed' }>(),
          )
          let mode = 'accepted'
          let sign: 'refused' | 'unreachable' | 'lives' = 'refused'
          const told = new Map<string, string>()
          const tell = (status: QueryStatus | null): void => {
            if (status === null || !['succeeded', 'failed', 'killed'].includes(status.state)) return
            const now = status.state === 'succeeded' ? 'applied' : 'not applied'
            const before = told.get(status.queryId) ?? now
            if (before !== now) throw new Error(`${status.queryId}: told ${before}, then ${now}`)
            told.set(status.queryId, now)
          }
          const listen = (one: Seat): void => {
            one.calls.signOf = () => ({ is: sign })
            one.calls.answer = (info, task) => {
              const at = workers.findIndex(({ workerId }) => workerId === info.workerId)
              if (mode === 'refused') return { is: 'refused', why: 'busy', reached: true }
              const mine = has[at] as Map<string, { task: Task; state: 'running' }>
              if ((mine.get(task.queryId)?.task.attempt ?? 0) < task.attempt)
                mine.set(task.queryId, { task, state: 'running' })
              return mode === 'unsure' ? { is: 'unsure', why: '' } : { is: 'accepted' }
            }
          }
          listen(seat)
          const reports = (at: number) =>
            [...(has[at]?.values() ?? [])].map(({ task, state }) => ({
              task,
              report: reportOf(task, state),
            }))
          const forget = (at: number, ids: readonly string[]): void => {
            for (const id of ids) has[at]?.delete(id)
          }
          const look = async (): Promise<void> => {
            await settle()
            for (let query = 0; query <= 2; query += 1) {
              tell(
                await seat.term.client.wait(
                  {
                    queryId: ID(query),
                    state: 'running',
                    attempt: 1,
                    worker: null,
                    waitMs: 0,
                  },
                  administrator('me'),
                ),
              )
            }
          }
          for (const one of steps) {
            switch (one.do) {
              case 'submit': {
                const submitted = submit(seat, 'insert into t select 1', { queryId: ID(one.query) })
                await terms.clock.advance(150)
                tell(await submitted)
                break
              }
              case 'run':
                mode = one.answer
                break
              case 'finish':
                for (const mine of has) {
                  const it = mine.get(ID(one.query))
                  if (it?.state === 'running') it.state = one.well ? 'succeeded' : 'failed'
                }
                break
              case 'beat': {
                const worker = workers[one.worker] as WorkerInfo
                const answer = beat(
                  seat,
                  worker,
                  reports(one.worker).map(({ report }) => report),
                )
                forget(one.worker, answer.forget)
                if (!answer.known)
                  forget(one.worker, register(seat, worker, reports(one.worker)).forget)
                break
              }
              case 'register':
                forget(
                  one.worker,
                  register(seat, workers[one.worker] as WorkerInfo, reports(one.worker)).forget,
                )
                break
              case 'silence':
                await terms.clock.advance(one.ms)
                break
              case 'kill': {
                const killed = seat.term.client.kill(
                  { queryId: ID(one.query) },
                  administrator('me'),
                )
                // One that nobody knows is waited for, right after a change of masters.
                const isKnown = seat.term.list.get(ID(one.query)) !== null
                await terms.clock.advance(isKnown ? 10 : 2100)
                tell(await killed)
                break
              }
              case 'sign':
                sign = one.is
                break
              case 'ended': {
                const { workerId, incarnation } = workers[one.worker] as WorkerInfo
                if (one.anew) {
                  workers[one.worker] = workerAt(one.worker + 1, 2, `${incarnation}+`)
                  has[one.worker]?.clear()
                }
                seat.term.tracker.ended({ workerId, incarnation, code: one.code, oomKills: 0 })
                break
              }
              case 'failover':
                if (one.flushed) await new Promise((resolve) => setTimeout(resolve, 5))
                await seat.end()
                seat = await terms.begin()
                seats.push(seat)
                listen(seat)
            }
            await look()
          }
          const files = seat.catalog.state().find('default', 't')?.files ?? []
          const counts = new Map<string, number>()
          for (const { path } of files) {
            const id = path.slice('data-'.length, 'data-'.length + 36)
            counts.set(id, (counts.get(id) ?? 0) + 1)
            const attempt = Number(path.slice('data-'.length + 37).split('-')[0])
            if (isGivenUp(seat.catalog.state(), id, attempt))
              throw new Error(`attempt ${attempt} of ${id} was given up, and is applied`)
          }
          for (const [id, count] of counts)
            if (count > 1) throw new Error(`${id} was applied ${count} times`)
          for (const [id, what] of told) {
            const applied = counts.has(id)
            if (applied !== (what === 'applied'))
              throw new Error(`${id} was told ${what}, and is not so`)
          }
          await seat.end()
        },
      ),
      { numRuns: 30 },
    )
  },
)

t.test('files that the master does not see make no content, however they went', async (t) => {
  const asked: string[] = []
  let answers: (string | null | Error)[] = []
  const terms = new Terms(t, {
    lookFor: async (path, bytes) => {
      asked.push(`${path.replace(/.*\/warehouse/, '')} ${bytes}`)
      const answer = answers.shift() ?? null
      if (answer instanceof Error) throw answer
      return answer
    },
  })
  const seat = await terms.begin()
  const worker = workerAt(1)
  register(seat, worker)
  await submit(seat, 'create table t (a int4)')
  const ended = async (sql: string) => {
    const begun = await submit(seat, sql)
    beat(seat, worker, [reportOf(taskOf(seat, begun.queryId), 'succeeded')])
    await terms.clock.advance(1000)
    return ask(seat, begun)
  }
  const files = () => seat.catalog.state().find('default', 't')?.files.length
  answers = ['/x/part-0 is gone']
  const error = { kind: 'internal', message: '/x/part-0 is gone; nothing was changed' }
  t.match(await ended('insert into t select 1'), { state: 'failed', error })
  t.equal(files(), 0)
  answers = [new Error('EIO')]
  t.match(await ended('insert into t select 2'), { state: 'succeeded' }, 'once somebody can tell')
  t.equal(files(), 1)
  t.equal(asked.length, 3)
  t.match(asked[0], /^\/default\/t-.*\/part-0 10$/)
})

t.test('of large answers only the last are kept in memory', async (t) => {
  const list = new QueryList({ queue: QUEUE, keepEnded: 100, onChange: () => {} })
  const answered = (queryId: string, rows: number): void => {
    const fresh = { queryId, attempt: 1, sql: 'show tables', user: '', database: 'default' }
    const more = { kind: 'answer', submittedMs: 0, task: null } as const
    const query = list.add({ ...fresh, ...more }, 0)
    const answer = { columns: [{ name: 'table', type: 'TEXT' }], rows: Array(rows).fill(['t']) }
    list.end(query, { state: 'succeeded', answer }, 0)
  }
  answered('small', 10)
  for (const name of ['a', 'b', 'c', 'd']) answered(name, 200_000)
  t.same(
    ['small', 'a', 'b', 'c', 'd'].filter((name) => list.get(name) !== null),
    ['small', 'c', 'd'],
  )
  t.same(list.unended(), [])
  answered('huge', 600_000)
  t.same(
    ['small', 'c', 'd', 'huge'].filter((name) => list.get(name) !== null),
    ['small', 'huge'],
  )
})

t.test(
  'a worker that has proven nothing for two limits is told, and gets nothing before',
  async (t) => {
    const limitMs = 10_000
    let made = 0
    const proof = { host: 'host1', everyMs: 5000, limitMs, nonce: () => `n${++made}` }
    const terms = new Terms(t, { lookFor: async () => null, proof })
    for (const name of ['system', 'warehouse']) mkdirSync(join(terms.directory, name))
    const seat = await terms.begin()
    const { term, calls } = seat
    const worker = workerAt(1)
    const { workerId, incarnation } = worker
    const seen = (proven: string[]) =>
      term.tracker.heartbeat({ workerId, incarnation, freeSlots: 2, reports: [], proven })
    term.tracker.register({ worker, tasks: [], proven: [] })
    // Before the master has made its own files, on a real disk, there is nothing that anybody could prove; nor while that
    // disk is slower than the clock here, which looks like one that hangs.
    const known = () =>
      until('both of its files are known', async () => {
        const { places } = await term.tracker.prove({ workerId, incarnation, made: [] })
        return places.length === 2 && places.every(({ nonce }) => nonce !== null)
      })
    await known()
    seen([])
    await submit(seat, 'SELECT 1')
    const later = async (ms: number) => {
      for (let left = ms; left > 0; left -= 1000) {
        await terms.clock.advance(1000)
        await known()
      }
      seen([])
      return term.workers()[0]
    }
    t.match(await later(2 * limitMs - 1000), { state: 'live', trouble: null })
    const late = await later(2000)
    t.match(late, {
      state: 'stuck',
      trouble: /has not proven for 2[01] s that it has the cluster's/,
    })
    t.equal(calls.ran.length, 0)
    const { places } = await term.tracker.prove({ workerId, incarnation, made: [] })
    const [root, warehouse] = places.map(({ nonce }) => String(nonce))
    seen([root ?? ''])
    t.match(term.workers(), [{ state: 'stuck' }], 'one of both directories')
    seen([root ?? '', warehouse ?? ''])
    t.match(term.workers(), [{ state: 'live', trouble: null }])
    await settle()
    t.equal(calls.ran.length, 1)
  },
)
