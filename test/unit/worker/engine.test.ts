/**
 * Queries in the real engine: what they may reach, what tables look like, what is written. Confinement first: each thing
 * that could lead out of the catalog is tried, and has to be refused before it runs.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { FileList } from '../../../lib/catalog/file-list.ts'
import type { Table } from '../../../lib/catalog/model.ts'
import type { Manifest, QueryError } from '../../../lib/contract/index.ts'
import { fromDuckDb } from '../../../lib/sql/index.ts'
import { functionRows, TABLE_FUNCTIONS, whyDenied } from '../../../lib/worker/functions.ts'
import { Roots } from '../../../lib/worker/roots.ts'
import { testdirOf } from '../../support/testdir.ts'
import { columnsOf, TestWarehouse } from '../../support/worker-engine.ts'

const home = testdirOf(t)
const warehouse = await TestWarehouse.open(home)
t.teardown(() => warehouse.close())

const errorOf = (answer: unknown): QueryError => {
  if (typeof answer === 'object' && answer !== null && 'kind' in answer) return answer as QueryError
  throw new Error(`no error: ${JSON.stringify(answer)}`)
}
const manifestOf = (answer: unknown): Manifest => {
  if (typeof answer === 'object' && answer !== null && 'files' in answer) return answer as Manifest
  throw new Error(`no manifest: ${JSON.stringify(answer)}`)
}

t.test('nothing but the catalog can be reached', async (t) => {
  warehouse.table('here', 'a INT4')
  const secret = join(home, 'secret.csv')
  writeFileSync(secret, 'a,b\n1,2\n')
  const inside = join(warehouse.directory, 'inside.csv')
  writeFileSync(inside, 'a,b\n1,2\n')
  const files = [secret, inside, '/etc/passwd', `${warehouse.directory}/../secret.csv`]
  const readers = [
    'read_csv',
    'read_csv_auto',
    'read_text',
    'read_blob',
    'read_json',
    'read_json_auto',
    'read_ndjson',
    'read_json_objects',
    'read_parquet',
    'parquet_scan',
    'parquet_metadata',
    'parquet_schema',
    'sniff_csv',
    'glob',
    'read_duckdb',
  ]
  const statements = [
    ...files.flatMap((file) => [
      `SELECT * FROM '${file}'`,
      `SELECT * FROM "${file}"`,
      `FROM here WHERE a IN (SELECT a FROM '${file}')`,
      `SELECT (SELECT max(a) FROM '${file}')`,
      `WITH q AS (SELECT * FROM '${file}') SELECT 1`,
      ...readers.map((one) => `SELECT * FROM ${one}('${file}')`),
      `SELECT * FROM system.main.read_csv('${file}')`,
      `COPY here FROM '${file}'`,
      `COPY (SELECT 1) TO '${file}'`,
      `ATTACH '${file}' AS other`,
      `EXPORT DATABASE '${file}'`,
      `IMPORT DATABASE '${file}'`,
      `CREATE TABLE x AS SELECT * FROM '${file}'`,
      `INSTALL '${file}'`,
      `LOAD '${file}'`,
    ]),
    'PRAGMA database_list',
    'PRAGMA enable_profiling',
    'SET threads = 1',
    'RESET threads',
    'INSTALL httpfs',
    'LOAD httpfs',
    'CALL duckdb_settings()',
    'USE memory',
    'CHECKPOINT',
    'SHOW TABLES',
    'DETACH memory',
    "CREATE SECRET s (TYPE s3, KEY_ID 'x')",
    'VACUUM',
    'BEGIN',
    'CREATE MACRO m() AS 1',
    'DROP VIEW here',
    'DELETE FROM here',
    'UPDATE here SET a = 1',
    'INSERT INTO here VALUES (1)',
    'PREPARE p AS SELECT 1',
    'EXECUTE p',
    'PIVOT here ON a',
    'SELECT 1; SELECT 2',
    'SELECT 1; DROP VIEW here',
    'FROM duckdb_settings()',
    'FROM duckdb_secrets()',
    'FROM duckdb_tables',
    'FROM sqlite_master',
    'FROM information_schema.tables',
    'FROM pg_catalog.pg_class',
    'FROM pg_class',
    'FROM system.main.duckdb_settings',
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('here')",
    'FROM pragma_version()',
    'FROM enable_logging()',
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT getenv('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT nextval('s')",
    "SELECT json_serialize_plan('FROM here')",
    'SELECT sleep_ms(10)',
    "SELECT write_log('x')",
    'SELECT current_query()',
    'SELECT pg_get_viewdef(1)',
    'SELECT pg_get_constraintdef(1)',
    "SELECT * FROM unnest(list_value(getenv('HOME')))",
    "SELECT count(*) FILTER (getenv('HOME') = '') FROM here",
    "SELECT a FROM here ORDER BY getenv('HOME')",
    "SELECT list_transform([1], x -> getenv('HOME'))",
    "SELECT * FROM here JOIN read_text('/etc/passwd') ON true",
    "SELECT * FROM range((SELECT count(*) FROM 'x.csv'))",
    'FROM histogram(here, a)',
    'SELECT * FROM here AT (VERSION => 1)',
    "SELECT * FROM 'https://example.invalid/x.csv'",
    'FROM other.here',
    'FROM memory.main.here',
  ]
  for (const sql of statements) {
    const answer = await warehouse.query(sql)
    t.match(answer, { kind: 'user' }, sql)
  }
  t.equal(readFileSync(secret, 'utf8'), 'a,b\n1,2\n')
})

t.test('the engine is a second fence: its own statements get no further', async (t) => {
  const connection = await warehouse.connect()
  const link = join(warehouse.directory, 'link.csv')
  symlinkSync('/etc/passwd', link)
  symlinkSync('/etc', join(warehouse.directory, 'etc'))
  for (const sql of [
    "FROM read_text('/etc/passwd')",
    `FROM read_text('${link}')`,
    `FROM read_text('${warehouse.directory}/etc/passwd')`,
    `FROM read_text('${warehouse.directory}/../secret.csv')`,
    `COPY (SELECT 1) TO '${home}/out.csv'`,
    `ATTACH '${home}/x.db' AS x`,
    'SET threads = 1',
    'SET enable_external_access = true',
    "SET allowed_configs = ['threads']",
    'SET lock_configuration = false',
    'LOAD httpfs',
    'INSTALL httpfs',
  ]) {
    await t.rejects(connection.run(sql), { name: 'EngineError' }, sql)
  }
  await connection.close()
})

t.test('a function that a new version of the engine brings is looked at first', async (t) => {
  const connection = await warehouse.connect()
  const rows = await connection.rows(
    'SELECT DISTINCT function_name, function_type FROM duckdb_functions()',
  )
  const scalars = rows.filter(([, type]) => type === 'scalar' || type === 'macro')
  // Whatever sounds like files, settings, text as SQL or the engine's inside is denied, or known to be harmless.
  const sounds =
    /read|file|glob|setting|env|secret|attach|install|query|exec|plan|_log$|sql|sleep|nextval|currval/
  const harmless = new Set([
    'parse_filename',
    'spread',
    'json_serialize_sql',
    'json_deserialize_sql',
    'regr_sxx',
  ])
  const suspicious = scalars
    .map(([name]) => String(name))
    .filter((name) => sounds.test(name) && !harmless.has(name) && whyDenied(name) === null)
  t.same(suspicious, [])
  const tables = new Set(rows.filter(([, type]) => type === 'table').map(([name]) => name))
  for (const name of TABLE_FUNCTIONS) t.ok(tables.has(name), `${name} exists`)
  // A macro does by another name what may be refused by its own.
  const macros = await connection.rows(
    "SELECT function_name, macro_definition FROM duckdb_functions() WHERE function_type = 'macro'",
  )
  const refused = macros.filter(([, body]) => /duckdb_|pragma_|\bread_/.test(String(body)))
  t.ok(refused.length > 2)
  for (const [name] of refused) t.not(whyDenied(String(name)), null, `${name} is refused`)
  await connection.close()
})

t.test('what is allowed works', async (t) => {
  const table = warehouse.table('allowed', 'a INT4, b TEXT')
  await warehouse.insert(table, "SELECT i, 'x' || i FROM range(5) r(i)")
  const answers: [string, unknown[][]][] = [
    ['SELECT count(*) FROM Allowed x JOIN default.ALLOWED y USING (a)', [[5]]],
    ['WITH allowed AS (SELECT 7 z) SELECT z FROM allowed', [[7]]],
    ['WITH q AS (SELECT a FROM allowed), r AS (SELECT max(a) m FROM q) SELECT m FROM r', [[4]]],
    [
      'WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r WHERE n < 3) FROM r',
      [[1], [2], [3]],
    ],
    [
      'SELECT x.a FROM allowed x WHERE x.a = (SELECT max(y.a) FROM allowed y WHERE y.b = x.b) AND a > 3',
      [[4]],
    ],
    ['SELECT default.allowed.a FROM default.allowed ORDER BY 1 DESC LIMIT 1', [[4]]],
    ['SELECT sum(s) OVER () FROM (SELECT a s FROM allowed WHERE a < 2)', [[1], [1]]],
    [
      'FROM (VALUES (1), (2)) v(i) POSITIONAL JOIN range(2)',
      [
        [1, 0],
        [2, 1],
      ],
    ],
    ["SELECT * FROM allowed PIVOT (sum(a) FOR b IN ('x1', 'x2')) LIMIT 1", [[1, 2]]],
    ['SELECT current_schema(), list_transform([1, 2], lambda x: x + 1)', [['default', [2, 3]]]],
    ['FROM unnest([1, 2])', [[1], [2]]],
    ['-- a comment\nSELECT 1 -- and one at the end', [[1]]],
  ]
  for (const [sql, rows] of answers) t.same(await warehouse.query(sql), rows, sql)
})

t.test("errors tell the user's line and column", async (t) => {
  warehouse.table('places', 'a INT4')
  const cases: [string, string, number, number][] = [
    ['SELECT a\nFROM\n  nosuch', 'there is no table default.nosuch', 3, 3],
    ["SELECT 'äöü',\n nosuch FROM default.places", 'Referenced column "nosuch"', 2, 2],
    ['SELECT nosuch FROM default.places, default.places p', 'Referenced column', 1, 8],
    ['SELECT * FROM default.places WHERE nosuch = 1', 'Referenced column', 1, 36],
    ['SELECT 1 FRM x WHERE', 'syntax error', 1, 14],
    ['SELECT "Places".a FROM "Places"', 'there is no table default.Places', 1, 24],
    ["SELECT\n getenv('HOME')", 'the function getenv', 2, 2],
    [' SELECT', 'without selection list', 1, 1],
    ["SELECT '?',\n ?", 'there are no parameters', 2, 2],
    ['SELECT 1, $1', 'there are no parameters', 1, 11],
    ['SELECT 1 WHERE $x', 'there are no parameters', 1, 16],
  ]
  for (const [sql, message, line, column] of cases) {
    const error = errorOf(await warehouse.query(sql))
    t.match(error.message, message, sql)
    t.same(error.place, { line, column }, sql)
  }
  t.match(
    errorOf(await warehouse.query('SELECT * FROM "x.parquet"')).message,
    'CREATE EXTERNAL TABLE',
  )
  warehouse.table('Places', 'a INT4')
  t.match(
    errorOf(await warehouse.query('SELECT 1 FROM "Places", places')).message,
    'differ in case only',
  )
})

t.test('values of every type come as JSON', async (t) => {
  const rows = await warehouse.query(
    "SELECT 9007199254740993, -3::TINYINT, 12345678901234567890::HUGEINT, 1.10::DECIMAL(5,2), 'inf'::DOUBLE, 0.1::DOUBLE, '\\xAA'::BLOB, [1, NULL], {'a': 'x'}, MAP {'k': 1}, TIME '10:00', INTERVAL 3 DAY, DATE '2020-01-01', TIMESTAMPTZ '2020-01-01 10:00:00+02', UUID '00000000-0000-0000-0000-000000000001', true, NULL, 'q\"\n', TIMESTAMP '2020-01-01 00:00:00.5'",
  )
  t.same(rows, [
    [
      '9007199254740993',
      -3,
      '12345678901234567890',
      '1.10',
      'Infinity',
      0.1,
      '\\xAA',
      [1, null],
      { a: 'x' },
      [{ key: 'k', value: 1 }],
      '10:00:00',
      '3 days',
      '2020-01-01',
      '2020-01-01 08:00:00+00',
      '00000000-0000-0000-0000-000000000001',
      true,
      null,
      'q"\n',
      '2020-01-01 00:00:00.5',
    ],
  ])
  t.same(await warehouse.query("SELECT TIMESTAMPTZ '2020-06-01 10:00:00'", 'Europe/Berlin'), [
    ['2020-06-01 10:00:00+02'],
  ])
  const all = await warehouse.query('FROM test_all_types()')
  t.equal((all as unknown[][]).length, 3)
})

t.test("instants are told in the session's time zone, as their text is", async (t) => {
  const instants = [
    '2020-06-01 10:00:00+00',
    '2020-01-01 10:00:00.5+00',
    '1850-01-01 00:00:00+00',
    'infinity',
    '0044-03-15 (BC) 00:00:00+00',
  ]
  const sql = `SELECT i, z, z::TEXT AS "TIMESTAMP WITH TIME ZONE", [z], {'TIMESTAMP WITH TIME ZONE': z},
      MAP {z: z}, 1 AS z, 'ä'
    FROM (SELECT i, l[i]::TIMESTAMPTZ AS z FROM (SELECT ['${instants.join("', '")}'] l), range(1, 6) r(i))
    ORDER BY i DESC -- a comment`
  for (const zone of ['Asia/Seoul', 'America/St_Johns', 'Europe/Berlin', '']) {
    const rows = await warehouse.query(sql, zone)
    if (!Array.isArray(rows)) throw new Error(rows.message)
    t.equal(rows.length, instants.length, zone)
    for (const [i, [n, at, text, list, record, map]] of rows.entries()) {
      t.equal(n, instants.length - i, 'in order')
      t.equal(at, text, `${zone}: ${text}`)
      t.same(
        [list, record, map],
        [[at], { 'TIMESTAMP WITH TIME ZONE': at }, [{ key: at, value: at }]],
      )
    }
  }
  const query = (text: string) => warehouse.query(text, 'Asia/Seoul')
  t.same(await query("SELECT TIMESTAMPTZ '2020-06-01 10:00:00+00'"), [['2020-06-01 19:00:00+09']])
  const places: [string, number][] = [
    ["SELECT TIMESTAMPTZ '2020-06-01',\n nosuch", 2],
    ["SELECT TIMESTAMPTZ '2020-06-01',\n ('ä' || range)::INT4 FROM range(3)", 16],
  ]
  for (const [text, column] of places) {
    t.same(errorOf(await query(text)).place, { line: 2, column }, text)
    t.same(errorOf(await warehouse.query(text)).place, { line: 2, column }, text)
  }
})

t.test('a FLOAT4 is the shortest number that is the same one', async (t) => {
  const floats = [
    0.1,
    3.4028235e38,
    1e-45,
    1.1754944e-38,
    16777216,
    1e21,
    -0.3,
    1 / 3,
    7.0385307e-26,
  ]
  const list = floats.map((one) => `${one}::DOUBLE::FLOAT4`).join(', ')
  const connection = await warehouse.connect()
  const stream = await connection.stream(
    `SELECT [${list}], {'a': 0.1::FLOAT4, '1': 0.1::DOUBLE}, MAP {0.2::FLOAT4: 0.3::FLOAT4},
       union_value(f := 0.7::FLOAT4), '-0'::FLOAT4, 'NaN'::FLOAT4, 0.1::FLOAT4::DOUBLE, ${list}`,
  )
  const [row = ''] = (await stream.next()) ?? []
  await connection.close()
  const shown =
    '[0.1,3.4028235e+38,1e-45,1.1754944e-38,16777216,1e+21,-0.3,0.33333334,7.0385307e-26]'
  t.equal(
    row,
    `[${shown},{"1":0.1,"a":0.1},[{"key":0.2,"value":0.3}],0.7,-0,"NaN",0.10000000149011612,${shown.slice(1)}`,
  )
  const back = JSON.parse(row) as number[][]
  t.same(back[0]?.map(Math.fround), floats.map(Math.fround), 'each is what it was')
})

t.test(
  'an empty result is no file of a table, and an empty directory for a location',
  async (t) => {
    const table = warehouse.table('nothing', 'a INT4', { format: 'TEXT' })
    const here = join(table.location, 'here')
    t.match(await warehouse.insert(table, 'SELECT 1 WHERE false', { directory: here }), {
      files: [],
    })
    t.notOk(existsSync(here))
    await warehouse.insert(table, 'SELECT 1 WHERE false', { directory: here, base: here })
    t.same(readdirSync(here), [], 'it is to take the place of what stands at the location')
  },
)

const FORMATS: [Table['format'], Record<string, string>][] = [
  ['PARQUET', {}],
  ['TEXT', {}],
  ['TEXT', { 'text.delimiter': '\\u0001', 'text.null': '\\\\N', 'text.skip.headerlines': '1' }],
  ['TEXT', { 'compression.codec': 'org.apache.hadoop.io.compress.GzipCodec' }],
  ['JSON', {}],
]
for (const [i, [format, options]] of FORMATS.entries()) {
  t.test(`what is written is read back: ${format} ${JSON.stringify(options)}`, async (t) => {
    const columns = 'a INT4, b TEXT, c FLOAT8, d DATE, e TIMESTAMP, f BOOLEAN, g NUMERIC(10)'
    const table = warehouse.table(`back${i}`, columns, { format, options })
    t.same(await warehouse.query(`SELECT * FROM back${i}`), [], 'empty')
    const rows = [
      [1, 'x|y', 1.5, '2020-01-02', '2020-01-01 10:00:00.123456', true, '12'],
      [2, null, null, null, null, null, null],
      [3, '', -0.25, '0044-03-15 (BC)', null, false, '-1'],
      [4, 'l1\nl2 "q" \'s\u0001\\N ', 1e300, null, null, null, null],
      [5, '\\N', null, null, null, null, null],
      [6, ' ä|"', null, null, null, null, null],
    ]
    const sql = rows.map(
      (row) =>
        `(${row.map((v) => (v === null ? 'NULL' : typeof v === 'string' ? `'${v.replaceAll("'", "''")}'` : v)).join(', ')})`,
    )
    const manifest = manifestOf(
      await warehouse.insert(table, `VALUES ${sql.join(', ')} -- the end`),
    )
    t.equal(manifest.rows, rows.length)
    t.equal(manifest.files[0]?.rows, rows.length)
    t.equal(statSync(join(table.location, manifest.files[0]?.path ?? '')).size, manifest.bytes)
    t.same(await warehouse.query(`SELECT * FROM back${i} ORDER BY a`), rows)
    const none = manifestOf(await warehouse.insert(table, `SELECT * FROM back${i} WHERE false`))
    t.match(none, { files: [], rows: 0, bytes: 0 })

    const one = warehouse.table(`one${i}`, 'a TEXT', { format, options })
    await warehouse.insert(one, "VALUES (NULL), (''), ('x')")
    t.same(await warehouse.query(`SELECT a FROM one${i}`), [[null], [''], ['x']], 'one column')
  })

  t.test(`partitions are exact: ${format} ${JSON.stringify(options)}`, async (t) => {
    const values: (string | null)[] = [
      null,
      '',
      'a/b',
      '=',
      '%41',
      'é ü',
      'A',
      'a',
      '__HIVE_DEFAULT_PARTITION__',
      'NULL',
      'null',
      '..',
      'a\'b"c',
      'x\ny',
      'p0=n',
    ]
    const more = { format, options, partitionColumns: columnsOf('p TEXT, q INT4') }
    const table = warehouse.table(`part${i}`, 'a INT4', more)
    const literal = (v: string | null): string =>
      v === null ? 'NULL' : `'${v.replaceAll("'", "''")}'`
    const sql = values.map((v, n) => `(${n}, ${literal(v)}, ${n % 2 === 0 ? 'NULL' : n})`)
    const manifest = manifestOf(await warehouse.insert(table, `VALUES ${sql.join(', ')}`))
    t.equal(manifest.rows, values.length)
    const partitions = manifest.files.map(({ partition }) => partition)
    t.equal(partitions.length, values.length)
    for (const [n, v] of values.entries()) {
      t.ok(
        partitions.some(([p, q]) => p === v && q === (n % 2 === 0 ? null : String(n))),
        `${v}`,
      )
      const where = v === null ? 'p IS NULL' : `p = ${literal(v)}`
      t.same(await warehouse.query(`SELECT a, p FROM part${i} WHERE ${where}`), [[n, v]])
    }
    const plain = warehouse.table(`plain${i}`, 'a INT4', more)
    await warehouse.insert(plain, "VALUES (1, 'x y', 7), (2, NULL, NULL), (3, '', 8)")
    t.same(await warehouse.query(`SELECT a, p, q FROM plain${i} ORDER BY a`), [
      [1, 'x y', 7],
      [2, null, null],
      [3, '', 8],
    ])
    t.match(
      errorOf(await warehouse.insert(plain, `SELECT 1, repeat('x', 200), 1`)).message,
      'longer than 120 bytes',
    )
  })

  t.test(`columns that come later: ${format} ${JSON.stringify(options)}`, async (t) => {
    const table = warehouse.table(`later${i}`, 'a INT4, b TEXT', { format, options })
    await warehouse.insert(table, "VALUES (1, 'one'), (2, NULL)")
    const files = warehouse.tables.get(`default.later${i}`)?.files ?? FileList.EMPTY
    const b = format === 'JSON' ? 'b' : 'renamed'
    const wider = {
      ...table,
      files,
      schemaVersion: 3,
      columns: columnsOf(`a INT4, ${b} TEXT, c INT8`),
    }
    warehouse.put(wider)
    await warehouse.insert(wider, "VALUES (3, 'three', 33)")
    t.same(await warehouse.query(`SELECT a, ${b}, c FROM later${i} ORDER BY a`), [
      [1, 'one', null],
      [2, null, null],
      [3, 'three', 33],
    ])
  })
}

t.test('what does not fit is told, and nothing is left', async (t) => {
  const table = warehouse.table('fit', 'a INT4, b TEXT')
  const cases: [string, string][] = [
    ['SELECT 1', 'the query gives 1 column (1), and the table has 2 (a, b)'],
    ["SELECT 'abc', 'x'", "Could not convert string 'abc' to INT4, in the query's column 'abc'"],
    ['SELECT 1, 2, 3', 'the query gives 3 columns'],
    ['SELECT nosuch, 1 FROM fit', 'Referenced column "nosuch"'],
    [
      'SELECT 300000000000 AS big, 2',
      "Type INT8 with value 300000000000 can't be cast because the value is out of range for the destination type INT4, in the query's column big",
    ],
  ]
  for (const [sql, message] of cases) {
    const error = errorOf(await warehouse.insert(table, sql))
    t.match(error.message, message, sql)
    const column = sql.startsWith('SELECT nosuch') ? 8 : 1
    t.same(error.place, { line: 1, column }, 'at least where the query begins')
  }
  const twins = await warehouse.insert(table, 'SELECT 1 a, 2 A', { columns: null, tableId: null })
  t.match(twins, { message: /two columns named a/, place: { line: 1, column: 1 } })
  t.match(
    errorOf(await warehouse.insert(table, 'SELECT 1', { into: ['c'] })).message,
    'no column c',
  )
  t.match(
    errorOf(await warehouse.insert(table, 'SELECT 1, 2', { into: ['a', 'a'] })).message,
    'twice',
  )
  t.same(readdirSync(table.location), [], 'no directory')
  t.match(await warehouse.insert(table, "SELECT 'only b'", { into: ['b'] }), { rows: 1 })
  t.same(await warehouse.query('FROM fit'), [[null, 'only b']])
  const bare = warehouse.table('bare', 'a TEXT', {
    format: 'TEXT',
    options: { 'text.quote': '', 'text.null': '\\N' },
  })
  for (const value of ['a|b', 'a\nb', '\\N']) {
    t.match(
      errorOf(await warehouse.insert(bare, `SELECT '${value}'`)).message,
      "'text.quote' is empty",
      'it would be read as another value',
    )
  }
  const outside = { directory: join(home, 'outside', 'data-x'), base: join(home, 'outside') }
  t.match(
    errorOf(await warehouse.insert(table, "SELECT 1, 'x'", outside)).message,
    'outside of the directories',
  )
  symlinkSync(home, join(warehouse.directory, 'door'))
  const door = { directory: join(warehouse.directory, 'door', 'data-x'), base: warehouse.directory }
  t.match(
    errorOf(await warehouse.insert(table, "SELECT 1, 'x'", door)).message,
    'outside of the directories',
  )
})

t.test('a line that is too long is refused, however many columns it is made of', async (t) => {
  const names = Array.from({ length: 21 }, (_, i) => `c${i}`)
  const columns = names.map((name) => `${name} TEXT`).join(', ')
  const wide = warehouse.table('wide', columns, { format: 'TEXT', options: {} })
  const rowOf = (text: string, into: readonly string[] = names) =>
    warehouse.insert(wide, `SELECT ${into.map(() => text).join(', ')}`, { into: [...into] })
  const tooLong = /a row has more than 1999999 bytes as a line of text/
  t.match(errorOf(await rowOf("repeat('x', 96000)")).message, tooLong)
  t.match(errorOf(await rowOf("repeat('\"', 48000)")).message, tooLong, 'quotes are written twice')
  t.match(errorOf(await rowOf("repeat('x', 2000000)", ['c20'])).message, tooLong, 'in the last one')
  t.match(await rowOf("repeat('x', 94000)"), { rows: 1 })
  t.match(await rowOf("repeat('\"', 47000)"), { rows: 1 })
  t.match(await rowOf("repeat('x', 1990000)", ['c20']), { rows: 1 })
  const lengths = 'SELECT length(c0), length(c20) FROM wide ORDER BY ALL'
  t.same(await warehouse.query(lengths), [
    [47000, 47000],
    [94000, 94000],
    [null, 1990000],
  ])
})

t.test('what is too deep or not to be filled in is told in plain words', async (t) => {
  const deep = [
    `SELECT ${'1+'.repeat(3000)}1`,
    `SELECT ${'NOT '.repeat(40_000)}true`,
    `SELECT * FROM ${'(SELECT * FROM '.repeat(2000)}range(1)${')'.repeat(2000)}`,
    `SELECT 1 FROM ${Array.from({ length: 1100 }, (_, i) => `t${i}`).join(', ')}`,
  ]
  for (const sql of deep) {
    t.match(errorOf(await warehouse.query(sql)).message, 'nested too deeply', sql.slice(0, 30))
  }
  for (const sql of ['SELECT ?', 'SELECT $1', 'SELECT 1 WHERE $x']) {
    t.match(errorOf(await warehouse.query(sql)).message, 'there are no parameters', sql)
  }
})

t.test('large rows are told a few at a time, and too large ones not at all', async (t) => {
  const connection = await warehouse.connect()
  const stream = await connection.stream("SELECT i, repeat('x', 700000) FROM range(100) r(i)")
  const counts: number[] = []
  let last: unknown = null
  for (let rows = await stream.next(); rows !== null; rows = await stream.next()) {
    counts.push(rows.length)
    last = (JSON.parse(rows.at(-1) ?? '[]') as unknown[])[0]
  }
  await connection.close()
  t.same([new Set(counts), last], [new Set([2]), 99])
  const tooLong = { kind: 'user', message: /^a row of the result is longer than 67108864/ }
  t.match(await warehouse.query("SELECT repeat('x', 80000000)"), tooLong)
  t.match(
    await warehouse.query(
      "SELECT i, repeat('x', 40000000), repeat('y', 40000000) FROM range(2) r(i)",
    ),
    tooLong,
  )
})

t.test('what a query has read is told: which tables, and which content of them', async (t) => {
  const files = { contentVersion: 7 }
  const own = warehouse.table('own', 'a INT4', files)
  const other = warehouse.table('other', 'a INT4')
  const reads = async (sql: string): Promise<number[]> => {
    const told = await warehouse.reads(sql)
    for (const { tableId, contentVersion } of told)
      t.equal(contentVersion, tableId === own.id ? 7 : 0)
    return told.map(({ tableId }) => tableId).sort((a, b) => a - b)
  }
  t.same(await reads('SELECT x.a FROM own x JOIN own y USING (a)'), [own.id])
  t.same(await reads('SELECT 1 WHERE EXISTS (SELECT * FROM other o, (FROM own) WHERE o.a = 1)'), [
    own.id,
    other.id,
  ])
  t.same(await reads('WITH w AS (SELECT a FROM own) SELECT max(a) FROM w'), [own.id])
  t.same(await reads('SELECT (SELECT max(a) FROM default.own)'), [own.id])
  t.same(await reads('WITH own AS (SELECT 1 a) SELECT a FROM own'), [], 'one of its own')
  t.same(await reads('VALUES (1)'), [])
})

t.test('SHOW FUNCTIONS: what may be called, and nothing else', async (t) => {
  const connection = await warehouse.connect()
  const rows = await functionRows(connection, fromDuckDb)
  await connection.close()
  const has = (...row: string[]) => rows.some((one) => one.join('; ') === row.join('; '))
  t.ok(has('abs', 'scalar', 'INT8', 'INT8'))
  t.ok(has('list_transform', 'scalar', 'ARRAY<ANY>, LAMBDA', 'ARRAY<ANY>'))
  t.ok(has('sum', 'aggregate', 'FLOAT8', 'FLOAT8'))
  t.ok(has('range', 'table', 'INT8', 'TABLE'))
  t.ok(rows.some(([name, , parameters]) => name === 'concat' && parameters?.endsWith(' …')))
  t.equal(new Set(rows.map(String)).size, rows.length, 'each once')
  for (const [name = '', kind] of rows) {
    const may = kind === 'table' ? TABLE_FUNCTIONS.has(name) : whyDenied(name) === null
    if (!may || !/^[a-z]/.test(name)) t.fail(`${name} is listed`)
  }
})

t.test('what is the cluster’s own is closed, also inside of an allowed directory', async (t) => {
  const roots = new Roots(['/r', '/a'], ['/r/system'])
  t.same(
    ['/r/x', '/a', '/r/system2', '/r/system', '/r/system/ha/secret', '/other'].map((one) =>
      roots.has(one),
    ),
    [true, true, true, false, false, false],
  )
  t.ok(new Roots(['/']).has('/anything'))
})

t.test('databases with names like the engine’s own catalogs', async (t) => {
  for (const database of ['query_1', 'main']) {
    warehouse.put({ ...warehouse.table('x', 'a INT4'), database })
    t.same(await warehouse.query(`SELECT count(*) FROM ${database}.x`), [[0]], database)
  }
})

t.test('CREATE TABLE AS takes names and types from the query', async (t) => {
  const table = warehouse.table('made', '')
  const as = { columns: null, partitionBy: [{ name: 'p', type: null }] }
  const manifest = manifestOf(await warehouse.insert(table, "SELECT 1 AS A, 'x' p, [1.5] l", as))
  t.same(
    manifest.columns.map(({ name }) => name),
    ['a', 'l'],
  )
  t.same(manifest.partitionColumns, [{ name: 'p', type: 'TEXT' }])
  t.match(
    errorOf(await warehouse.insert(table, 'SELECT 1 p, 2 P', as)).message,
    'two columns named p',
  )
  t.match(
    errorOf(await warehouse.insert(table, 'SELECT 1 a', as)).message,
    'no column p to partition by',
  )
  t.match(errorOf(await warehouse.insert(table, 'SELECT 1 p', as)).message, 'nothing is left')
})

t.test('bad files are named', async (t) => {
  const table = warehouse.table('bad', 'a INT4, b TEXT')
  await warehouse.insert(table, "SELECT i, repeat('x', 100) FROM range(1000) r(i)")
  const file = warehouse.tables.get('default.bad')?.files.last(1)[0]?.path ?? ''
  truncateSync(join(table.location, file), 100)
  const cut = errorOf(await warehouse.query('SELECT * FROM bad'))
  t.match(cut, {
    kind: 'user',
    message: /part-0\.parquet, a data file of default\.bad, has 100 bytes, and had/,
  })
  const none = { path: 'data-9/none', rows: 1, bytes: 1, partition: [] }
  warehouse.put({ ...table, files: FileList.of([none]) })
  t.match(errorOf(await warehouse.query('SELECT * FROM bad')).message, 'default.bad, is missing')

  const text = warehouse.table('lines', 'a INT4, b TEXT', {
    kind: 'external',
    format: 'TEXT',
    wholeDirectory: true,
  })
  t.match(errorOf(await warehouse.query('SELECT * FROM lines')).message, 'does not exist')
  mkdirSync(text.location, { recursive: true })
  writeFileSync(join(text.location, 'good.csv'), '1|5" disk\n2|"q|x"\n')
  t.same(await warehouse.query('SELECT * FROM lines'), [
    [1, '5" disk'],
    [2, 'q|x'],
  ])
  const bad = join(text.location, 'x.csv')
  writeFileSync(bad, '3|x|y\n')
  t.match(
    errorOf(await warehouse.query('SELECT * FROM lines')).message,
    /^line 1 of .*x\.csv does not fit the table: Expected Number of Columns: 2 Found: 3 \(the line is '3\|x\|y'\)$/,
  )
  writeFileSync(bad, '3\n')
  t.match(
    errorOf(await warehouse.query('SELECT * FROM lines')).message,
    'Expected Number of Columns: 2 Found: 1',
  )
  writeFileSync(bad, 'abc|x\n')
  t.match(
    errorOf(await warehouse.query('SELECT * FROM lines')).message,
    /^line 1 of .*x\.csv does not fit the table: .*Could not convert string "abc" to INT4 \(the line is 'abc\|x'\)$/,
  )
  warehouse.put({ ...text, options: { 'text.error-tolerance.max-num': '-1' } })
  t.equal(((await warehouse.query('SELECT * FROM lines')) as unknown[][]).length, 2, 'tolerated')
  warehouse.put({ ...text, options: { 'text.delimiter': '' } })
  t.match(errorOf(await warehouse.query('SELECT * FROM lines')).message, "'text.delimiter' is ''")
})

t.test('an external table is what stands in its directory', async (t) => {
  const location = join(warehouse.directory, 'ext')
  for (const one of ['p=1', 'p=__HIVE_DEFAULT_PARTITION__', '_tmp', 'data-1-1']) {
    mkdirSync(join(location, one), { recursive: true })
    writeFileSync(join(location, one, 'f.csv'), `${one}\n`)
  }
  writeFileSync(join(location, 'p=1', '.hidden'), 'no\n')
  writeFileSync(join(location, 'p=1', '_SUCCESS'), '')
  const more = { kind: 'external', format: 'TEXT', wholeDirectory: true, location } as const
  warehouse.table('ext', 'a TEXT', { ...more, partitionColumns: columnsOf('p INT4') })
  t.same(await warehouse.query('SELECT a, p FROM ext ORDER BY a'), [
    ['p=1', 1],
    ['p=__HIVE_DEFAULT_PARTITION__', null],
  ])
  warehouse.table('ext2', 'a TEXT', more)
  t.same(await warehouse.query('SELECT count(*) FROM ext2'), [[2]])
  writeFileSync(join(location, 'loose.csv'), 'x\n')
  t.match(
    errorOf(await warehouse.query('SELECT * FROM ext')).message,
    'loose.csv, a data file of default.ext, is in no directory p=',
  )
  warehouse.table('onefile', 'a TEXT', { ...more, location: join(location, 'loose.csv') })
  t.same(await warehouse.query('FROM onefile'), [['x']])

  const linked = join(warehouse.directory, 'linked')
  mkdirSync(linked)
  symlinkSync('/etc/passwd', join(linked, 'x.csv'))
  warehouse.table('linked', 'a TEXT', { ...more, location: linked })
  t.match(errorOf(await warehouse.query('FROM linked')).message, 'outside of the directories')
})

t.test('Parquet of others is read by name', async (t) => {
  const location = join(warehouse.directory, 'others')
  mkdirSync(location)
  const connection = await warehouse.connect()
  await connection.run(`COPY (SELECT 5::BIGINT AS "B", 'x' AS a) TO '${location}/f.parquet'`)
  await connection.close()
  const more = { kind: 'external', wholeDirectory: true, location } as const
  const table = warehouse.table('others', 'a TEXT, b INT4', more)
  t.same(await warehouse.query('FROM others'), [['x', 5]])
  await warehouse.insert(table, "SELECT 'own', 6")
  t.same(
    await warehouse.query('FROM others ORDER BY b'),
    [
      ['x', 5],
      ['own', 6],
    ],
    'and ours beside',
  )
  warehouse.table('others2', 'a TEXT, c INT4', more)
  t.match(
    errorOf(await warehouse.query('FROM others2')).message,
    'f.parquet, a data file of default.others2, has no column c; it has B, a',
  )
  writeFileSync(join(location, 'g.parquet'), 'PAR1 and then nothing')
  t.match(errorOf(await warehouse.query('FROM others')).message, 'g.parquet')
})

t.test('an interrupted stream is no complete one', async (t) => {
  const connection = await warehouse.connect()
  const stream = await connection.stream('SELECT i FROM range(10000000) r(i)')
  t.ok(await stream.next())
  connection.interrupt()
  await t.rejects(stream.next(), { message: 'the query was interrupted' })
  await connection.close()
  await t.rejects(connection.run('SELECT 1'), { message: 'the query was interrupted' })
})

t.test('how far a query has come can be seen', async (t) => {
  const table = warehouse.table('much', 'a INT8')
  await warehouse.insert(table, 'SELECT i FROM range(4000000) r(i)')
  const connection = await warehouse.connect()
  t.equal(connection.progress(), 0)
  const file = join(
    table.location,
    warehouse.tables.get('default.much')?.files.last(1)[0]?.path ?? '',
  )
  const seen = new Set<number>()
  const timer = setInterval(() => seen.add(connection.progress()), 2)
  await connection.run(`CREATE TEMP TABLE x AS
    SELECT a % 1000 AS k, sum(hash(md5(a::VARCHAR))) AS s FROM read_parquet('${file}') GROUP BY ALL`)
  clearInterval(timer)
  await connection.close()
  const between = [...seen].filter((one) => one > 0 && one < 1)
  t.ok(between.length > 1, `seen: ${[...seen].join(', ')}`)
})

t.test(
  'nothing is made where a mount has gone: neither the root, nor in its mount point',
  async (t) => {
    const ground = await TestWarehouse.open(t.testdir({}))
    t.teardown(() => ground.close())
    const { directory } = ground
    const table = ground.table('t', 'a INT4')
    mkdirSync(join(directory, '.proof'))
    const way = async () => ({ root: directory, by: `${directory}/.proof/..` })
    const part = ground.table('p', 'a INT4', { partitionColumns: [{ name: 'b', type: 'INT4' }] })
    t.match(await ground.insert(table, 'SELECT 1', {}, way), { rows: 1 })
    t.match(await ground.insert(part, 'SELECT 1, 2', {}, way), { rows: 1 })
    t.same(readdirSync(directory).sort(), ['.proof', 'default'])
    rmSync(directory, { recursive: true })
    const gone = {
      kind: 'internal',
      message: /nothing can be made in .*warehouse.*: is it mounted/,
    }
    t.match(await ground.insert(table, 'SELECT 1'), gone)
    t.notOk(existsSync(directory))
    mkdirSync(directory)
    t.match(await ground.insert(table, 'SELECT 1', {}, way), gone)
    t.same(readdirSync(directory), [])
  },
)

t.test('a mount that goes while a query writes: it is looked at again at the end', async (t) => {
  const table = warehouse.table('looked', 'a INT4')
  let asked = 0
  const running = warehouse.begin(table, 'SELECT 1', async () => {
    asked += 1
    if (asked > 1) throw new Error('it was unmounted')
    return null
  })
  await running.ended
  const message = /what it wrote is not in the cluster's directory: it was unmounted; nothing was/
  t.match(running.report(), { state: 'failed', manifest: null, error: { message } })
  const whole = warehouse.begin(table, 'SELECT 1', async () => null)
  await whole.ended
  t.match(whole.report(), { state: 'succeeded', manifest: { rows: 1 } })
})
