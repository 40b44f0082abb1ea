/**
 * What the election's history says of the shared catalog: which term must have left something there, after moves to other
 * stores and back, after formatHA, and where the records are of an earlier version, torn or gone.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readServed, servedNote } from '../../../lib/catalog/shared/begun.ts'

const name = (term: number, more = ''): string => `${String(term).padStart(10, '0')}${more}.json`
const PHASES = { noticedMs: 0, decidedMs: 0, claimedMs: 0, endedMs: 0, settledMs: 0 }

/** A term by what it has left: `null` for one that never served. */
type Left = {
  readonly note?: string
  readonly format?: boolean
  readonly torn?: boolean
  /** The history's record is gone, and maybe the one in its own directory as well. */
  readonly gone?: 'record' | 'both'
} | null

function historyOf(t: Test, terms: readonly Left[]): string {
  const ha = join(t.testdir({}), 'ha')
  const history = join(ha, 'history')
  mkdirSync(history, { recursive: true })
  for (const [index, left] of terms.entries()) {
    const term = index + 1
    const who = { term, address: 'm:1', hostname: 'h', nonce: 'n', evidence: '', at: '' }
    const reason = left?.format === true ? 'format' : 'released'
    const record = { ...who, reason, previousTerm: index, previousAddress: null }
    writeFileSync(join(history, name(term)), `${JSON.stringify(record)}\n`)
    writeFileSync(join(history, name(term, '.opened')), '{}\n')
    if (left === null) continue
    const phases = { ...PHASES, openedMs: 0, totalMs: 0 }
    const served = { term, servedAt: '', previousEnd: null, phases }
    const text = JSON.stringify({ ...served, ...(left.note && { catalog: left.note }) })
    const own = join(ha, 'active', `epoch-${name(term).slice(0, 10)}`)
    mkdirSync(own, { recursive: true })
    const paths = [join(history, name(term, '.served')), join(own, 'served.json')]
    for (const path of paths.slice(left.gone === undefined ? 0 : left.gone === 'both' ? 2 : 1)) {
      writeFileSync(path, left.torn === true ? text.slice(0, 9) : text)
    }
  }
  return ha
}

const SHARED: Left = { note: servedNote('SharedStore', 2, ['snapshot-0000000002']) }
const OTHER: Left = { note: servedNote('PostgreSQL db:5432/catalog') }
const FORMAT: Left = { format: true }
/** Of an earlier version: no note. */
const OLD: Left = {}

t.test('the newest term that has served decides, by its store', async (t) => {
  const cases: [string, readonly Left[], { term: number; part: number | null } | null][] = [
    ['it had this store', [SHARED], { term: 1, part: 2 }],
    ['a term above it never served', [SHARED, null, null], { term: 1, part: 2 }],
    ['nobody ever served', [null, null], null],
    ['it had another store', [SHARED, OTHER], null],
    ['another store and back', [SHARED, FORMAT, OTHER, FORMAT, SHARED], { term: 5, part: 2 }],
    ['another store, and the first term back never served', [SHARED, OTHER, FORMAT, null], null],
    ['formatHA changes no catalog', [SHARED, FORMAT], { term: 1, part: 2 }],
    ['an earlier version', [OLD, null], { term: 1, part: null }],
    ['an earlier version, formatted since: its store is not known', [OLD, FORMAT], null],
    ['a torn record', [{ torn: true }], { term: 1, part: null }],
    ['its record is gone', [{ ...SHARED, gone: 'record' }, null], { term: 1, part: 2 }],
    [
      'the newest record alone is gone',
      [OTHER, { ...SHARED, gone: 'record' }],
      { term: 2, part: 2 },
    ],
    ['a record that is gone names another store', [SHARED, { ...OTHER, gone: 'record' }], null],
    [
      'the records of all are gone',
      [SHARED, SHARED].map((one) => ({ ...one, gone: 'record' })),
      { term: 2, part: 2 },
    ],
    // As after an opening that was cut short: nothing was acknowledged in it.
    ['opened, and no word of having served', [{ ...SHARED, gone: 'both' }], null],
  ]
  for (const [what, terms, expected] of cases) {
    const { begun, recorded } = await readServed(historyOf(t, terms), terms.length + 1)
    t.same(begun === null ? null : { term: begun.term, part: begun.part }, expected, what)
    t.ok(recorded, what)
  }
})

t.test(
  'a record that is gone, of another store: its own directory tells it there too',
  async (t) => {
    const ha = historyOf(t, [{ ...OTHER, gone: 'record' }, null])
    const { begun } = await readServed(ha, 3, 'PostgreSQL db:5432/catalog')
    t.match(begun, { term: 1, part: null })
  },
)

t.test('a history that is gone says so', async (t) => {
  const ha = historyOf(t, [SHARED, SHARED])
  t.same(await readServed(ha, 1), {
    begun: { term: 1, part: 2, by: 'the history says that term 1 has served with it' },
    recorded: false,
  })
  rmSync(join(ha, 'history'), { recursive: true })
  t.same(await readServed(ha, 3), { begun: null, recorded: false })
  t.same(await readServed(join(ha, 'nowhere'), 3), { begun: null, recorded: false })
  writeFileSync(join(ha, 'history'), '')
  await t.rejects(readServed(ha, 3), { name: 'FileError', errno: 'ENOTDIR' })
})
