/**
 * What a worker has written and its report has no room for: fetched page by page before the query ends, once for an attempt
 * at a time, and nothing is changed, or changed twice, when that breaks off.
 */

import t from 'tap'
import { administrator } from '../../../lib/access/index.ts'
import type { SomeFiles } from '../../../lib/catalog/model.ts'
import type { Manifest, QueryStatus, Task } from '../../../lib/contract/index.ts'
import { Manifests } from '../../../lib/master/queries/run/manifests.ts'
import type { Query } from '../../../lib/master/queries/run/query.ts'
import type { PageAnswer } from '../../../lib/master/queries/run/worker-calls.ts'
import { Written } from '../../../lib/worker/written.ts'
import { settle } from '../../support/hand-clock.ts'
import { longestTurn } from '../../support/longest-turn.ts'
import {
  type FakeCalls,
  ID,
  reportOf,
  type Seat,
  Terms,
  workerAt,
} from '../../support/query-terms.ts'
import { until } from '../../support/until.ts'

const worker = workerAt(1)
const session = { database: 'default', user: 'me', variables: {} }
let lastId = 0
const submit = ({ term }: Seat, sql: string, queryId = ID(++lastId)): Promise<QueryStatus> =>
  term.client.submit({ queryId, attempt: 1, sql, session }, administrator('me'))
const register = ({ term }: Seat, task?: Task, paged?: number) =>
  term.tracker.register({
    worker,
    tasks: task === undefined ? [] : [{ task, report: pagedReport(task, paged ?? COUNT) }],
    oomKills: 0,
  })
const beat = ({ term }: Seat, ...reports: ReturnType<typeof reportOf>[]) =>
  term.tracker.heartbeat({
    ...{ workerId: worker.workerId, incarnation: worker.incarnation, freeSlots: 2, reports },
    oomKills: 0,
  })
const pagedReport = (task: Task, paged = COUNT) =>
  reportOf(task, 'succeeded', { manifest: null, paged })
const taskOf = ({ calls }: Seat, queryId: string): Task => {
  const found = calls.ran.findLast(({ task }) => task.queryId === queryId)
  if (found === undefined) throw new Error(`${queryId} was never run`)
  return found.task
}

/** Of some pages. */
const COUNT = 20_000
const manifestFor = ({ write }: Pick<Task, 'write'>, count = COUNT): Manifest => ({
  reads: [],
  columns: [{ name: 'a', type: 'INT4' }],
  partitionColumns: [{ name: 'p', type: 'TEXT' }],
  files: Array.from({ length: count }, (_, at) => ({
    path: `${write?.directory.slice(write.base.length + 1)}/p=${at}/${'x'.repeat(60)}`,
    rows: 1,
    bytes: 10,
    partition: [`${at % 1500}`],
  })),
  rows: count,
  bytes: 10 * count,
})

/** Answers as the worker does. `asked`: pages, in the order of the questions. */
function answers(calls: FakeCalls, written: Written) {
  const asked: number[] = []
  const gates = new Map<number, Promise<unknown>>()
  const said = new Map<number, PageAnswer>()
  calls.pageOf = async (_info, { page }) => {
    asked.push(page)
    await gates.get(page)
    const found = written.page(page)
    const one = said.get(page)
    if (one !== undefined) return one
    return found === null ? { is: 'missing', why: 'none' } : { is: 'page', page: found }
  }
  return { asked, gates, said }
}

const sorted = (files: Iterable<{ path: string }>): string[] =>
  Array.from(files, ({ path }) => path).sort()
const stageOf = ({ term }: Seat, queryId: string): string | undefined =>
  term.list.get(queryId)?.stage
const ended = (seat: Seat, queryId: string): Promise<unknown> =>
  until('the query has ended', () => stageOf(seat, queryId) === 'ended', { everyMs: 1 })
const filesIn = ({ catalog }: Seat) => catalog.state().find('default', 't')?.files ?? []
const gate = () => {
  let open = (): void => {}
  const closed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, closed }
}

async function begun(terms: Terms) {
  const seat = await terms.begin()
  register(seat)
  await submit(seat, 'create table t (a int4) partition by column (p text)')
  const { queryId } = await submit(seat, "insert into t select 1, 'x'")
  await settle()
  const task = taskOf(seat, queryId)
  const whole = manifestFor(task)
  const written = await Written.of(whole)
  return { seat, queryId, task, whole, written, last: lastPage(written) }
}
function lastPage(written: Written): number {
  let at = 0
  while (written.page(at)?.next != null) at += 1
  return at
}

