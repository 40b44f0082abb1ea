/** The soak's last word: whatever was lost, doubled, never read or never struck ends it with an exit code. */
import t from 'tap'
import { placeOf } from '../../soak/ground/faults.ts'
import { type Kind, kindTable, newKind, shortfalls } from '../../soak/ground/verdict.ts'

const NONE = { lost: 0, doubled: 0, foreign: 0, unread: 0 }
const kind = (name: string, count: number, more: Partial<Kind> = {}): Kind => ({
  ...newKind(name),
  count,
  ...more,
})

t.test('a success says nothing; anything else says what', (t) => {
  const often = [kind('disk full', 10), kind('read-only', 44)]
  t.same(shortfalls(often, NONE, 60), [])
  for (const what of ['lost', 'doubled', 'foreign', 'unread'] as const) {
    t.match(shortfalls(often, { ...NONE, [what]: 1 }, 60), [new RegExp(`^${what}: 1 `)])
  }
  t.match(shortfalls([...often, kind('kill -9', 9)], NONE, 60), [
    /^rare: "kill -9" struck 9 .* 10$/,
  ])
  t.match(shortfalls([kind('kill -9', 0)], NONE, 6), [/^rare/])
  t.same(shortfalls([kind('kill -9', 0)], NONE, 5), [], 'a short run need not come to all')
  t.match(shortfalls(often, null, 1), [/not read at the end/])
  t.end()
})

t.test('the table has each kind with what followed it, and all', (t) => {
  const kinds = [kind('disk full', 12), kind('read-only', 3, { lost: 2, doubled: 1 })]
  t.same(kindTable(kinds, { ...NONE, lost: 2, doubled: 1 }), [
    'kind         count     lost  doubled',
    'disk full       12        0        0',
    'read-only        3        2        1',
    'all             15        2        1',
  ])
  t.end()
})

t.test('files of many terms, parts and members are of one kind', (t) => {
  const kinds = (...paths: string[]): number => new Set(paths.map(placeOf)).size
  t.equal(
    kinds(
      'system/ha/active/epoch-0000000001/heartbeat',
      'system/ha/active/epoch-0000000027/heartbeat',
    ),
    1,
  )
  t.equal(
    kinds('ha/backup/one_26001.network-3f2a-77bc-7', 'ha/backup/one_26001.network-00ce-1b2c-12'),
    1,
  )
  t.equal(kinds('ha/history/0000000001.json', 'ha/history/0000000001.served.json'), 2)
  t.end()
})
