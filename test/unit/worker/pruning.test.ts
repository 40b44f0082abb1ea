/**
 * Files of partitions that a query can't need are not looked at, and that makes no difference to any query: each is run
 * over partitioned tables and over the same rows in tables without partitions.
 */
import t from 'tap'
import { FileList } from '../../../lib/catalog/file-list.ts'
import type { Table } from '../../../lib/catalog/model.ts'
import { fc } from '../../support/properties.ts'
import { testdirOf } from '../../support/testdir.ts'
import { columnsOf, TestWarehouse } from '../../support/worker-engine.ts'

const home = testdirOf(t)
const warehouse = await TestWarehouse.open(home)
t.teardown(() => warehouse.close())

async function inserted(name: string, columns: string, rows: string, by: string): Promise<Table> {
  const all = columnsOf(columns)
  const names = by.split(' ')
  const own = all.filter((column) => !names.includes(column.name))
  const flat = warehouse.table(`${name}_flat`, columns)
  const table = warehouse.table(name, own.map((one) => `${one.name} ${one.type}`).join(', '), {
    partitionColumns: names.flatMap((one) => all.filter((column) => column.name === one)),
  })
  for (const [target, more] of [
    [flat, {}],
    [table, { partitionBy: names.map((one) => ({ name: one, type: null })) }],
  ] as const) {
    const written = await warehouse.insert(target, rows, more as never)
    if ('kind' in written) throw new Error(written.message)
  }
  return warehouse.tables.get(`default.${name}`) ?? table
}

const numbers = await inserted(
  's',
  'a INT4, y INT4, d DATE',
  "SELECT i AS a, nullif(i % 5, 4) * 3 - 3 AS y, DATE '2026-01-01' + (i % 3)::INT AS d FROM range(60) r(i)",
  'y d',
)
await inserted(
  'l',
  'k INT4, y2 INT8, p TEXT',
  "SELECT i * 2 AS k, (i % 2)::INT8 AS y2, ['a', 'B', 'ä', '', NULL, '10'][i % 6 + 1] AS p FROM range(40) r(i)",
  'p',
)
await inserted('m', 'b INT4, y TEXT', "VALUES (1, '03'), (2, '3'), (3, '6')", 'y')
// A value that is spelt in another way, as only somebody else's tools would.
const odd = numbers.files.partition(['3', '2026-01-01'])
const spelt = [...(odd ?? [])].map((file) => ({ ...file, partition: ['03', '2026-01-01'] }))
warehouse.put({
  ...numbers,
  files: numbers.files.withoutPartition(['3', '2026-01-01']).append(spelt),
})

const shown = (rows: readonly unknown[]): string =>
  JSON.stringify(rows.map((row) => JSON.stringify(row)).sort())
const flat = (sql: string): string => sql.replace(/\b([slm])\b(?=[^.]|$)/g, '$1_flat')

/** Tables are called s, l and m, as aliases are not. Which value can't be converted first is the engine's to choose. */
async function same(sql: string): Promise<string> {
  const [pruned, whole] = [await warehouse.query(sql), await warehouse.query(flat(sql))]
  if (!Array.isArray(pruned) || !Array.isArray(whole)) return 'an error'
  if (shown(pruned) === shown(whole)) return shown(whole)
  throw new Error(`${sql}: ${JSON.stringify(pruned)}, and ${JSON.stringify(whole)} of all`)
}

async function told(sql: string): Promise<number | string> {
  if ((await same(sql)) === 'an error') return 'an error'
  warehouse.told = 0
  await warehouse.query(sql)
  return warehouse.told
}

const all = 15
t.test('what a query can not need is not told of', async (t) => {
  const cases: [number | string, string][] = [
    [all, 'SELECT * FROM s'],
    [4, 'SELECT * FROM s WHERE y = 0'],
    [4, 'SELECT * FROM s X WHERE 0 = x.Y'],
    [1, "SELECT * FROM s WHERE y = 0 AND d = '2026-01-02'"],
    [1, "SELECT * FROM s x WHERE x.y = '0' AND x.d = DATE '2026-01-02' AND a > 3"],
    [7, 'SELECT * FROM s WHERE y IN (0, 6, 99)'],
    [8, "SELECT * FROM s WHERE y = -3 OR (y >= 3 AND d > '2026-01-01') OR y = 3"],
    [1, 'SELECT * FROM s WHERE y BETWEEN 100 AND 200'],
    [all, 'SELECT * FROM s WHERE y = 0 OR a = 1'],
    [all, 'SELECT * FROM s WHERE y + 0 = 0'],
    [all, 'SELECT * FROM s WHERE y IS NULL'],
    [all, 'SELECT * FROM s WHERE NOT y = 0'],
    [1, "SELECT * FROM l WHERE p = 'ä'"],
    [1, "SELECT * FROM l WHERE p > 'a'"],
    ['an error', 'SELECT * FROM l WHERE p = 10'],
    [5, "SELECT * FROM s x JOIN l ON k = a WHERE y = 0 AND p = 'a'"],
    [all + 1, "SELECT * FROM s x LEFT JOIN l z ON z.k = x.a WHERE z.p = 'a'"],
    [7, 'SELECT * FROM s x, s z WHERE x.y = 0 AND z.y = -3 AND x.a = z.a'],
    [all, 'SELECT * FROM s x, s z WHERE x.y = 0 AND x.a = z.a'],
    [4, 'WITH w AS (SELECT * FROM s WHERE y = 0) SELECT * FROM w'],
    [all, 'WITH w AS (SELECT * FROM s) SELECT * FROM w WHERE y = 0'],
    [all, 'SELECT * FROM s TABLESAMPLE 100% WHERE y = 0'],
    [all + 6, 'SELECT * FROM s x ANTI JOIN l ON k = a WHERE x.y = 0'],
    [all + 6, "SELECT * FROM s x ASOF JOIN l z ON x.a >= z.k WHERE z.p = 'a'"],
    [all + 3, "SELECT * FROM s x LEFT JOIN m USING (y) WHERE y = '3'"],
    [all + 6, 'SELECT * FROM s x LEFT JOIN l z ON z.k = x.a WHERE z.p IS NULL'],
    [all, 'SELECT * FROM s AS x(y, a, d) WHERE y = 0'],
  ]
  for (const [files, sql] of cases) t.equal(await told(sql), files, sql)
})

