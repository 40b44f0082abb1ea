/**
 * The list of a table's files: the same as an array that is copied for each change, and costs what is changed.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { FileList } from '../../../lib/catalog/file-list.ts'
import type { FilePiece, PartitionValues } from '../../../lib/catalog/file-partition.ts'
import { IntTrie } from '../../../lib/catalog/int-trie.ts'
import type { DataFile } from '../../../lib/catalog/model.ts'
import { fc } from '../../support/properties.ts'

// ---- against arrays ----------------------------------------------------------------------------------------------------

const valuesArb: fc.Arbitrary<PartitionValues> = fc.constantFrom(
  ...[[null], ['a'], ['b'], [''], ['null'], ['ä/"b'], ['c']],
)
const addedArb = fc.record({
  do: fc.constant('append' as const),
  count: fc.oneof(fc.nat({ max: 5 }), fc.constantFrom(255, 256, 257, 600)),
  partitions: fc.array(valuesArb, { minLength: 1, maxLength: 3 }),
})
const stepArb = fc.oneof(
  { weight: 4, arbitrary: addedArb },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), partition: valuesArb }) },
  {
    weight: 2,
    arbitrary: fc.record({
      ...{ do: fc.constant('replace' as const), partition: valuesArb },
      count: fc.constantFrom(0, 1, 3, 300),
      ...{ from: fc.double({ min: 0, max: 1, noNaN: true }), every: fc.nat({ max: 4 }) },
    }),
  },
)
type Step = typeof stepArb extends fc.Arbitrary<infer S> ? S : never

const sameValues = (a: PartitionValues, b: PartitionValues): boolean =>
  JSON.stringify(a) === JSON.stringify(b)
let made = 0
const newFiles = ({ count, partitions }: { count: number; partitions: PartitionValues[] }) =>
  Array.from({ length: count }, (_, at): DataFile => {
    made += 1
    return {
      path: `${made % 7 === 0 ? '/else' : 'data-1'}/f-${made}`,
      rows: made % 5 === 0 ? null : made,
      bytes: made * 3,
      partition: partitions[at % partitions.length] ?? [null],
    }
  })

/** Partition by partition, as they got their first files. */
function grouped(files: readonly DataFile[], order: readonly PartitionValues[]): DataFile[] {
  return order.flatMap((values) => files.filter((file) => sameValues(file.partition, values)))
}

/** The list and the array after a step. */
function taken(list: FileList, files: readonly DataFile[], step: Step): [FileList, DataFile[]] {
  if (step.do === 'append') {
    const more = newFiles(step)
    return [list.append(more), [...files, ...more]]
  }
  const isIn = ({ partition }: DataFile): boolean => sameValues(partition, step.partition)
  if (step.do === 'drop') {
    return [list.withoutPartition(step.partition), files.filter((file) => !isIn(file))]
  }
  const inIt = files.filter(isIn)
  const begin = Math.floor(step.from * inIt.length)
  const gone = new Set(
    inIt
      .filter((_, at) => at >= begin && (at - begin) % (step.every + 1) === 0)
      .map((one) => one.path),
  )
  const come = gone.size === 0 ? [] : newFiles({ ...step, partitions: [step.partition] })
  const first = files.findIndex(({ path }) => gone.has(path))
  const now = files.flatMap((file, at) => [
    ...(at === first ? come : []),
    ...(gone.has(file.path) ? [] : [file]),
  ])
  return [list.replaced(step.partition, new Map([...gone].map((path) => [path, come]))), now]
}

const pathsOf = (pieces: readonly FilePiece[]): string[] =>
  pieces.flatMap((piece) => [...piece].map(({ path }) => path))

const sorted = (files: readonly DataFile[]): DataFile[] =>
  [...files].sort((a, b) => (a.path < b.path ? -1 : 1))

/** Thrown, since a failing property is run again and again. */
function agree(found: unknown, wanted: unknown, what = 'found'): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (one !== other) throw new Error(`${what} ${one}, wanted ${other}`)
}

