/** The judges of the day's soak see what they are there for: blind ones would call every cluster right. */
import t from 'tap'
import { mostOf, type Sample, unbounded } from '../../soak/day/census.ts'
import { Fates, type Found, insertOf, type Shape } from '../../soak/day/numbers.ts'

const SHAPE: Shape = { inserts: 12, rows: 5, tables: 3, partitions: 2 }
/** All of it, and right. */
const whole = (number: number): Found => ({ number, rows: 5, distinct: 5, right: 5 })

t.test('each INSERT has a table, a partition, and keys of its own', async (t) => {
  const all = Array.from({ length: 12 }, (_, number) => insertOf(number, SHAPE))
  t.same(
    all.map(({ table }) => table),
    [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2],
  )
  t.same(
    all.filter(({ table }) => table === 0).map(({ partition }) => partition),
    ['p0', 'p1', 'p0', 'p1'],
  )
  t.same(
    all.map(({ firstKey }) => firstKey),
    all.map((_, i) => 5 * i),
  )
})

t.test('what was acknowledged is there once and whole, what failed at most once', async (t) => {
  const fates = new Fates(SHAPE)
  const taken = fates.take(7)
  t.equal(taken.length, 7)
  for (const insert of taken) if (insert.number !== 3) fates.acknowledged(insert)
  t.throws(() => fates.acknowledged(insertOf(8, SHAPE)), /was not waited for/)
  const right = { acknowledged: 2, unknown: 1, lost: [], doubled: [], wrong: [] }
  t.same(fates.judge(0, [0, 6].map(whole)), { ...right, unknownThere: 0 })
  t.same(fates.judge(0, [0, 3, 6].map(whole)), { ...right, unknownThere: 1 })
  t.same(fates.judge(0, [whole(0)]).lost, [6])
  t.same(fates.judge(0, [whole(0), { ...whole(6), rows: 10, right: 10 }]).doubled, [6])
  t.same(fates.judge(0, [whole(0), { number: 3, rows: 10, distinct: 5, right: 10 }]).doubled, [3])
  t.same(fates.judge(0, [0, 6, 9].map(whole)).wrong, [9], 'never sent')
  t.same(fates.judge(0, [0, 6, 1].map(whole)).wrong, [1], "another table's")
  t.same(fates.judge(0, [0, 6, 15].map(whole)).wrong, [15], 'no INSERT at all')
  const part = { number: 6, rows: 4, distinct: 4, right: 4 }
  t.same(fates.judge(0, [whole(0), part]).wrong, [6], 'not whole')
  t.same(fates.judge(0, [whole(0), { ...whole(6), right: 4 }]).wrong, [6], 'other values')
  t.equal(fates.take(100).length, 5, 'what is left of the day')
})

t.test('numbers of files that follow what comes in are told', async (t) => {
  const day = (files: (inserts: number) => number[]): Sample[] =>
    Array.from({ length: 30 }, (_, i) => ({ inserts: 10 * (i + 1), files: files(10 * (i + 1)) }))
  const steady = day((inserts) => [80 + (inserts % 30), 40, 40])
  t.same(mostOf(steady), { partitioned: 100, plain: 40 })
  t.same(unbounded(steady), [])
  t.match(unbounded(day((inserts) => [80, inserts, 40])), [/a plain table had 300 files .* 200 in/])
  t.match(unbounded(day((inserts) => [inserts, 4, 4])), [/a partitioned table had 300 files/])
})
