/**
 * A catalog in a real database server that is stopped, frozen, refuses, or loses its tables under real masters: nothing
 * that was acknowledged is lost, the cause is told everywhere and first, and refused masters claim no faster than M, all of
 * them together.
 */
import { join } from 'node:path'
import { createConnection } from 'mariadb'
import pg from 'pg'
import t, { type Test } from 'tap'
import { countClaims } from '../support/claims.ts'
import type { DatabaseServer } from '../support/database-server.ts'
import { HOME } from '../support/install.ts'
import { startMariadb } from '../support/mariadb.ts'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { startPostgres } from '../support/postgres.ts'
import { type Ran, type RunOptions, run } from '../support/run.ts'
import { ask, makeCluster, type TestCluster, type TestMaster } from '../support/test-masters.ts'
import { clientOf, writeConf } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

interface Kind {
  readonly name: 'postgres' | 'mariadb'
  readonly store: string
  start(t: Test): Promise<DatabaseServer>
  /** As somebody's hand in the database. */
  run(server: DatabaseServer, database: string, statements: readonly string[]): Promise<void>
  /** Makes a user who may connect and no more, once the other one was run in the database. */
  readonly guest: readonly string[]
  readonly closes: string
  /** The database that every server has. */
  readonly first: string
  /** Gives the cluster's user another password. */
  password(to: string): string
  /** What masters say of a password that is wrong. */
  readonly refused: RegExp
  readonly dropTables: string
}

const TABLES = ['term', 'databases', 'tables', 'columns', 'options', 'files', 'outcomes', 'litter']
const ALL_TABLES = [...TABLES, 'publications', 'schema'].map((name) => `catalog_${name}`)
const DROP = `DROP TABLE ${ALL_TABLES.join(', ')}`

