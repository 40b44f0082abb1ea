/**
 * Who may do what: each statement of somebody who was granted nothing is refused and changes nothing, each privilege opens what
 * it says and no more, and names are told only to those who may know them.
 */
import { mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { administrator, type Principal, readVerifier } from '../../../lib/access/index.ts'
import type { QueryStatus } from '../../../lib/contract/index.ts'
import { catalogService } from '../../../lib/master/queries/catalog/catalog-service.ts'
import { settle } from '../../support/hand-clock.ts'
import { ID, reportOf, Terms, workerAt } from '../../support/query-terms.ts'

const ADMIN = administrator('root')
const ANN: Principal = { kind: 'user', name: 'ann' }
const BOB: Principal = { kind: 'user', name: 'bob' }

class Cluster {
  readonly allowed: string
  readonly #terms: Terms
  readonly #worker = workerAt(1, 100)
  #seat: Awaited<ReturnType<Terms['begin']>> | null = null
  #last = 0

  private constructor(t: Test) {
    this.#terms = new Terms(t)
    const { directory } = this.#terms
    for (const name of ['warehouse', 'allowed/in', 'allowed/other', 'system']) {
      mkdirSync(join(directory, name), { recursive: true })
    }
    this.allowed = join(realpathSync(directory), 'allowed')
    for (const name of ['in', 'other']) writeFileSync(join(this.allowed, name, 'f'), '1\n')
  }

  /** With the users ann and bob, a database and tables. */
  static async open(t: Test): Promise<Cluster> {
    const cluster = new Cluster(t)
    cluster.#seat = await cluster.#terms.begin()
    cluster.seat.term.tracker.register({ worker: cluster.#worker, tasks: [], oomKills: 0 })
    for (const sql of [
      "CREATE USER ann PASSWORD 'a'",
      "CREATE USER bob PASSWORD 'b'",
      'CREATE DATABASE sales',
      'CREATE DATABASE hidden',
      'CREATE TABLE sales.orders (a INT4)',
      'CREATE TABLE sales.other (a INT4)',
      'CREATE TABLE hidden.secret (a INT4)',
    ]) {
      await cluster.done(ADMIN, sql)
    }
    return cluster
  }

  get seat() {
    if (this.#seat === null) throw new Error('it is not open')
    return this.#seat
  }

  async say(who: Principal, sql: string, database = 'sales'): Promise<QueryStatus> {
    const session = { database, user: who.name, variables: {} }
    this.#last += 1
    const queryId = ID(this.#last)
    return this.seat.term.client.submit({ queryId, attempt: 1, sql, session }, who)
  }

  async done(who: Principal, sql: string): Promise<QueryStatus> {
    const status = await this.say(who, sql)
    if (status.state === 'failed') throw new Error(`${sql}: ${status.error?.message}`)
    return status
  }

  /** How it fails. */
  async refusal(who: Principal, sql: string): Promise<string> {
    const { state, error } = await this.say(who, sql)
    return state === 'failed' ? (error?.message ?? '') : `it was not refused: ${sql}`
  }

  async rows(who: Principal, sql: string): Promise<unknown[]> {
    const { answer } = await this.done(who, sql)
    return (answer?.rows ?? []).map((row) => (row.length === 1 ? row[0] : row))
  }

  /** What a worker is told of these tables, for a query of his. */
  async resolve(who: Principal, ...names: string[]) {
    const { resolve } = catalogService(this.seat.catalog, this.#terms.clock)
    const tables = names.map((name) => ({ database: 'sales', name }))
    const asUser = who.kind === 'user' ? { asUser: who.name } : {}
    const answer = await resolve({ tables, ...asUser }, { from: 'test', pass: null, caller: null })
    return {
      found: answer.tables.map((table) => table?.name ?? null),
      refused: (answer.refused ?? []).map(({ of, why }) => `${of}: ${why}`),
    }
  }

  /** As lists tell it: what he does not see is not counted. */
  async listed(who: Principal, asked: { search?: string; after?: string; limit?: number } = {}) {
    const { tables } = catalogService(this.seat.catalog, this.#terms.clock)
    const caller = who.kind === 'user' ? { principal: who, mark: null, endMs: 0 } : null
    const answer = await tables(
      { database: 'sales', ...asked },
      { from: 'test', pass: null, caller },
    )
    return { names: answer.tables.map(({ name }) => name), total: answer.total }
  }

  /** Where the files of a table have to be. */
  async confinement(name: string): Promise<unknown> {
    const { resolve } = catalogService(this.seat.catalog, this.#terms.clock)
    const asked = { tables: [{ database: 'sales', name }] }
    const { confined = [] } = await resolve(asked, { from: 'test', pass: null, caller: null })
    return confined[0] ?? null
  }

  /** The worker has done the task that it was given last. */
  async finish(): Promise<void> {
    const task = this.seat.calls.ran.at(-1)?.task
    if (task === undefined) throw new Error('nothing runs')
    const { workerId, incarnation } = this.#worker
    const reports = [reportOf(task, 'succeeded')]
    const beat = { workerId, incarnation, freeSlots: 100, reports, oomKills: 0 }
    this.seat.term.tracker.heartbeat(beat)
    await settle()
  }

  get data() {
    const { outcomes: _, ...data } = this.seat.catalog.state().toData()
    return data
  }
}

t.test('who was granted nothing can do nothing, and learns of nothing', async (t) => {
  const cluster = await Cluster.open(t)
  const { allowed } = cluster
  const before = cluster.data
  const refused: readonly [string, RegExp][] = [
    ['CREATE DATABASE mine', /user ann may not CREATE DATABASE: that is the administrator's alone/],
    ['DROP DATABASE sales', /database sales does not exist/],
    ['CREATE TABLE sales.t (a INT4)', /user ann has no CREATE on database sales/],
    [
      'CREATE TABLE default.t (a INT4)',
      /user ann has no CREATE on database "default": GRANT CREATE ON DATABASE "default" TO ann/,
    ],
    ['CREATE TABLE default.t AS SELECT 1 AS a', /user ann has no CREATE/],
    ['CREATE TABLE default.t LIKE sales.orders', /user ann has no CREATE/],
    [`CREATE EXTERNAL TABLE default.t (a INT4) LOCATION '${allowed}/in'`, /user ann has no CREATE/],
    ['DROP TABLE sales.orders', /database sales does not exist/],
    ['TRUNCATE TABLE sales.orders', /database sales does not exist/],
    ['ALTER TABLE sales.orders ADD COLUMN b TEXT', /database sales does not exist/],
    ['ALTER TABLE sales.orders RENAME TO x', /database sales does not exist/],
    ['OPTIMIZE TABLE sales.orders', /database sales does not exist/],
    ['INSERT INTO sales.orders SELECT 1', /database sales does not exist/],
    ['INSERT OVERWRITE INTO sales.orders SELECT 1', /database sales does not exist/],
    [
      `INSERT OVERWRITE INTO LOCATION '${allowed}/in' SELECT 1`,
      /user ann may not name '.*\/allowed\/in': GRANT LOCATION '.*\/allowed\/in' TO ann/,
    ],
    ['DESC sales.orders', /database sales does not exist/],
    ['DESC secret', /does not exist/],
    ['SHOW TABLES', /database sales does not exist/],
    ['SHOW TABLES IN hiden', /database hiden does not exist$/],
    ['SET CATALOG sales', /database sales does not exist/],
    ["CREATE USER eve PASSWORD 'x'", /user ann may not CREATE USER/],
    ["ALTER USER bob PASSWORD 'x'", /user ann may not change another one's password/],
    ['DROP USER bob', /user ann may not DROP USER/],
    ['GRANT ALL ON DATABASE sales TO ann', /user ann may not GRANT on a database/],
    ['GRANT ALL ON TABLE sales.orders TO ann', /database sales does not exist/],
    [`GRANT LOCATION '${allowed}/in' TO ann`, /user ann may not GRANT on a location/],
    ['REVOKE ALL ON DATABASE sales FROM bob', /user ann may not REVOKE on a database/],
    ['SHOW GRANTS FOR bob', /user ann may not see what others were granted/],
  ]
  for (const [sql, why] of refused) t.match(await cluster.refusal(ANN, sql), why, sql)
  t.same(await cluster.rows(ANN, 'SHOW DATABASES'), ['default'])
  t.same(
    (await cluster.rows(ANN, 'SHOW USERS')).map((row) => (row as string[])[0]),
    ['ann'],
  )
  t.same(await cluster.rows(ANN, 'SHOW GRANTS'), [])
  t.same(
    (await cluster.done(ANN, 'DROP TABLE IF EXISTS default.secret')).message,
    'DROP TABLE: default.secret does not exist',
  )
  t.same(cluster.data, before, 'nothing was changed')
  t.same(cluster.seat.calls.ran, [], 'and no worker was given anything')
})

t.test('what a query reads is asked for on behalf of its user', async (t) => {
  const cluster = await Cluster.open(t)
  const none = { found: [null, null], refused: [] }
  t.same(await cluster.resolve(ANN, 'orders', 'other'), none, 'as if there were none')
  await cluster.done(ADMIN, 'GRANT INSERT ON TABLE sales.orders TO ann')
  t.same(await cluster.resolve(ANN, 'orders', 'other'), {
    found: [null, null],
    refused: [
      '0: user ann has no SELECT on table sales.orders: GRANT SELECT ON TABLE sales.orders TO ann would allow it',
    ],
  })
  await cluster.done(ADMIN, 'GRANT SELECT ON TABLE sales.orders TO ann')
  t.same(await cluster.resolve(ANN, 'orders', 'other'), { found: ['orders', null], refused: [] })
  await cluster.done(ADMIN, 'REVOKE INSERT ON TABLE sales.orders FROM ann')
  await cluster.done(ADMIN, 'GRANT SELECT ON DATABASE sales TO ann')
  t.same(await cluster.resolve(ANN, 'orders', 'other'), { found: ['orders', 'other'], refused: [] })
  t.same(await cluster.resolve(BOB, 'orders', 'other'), none)
  t.same(await cluster.resolve(ADMIN, 'orders', 'other'), {
    found: ['orders', 'other'],
    refused: [],
  })
  for (const sql of ['SELECT * FROM orders', 'EXPLAIN SELECT * FROM orders']) {
    await cluster.done(ANN, sql)
    t.equal(cluster.seat.calls.ran.at(-1)?.task.asUser, 'ann', sql)
    await cluster.done(ADMIN, sql)
    t.equal(cluster.seat.calls.ran.at(-1)?.task.asUser, undefined, sql)
  }
  await cluster.done(ADMIN, 'DROP USER ann')
  t.same(await cluster.resolve(ANN, 'orders', 'other'), none, 'a session that outlived its user')
})

t.test('each privilege opens what it says, and no more', async (t) => {
  const cluster = await Cluster.open(t)
  const orders = 'sales.orders'
  const statements = {
    SELECT: `DESC ${orders}`,
    INSERT: `INSERT INTO ${orders} SELECT 1`,
    OPTIMIZE: `OPTIMIZE TABLE ${orders}`,
    CREATE: 'CREATE TABLE IF NOT EXISTS sales.orders (a INT4)',
    ALTER: `ALTER TABLE ${orders} SET PROPERTY ('x' = 'y')`,
    TRUNCATE: `TRUNCATE TABLE ${orders}`,
  }
  const cases: readonly [string, readonly (keyof typeof statements)[]][] = [
    [`SELECT ON TABLE ${orders}`, ['SELECT']],
    [`INSERT ON TABLE ${orders}`, ['SELECT', 'INSERT', 'OPTIMIZE']],
    [`ALL ON TABLE ${orders}`, ['SELECT', 'INSERT', 'OPTIMIZE', 'ALTER', 'TRUNCATE']],
    ['SELECT ON DATABASE sales', ['SELECT']],
    ['INSERT ON DATABASE sales', ['SELECT', 'INSERT', 'OPTIMIZE']],
    ['CREATE ON DATABASE sales', ['CREATE']],
    ['ALL ON DATABASE sales', Object.keys(statements) as (keyof typeof statements)[]],
  ]
  for (const [grant, opens] of cases) {
    await cluster.done(ADMIN, `GRANT ${grant} TO ann`)
    const done: string[] = []
    for (const [name, sql] of Object.entries(statements)) {
      if ((await cluster.say(ANN, sql)).state !== 'failed') done.push(name)
    }
    // Who may only make tables there doesn't see the one that is there, and is told so by the catalog.
    t.same(
      done.sort(),
      [...opens].filter((one) => one !== 'CREATE' || grant.startsWith('ALL')).sort(),
      grant,
    )
    t.match(
      await cluster.refusal(BOB, statements.INSERT),
      /does not exist/,
      `${grant}: not for others`,
    )
    await cluster.done(ADMIN, `REVOKE ${grant} FROM ann`)
    t.match(await cluster.refusal(ANN, statements.SELECT), /does not exist/, `${grant}: revoked`)
  }
})

t.test('who makes a table is its owner, and may do all with it', async (t) => {
  const cluster = await Cluster.open(t)
  await cluster.done(ADMIN, 'GRANT CREATE ON DATABASE sales TO ann')
  await cluster.done(ANN, 'CREATE TABLE sales.mine (a INT4)')
  await cluster.done(ANN, 'CREATE TABLE sales.like_mine LIKE sales.mine')
  await cluster.done(ANN, 'CREATE TABLE sales.made AS SELECT 1 AS a')
  await cluster.finish()
  t.same(await cluster.rows(ANN, 'SHOW TABLES'), ['like_mine', 'made', 'mine'])
  t.same(await cluster.rows(ANN, 'SHOW DATABASES'), ['default', 'sales'])
  for (const sql of [
    'INSERT INTO mine SELECT 1',
    'ALTER TABLE mine ADD COLUMN b TEXT',
    'TRUNCATE mine',
    'DROP TABLE made',
    'GRANT SELECT ON TABLE mine TO bob',
  ]) {
    await cluster.done(ANN, sql)
  }
  t.same((await cluster.resolve(ANN, 'mine', 'orders')).found, ['mine', null])
  t.same((await cluster.resolve(BOB, 'mine', 'orders')).found, ['mine', null])
  t.match(await cluster.refusal(BOB, 'DROP TABLE mine'), /user bob has no ALL on table sales.mine/)
  t.match(
    await cluster.refusal(BOB, 'GRANT SELECT ON TABLE mine TO bob'),
    /is for its owner and the administrator/,
  )
  t.same(await cluster.rows(ANN, 'SHOW GRANTS'), [
    ['ann', 'CREATE', 'DATABASE sales'],
    ['ann', 'OWNER', 'TABLE sales.like_mine'],
    ['ann', 'OWNER', 'TABLE sales.mine'],
  ])
  t.same(await cluster.rows(ADMIN, 'SHOW GRANTS FOR bob'), [['bob', 'SELECT', 'TABLE sales.mine']])
  await cluster.done(ADMIN, 'DROP USER ann')
  t.same(
    cluster.data.tables.filter(({ owner }) => owner !== undefined),
    [],
  )
})

t.test('a path is a privilege, and two owners have no place in common', async (t) => {
  const cluster = await Cluster.open(t)
  const { allowed } = cluster
  const external = (name: string, path: string): string =>
    `CREATE EXTERNAL TABLE sales.${name} (a INT4) LOCATION '${path}'`
  await cluster.done(ADMIN, 'GRANT CREATE ON DATABASE sales TO ann')
  await cluster.done(ADMIN, 'GRANT CREATE ON DATABASE sales TO bob')
  const why = /user ann may not name '.*\/allowed\/in': GRANT LOCATION/
  t.match(await cluster.refusal(ANN, external('e', `${allowed}/in`)), why)
  await cluster.done(ADMIN, `GRANT LOCATION '${allowed}/in' TO ann`)
  await cluster.done(ANN, external('e', `${allowed}/in`))
  t.match(await cluster.refusal(ANN, external('f', `${allowed}/other`)), /may not name/)
  t.match(await cluster.refusal(ANN, external('f', `${allowed}/in/../other`)), /may not name/)
  mkdirSync(join(allowed, 'inside'))
  t.match(await cluster.refusal(ANN, external('f', `${allowed}/inside`)), /may not name/)
  // Wherever it is: an allowed path as a whole.
  await cluster.done(ADMIN, `GRANT LOCATION '${allowed}' TO bob`)
  for (const path of [`${allowed}/in`, `${allowed}/in/deeper`]) {
    mkdirSync(path, { recursive: true })
    t.match(
      await cluster.refusal(BOB, external('g', path)),
      /overlaps with the location of a table, which is another owner's/,
    )
    t.match(
      await cluster.refusal(ADMIN, external('g', path)),
      /overlaps with the location of table sales.e, which is another owner's/,
    )
  }
  await cluster.done(ANN, external('again', `${allowed}/in`))
  await cluster.done(BOB, external('g', `${allowed}/other`))
  await cluster.done(ANN, 'GRANT ALL ON TABLE sales.e TO bob')
  t.same((await cluster.resolve(BOB, 'e')).found, ['e'])
  await cluster.done(BOB, 'INSERT INTO sales.e SELECT 1')
  await cluster.done(ADMIN, `REVOKE LOCATION '${allowed}/in' FROM ann`)
  const { found, refused } = await cluster.resolve(BOB, 'e')
  t.same(found, [null], 'a revoked path is read by nobody through its table')
  t.match(refused[0], /its owner ann may not name any more/)
  t.match(await cluster.refusal(BOB, 'INSERT INTO sales.e SELECT 1'), /its owner ann may not name/)
  t.same((await cluster.resolve(ADMIN, 'e')).found, ['e'])
  t.match(
    await cluster.refusal(ADMIN, `REVOKE LOCATION '/gone/away' FROM ann`),
    /was not granted LOCATION '\/gone\/away'/,
  )
})

t.test('passwords become verifiers, and are kept nowhere', async (t) => {
  const cluster = await Cluster.open(t)
  const secret = 'correct horse'
  const verifier = cluster.seat.catalog.state().user('bob')?.verifier ?? ''
  for (const sql of [
    `CREATE USER eve PASSWORD '${secret}'`,
    `CREATE USER eve PASSWORD '${secret}'`,
    `CREATE USER IF NOT EXISTS eve PASSWORD '${secret}'`,
    `ALTER USER eve PASSWORD '${secret}'`,
    `ALTER USER nobody PASSWORD '${secret}'`,
    `CREATE USER eve PASWORD '${secret}'`,
    `CREATE USER eve PASSWORD '${secret}`,
    `CREATE USER eve PASSWORD $$${secret}$$ x`,
  ]) {
    t.notMatch(JSON.stringify(await cluster.say(ADMIN, sql)), secret, sql)
    t.notMatch(JSON.stringify(await cluster.say(ANN, sql)), secret, sql)
  }
  t.match(readVerifier(cluster.seat.catalog.state().user('eve')?.verifier ?? ''), {
    iterations: 4096,
  })
  await cluster.done(ANN, `ALTER USER ann PASSWORD '${secret}'`)
  await cluster.done(ADMIN, `CREATE USER twin PASSWORD '${verifier}'`)
  t.equal(
    cluster.seat.catalog.state().user('twin')?.verifier,
    verifier,
    'one that is there already',
  )
  t.notMatch(JSON.stringify(cluster.seat.term.records()), secret, 'what pages and the history show')
  t.notMatch(JSON.stringify(cluster.seat.catalog.state().toData()), secret, 'and the catalog')
  await cluster.seat.term.drain()
})

t.test('what is revoked was granted', async (t) => {
  const cluster = await Cluster.open(t)
  await cluster.done(ADMIN, 'GRANT ALL ON DATABASE sales TO ann')
  t.match(
    await cluster.refusal(ADMIN, 'REVOKE SELECT ON DATABASE sales FROM ann'),
    /user ann was not granted SELECT ON DATABASE sales, but ALL: revoke that, and grant what is left/,
  )
  t.match(
    await cluster.refusal(ADMIN, 'REVOKE ALL ON TABLE orders FROM ann'),
    /was not granted ALL ON TABLE sales.orders$/,
  )
  t.match(
    await cluster.refusal(ADMIN, 'GRANT SELECT ON TABLE orders TO nobody'),
    /user nobody does not exist/,
  )
})

t.test('lists count only what one sees', async (t) => {
  const cluster = await Cluster.open(t)
  await cluster.done(ADMIN, 'GRANT SELECT ON TABLE sales.orders TO ann')
  t.same(await cluster.listed(ADMIN), { names: ['orders', 'other'], total: 2 })
  t.same(await cluster.listed(ANN), { names: ['orders'], total: 1 })
  t.same(await cluster.listed(ANN, { search: 'other' }), { names: [], total: 0 })
  t.same(await cluster.listed(ANN, { after: 'n', limit: 1 }), { names: ['orders'], total: 1 })
})

t.test(
  'the files of a user’s table are where he may name them, of a managed one too',
  async (t) => {
    const cluster = await Cluster.open(t)
    await cluster.done(ADMIN, 'GRANT CREATE ON DATABASE sales TO ann')
    await cluster.done(ADMIN, `GRANT LOCATION '${cluster.allowed}/in' TO ann`)
    await cluster.done(ANN, 'CREATE TABLE mine (a INT4)')
    t.match(await cluster.confinement('mine'), { owner: 'ann', within: [/mine/, /allowed\/in$/] })
    t.equal(
      await cluster.confinement('orders'),
      null,
      'of the administrator’s nobody knows a limit',
    )
  },
)