t.test('is what an array would be, and says what changed', async () => {
  fc.assert(
    fc.property(fc.array(stepArb, { maxLength: 12 }), (steps) => {
      let list = FileList.EMPTY
      let files: DataFile[] = []
      let order: PartitionValues[] = []
      for (const step of steps) {
        const [before, wasBefore] = [list, [...list]]
        // Two that are made of the same one have nothing to do with each other, whichever is the first.
        const more = newFiles({ count: 3, partitions: [['a'], ['b']] })
        let other = made % 2 === 0 ? before.append(more) : null
        ;[list, files] = taken(list, files, step)
        other ??= before.append(more)
        agree(sorted([...other]), sorted([...wasBefore, ...more]), 'the other one')
        order = order.filter((values) => files.some((file) => sameValues(file.partition, values)))
        for (const { partition } of files) {
          if (!order.some((values) => sameValues(values, partition))) order.push(partition)
        }
        const expected = grouped(files, order)
        agree([...list], expected)
        agree([...before], wasBefore, 'the old one')
        checkTotals(list, files)
        for (const values of order) {
          agree(
            [...(list.partition(values) ?? [])],
            expected.filter((one) => sameValues(one.partition, values)),
          )
        }
        agree(list.partition(['not there']), null)
        agree(list.last(3), expected.slice(-3))
        checkChanges(before, list)
        agree([...FileList.of(JSON.parse(JSON.stringify(list)))], expected)
      }
    }),
    { numRuns: 60 },
  )
  function checkTotals(list: FileList, files: readonly DataFile[]): void {
    agree(list.length, files.length)
    agree(
      list.bytes,
      files.reduce((sum, { bytes }) => sum + bytes, 0),
    )
    const counted = files.some(({ rows }) => rows === null)
      ? null
      : files.reduce((sum, { rows }) => sum + (rows ?? 0), 0)
    agree(list.rows, counted)
    agree(list.outside, files.filter(({ path }) => path.startsWith('/')).length)
  }
  /** What is gone and what has come, less what is in both, is the difference. */
  function checkChanges(before: FileList, after: FileList): void {
    const all = [...before.differencesTo(after)]
    const gone = new Set(all.flatMap((one) => pathsOf(one.gone)))
    const come = new Set(all.flatMap((one) => pathsOf(one.come)))
    const left = new Set([...before].map(({ path }) => path))
    for (const path of gone) left.delete(path)
    for (const path of come) left.add(path)
    agree([...left].sort(), [...after].map(({ path }) => path).sort())
  }
})

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

t.test('long lists keep their paths outside of the heap, whatever is in them', async (t) => {
  const length = 200
  for (const letter of ['a', 'é', '한']) {
    const paths = Array.from({ length: 2560 }, (_, at) => String(at).padEnd(length, letter))
    // What others have left would be taken away while it is made.
    collectGarbage()
    const before = process.memoryUsage().arrayBuffers
    const list = FileList.of(paths.map((path) => ({ path, rows: 1, bytes: 1, partition: [] })))
    t.same(
      [...list].map(({ path }) => path),
      paths,
    )
    const outside = process.memoryUsage().arrayBuffers - before
    // A letter beyond Latin-1 takes two bytes in V8, which has no such Buffer: those stay in the heap.
    if (letter !== '한') t.ok(outside > 1280 * length, `${outside} bytes of ${2560 * length}`)
  }
})

t.test('a path that cannot be is refused', async (t) => {
  const odd = { path: 'a\0b', rows: 1, bytes: 1, partition: [] }
  t.throws(() => FileList.of([odd]), /no file is called "a\\u0000b"/)
})

t.test('many partitions: each is found, whatever their hashes', async (t) => {
  const count = 40_000
  let list = FileList.of(
    Array.from({ length: count }, (_, at) => ({
      ...{ path: `f${at}`, rows: 1, bytes: 1, partition: [String(at), null] },
    })),
  )
  for (let at = 0; at < count; at += 1) {
    if ([...(list.partition([String(at), null]) ?? [])][0]?.path !== `f${at}`) t.fail(`f${at}`)
  }
  for (let at = 0; at < count; at += 2) list = list.withoutPartition([String(at), null])
  t.equal(list.length, count / 2)
  t.equal(list.partition(['1', null])?.length, 1)
  t.equal(list.partition(['2', null]), null)
})

