/** What auditors are told of statements: whose, from where, which tables, how it ended; and once each, over failovers too. */

import t from 'tap'
import { administrator } from '../../../lib/access/index.ts'
import type { CatalogState } from '../../../lib/catalog/index.ts'
import type { QueryStatus } from '../../../lib/contract/index.ts'
import { askedOf } from '../../../lib/master/queries/run/asked.ts'
import { successOf } from '../../../lib/master/queries/run/write-end.ts'
import { bindNames } from '../../../lib/master/queries/statements/names.ts'
import { settle } from '../../support/hand-clock.ts'
import { ID, manifestOf, reportOf, type Seat, Terms, workerAt } from '../../support/query-terms.ts'
import { until } from '../../support/until.ts'

const session = { database: 'default', user: 'ann', variables: {} }
const FROM = '10.0.0.7'
let lastId = 0
const submit = ({ term }: Seat, sql: string, queryId = ID(++lastId)): Promise<QueryStatus> =>
  term.client.submit({ queryId, attempt: 1, sql, session }, administrator('ann'), FROM)
const worker = workerAt(1)
const tell = (
  { term }: Seat,
  reports: ReturnType<typeof reportOf>[],
): ReturnType<typeof term.tracker.heartbeat> =>
  term.tracker.heartbeat({
    ...{ workerId: worker.workerId, incarnation: worker.incarnation },
    ...{ freeSlots: 2, reports, oomKills: 0 },
  })
const taskOf = ({ calls }: Seat, queryId: string) => {
  const found = calls.ran.findLast(({ task }) => task.queryId === queryId)
  if (found === undefined) throw new Error(`${queryId} was never run`)
  return found.task
}

t.test('each statement that ends is one entry', async (t) => {
  const terms = new Terms(t)
  const seat = await terms.begin()
  const entryOf = async (sql: string) => {
    const before = terms.audited.length
    await submit(seat, sql)
    t.equal(terms.audited.length, before + 1, `one entry: ${sql}`)
    return terms.audited.at(-1) ?? {}
  }
  const ann = { event: 'statement', user: 'ann', from: FROM, database: 'default', term: 1 }
  t.match(await entryOf('create table t (a int4)'), {
    ...ann,
    ...{ is: 'create-table', tables: ['default.t'], outcome: 'succeeded', error: null },
    sql: 'create table t (a int4)',
  })
  t.match(await entryOf('create database d'), { is: 'create-database', target: 'd' })
  await entryOf('create table d."U" (a int4)')
  t.match(await entryOf('desc d."U"'), { ...ann, is: 'describe', tables: ['d.U'] })
  t.match(await entryOf("set timezone = 'UTC'"), { is: 'set', tables: [] })
  t.match(await entryOf('drop table t'), { is: 'drop-table', tables: ['default.t'] })
  t.match(await entryOf('drop table t'), {
    ...{ is: 'drop-table', tables: ['default.t'], outcome: 'failed', error: 'user' },
    message: /does not exist/,
  })
  t.match(await entryOf('selec 1 from d."U"'), { is: null, outcome: 'failed', error: 'user' })
})

t.test('what a worker runs is told when it has ended there', async (t) => {
  const terms = new Terms(t)
  const seat = await terms.begin()
  seat.term.tracker.register({ worker, tasks: [], oomKills: 0 })
  await submit(seat, 'create table t (a int4)')
  await submit(seat, 'create table u (a int4)')
  const [read, write] = [
    await submit(seat, 'select * from t'),
    await submit(seat, 'insert into t select a from u'),
  ]
  t.equal(terms.audited.length, 2, 'nothing before it has ended')
  tell(seat, [
    reportOf(taskOf(seat, read.queryId), 'succeeded', { rows: 7 }),
    reportOf(taskOf(seat, write.queryId), 'succeeded'),
  ])
  await settle()
  const ended = terms.audited.slice(2)
  t.match(
    ended.find(({ queryId }) => queryId === read.queryId),
    { is: 'query', tables: ['default.t'], rows: 7, worker: 'w1:28091', outcome: 'succeeded' },
  )
  t.match(
    ended.find(({ queryId }) => queryId === write.queryId),
    { is: 'insert', tables: ['default.t', 'default.u'], rows: 3, from: FROM, user: 'ann' },
  )
  t.equal(ended.length, 2)
  const killed = await submit(seat, 'select * from u')
  await seat.term.client.kill({ queryId: killed.queryId }, administrator('ann'))
  t.match(terms.audited.at(-1), { queryId: killed.queryId, outcome: 'killed', error: 'killed' })
})