t.test('all files are there, once, however often it is reported meanwhile', async (t) => {
  const { seat, queryId, task, whole, written, last } = await begun(new Terms(t))
  t.ok(last > 2, `${last} pages follow`)
  const { asked, gates } = answers(seat.calls, written)
  const { open, closed } = gate()
  gates.set(1, closed)
  t.same(beat(seat, pagedReport(task)).forget, [])
  await until('the second page is asked for', () => asked.length === 2, { everyMs: 1 })
  for (let i = 0; i < 5; i += 1) t.same(beat(seat, pagedReport(task)).forget, [])
  await settle()
  t.same(asked, [0, 1], 'one fetch')
  t.equal(stageOf(seat, queryId), 'running')
  t.equal(seat.term.list.countOn(worker.workerId), 0, 'its slot is free')
  open()
  await ended(seat, queryId)
  t.same(
    asked,
    Array.from({ length: last + 1 }, (_, page) => page),
  )
  t.same(sorted(filesIn(seat)), sorted(whole.files))
  t.match(seat.term.list.get(queryId), { state: 'succeeded', message: `INSERT ${COUNT}` })
  t.same(beat(seat, pagedReport(task)).forget, [queryId])
  t.equal(asked.length, last + 1)
})

t.test('a page that can not be had: the next report begins anew', async (t) => {
  const { seat, queryId, task, whole, written } = await begun(new Terms(t))
  const { asked, said } = answers(seat.calls, written)
  said.set(2, { is: 'missing', why: 'it did not answer' })
  t.same(beat(seat, pagedReport(task)).forget, [])
  await until('it has broken off', () => asked.length === 3, { everyMs: 1 })
  await settle()
  t.equal(stageOf(seat, queryId), 'running')
  t.equal(filesIn(seat).length, 0)
  said.clear()
  beat(seat, pagedReport(task))
  await ended(seat, queryId)
  t.same(asked.slice(0, 5), [0, 1, 2, 0, 1])
  t.same(sorted(filesIn(seat)), sorted(whole.files))
})

t.test(
  'a failover in the middle: the next master fetches it anew, and it is there once',
  async (t) => {
    const terms = new Terms(t)
    const { seat: old, queryId, task, whole, written } = await begun(terms)
    const first = answers(old.calls, written)
    const { open, closed } = gate()
    first.gates.set(2, closed)
    beat(old, pagedReport(task))
    await until('it fetches', () => first.asked.length === 3, { everyMs: 1 })
    await old.end()
    const seat = await terms.begin()
    const second = answers(seat.calls, written)
    t.same(register(seat, task).forget, [])
    open()
    await ended(seat, queryId)
    t.same(first.asked, [0, 1, 2], 'the old one asks no more')
    t.equal(second.asked[0], 0)
    t.same(sorted(filesIn(seat)), sorted(whole.files))
    t.same(register(seat, task).forget, [queryId])
  },
)

t.test(
  'pages may take longer than a query is waited for that its worker did not name',
  async (t) => {
    const terms = new Terms(t)
    const { seat, queryId, task, written } = await begun(terms)
    const { asked, gates } = answers(seat.calls, written)
    const { open, closed } = gate()
    gates.set(1, closed)
    beat(seat, pagedReport(task))
    await until('it fetches', () => asked.length === 2, { everyMs: 1 })
    register(seat)
    t.equal(stageOf(seat, queryId), 'expected')
    for (let i = 0; i < 15; i += 1) {
      beat(seat, pagedReport(task))
      await terms.clock.advance(1000)
    }
    t.equal(stageOf(seat, queryId), 'running')
    open()
    await ended(seat, queryId)
    t.match(seat.term.list.get(queryId), { state: 'succeeded' })
  },
)

t.test('each file is looked for, and all anew when nobody could tell of one', async (t) => {
  const looked = new Set<string>()
  let fails = true
  const lookFor = async (path: string): Promise<null> => {
    looked.add(path)
    if (!fails || looked.size < 1000) return null
    fails = false
    looked.clear()
    throw new Error('the file server does not answer')
  }
  const terms = new Terms(t, { lookFor })
  const { seat, queryId, task, written } = await begun(terms)
  answers(seat.calls, written)
  beat(seat, pagedReport(task))
  await until('a look has failed', () => !fails, { everyMs: 1 })
  await terms.clock.advance(1000)
  await ended(seat, queryId)
  t.match(seat.term.list.get(queryId), { state: 'succeeded' })
  t.equal(looked.size, COUNT)
})

