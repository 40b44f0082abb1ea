/** A dump that was edited or cut off is refused with what is wrong and where. */
import t from 'tap'
import { DumpReader, dumpLines, dumpPieces, isEmptyCatalog } from '../../../lib/catalog/dump.ts'
import type { CatalogData } from '../../../lib/catalog/model.ts'
import { EMPTY } from '../../../lib/catalog/state.ts'
import { fileOf, outcomeOf, tableOf } from '../../contract/catalog.ts'

const data: CatalogData = {
  databases: [...EMPTY.databases, { name: 'sales', createdAt: 'then' }],
  tables: [
    tableOf(1, { database: 'sales', options: { 'text.null': '\\N' }, files: [fileOf('x')] }),
  ],
  outcomes: [outcomeOf('q', { rows: null })],
  litter: [{ path: '/old', sinceMs: 1.5 }],
  publications: [{ queryId: 'p', staging: '/s', location: '/l' }],
  nextTableId: 3,
}
const encodeDump = (catalog: CatalogData): string => [...dumpPieces(catalog, new Date(0))].join('')
/** In chunks of so many characters. */
function decodeDump(text: string, size = text.length): CatalogData {
  const reader = new DumpReader()
  for (let at = 0; at < text.length; at += Math.max(1, size)) {
    reader.push(text.slice(at, at + Math.max(1, size)))
  }
  return reader.end()
}
const whole = encodeDump(data)

t.test('what goes out comes in', async (t) => {
  t.same(decodeDump(whole), data)
  const outcomes = [outcomeOf('q', { rows: null, state: 'failed', kind: 'lost' })]
  t.same(decodeDump(encodeDump({ ...data, outcomes })), { ...data, outcomes })
  t.notOk(isEmptyCatalog(data))
  t.ok(isEmptyCatalog(EMPTY))
})

t.test('what is not whole or does not fit together is refused, with the place', async (t) => {
  const cases: [RegExp, string][] = [
    [/is not JSON/, whole.slice(0, -20)],
    [/format 9, this version knows up to 2/, whole.replace('"tajoCatalog": 1', '"tajoCatalog": 9')],
    [/tajoCatalog: /, '{}'],
    [/no whole dump/, 'null'],
    [/catalog.tables.0.format: /, whole.replace('PARQUET', 'ORC')],
    [/catalog.tables.0.files.0.bytes: /, whole.replace('"bytes": 100', '"bytes": -1')],
    [/catalog.tables.0: Unrecognized key/, whole.replace('"kind"', '"kinds": 1, "kind"')],
    [/there is no such database/, whole.replace('"database": "sales"', '"database": "x"')],
    [/id 1 is not below nextTableId/, whole.replace('"nextTableId": 3', '"nextTableId": 1')],
    [/database 'default' is there twice/, whole.replace('"name": "sales"', '"name": "default"')],
    [/there is no database 'default'/, whole.replace('"name": "default"', '"name": "other"')],
    [/has not 0 partition values/, whole.replace('"partition": []', '"partition": [null]')],
  ]
  for (const [message, text] of cases) {
    t.not(text, whole, String(message))
    t.throws(() => decodeDump(text), { code: 'CORRUPT', message })
    t.throws(() => decodeDump(text, 1), { code: 'CORRUPT', message })
  }
})

t.test(
  'it is the document that JSON.stringify would make, and is read in chunks of any size',
  async (t) => {
    const files = Array.from({ length: 2500 }, (_, at) =>
      fileOf(`f"${at}\\\n`, { partition: [at % 3 === 0 ? null : `p${at % 2}`] }),
    )
    const partitionColumns = [{ name: 'p', type: 'TEXT' }]
    const more = { ...data, tables: [...data.tables, tableOf(2, { files, partitionColumns })] }
    const text = encodeDump(more)
    const dumpedAt = new Date(0).toISOString()
    t.equal(text, JSON.stringify({ tajoCatalog: 1, dumpedAt, catalog: more }, null, 1))
    for (const size of [1, 7, 4096, text.length]) t.same(decodeDump(text, size), more, `${size}`)
    const compact = JSON.stringify(JSON.parse(text))
    t.same(decodeDump(compact, 11), more)
    const parts = [...dumpPieces(more, new Date(0))]
    const lines = [...dumpLines(more, new Date(0), 1000)]
    t.equal(lines.join('\n'), text)
    t.ok(lines.length > 100 && lines.every(({ length }) => length < 1500))
    t.ok(Math.max(...parts.map(({ length }) => length)) < 500, 'no piece is long')
  },
)

t.test('what is no JSON is refused wherever it is cut or changed', async (t) => {
  const small = JSON.stringify(JSON.parse(whole))
  for (let at = 0; at < small.length; at += 7) {
    t.throws(() => decodeDump(small.slice(0, at)), { code: 'CORRUPT' }, `cut at ${at}`)
    for (const odd of [',', '}', ']', ':', '"', 'x']) {
      const text = small.slice(0, at) + odd + small.slice(at)
      let isJson = true
      try {
        JSON.parse(text)
      } catch {
        isJson = false
      }
      if (isJson) continue
      t.throws(
        () => decodeDump(text),
        { code: 'CORRUPT', message: /is not JSON/ },
        `${odd} at ${at}`,
      )
    }
  }
  t.throws(() => decodeDump(`${whole}{}`), { code: 'CORRUPT', message: /is not JSON/ })
  const twice = whole.replace('"tables": [', '"tables": [], "tables": [')
  t.throws(() => decodeDump(twice), { code: 'CORRUPT', message: /catalog.tables is there twice/ })
})
