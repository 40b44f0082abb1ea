/** A worker outlives its masters, an older catalog is brought back, and another table gets the id that it writes to. */

import t from 'tap'
import { administrator } from '../../../lib/access/index.ts'
import type { Task } from '../../../lib/contract/index.ts'
import { settle } from '../../support/hand-clock.ts'
import { ID, reportOf, Terms, workerAt } from '../../support/query-terms.ts'

t.test('its write is none of the other table’s', async (t) => {
  const terms = new Terms(t)
  const first = await terms.begin()
  const worker = workerAt(1, 10)
  first.term.tracker.register({ worker, tasks: [] })
  const session = { database: 'default', user: 'me', variables: {} }
  const data = first.catalog.state().toData()
  const submit = (seat: typeof first, n: number, sql: string) =>
    seat.term.client.submit({ queryId: ID(n), attempt: 1, sql, session }, administrator('me'))
  await submit(first, 1, 'create table t (a int4)')
  await submit(first, 2, 'insert into t select 1')
  const task = first.calls.ran[0]?.task as Task
  await first.end()
  const second = await terms.begin()
  const load = { do: 'load', data } as const
  await second.catalog.transact(() => ({ by: 'me', atMs: 1, changes: [load], outcome: null }))
  await submit(second, 3, 'create table other (a int4)')
  const other = () => second.catalog.state().find('default', 'other')
  t.equal(other()?.id, task.write?.tableId)
  second.term.tracker.register({ worker, tasks: [{ task, report: reportOf(task, 'succeeded') }] })
  for (let turn = 0; turn < 20; turn++) {
    await settle()
    await terms.clock.advance(0)
  }
  t.match(second.catalog.state().outcome(ID(2)), { state: 'failed', message: /was dropped/ })
  t.same(other()?.files, [])
})
