/** Small files that are joined: the rows are the same, value by value, and come in the same order. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { FileList } from '../../../lib/catalog/file-list.ts'
import type { DataFile, Table } from '../../../lib/catalog/model.ts'
import type { Manifest, QueryError } from '../../../lib/contract/index.ts'
import { testdirOf } from '../../support/testdir.ts'
import { columnsOf, TestWarehouse } from '../../support/worker-engine.ts'

const warehouse = await TestWarehouse.open(testdirOf(t))
t.teardown(() => warehouse.close())

const done = (answer: Manifest | QueryError): Manifest => {
  if ('kind' in answer) throw new Error(answer.message)
  return answer
}
/** The rows, in the order in which they come. */
const rowsOf = async (sql: string): Promise<unknown[][]> => {
  const rows = await warehouse.query(sql)
  if (!Array.isArray(rows)) throw new Error(rows.message)
  return rows
}
const listOf = ({ name }: Table): FileList =>
  warehouse.tables.get(`default.${name}`)?.files ?? FileList.EMPTY
const filesOf = (table: Table): readonly DataFile[] => [...listOf(table)]

const WIDE = [
  { name: 'n', type: 'INT4' },
  { name: 'text', type: 'TEXT' },
  { name: 'blob', type: 'BLOB' },
  { name: 'f', type: 'FLOAT8' },
  { name: 'g', type: 'FLOAT4' },
  { name: 'num', type: 'NUMERIC(38,10)' },
  { name: 'at', type: 'TIMESTAMPTZ' },
  { name: 'ts', type: 'TIMESTAMP' },
  { name: 'day', type: 'DATE' },
  { name: 'list', type: 'ARRAY<TEXT>' },
  { name: 'rec', type: 'RECORD(a INT8, b ARRAY<RECORD(c TEXT)>)' },
  { name: 'map', type: 'MAP<TEXT,NUMERIC(20,4)>' },
]
const ROWS = [
  String.raw`1, 'plain', '\xFF\x00a'::BLOB, 0.1, 1.1::REAL, 12345678901234567890.0123456789, '2026-01-01 00:00:00+09', '2020-01-01 10:00:00.123456', '2020-01-02', ['a', NULL, ''], {'a': 9007199254740993, 'b': [{'c': 'x'}, {'c': NULL}]}, MAP {'k': 1.5, '': NULL}`,
  `2, '', ''::BLOB, 1e300, 'inf'::REAL, -0.0000000001, '0044-03-15 (BC) 12:00:00+00', '1969-12-31 23:59:59.999999', '0001-01-01', [], {'a': NULL, 'b': []}, MAP {}`,
  `3, ${Array.from({ length: 11 }, () => 'NULL').join(', ')}`,
  String.raw`4, E'l1\nl2\t"q" ''s \\N | ä' || chr(1), 'x'::BLOB, -0.0, 3.4e38::REAL, 0, 'infinity', NULL, NULL, ['|', '"', E'\n'], {'a': 1, 'b': NULL}, MAP {'"': 2}`,
  `5, ' ', NULL, 'nan', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL`,
]

const TEXT: Record<string, string> = {
  'text.delimiter': '\\u0001',
  'text.null': '\\\\N',
  'text.skip.headerlines': '1',
  'compression.codec': 'org.apache.hadoop.io.compress.GzipCodec',
}
const FORMATS: [Table['format'], Record<string, string>][] = [
  ['PARQUET', {}],
  ['PARQUET', { 'parquet.compression': 'zstd' }],
  ['TEXT', {}],
  ['TEXT', TEXT],
  ['JSON', {}],
  ['JSON', { 'compression.codec': 'ZStandardCodec' }],
]
for (const [i, [format, options]] of FORMATS.entries()) {
  t.test(`values and order: ${format} ${JSON.stringify(options)}`, async (t) => {
    const table = warehouse.table(`wide${i}`, '', { columns: WIDE, format, options })
    for (let turn = 0; turn < 3; turn += 1) {
      for (const row of [...ROWS].reverse()) {
        const made = await warehouse.insert(table, `SELECT ${row}`)
        if ('kind' in made) throw new Error(made.message)
      }
    }
    const all = `SELECT * FROM wide${i}`
    const typed = `SELECT typeof(rec), typeof(map), blob, hex(blob), text IS NULL, "at"::TEXT, f::TEXT FROM wide${i}`
    const before = [await rowsOf(all), await rowsOf(typed)]
    t.equal(before[0]?.length, 15)
    const manifest = done(await warehouse.join(table))
    t.match(manifest, { rows: 15, groups: [0], reads: [] })
    t.equal(filesOf(table).length, 1)
    t.equal(filesOf(table)[0]?.rows, 15)
    t.same([await rowsOf(all), await rowsOf(typed)], before)
    // What was joined is joined again with what came since.
    await warehouse.insert(table, `SELECT ${ROWS[0]}`)
    const more = await rowsOf(all)
    done(await warehouse.join(table))
    t.equal(filesOf(table).length, 1)
    t.same(await rowsOf(all), more)
  })

  t.test(`partitions and later columns: ${format} ${JSON.stringify(options)}`, async (t) => {
    const partitionColumns = columnsOf('p TEXT, q INT4')
    const name = `part${i}`
    let table = warehouse.table(name, 'a INT4, b TEXT', { format, options, partitionColumns })
    const write = async (values: string): Promise<void> => {
      const made = await warehouse.insert(table, `VALUES ${values}`)
      if ('kind' in made) throw new Error(made.message)
    }
    const odd = ["'a/b'", 'NULL', "''", "'__HIVE_DEFAULT_PARTITION__'"]
    for (let n = 0; n < 4; n += 1) {
      await write(odd.map((p, k) => `(${n}, 'b${k}', ${p}, ${k === 1 ? 'NULL' : k})`).join(', '))
    }
    const renamed = format === 'JSON' ? 'b' : 'renamed'
    table = {
      ...table,
      files: listOf(table),
      schemaVersion: 3,
      columns: columnsOf(`a INT4, ${renamed} TEXT, c INT8`),
    }
    warehouse.put(table)
    await write(odd.map((p, k) => `(9, 'l${k}', 99, ${p}, ${k === 1 ? 'NULL' : k})`).join(', '))
    const each = async () => [
      await rowsOf(`SELECT * FROM ${name} WHERE p IS NULL ORDER BY a`),
      await rowsOf(`SELECT a, ${renamed}, c FROM ${name} WHERE p = 'a/b' AND q = 0 ORDER BY a`),
      await rowsOf(`SELECT * FROM ${name} ORDER BY p, q, a`),
    ]
    const before = await each()
    t.same([before[0]?.length, before[1]?.length, before[2]?.length], [5, 5, 20])
    t.equal(filesOf(table).length, 20)
    done(await warehouse.join(table))
    t.equal(filesOf(table).length, 4)
    t.same(await each(), before)
  })
}