t.test('a statement for which there is no room is told, too', async (t) => {
  const terms = new Terms(t, {
    queue: { most: 1, mostOfUser: 1, runningOfUser: 0, chars: 1_000_000 },
  })
  const seat = await terms.begin()
  await submit(seat, 'create table t (a int4)')
  await submit(seat, 'select * from t')
  t.match(await submit(seat, 'select a from t'), { error: { kind: 'refused' } })
  t.match(terms.audited.at(-1), {
    ...{ outcome: 'failed', error: 'refused', tables: ['default.t'], from: FROM },
    sql: 'select a from t',
  })
})

t.test('the next active tells the ends that it settles, with who had asked', async (t) => {
  const terms = new Terms(t)
  const old = await terms.begin()
  old.term.tracker.register({ worker, tasks: [], oomKills: 0 })
  await submit(old, 'create table t (a int4)')
  const read = await submit(old, 'select * from t')
  const write = await submit(old, 'insert into t select 1')
  const tasks = [read, write].map(({ queryId }) => taskOf(old, queryId))
  await until('the log is written', async () => (await terms.history().newest(10)).length >= 3)
  await old.end()
  t.equal(terms.audited.length, 1, 'the one that is gone has told no end')

  const fresh = await terms.begin()
  await until('what is under way is known', () => fresh.term.list.get(write.queryId) !== null)
  fresh.term.tracker.register({
    worker,
    tasks: tasks.map((task) => ({ task, report: reportOf(task, 'succeeded') })),
    oomKills: 0,
  })
  await settle()
  for (const [{ queryId }, is] of [
    [read, 'query'],
    [write, 'insert'],
  ] as const) {
    const entries = terms.audited.filter((one) => one.queryId === queryId)
    t.equal(entries.length, 1, `${is}: once`)
    t.match(entries[0], { is, term: 2, from: FROM, tables: ['default.t'], outcome: 'succeeded' })
  }
})

t.test('the end of a change that the last active had recorded and not told is told', async (t) => {
  const terms = new Terms(t)
  const old = await terms.begin()
  old.term.tracker.register({ worker, tasks: [], oomKills: 0 })
  await submit(old, 'create table t (a int4)')
  const write = await submit(old, 'insert into t select 1')
  const task = taskOf(old, write.queryId)
  await until('the log is written', async () => (await terms.history().newest(10)).length >= 2)
  const by = { by: 'm1:26001', atMs: 1 }
  await old.catalog.transact((state) => successOf(state, task, manifestOf(task), by))
  await old.end()
  t.equal(terms.audited.length, 1)
  await terms.begin()
  await until('it is told', () => terms.audited.length > 1)
  t.equal(terms.audited.length, 2)
  t.match(terms.audited[1], {
    ...{ queryId: write.queryId, is: 'insert', from: FROM, tables: ['default.t'] },
    ...{ outcome: 'succeeded', rows: 3, term: 2 },
  })
})

t.test('a text whose words would be looked for everywhere holds nobody up', (t) => {
  let looked = 0
  const state = {
    nextTableId: 1,
    database: (name: string) => (/^d\d{1,3}$/.test(name) ? { name, createdAt: 'then' } : null),
    find: () => {
      looked += 1
      return null
    },
  } as unknown as CatalogState
  const words = Array.from({ length: 44_000 }, (_, i) => `d${i}`).join(',')
  t.throws(() => bindNames(state, `SELECT ${words} FROM`, 'd0'), { name: 'SqlError' })
  t.equal(looked, 0)
  const asked = { sql: `SELECT ${words} FROM`, database: 'd0', from: null }
  t.same(askedOf(null, asked, state).tables, [])
  t.same(bindNames(state, `${"'".repeat(200_000)}`, 'd0').tables, [])
  t.ok(looked < 500_000, `${looked} look-ups`)
  t.end()
})
