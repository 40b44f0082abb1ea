/**
 * What waits for a worker: turns among users, bounds for each of them and for all, and how much of a statement is kept for
 * how long.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { administrator } from '../../../lib/access/index.ts'
import type { QueryStatus, TaskReport } from '../../../lib/contract/index.ts'
import { session as sessionSchema } from '../../../lib/contract/query.ts'
import type { QueueBounds } from '../../../lib/master/queries/run/queue.ts'
import { settle } from '../../support/hand-clock.ts'
import { ID, QUEUE, reportOf, type Seat, Terms, workerAt } from '../../support/query-terms.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

let lastId = 0
const submit = (
  { term }: Seat,
  user: string,
  { sql = 'select 1', queryId = ID(++lastId), variables = {} } = {},
): Promise<QueryStatus> =>
  term.client.submit(
    { queryId, attempt: 1, sql, session: { database: 'default', user, variables } },
    administrator(user),
  )

async function seatOf(
  t: Test,
  bounds: Partial<QueueBounds>,
  slots: number,
): Promise<{ seat: Seat; finish: (count?: number) => Promise<void>; began: () => string }> {
  const terms = new Terms(t, { queue: { ...QUEUE, most: 1000, mostOfUser: 1000, ...bounds } })
  const seat = await terms.begin()
  const worker = workerAt(1, slots)
  const { workerId, incarnation } = worker
  if (slots > 0) seat.term.tracker.register({ worker, tasks: [] })
  const ended = new Set<string>()
  return {
    seat,
    /** The oldest that run are done. */
    finish: async (count = 1) => {
      const open = seat.calls.ran.filter(({ task }) => !ended.has(task.queryId)).slice(0, count)
      for (const { task } of open) ended.add(task.queryId)
      const reports = open.map(({ task }) => reportOf(task, 'succeeded'))
      const left = seat.calls.ran.length - ended.size
      seat.term.tracker.heartbeat({ workerId, incarnation, freeSlots: slots - left, reports })
      await settle()
    },
    /** Whose queries were begun, in their order. */
    began: () => seat.calls.ran.map(({ task }) => task.session.user).join(' '),
  }
}

/** What worker 1 tells of a query, by default the first one that it was given. */
function report(
  seat: Seat,
  freeSlots: number,
  more: Partial<TaskReport>,
  queryId = seat.calls.ran[0]?.task.queryId,
): void {
  const { workerId, incarnation } = workerAt(1)
  const found = seat.calls.ran.find(({ task }) => task.queryId === queryId)
  if (found === undefined) throw new Error(`${queryId} was never run`)
  const reports = [reportOf(found.task, 'running', more)]
  seat.term.tracker.heartbeat({ workerId, incarnation, freeSlots, reports })
}

t.test('users have their turns, however many one of them has sent', async (t) => {
  const { seat, finish, began } = await seatOf(t, {}, 1)
  for (let i = 0; i < 5; i += 1) await submit(seat, 'a')
  for (const user of ['b', 'b', 'c', '']) await submit(seat, user)
  for (let i = 0; i < 9; i += 1) await finish()
  t.equal(began(), 'a a b c  a b a a', 'the one without a name is a user like others')
})

t.test(
  'tajo.query.max-per-user: a user has so many slots, and the others are for others',
  async (t) => {
    const { seat, finish, began } = await seatOf(t, { runningOfUser: 2 }, 3)
    const sent = []
    for (let i = 0; i < 4; i += 1) sent.push(await submit(seat, 'a'))
    t.same(
      sent.map(({ state }) => state),
      ['running', 'running', 'queued', 'queued'],
    )
    await submit(seat, 'b')
    t.equal(began(), 'a a b')
    await finish()
    t.equal(began(), 'a a b a', 'one of its own has ended')
    await finish(2)
    t.equal(began(), 'a a b a a')
  },
)