t.test('a file of such a partition may be missing', async (t) => {
  const file = [
    ...(warehouse.tables.get('default.s')?.files.partition(['6', '2026-01-01']) ?? []),
  ][0]
  const { files } = warehouse.tables.get('default.s') ?? numbers
  const gone = { ...(file ?? spelt[0]), path: 'data-none/x', partition: ['6', '2026-01-01'] }
  const broken = FileList.of([...files, gone as NonNullable<typeof file>])
  warehouse.put({ ...numbers, files: broken })
  t.ok(Array.isArray(await warehouse.query('SELECT * FROM s WHERE y = 0')))
  t.match(await warehouse.query('SELECT * FROM s WHERE y = 6'), { kind: 'user' })
  warehouse.put({ ...numbers, files })
})

// ---- any query ---------------------------------------------------------------------------------------------------------

const columnArb = fc.constantFrom(
  'y',
  'd',
  'p',
  'a',
  'k',
  'x.y',
  'x.d',
  'x.a',
  'z.p',
  'z.y2',
  'z.y',
  'x.p',
)
const valueArb = fc.constantFrom(
  ...['0', '3', "'3'", "'03'", '-3', '2.5', "'a'", "'ä'", "''", "'B'", 'NULL', "'2026-01-02'"],
  ...[
    "DATE '2026-01-02'",
    "'2026-1-2'",
    "'2026-02-30'",
    '99999999999',
    "'99999999999'",
    'a',
    "'10'",
  ],
)
const comparedArb = fc.oneof(
  fc
    .tuple(columnArb, fc.constantFrom('=', '<', '<=', '>', '>=', '<>'), valueArb, fc.boolean())
    .map(([column, is, value, turned]) =>
      turned ? `${value} ${is} ${column}` : `${column} ${is} ${value}`,
    ),
  fc
    .tuple(columnArb, fc.array(valueArb, { minLength: 1, maxLength: 3 }))
    .map(([column, values]) => `${column} IN (${values.join(', ')})`),
  fc
    .tuple(columnArb, valueArb, valueArb)
    .map(([column, from, to]) => `${column} BETWEEN ${from} AND ${to}`),
  columnArb.map((column) => `${column} IS NULL`),
  columnArb.map((column) => `${column} IS NOT NULL`),
)
const { where: whereArb } = fc.letrec<{ where: string }>((tie) => ({
  where: fc.oneof(
    { depthSize: 'small' },
    comparedArb,
    fc
      .tuple(tie('where'), fc.constantFrom('AND', 'OR'), tie('where'))
      .map(([one, how, other]) => `(${one} ${how} ${other})`),
    tie('where').map((one) => `NOT (${one})`),
  ),
}))
const fromArb = fc.constantFrom(
  's x',
  'l z',
  's x, l z',
  's x JOIN l z ON x.a = z.k',
  's x LEFT JOIN l z ON x.a = z.k',
  's x RIGHT JOIN l z ON x.a = z.k',
  's x FULL JOIN l z ON x.a = z.k',
  's x ASOF JOIN l z ON x.a >= z.k',
  's x ANTI JOIN l z ON x.a = z.k',
  's x SEMI JOIN l z ON x.a = z.k',
  's x LEFT JOIN s z ON x.a = z.a + 1',
  'l z LEFT JOIN (SELECT * FROM s) x ON x.a = z.k',
  '(SELECT a, y, d FROM s WHERE y >= 0) x LEFT JOIN l z ON z.k = x.a',
)

t.test('any query over partitions is the one over all rows', async (t) => {
  let rows = 0
  await fc.assert(
    fc.asyncProperty(fromArb, whereArb, async (from, where) => {
      const found = await same(`SELECT * FROM ${from} WHERE ${where}`)
      if (found !== 'an error' && found !== '[]') rows += 1
    }),
    { numRuns: 120 },
  )
  t.ok(rows > 10, `${rows} of them have rows`)
})