const KINDS: readonly Kind[] = [
  {
    name: 'postgres',
    store: 'PostgreSQLStore',
    first: 'postgres',
    start: startPostgres,
    async run({ port, user, password }, database, statements) {
      const client = new pg.Client({ host: '127.0.0.1', port, user, password, database })
      await client.connect()
      for (const sql of statements) await client.query(sql)
      await client.end()
    },
    guest: ["CREATE ROLE guest LOGIN PASSWORD 'guest'"],
    closes: 'REVOKE CREATE ON SCHEMA public FROM PUBLIC',
    password: (to) => `ALTER ROLE tajo PASSWORD '${to.replaceAll("'", "''")}'`,
    refused: /^PostgreSQL at [\w.:]+, database catalog: it does not let us in as user tajo \(/,
    dropTables: DROP,
  },
  {
    name: 'mariadb',
    store: 'MariaDBStore',
    first: 'mysql',
    start: startMariadb,
    async run({ port, user, password }, database, statements) {
      const at = { host: '127.0.0.1', port, user, password, database }
      const client = await createConnection(at)
      for (const sql of statements) await client.query(sql)
      await client.end()
    },
    guest: ["CREATE USER 'guest'@'127.0.0.1' IDENTIFIED BY 'guest'"],
    closes: 'SELECT 1',
    password: (to) =>
      `SET PASSWORD FOR 'tajo'@'127.0.0.1' = PASSWORD('${to.replaceAll("'", "''")}')`,
    refused: /^MariaDB\/MySQL at [\w.:]+, database catalog: it does not let us in as user tajo \(/,
    dropTables: DROP,
  },
]

/** The test runner puts its loader into every Node child's NODE_OPTIONS; it is not for what is tested here. */
const NODE = ['/usr/bin/env', '-u', 'NODE_OPTIONS', process.execPath]

/** All masters in one `conf`, as an operator has it. */
class Operator {
  readonly conf: string
  readonly cluster: TestCluster

  constructor(cluster: TestCluster, site: Readonly<Record<string, string>>) {
    this.cluster = cluster
    this.conf = join(cluster.root, '..', 'operator', 'conf')
    writeConf(this.conf, cluster.masters, { 'tajo.rootdir': `file://${cluster.root}`, ...site })
  }

  run(
    program: string,
    words: readonly string[],
    { env = {}, ...more }: RunOptions = {},
  ): Promise<Ran> {
    const own = { TAJO_CONF_DIR: this.conf, TAJO_HOME: HOME, TAJO_MASTER_NAME: undefined }
    return run([...NODE, join(HOME, program), ...words], { ...more, env: { ...own, ...env } })
  }

  tajo(...words: string[]): Promise<Ran> {
    return this.run('bin/tajo', words)
  }

  /** What sbin/start-tajo.sh waits with, and whose last line it shows. */
  startsWaiting(): Promise<Ran> {
    return this.run('build/programs/cluster-active.js', ['wait', '0'], {
      env: { TAJO_START_TIMEOUT: '1' },
    })
  }
}

interface World {
  readonly kind: Kind
  readonly server: DatabaseServer
  readonly cluster: TestCluster
  readonly operator: Operator
  readonly client: ReturnType<typeof clientOf>
  readonly M: number
}

const siteOf = (
  { store }: Kind,
  server: DatabaseServer,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> => ({
  'tajo.catalog.store.class': store,
  'tajo.catalog.uri': server.uri('catalog?createDatabaseIfNotExist=true'),
  'tajo.catalog.connection.id': server.user,
  'tajo.catalog.connection.password': server.password,
  ...more,
})

async function world(
  t: Test,
  kind: Kind,
  options: { server?: DatabaseServer; count?: number; site?: Record<string, string> } = {},
): Promise<World> {
  const server = options.server ?? (await kind.start(t))
  const M = monitorMs(1500)
  const site = siteOf(kind, server, options.site)
  const cluster = await makeCluster(t, { count: options.count ?? 2, monitorMs: M, site })
  const client = clientOf(cluster.masters)
  t.teardown(() => client.close())
  return { kind, server, cluster, operator: new Operator(cluster, site), client, M }
}

const told = async (master: TestMaster, what: RegExp): Promise<boolean> =>
  (await master.cluster()).alerts.some(({ text }) => what.test(text))

const metric = async (master: TestMaster, line: RegExp): Promise<boolean> =>
  line.test((await ask(master.ports.info, '/metrics')).text)

async function restartAll({ masters }: TestCluster): Promise<void> {
  for (const master of masters) master.destroy()
  await Promise.all(masters.map((master) => master.ended()))
  await Promise.all(masters.map((master) => master.start()))
}

/** An outage under a serving master, and a change that waits for its end. */
async function outage(
  t: Test,
  { cluster, client, operator }: World,
  {
    table,
    begin,
    end,
  }: { table: string; begin(): Promise<void> | void; end(): Promise<void> | void },
): Promise<void> {
  const { active, backups } = await cluster.settled()
  const [backup] = backups as [TestMaster]
  await begin()
  const waits = /changes wait for the catalog store, for \d+ s now: /
  const change = client.execute(`create table ${table} (x int4)`)
  let said = ''
  const shell = operator.run('bin/tsql', ['-c', `create table ${table}2 (x int4)`], {
    onStderr: (stderr) => {
      said = stderr
    },
  })
  await until('the active tells of it', () => told(active, waits))
  t.ok(await metric(active, /^tajo_master_catalog_waits 1$/m))
  await until('and so do the others', () => told(backup, waits))
  const status = await operator.tajo('haadmin', '-status')
  t.match(status, { code: 0, stdout: waits })
  await until('and tsql to its user', () => waits.test(said))
  await end()
  t.equal(await change, 'CREATE TABLE', 'what waited is done')
  t.match(await shell, { code: 0, stdout: /CREATE TABLE/, stderr: waits }, 'and tsql had told why')
  await until('nothing is told any more', async () => !(await told(active, /catalog store/)))
  t.ok(await metric(active, /^tajo_master_catalog_waits 0$/m))
}

/** All of `tables` are there, after a failover of whoever is active. */
async function failsOver(
  t: Test,
  { cluster, client }: World,
  tables: readonly string[],
): Promise<void> {
  const { active, epoch } = await cluster.settled()
  active.destroy()
  await active.ended()
  await until('another one serves', async () => {
    const serving = await Promise.all(cluster.masters.map((master) => master.health('active')))
    const next = cluster.masters[serving.indexOf(true)]
    return next !== undefined && (await next.cluster()).epoch > epoch
  })
  for (const name of tables) {
    const text = `create table if not exists ${name} (x int4)`
    t.match(await client.execute(text), /exists already/, `${name} is there`)
  }
  await active.start()
}

for (const kind of KINDS) {
  t.test(`${kind.name}: outages under a running cluster`, async (t) => {
    if (!hasParts(t, kind.name)) return
    const here = await world(t, kind)
    const { server, cluster, client, M } = here
    t.equal(await client.execute('create table a (x int4)'), 'CREATE TABLE')

    const freeze = { begin: () => server.freeze(), end: () => server.thaw() }
    await outage(t, here, { table: 'frozen', ...freeze })
    const stop = { begin: () => server.stop(), end: () => server.start() }
    await outage(t, here, { table: 'stopped', ...stop })
    await failsOver(t, here, ['a', 'frozen', 'frozen2', 'stopped', 'stopped2'])

    const { active } = await cluster.settled()
    await server.stop()
    await until(
      'it is told although nobody changes anything',
      () => told(active, /the catalog store does not answer as it should, for \d+ s now/),
      { productMs: 2 * M },
    )

    const before = await cluster.settled()
    before.active.destroy()
    await before.active.ended()
    const [other] = before.backups as [TestMaster]
    const why = /term \d+ can't be served yet: (PostgreSQL|MariaDB\/MySQL) at .*can't connect/
    await until('why nobody serves', () => told(other, why))
    const status = await here.operator.tajo('haadmin', '-status')
    t.match(
      status.stdout,
      /^No master is active: localhost:\d+ says: term \d+ can't be served yet: /m,
    )
    await server.start()
    await before.active.start()
    await failsOver(t, here, ['a', 'frozen', 'frozen2', 'stopped', 'stopped2'])
  })

  t.test(`${kind.name}: refused`, async (t) => {
    if (!hasParts(t, kind.name)) return
    const server = await kind.start(t)
    const wrong = { 'tajo.catalog.connection.password': 'wrong' }
    const here = await world(t, kind, { server, site: wrong })
    const { cluster, operator, client } = here
    const [one] = cluster.masters as [TestMaster]
    await countClaims(t, cluster, here.M)

    // Between two tries: whoever has just claimed is about to serve, as the others see it.
    await until('the cause is the first thing that it says', async () => {
      const { alerts, problem } = await one.cluster()
      return kind.refused.test(problem ?? '') && kind.refused.test(alerts[0]?.text ?? '')
    })
    const inWords = kind.refused.source.slice(1)
    const inStatus = new RegExp(`^No master is active: localhost:\\d+ says: ${inWords}`, 'm')
    await until('-status says so', async () =>
      inStatus.test((await operator.tajo('haadmin', '-status')).stdout),
    )
    const inStart = new RegExp(`no master is active after 1 s: localhost:\\d+ says: ${inWords}`)
    await until('start-tajo.sh says so', async () => {
      const { code, stderr } = await operator.startsWaiting()
      return code === 1 && inStart.test(stderr)
    })
    const inMetric = new RegExp(`^tajo_master_problem\\{.*problem="${inWords}`, 'm')
    await until('in the metrics, too', () => metric(one, inMetric))

    await kind.run(server, kind.first, [kind.password('wrong')])
    await cluster.settled()
    t.equal(await client.execute('create table a (x int4)'), 'CREATE TABLE', 'mended: it serves')

    await t.test('no such database; no permission', async (t) => {
      const cases: [string, Record<string, string>, RegExp][] = [
        [
          'no such database',
          { 'tajo.catalog.uri': server.uri('other') },
          /^(?:Post|Maria).*there is no such database/,
        ],
        [
          'no permission',
          {
            'tajo.catalog.uri': server.uri('closed'),
            'tajo.catalog.connection.id': 'guest',
            'tajo.catalog.connection.password': 'guest',
          },
          /^(?:catalog in )?(?:Post|Maria).*(?:denied)/,
        ],
      ]
      const hand = { ...server, password: 'wrong' }
      await kind.run(hand, kind.first, [...kind.guest, 'CREATE DATABASE closed'])
      await kind.run(hand, 'closed', [kind.closes])
      for (const [what, site, words] of cases) {
        const alone = await makeCluster(t, {
          count: 1,
          monitorMs: here.M,
          site: siteOf(kind, server, { 'tajo.catalog.connection.password': 'wrong', ...site }),
        })
        const [master] = alone.masters as [TestMaster]
        await until(`${what}: it is told`, async () => {
          const [first] = (await master.cluster()).alerts
          return first !== undefined && words.test(first.text)
        })
      }
    })
  })

  t.test(`${kind.name}: its tables are dropped, and an older state is brought back`, async (t) => {
    if (!hasParts(t, kind.name)) return
    const here = await world(t, kind)
    const { server, cluster, client, operator } = here
    t.equal(await client.execute('create table a (x int4)'), 'CREATE TABLE')
    const first = await cluster.settled()
    await kind.run(server, 'catalog', [kind.dropTables])
    const second = await until('the active has noticed, and has given its term up', async () => {
      const now = await cluster.settled()
      return now.epoch > first.epoch ? now : null
    })
    const reason = /term \d+ was given up by .*somebody has removed its tables/
    await until('it is told why', () => told(second.active, reason))
    await failsOver(t, here, ['a'])

    const file = join(cluster.root, '..', 'dump.json')
    t.match(await operator.tajo('catalog', 'dump', file), { code: 0 })
    const spoilings: [string, string, RegExp][] = [
      [
        'older',
        'UPDATE catalog_term SET term = 1',
        /it is of term 1: an older state was brought back/,
      ],
      [
        'dropped',
        kind.dropTables,
        /its tables are gone, and the history says that term \d+ has served/,
      ],
    ]
    for (const [what, sql, words] of spoilings) {
      for (const master of cluster.masters) master.destroy()
      await Promise.all(cluster.masters.map((master) => master.ended()))
      await kind.run(server, 'catalog', [sql])
      await Promise.all(cluster.masters.map((master) => master.start()))
      const [one] = cluster.masters as [TestMaster]
      await until(`${what}: it is told`, () => told(one, words))
      t.notOk((await Promise.all(cluster.masters.map((m) => m.health('active')))).includes(true))
      for (const master of cluster.masters) master.destroy()
      await Promise.all(cluster.masters.map((master) => master.ended()))
      t.match(await operator.tajo('catalog', 'load', file), { code: 4, stderr: /--force/ }, what)
      const loaded = await operator.tajo('catalog', 'load', file, '--force')
      t.equal(loaded.code, 0, `${what}: ${loaded.stderr}`)
      await restartAll(cluster)
      const text = 'create table if not exists a (x int4)'
      t.match(await client.execute(text), /exists already/, `${what}: the table is there`)
    }
  })
}
