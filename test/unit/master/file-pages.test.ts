/**
 * The files of a query's tables, page by page: all of them, as they were when it asked, and none of a partition that it
 * can't need.
 */
import t from 'tap'
import type { DataFile } from '../../../lib/catalog/model.ts'
import type { FilePage } from '../../../lib/contract/index.ts'
import { FilePages } from '../../../lib/master/queries/catalog/catalog-service.ts'
import { fileOf, tableOf } from '../../contract/catalog.ts'
import { HandClock } from '../../support/hand-clock.ts'

const long = 'x'.repeat(100)
const partitioned = (count: number, partitions: number) =>
  tableOf(1, {
    partitionColumns: [{ name: 'p', type: 'TEXT' }],
    files: Array.from({ length: count }, (_, at) =>
      fileOf(`${long}/${at}`, { partition: [`p${at % partitions}`] }),
    ),
  })
const asked = [{ database: 'default', name: 't1' }]

async function read(pages: FilePages, first: FilePage) {
  const paths: string[] = []
  const sizes: number[] = []
  for (let page = first; ; page = await pages.more(page.next)) {
    sizes.push(JSON.stringify(page).length)
    paths.push(...page.files.flatMap(({ packed }) => packed.paths))
    if (page.next === null) return { paths, sizes }
  }
}
const pathsOf = (files: Iterable<DataFile>): string[] => Array.from(files, ({ path }) => path)

t.test('all files come, in pages of bounded size, as they were at the beginning', async (t) => {
  const pages = new FilePages(new HandClock())
  const before = partitioned(30_000, 7)
  const other = tableOf(2, { files: [fileOf('other')] })
  const first = await pages.begin([...asked, ...asked, ...asked], [before, null, other])
  t.equal(pages.size, 1)
  // A change in the meantime makes another list.
  before.files.append([fileOf('new', { partition: ['p0'] })])
  const { paths, sizes } = await read(pages, first)
  t.same(paths, [...pathsOf(before.files), 'other'])
  t.ok(sizes.length > 3, `${sizes.length} pages`)
  t.ok(Math.max(...sizes) < 800_000, `the longest has ${Math.max(...sizes)} characters`)
  t.equal(pages.size, 0, 'nothing is held any more')
})

t.test('of partitions that the query does not need, nothing comes', async (t) => {
  const pages = new FilePages(new HandClock())
  const table = partitioned(5000, 1000)
  const where = {
    ...{ column: 'P', rivals: [], written: 'text' as const, is: 'in' as const },
    values: ['p7', 'none'],
  }
  const first = await pages.begin([{ ...asked[0], database: 'default', name: 't', where }], [table])
  t.equal(first.next, null)
  t.same(
    first.files.map(({ of, packed }) => [of, packed.partition, packed.paths.length]),
    [[0, ['p7'], 5]],
  )
})

t.test('a page that is not here any more is told as such', async (t) => {
  const clock = new HandClock()
  const pages = new FilePages(clock)
  const table = partitioned(20_000, 2)
  const first = await pages.begin(asked, [table])
  const second = await pages.more(first.next ?? '')
  for (const next of [first.next, 'x/1', '', `${second.next}0`]) {
    t.throws(() => pages.more(next ?? ''), { code: 'UNAVAILABLE' }, String(next))
  }
  await clock.advance(59_000)
  const third = await pages.more(second.next ?? '')
  await clock.advance(61_000)
  t.throws(() => pages.more(third.next ?? ''), { code: 'UNAVAILABLE' })
  t.equal(pages.size, 0)
  const begun: (string | null)[] = []
  for (let at = 0; at < 1001; at += 1) begun.push((await pages.begin(asked, [table])).next)
  t.equal(pages.size, 1000, 'so many at most')
  t.throws(
    () => pages.more(begun[0] ?? ''),
    { code: 'UNAVAILABLE' },
    'the oldest has to begin anew',
  )
  await pages.more(begun[1] ?? '')
})
