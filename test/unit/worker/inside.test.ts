/**
 * A query opens the files of its tables, and nothing else. Each attack here has read a file, or the engine's settings, or
 * could have. There are two walls, and each is tried without the other: what we read in the statement, and what the
 * engine opens.
 */
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Table } from '../../../lib/catalog/model.ts'
import type { Manifest } from '../../../lib/contract/index.ts'
import { isOfTheEngine } from '../../../lib/worker/analyse.ts'
import { NOTHING, reachOf } from '../../../lib/worker/reach.ts'
import { Roots } from '../../../lib/worker/roots.ts'
import { testdirOf } from '../../support/testdir.ts'
import { TestWarehouse } from '../../support/worker-engine.ts'

const home = testdirOf(t)
const warehouse = await TestWarehouse.open(home)
t.teardown(() => warehouse.close())

const here = warehouse.table('here', 'a INT4')
await warehouse.insert(here, 'SELECT 1')
const inside = join(warehouse.directory, 'inside.csv')
writeFileSync(inside, 'a,b\n1,2\n')
/** Where a cluster keeps its secret, should somebody allow queries a directory above it. */
const secret = join(warehouse.directory, 'system', 'ha', 'secret.csv')
mkdirSync(join(secret, '..'), { recursive: true })
writeFileSync(secret, 'hidden\nhidden\n')

/** A sign for degrees that JavaScript makes a small k of, and the engine doesn't. */
const KELVIN = '\u212a'

const attacks = (file: string): string[] => [
  `WITH RECURSIVE "${file}" AS (SELECT * FROM "${file}" UNION ALL SELECT * FROM "${file}" WHERE false) SELECT * FROM "${file}"`,
  `WITH RECURSIVE "${file}" AS (SELECT * FROM "${file}" UNION SELECT 1, 2 WHERE false) FROM "${file}"`,
  `WITH RECURSIVE "${file}" AS (FROM (SELECT (SELECT max(a) FROM "${file}")) UNION ALL SELECT 1 WHERE false) FROM "${file}"`,
  `WITH RECURSIVE "${file}" AS ((WITH b AS (FROM "${file}") FROM b) UNION ALL SELECT 1, 2 WHERE false) FROM "${file}"`,
  `SELECT (WITH RECURSIVE "${file}" AS (SELECT a FROM "${file}" UNION ALL SELECT 1 WHERE false) SELECT max(a) FROM "${file}")`,
  `WITH RECURSIVE "${file}"(a, b) USING KEY (a) AS (SELECT * FROM "${file}" UNION SELECT 1, 2 WHERE false) FROM "${file}"`,
  `WITH "${file}" AS (SELECT 1) SELECT * FROM recurring."${file}"`,
  `WITH RECURSIVE "${file}" AS (SELECT * FROM recurring."${file}" UNION ALL SELECT 1, 2 WHERE false) FROM "${file}"`,
  `WITH a AS (FROM "${file}"), "${file}" AS (SELECT 1) FROM a`,
  `FROM (WITH "${file}" AS (SELECT 1) FROM "${file}") x, "${file}" y`,
  `WITH "${file}" AS (FROM "${file}") FROM "${file}"`,
]