t.test('tajo.query.queue.per-user: a user fills the queue for himself alone', async (t) => {
  const { seat } = await seatOf(t, { most: 5, mostOfUser: 3 }, 0)
  for (let i = 0; i < 3; i += 1) t.match(await submit(seat, 'a'), { state: 'queued' })
  t.match(await submit(seat, 'a'), {
    state: 'failed',
    error: {
      kind: 'refused',
      message:
        '3 queries of user "a" wait already, and 3 of one user may (tajo.query.queue.per-user); try again when some of them have run',
    },
  })
  t.match(await submit(seat, 'b'), { state: 'queued' })
  t.match(await submit(seat, ''), { state: 'queued' })
  t.match(await submit(seat, 'c'), {
    error: { kind: 'refused', message: /^5 queries wait .+ \(tajo.master.query.queue.limit\)/ },
  })
})

t.test('one that may run at once is taken, also where none may wait', async (t) => {
  const { seat } = await seatOf(t, { mostOfUser: 0, runningOfUser: 1 }, 2)
  t.match(await submit(seat, 'a'), { state: 'running' })
  t.match(await submit(seat, 'a'), { error: { message: /per-user/ } }, 'a slot, but not for him')
  t.match(await submit(seat, 'b'), { state: 'running' })
})

const long = (n: number, chars = 200_000): string => {
  const before = `select length('${n} `
  return `${before}${'x'.repeat(chars - before.length - 2)}')`
}

