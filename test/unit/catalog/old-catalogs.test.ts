/**
 * Catalogs that earlier versions have left (test/fixtures: three terms, each ended by kill -9, of commits d142f83 and
 * b1ee3de, with real masters and workers): gone on with as they are, and closed to readers of those versions.
 */
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { takeRecords } from '../../../lib/catalog/shared/records.ts'
import { SharedStore } from '../../../lib/catalog/shared/shared-store.ts'

/** Beside its source; this file runs from build/. */
const fixtureOf = (format: number): string =>
  fileURLToPath(new URL(`../../../../test/fixtures/format-${format}-catalog/`, import.meta.url))
const NEVER = new AbortController().signal
/** Name, and how many files. */
const TABLES = [
  ['a', 2],
  ['b', 1],
  ['e', 0],
  ['p', 2],
]

for (const format of [1, 2]) {
  t.test(`the catalog of a directory of format ${format}`, async (t) => {
    const directory = join(t.testdir({}), 'catalog')
    cpSync(fixtureOf(format), directory, { recursive: true })
    // The second time as after a kill -9 of the first term of this version.
    for (const term of [4, 5]) {
      const store = new SharedStore({ directory, log: () => undefined })
      const { state } = await store.open(term, NEVER)
      const found = state.toData().tables.map(({ name, files }) => [name, files.length])
      t.same(found.sort(), TABLES, `term ${term} has all tables with their files`)
      const head = readFileSync(join(directory, `epoch-000000000${term}/snapshot-0000000001`))
      const records: unknown[] = []
      takeRecords(head, (record) => void records.push(record))
      t.match(records, [{ snapshot: 3 }], 'an older reader stops there')
    }
  })
}
