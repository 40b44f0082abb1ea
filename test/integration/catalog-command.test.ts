/** `tajo catalog dump` and `load`: what moves, what is refused, and that a running master is left alone. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { dumpPieces } from '../../lib/catalog/dump.ts'
import { SharedStore } from '../../lib/catalog/shared/shared-store.ts'
import { DemoCluster } from '../../lib/cli/demo/cluster.ts'
import { askMaster } from '../../lib/cli/sight/look-around.ts'
import { fileOf, NEVER, newCatalog, outcomeOf, tableOf, transaction } from '../contract/catalog.ts'
import { HOME, siteXml } from '../support/install.ts'
import { monitorMs, patienceMs } from '../support/pace.ts'
import { watch } from '../support/processes.ts'
import { type Ran, run } from '../support/run.ts'
import { until } from '../support/until.ts'

/** The test runner puts its loader into every Node child's NODE_OPTIONS; it is not for what is tested here. */
const TAJO = ['/usr/bin/env', '-u', 'NODE_OPTIONS', process.execPath, join(HOME, 'bin', 'tajo')]
const catalog = (confDir: string, ...args: string[]): Promise<Ran> =>
  run([...TAJO, 'catalog', ...args], {
    env: { TAJO_CONF_DIR: confDir, TAJO_HOME: HOME, TAJO_MASTER_NAME: undefined },
  })

/** A cluster that doesn't run, with a root directory of its own; port 9 answers nobody. */
function stopped(t: Test, name: string) {
  const dir = join(t.testdirName, name)
  const conf = join(dir, 'conf')
  const root = join(dir, 'root')
  mkdirSync(conf, { recursive: true })
  mkdirSync(root)
  const site = {
    'tajo.rootdir': root,
    'tajo.master.ha.enable': 'true',
    'tajo.master.umbilical-rpc.address': 'localhost:9',
  }
  writeFileSync(join(conf, 'tajo-site.xml'), siteXml(site))
  writeFileSync(join(conf, 'masters'), 'localhost\n')
  const store = () => new SharedStore({ directory: join(root, 'system', 'catalog'), log: () => {} })
  return { conf, dir, root, store }
}

t.test('a catalog moves from one store to another', async (t) => {
  t.testdir({})
  const a = stopped(t, 'a')
  const b = stopped(t, 'b')
  const source = newCatalog(a.store())
  await source.open(7, NEVER)
  await source.transact(() =>
    transaction(
      [
        { do: 'create-database', name: 'sales', createdAt: 'then' },
        { do: 'create-table', table: tableOf(1, { database: 'sales', files: [fileOf('x')] }) },
        { do: 'create-table', table: tableOf(2) },
        { do: 'drop-table', tableId: 2, litter: ['/old'] },
      ],
      outcomeOf('q1'),
    ),
  )
  const data = source.state().toData()
  await source.close()

  const file = join(a.dir, 'dump.json')
  t.match(await catalog(a.conf, 'dump', file), {
    code: 0,
    stdout: /^databases: 2, tables: 1, of SharedStore/,
  })
  t.equal(statSync(file).mode & 0o777, 0o600)
  const toStdout = await catalog(a.conf, 'dump')
  t.same(JSON.parse(toStdout.stdout).catalog, data)

  t.match(await catalog(b.conf, 'load', file), {
    code: 0,
    stdout: /^SharedStore now holds databases: 2/,
  })
  t.same((await b.store().readOnly()).data, data)
  const loaded = join(b.root, 'system', 'catalog')
  const holding = readdirSync(loaded, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .filter(({ parentPath, name }) => readFileSync(join(parentPath, name)).includes('"sales"'))
    .map(({ name }) => name.replace(/-.*/, ''))
  t.same(holding, ['checkpoint'], 'where it is read in slices, and not in one record of a journal')

  const again = await catalog(b.conf, 'load', file)
  t.match(again, { code: 4, stderr: /holds a catalog already \(1 tables\): --force replaces it/ })
  t.match(await catalog(b.conf, 'load', file, '--force', '--json'), { code: 0 })
  t.same((await b.store().readOnly()).data, data)

  await t.test('what is no whole dump changes nothing', async (t) => {
    const bad = join(a.dir, 'bad.json')
    writeFileSync(bad, readFileSync(file, 'utf8').slice(0, -20))
    t.match(await catalog(b.conf, 'load', bad, '--force'), { code: 1, stderr: /is not JSON/ })
    t.match(await catalog(b.conf, 'load', '/no/such'), { code: 1, stderr: /can't read \/no\/such/ })
    t.match(await catalog(b.conf, 'dump', '/no/such/file'), { code: 1, stderr: /can't write/ })
    t.match(await catalog(b.conf, 'lose'), {
      code: 2,
      stderr: /can dump, load and restore, not 'lose'/,
    })
    t.match(await catalog(b.conf, 'load'), { code: 2, stderr: /needs the file/ })
    t.match(await catalog(b.conf, 'restore', bad), { code: 2, stderr: /takes no file/ })
    t.match(await catalog(b.conf, 'restore', '--term', 'x'), { code: 2, stderr: /not 'x'/ })
    t.match(await catalog(b.conf, 'restore', '--force'), { code: 2, stderr: /no option --force/ })
    t.match(await catalog(b.conf, 'dump', '--term', '3'), { code: 2, stderr: /no option --term/ })
    t.match(await catalog(b.conf, 'restore'), { code: 0, stdout: /is whole/ })
    t.same((await b.store().readOnly()).data, data)
  })

  await t.test('no table gets the id of one that is not there any more', async (t) => {
    const nextId = async () => (await b.store().readOnly()).data.nextTableId
    const older = join(a.dir, 'older.json')
    const empty = { ...data, tables: [], nextTableId: 1 }
    writeFileSync(older, [...dumpPieces(empty, new Date())].join(''))
    t.match(await catalog(b.conf, 'load', older, '--force'), { code: 0 })
    t.equal(await nextId(), data.nextTableId)
    const kept = join(b.root, 'system', 'catalog')
    const names = readdirSync(kept, { recursive: true }).map(String).sort()
    rmSync(join(kept, names.findLast((one) => /journal/.test(one)) ?? ''))
    t.match(await catalog(b.conf, 'load', older, '--force'), { code: 0 })
    t.ok((await nextId()) > 1_000_000, 'nobody knows how many tables were made in the journal')
  })
})

t.test('beside a living master a dump works and a load is refused', async (t) => {
  const cluster = new DemoCluster(HOME, {
    properties: { 'tajo.master.ha.monitor.interval': String(monitorMs(5000)) },
    tajo: TAJO,
  })
  t.teardown(() => cluster.end())
  const master = await cluster.start()
  watch(master.process, ['tajo', 'master', master.address])
  const needs = [master.process]
  await until(
    'a master is active',
    async () => {
      const asked = await askMaster(
        { host: 'localhost', port: master.ports.umbilical },
        patienceMs(0.1),
      )
      return asked.answered && asked.answer.state === 'active'
    },
    { needs },
  )
  const file = join(t.testdir({}), 'dump.json')
  t.match(await catalog(master.confDir, 'dump', file), { code: 0 })
  const refused = await catalog(master.confDir, 'load', file, '--force')
  t.match(refused, { code: 4, stderr: /masters are alive: .*stop them first/ })
  t.same(readdirSync(join(file, '..')), ['dump.json'], 'nothing else is left beside it')
})
