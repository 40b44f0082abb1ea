/** How a worker reads the tables of a query from the active master: page by page, and again from the beginning. */
import t from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import { RpcClient } from '../../../lib/call/index.ts'
import { CatalogReader } from '../../../lib/worker/catalog-reader.ts'
import { fileOf, tableOf } from '../../contract/catalog.ts'
import { FAKE_CLUSTER, FAKE_SECRET, FakeTracker } from '../../support/fake-tracker.ts'
import { pacedMs, patienceMs } from '../../support/pace.ts'

const long = 'x'.repeat(200)
const table = tableOf(1, {
  partitionColumns: [{ name: 'p', type: 'INT4' }],
  files: Array.from({ length: 12_000 }, (_, at) =>
    fileOf(`${long}/${at}`, { partition: [String(at % 40)] }),
  ),
})

t.test('all pages make the list, also where one got lost or the table changed', async (t) => {
  const tracker = new FakeTracker(3)
  await tracker.start()
  const { addresses } = tracker
  const options = {
    clusterId: () => FAKE_CLUSTER,
    secret: () => FAKE_SECRET,
    term: () => 3,
    clock: systemClock,
    connectTimeoutMs: pacedMs(1000),
  }
  const active = {
    ...{ addresses, term: 3 },
    tracker: new RpcClient('tracker', addresses.tracker, options),
    catalog: new RpcClient('catalog', addresses.catalog, options),
  }
  t.teardown(async () => {
    await Promise.all([active.tracker.close(), active.catalog.close(), tracker.stop()])
  })
  const reader = new CatalogReader({
    masters: { findActive: async () => active },
    active: () => active,
    patienceMs: patienceMs(),
    clock: systemClock,
  })
  const asked = [
    { database: 'default', name: 'none' },
    { database: 'default', name: 't1' },
  ]
  const { signal } = new AbortController()
  const resolve = async () => (await reader.resolve(asked, undefined, signal)).tables

  tracker.tables.set('default.t1', table)
  t.same(await resolve(), [null, table])
  tracker.losesPage = 5
  t.same(await resolve(), [null, table], 'a page that is lost')
  t.equal(tracker.resolves, 3, 'begins all of it anew')

  const where = {
    ...{ column: 'p', rivals: [], written: 'integer' as const, is: '<' as const },
    values: ['2'],
  }
  const some = [asked[0], { ...asked[1], where }] as typeof asked
  const [, found] = (await reader.resolve(some, undefined, signal)).tables
  t.same(
    Array.from(found?.files.partitions() ?? [], ({ values, length }) => [values, length]),
    [
      [['0'], 300],
      [['1'], 300],
    ],
  )
})