// ---- what it costs -----------------------------------------------------------------------------------------------------

t.test('a change shares with the list before it all but what it touches', async (t) => {
  const filesOf = (partition: PartitionValues) =>
    Array.from({ length: 1000 }, (_, at) => ({ path: `f${at}`, rows: 1, bytes: 1, partition }))
  const names = Array.from({ length: 1000 }, (_, at) => [String(at)])
  const list = FileList.of(names.flatMap(filesOf))
  const touched = (after: FileList): [number, number] => {
    const all = [...list.differencesTo(after)]
    return [all.flatMap(({ gone }) => gone).length, all.flatMap(({ come }) => come).length]
  }
  t.same(touched(list), [0, 0])
  t.same(touched(list.append(filesOf(['500']).slice(0, 1))), [1, 1], 'its last piece')
  t.same(touched(list.append(filesOf(['new']))), [0, 4], 'its own pieces')
  t.same(touched(list.withoutPartition(['500'])), [4, 0])
  t.same(touched(list.replaced(['500'], new Map([['f300', []]]))), [1, 1], 'the piece that had it')
  t.same(touched(list.replaced(['500'], new Map([['none', []]]))), [0, 0])
})

t.test('of two lists that share nothing no change is of two partitions', async (t) => {
  const fileIn = (value: string) => [{ path: 'same', rows: 1, bytes: 1, partition: [value] }]
  const changes = [...FileList.of(fileIn('a')).differencesTo(FileList.of(fileIn('b')))]
  const valuesOf = (pieces: readonly FilePiece[]) => pieces.map(({ partition }) => partition)
  t.strictSame(
    changes.map(({ gone, come }) => [valuesOf(gone), valuesOf(come)]),
    [
      [[['a']], []],
      [[], [['b']]],
    ],
  )
})

t.test('a partition that loses files again and again does not fall to dust', async (t) => {
  let list = FileList.EMPTY
  for (let round = 0; round < 50; round += 1) {
    const files = Array.from({ length: 256 }, (_, at) => ({
      ...{ path: `f${round}-${at}`, rows: 1, bytes: 1, partition: [] },
    }))
    list = list.append(files)
    list = list.replaced([], new Map(files.slice(1).map(({ path }) => [path, []])))
  }
  t.equal(list.length, 50)
  t.ok([...list.pieces()].length <= 3, `${[...list.pieces()].length} pieces`)
})

t.test('a sparse array: places far apart, and what differs', async () => {
  const indexArb = fc.oneof(fc.nat({ max: 70 }), fc.nat({ max: 2 ** 30 - 1 }))
  const stepArb = fc.tuple(indexArb, fc.option(fc.nat({ max: 3 }), { nil: undefined }))
  fc.assert(
    fc.property(fc.array(stepArb, { maxLength: 40 }), fc.nat({ max: 40 }), (steps, keptAt) => {
      const values = [0, 1, 2, 3].map((number) => ({ number }))
      const plain = new Map<number, { number: number }>()
      let trie = new IntTrie<{ number: number }>()
      let [kept, keptPlain] = [trie, new Map(plain)]
      for (const [at, [index, number]] of steps.entries()) {
        if (at === keptAt) [kept, keptPlain] = [trie, new Map(plain)]
        const value = number === undefined ? undefined : values[number]
        trie = trie.with(index, value)
        if (value === undefined) plain.delete(index)
        else plain.set(index, value)
      }
      const inOrder = [...plain].sort(([a], [b]) => a - b).map(([, value]) => value)
      agree([...trie.values()], inOrder)
      agree([...trie.valuesBackwards()], [...inOrder].reverse())
      for (const [index] of steps) agree(trie.get(index), plain.get(index))
      const now = new Map(keptPlain)
      for (const { index, before, after } of kept.differencesTo(trie)) {
        agree(before, keptPlain.get(index))
        if (before === after) throw new Error('no difference')
        if (after === undefined) now.delete(index)
        else now.set(index, after)
      }
      agree(
        new Map([...now].sort(([a], [b]) => a - b)),
        new Map([...plain].sort(([a], [b]) => a - b)),
      )
    }),
    { numRuns: 200 },
  )
})
