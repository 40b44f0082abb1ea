/** What the query services keep in files: the log that outlives a term, and the removal of what no table names. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import type { Change } from '../../../lib/catalog/model.ts'
import { dueOf, Sweeper } from '../../../lib/master/queries/files/sweeper.ts'
import { asideOf, carryOut, Publisher } from '../../../lib/master/queries/run/publisher.ts'
import { type LogLine, logName, QueryLog } from '../../../lib/master/queries/run/query-log.ts'
import { fileOf, tableOf } from '../../contract/catalog.ts'
import { HandClock, settle } from '../../support/hand-clock.ts'
import { ID, Terms } from '../../support/query-terms.ts'
import { until } from '../../support/until.ts'

const BEGAN_MS = Date.now()

const lineOf = (n: number, epoch: number, state: LogLine['query']['state']): LogLine => ({
  query: {
    queryId: ID(n),
    attempt: 1,
    sql: `select ${n}`,
    user: 'me',
    database: 'default',
    kind: 'select',
    state,
    submittedMs: BEGAN_MS + n,
    startedMs: null,
    finishedMs: null,
    progress: 0,
    rows: null,
    message: null,
    error: null,
    worker: null,
    master: 'm:1',
    epoch,
  },
  spot: null,
})

t.test(
  'the log of several terms is one history; torn and foreign lines are passed over',
  async (t) => {
    const terms = new Terms(t)
    const directory = terms.options.logDirectory
    const logOf = (term: number) =>
      new QueryLog({ directory, term, clock: systemClock, log: () => {} })
    const [one, two] = [logOf(1), logOf(2)]
    one.add(lineOf(1, 1, 'running'))
    one.add(lineOf(2, 1, 'succeeded'))
    await one.flush()
    appendFileSync(one.path, '{"v":1,"query":{"queryId":"to\n')
    two.add(lineOf(1, 2, 'succeeded'))
    two.add(lineOf(3, 2, 'failed'))
    await two.flush()
    writeFileSync(join(directory, 'notes.txt'), 'not ours')
    const history = terms.history()
    const seen = (await history.newest(10)).map(({ sql, state }) => [sql, state])
    t.same(seen, [
      ['select 3', 'failed'],
      ['select 2', 'succeeded'],
      ['select 1', 'succeeded'],
    ])
    one.add(lineOf(1, 1, 'failed'))
    await one.flush()
    await terms.clock.advance(2000)
    t.match(
      (await history.newest(10)).find(({ queryId }) => queryId === ID(1)),
      { state: 'succeeded', epoch: 2 },
      'a deposed master changes nothing',
    )
    await history.removeBelow(2)
    t.same(readdirSync(directory).sort(), ['notes.txt', logName(2)])
    for (const log of [one, two]) log.close()
  },
)

t.test('the next active reads afresh what it takes over, and forgets nothing unread', async (t) => {
  const terms = new Terms(t)
  const log = new QueryLog({
    directory: terms.options.logDirectory,
    term: 1,
    clock: systemClock,
    log: () => {},
  })
  const history = terms.history()
  t.equal((await history.allLines())?.size, 0, 'no directory yet')
  log.add(lineOf(1, 1, 'succeeded'))
  await log.flush()
  t.equal((await history.lines()).size, 0, 'read less than a second ago')
  t.equal((await history.allLines())?.size, 1)
  log.close()
  mkdirSync(join(terms.options.logDirectory, logName(2)))
  t.equal(await history.allLines(), null, 'one of the files can not be read')
})

t.test(
  'a long term has a bounded log, also when its master is started again and again',
  async (t) => {
    const terms = new Terms(t, { historyLimit: 50 })
    const directory = terms.options.logDirectory
    const lengths = new Set<number>()
    // Reads on as a backup does, from part to part.
    const reader = terms.history()
    const writers = terms.history()
    const logOf = () =>
      new QueryLog({
        directory,
        term: 1,
        clock: systemClock,
        log: (_level, text) => t.fail(text),
        partBytes: 4000,
        onPart: () => void writers.removeSpent(1),
      })
    let n = 0
    for (let start = 0; start < 20; start += 1) {
      const log = logOf()
      for (let i = 0; i < 30; i += 1) {
        n += 1
        log.add(lineOf(n, 1, 'running'))
        await log.flush()
        log.add(lineOf(n, 1, 'succeeded'))
        await log.flush()
      }
      await writers.removeSpent(1)
      const names = readdirSync(directory)
      lengths.add(names.length)
      // It dies in the middle of a line.
      appendFileSync(log.path, '{"v":1,"query":{"queryId":"to')
      log.close()
      t.same(
        (await reader.allLines())?.size,
        Math.min(n, 50),
        'a reader that goes on misses nothing that is kept',
      )
    }
    t.ok(Math.max(...lengths) <= 12, `never more than ${Math.max(...lengths)} parts`)
    const names = readdirSync(directory).sort()
    t.match(names[0], /^term-0000000001_\d{6}\.jsonl$/, 'the first ones have gone')
    const kept = await terms.history().newest(1000)
    t.same(
      kept.map(({ queryId, state }) => [queryId, state]),
      Array.from({ length: 50 }, (_, back) => [ID(n - back), 'succeeded']),
      'read anew, too',
    )
    const next = terms.history()
    await next.removeBelow(2)
    t.same(readdirSync(directory), [], 'and the next term takes it over as a whole')
  },
)

t.test('a part stays as long as a query of the history has its last line there', async (t) => {
  const terms = new Terms(t, { historyLimit: 50 })
  const directory = terms.options.logDirectory
  const clock = systemClock
  const log = new QueryLog({ directory, term: 1, clock, log: () => {}, partBytes: 4000 })
  for (let n = 1; n <= 49; n += 1) {
    log.add(lineOf(n, 1, n === 5 ? 'running' : 'succeeded'))
    await log.flush()
  }
  const history = terms.history()
  await history.removeSpent(1)
  t.ok(readdirSync(directory).includes(logName(1)))
  t.ok(readdirSync(directory).length > 2)
  for (const n of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]) {
    log.add(lineOf(n, 1, 'failed'))
    await log.flush()
  }
  await history.removeSpent(1)
  t.notOk(readdirSync(directory).includes(logName(1)), 'all its queries have later lines')
  t.equal((await terms.history().newest(100)).length, 49)
  log.close()
})

t.test('a log directory that can not be written holds up nobody', async (t) => {
  const terms = new Terms(t)
  writeFileSync(terms.options.logDirectory, 'a file where the directory should be')
  const log = new QueryLog({
    directory: terms.options.logDirectory,
    term: 1,
    clock: terms.clock,
    log: () => {},
  })
  for (let n = 0; n < 11_000; n += 1) log.add(lineOf(n, 1, 'running'))
  t.ok(log.dropped > 0)
  log.close()
})

t.test(
  'the sweeper removes old litter, and nothing that a table names or that lies elsewhere',
  async (t) => {
    const terms = new Terms(t, { litterGraceMs: 0 })
    const { catalog, term } = await terms.begin()
    const { warehouse } = terms.options
    const table = join(warehouse, 'default', 't')
    const outside = join(terms.directory, 'outside')
    for (const path of [join(table, 'data-a'), join(table, 'data-b'), outside]) {
      mkdirSync(path, { recursive: true })
      writeFileSync(join(path, 'part-0'), 'x')
    }
    await catalog.transact((state) => ({
      by: 'm',
      atMs: Date.now() - 10,
      outcome: null,
      changes: [
        {
          do: 'create-table',
          table: {
            id: state.nextTableId,
            database: 'default',
            name: 't',
            kind: 'managed',
            format: 'TEXT',
            options: {},
            columns: [{ name: 'a', type: 'INT4' }],
            partitionColumns: [],
            location: table,
            wholeDirectory: false,
            files: [{ path: 'data-a/part-0', rows: 1, bytes: 1, partition: [] }],
            schemaVersion: 1,
            createdAt: '',
          },
        },
        {
          do: 'add-litter',
          paths: [join(table, 'data-a'), join(table, 'data-b'), outside, warehouse, '/'],
        },
      ],
    }))
    await term.sweeper.sweep()
    t.same(readdirSync(table), ['data-a'])
    t.ok(existsSync(join(outside, 'part-0')))
    t.same(
      catalog
        .state()
        .litter()
        .map(({ path }) => path)
        .sort(),
      [warehouse, join(table, 'data-a')].sort(),
      'what a table names stays noted',
    )
  },
)

t.test(
  'a publication can be carried out again at any step, and not by one who comes too late',
  async (t) => {
    const terms = new Terms(t)
    const location = join(terms.directory, 'out')
    const staging = join(terms.directory, '.out-staging')
    const { signal } = new AbortController()
    const publication = { queryId: ID(1), staging, location }
    mkdirSync(location)
    mkdirSync(staging)
    writeFileSync(join(staging, 'new'), '')
    await carryOut(publication, signal)
    await carryOut(publication, signal)
    t.same(readdirSync(location), ['new'])
    mkdirSync(staging)
    writeFileSync(join(staging, 'newer'), '')
    await t.rejects(carryOut(publication, signal), { code: 'ENOTEMPTY' })
    t.same(readdirSync(location), ['new'], 'what is in place stays')
    const gone = { queryId: ID(2), staging: join(terms.directory, '.out-2'), location }
    await t.rejects(
      carryOut(gone, signal),
      /is gone/,
      'nothing was put in place, so it is not done',
    )
    t.same(readdirSync(location), ['new'])
  },
)

t.test(
  'staging that is removed between the two renames: the old content is put back',
  async (t) => {
    const terms = new Terms(t)
    const location = join(terms.directory, 'out')
    const { signal } = new AbortController()
    const publication = { queryId: ID(1), staging: join(terms.directory, '.out-1'), location }
    const aside = join(asideOf(publication), 'content')
    mkdirSync(aside, { recursive: true })
    for (const name of ['old', '_moved']) writeFileSync(join(aside, name), '')
    for (const time of ['at once', 'and again']) {
      await t.rejects(carryOut(publication, signal), /is gone/, `not recorded as done, ${time}`)
      t.same(readdirSync(location), ['old'], time)
    }
    mkdirSync(publication.staging)
    writeFileSync(join(publication.staging, 'new'), '')
    await carryOut(publication, signal)
    t.same(readdirSync(location), ['new'], 'and carried out when it is there after all')
  },
)

t.test('publications of one location are carried out one after the other', async (t) => {
  const terms = new Terms(t)
  const { catalog } = await terms.begin()
  const location = join(terms.directory, 'out')
  mkdirSync(location)
  const publications = [1, 2, 3].map((n) => ({
    queryId: ID(n),
    staging: join(terms.directory, `.out-${n}`),
    location,
  }))
  for (const { staging, queryId } of publications) {
    mkdirSync(staging)
    writeFileSync(join(staging, queryId), '')
  }
  await catalog.transact(() => ({
    by: 'm',
    atMs: 1,
    outcome: null,
    changes: publications.map((publication) => ({ do: 'publish', publication })),
  }))
  const publisher = new Publisher({
    catalog,
    by: 'm',
    clock: systemClock,
    wallMs: Date.now,
    log: (_level, text) => t.fail(text),
    signal: new AbortController().signal,
    onPublished: () => {},
  })
  await Promise.all(publications.map(({ queryId }) => publisher.publish(queryId)))
  t.same(catalog.state().publications(), [])
  t.same(readdirSync(location), [ID(3)], 'the last one stands there')
})

t.test('what became litter later than its directory is not removed with it', async (t) => {
  const terms = new Terms(t)
  const { catalog } = await terms.begin()
  const path = join(terms.options.warehouse, 'default', 't', 'data-a')
  mkdirSync(path, { recursive: true })
  const litter = (atMs: number, one: string) =>
    catalog.transact(() => ({
      by: 'm',
      atMs,
      outcome: null,
      changes: [{ do: 'add-litter', paths: [one] }],
    }))
  // An attempt that won, and whose end a worker told a second time; then its table was overwritten.
  await litter(1, path)
  await litter(1000, join(path, 'part-0'))
  t.same(
    (await dueOf(() => catalog.state(), { latestMs: 500, nowMs: 3000, restorableMs: 3000 })).due,
    [],
    'somebody may still be reading it',
  )
  const later = { latestMs: 2000, nowMs: 3000, restorableMs: 3000 }
  t.equal((await dueOf(() => catalog.state(), later)).due.length, 2)
})

t.test('what is to become a result while all tables are looked at is not removed', async (t) => {
  const terms = new Terms(t)
  const { catalog } = await terms.begin()
  const base = join(terms.options.warehouse, 'results')
  const transact = (...changes: Change[]) =>
    catalog.transact(() => ({ by: 'm', atMs: 1, outcome: null, changes }))
  await transact({ do: 'add-litter', paths: [join(base, 'data-a')] })
  const before = catalog.state()
  const staging = join(base, 'data-a/out')
  const publication = { queryId: ID(9), staging, location: join(base, 'out') }
  await transact({ do: 'publish', publication })
  const states = [before, catalog.state()]
  const rules = { latestMs: 500, nowMs: 3000, restorableMs: 3000 }
  const due = await dueOf(() => states.shift() ?? catalog.state(), rules)
  t.same(due, { due: [], waits: false })
})

t.test('what was joined is kept for a while, but not against DROP TABLE', async (t) => {
  const terms = new Terms(t, { litterGraceMs: 0 })
  const { catalog, term } = await terms.begin()
  const location = join(terms.options.warehouse, 'default', 't')
  const file = (path: string, rows = 1) => {
    mkdirSync(join(location, path, '..'), { recursive: true })
    writeFileSync(join(location, path), 'x')
    return fileOf(path, { rows, bytes: 1, partition: ['1'] })
  }
  const transact = (atMs: number, ...changes: Change[]) =>
    catalog.transact(() => ({ by: 'm', atMs, outcome: null, changes }))
  const partitionColumns = [{ name: 'p', type: 'TEXT' }]
  const files = [file('data-1/p=1/a'), file('data-2/p=1/b'), file('data-3/p=1/c')]
  const table = tableOf(1, { location, partitionColumns, files })
  const [now, hourMs] = [Date.now() - 10, 3_600_000]
  await transact(now, { do: 'create-table', table })
  const join1 = { replaced: ['data-1/p=1/a', 'data-2/p=1/b'], files: [file('data-4/p=1/d', 2)] }
  const head = { do: 'compact', tableId: 1, schemaVersion: 1 } as const
  await transact(now, { ...head, joins: [join1], keepMs: hourMs })
  // A directory that was left to the sweeper, although what is in it was a table's.
  await transact(now, { do: 'add-litter', paths: [join(location, 'data-1')] })
  await term.sweeper.sweep()
  t.same(readdirSync(location).sort(), ['data-1', 'data-2', 'data-3', 'data-4'])
  const due = (nowMs: number, restorableMs = nowMs) =>
    dueOf(() => catalog.state(), { latestMs: nowMs, nowMs, restorableMs })
  t.same(await due(Date.now()), { due: [], waits: false })
  t.equal((await due(Date.now() + hourMs)).due.length, 3, 'an hour later')
  const kept = await due(Date.now() + hourMs, now)
  t.same(kept, { due: [], waits: true }, 'but not while a catalog from before can be brought back')

  const join2 = { replaced: ['data-3/p=1/c'], files: [file('data-5/p=1/e')] }
  await transact(now, { ...head, joins: [join2], keepMs: 0 })
  await term.sweeper.sweep()
  t.notOk(existsSync(join(location, 'data-3')), 'with the directory of its partition')
  t.ok(existsSync(join(location, 'data-2/p=1/b')))
  await transact(now, { do: 'drop-table', tableId: 1, litter: [location] })
  await term.sweeper.sweep()
  t.notOk(existsSync(location))
})

t.test('a term removes soon, and in long rounds, what it inherited', async (t) => {
  const terms = new Terms(t)
  const { catalog } = await terms.begin()
  const { warehouse } = terms.options
  const clock = new HandClock()
  const over = new AbortController()
  const sweeper = new Sweeper({
    ...{ catalog, by: 'm', roots: [warehouse], graceMs: 600_000, oldestQueryMs: () => null },
    ...{ clock, wallMs: Date.now, log: () => {}, signal: over.signal },
  })
  const left = (): number => catalog.state().litter().length
  const leave = async (count: number): Promise<void> => {
    const paths = Array.from({ length: count }, (_, i) => join(warehouse, `default/t/data-${i}`))
    const changes: Change[] = [{ do: 'add-litter', paths }]
    const atMs = Date.now() - 3_600_000
    await catalog.transact(() => ({ by: 'm', atMs, outcome: null, changes }))
  }
  /** The clock stands meanwhile, and the next round waits for it. */
  const swept = async (goal: number): Promise<void> => {
    await until(`${goal} paths are left`, () => left() === goal)
    await settle()
  }
  await leave(10_500)
  sweeper.start()
  await clock.advance(9_999)
  t.equal(left(), 10_500)
  await clock.advance(1)
  await swept(500)
  await clock.advance(1000)
  await swept(0)
  await leave(1)
  await clock.advance(59_999)
  t.equal(left(), 1)
  await clock.advance(1)
  await swept(0)
  over.abort()
  sweeper.stop()
})

