/** Joining small files: OPTIMIZE TABLE, what else changes the table meanwhile, and what the master does by itself. */

import t, { type Test } from 'tap'
import { administrator } from '../../../lib/access/index.ts'
import type { Table } from '../../../lib/catalog/model.ts'
import type {
  Manifest,
  QueryStatus,
  Task,
  TaskReport,
  WorkerInfo,
} from '../../../lib/contract/index.ts'
import type { CompactionOptions } from '../../../lib/master/queries/compaction/compaction.ts'
import type { QueryOptions } from '../../../lib/master/queries/options.ts'
import { fileOf, tableOf } from '../../contract/catalog.ts'
import { settle } from '../../support/hand-clock.ts'
import { ID, reportOf, type Seat, Terms, workerAt } from '../../support/query-terms.ts'

const session = { database: 'default', user: 'me', variables: {} }
let lastId = 0

class Stage {
  readonly terms: Terms
  readonly worker: WorkerInfo
  seat: Seat
  constructor(terms: Terms, seat: Seat, slots: number) {
    this.terms = terms
    this.seat = seat
    this.worker = workerAt(1, slots)
  }

  static async begin(
    t: Test,
    {
      compaction,
      ...options
    }: Partial<Omit<QueryOptions, 'compaction'>> & {
      compaction?: Partial<CompactionOptions>
    } = {},
    slots = 4,
  ): Promise<Stage> {
    const rules = { ...new Terms(t).options.compaction, ...compaction }
    const terms = new Terms(t, { ...options, compaction: rules })
    const stage = new Stage(terms, await terms.begin(), slots)
    stage.register()
    return stage
  }

  register(tasks: { task: Task; report: TaskReport }[] = []): readonly string[] {
    return this.seat.term.tracker.register({ worker: this.worker, tasks, oomKills: 0 }).forget
  }

  submit(sql: string, queryId = ID(++lastId)): Promise<QueryStatus> {
    return this.seat.term.client.submit({ queryId, attempt: 1, sql, session }, administrator('me'))
  }

  async done(sql: string): Promise<string> {
    const status = await this.submit(sql)
    return status.error?.message ?? status.message ?? status.state
  }

  /** As the worker tells it. */
  beat(...reports: TaskReport[]): readonly string[] {
    const { workerId, incarnation, slots } = this.worker
    const running = reports.filter(({ state }) => state === 'running').length
    const beat = { workerId, incarnation, freeSlots: slots - running, reports, oomKills: 0 }
    return this.seat.term.tracker.heartbeat(beat).forget
  }

  task(queryId?: string): Task {
    const { ran } = this.seat.calls
    const found = queryId === undefined ? ran : ran.filter(({ task }) => task.queryId === queryId)
    const last = found.at(-1)
    if (last === undefined) throw new Error('nothing was run')
    return last.task
  }

  /** One file of one row. */
  async insert(values = '1'): Promise<void> {
    const { queryId } = await this.submit(`insert into t values (${values})`)
    await this.end(reportOf(this.task(queryId), 'succeeded'))
  }

  async end(report: TaskReport): Promise<QueryStatus | null> {
    this.beat(report)
    for (let turn = 0; turn < 20; turn += 1) await settle()
    const { queryId } = report
    const seen = { queryId, state: 'queued', attempt: 1, worker: null, waitMs: 0 } as const
    return this.seat.term.client.wait(seen, administrator('me'))
  }

  get table(): Table {
    const table = this.seat.catalog.state().find('default', 't')
    if (table === null) throw new Error('no table t')
    return table
  }

  get paths(): string[] {
    return this.table.files.map(({ path }) => path)
  }
}

/** What a worker has made of it; three rows are in each file. */
const joinedBy = (task: Task): TaskReport => {
  const { compaction, write } = task
  if (compaction === undefined || write === null) throw new Error('no compaction')
  const files = compaction.groups.map(({ files }, i) => ({
    path: `${write.directory.slice(write.base.length + 1)}/part-${i}`,
    rows: 3 * files.length,
    bytes: 10 * files.length,
    partition: files[0]?.partition ?? [],
  }))
  const rows = files.reduce((sum, file) => sum + file.rows, 0)
  const manifest: Manifest = {
    ...{ reads: [], columns: [], partitionColumns: [], files, rows, bytes: 1 },
    groups: files.map((_, i) => i),
  }
  return reportOf(task, 'succeeded', { manifest })
}

