/** A dump that was edited or cut off is refused with what is wrong and where. */
import t from 'tap'
import { decodeDump, encodeDump, isEmptyCatalog } from '../../../lib/catalog/dump.ts'
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
const whole = encodeDump(data, new Date(0))

t.test('what goes out comes in', async (t) => {
  t.same(decodeDump(whole), data)
  const outcomes = [outcomeOf('q', { rows: null, state: 'failed', kind: 'lost' })]
  t.same(decodeDump(encodeDump({ ...data, outcomes }, new Date(0))), { ...data, outcomes })
  t.notOk(isEmptyCatalog(data))
  t.ok(isEmptyCatalog(EMPTY))
})

t.test('what is not whole or does not fit together is refused, with the place', async (t) => {
  const cases: [RegExp, string][] = [
    [/is not JSON/, whole.slice(0, -20)],
    [/format 9, this version knows up to 1/, whole.replace('"tajoCatalog": 1', '"tajoCatalog": 9')],
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
  }
})
