/** Data files in the real engine: odd names, long lines, values that a format could lose, files of others. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import type { Table } from '../../../lib/catalog/model.ts'
import { testdirOf } from '../../support/testdir.ts'
import { columnsOf, TestWarehouse } from '../../support/worker-engine.ts'

const warehouse = await TestWarehouse.open(testdirOf(t))
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
  const connection = await warehouse.connect()
  for (const name of ['f[1]', 'f1']) {
    await connection.run(
      `COPY (SELECT '${name}' AS a) TO '${join(table.location, `${name}.parquet`)}'`,
    )
  }
  await connection.close()
  t.same(await warehouse.query('SELECT a FROM "wri[t]e*" ORDER BY a'), [['f1'], ['f[1]'], ['own']])
  warehouse.table('write', 'a TEXT', { wholeDirectory: true, kind: 'external' })
  mkdirSync(join(warehouse.directory, 'default', 'write'))
  for (const name of ['f[1].parquet', 'f1.parquet']) {
    copyFileSync(join(table.location, name), join(warehouse.directory, 'default', 'write', name))
  }
  t.same(await warehouse.query('SELECT a FROM write ORDER BY a'), [['f1'], ['f[1]']])
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

t.test('digits of a NUMERIC are not lost in JSON, wherever it stands', async (t) => {
  const table = warehouse.table('digits', '', {
    format: 'JSON',
    columns: [
      { name: 'n', type: 'NUMERIC(20,5)' },
      { name: 'w', type: 'NUMERIC(38,10)' },
      { name: 'l', type: 'ARRAY<NUMERIC(20,5)>' },
      { name: 'r', type: 'RECORD(a INT4, "DECIMAL(9,9)" NUMERIC(30,10))' },
      { name: 'm', type: 'MAP<TEXT, NUMERIC(20,5)>' },
      { name: 'f', type: 'FLOAT4' },
    ],
  })
  await warehouse.insert(
    table,
    `SELECT 12345678901234.56789, 1234567890123456789012345678.0123456789, [12345678901234.56789, NULL],
       {'a': 1, 'DECIMAL(9,9)': 12345678901234567890.0123456789}, MAP {'k': -12345678901234.56789}, 0.1
     UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL`,
  )
  t.same(await warehouse.query('SELECT n, w, l, r, m, f = 0.1::FLOAT4 FROM digits'), [
    [
      '12345678901234.56789',
      '1234567890123456789012345678.0123456789',
      ['12345678901234.56789', null],
      { a: 1, 'DECIMAL(9,9)': '12345678901234567890.0123456789' },
      [{ key: 'k', value: '-12345678901234.56789' }],
      true,
    ],
    [null, null, null, null, null, null],
  ])
  external(
    'numbers',
    { 'x.json': '{"n":1.25}\n{"n":"1.25"}\n' },
    {
      format: 'JSON',
      columns: columnsOf('n NUMERIC(20,5)'),
    },
  )
  t.same(await warehouse.query('FROM numbers'), [['1.25000'], ['1.25000']], 'numbers of others')
})

t.test('bytes come back from JSON as they were, wherever they stand', async (t) => {
  const columns = [
    { name: 'a', type: 'INT4' },
    { name: 'b', type: 'BLOB' },
    { name: 'l', type: 'ARRAY<BLOB>' },
    { name: 'r', type: 'RECORD("BLOB" TEXT, x BLOB)' },
  ]
  const table = warehouse.table('bytes', '', { format: 'JSON', columns })
  const bytes = String.raw`'\xFF\x00a"\x5Cx41\xC3\xA9'::BLOB`
  const made = await warehouse.insert(
    table,
    `VALUES (1, ${bytes}, [${bytes}, NULL], {'BLOB': '\\x41', 'x': ${bytes}}), (2, NULL, [], NULL), (3, ''::BLOB, NULL, NULL)`,
  )
  t.notOk('kind' in made, JSON.stringify(made))
  const hex = 'FF0061225C783431C3A9'
  t.same(
    await warehouse.query(
      'SELECT a, hex(b), list_transform(l, x -> hex(x)), r."BLOB", hex(r.x) FROM bytes ORDER BY a',
    ),
    [
      [1, hex, [hex, null], String.raw`\x41`, hex],
      [2, null, [], null, null],
      [3, '', null, null, null],
    ],
  )
  const location = join(warehouse.directory, 'others')
  mkdirSync(location)
  writeFileSync(join(location, 'x.json'), '{"b":"é"}\n{"b":"plain"}\n{"b":"no \\\\ code"}\n')
  warehouse.table('others', 'b BLOB', {
    ...{ format: 'JSON', kind: 'external', wholeDirectory: true, location },
  })
  t.same(await warehouse.query('SELECT decode(b) FROM others'), [['é'], ['plain'], ['no \\ code']])
})

t.test('no row is written as an empty line', async (t) => {
  const options = { 'text.quote': '', 'text.null': 'NULL' }
  const table = warehouse.table('lines', 'a TEXT', { format: 'TEXT', options })
  t.match(await warehouse.insert(table, "VALUES ('x'), ('')"), {
    kind: 'user',
    message: 'an empty line, which would be passed over',
  })
  t.match(await warehouse.insert(table, "VALUES ('x'), (NULL)"), { rows: 2 })
  t.same(await warehouse.query('FROM lines'), [['x'], [null]])
  const two = warehouse.table('two', 'a TEXT, b TEXT', { format: 'TEXT', options })
  t.match(await warehouse.insert(two, "VALUES ('', '')"), { rows: 1 })
  t.same(await warehouse.query('FROM two'), [['', '']], 'two columns have a delimiter')
})

t.test('a row that is too long to be read back is not written', async (t) => {
  const tooLong = { kind: 'user', message: /^a row has more than \d+ bytes as .*: use PARQUET/ }
  const text = warehouse.table('long', 'a TEXT, b INT4, c TEXT', { format: 'TEXT' })
  const bare = warehouse.table('longbare', 'a TEXT', {
    format: 'TEXT',
    options: { 'text.quote': '' },
  })
  for (const a of [
    "repeat('x', 2000000)",
    `repeat('"', 1100000)`,
    "repeat('x', 1000000) || repeat('\"', 600000)",
  ]) {
    t.match(await warehouse.insert(text, `SELECT ${a}, 1, NULL`), tooLong, a)
  }
  const half = "repeat('x', 1000000)"
  t.match(await warehouse.insert(text, `SELECT ${half}, 1, ${half}`), tooLong)
  t.match(await warehouse.insert(bare, "SELECT repeat('x', 2000000)"), tooLong)
  const longest = `repeat('"', 999800), 7, ''`
  t.match(await warehouse.insert(text, `SELECT ${longest} FROM range(3)`), { rows: 3 })
  t.same(await warehouse.query('SELECT strlen(a), b FROM long'), Array(3).fill([999800, 7]))
  t.match(await warehouse.insert(bare, "SELECT repeat('x', 1999899) FROM range(3)"), { rows: 3 })
  t.same(await warehouse.query('SELECT strlen(a) FROM longbare'), Array(3).fill([1999899]))

  const json = warehouse.table('longjson', 'a TEXT', { format: 'JSON' })
  t.match(await warehouse.insert(json, "SELECT repeat('x', 16777209)"), tooLong)
  t.match(await warehouse.insert(json, "SELECT repeat('x', 16777208) FROM range(3)"), { rows: 3 })
  t.same(await warehouse.query('SELECT strlen(a) FROM longjson'), Array(3).fill([16777208]))
})

t.test('a value of Parquet that does not fit is told with table and column', async (t) => {
  const location = join(warehouse.directory, 'types')
  mkdirSync(location)
  const connection = await warehouse.connect()
  await connection.run(
    `COPY (SELECT 5::BIGINT AS d, 'x7' AS n, '8' AS s, 300::INTEGER AS w, NULL::BIGINT AS e) TO '${location}/f.parquet'`,
  )
  await connection.close()
  const more = { kind: 'external', wholeDirectory: true, location } as const
  warehouse.table('types', 'd DATE, n INT4, s INT4, w INT8, e DATE', more)
  const fails = async (column: string, message: string) =>
    t.match(await warehouse.query(`SELECT ${column} FROM types`), { kind: 'user', message })
  await fails(
    'd',
    'column d of default.types is DATE, and in its Parquet files INT8: a value there does not fit: 5',
  )
  await fails(
    'n',
    'column n of default.types is INT4, and in its Parquet files TEXT: a value there does not fit: x7',
  )
  t.same(await warehouse.query('SELECT s, w, e FROM types WHERE w = 300'), [[8, 300, null]])
})