t.test('OPTIMIZE TABLE joins what there is, and says so', async (t) => {
  const stage = await Stage.begin(t)
  await stage.done('create table t (a int4)')
  t.equal(await stage.done('optimize table t'), 'OPTIMIZE: no small files to join')
  for (let n = 0; n < 5; n += 1) await stage.insert()
  const before = stage.table
  const { queryId } = await stage.submit('optimize table t')
  const task = stage.task(queryId)
  t.match(task, { mode: 'compact', write: { base: before.location, tableId: before.id } })
  t.notOk('files' in (task.compaction?.table ?? {}))
  await stage.insert()
  const last = stage.paths.at(-1)
  const { contentVersion } = stage.table
  const status = await stage.end(joinedBy(task))
  t.match(status, { state: 'succeeded', kind: 'change', message: 'OPTIMIZE 5 files into 1' })
  t.same(stage.paths, [`${task.write?.directory.split('/').at(-1)}/part-0`, last])
  t.equal(stage.table.contentVersion, contentVersion, 'its rows are the same')
  const kept = stage.seat.term.list.get(queryId)?.task
  t.match(kept, { mode: 'compact', write: { tableId: before.id } })
  t.same(kept?.compaction?.groups, [], 'their names are not kept in memory')
  // The same again, by another master, which is asked by a client that has not heard.
  const again = await stage.terms.begin()
  stage.seat = again
  t.match(await stage.submit('optimize table t', queryId), { message: 'OPTIMIZE 5 files into 1' })
})

t.test('where there is nothing of ours to join it says so', async (t) => {
  const stage = await Stage.begin(t)
  const { mkdirSync } = await import('node:fs')
  mkdirSync(`${stage.terms.directory}/allowed/x`, { recursive: true })
  const location = `${stage.terms.directory}/allowed/x`
  await stage.done(`create external table e (a int4) using csv location '${location}'`)
  t.match(await stage.done('optimize table e'), /default\.e is external/)
  t.match(await stage.done('optimize table nope'), /table default\.nope does not exist/)
  t.match(await stage.done('optimize table x.t'), /database x does not exist/)
  t.match(await stage.done('optimize t'), /expected TABLE/)
})

t.test('what others change meanwhile wins', async (t) => {
  const stage = await Stage.begin(t)
  const begun = async (): Promise<Task> => {
    await stage.done('drop table if exists t')
    await stage.done('create table t (a int4) partition by column (p text)')
    for (const p of ['x', 'y', 'x', 'y']) {
      const { queryId } = await stage.submit('insert into t select 1')
      const task = stage.task(queryId)
      const report = reportOf(task, 'succeeded')
      const files = report.manifest?.files.map((file) => ({ ...file, partition: [p] })) ?? []
      await stage.end({ ...report, manifest: { ...(report.manifest as Manifest), files } })
    }
    return stage.task((await stage.submit('optimize table t')).queryId)
  }
  let task = await begun()
  t.equal(task.compaction?.groups.length, 2)
  await stage.done("alter table t drop partition (p = 'x')")
  t.match(await stage.end(joinedBy(task)), {
    message: 'OPTIMIZE 2 files into 1; 2 were replaced by others meanwhile',
  })
  t.equal(stage.paths.length, 1)
  const litter = stage.seat.catalog.state().litter()
  t.ok(
    litter.some(({ path }) => path === `${task.write?.directory}/part-0`),
    'what is not used',
  )

  const cases: [string, RegExp][] = [
    ['truncate table t', /replaced by others while they were joined; nothing was changed/],
    ['drop table t', /was dropped/],
    ["alter table t set property ('text.delimiter' = ';')", /altered meanwhile/],
  ]
  for (const [sql, why] of cases) {
    task = await begun()
    await stage.done(sql)
    const after = stage.seat.catalog.state().find('default', 't')
    const status = await stage.end(joinedBy(task))
    t.match(status, { state: 'failed', error: { message: why } }, sql)
    t.same(stage.seat.catalog.state().find('default', 't'), after)
    const left = stage.seat.catalog.state().litter()
    t.ok(
      left.some(({ path }) => path === task.write?.directory),
      'its directory is litter',
    )
  }

  task = await begun()
  await stage.done('alter table t rename to u')
  await stage.done('create table t (a int4)')
  t.match(await stage.end(joinedBy(task)), { message: 'OPTIMIZE 4 files into 2' })
  t.equal(stage.seat.catalog.state().find('default', 'u')?.files.length, 2, 'it follows the table')
})

