/**
 * The directories that a user may name are his to put links into, at any time: by no link does a query of his, or a table of
 * his, read or write anything elsewhere.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { testdirOf } from '../../support/testdir.ts'
import { TestWarehouse } from '../../support/worker-engine.ts'

const warehouse = await TestWarehouse.open(testdirOf(t))
t.teardown(() => warehouse.close())
const at = (...names: string[]): string => join(warehouse.directory, ...names)

for (const [name, text] of [
  ['in', 'his\n'],
  ['secret', 'secret\n'],
] as const) {
  mkdirSync(at(name))
  writeFileSync(at(name, 'f'), text)
}
const confinement = { owner: 'ann', within: [at('in')] }
const table = warehouse.table('e', 'a TEXT', {
  ...{ kind: 'external', wholeDirectory: true, format: 'TEXT', location: at('in') },
})
warehouse.confined.set('default.e', confinement)
const refused = { kind: 'user', message: /leads out of what its owner ann may name/ }

t.test('what he reads', async (t) => {
  t.same(await warehouse.query('SELECT a FROM e'), [['his']])
  symlinkSync(at('secret', 'f'), at('in', 'g'))
  t.match(await warehouse.query('SELECT a FROM e'), refused, 'a link to a file')
  warehouse.confined.delete('default.e')
  t.same(
    await warehouse.query('SELECT a FROM e ORDER BY a'),
    [['his'], ['secret']],
    "the operator's own links",
  )
  warehouse.confined.set('default.e', confinement)
  rmSync(at('in', 'g'))
  symlinkSync(at('in', 'f'), at('in', 'g'))
  t.same(await warehouse.query('SELECT a FROM e'), [['his'], ['his']], 'a link to what is his')
  rmSync(at('in', 'g'))
  warehouse.confined.set('default.e', { owner: 'ann', within: [at('gone')] })
  t.match(await warehouse.query('SELECT a FROM e'), refused, 'a place that is gone is no place')
  warehouse.confined.set('default.e', confinement)
})

t.test('where he writes', async (t) => {
  mkdirSync(at('in', 'out'))
  const place = (name: string) => ({
    directory: at('in', 'out', name),
    base: at('in'),
    confined: confinement,
  })
  t.match(await warehouse.insert(table, "SELECT 'x'", place('data-1-1')), { rows: 1 })
  // Planned, and only then a link.
  renameSync(at('in', 'out'), at('in', 'was'))
  symlinkSync(at('secret'), at('in', 'out'))
  t.match(await warehouse.insert(table, "SELECT 'x'", place('data-2-1')), refused)
  t.same(readdirSync(at('secret')), ['f'])
  t.notOk(existsSync(at('in', 'was', 'data-2-1')))
})
