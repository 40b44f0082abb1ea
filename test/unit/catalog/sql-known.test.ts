/**
 * What is kept of each change of a catalog in a database, and what others make of it: the same state, and the same numbers
 * of the rows, as the master has that wrote it.
 */
import { inspect, isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { ChangeText, changesIn } from '../../../lib/catalog/database/sql-changes.ts'
import type { SqlConnection } from '../../../lib/catalog/database/sql-connection.ts'
import { type RowNumbers, writeDelta } from '../../../lib/catalog/database/sql-delta.ts'
import { KnownRows } from '../../../lib/catalog/database/sql-known.ts'
import { CatalogState, EMPTY } from '../../../lib/catalog/state.ts'
import { fc } from '../../support/properties.ts'
import { randomOf } from '../../support/random.ts'
import { RandomChanges } from '../../support/random-changes.ts'

/** What is written to it is not the matter here. */
const NOWHERE: SqlConnection = {
  session: '',
  query: async () => [],
  release: () => undefined,
  destroy: () => undefined,
}

const DEEP = { depth: 9, maxArrayLength: 1000 }

const numbersOfEmpty = (): RowNumbers => ({
  files: new WeakMap(),
  databases: new Map([['default', 1]]),
  outcomes: new Map(),
  litter: new Map(),
  publications: new Map(),
  users: new Map(),
  next: 2,
})

const start = (): KnownRows =>
  new KnownRows(CatalogState.from(EMPTY), numbersOfEmpty(), { no: 0, mark: 'm0' })

/** All that the two must have in common, to compare. */
function allOf({ state, numbers }: { state: CatalogState; numbers: RowNumbers }) {
  const { outcomes, litter, databases, publications, users } = numbers
  const maps = { outcomes, litter, databases, publications, users }
  const files = [...state.allTables()].map((table) => [
    table.id,
    [...table.files.pieces()]
      .flatMap((piece) => {
        const known = numbers.files.get(piece) ?? []
        return [...piece].map((file, at) => [known[at] ?? 'none', JSON.stringify(file)])
      })
      .sort(([a], [b]) => Number(a) - Number(b)),
  ])
  const { tables, ...more } = state.toData()
  const heads = tables.map(({ files: _, ...head }) => ({
    ...head,
    isFound: state.find(head.database, head.name)?.id,
  }))
  const byName = <T extends object>(rows: readonly T[]) =>
    rows.map((row) => JSON.stringify(row)).sort()
  const sortedMaps = Object.values(maps).map((map) => [...map].sort(([, a], [, b]) => a - b))
  return {
    files,
    heads,
    // Their order is their numbers'.
    outcomes: more.outcomes,
    nextTableId: more.nextTableId,
    databases: [
      byName(more.databases),
      state.databaseNames(),
      state.databaseNames().map((name) => state.tableCount(name)),
    ],
    litter: byName(more.litter),
    publications: byName(more.publications),
    maps: sortedMaps,
  }
}

t.test('whoever takes what is kept has what the writer has, numbers included', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 40 }), async (seed, steps) => {
      const random = new RandomChanges(randomOf(seed))
      let state = CatalogState.from(EMPTY)
      const numbers = numbersOfEmpty()
      const known = start()
      for (let step = 1; step <= steps; step += 1) {
        const { delta, after } = random.batch(state, step)
        const { changes, note } = await writeDelta(NOWHERE, delta, numbers)
        note()
        state = after
        for (const piece of changes) {
          const next = { no: known.no + 1, follows: known.mark, mark: `m${known.no + 1}` }
          known.take({ ...next, changes: piece, nextTableId: delta.nextTableId })
        }
        const [wanted, found] = [allOf({ state, numbers }), allOf(known)]
        if (isDeepStrictEqual(wanted, found)) continue
        throw new Error(
          `step ${step}: ${inspect(found, DEEP)}\ninstead of ${inspect(wanted, DEEP)}`,
        )
      }
    }),
    { numRuns: 100 },
  )
  t.pass()
})

t.test('what does not fit is refused', async (t) => {
  const fits = { no: 1, follows: 'm0', mark: 'm1', nextTableId: 1 }
  const said = (changes: unknown[], more = {}) => {
    const one = { ...fits, changes: JSON.stringify(changes), ...more }
    return () => start().take(one)
  }
  t.doesNotThrow(said([]))
  t.throws(said([], { follows: 'm5' }), /doesn't follow/)
  t.throws(said([], { changes: '[{' }), SyntaxError)
  t.throws(said([{ do: 'read-all' }]), /too long/)
  t.throws(said([{ do: 'something' }]), /nobody handles/)
  t.throws(said([{ do: 'options', table: 7, options: {} }]), /no table 7/)
  t.throws(said([{ do: 'tables-gone', ids: [7] }]), /no table 7/)
  const columns = { columns: [], partitionColumns: [] }
  t.throws(said([{ do: 'columns', table: 7, ...columns }]), /no table 7/)
  const head = { ...{ id: 1, database: 'default', name: 'a' }, location: '/a' }
  const files = { ...{ do: 'files', table: 1, partition: [] }, gone: [9], come: [] }
  t.throws(said([{ do: 'head', head }, files]), /nobody knows/)
})

t.test('a state that was given away stays as it is', async (t) => {
  const known = start()
  const before = known.state
  const put = [[2, { name: 'x', createdAt: '' }]]
  const changes = JSON.stringify([{ do: 'rows', of: 'databases', gone: [], put }])
  known.take({ no: 1, follows: 'm0', mark: 'm1', nextTableId: 1, changes })
  t.strictSame(known.state.databaseNames(), ['default', 'x'])
  t.strictSame(before.databaseNames(), ['default'])
})

t.test('a long change comes in pieces, and one that is too long not at all', async (t) => {
  const text = new ChangeText()
  t.strictSame(new ChangeText().pieces(), ['[]'], 'what changes nothing has a piece as well')
  const paths = Array.from({ length: 5000 }, (_, at) => `${at}`.padStart(200, '/'))
  text.addRows('litter', paths, [])
  const pieces = text.pieces()
  t.ok(pieces.length > 3, `${pieces.length}`)
  t.ok(pieces.every((piece) => piece.length < 500_000))
  t.strictSame(
    pieces.flatMap(changesIn).flatMap((change) => (change.do === 'rows' ? change.gone : [])),
    paths,
  )
  const long = new ChangeText()
  long.add({ do: 'options', table: 1, options: { big: 'x'.repeat(2_000_000) } })
  long.add({ do: 'tables-gone', ids: [1] })
  t.strictSame(long.pieces().map(changesIn), [[{ do: 'read-all' }]])
  const many = new ChangeText()
  for (let at = 0; at < 20; at += 1) {
    many.add({ do: 'options', table: 1, options: { big: 'x'.repeat(900_000) } })
  }
  t.strictSame(many.pieces().map(changesIn), [[{ do: 'read-all' }]])
})
