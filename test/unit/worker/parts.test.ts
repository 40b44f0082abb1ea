/** The parts of a worker that need no engine, and a disk that is full. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { TaskReport } from '../../../lib/contract/index.ts'
import type { LineWriter } from '../../../lib/rpc/index.ts'
import { textFormat } from '../../../lib/sql/index.ts'
import { namesAt } from '../../../lib/worker/analyse.ts'
import { ResultQueue, ResultRoom } from '../../../lib/worker/results.ts'
import type { RunningQuery } from '../../../lib/worker/running-query.ts'
import { TaskList } from '../../../lib/worker/task-list.ts'
import { checkedLine } from '../../../lib/worker/text-checks.ts'
import { writePlan } from '../../../lib/worker/write-plan.ts'
import { run } from '../../support/run.ts'
import { testdirOf } from '../../support/testdir.ts'
import { columnsOf, TYPES } from '../../support/worker-engine.ts'

/** Timers that only the test lets go off. */
class HandClock {
  readonly #timers = new Set<{ atMs: number; run: () => void }>()
  #nowMs = 0
  nowMs = (): number => this.#nowMs
  after = (delayMs: number, run: () => void): (() => void) => {
    const timer = { atMs: this.#nowMs + delayMs, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }
  pass(ms: number): void {
    this.#nowMs += ms
    for (const timer of [...this.#timers]) {
      if (timer.atMs > this.#nowMs || !this.#timers.delete(timer)) continue
      timer.run()
    }
  }
}

const turns = () => new Promise((resolve) => setImmediate(resolve))

t.test('names as they are written', async (t) => {
  const cases: [string, number, [string, boolean][]][] = [
    [
      'FROM a.b',
      5,
      [
        ['a', false],
        ['b', false],
      ],
    ],
    [
      '"A ""x""" . b,c',
      0,
      [
        ['A "x"', true],
        ['b', false],
      ],
    ],
    ['ä, "é"', 4, [['é', true]]],
    ['"open', 0, []],
    ['', 0, []],
    ["'file'", 0, []],
  ]
  for (const [text, at, names] of cases) {
    t.same(
      namesAt(text, at).map(({ name, quoted }) => [name, quoted]),
      names,
      text,
    )
  }
})

t.test('options of text', async (t) => {
  t.match(textFormat({}), {
    delimiter: '|',
    nullText: '',
    quote: '"',
    headerLines: 0,
    tolerant: false,
  })
  t.match(textFormat({ 'text.delimiter': '\\t', 'text.null': '\\\\N' }), {
    delimiter: '\t',
    nullText: '\\N',
  })
  t.equal(textFormat({ 'csvfile.delimiter': '\\001' }).delimiter, '\u0001')
  t.equal(textFormat({ 'text.delimiter': '\\u0001' }).delimiter, '\u0001')
  t.match(textFormat({ 'text.quote': '' }), { quote: '', escape: '' })
  for (const options of [
    { 'text.delimiter': '' },
    { 'text.delimiter': 'abcde' },
    { 'text.delimiter': '\n' },
    { 'text.delimiter': '"' },
    { 'text.quote': 'ab' },
    { 'text.skip.headerlines': '-1' },
    { 'text.skip.headerlines': 'x' },
    { 'text.error-tolerance.max-num': '7' },
  ]) {
    t.throws(() => textFormat(options), { name: 'SqlError' } as Error, JSON.stringify(options))
  }
})

t.test('columns of a write', async (t) => {
  const columns = columnsOf('a INT4, b TEXT, p TEXT')
  const partitionBy = [{ name: 'p', type: 'TEXT' }]
  const source = [
    { name: 'x', type: 'VARCHAR' },
    { name: 'y', type: 'INTEGER' },
  ]
  t.same(writePlan({ columns, into: ['p', 'a'], partitionBy }, source, TYPES), {
    columns: [
      { name: 'a', type: 'INT4', source: 1 },
      { name: 'b', type: 'TEXT', source: null },
    ],
    partitionColumns: [{ name: 'p', type: 'TEXT', source: 0 }],
  })
})

/** How many expressions stand in each other at most, where a sum of terms in a row counts as one for each of them. */
function levelsOf(sql: string): number {
  const sums = [1]
  let most = 0
  for (const one of sql.replaceAll(/'[^']*'/g, '')) {
    if (one === '(') sums.push(1)
    else if (one === ')') sums.pop()
    else if (one === '+') sums.push((sums.pop() ?? 0) + 1)
    most = Math.max(
      most,
      sums.reduce((sum, each) => sum + each, 0),
    )
  }
  return most
}

t.test('the check of a line is no deeper in a wide table than it has to be', async (t) => {
  const levels = (count: number, isNull: boolean): number => {
    const values = Array.from({ length: count }, (_, i) => {
      return { sql: `q.c${i}`, type: 'VARCHAR', isNull: isNull && i > 0 }
    })
    return levelsOf(checkedLine('q.c0', values, textFormat({})))
  }
  t.ok(levels(1000, false) <= levels(2, false) + 2 * Math.log2(1000), 'halves of halves')
  t.equal(levels(1000, true), levels(1, false), 'what is NULL anyway is not looked at')
})

/** A client that takes a line when the test says so. */
function fakeWriter() {
  const lines: string[] = []
  let take: ((taken: boolean) => void) | null = null
  let close = (): void => {}
  const writer = {
    sendText: (json: string) => {
      lines.push(json)
      return new Promise<boolean>((resolve) => {
        take = resolve
      })
    },
    onClose: (listener: () => void) => {
      close = listener
    },
    end: () => close(),
  } as unknown as LineWriter<unknown>
  return { writer, lines, take: (taken: boolean) => take?.(taken), leave: () => close() }
}

const LIMITS = { aheadBytes: 100, fetchMs: 1000, stallMs: 5000 }

t.test('a result runs a bounded amount ahead of its reader', async (t) => {
  const abandoned: string[] = []
  const queue = new ResultQueue({
    limits: LIMITS,
    clock: new HandClock(),
    onAbandoned: (why) => abandoned.push(why),
  })
  queue.columns([{ name: 'a', type: 'INT4' }])
  t.equal(await queue.rows(['[1]']), true)
  let more: boolean | null = null
  void queue.rows([`["${'x'.repeat(100)}"]`]).then((room) => {
    more = room
  })
  await turns()
  t.equal(more, null, 'no room')
  const client = fakeWriter()
  t.equal(queue.fetch(client.writer), true)
  t.equal(queue.fetch(client.writer), false, 'once')
  for (let i = 0; i < 3; i++) {
    client.take(true)
    await turns()
  }
  t.equal(more, true)
  t.equal(queue.delivered, 2)
  const end = queue.end({ rows: 2 })
  await turns()
  client.take(true)
  t.equal(await end, true)
  t.same(client.lines.at(-1), '{"end":{"rows":2}}')
  t.same(abandoned, [])
})

t.test('a result without a reader ends', async (t) => {
  const clock = new HandClock()
  const abandoned: string[] = []
  const onAbandoned = (why: string): void => void abandoned.push(why)
  const unread = new ResultQueue({ limits: LIMITS, clock, onAbandoned })
  const blocked = unread.rows([`["${'x'.repeat(200)}"]`])
  clock.pass(1000)
  t.equal(await blocked, false)
  t.match(abandoned, ['nobody came to read the result within 1 s'])
  t.equal(unread.fetch(fakeWriter().writer), false)

  const left = new ResultQueue({ limits: LIMITS, clock, onAbandoned })
  const client = fakeWriter()
  left.fetch(client.writer)
  client.leave()
  t.equal(await left.rows(['[1]']), false)
  t.match(abandoned[1], 'the client went away')

  const failed = new ResultQueue({ limits: LIMITS, clock, onAbandoned })
  await failed.rows(['[1]'])
  failed.drop()
  void failed.end({ error: { kind: 'user', message: 'no', place: null } })
  const late = fakeWriter()
  failed.fetch(late.writer)
  await turns()
  t.match(late.lines, ['{"error":{"kind":"user","message":"no","place":null}}'])
})

t.test('what is dropped waits for no reader, and tells him nothing but why', async (t) => {
  const clock = new HandClock()
  const onAbandoned = (): void => void t.fail('it was dropped before')
  const error = { kind: 'killed', message: 'killed', place: null } as const
  const told = [JSON.stringify({ error })]
  const row = `["${'x'.repeat(200)}"]`

  const full = new ResultQueue({ limits: LIMITS, clock, onAbandoned })
  const blocked = full.rows([row])
  full.drop()
  t.equal(await blocked, false, 'unread, and no room')
  t.equal(await full.rows([row]), false)

  const whole = new ResultQueue({ limits: LIMITS, clock, onAbandoned })
  whole.columns([])
  const end = whole.end({ rows: 0 })
  whole.drop()
  t.equal(await end, false, 'unread, and complete')
  t.equal(await whole.end({ error }), false)
  const late = fakeWriter()
  t.equal(whole.fetch(late.writer), true)
  await turns()
  t.same(late.lines, told)

  const read = new ResultQueue({ limits: LIMITS, clock, onAbandoned })
  const stalled = fakeWriter()
  read.fetch(stalled.writer)
  const waiting = read.rows([row, row])
  await turns()
  read.drop()
  t.equal(await waiting, false, 'its reader stands still')
  void read.end({ error })
  stalled.take(true)
  await turns()
  t.same(stalled.lines.slice(1), told)
})

t.test('a result tells for how long its reader has taken nothing of it', async (t) => {
  const clock = new HandClock()
  const queue = new ResultQueue({ limits: LIMITS, clock, onAbandoned: () => {} })
  clock.pass(100)
  t.equal(queue.unreadMs, 0, 'there is nothing to take')
  queue.columns([{ name: 'a', type: 'INT4' }])
  await queue.rows(['[1]'])
  clock.pass(300)
  t.equal(queue.unreadMs, 300, 'nobody has come')
  const client = fakeWriter()
  queue.fetch(client.writer)
  clock.pass(50)
  t.equal(queue.unreadMs, 350, 'he has come, and takes nothing')
  client.take(true)
  await turns()
  t.equal(queue.unreadMs, 0)
  client.take(true)
  await turns()
  clock.pass(400)
  t.equal(queue.unreadMs, 0, 'he waits for more')
})

t.test('there is room for a bounded number of results that wait without a slot', async (t) => {
  const room = new ResultRoom()
  const small = Array.from({ length: 200 }, () => room.take(10))
  t.equal(small.filter((leave) => leave !== null).length, 100)
  small[0]?.()
  t.equal(room.take(4 * 1024 * 1024), null, 'the room of a small one')
  for (const leave of small.slice(1)) leave?.()
  const large = Array.from({ length: 100 }, () => room.take(4 * 1024 * 1024))
  t.equal(large.filter((leave) => leave !== null).length, 16)
})

t.test('the list of tasks', async (t) => {
  const ends = new Map<string, () => void>()
  const kills: string[] = []
  const start = ((task: { queryId: string; attempt: number }) => {
    const key = `${task.queryId}/${task.attempt}`
    const query = {
      task,
      ...{ running: true, holdsSlot: true },
      report: () => ({ ...task, state: query.running ? 'running' : 'succeeded' }),
      kill: () => kills.push(key),
      ended: new Promise<void>((resolve) => {
        ends.set(key, () => {
          query.running = false
          query.holdsSlot = false
          resolve()
        })
      }),
    }
    return query
  }) as unknown as (task: unknown) => RunningQuery
  const clock = new HandClock()
  const list = new TaskList({ slots: 2, maxRunMs: 0, clock, start, onChange: () => undefined })
  const task = (queryId: string, attempt = 1) => ({ queryId, attempt }) as never
  t.match(
    [list.run(task('a')), list.run(task('a')), list.run(task('b'))].map((one) => one.accepted),
    [true, true, true],
  )
  t.match(list.run(task('c')), { accepted: false, why: 'no free slot' })
  const sent: TaskReport[] = list.reports()
  ends.get('a/1')?.()
  await turns()
  list.forget(['a'], sent)
  t.equal(list.reports().length, 2, 'its end has not been reported yet')
  list.forget(['a'], list.reports())
  t.equal(list.find('a', 1), null)
  const before = list.reports()
  list.run(task('b', 2))
  t.same(kills, ['b/1'])
  t.equal(list.freeSlots, 0, 'the replaced one still counts')
  list.forget(['b'], before)
  t.ok(list.find('b', 2), 'what was said of the first attempt is not meant for the second')
  list.kill('b', 1, 'killed')
  t.same(kills, ['b/1'], 'nor is the order to end the first one, which may come late')
  ends.get('b/1')?.()
  await turns()
  t.equal(list.freeSlots, 1)
  list.forget(['b'], list.reports())
  t.same(kills, ['b/1', 'b/2'])
  t.same(list.reports(), [], 'and nothing more is said of it')
})

t.test(
  'a full spill directory fails the query that spills, and nothing else',
  { skip: process.getuid?.() !== 0 && 'only root can mount' },
  async (t) => {
    const directory = join(testdirOf(t), 'full')
    mkdirSync(directory)
    const child = join(import.meta.dirname, '../../support/full-spill-child.js')
    const { code, stdout, stderr } = await run(['unshare', '-m', 'node', child, directory])
    t.equal(code, 0, stderr)
    const { full, beside, again } = JSON.parse(stdout)
    t.match(full, [{ kind: 'user', message: /^the disk is full: .*spill/ }, 'ok'])
    t.equal(beside, 'ok')
    t.equal(again, 'ok', 'as soon as there is space, without a new start')
  },
)

t.test('a full disk', { skip: process.getuid?.() !== 0 && 'only root can mount' }, async (t) => {
  const directory = join(testdirOf(t), 'full')
  mkdirSync(directory)
  const child = join(import.meta.dirname, '../../support/full-disk-child.js')
  const { code, stdout, stderr } = await run(['unshare', '-m', 'node', child, directory])
  t.equal(code, 0, stderr)
  const answers = JSON.parse(stdout)
  for (let i = 0; i < answers.length; i += 2) {
    t.match(answers[i], { kind: 'user', message: /^the disk is full: / })
    t.same(answers[i + 1], [], 'nothing is left')
  }
})