t.test('many groups, each of the length that is wanted, in the order of before', async (t) => {
  const table = warehouse.table('many', 'a INT4, b TEXT', { format: 'TEXT' })
  for (let n = 0; n < 60; n += 1) {
    await warehouse.insert(table, `SELECT ${n}, 'x' FROM range(10)`)
  }
  const before = await rowsOf('SELECT a FROM many')
  const bytes = filesOf(table).reduce((sum, file) => sum + file.bytes, 0)
  const manifest = done(await warehouse.join(table, { targetBytes: bytes / 6 }))
  t.ok(manifest.files.length >= 5 && manifest.files.length <= 7, `${manifest.files.length} files`)
  t.same(await rowsOf('SELECT a FROM many'), before)
})

t.test('short and long files in one group, in the order of before', async (t) => {
  const table = warehouse.table('mixed', 'a INT4, b TEXT', { format: 'TEXT' })
  for (let n = 0; n < 40; n += 1) {
    const length = n % 7 === 3 ? 200_000 : 10
    await warehouse.insert(table, `SELECT ${n}, repeat('x', ${length})`)
  }
  const rows = () => rowsOf("SELECT a, length(b), b = repeat('x', length(b)) FROM mixed")
  const before = await rows()
  done(await warehouse.join(table))
  t.equal(filesOf(table).length, 1)
  t.same(await rows(), before)
})

t.test('what is not as the catalog says is not joined, and nothing is left of it', async (t) => {
  const table = warehouse.table('bad', 'a INT4', { format: 'TEXT' })
  for (let n = 0; n < 3; n += 1) await warehouse.insert(table, `SELECT ${n}`)
  const files = filesOf(table)
  const there = () => readdirSync(table.location).sort()
  const before = there()
  const cases: [string | RegExp, readonly DataFile[]][] = [
    [
      /bytes left, and joining files of default\.bad needs/,
      files.map((f) => ({ ...f, bytes: 1e15 })),
    ],
    [
      /4 rows are in 3 files .* and 3 were read/,
      files.map((f, i) => ({ ...f, rows: i === 0 ? 2 : 1 })),
    ],
    [/has 2 bytes, and had 7/, files.map((file) => ({ ...file, bytes: 7 }))],
    [/is missing/, [...files, { ...(files[0] as DataFile), path: 'data-none/part-0.csv' }]],
  ]
  for (const [why, now] of cases) {
    warehouse.put({ ...table, files: FileList.of(now) })
    const answer = await warehouse.join(table, { smallBytes: 1e16, targetBytes: 1e17 })
    t.match('kind' in answer ? answer.message : 'was joined', why)
    t.same(there(), before)
  }
  warehouse.put({ ...table, files: FileList.of(files) })
  const over = new AbortController()
  over.abort()
  t.match(await warehouse.join(table, {}, { signal: over.signal }), { kind: 'killed' })
  t.same(there(), before)
  const counted = await warehouse.join(table, {}, { keep: true })
  t.equal(done(counted).rows, 3)
  for (const { path } of files) t.ok(existsSync(join(table.location, path)), 'readers go on')
})
