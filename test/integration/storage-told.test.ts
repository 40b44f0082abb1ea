/**
 * What a master stands on and no election proves: the root directory of a master without high availability, and the tables'
 * directory where that is a mount of its own. Both are told in alerts, status, /plain and /metrics, and so is their recovery.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type HangFs, mountHangFs } from '../support/hangfs.ts'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { ask, makeCluster, type TestMaster } from '../support/test-masters.ts'
import { until } from '../support/until.ts'

interface Document {
  readonly storage: string
  readonly problem: string | null
  readonly alerts: readonly { kind: string; level: string; text: string }[]
}

async function world(t: Test, site: (dir: string, mount: HangFs) => Record<string, string>) {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-told-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  const backing = join(dir, 'backing')
  mkdirSync(backing)
  const mount = await mountHangFs(t, backing)
  const { masters } = await makeCluster(t, {
    count: 1,
    monitorMs: monitorMs(1000),
    site: site(dir, mount),
  })
  const [master] = masters as [TestMaster]
  const look = async (): Promise<Document> =>
    JSON.parse((await ask(master.ports.info, '/api/v1/cluster')).text)
  const textAt = async (path: string): Promise<string> => (await ask(master.ports.info, path)).text
  return { mount, look, textAt }
}

t.test('a master without high availability proves its storage', async (t) => {
  if (!hasParts(t, 'hangfs')) return
  const { mount, look, textAt } = await world(t, (dir, { path }) => ({
    'tajo.rootdir': path,
    'tajo.master.ha.enable': 'false',
    'tajo.catalog.uri': `jdbc:derby:${join(dir, 'catalog')};create=true`,
    'tajo.warehouse.directory': join(dir, 'warehouse'),
  }))
  const isWell = (): Promise<unknown> =>
    until('all is well', async () => {
      const { storage, problem, alerts } = await look()
      const bad = alerts.some(({ kind }) => kind.startsWith('storage'))
      return storage === 'ok' && problem === null && !bad
    })
  await isWell()
  t.match(await textAt('/metrics'), /^tajo_storage_free_bytes \d/m, 'the room is measured')
  const cases: [string, () => Promise<void>, string, RegExp, RegExp][] = [
    [
      'read-only',
      () => mount.makeReadOnly('all'),
      'unwritable',
      /EROFS/,
      /^tajo_master_storage_writable 0$/m,
    ],
    [
      'full',
      () => mount.fillUp('all'),
      'unwritable',
      /ENOSPC/,
      /^tajo_storage_low\{what="refused"\} 1$/m,
    ],
    [
      'broken',
      () => mount.failWithEio('all'),
      'unreadable',
      /EIO/,
      /^tajo_master_storage_readable 0$/m,
    ],
    [
      'hangs',
      () => mount.hang('all'),
      'unreadable',
      /has not answered/,
      /^tajo_master_storage_readable 0$/m,
    ],
  ]
  for (const [name, strike, storage, words, metric] of cases) {
    await strike()
    const { alerts, problem } = await until(`${name}: it is told`, async () => {
      const now = await look()
      return now.storage === storage && words.test(now.problem ?? '') ? now : null
    })
    const alert = alerts.find(({ kind }) => kind === 'storage')
    t.match(alert, { level: 'critical', text: words }, name)
    t.match(problem, mount.path, `${name}: the directory is named`)
    t.equal(
      alerts.some(({ kind }) => kind === 'storage-full'),
      name === 'full',
      name,
    )
    t.match(await textAt('/metrics'), metric, name)
    t.match(await textAt('/plain'), words, `${name}: on the page without scripts`)
    await mount.release()
    await isWell()
  }
})

t.test('the tables’ directory is a mount that hangs, or fails', async (t) => {
  if (!hasParts(t, 'hangfs')) return
  const { mount, look, textAt } = await world(t, (_dir, { path }) => ({
    'tajo.warehouse.directory': path,
  }))
  const told = async (): Promise<string> =>
    (await look()).alerts.map(({ text }) => text).find((text) => text.includes(mount.path)) ?? ''
  const cases: [string, () => Promise<void>, string][] = [
    ['hangs', () => mount.hang('all'), 'has not answered'],
    ['fails', () => mount.failWithEio('all'), 'EIO'],
  ]
  for (const [name, strike, words] of cases) {
    t.match(await textAt('/metrics'), /^tajo_master_warehouse_answers 1$/m)
    await strike()
    const text = await until(`${name}: it is told`, async () => {
      const now = await told()
      return now.includes(words) ? now : null
    })
    t.match(text, `${mount.path} (tajo.warehouse.directory) can't be used on ${hostname()}`, name)
    t.match(await textAt('/metrics'), /^tajo_master_warehouse_answers 0$/m)
    t.match(await textAt('/plain'), mount.path, `${name}: on the page without scripts`)
    t.equal((await look()).storage, 'ok', 'the cluster’s own directory is another mount')
    await mount.release()
    await until(`${name}: it is over`, async () => (await told()) === '')
  }
})