t.test('a worker that tells something else than it was given changes nothing', async (t) => {
  const stage = await Stage.begin(t)
  await stage.done('create table t (a int4)')
  for (let n = 0; n < 4; n += 1) await stage.insert()
  const before = stage.paths
  const wrong: [Partial<Manifest>, RegExp][] = [
    [{ files: [], groups: [] }, /has not told what/],
    [{ groups: [7] }, /is of no group/],
    [{ files: [{ path: 'data-x/part-0', rows: 11, bytes: 1, partition: [] }] }, /12 rows has 11/],
  ]
  for (const [more, why] of wrong) {
    const { queryId } = await stage.submit('optimize table t')
    const report = joinedBy(stage.task(queryId))
    const manifest = { ...(report.manifest as Manifest), ...more }
    t.match(await stage.end({ ...report, manifest }), { error: { message: why } })
    t.same(stage.paths, before)
  }
})

t.test('its worker comes to another master, which does it once', async (t) => {
  const stage = await Stage.begin(t)
  await stage.done('create table t (a int4)')
  for (let n = 0; n < 4; n += 1) await stage.insert()
  const { queryId } = await stage.submit('optimize table t')
  const task = stage.task(queryId)
  stage.seat = await stage.terms.begin()
  const report = joinedBy(task)
  stage.register([{ task, report }])
  await stage.end(report)
  t.equal(stage.paths.length, 1)
  const { contentVersion } = stage.table
  stage.seat = await stage.terms.begin()
  t.same(stage.register([{ task, report }]), [queryId], 'it may forget it')
  t.equal(stage.paths.length, 1)
  t.equal(stage.table.contentVersion, contentVersion)
})

// ---- by itself -------------------------------------------------------------------------------------------------------

const ON = { enabled: true, checkMs: 1000, minInputFiles: 5 }
/** That nobody asked for, begun and not ended. */
const behind = ({ seat }: Stage): Task[] =>
  seat.term.list.unended().flatMap(({ task }) => (task?.compaction?.background ? [task] : []))
/** So long, and all that comes of it. */
const gone = async ({ terms, seat }: Stage, ms: number): Promise<void> => {
  await terms.clock.advance(ms)
  for (let turn = 0; turn < 20; turn += 1) await settle()
  // On a busy machine it rests between the slices of a look, by a clock that no test has in its hands.
  await seat.term.compactor.idle()
  for (let turn = 0; turn < 20; turn += 1) await settle()
}
/** And one look more. */
const passed = async (stage: Stage, ms: number): Promise<void> => {
  await gone(stage, ms)
  await stage.seat.term.compactor.look()
}
const filled = async (stage: Stage, count = 6): Promise<void> => {
  await stage.done('create table t (a int4)')
  for (let n = 0; n < count; n += 1) await stage.insert()
}

t.test('by itself, once there are enough, and not before', async (t) => {
  const stage = await Stage.begin(t, { compaction: ON })
  await filled(stage, 4)
  await passed(stage, 3000)
  t.same(behind(stage), [], 'too few')
  await stage.insert()
  await passed(stage, 1000)
  const [task] = behind(stage)
  t.match(task, {
    mode: 'compact',
    sql: 'OPTIMIZE TABLE default.t',
    session: { user: 'compaction' },
  })
  t.equal(task?.compaction?.groups[0]?.files.length, 5)
  await passed(stage, 5000)
  t.equal(behind(stage).length, 1, 'not a second time')
  await stage.end(joinedBy(task as Task))
  t.equal(stage.paths.length, 1)
  await passed(stage, 5000)
  t.same(behind(stage), [], 'a joined file is not joined alone')
})

t.test('not where it is turned off, and never of an external table', async (t) => {
  const off = await Stage.begin(t, { compaction: { ...ON, enabled: false } })
  await filled(off)
  await off.terms.clock.advance(3000)
  t.same(behind(off), [])
  const stage = await Stage.begin(t, { compaction: { ...ON, minInputFiles: 2 } })
  const { mkdirSync } = await import('node:fs')
  mkdirSync(`${stage.terms.directory}/allowed/x`, { recursive: true })
  const location = `${stage.terms.directory}/allowed/x`
  await stage.done(`create external table t (a int4) using csv location '${location}'`)
  for (let n = 0; n < 6; n += 1) await stage.insert()
  t.equal(stage.paths.length, 6)
  await passed(stage, 3000)
  t.same(behind(stage), [])
})