t.test('nothing is removed before the queries of earlier terms are known', async (t) => {
  const terms = new Terms(t, { litterGraceMs: 600_000 })
  const { warehouse, logDirectory } = terms.options
  const unreadable = join(logDirectory, logName(1))
  mkdirSync(unreadable, { recursive: true })
  const { catalog } = await terms.begin()
  const left = join(warehouse, 'default/data-1')
  mkdirSync(left, { recursive: true })
  const changes: Change[] = [{ do: 'add-litter', paths: [left] }]
  const atMs = Date.now() - 3_600_000
  await catalog.transact(() => ({ by: 'm', atMs, outcome: null, changes }))
  for (let second = 0; second < 120; second += 1) await terms.clock.advance(1000)
  await sleep(200)
  t.ok(existsSync(left), 'one of them may read it')
  rmSync(unreadable, { recursive: true })
  await until('it is removed', async () => {
    await terms.clock.advance(1000)
    return !existsSync(left)
  })
})

t.test('a query log whose file is removed begins it again, with what is still known', async (t) => {
  const terms = new Terms(t)
  const directory = terms.options.logDirectory
  let gone = 0
  const log = new QueryLog({
    directory,
    term: 1,
    clock: systemClock,
    log: () => {},
    onGone: () => {
      gone += 1
      log.add(lineOf(1, 1, 'succeeded'))
    },
  })
  log.add(lineOf(1, 1, 'succeeded'))
  await log.flush()
  rmSync(log.path)
  log.add(lineOf(2, 1, 'succeeded'))
  await log.flush()
  t.equal(gone, 1)
  const lines = readFileSync(log.path, 'utf8').trimEnd().split('\n')
  t.same(
    lines.map((line) => (JSON.parse(line) as LogLine).query.sql),
    ['select 2', 'select 1'],
  )
  log.close()
})

t.test(
  'a mount that is gone: neither query log nor publication is made on the disk below',
  async (t) => {
    const dir = t.testdir({ root: {}, staged: {} })
    const directory = join(dir, 'root', 'system', 'queries')
    const clock = new HandClock()
    const said: string[] = []
    const log = new QueryLog({
      directory,
      term: 1,
      clock,
      log: (_level, text) => void said.push(text),
    })
    t.teardown(() => log.close())
    log.add(lineOf(1, 1, 'succeeded'))
    await until('it is told', () => said.some((text) => /query log can't be written/.test(text)))
    t.same(readdirSync(join(dir, 'root')), [])
    mkdirSync(join(dir, 'root', 'system'))
    await until('it goes on', async () => {
      await clock.advance(1000)
      return existsSync(log.path)
    })
    const location = join(dir, 'root', 'mount', 'out')
    const publication = { queryId: ID(1), staging: join(dir, 'staged'), location }
    await t.rejects(carryOut(publication, new AbortController().signal), { code: 'ENOENT' })
    t.same(readdirSync(join(dir, 'root')), ['system'])
  },
)