t.test('a name of a WITH query is a name of a file nowhere', async (t) => {
  const kelvin = join(warehouse.directory, 'k.csv')
  writeFileSync(kelvin, 'a,b\n1,2\n')
  const relative = 'inside.csv'
  const statements = [
    ...[inside, secret, relative, '/etc/passwd', `${warehouse.directory}/*.csv`].flatMap(attacks),
    `WITH "${kelvin.replace('k.csv', `${KELVIN}.csv`)}" AS (SELECT 1) FROM "${kelvin}"`,
    `WITH RECURSIVE "${kelvin.toUpperCase()}" AS (SELECT 1), b AS (FROM "${kelvin.replace('k.csv', `${KELVIN}.csv`)}") FROM b`,
  ]
  for (const sql of statements) {
    t.match(await warehouse.query(sql), { kind: 'user', message: /there is no table/ }, sql)
  }
  t.same(
    await warehouse.query(
      'WITH RECURSIVE r(n, a) USING KEY (n) AS (SELECT 1, 0 UNION SELECT n, a + 1 FROM r WHERE a < (SELECT max(a) + 1 FROM recurring.r) AND a < 3) FROM r',
    ),
    [[1, 3]],
    'what is its own it sees',
  )
  t.same(
    await warehouse.query(
      'WITH RECURSIVE here AS (SELECT a FROM here UNION ALL SELECT a + 1 FROM here WHERE a < 3) FROM here ORDER BY a',
    ),
    [[1], [2], [3]],
    'it begins with the table of its name',
  )
})

t.test('nor one of the views of the engine', async (t) => {
  const connection = await warehouse.connect(NOTHING)
  const views = await connection.rows(
    "SELECT view_name FROM duckdb_views() WHERE internal AND schema_name IN ('main', 'pg_catalog')",
  )
  await connection.close()
  t.ok(views.length > 20, `${views.length} of them`)
  for (const [name] of views) {
    const sql = `WITH RECURSIVE "${name}" AS (SELECT * FROM "${name}" UNION ALL FROM "${name}" WHERE false) FROM "${name}"`
    t.match(await warehouse.query(sql), { kind: 'user' }, sql)
    t.ok(isOfTheEngine(String(name)), `WITH ${name}`)
  }
  t.match(await warehouse.query('WITH q AS (SELECT 1), "PG_class" AS (FROM q) FROM "PG_class"'), {
    message:
      /PG_class: names that begin with duckdb_, pg_, pragma_ or sqlite_ are the engine's own/,
  })
})

t.test('an engine opens the files that it is locked for', async (t) => {
  const [mine = ''] = (await files('mine', 'a INT4', 'SELECT 1')) ?? []
  const [other = ''] = (await files('other', 'a INT4', 'SELECT 2')) ?? []
  const staging = join(warehouse.directory, 'default', 'mine', 'data-99-1')
  mkdirSync(staging)
  symlinkSync(secret, join(staging, 'link.csv'))
  const busy = await warehouse.connect({ files: [other], directories: [] })
  const [spill = ''] = readdirSync(warehouse.spillDirectory)
  const connection = await warehouse.connect({ files: [mine], directories: [staging] })
  t.same(await connection.rows(`FROM '${mine}'`), [[1]])
  await connection.run(`COPY (SELECT 1) TO '${staging}/x.parquet'`)
  const refused = [
    ...[other, inside, secret, `${staging}/link.csv`, `${staging}/../x.csv`].flatMap((path) => [
      `FROM '${path}'`,
      `FROM read_text('${path}')`,
      `COPY (SELECT 1) TO '${path}'`,
    ]),
    `FROM read_text('${join(secret, '..')}/secre[t.csv?]')`,
    `FROM read_text('${warehouse.directory}/**')`,
    `FROM glob('${warehouse.directory}/*')`,
    `FROM read_text('${join(warehouse.spillDirectory, spill)}/*')`,
    `FROM glob('${warehouse.spillDirectory}/*')`,
    `COPY (SELECT 1) TO '${join(warehouse.directory, 'new.csv')}'`,
    `ATTACH '${join(warehouse.directory, 'new.db')}' AS x`,
    "SET allowed_paths = ['/etc/passwd']",
    "SET allowed_directories = ['/']",
    "SET temp_directory = '/tmp'",
  ]
  for (const sql of refused) await t.rejects(connection.run(sql), { name: 'EngineError' }, sql)
  await Promise.all([connection.close(), busy.close()])
  rmSync(staging, { recursive: true })
})