t.test('it gives its slot to a query that comes, and is planned anew', async (t) => {
  const stage = await Stage.begin(t, { compaction: ON }, 1)
  await filled(stage)
  await passed(stage, 1000)
  const [task] = behind(stage)
  if (task === undefined) throw new Error('nothing was begun')
  stage.beat(reportOf(task, 'running'))
  const query = await stage.submit('select 1')
  for (let turn = 0; turn < 20; turn += 1) await settle()
  t.ok(stage.seat.calls.killed.includes(task.queryId))
  t.match(stage.seat.catalog.state().outcome(task.queryId), { state: 'failed', kind: 'killed' })
  const litter = stage.seat.catalog.state().litter()
  t.ok(litter.some(({ path }) => path === task.write?.directory))
  t.same(stage.beat(reportOf(task, 'killed')), [task.queryId])
  for (let turn = 0; turn < 20; turn += 1) await settle()
  const given = stage.task(query.queryId)
  t.equal(given.mode, 'select', 'the query has the slot')
  await passed(stage, 5000)
  t.match(
    stage.seat.term.list.unended().map(({ stage }) => stage),
    ['running', 'queued'],
  )
  t.same(stage.beat(reportOf(task, 'succeeded')), [task.queryId], 'what comes late is too late')
  t.equal(stage.paths.length, 6)
  await stage.end(reportOf(given, 'succeeded'))
  await passed(stage, 5000)
  t.equal(behind(stage).length, 1, 'and again')
})

t.test('no query waits behind it, also where many are there', async (t) => {
  const stage = await Stage.begin(t, { compaction: { ...ON, maxConcurrent: 3 } }, 2)
  await filled(stage)
  await stage.done('create table u (a int4)')
  await passed(stage, 1000)
  t.equal(behind(stage).length, 1)
  const two = [await stage.submit('select 1'), await stage.submit('select 2')]
  for (let turn = 0; turn < 20; turn += 1) await settle()
  t.equal(two[0]?.state, 'running', 'there is a slot for the first')
  t.same(behind(stage), [], 'and one is made for the second')
})

t.test('what nobody asked for is given to a worker last', async (t) => {
  const stage = await Stage.begin(t, { compaction: ON }, 1)
  await filled(stage)
  const first = await stage.submit('select 1')
  await passed(stage, 1000)
  t.equal(behind(stage).length, 1)
  const second = await stage.submit('select 2')
  await stage.end(reportOf(stage.task(first.queryId), 'succeeded'))
  t.equal(stage.task().queryId, second.queryId)
  await stage.end(reportOf(stage.task(second.queryId), 'succeeded'))
  t.equal(stage.task().mode, 'compact', 'when nobody waits any more')
})

t.test(
  'held up for three looks it takes its turn, keeps its slot, and rests after it',
  async (t) => {
    const stage = await Stage.begin(t, { compaction: ON }, 1)
    await filled(stage)
    // Queries all the time: it waits behind them, or gives way.
    let [running] = [await stage.submit('select 1')]
    const next = async (sql: string): Promise<void> => {
      const waiting = await stage.submit(sql)
      await stage.end(reportOf(stage.task(running.queryId), 'succeeded'))
      running = waiting
    }
    for (let look = 0; look < 3; look += 1) {
      await passed(stage, 1000)
      t.match(behind(stage), [{ compaction: { inTurn: false } }], `look ${look}`)
      await next('select 2')
      t.equal(stage.task().mode, 'select')
    }
    await passed(stage, 1000)
    const [task] = behind(stage)
    t.match(task?.compaction, { background: true, inTurn: true })
    t.equal(behind(stage).length, 1, 'in the place of the one that waited')
    const last = await stage.submit('select 3')
    await stage.end(reportOf(stage.task(running.queryId), 'succeeded'))
    t.equal(stage.task().queryId, task?.queryId, 'it was before the last query')
    stage.beat(reportOf(task as Task, 'running'))
    await passed(stage, 1000)
    t.notOk(stage.seat.calls.killed.includes(task?.queryId ?? ''), 'it keeps its slot')
    await stage.end(joinedBy(task as Task))
    t.equal(stage.paths.length, 1)
    t.equal(stage.task().queryId, last.queryId)

    for (let n = 0; n < 5; n += 1) {
      const { queryId } = await stage.submit('insert into t values (1)')
      await stage.end(
        reportOf(stage.task(n === 0 ? last.queryId : stage.task().queryId), 'succeeded'),
      )
      await stage.end(reportOf(stage.task(queryId), 'succeeded'))
    }
    await stage.submit('select 4')
    await gone(stage, 1000)
    t.same(behind(stage), [], 'it took a second: it rests for two')
    await gone(stage, 1000)
    t.match(
      behind(stage),
      [{ compaction: { inTurn: true } }],
      'its next turn, for as long as there is something to do',
    )
  },
)

