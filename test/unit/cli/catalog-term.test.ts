/** What the shared catalog's files say of the terms that have served it. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  leaveElectedSign,
  newestCatalogTerm,
  newestElectedTerm,
} from '../../../lib/cli/catalog-term.ts'

t.test('a catalog of term 1 counts as served by an election only with its sign', async (t) => {
  const root = t.testdir({})
  t.equal(await newestElectedTerm(root), 0, 'nothing there')
  const catalog = join(root, 'system', 'catalog')
  mkdirSync(join(catalog, 'epoch-0000000001'), { recursive: true })
  t.equal(await newestCatalogTerm(root), 1)
  t.equal(await newestElectedTerm(root), 0, "loaded before the first start, or a single master's")
  await leaveElectedSign(root)
  await leaveElectedSign(root)
  t.equal(await newestElectedTerm(root), 1)
  mkdirSync(join(catalog, 'epoch-0000000007'))
  t.equal(await newestElectedTerm(root), 7)
  await t.rejects(leaveElectedSign(join(root, 'not there')), { code: 'ENOENT' })
})

t.test('above term 1 no sign is needed', async (t) => {
  const root = t.testdir({ system: { catalog: { 'epoch-0000000002': {} } } })
  t.equal(await newestElectedTerm(root), 2)
})
