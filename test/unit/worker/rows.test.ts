/**
 * Rows with parts: lists, records, maps, and whatever lies in them. They are told straight from the engine's memory, so each
 * way of lying there is tried: nothing, empty, in the second row, inside of another one.
 */
import t from 'tap'
import { testdirOf } from '../../support/testdir.ts'
import { TestWarehouse } from '../../support/worker-engine.ts'

const warehouse = await TestWarehouse.open(testdirOf(t))
t.teardown(() => warehouse.close())

t.test('each value is the same wherever it lies', async (t) => {
  const values: [string, unknown][] = [
    ['NULL::INT[]', null],
    ['[]::INT[]', []],
    ['[1, NULL, 3]', [1, null, 3]],
    ["['a\"', 'ä', NULL]", ['a"', 'ä', null]],
    ['[[1], [], NULL, [NULL, 2]]', [[1], [], null, [null, 2]]],
    ['[9007199254740993, 1]', ['9007199254740993', 1]],
    ["['nan'::DOUBLE, 0.1::FLOAT4::DOUBLE, '-0'::DOUBLE]", ['NaN', 0.10000000149011612, -0]],
    ['[1, NULL, 3]::INT[3]', [1, null, 3]],
    ['NULL::INT[3]', null],
    ['[[1, 2]::INT[2], NULL, [3, 4]::INT[2]]', [[1, 2], null, [3, 4]]],
    [
      '[[1, 2], [3, 4]]::INT[2][2]',
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ["{'a': 1, 'b': [2], 'c': NULL}", { a: 1, b: [2], c: null }],
    ["[{'a': 1}, NULL, {'a': NULL}]", [{ a: 1 }, null, { a: null }]],
    ['NULL::STRUCT(a INT)', null],
    ['MAP {}', []],
    ['NULL::MAP(INT, INT)', null],
    [
      "MAP {'k': [1], 'l': NULL}",
      [
        { key: 'k', value: [1] },
        { key: 'l', value: null },
      ],
    ],
    ['[MAP {1: [2]}, NULL]', [[{ key: 1, value: [2] }], null]],
    ['union_value(n := 7)', 7],
    ['[union_value(n := [1]), NULL]', [[1], null]],
    ['NULL::UNION(n INT, t VARCHAR)', null],
  ]
  for (const [sql, value] of values) {
    t.same(await warehouse.query(`SELECT ${sql}`), [[value]], sql)
    const rows = await warehouse.query(
      `SELECT i, v FROM range(5) r(i) LEFT JOIN (SELECT 1 AS k, ${sql} AS v) ON i % 3 >= k ORDER BY i`,
    )
    const expected = [0, 1, 2, 3, 4].map((i) => [i, i % 3 === 0 ? null : value])
    t.same(rows, expected, `${sql}, in later rows`)
    t.same(
      await warehouse.query(`SELECT [{'x': v}, NULL, {'x': v}] FROM (SELECT ${sql} AS v)`),
      [[[{ x: value }, null, { x: value }]]],
      `${sql}, inside of others`,
    )
  }
})

t.test('names in a record stand as JavaScript has them', async (t) => {
  const connection = await warehouse.connect()
  const stream = await connection.stream(`SELECT {'b': 1, '10': 2, 'a"': 3, '2': NULL}`)
  t.same(await stream.next(), ['[{"2":null,"10":2,"b":1,"a\\"":3}]'])
  await connection.close()
})

t.test(
  'a long list is told up to a bound, and in slices, so that it can be interrupted',
  async (t) => {
    const numbers = (count: number): string =>
      `SELECT list(i), map([1], [list(i)]) FROM range(${count}) r(i)`
    const connection = await warehouse.connect()
    const stream = await connection.stream(numbers(3_000_000))
    const [row = ''] = (await stream.next()) ?? []
    const [list, map] = JSON.parse(row)
    t.same([list.length, list[2_999_999], map[0].value.length], [3_000_000, 2_999_999, 3_000_000])
    await connection.close()

    t.match(await warehouse.query(numbers(9_000_000)), {
      kind: 'user',
      message: /^a row of the result is longer than 67108864 characters/,
    })

    const killed = await warehouse.connect()
    const rest = await killed.stream(numbers(7_000_000))
    const next = rest.next()
    setTimeout(() => killed.interrupt(), 20)
    await t.rejects(next, { message: 'the query was interrupted' })
    await killed.close()
    t.same(warehouse.logged, [], 'its engine has heard it, and was not ended for it')
  },
)

t.test('a type whose text is too long is an error of the statement', async (t) => {
  const fields = Array.from({ length: 5000 }, (_, i) => `'field number ${i}': 1`).join(', ')
  t.match(await warehouse.query(`SELECT {${fields}} AS wide`), {
    kind: 'user',
    message: /^the type of column wide is too long: \d+ characters, of 32768 at most/,
  })
})