t.test('what has given way for three looks takes its turn as well', async (t) => {
  const stage = await Stage.begin(t, { compaction: ON }, 1)
  await filled(stage)
  for (let look = 0; look < 3; look += 1) {
    await passed(stage, 1000)
    const [task] = behind(stage)
    t.equal(task?.compaction?.inTurn, false, `look ${look}`)
    stage.beat(reportOf(task as Task, 'running'))
    const query = await stage.submit('select 1')
    for (let turn = 0; turn < 20; turn += 1) await settle()
    t.ok(stage.seat.calls.killed.includes(task?.queryId ?? ''))
    stage.beat(reportOf(task as Task, 'killed'))
    for (let turn = 0; turn < 20; turn += 1) await settle()
    await stage.end(reportOf(stage.task(query.queryId), 'succeeded'))
  }
  await passed(stage, 1000)
  const [turn] = behind(stage)
  t.match(turn?.compaction, { inTurn: true })

  // No query waits any more, so nothing keeps it from going on.
  stage.beat(reportOf(turn as Task, 'running'))
  await passed(stage, 1000)
  await stage.end(joinedBy(turn as Task))
  for (let n = 0; n < 5; n += 1) await stage.insert()
  await gone(stage, 50)
  const [hopeful] = behind(stage)
  t.match(hopeful?.compaction, { inTurn: false }, 'it does not rest')

  // One slot that happened to be free is no reason to be patient anew.
  stage.beat(reportOf(hopeful as Task, 'running'))
  const query = await stage.submit('select 1')
  stage.beat(reportOf(hopeful as Task, 'killed'))
  for (let turn = 0; turn < 20; turn += 1) await settle()
  await stage.end(reportOf(stage.task(query.queryId), 'succeeded'))
  await passed(stage, 1000)
  const [next] = behind(stage)
  t.match(next?.compaction, { inTurn: true }, 'at the next look')

  // Nor is it where files come faster than they are joined.
  await stage.end(joinedBy(next as Task))
  for (let n = 0; n < 10; n += 1) await stage.insert()
  await gone(stage, 50)
  t.match(behind(stage), [{ compaction: { inTurn: true } }], 'and at once')
})

/** Its first turn has come and gone, behind queries that never left a slot free; it took a second. */
async function afterOneTurn(stage: Stage): Promise<void> {
  let running = await stage.submit('select 1')
  for (let look = 0; look < 3; look += 1) {
    await passed(stage, 1000)
    const waiting = await stage.submit('select 2')
    await stage.end(reportOf(stage.task(running.queryId), 'succeeded'))
    running = waiting
  }
  await passed(stage, 1000)
  const [task] = behind(stage)
  const last = await stage.submit('select 3')
  await stage.end(reportOf(stage.task(running.queryId), 'succeeded'))
  await passed(stage, 1000)
  await stage.end(joinedBy(task as Task))
  await stage.end(reportOf(stage.task(last.queryId), 'succeeded'))
}

t.test('while a table has more to join than one turn takes it does not rest', async (t) => {
  const compaction = { ...ON, minFileBytes: 20, targetFileBytes: 60 }
  for (const { count, rests } of [
    { count: 7, rests: true },
    { count: 14, rests: false },
  ]) {
    const stage = await Stage.begin(t, { compaction }, 1)
    await filled(stage, count)
    await afterOneTurn(stage)
    t.equal(stage.paths.length, count - 5)
    // Fewer than before, and enough for another turn.
    for (let n = 0; n < 4; n += 1) await stage.insert()
    await stage.submit('select 4')
    await passed(stage, 50)
    t.equal(behind(stage).length, rests ? 0 : 1, `${count} files`)
  }
})

