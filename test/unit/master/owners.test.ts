/** A query is its user's: nobody else but the administrator sees it, ends it or carries it on, whoever knows its id. */
import t from 'tap'
import { administrator, type Principal } from '../../../lib/access/index.ts'
import { ID, reportOf, type Seat, Terms, workerAt } from '../../support/query-terms.ts'

const ADMIN = administrator('root')
const ANN: Principal = { kind: 'user', name: 'ann' }
const BOB: Principal = { kind: 'user', name: 'bob' }
const session = { database: 'default', user: 'root', variables: {} }
const another = { code: 'FORBIDDEN', message: "the query of this id is another user's" }

const submit = ({ term }: Seat, queryId: string, who: Principal, sql = 'select 1', attempt = 1) =>
  term.client.submit({ queryId, attempt, sql, session }, who)
const wait = ({ term }: Seat, queryId: string, who: Principal) =>
  term.client.wait({ queryId, state: 'queued', attempt: 1, worker: null, waitMs: 0 }, who)

t.test('another user neither sees nor ends it', async (t) => {
  const terms = new Terms(t)
  const seat = await terms.begin()
  seat.term.tracker.register({ worker: workerAt(1, 4), tasks: [], oomKills: 0 })
  for (const sql of ["CREATE USER ann PASSWORD 'a'", "CREATE USER bob PASSWORD 'b'"]) {
    t.match(await submit(seat, ID(1000 + sql.length), ADMIN, sql), { state: 'succeeded' })
  }
  const his = ID(1)
  t.match(await submit(seat, his, ANN), { state: 'running' })
  const [ran] = seat.calls.ran
  t.match(ran?.task, { asUser: 'ann', session: { user: 'ann' } }, 'whatever his session says')
  await t.rejects(wait(seat, his, BOB), another)
  await t.rejects(submit(seat, his, BOB), another)
  await t.rejects(submit(seat, his, BOB, 'select 1', 2), another)
  await t.rejects(seat.term.client.kill({ queryId: his }, BOB), another)
  t.same(seat.calls.killed, [])
  t.match(await wait(seat, his, ANN), { state: 'running' })
  t.match(await wait(seat, his, ADMIN), { state: 'running' })
  t.match(
    seat.term.records().find(({ queryId }) => queryId === his),
    { asUser: 'ann' },
  )
  const mine = ID(2)
  await submit(seat, mine, ADMIN)
  await t.rejects(wait(seat, mine, BOB), another, "the administrator's")

  // The next master hears of it from its worker.
  const next = await terms.begin()
  const task = ran?.task
  if (task === undefined) throw new Error('nothing runs')
  const report = reportOf(task, 'running')
  next.term.tracker.register({ worker: workerAt(1, 4), tasks: [{ task, report }], oomKills: 0 })
  await t.rejects(wait(next, his, BOB), another)
  t.match(await wait(next, his, ANN), { state: 'running' })
  t.match(await next.term.client.kill({ queryId: his }, ANN), { state: 'killed' })
})
