/** Columns that are alike are one object, however a table has come into the catalog, and each table has its own all the same. */
import t from 'tap'
import { Draft } from '../../../lib/catalog/apply.ts'
import type { Column } from '../../../lib/catalog/model.ts'
import { CatalogState, EMPTY } from '../../../lib/catalog/state.ts'
import { tableOf, transaction } from '../../contract/catalog.ts'

const column = (name: string, type = 'TEXT'): Column => ({ name, type })

const tableWith = (id: number, columns: Column[], partitionColumns: Column[] = []) =>
  tableOf(id, { columns, partitionColumns })

t.test('those of tables that are made, altered, and read', async (t) => {
  const draft = Draft.of(CatalogState.from(EMPTY))
  draft.apply(
    transaction([
      { do: 'create-table', table: tableWith(1, [column('a'), column('b')], [column('p')]) },
      { do: 'create-table', table: tableWith(2, [column('b'), column('a')]) },
      { do: 'add-column', tableId: 2, column: column('p') },
      { do: 'rename-column', tableId: 2, from: 'a', to: 'c' },
      { do: 'add-column', tableId: 1, column: column('c') },
    ]),
  )
  const copy = JSON.parse(JSON.stringify(draft.toData().tables.map(({ columns }) => columns)))
  const read = CatalogState.from({
    ...EMPTY,
    tables: [tableWith(3, copy[0]), tableWith(4, copy[1])],
  })
  const of = (state: CatalogState, id: number): readonly Column[] => {
    const { columns = [], partitionColumns = [] } = state.table(id) ?? {}
    return [...columns, ...partitionColumns]
  }
  const all = [of(draft, 1), of(draft, 2), of(read, 3), of(read, 4)]
  t.strictSame(
    all.map((columns) => columns.map(({ name }) => name).join('')),
    ['abcp', 'bcp', 'abc', 'bcp'],
  )
  t.equal(new Set(all.flat()).size, 4)
})

t.test('one name of another type is another column', async (t) => {
  const tables = [tableWith(1, [column('a', 'INT4')]), tableWith(2, [column('a', 'INT8')])]
  const state = CatalogState.from({ ...EMPTY, tables })
  t.strictSame(
    [1, 2].map((id) => state.table(id)?.columns),
    [[column('a', 'INT4')], [column('a', 'INT8')]],
  )
})

t.test('a list that needs no other columns stays the same list', async (t) => {
  const draft = Draft.of(CatalogState.from(EMPTY))
  const create = { do: 'create-table', table: tableWith(1, [column('a')]) } as const
  draft.apply(transaction([create]))
  const before = draft.table(1)
  draft.apply(transaction([{ do: 'set-options', tableId: 1, options: { x: 'y' } }]))
  t.equal(draft.table(1)?.columns, before?.columns)
  t.equal(draft.table(1)?.partitionColumns, before?.partitionColumns)
})

t.test('more columns than are remembered', async (t) => {
  const names = Array.from({ length: 25_000 }, (_, at) => `c${at}`)
  const tables = [1, 2].map((id) =>
    tableWith(
      id,
      names.map((name) => column(name)),
    ),
  )
  const state = CatalogState.from({ ...EMPTY, tables })
  for (const id of [1, 2]) t.strictSame(state.table(id)?.columns, tables[0]?.columns)
  const [first, again] = [1, 2].map((id) => state.table(id)?.columns[0])
  t.not(first, again, 'the first ones were forgotten')
})