t.test('the second wall stands without the first', async (t) => {
  // As if the statement had not been looked at: it is entered with the tables of another one.
  const [mine = ''] = (await files('walls', 'a INT4', 'SELECT 1')) ?? []
  for (const sql of [inside, secret, '/etc/passwd'].flatMap(attacks)) {
    const connection = await warehouse.connect({ files: [mine], directories: [] })
    await connection.enter(['default'], [`CREATE VIEW walls AS FROM '${mine}'`])
    await t.rejects(connection.rows(sql), { name: 'EngineError' }, sql)
    await connection.close()
  }
})

t.test('the engine reads the names a second time, and tells of most of them', async (t) => {
  const [mine = ''] = (await files('names', 'a INT4', 'SELECT 1')) ?? []
  const connection = await warehouse.connect({ files: [mine], directories: [] })
  await connection.enter(['default'], [`CREATE VIEW "names" AS FROM '${mine}'`])
  for (const sql of attacks(inside).filter((_, i) => [0, 2, 4].includes(i))) {
    t.same(await connection.unknownNames(sql), [inside], sql)
  }
  const known = 'WITH q AS (FROM names) FROM q, Names n, default.NAMES'
  t.same(await connection.unknownNames(known), [])
  await connection.close()
})

t.test('of very many files the directory of their table stands for them', async (t) => {
  const table = warehouse.table('many', 'a INT4')
  const found = Array.from({ length: 2001 }, (_, i) => ({
    ...{ path: join(table.location, `data-${i}-1`, 'part-0.parquet'), partition: [], own: true },
  }))
  mkdirSync(table.location, { recursive: true })
  const others = [{ path: join(home, 'foreign.parquet'), partition: [], own: false }]
  const all = [...found, ...others]
  const roots = new Roots([warehouse.directory])
  t.same(await reachOf([{ table, files: all }], { roots, writesTo: '/staging' }), {
    files: [join(home, 'foreign.parquet')],
    directories: [table.location, '/staging'],
  })
  const listed = async (one: Table, files = all, within = roots): Promise<void> => {
    const reach = await reachOf([{ table: one, files }], { roots: within, writesTo: null })
    t.same([reach.files.length, reach.directories], [files.length, []])
  }
  await listed(table, all.slice(2))
  // In an external one's directory lies what its owner likes, also the cluster itself where allowed-paths is above it.
  await listed({ ...table, kind: 'external' })
  const system = join(table.location, 'cluster', 'system')
  await listed(table, all, new Roots([warehouse.directory], [system]))
})

t.test('what is spilled lies under a name that nothing tells', async (t) => {
  const connection = await warehouse.connect(NOTHING)
  const [name = ''] = readdirSync(warehouse.spillDirectory)
  t.match(name, /^[0-9a-f-]{36}$/)
  await connection.close()
  for (const sql of [
    "SELECT current_setting('temp_directory')",
    "FROM duckdb_settings() WHERE name = 'temp_directory'",
    "FROM pg_settings WHERE name = 'temp_directory'",
    'FROM duckdb_temporary_files()',
  ]) {
    t.match(await warehouse.query(sql), { kind: 'user' }, sql)
  }
})

t.test('letters that only JavaScript knows two cases of', async (t) => {
  const table = warehouse.table('äpfel', 'a INT4')
  await warehouse.insert(table, 'SELECT 7')
  const sql = 'SELECT x.a, y.a, z.a FROM ÄPFEL x, äpfel y, default.Äpfel z'
  t.same(await warehouse.query(sql), [[7, 7, 7]])
  const kelvin = warehouse.table('k', 'a INT4')
  await warehouse.insert(kelvin, 'SELECT 8')
  t.same(await warehouse.query(`SELECT x.a, y.a FROM ${KELVIN} x, K y`), [[8, 8]])
})

/** Absolute paths of the files of a new table with these rows. */
async function files(name: string, columns: string, sql: string): Promise<string[]> {
  const table = warehouse.table(name, columns)
  const written = (await warehouse.insert(table, sql)) as Manifest
  return written.files.map(({ path }) => join(table.location, path))
}
