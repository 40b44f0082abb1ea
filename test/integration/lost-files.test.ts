/** Files of the HA directory are removed under real masters: they are put back, told on the page, and nothing fails over. */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { HOME } from '../support/install.ts'
import { monitorMs } from '../support/pace.ts'
import { type Ran, run } from '../support/run.ts'
import { makeCluster, type TestMaster } from '../support/test-masters.ts'
import { clientOf } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

const M = monitorMs(1500)

/** The test runner puts its loader into every Node child's NODE_OPTIONS; it is not for what is tested here. */
const TAJO = ['/usr/bin/env', '-u', 'NODE_OPTIONS', process.execPath, join(HOME, 'bin', 'tajo')]
const haadmin = (master: TestMaster, ...words: string[]): Promise<Ran> =>
  run([...TAJO, 'haadmin', ...words], { env: { TAJO_CONF_DIR: join(master.dir, 'conf') } })

t.test('cluster.json and the secret: put back, told, and a failover goes on', async (t) => {
  const cluster = await makeCluster(t, { count: 2, monitorMs: M })
  const { active, backups, epoch } = await cluster.settled()
  const ha = join(cluster.root, 'system', 'ha')
  const files = ['cluster.json', 'secret'].map((name) => join(ha, name))
  const before = files.map((file) => readFileSync(file, 'utf8'))
  for (const file of files) rmSync(file)
  // A name is there before its text is: such a file is passed over by whoever reads it.
  const asBefore = () =>
    files.every((file, i) => existsSync(file) && readFileSync(file, 'utf8') === before[i])
  await until('the active has put them back as they were', asBefore, { productMs: 2 * M })
  const alerts = await until('the page tells it', async () => {
    const told = (await active.cluster()).alerts.filter(({ text }) => /put back/.test(text))
    return told.length === 2 ? told : null
  })
  t.match(alerts[0]?.text, /something removes or replaces files there/)
  t.equal((await cluster.settled()).epoch, epoch, 'nobody has lost the role')

  for (const file of files) rmSync(file)
  active.destroy()
  const backup = backups[0]
  await until('the backup serves', () => backup?.health('active') ?? false, { productMs: 2 * M })
  await until('the new active has put them back', asBefore, { productMs: 2 * M })
  await active.start()
  t.equal((await cluster.settled()).active, backup, 'and the other one joins again')
})

t.test('all of a stopped cluster: refused with the way back', async (t) => {
  const cluster = await makeCluster(t, { count: 1, monitorMs: M })
  const { active } = await cluster.settled()
  const ha = join(cluster.root, 'system', 'ha')
  active.destroy()
  await active.ended()
  rmSync(join(ha, 'cluster.json'))
  const { code, said } = await active.runToEnd()
  t.equal(code, 1)
  t.match(
    said,
    /has terms \(the newest is 1.*its cluster.json is gone.*-checkSharedDir --peer.*haadmin -formatHA/,
  )
  t.notOk(existsSync(join(ha, 'cluster.json')))
})

t.test('a secret that is torn is no secret: nothing is derived from it', async (t) => {
  const cluster = await makeCluster(t, { count: 1, monitorMs: M })
  const { active } = await cluster.settled()
  active.destroy()
  await active.ended()
  for (const torn of ['', '4887f97e49e9']) {
    writeFileSync(join(cluster.root, 'system', 'ha', 'secret'), torn)
    const said = await haadmin(active, '-token')
    t.not(said.code, 0)
    t.equal(said.stdout, '')
    t.match(said.stderr, `secret is torn or foreign (${torn.length} characters)`)
  }
})

t.test('the catalog and every record of having served: refused, never begun empty', async (t) => {
  const cluster = await makeCluster(t, { count: 1, monitorMs: M })
  const { active } = await cluster.settled()
  const client = clientOf(cluster.masters)
  t.teardown(() => client.close())
  t.equal(await client.execute('create table a (x int4)'), 'CREATE TABLE')
  const history = join(cluster.root, 'system', 'ha', 'history')
  const records = () => readdirSync(history).filter((name) => name.endsWith('.served.json'))
  await until('the term has left its record', () => records().length === 1)
  active.destroy()
  await active.ended()
  for (const name of records()) rmSync(join(history, name))
  renameSync(join(cluster.root, 'system', 'catalog'), join(cluster.root, 'removed'))
  await active.start()
  const told = await until('-status tells the reason', async () => {
    const { stdout } = await haadmin(active, '-status')
    return /catalog/.test(stdout) ? stdout : null
  })
  t.match(told, /term 1 has served.*tajo catalog restore/s)
  const removed = join(cluster.root, 'removed')
  // Into the directory that the refused openings have made.
  for (const name of readdirSync(removed)) {
    renameSync(join(removed, name), join(cluster.root, 'system', 'catalog', name))
  }
  await until('it serves as soon as the catalog is back', () => active.health('active'))
  t.equal(await client.execute('drop table a'), 'DROP TABLE')
})

t.test('a first opening that is cut short bars nobody', async (t) => {
  const cluster = await makeCluster(t, { count: 2, monitorMs: M, start: false })
  const history = join(cluster.root, 'system', 'ha', 'history')
  const [first, second] = cluster.masters
  if (first === undefined || second === undefined) throw new Error('two masters are needed')
  first.launch()
  await until('term 1 is opened', () => existsSync(join(history, '0000000001.opened.json')))
  first.destroy()
  await second.start()
  await until('the other one serves', () => second.health('active'))
  const client = clientOf([second])
  t.teardown(() => client.close())
  t.equal(await client.execute('create table a (x int4)'), 'CREATE TABLE')
})

t.test(
  'the whole HA directory, under the living: the way back is told, and keeps the catalog',
  async (t) => {
    const cluster = await makeCluster(t, { count: 2, monitorMs: M })
    const { active, backups } = await cluster.settled()
    const client = clientOf(cluster.masters)
    t.teardown(() => client.close())
    t.equal(await client.execute('create table a (x int4)'), 'CREATE TABLE')
    active.destroy()
    await active.ended()
    const heir = backups[0] ?? active
    await until('the backup serves', () => heir.health('active'), { productMs: 2 * M })
    await active.start()
    // At once, as nobody can remove a directory that others write into.
    renameSync(join(cluster.root, 'system', 'ha'), join(cluster.root, 'removed'))
    const told = await until('-status tells the way back', async () => {
      const { stdout } = await haadmin(heir, '-status')
      return /-formatHA/.test(stdout) ? stdout : null
    })
    t.match(told, /active\/ is gone from the HA directory: it was removed, or isn't mounted/)
    t.notMatch(told, /no HA directory yet/)
    for (const master of cluster.masters) process.kill(master.processId, 'SIGTERM')
    await Promise.all(cluster.masters.map((master) => master.ended()))
    const refused = await active.runToEnd()
    t.match(refused, { code: 1, said: /were removed.*haadmin -formatHA/ })
    t.match(await haadmin(active, '-formatHA', '--yes'), { code: 0 })
    for (const master of cluster.masters) await master.start()
    await cluster.settled()
    // The catalog knows the id, so that whoever knows the cluster by it goes on.
    t.equal(await client.execute('drop table a'), 'DROP TABLE', 'what was acknowledged is there')
  },
)
