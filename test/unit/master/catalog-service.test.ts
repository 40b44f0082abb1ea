import t from 'tap'
import {
  CatalogState,
  type Change,
  Draft,
  EMPTY,
  FileList,
  type Table,
} from '../../../lib/catalog/index.ts'
import { catalogService } from '../../../lib/master/queries/catalog/catalog-service.ts'
import { sortedNames } from '../../../lib/master/queries/statements/names.ts'
import { HandClock } from '../../support/hand-clock.ts'

const tableOf = (id: number, name: string): Table => ({
  id,
  database: 'default',
  name,
  kind: 'managed',
  format: 'TEXT',
  options: {},
  columns: [{ name: 'c', type: 'TEXT' }],
  partitionColumns: [],
  location: `/warehouse/${name}`,
  wholeDirectory: false,
  files: FileList.EMPTY,
  schemaVersion: 1,
  createdAt: '2026-01-01T00:00:00.000Z',
})

const NAMES = ['orders', 'Sales', 'sales_2', 'users', 'a', 'sales_10']

function service() {
  const tables = NAMES.map((name, at) => tableOf(at + 1, name))
  const state = CatalogState.from({ ...EMPTY, tables, nextTableId: tables.length + 1 })
  const port = { state: () => state, transact: async () => state }
  const { tables: list } = catalogService(port, new HandClock())
  return async (asked: Omit<Parameters<typeof list>[0], 'database'>, database = 'default') => {
    const context = { from: 'test', pass: null, caller: null }
    const { tables, total } = await list({ database, ...asked }, context)
    return { names: tables.map(({ name }) => name), total }
  }
}

t.test('tables are listed by name, all of them or a part', async (t) => {
  const list = service()
  const all = ['Sales', 'a', 'orders', 'sales_10', 'sales_2', 'users']
  t.same(await list({}), { names: all, total: 6 })
  t.same(await list({ limit: 2 }), { names: all.slice(0, 2), total: 6 })
  t.same(await list({ limit: 2, offset: 5 }), { names: ['users'], total: 6 })
  t.same(await list({ limit: 2, offset: 9 }), { names: [], total: 6 })
  t.same(await list({ limit: 3, after: 'orders' }), { names: all.slice(3), total: 3 })
  t.same(await list({ limit: 3, after: 'zz' }), { names: [], total: 0 })
  t.same(await list({ search: 'SALES' }), { names: ['Sales', 'sales_10', 'sales_2'], total: 3 })
  t.same(await list({ search: 'sales', limit: 1, offset: 1 }), { names: ['sales_10'], total: 3 })
  t.same(await list({ names: ['users', 'nix', 'a', 'a'] }), { names: ['a', 'users'], total: 2 })
  await t.rejects(list({}, 'nowhere'), { code: 'BAD_REQUEST', message: /nowhere does not exist/ })
})

t.test('names stay sorted while tables come, go and are renamed', async (t) => {
  const draft = Draft.of(CatalogState.from(EMPTY))
  const expected = new Map<string, number>()
  const apply = (change: Change): void =>
    draft.apply({ by: 'test', atMs: 1, changes: [change], outcome: null })
  for (let round = 0; round < 30; round += 1) {
    for (let i = 0; i < (round === 20 ? 1500 : 7); i += 1) {
      const id = draft.nextTableId
      const name = `t${(id * 7919) % 100_003}`
      apply({ do: 'create-table', table: tableOf(id, name) })
      expected.set(name, id)
    }
    const [first, second] = [...expected.keys()].slice(round)
    if (first === undefined || second === undefined) continue
    apply({ do: 'drop-table', tableId: expected.get(first) ?? 0, litter: [] })
    expected.delete(first)
    const id = expected.get(second) ?? 0
    apply({ do: 'rename-table', tableId: id, name: `s${id}_${round}` })
    expected.delete(second)
    expected.set(`s${id}_${round}`, id)
    const names = await sortedNames(draft.seal().state, 'default')
    if (JSON.stringify(names) !== JSON.stringify([...expected.keys()].sort())) {
      t.same(names, [...expected.keys()].sort(), `round ${round}`)
      return
    }
  }
  t.pass('at each of 30 states')
})
