/**
 * Files of the shared catalog that are removed under a running cluster, and while it is down, with real masters: what was
 * acknowledged is there again, by itself or by `tajo catalog restore`; never an older or an empty catalog without a word.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { claimsIn, countClaims } from '../support/claims.ts'
import { HOME } from '../support/install.ts'
import { monitorMs } from '../support/pace.ts'
import { type Ran, run } from '../support/run.ts'
import { makeCluster, type TestCluster, type TestMaster } from '../support/test-masters.ts'
import { clientOf } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

/** The test runner puts its loader into every Node child's NODE_OPTIONS; it is not for what is tested here. */
const TAJO = ['/usr/bin/env', '-u', 'NODE_OPTIONS', process.execPath, join(HOME, 'bin', 'tajo')]
const catalog = (master: TestMaster, ...args: string[]): Promise<Ran> =>
  tajo(master, 'catalog', ...args)
const tajo = (master: TestMaster, ...args: string[]): Promise<Ran> =>
  run([...TAJO, ...args], {
    env: {
      TAJO_CONF_DIR: join(master.dir, 'conf'),
      TAJO_HOME: HOME,
      TAJO_MASTER_NAME: undefined,
    },
  })

/** All files of the catalog whose path below its directory matches. */
function removeFiles({ root }: TestCluster, what: RegExp): string[] {
  const directory = join(root, 'system', 'catalog')
  const gone = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => /(snapshot|journal|checkpoint|whole|begun)-[0-9.-]+$/.test(path))
    .filter((path) => what.test(path))
  for (const path of gone) rmSync(join(directory, path))
  return gone
}

async function killAll({ masters }: TestCluster): Promise<void> {
  for (const master of masters) master.destroy()
  await Promise.all(masters.map((master) => master.ended()))
}

t.test('removed under the running active: nothing acknowledged is lost', async (t) => {
  const cluster = await makeCluster(t, { count: 2, monitorMs: monitorMs(2000) })
  const first = await cluster.settled()
  const client = clientOf(cluster.masters)
  t.teardown(() => client.close())
  t.equal(await client.execute('create table a (x int4)'), 'CREATE TABLE')
  t.not(removeFiles(cluster, /epoch-/).length, 0)
  t.equal(await client.execute('create table b (x int4)'), 'CREATE TABLE')
  const second = await cluster.settled()
  t.ok(second.epoch > first.epoch, 'under a later term')
  t.match(first.active.log, /journal-0000000001 is gone: somebody has removed it/)
  t.match(first.active.log, /term \d+ is given up/)
  second.active.destroy()
  await second.active.ended()
  for (const name of ['a', 'b']) t.equal(await client.execute(`drop table ${name}`), 'DROP TABLE')
})

t.test('nobody writes: the active notices all the same, within its monitor interval', async (t) => {
  const cluster = await makeCluster(t, { count: 2, monitorMs: monitorMs(2000) })
  const first = await cluster.settled()
  const client = clientOf(cluster.masters)
  t.teardown(() => client.close())
  t.equal(await client.execute('create table a (x int4)'), 'CREATE TABLE')
  removeFiles(cluster, /./)
  const second = await until('a later term serves', async () => {
    const now = await cluster.settled()
    return now.epoch > first.epoch ? now : null
  })
  const told = /term \d+ was given up by .*somebody has removed it/
  await until('it is told why', async () =>
    (await second.active.cluster()).alerts.some(({ text }) => told.test(text)),
  )
  const { stdout } = await tajo(second.active, 'haadmin', '-history')
  t.match(stdout, /it gave up: .*somebody has removed it/, 'for good, in the history')
  await killAll(cluster)
  await Promise.all(cluster.masters.map((master) => master.start()))
  t.equal(await client.execute('drop table a'), 'DROP TABLE')
})

