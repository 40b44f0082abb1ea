/** Data files in the real engine: odd names, long lines, values that a format could lose, files of others. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import type { Table } from '../../../lib/catalog/model.ts'
import { columnsOf, TestWarehouse } from '../../support/worker-engine.ts'

const warehouse = await TestWarehouse.open(t.testdir())
t.teardown(() => warehouse.close())

/** An external table over these files, by their paths in its location. */
function external(name: string, files: Record<string, string>, more: Partial<Table> = {}): Table {
  const location = join(warehouse.directory, name)
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(location, path)), { recursive: true })
    writeFileSync(join(location, path), content)
  }
  return warehouse.table(name, 'a TEXT', {
    kind: 'external',
    wholeDirectory: true,
    format: 'TEXT',
    location,
    ...more,
  })
}

/** Each says its own name. */
const speaking = (paths: readonly string[]): Record<string, string> =>
  Object.fromEntries(paths.map((path) => [path, `${path}\n`]))

t.test('a file is read under its own name, and no other one for it', async (t) => {
  const paths = [
    'x[1].csv',
    'x1.csv',
    'st*r.csv',
    'star.csv',
    'q?.csv',
    'qq.csv',
    '[!a].csv',
    'd[ab]/f',
    'da/f',
    '**',
    'back\\slash.csv',
  ]
  external('odd', speaking(paths))
  t.same(
    await warehouse.query('SELECT a FROM odd ORDER BY a'),
    paths.toSorted().map((path) => [path]),
  )
  const partitions = ['p=1/x[1].csv', 'p=2/x1.csv', 'p=[12]/x1.csv', 'p=*/x1.csv']
  external('oddparts', speaking(partitions), { partitionColumns: columnsOf('p TEXT') })
  t.same(
    await warehouse.query('SELECT a, p FROM oddparts ORDER BY a'),
    partitions.toSorted().map((path) => [path, path.split('/')[0]?.slice(2)]),
  )
})

t.test('of Parquet, too, and where queries write', async (t) => {
  const table = warehouse.table('wri[t]e*', 'a TEXT', { wholeDirectory: true, kind: 'external' })
  await warehouse.insert(table, "SELECT 'own'")
  const connection = await warehouse.engine.connect()
  for (const name of ['f[1]', 'f1']) {
    await connection.run(
      `COPY (SELECT '${name}' AS a) TO '${join(table.location, `${name}.parquet`)}'`,
    )
  }
  await connection.close()
  t.same(await warehouse.query('SELECT a FROM "wri[t]e*" ORDER BY a'), [['f1'], ['f[1]'], ['own']])
  const parted = warehouse.table('par[t]s', 'a TEXT', { partitionColumns: columnsOf('p TEXT') })
  await warehouse.insert(parted, "VALUES ('x', '[a]*'), ('y', 'a')")
  t.same(await warehouse.query('SELECT a, p FROM "par[t]s" ORDER BY a'), [
    ['x', '[a]*'],
    ['y', 'a'],
  ])
})

t.test('a name that DuckDB can not be told is told to the user', async (t) => {
  external('backslash', speaking(['a\\b[1].csv']))
  t.match(await warehouse.query('FROM backslash'), {
    kind: 'user',
    message: /a\\b\[1\]\.csv, a data file of default\.backslash, can't be read/,
  })
})
