/**
 * Tables in pieces: what comes out is what went in, by way of JSON, and no piece is long.
 */
import t from 'tap'
import type { CatalogData, DataFile } from '../../../lib/catalog/model.ts'
import { CatalogState, EMPTY, StateBuilder } from '../../../lib/catalog/state.ts'
import { TableAssembler, type TablePiece, tablePieces } from '../../../lib/catalog/table-pieces.ts'
import { fileOf, outcomeOf, tableOf } from '../../contract/catalog.ts'

const byJson = <T>(value: T): T => JSON.parse(JSON.stringify(value))
const files = (count: number, partitions: number): DataFile[] =>
  Array.from({ length: count }, (_, at) =>
    fileOf(`data-${at}/f`, {
      rows: at % 3 === 0 ? null : at,
      partition: partitions === 0 ? [] : [`p${at % partitions}`, at % 2 === 0 ? null : 'ä'],
    }),
  )
const filesIn = ({ files }: { readonly files: readonly { readonly paths: readonly string[] }[] }) =>
  files.reduce((sum, { paths }) => sum + paths.length, 0)

t.test('a table is whole again of its pieces, and no piece has more than 1000 files', async (t) => {
  for (const [count, partitions] of [
    ...[
      [0, 0],
      [1, 0],
      [999, 1],
      [1000, 0],
      [1001, 0],
      [2500, 0],
      [3000, 7],
      [5000, 1300],
    ],
  ] as [number, number][]) {
    const table = tableOf(7, { files: files(count, partitions) })
    const pieces = [...tablePieces(table)].map(byJson)
    t.ok(pieces.every((piece) => filesIn(piece) <= 1000))
    const assembler = new TableAssembler()
    const made = pieces.map((piece) => assembler.add(piece))
    t.same(made.pop(), table, `${count} files in ${partitions} partitions`)
    t.ok(made.every((one) => one === null))
    t.equal(assembler.unfinished, null)
  }
})

t.test('pieces that do not follow each other are refused', async (t) => {
  const [start, rest, last] = [...tablePieces(tableOf(7, { files: files(2500, 0) }))]
  const other: TablePiece = { moreOf: 8, files: [] }
  const refused = (...pieces: (TablePiece | undefined)[]): string => {
    const assembler = new TableAssembler()
    try {
      for (const piece of pieces) assembler.add(piece as TablePiece)
    } catch (error) {
      return (error as Error).message
    }
    return `not refused; unfinished: ${assembler.unfinished}`
  }
  t.match(refused(rest), 'files of table 7 follow, which did not begin')
  t.match(refused(start, other), 'files of table 8 follow, which did not begin')
  t.match(refused(start, start), /table 7 begins, and \d+ files of 7 are missing/)
  t.match(refused(start, rest, rest, rest), 'table 7 has more files than it said')
  t.equal(refused(start, rest), 'not refused; unfinished: 7')
  t.match(refused(start, rest, last, last), 'which did not begin')
})

const load: CatalogData = {
  ...EMPTY,
  databases: [...EMPTY.databases, { name: 'x', createdAt: '' }],
  tables: [tableOf(1, { files: files(2100, 3) }), tableOf(2, { name: 'b' })],
  outcomes: Array.from({ length: 1500 }, (_, at) => outcomeOf(`q${at}`)),
  litter: Array.from({ length: 2500 }, (_, at) => ({ path: `/l${at}`, sinceMs: at })),
  publications: [{ queryId: 'p', staging: '/s', location: '/t' }],
  nextTableId: 3,
}
t.test('a state is made of its rows in any order, call by call', async (t) => {
  const builder = new StateBuilder()
  for (const table of [...load.tables].reverse()) builder.add({ tables: [table] })
  for (const one of load.outcomes) builder.add({ outcomes: [one] })
  builder.add({ litter: load.litter, publications: load.publications })
  builder.add({ databases: load.databases })
  const state = builder.done(3)
  const byId = (data: CatalogData) => ({
    ...data,
    tables: [...data.tables].sort((a, b) => a.id - b.id),
  })
  t.same(byId(state.toData()), byId(CatalogState.from(load).toData()))
  t.equal(state.find('default', 'b')?.id, 2)
  t.same(state.tablesOf('x'), [])
  t.equal(state.tablesOf('none'), null)
})
