/** How many files all tables have, which is counted beside a term's work, and not while it begins. */
import t from 'tap'
import { CatalogState, EMPTY } from '../../../lib/catalog/state.ts'
import type { CatalogPort } from '../../../lib/master/queries/catalog/catalog-service.ts'
import { TableCensus } from '../../../lib/master/queries/catalog/table-census.ts'
import { fileOf, tableOf } from '../../contract/catalog.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { until } from '../../support/until.ts'

t.test('it is counted a second after the beginning, and again each 15 s', async (t) => {
  const clock = new HandClock()
  const tables = [
    tableOf(1, { files: [fileOf('a'), fileOf('b')] }),
    tableOf(2, { files: [fileOf('c')] }),
  ]
  let looks = 0
  const state = (): CatalogState => {
    looks += 1
    return CatalogState.from({ ...EMPTY, tables })
  }
  const census = new TableCensus({ state } as CatalogPort, clock)
  census.start()
  await clock.advance(999)
  t.equal(looks, 0)
  t.equal(census.counts, null)
  await clock.advance(1)
  await until('they are counted', () => census.counts !== null)
  t.match(census.counts, { tables: 2, files: 3, mostFiles: 2 })
  tables.push(tableOf(3, { files: [fileOf('d')] }))
  await clock.advance(15_000)
  await until('they are counted again', () => census.counts?.tables === 3)
  t.equal(looks, 2)
  census.stop()
  await clock.advance(30_000)
  t.equal(looks, 2)
})
