/** Which files are joined: adjacent small ones of a partition, little of it again, and a bounded number is left. */
import t from 'tap'
import { FileList } from '../../../lib/catalog/file-list.ts'
import type { DataFile } from '../../../lib/catalog/model.ts'
import {
  type CompactionOptions,
  keepMsOf,
  planJoins,
} from '../../../lib/master/queries/compaction/compaction.ts'
import type { JoinRules } from '../../../lib/master/queries/compaction/join-planner.ts'
import { fc } from '../../support/properties.ts'

const RULES: JoinRules = {
  ...{ minFiles: 4, smallBytes: 1000, targetBytes: 4000, sparing: true, cheapBytes: 1 },
  ...{ mostFiles: 1e9, mostBytes: 1e18 },
}
const file = (bytes: number, path: string, partition: (string | null)[] = []): DataFile => ({
  ...{ path: `data-${path}`, rows: bytes, bytes, partition },
})
const sizes = (...bytes: number[]): DataFile[] => bytes.map((size, i) => file(size, String(i)))
const joinsOf = async (files: readonly DataFile[], rules: Partial<JoinRules> = {}) =>
  (await planJoins(FileList.of(files), { ...RULES, ...rules })).groups.map((group) =>
    group.map(({ path }) => path.slice(5)).join(' '),
  )

t.test('what is joined, and what is left alone', async (t) => {
  t.same(await joinsOf(sizes(1, 1, 1)), [], 'too few')
  t.same(await joinsOf(sizes(1, 1, 1, 1)), ['0 1 2 3'])
  t.same(await joinsOf(sizes(999, 1, 1, 1, 1, 1000, 1, 1)), ['1 2 3 4'], 'long ones part them')
  t.same(await joinsOf(sizes(1, 1, 1, 1, 900, 1, 1, 1, 1)), ['0 1 2 3', '5 6 7 8'])
  t.same(await joinsOf(sizes(900, 1, 1)), [], 'nothing is written anew for little')
  t.same(await joinsOf(sizes(900, 1, 1), { sparing: false, minFiles: 2 }), ['0 1 2'], 'by hand')
  const full = sizes(...Array.from({ length: 9 }, () => 900))
  t.same(await joinsOf(full), ['0 1 2 3 4', '5 6 7 8'], 'up to the target')
  const users = [file(1, '0'), { ...file(1, '1'), path: '/users/own' }, file(1, '2')]
  t.same(await joinsOf(users, { minFiles: 2, sparing: false }), [], "a user's parts them, too")
  const named = [file(1, '0'), { ...file(1, '1'), path: 'x/y' }, file(1, '2')]
  t.same(await joinsOf(named, { minFiles: 2, sparing: false }), [])
  const kinds = ['csv', 'csv', 'csv.gz', 'csv.gz', 'csv'].map((end, i) =>
    file(1, `${i}/part-0.${end}`),
  )
  t.same(
    await joinsOf(kinds, { minFiles: 2, sparing: false }),
    ['0/part-0.csv 1/part-0.csv', '2/part-0.csv.gz 3/part-0.csv.gz'],
    'compressed in one way',
  )
  const parts = ['a', 'b', null, 'a', 'b', null].map((p, i) => file(1, String(i), [p]))
  t.same(await joinsOf(parts, { minFiles: 2, sparing: false }), ['0 3', '1 4', '2 5'])
})

t.test('what is cheap to write anew is joined, however long beside the rest', async (t) => {
  t.same(await joinsOf(sizes(90, 1, 1, 1)), [], 'long beside the rest')
  t.same(await joinsOf(sizes(90, 1, 1, 1), { cheapBytes: 100 }), ['0 1 2 3'])
  t.same(
    await joinsOf(sizes(900, 1, 1, 1, 1), { cheapBytes: 100 }),
    ['1 2 3 4'],
    'but no longer one',
  )
  t.same(await joinsOf(sizes(1, 1, 1), { cheapBytes: 100, minFiles: 2 }), [], 'fourfold still')
})

t.test('partitions with few files each are joined when most of the table is that', async (t) => {
  const spread = (partitions: number, files: number, more: readonly DataFile[] = []) => {
    const few = Array.from({ length: partitions * files }, (_, i) =>
      file(1, String(i), [`p${i % partitions}`]),
    )
    return joinsOf([...few, ...more], { minFiles: 10 })
  }
  t.same(await spread(1, 9), [], 'too few')
  t.same(await spread(2, 4), [], 'too few together')
  t.same(await spread(3, 4), ['0 3 6 9', '1 4 7 10', '2 5 8 11'])
  const whole = (count: number) =>
    Array.from({ length: count }, (_, i) => file(5000, `w${i}`, [`w${i}`]))
  t.same(await spread(3, 4, whole(24)), [], 'a scan would still open most of its files')
  t.equal((await spread(3, 4, whole(12))).length, 3)
  const much = Array.from({ length: 10 }, (_, i) => file(1, `m${i}`, ['much']))
  const both = await spread(2, 4, [...much, ...whole(40)])
  t.same(both, ['m0 m1 m2 m3 m4 m5 m6 m7 m8 m9'], 'one with enough is joined in any case')
  const many = Array.from({ length: 400 }, (_, i) => file(1, String(i), [String(i % 100)]))
  const plan = await planJoins(FileList.of(many), { ...RULES, minFiles: 10, mostFiles: 40 })
  t.same([plan.groups.length, plan.left], [10, 360], 'and the task is bounded')
})