t.test('what is not there to be joined keeps it from no rest', async (t) => {
  const compaction = { ...ON, minFileBytes: 20, targetFileBytes: 60 }
  const enoughForATurn = async (stage: Stage, table: string, count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1) {
      const { queryId } = await stage.submit(`insert into ${table} values (1)`)
      await stage.end(reportOf(stage.task(queryId), 'succeeded'))
    }
    await stage.submit('select 4')
    await passed(stage, 50)
  }
  const stage = await Stage.begin(t, { compaction }, 1)
  await filled(stage, 7)
  await afterOneTurn(stage)
  const files = Array.from({ length: 50 }, (_, n) => fileOf(`f${n}`))
  await stage.seat.catalog.transact(({ nextTableId }) => {
    const table = tableOf(nextTableId, { kind: 'external', location: '/elsewhere', files })
    return { by: 'm', atMs: 1, outcome: null, changes: [{ do: 'create-table', table }] }
  })
  await enoughForATurn(stage, 't', 4)
  t.same(behind(stage), [], 'the files of an external table')

  const other = await Stage.begin(t, { compaction }, 1)
  await filled(other, 14)
  await afterOneTurn(other)
  await other.done('drop table t')
  await other.done('create table u (a int4)')
  await enoughForATurn(other, 'u', 6)
  t.same(behind(other), [], 'a table that had more than a turn takes, and is dropped')
})

t.test('while more files come than its turns join it does not rest', async (t) => {
  const stage = await Stage.begin(t, { compaction: ON }, 1)
  await filled(stage)
  const before = stage.paths.length
  await afterOneTurn(stage)
  for (let n = 0; n < before; n += 1) await stage.insert()
  t.equal(stage.paths.length, before + 1)
  await stage.submit('select 4')
  await passed(stage, 50)
  t.match(behind(stage), [{ compaction: { inTurn: true } }], 'its next turn at once')
})

t.test('however short the terms are, each table has its turn soon', async (t) => {
  const stage = await Stage.begin(t, { compaction: ON })
  for (let n = 0; n < 10; n += 1) {
    await stage.done(`create table t${n} (a int4)`)
    for (let i = 0; i < 5; i += 1) {
      const { queryId } = await stage.submit(`insert into t${n} values (1)`)
      await stage.end(reportOf(stage.task(queryId), 'succeeded'))
    }
  }
  const first = new Set<string>()
  for (let term = 0; term < 20; term += 1) {
    stage.seat = await stage.terms.begin()
    stage.register()
    await passed(stage, 1000)
    const [task] = behind(stage)
    first.add(task?.sql ?? 'none')
    await stage.end(reportOf(task as Task, 'killed'))
  }
  t.equal(first.size, 10, [...first].join(', '))
})

t.test('with its worker it is gone, and nobody is waited for', async (t) => {
  const stage = await Stage.begin(t, { compaction: ON })
  await filled(stage)
  await passed(stage, 1000)
  const [task] = behind(stage)
  const { workerId, incarnation } = stage.worker
  stage.seat.term.tracker.ended({
    ...{ workerId, incarnation, code: 137 },
    ...{ oomKills: 0, oomKillsBefore: 0 },
  })
  for (let turn = 0; turn < 20; turn += 1) await settle()
  t.same(behind(stage), [])
  t.match(stage.seat.catalog.state().outcome(task?.queryId ?? ''), {
    state: 'failed',
    kind: 'lost',
  })
  stage.register()
  await passed(stage, 2000)
  t.equal(behind(stage).length, 1, 'planned anew')
})

t.test('the next master goes on with it', async (t) => {
  const stage = await Stage.begin(t, { compaction: ON })
  await filled(stage)
  await passed(stage, 1000)
  const [task] = behind(stage)
  if (task === undefined) throw new Error('nothing was begun')
  stage.seat = await stage.terms.begin()
  stage.register([{ task, report: reportOf(task, 'running') }])
  await passed(stage, 3000)
  t.same(
    behind(stage).map(({ queryId }) => queryId),
    [task.queryId],
    'there is no second one',
  )
  await stage.end(joinedBy(task))
  t.equal(stage.paths.length, 1)
})

t.test('where space is low nothing is begun; what fails rests, longer each time', async (t) => {
  const stage = await Stage.begin(t, { compaction: ON })
  stage.terms.lowOnSpace = 'there is little room'
  await filled(stage)
  await passed(stage, 5000)
  t.same(behind(stage), [])
  stage.terms.lowOnSpace = null
  let begun = 0
  const seen = new Set<string>()
  for (let second = 0; second < 40; second += 1) {
    await passed(stage, 1000)
    for (const task of behind(stage)) {
      if (seen.has(task.queryId)) continue
      seen.add(task.queryId)
      begun += 1
      const error = { kind: 'refused', message: 'no room', place: null } as const
      await stage.end(reportOf(task, 'failed', { error }))
    }
  }
  t.ok(begun >= 4 && begun <= 7, `${begun} times in 40 intervals`)
  t.equal(stage.paths.length, 6)
})
