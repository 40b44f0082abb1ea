/**
 * A catalog that was removed while nobody ran, where no term of an election tells of it: of a master without high
 * availability, and together with all of `system/`. It must not look like a first start: the start is refused, with the way
 * back.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { HOME } from '../support/install.ts'
import { monitorMs } from '../support/pace.ts'
import { type Ran, run } from '../support/run.ts'
import { makeCluster, type TestMaster } from '../support/test-masters.ts'
import { clientOf } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

const TAJO = ['/usr/bin/env', '-u', 'NODE_OPTIONS', process.execPath, join(HOME, 'bin', 'tajo')]
const tajo = (master: TestMaster, ...words: string[]): Promise<Ran> =>
  run([...TAJO, ...words], {
    env: {
      TAJO_CONF_DIR: join(master.dir, 'conf'),
      TAJO_HOME: HOME,
      TAJO_MASTER_NAME: undefined,
    },
  })

const SINGLE = { 'tajo.master.ha.enable': 'false' }

/** One master that has made table a, of which a dump was taken, and that is dead. */
async function deadMaster(t: Test, site: Readonly<Record<string, string>>) {
  const cluster = await makeCluster(t, { count: 1, monitorMs: monitorMs(1500), site })
  const { active: master, epoch } = await cluster.settled()
  // A new one each time: where all of `system/` is gone the cluster's id is, and a client keeps to its cluster.
  const execute = async (sql: string): Promise<string | null> => {
    const client = clientOf(cluster.masters)
    try {
      return await client.execute(sql)
    } finally {
      client.close()
    }
  }
  t.equal(await execute('create table a (x int4)'), 'CREATE TABLE')
  master.destroy()
  await master.ended()
  const dump = join(cluster.root, '..', 'dump.json')
  // Its keeper may have the last word yet.
  await until(
    'the catalog is dumped',
    async () => (await tajo(master, 'catalog', 'dump', dump)).code === 0,
  )
  /** What a query of the table would have written. */
  const written = join(cluster.root, 'warehouse', 'default', 'a', 'data-q_1-1-1')
  mkdirSync(written, { recursive: true })
  writeFileSync(join(written, 'part-0.parquet'), 'x')
  const exists = () => execute('create table if not exists a (x int4)')
  return { root: cluster.root, master, epoch, dump, exists }
}

const EMPTY = /would begin with an empty catalog \(\w+ of tajo\.rootdir [^)]+\), but /
const SERVED = /the one that was served here is gone .*'tajo catalog load FILE' a dump/
const WRITTEN = /warehouse\/default\/a\/data-q_1-1-1 was written by a query/

interface Removal {
  readonly name: string
  readonly site: Readonly<Record<string, string>>
  /** Below the root directory. */
  readonly remove: readonly string[]
  readonly words: RegExp
}

const REMOVALS: readonly Removal[] = [
  {
    name: 'without high availability, SharedStore: its directory',
    site: { ...SINGLE, 'tajo.catalog.store.class': 'SharedStore' },
    remove: ['system/catalog'],
    words: SERVED,
  },
  {
    name: 'without high availability, SharedStore: all that is in it',
    site: { ...SINGLE, 'tajo.catalog.store.class': 'SharedStore' },
    remove: ['system/catalog/*'],
    words: SERVED,
  },
  {
    name: 'without high availability, SharedStore: all of system/',
    site: { ...SINGLE, 'tajo.catalog.store.class': 'SharedStore' },
    remove: ['system'],
    words: WRITTEN,
  },
  {
    name: 'without high availability, DerbyStore: its directory',
    site: SINGLE,
    remove: ['system/derby'],
    words: SERVED,
  },
  {
    name: 'without high availability, DerbyStore: all of system/',
    site: SINGLE,
    remove: ['system'],
    words: WRITTEN,
  },
  {
    name: 'with high availability: all of system/',
    site: {},
    remove: ['system'],
    words: WRITTEN,
  },
  {
    name: 'switched on after its catalog was removed',
    site: { ...SINGLE, 'tajo.catalog.store.class': 'SharedStore' },
    remove: ['system/catalog'],
    words: SERVED,
  },
]

for (const { name, site, remove, words } of REMOVALS) {
  t.test(name, async (t) => {
    const { root, master, dump, exists } = await deadMaster(t, site)
    for (const path of remove) {
      const [directory, all] = path.split('/*')
      const gone = join(root, directory ?? '')
      const paths = all === undefined ? [gone] : readdirSync(gone).map((one) => join(gone, one))
      for (const one of paths) rmSync(one, { recursive: true })
    }
    const switched = name.startsWith('switched on') ? 'true' : undefined
    if (switched !== undefined) master.reconfigure({ ...site, 'tajo.master.ha.enable': switched })
    for (const again of ['refused', 'and again']) {
      const { code, said } = await master.runToEnd()
      t.equal(code, 1, again)
      t.match(said, EMPTY)
      t.match(said, words)
    }
    const loaded = await tajo(master, 'catalog', 'load', dump)
    t.match(loaded, { code: 0, stdout: /tables: 1/ }, loaded.stderr)
    await master.start()
    t.match(await exists(), /exists already/, 'brought back')
  })
}

t.test('with high availability: the directory of the newest term, and its marks', async (t) => {
  const { root, master, epoch } = await deadMaster(t, {})
  const catalog = join(root, 'system', 'catalog')
  const number = String(epoch).padStart(10, '0')
  for (const name of readdirSync(catalog)) {
    if (name.includes(number)) rmSync(join(catalog, name), { recursive: true })
  }
  await master.start()
  await until('it tells why it can not serve', async () =>
    (await master.cluster()).alerts.some(({ text }) =>
      /^the catalog of term \d+ .*tajo catalog restore/.test(text),
    ),
  )
  t.notOk(await master.health('active'))
})

t.test('without high availability, SharedStore: the directory of its term', async (t) => {
  const site = { ...SINGLE, 'tajo.catalog.store.class': 'SharedStore' }
  const { root, master, dump, exists } = await deadMaster(t, site)
  const catalog = join(root, 'system', 'catalog')
  for (const name of readdirSync(catalog)) {
    if (name.startsWith('epoch-')) rmSync(join(catalog, name), { recursive: true })
  }
  const { code, said } = await master.runToEnd()
  t.equal(code, 1)
  t.match(said, /the catalog of term 1 .* a mark says that it was begun.*tajo catalog restore/)
  t.match(await tajo(master, 'catalog', 'restore'), { code: 1, stderr: /nothing is whole/ })
  t.match(await tajo(master, 'catalog', 'load', dump), { code: 4, stderr: /--force/ })
  t.match(await tajo(master, 'catalog', 'load', dump, '--force'), { code: 0 })
  await master.start()
  t.match(await exists(), /exists already/)
})