t.test('a task is bounded, and tells what is left', async (t) => {
  const files = Array.from({ length: 100 }, (_, i) => file(100, String(i), [String(i % 10)]))
  const plan = await planJoins(FileList.of(files), { ...RULES, mostFiles: 35 })
  t.equal(plan.groups.length, 3)
  t.equal(plan.left, 70)
  const one = await planJoins(FileList.of(files), { ...RULES, mostBytes: 1 })
  t.equal(one.groups.length, 1, 'one group there may be always')
  const many = Array.from({ length: 2500 }, (_, i) => file(1, String(i)))
  t.same(
    (await planJoins(FileList.of(many), RULES)).groups.map(({ length }) => length),
    [1000, 1000, 500],
  )
})

const fileArb = fc.record({
  bytes: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 1500 })),
  partition: fc.constantFrom('a', 'b'),
})

t.test('groups are adjacent small files of one partition, and grow fourfold', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fileArb, { maxLength: 200 }),
      fc.boolean(),
      fc.integer({ min: 2, max: 20 }),
      async (given, sparing, minFiles) => {
        const files = given.map(({ bytes, partition }, i) => file(bytes, String(i), [partition]))
        const list = FileList.of(files)
        const { groups } = await planJoins(list, { ...RULES, sparing, minFiles })
        const together = groups.flat().length >= Math.max(minFiles, list.length / 2)
        const seen = new Set<string>()
        for (const group of groups) {
          const [first] = group
          if (group.length < 2 || first === undefined) throw new Error('joins nothing')
          const own = [...list].filter(({ partition }) => partition[0] === first.partition[0])
          const from = own.findIndex(({ path }) => path === first.path)
          if (group.some((one, i) => own[from + i]?.path !== one.path))
            throw new Error('not adjacent')
          if (group.some(({ bytes }) => bytes >= RULES.smallBytes)) throw new Error('not small')
          if (own.filter(({ bytes }) => bytes < RULES.smallBytes).length < minFiles && !together)
            throw new Error('too few')
          for (const one of group) if (seen.has(one.path)) throw new Error('twice')
          for (const one of group) seen.add(one.path)
        }
      },
    ),
    { numRuns: 300 },
  )
})

t.test(
  'one file a write: few are left at any time, and each byte is written few times',
  async (t) => {
    const rules = { ...RULES, minFiles: 20, smallBytes: 100_000, targetBytes: 400_000 }
    let files: DataFile[] = []
    let [writes, most, written, bytes] = [0, 0, 0, 0]
    for (let n = 0; n < 5000; n += 1) {
      const size = 100 + (n % 7) * 30
      files.push(file(size, `w${n}`))
      bytes += size
      if (n % 10 !== 0) continue
      for (const group of (await planJoins(FileList.of(files), rules)).groups) {
        const sum = group.reduce((all, one) => all + one.bytes, 0)
        const at = files.findIndex(({ path }) => path === group[0]?.path)
        files = [
          ...files.slice(0, at),
          file(sum, `j${writes++}`),
          ...files.slice(at + group.length),
        ]
        written += sum
      }
      const small = files.filter((one) => one.bytes < rules.smallBytes)
      most = Math.max(most, small.length)
    }
    t.comment(
      `${most} small files at most, each byte written ${(written / bytes).toFixed(1)} times`,
    )
    t.ok(most <= 40, `${most}`)
    t.ok(written / bytes <= 8, `${written / bytes}`)
    t.equal(
      files.reduce((sum, one) => sum + one.bytes, 0),
      bytes,
    )
  },
)

t.test('however fast files come, those that are kept are not without bound', async (t) => {
  const options = { retentionMs: 86_400_000 } as CompactionOptions
  t.equal(keepMsOf(options, 0), options.retentionMs)
  t.equal(keepMsOf(options, 10_000), options.retentionMs)
  t.equal(keepMsOf(options, 40_000), options.retentionMs / 4)
  // Ten a second, for three days.
  const goes = new Map<number, number>()
  let [kept, most, keptForS] = [0, 0, 0]
  for (let second = 0; second < 3 * 86_400; second += 1) {
    kept -= goes.get(second) ?? 0
    keptForS = Math.ceil(keepMsOf(options, kept) / 1000)
    goes.set(second + keptForS, (goes.get(second + keptForS) ?? 0) + 10)
    kept += 10
    most = Math.max(most, kept)
  }
  t.comment(`${most} at most, at last each for ${Math.round(keptForS / 360) / 10} hours`)
  t.ok(most < 250_000, `${most}`)
})