t.test(
  'removed while the cluster is down: refused, and brought back while masters wait',
  async (t) => {
    const cluster = await makeCluster(t, { count: 2, monitorMs: monitorMs(1500) })
    const client = clientOf(cluster.masters)
    t.teardown(() => client.close())
    const { active, backups } = await cluster.settled()
    t.equal(await client.execute('create table a (x int4)'), 'CREATE TABLE')
    const [backup] = backups as [TestMaster]
    await active.handOverTo(backup)
    await cluster.settled()
    t.equal(await client.execute('create table b (x int4)'), 'CREATE TABLE')

    const beside = await catalog(active, 'restore')
    t.match(beside, { code: 4, stderr: /is active and has its catalog open/ })

    /** Answers what the command said. */
    const broughtBack = async (what: RegExp): Promise<Ran> => {
      const { epoch } = await cluster.settled()
      await killAll(cluster)
      const newest = new RegExp(`epoch-0*${epoch}/${what.source}`)
      t.not(removeFiles(cluster, newest).length, 0, String(newest))
      await Promise.all(cluster.masters.map((master) => master.start()))
      await until('a master tells why it can not serve', async () => {
        const alerts = await Promise.all(
          cluster.masters.map(async (master) => (await master.cluster()).alerts),
        )
        return alerts.flat().some(({ text }) => text.includes("run 'tajo catalog restore'"))
      })
      const healthy = await Promise.all(cluster.masters.map((master) => master.health('active')))
      t.same(healthy, [false, false], 'nobody serves')
      const restored = await catalog(active, 'restore')
      t.equal(restored.code, 0, restored.stderr)
      t.match(restored.stdout, /is brought back as term \d+/)
      await cluster.settled()
      return restored
    }
    await broughtBack(/journal-.*/)
    const { nextTableId } = JSON.parse((await catalog(active, 'dump')).stdout).catalog
    t.ok(nextTableId > 1_000_000, 'no table gets the id of one whose making is lost')
    t.match(await client.execute('create table if not exists a (x int4)'), /exists already/)
    const again = await client.execute('create table b (x int4)')
    t.equal(again, 'CREATE TABLE', 'b was in that journal')
    await broughtBack(/.*/)
    t.equal(await client.execute('drop table a'), 'DROP TABLE')
    t.equal(await client.execute('create table b (x int4)'), 'CREATE TABLE', 'and was lost again')
  },
)

for (const count of [2, 3]) {
  t.test(
    `a damaged catalog: ${count} masters claim once in M, and serve once it is restored`,
    async (t) => {
      const M = monitorMs(1500)
      const cluster = await makeCluster(t, { count, monitorMs: M })
      const client = clientOf(cluster.masters)
      t.teardown(() => client.close())
      const { active, backups } = await cluster.settled()
      t.equal(await client.execute('create table a (x int4)'), 'CREATE TABLE')
      const [backup] = backups as [TestMaster]
      await active.handOverTo(backup)
      const { epoch } = await cluster.settled()
      await killAll(cluster)
      t.not(removeFiles(cluster, new RegExp(`epoch-0*${epoch}/journal`)).length, 0)
      await Promise.all(cluster.masters.map((master) => master.start()))
      await countClaims(t, cluster, M, epoch)
      const restored = await catalog(active, 'restore')
      t.equal(restored.code, 0, restored.stderr)
      const told = Date.now()
      await cluster.settled()
      const next = claimsIn(cluster.root).at(-1)
      const afterMs = (next?.atMs ?? 0) - told
      t.comment(`the next claim came ${afterMs} ms after the command's end`)
      t.ok(afterMs < M, 'nobody waits for what is over')
      t.equal(await client.execute('drop table a'), 'DROP TABLE')
    },
  )
}

t.test(
  'a catalog of an earlier version, without marks and notes, opens with all its data',
  async (t) => {
    const cluster = await makeCluster(t, { count: 1, monitorMs: monitorMs(1500) })
    const client = clientOf(cluster.masters)
    t.teardown(() => client.close())
    const { active, epoch } = await cluster.settled()
    t.equal(await client.execute('create table a (x int4)'), 'CREATE TABLE')
    await killAll(cluster)
    removeFiles(cluster, /begun-/)
    const history = join(cluster.root, 'system', 'ha', 'history')
    const record = join(history, `${String(epoch).padStart(10, '0')}.served.json`)
    const { catalog: note, ...served } = JSON.parse(readFileSync(record, 'utf8'))
    t.match(JSON.parse(note), { store: 'SharedStore', part: 1 })
    writeFileSync(record, JSON.stringify(served))
    await active.start()
    t.equal(await client.execute('drop table a'), 'DROP TABLE')
  },
)

t.test('all of it removed while the cluster is down: never an empty one', async (t) => {
  const cluster = await makeCluster(t, { count: 1, monitorMs: monitorMs(1500) })
  const client = clientOf(cluster.masters)
  t.teardown(() => client.close())
  const { active } = await cluster.settled()
  t.equal(await client.execute('create table a (x int4)'), 'CREATE TABLE')
  const file = join(cluster.root, '..', 'dump.json')
  t.equal((await catalog(active, 'dump', file)).code, 0)
  await killAll(cluster)
  rmSync(join(cluster.root, 'system', 'catalog'), { recursive: true })
  await active.start()
  await until('it tells why it can not serve', async () => {
    const { alerts } = await active.cluster()
    return alerts.some(({ text }) => /the history says that term 1 has served with it/.test(text))
  })
  t.match(await catalog(active, 'restore'), { code: 1, stderr: /nothing is whole/ })
  await killAll(cluster)
  t.match(await catalog(active, 'load', file), { code: 4, stderr: /--force puts the dump/ })
  t.match(await catalog(active, 'load', file, '--force'), { code: 0 })
  await active.start()
  t.equal(await client.execute('drop table a'), 'DROP TABLE')
})