t.test('tajo.master.query.queue.max-size: long statements that wait have a bound', async (t) => {
  const { seat } = await seatOf(t, { chars: 1_000_000 }, 0)
  for (let i = 0; i < 2; i += 1)
    t.match(await submit(seat, 'a', { sql: long(i) }), { state: 'queued' })
  t.match(await submit(seat, 'a', { sql: long(3) }), {
    error: {
      kind: 'refused',
      message:
        'the long statements of user "a" that wait or write have 600000 characters with this one, and may have 500000, half of tajo.master.query.queue.max-size; try again when some of them have run',
    },
  })
  for (const user of ['b', 'b', 'c']) {
    t.match(await submit(seat, user, { sql: long(4) }), { state: 'queued' })
  }
  t.match(await submit(seat, 'c', { sql: long(5) }), {
    error: { message: /^all long statements .+ 1200000 .+ may have 1000000 \(tajo.master.query/ },
  })
  t.match(await submit(seat, 'a'), { state: 'queued' }, 'a short one takes no room')
  seat.term.tracker.register({ worker: workerAt(1, 9), tasks: [] })
  await settle()
  t.match(
    await submit(seat, 'a', { sql: long(6) }),
    { state: 'running' },
    'those that run are told',
  )
})

t.test('variables of a session are bounded together', async (t) => {
  const session = { database: 'default', user: 'a' }
  const variables = Object.fromEntries(
    Array.from({ length: 5 }, (_, i) => [`v${i}`, 'x'.repeat(4000)]),
  )
  t.match(sessionSchema.safeParse({ ...session, variables }).error?.issues, [
    { message: 'variables may have 16000 characters together' },
  ])
  t.ok(sessionSchema.safeParse({ ...session, variables: { TIMEZONE: 'GMT+9' } }).success)
})

t.test(
  '1,000 statements of 200 KB that have ended, failed or run take 20 MB at most',
  async (t) => {
    const { seat, finish } = await seatOf(t, { chars: 1e9 }, 1000)
    const heapMb = (): number => {
      collect()
      return process.memoryUsage().heapUsed / 1024 ** 2
    }
    /** What the workers of this test keep. */
    const forget = (): void => {
      for (const one of seat.calls.ran)
        Object.assign(one, { task: { ...one.task, sql: '', query: null } })
    }
    await submit(seat, 'a', { sql: long(0) })
    await finish()
    forget()
    const beforeMb = heapMb()
    for (let i = 1; i <= 500; i += 1) {
      await submit(seat, 'a', { sql: long(i) })
      if (i % 2 === 0) await finish()
      forget()
      await submit(seat, 'a', { sql: `selekt '${long(i).replaceAll("'", '')}'` })
    }
    await settle()
    const grownMb = heapMb() - beforeMb
    t.ok(grownMb < 20, `${grownMb.toFixed(1)} MB`)
    const [record] = seat.term.records()
    t.match(
      record?.sql,
      /^select length\('0 x+… \(cut: 200000 characters\)$/,
      'it says that it is cut',
    )
    t.ok((record?.sql.length ?? 0) < 2100)
  },
)

t.test('what is cut once is not cut again by the next master', async (t) => {
  const { seat } = await seatOf(t, {}, 1)
  await submit(seat, 'a', { sql: long(1) })
  const [record] = seat.term.records()
  t.ok(record !== undefined)
  if (record === undefined) return
  const spot = { workerId: 'w1:28091', incarnation: 'a', clientRpc: 'w1:28092' }
  seat.term.list.expect({ ...record, queryId: ID(++lastId), task: null }, spot, 1, 1)
  t.equal(seat.term.records().at(-1)?.sql, record.sql)
  const emoji = `select '${'😀'.repeat(2000)}'`
  await submit(seat, 'a', { sql: emoji })
  t.notMatch(
    seat.term.records().at(-1)?.sql,
    /[\uD800-\uDBFF](?![\uDC00-\uDFFF])/,
    'no half of a character is left',
  )
})

t.test('a result that waits for its client, computed and small, takes no slot', async (t) => {
  const { seat } = await seatOf(t, {}, 1)
  const read = await submit(seat, 'a')
  const waiting = await submit(seat, 'b')
  t.equal(waiting.state, 'queued')
  report(seat, 1, { computed: true })
  await settle()
  const { list } = seat.term
  t.match(list.get(read.queryId), { stage: 'running', hasSlot: false })
  t.match(list.get(waiting.queryId), { stage: 'running', hasSlot: true })
  report(seat, 0, { computed: true })
  t.match(list.get(read.queryId), { stage: 'running', hasSlot: false }, 'for as long as it waits')
})

t.test('a large result that nobody reads loses its slot when another query waits', async (t) => {
  const { seat } = await seatOf(t, {}, 2)
  const { list } = seat.term
  const idle = await submit(seat, 'a')
  const slow = await submit(seat, 'a')
  report(seat, 0, { unreadMs: 60_000, rows: 0 })
  t.match(list.get(idle.queryId), { stage: 'running' }, 'while nobody waits')
  report(seat, 0, { unreadMs: 4000, rows: 0 })
  report(seat, 0, { unreadMs: 20_000, rows: 5 }, slow.queryId)
  const waiting = await submit(seat, 'b')
  report(seat, 0, { unreadMs: 4900, rows: 0 })
  t.match(list.get(idle.queryId), { stage: 'running' }, 'it may be on its way')
  t.match(await submit(seat, 'b'), { state: 'queued' })
  report(seat, 0, { unreadMs: 6000, rows: 0 })
  await settle()
  const error = {
    kind: 'lost',
    message: 'nobody has taken anything of its result for 6 s, while others waited for its slot',
  }
  t.match(list.get(idle.queryId), { stage: 'ended', error })
  t.same(seat.calls.killed, [idle.queryId], 'it alone')
  report(seat, 1, { unreadMs: 21_000, rows: 5 }, slow.queryId)
  await settle()
  t.match(list.get(waiting.queryId), { stage: 'running' })
  report(seat, 0, { unreadMs: 29_000, rows: 5 }, slow.queryId)
  t.match(list.get(slow.queryId), { stage: 'running' }, 'a reader who has begun has longer')
  report(seat, 0, { unreadMs: 31_000, rows: 5 }, slow.queryId)
  t.match(list.get(slow.queryId), { stage: 'ended' })
})