t.test('what ends otherwise meanwhile stays ended', async (t) => {
  for (const how of ['killed', 'worker gone'] as const) {
    const { seat, queryId, task, written } = await begun(new Terms(t))
    const { asked, gates } = answers(seat.calls, written)
    const { open, closed } = gate()
    gates.set(1, closed)
    beat(seat, pagedReport(task))
    await until('it fetches', () => asked.length === 2, { everyMs: 1 })
    if (how === 'killed') await seat.term.client.kill({ queryId }, administrator('me'))
    else seat.term.tracker.ended({ ...worker, code: 1, oomKills: 0, oomKillsBefore: 0 })
    await ended(seat, queryId)
    open()
    // As long as the rest would take.
    for (let i = 0; i < 200; i += 1) await settle()
    t.equal(asked.length, 2, `${how}: nobody asks any more`)
    t.equal(filesIn(seat).length, 0)
    const state = how === 'killed' ? 'killed' : 'failed'
    t.match(seat.term.list.get(queryId), { state })
    t.same(seat.catalog.state().outcome(queryId)?.state, 'failed')
  }
})

t.test('a worker that tells what can not be true ends the query with a clear word', async (t) => {
  const cases: [string, number, RegExp][] = [
    ['too few', COUNT + 1, /told of 20001 files, and then of 20000; nothing was changed/],
    ['too many', 5, /told of 5 files, and then of \d+; nothing was changed/],
    ['no such method', COUNT, /there is no such thing; nothing was changed/],
  ]
  for (const [name, paged, message] of cases) {
    const { seat, queryId, task, written } = await begun(new Terms(t))
    const { said } = answers(seat.calls, written)
    if (name === 'no such method') said.set(1, { is: 'strange', why: 'there is no such thing' })
    beat(seat, pagedReport(task, paged))
    await ended(seat, queryId)
    t.match(
      seat.term.list.get(queryId),
      { state: 'failed', error: { kind: 'lost', message } },
      name,
    )
    t.equal(filesIn(seat).length, 0)
    t.same(seat.catalog.state().outcome(queryId)?.state, 'failed', 'and no master applies it')
  }
})

t.test('CREATE TABLE AS, and one without files', async (t) => {
  const seat = await new Terms(t).begin()
  register(seat)
  const made = await submit(seat, 'create table t as select 1 a')
  const empty = await submit(seat, 'create table u as select 1 a')
  await settle()
  for (const [{ queryId }, count] of [
    [made, 3000],
    [empty, 0],
  ] as const) {
    const task = taskOf(seat, queryId)
    const files = manifestFor(task, count).files.map((file) => ({ ...file, partition: [] }))
    const whole = { ...manifestFor(task, count), partitionColumns: [], files }
    answers(seat.calls, await Written.of(whole))
    beat(seat, pagedReport(task, count))
    await ended(seat, queryId)
    t.match(seat.term.list.get(queryId), { state: 'succeeded' })
  }
  t.equal(filesIn(seat).length, 3000)
})

t.test('the files of a compaction keep their order and their groups', async (t) => {
  const whole = manifestFor({ write: null }, 3000)
  const groups = whole.files.map((_, at) => at)
  const { files, groups: told } = await fetched({ ...whole, groups })
  t.same([...files], whole.files)
  t.same(told, groups)
})

t.test('a million files are fetched in slices', async (t) => {
  const files = Array.from({ length: 1_000_000 }, (_, at) => ({
    path: `data-q/${at}/${'x'.repeat(60)}`,
    rows: 1,
    bytes: 10,
    partition: [`${Math.floor(at / 100)}`],
  }))
  const written = await Written.of({ ...manifestFor({ write: null }, 0), files })
  let found: SomeFiles = []
  const fetch = await longestTurn(async () => {
    found = (await fetched(written)).files
  })
  t.equal(found.length, 1_000_000)
  t.ok(fetch.turns > 5, `${fetch.turns} turns, the longest of ${fetch.ms} ms`)
})

/** By itself: what a master has of it in the end. */
async function fetched(from: Manifest | Written) {
  const written = from instanceof Written ? from : await Written.of(from)
  const query = { queryId: ID(1), attempt: 1, stage: 'running' } as Query
  return new Promise<Parameters<ConstructorParameters<typeof Manifests>[0]['onWhole']>[1]>(
    (resolve, reject) => {
      const manifests = new Manifests({
        calls: {
          manifest: async (_info, { page }) => {
            const found = written.page(page)
            return found === null ? { is: 'missing', why: '' } : { is: 'page', page: found }
          },
        },
        signal: new AbortController().signal,
        onWhole: (_query, manifest) => resolve(manifest),
        onStrange: (_query, why) => reject(new Error(why)),
      })
      manifests.fetch(query, worker, written.files)
    },
  )
}
