import t from 'tap'
import { PersistentMap } from '../../../lib/catalog/persistent-map.ts'
import { fc } from '../../support/properties.ts'

const told = (entries: Iterable<readonly [unknown, unknown]>): string =>
  JSON.stringify([...entries])

t.test(
  'copies are independent, keep the order of insertion, and every way back leads back',
  async () => {
    const step = fc.record({
      copy: fc.nat({ max: 3 }),
      key: fc.nat({ max: 400 }),
      value: fc.option(fc.nat(), { nil: undefined }),
      and: fc.constantFrom('fork', 'go on', 'take back', 'go on'),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 1500, size: 'max' }), (steps) => {
        const pairs: [PersistentMap<number, number>, Map<number, number>][] = [
          [new PersistentMap([[1, 1]]), new Map([[1, 1]])],
        ]
        for (const { copy, key, value, and } of steps) {
          const pair = pairs[copy % pairs.length]
          if (pair === undefined) continue
          const [map, plain] = pair
          const back = map.set(key, value)
          if (and === 'take back') back()
          else if (value === undefined) plain.delete(key)
          else plain.set(key, value)
          if (and === 'fork') pairs[(copy + 1) % 4] = [map.fork(), new Map(plain)]
        }
        for (const pair of pairs) {
          if (pair === undefined) continue
          const [map, plain] = pair
          if (map.size !== plain.size) throw new Error('size')
          if (told(map.entries()) !== told(plain)) throw new Error('content or order')
          for (let key = 0; key <= 400; key += 1) {
            if (map.get(key) !== plain.get(key) || map.has(key) !== plain.has(key)) {
              throw new Error(`key ${key}`)
            }
          }
        }
      }),
      { numRuns: 40 },
    )
  },
)

t.test('a whole run of changes is taken back in reverse', async (t) => {
  const map = new PersistentMap<string, number>(
    Array.from({ length: 100 }, (_, i) => [`k${i}`, i] as const),
  )
  const before = told(map.entries())
  const ways = [
    ...Array.from({ length: 100 }, (_, i) => map.set(`k${(i * 7) % 100}`, undefined)),
    ...Array.from({ length: 50 }, (_, i) => map.set(`k${i * 2}`, -i)),
    ...Array.from({ length: 50 }, (_, i) => map.set(`new ${i}`, i)),
  ]
  t.equal(map.size, 100)
  for (const back of ways.reverse()) back()
  t.equal(told(map.entries()), before)
})

t.test('what was changed since a copy was made is found without looking at the rest', async (t) => {
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => [i, { i }] as const)
  const before = new PersistentMap<number, { i: number }>(numbers(1000))
  const after = before.fork()
  t.same([...after.changedSince(before)], [])
  after.set(3, undefined)
  after.set(500, { i: -500 })
  for (const [key, value] of numbers(40_000).slice(1000)) after.set(key, value)
  const changed = [...after.changedSince(before)].map(([, { i }]) => i)
  t.same(changed.slice(0, 3), [-500, 1000, 1001])
  t.equal(changed.length, 39_001)
  t.same(
    [...before.changedSince(after)].map(([, { i }]) => i),
    [3, 500],
  )
  t.equal([...after.changedSince(new PersistentMap())].length, 39_999)
  t.equal(after.find(({ i }) => i > 38_000)?.i, 38_001)
  t.equal(
    after.find(({ i }) => i === 3),
    undefined,
  )
})

t.test('keys of one hash live beside each other', async (t) => {
  // Found by search: FNV-1a with this mix gives both of a pair the same 32 bits.
  const pairs = collisions(3)
  const map = new PersistentMap<string, number>()
  for (const [at, key] of pairs.flat().entries()) map.set(key, at)
  for (const [at, key] of pairs.flat().entries()) t.equal(map.get(key), at)
  for (const [first, second] of pairs) {
    map.set(first, undefined)
    t.notOk(map.has(first))
    t.ok(map.has(second))
    map.set(second, undefined)
  }
  t.equal(map.size, 0)
})

t.test('an old queue stays small: what is removed in front leaves nothing behind', async (t) => {
  const map = new PersistentMap<number, number>()
  for (let i = 0; i < 70_000; i += 1) {
    map.set(i, i)
    if (i >= 10) map.set(i - 10, undefined)
  }
  t.same(
    [...map.keys()],
    Array.from({ length: 10 }, (_, i) => 69_990 + i),
  )
})

/** Pairs of keys whose FNV-1a is the same, which a mix can't part again. */
function collisions(count: number): [string, string][] {
  const seen = new Map<number, string>()
  const found: [string, string][] = []
  for (let i = 0; found.length < count; i += 1) {
    const key = `key ${i}`
    let hash = 0x811c9dc5
    for (let at = 0; at < key.length; at += 1) {
      hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
    }
    const other = seen.get(hash)
    if (other === undefined) seen.set(hash, key)
    else found.push([other, key])
  }
  return found
}
