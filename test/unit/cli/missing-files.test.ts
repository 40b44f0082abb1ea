/** What of a catalog that is brought back is gone. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CatalogState, EMPTY } from '../../../lib/catalog/state.ts'
import { missingFiles, toldMissing } from '../../../lib/cli/catalog/restore.ts'
import { fileOf, tableOf } from '../../contract/catalog.ts'
import { testdirOf } from '../../support/testdir.ts'

t.test('files that are gone are counted, with their tables', async (t) => {
  const dir = testdirOf(t)
  const table = (id: number, count: number, there: number, more = {}) => {
    const location = join(dir, `t${id}`)
    mkdirSync(location)
    const files = Array.from({ length: count }, (_, n) => fileOf(`f${n}`))
    for (let n = 0; n < there; n += 1) writeFileSync(join(location, `f${n}`), '')
    return tableOf(id, { location, files, ...more })
  }
  const state = (...tables: ReturnType<typeof tableOf>[]) =>
    CatalogState.from({ ...EMPTY, tables, nextTableId: 9 })
  const whole = await missingFiles(state(table(1, 40, 40), table(2, 3, 0, { kind: 'external' })))
  t.same(whole, { files: 0, tables: [], cut: false })
  t.equal(toldMissing(whole), null)
  const some = await missingFiles(state(table(3, 40, 30), table(4, 1, 1), table(5, 2, 0)))
  t.same(some, { files: 12, tables: ['default.t3', 'default.t5'], cut: false })
  t.match(toldMissing(some), /^12 files that it names are gone .* default\.t3, default\.t5 fails$/)
  const cut = await missingFiles(state(table(6, 40, 0)), 10)
  t.same(cut, { files: 10, tables: ['default.t6'], cut: true })
  t.match(toldMissing(cut), /^at least 10 files/)
})
