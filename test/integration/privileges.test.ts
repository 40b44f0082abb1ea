/**
 * What users may do, with real daemons: no way of writing a query leads to a table that its user may not read, and what was
 * granted holds over a master's restart, a dump and a load.
 */
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { HOME } from '../support/install.ts'
import { DAEMON, machine, START, STOP } from '../support/machine.ts'
import { hasParts } from '../support/parts.ts'
import type { Ran } from '../support/run.ts'

const TSQL = join(HOME, 'bin/tsql')
const TAJO = join(HOME, 'bin/tajo')

t.test('a user reads and writes what was granted to him, and nothing else', async (t) => {
  if (!hasParts(t, 'netns')) return
  const data = join(t.testdir({ data: {} }), 'data')
  for (const name of ['in', 'other']) {
    mkdirSync(join(data, name))
    writeFileSync(join(data, name, 'f'), `${name}\n`)
  }
  const site = { 'tajo.query.allowed-paths': data }
  const w = await machine(t, { masters: 'localhost\n', workers: 'localhost\n', site })
  const { conf, host, dir } = w
  chmodSync(dir, 0o755)
  t.teardown(async () => void (await w.script(STOP)))
  const start = async (): Promise<void> => {
    const started = await w.script(START)
    t.equal(started.code, 0, started.stderr)
  }
  await start()
  const admin = async (sql: string): Promise<string> => {
    const { code, stdout, stderr } = await host.run([TSQL, '--config', conf, '-c', sql])
    t.equal(code, 0, `${sql}: ${stderr}`)
    return stdout
  }
  const anna = (sql: string): Promise<Ran> =>
    host.run(['env', 'TAJO_PASSWORD=a', TSQL, '--config', conf, '-U', 'anna', '-c', sql])
  await admin(`CREATE USER anna PASSWORD 'a'; CREATE DATABASE sales; CREATE DATABASE hidden;
    CREATE TABLE sales.orders (a INT4); INSERT INTO sales.orders VALUES (1);
    CREATE TABLE hidden.secret (a TEXT); INSERT INTO hidden.secret VALUES ('Geheim');
    CREATE TABLE secret (a TEXT); INSERT INTO secret VALUES ('Geheim');
    GRANT ALL ON DATABASE sales TO anna; GRANT LOCATION '${data}/in' TO anna`)

  const hidden = async (): Promise<void> => {
    for (const sql of [
      'SELECT * FROM hidden.secret',
      'SELECT * FROM secret',
      'SELECT * FROM "secret"',
      'SELECT * FROM "default"."secret"',
      'SELECT (SELECT max(a) FROM hidden.secret)',
      'WITH x AS (SELECT * FROM hidden.secret) SELECT * FROM x',
      'WITH RECURSIVE "secret" AS (SELECT * FROM "secret" UNION ALL SELECT a FROM "secret") SELECT * FROM "secret"',
      'FROM hidden.secret',
      'SELECT 1 WHERE EXISTS (FROM hidden.secret)',
      'SUMMARIZE hidden.secret',
      'DESCRIBE SELECT * FROM hidden.secret',
      'EXPLAIN SELECT * FROM hidden.secret',
      'EXPLAIN ANALYZE SELECT * FROM hidden.secret',
      'INSERT INTO sales.orders SELECT length(a) FROM hidden.secret',
      'CREATE TABLE sales.copy AS SELECT * FROM hidden.secret',
      'DESC hidden.secret',
      'DROP TABLE hidden.secret',
      'TRUNCATE hidden.secret',
    ]) {
      const told = await anna(sql)
      t.equal(told.code, 1, sql)
      t.match(told.stderr, /there is no table|does not exist|has no CREATE/, sql)
      t.notMatch(told.stdout + told.stderr, /Geheim/, sql)
    }
    const shown = await anna(
      'SHOW DATABASES; SHOW TABLES; SHOW TABLES IN sales; SHOW USERS; \\l; \\d',
    )
    t.notMatch(shown.stdout, /hidden|secret/, 'nor in any list')
    t.match(shown.stdout, /orders/)
  }
  await hidden()

  t.match(await anna('SELECT sum(a) FROM sales.orders'), { code: 0, stdout: /1/ })
  t.match(await anna('CREATE TABLE sales.mine AS SELECT a FROM sales.orders'), { code: 0 })
  const external = (name: string, place: string): Promise<Ran> =>
    anna(`CREATE EXTERNAL TABLE sales.${name} (a TEXT) LOCATION '${data}/${place}'`)
  t.match(await external('e', 'in'), { code: 0 })
  t.match(await external('f', 'other'), {
    code: 1,
    stderr: /GRANT LOCATION '.*\/other' TO anna would allow it/,
  })
  t.match(await anna(`INSERT OVERWRITE INTO LOCATION '${data}/other' SELECT 1`), { code: 1 })
  t.equal(readFileSync(join(data, 'other', 'f'), 'utf8'), 'other\n')
  t.match(await anna('SELECT a FROM sales.e'), { code: 0, stdout: /in/ })
  // Whoever may put names into a directory that he may name has no more of the cluster's files by that.
  const files = await host.mustRun([
    'find',
    dir,
    '-path',
    '*secret*',
    '-type',
    'f',
    '-name',
    '*part*',
  ])
  const [file = ''] = files.split('\n')
  t.ok(file, 'there is a file of a table that he may not read')
  for (const [what, at] of [
    [file, 'link'],
    [dirname(file), 'links'],
  ] as const) {
    symlinkSync(what, join(data, 'in', at))
    const led = await anna('SELECT a FROM sales.e')
    t.match(led, { code: 1, stderr: /owner anna may name|symbolic link/ }, `by ${at}`)
    t.notMatch(led.stdout, /Geheim/)
    rmSync(join(data, 'in', at))
  }
  t.match(await anna('SELECT a FROM sales.e'), { code: 0, stdout: /in/ })

  await admin('REVOKE ALL ON DATABASE sales FROM anna; GRANT INSERT ON TABLE sales.orders TO anna')
  const refused = await anna('SELECT * FROM sales.orders')
  t.match(refused, {
    code: 1,
    stderr:
      /user anna has no SELECT on table sales.orders: GRANT SELECT ON TABLE sales.orders TO anna would allow it/,
  })
  t.match(await anna('INSERT INTO sales.orders VALUES (2)'), { code: 0 })
  t.match(await anna('INSERT INTO sales.orders SELECT a FROM sales.orders'), {
    code: 1,
    stderr: /no SELECT/,
  })
  t.match(await anna('DROP TABLE sales.orders'), {
    code: 1,
    stderr: /no ALL on table sales.orders/,
  })
  t.match(await anna('SELECT count(*) FROM sales.mine'), { code: 0, stdout: /1/ }, 'his own table')

  const granted = async (): Promise<string[]> =>
    (await admin('SHOW GRANTS FOR anna')).split('\n').filter((line) => line.includes('anna'))
  const grants = await granted()
  t.equal(grants.length, 4, grants.join('\n'))
  t.equal((await w.script(DAEMON, ['restart', 'master'])).code, 0)
  t.same(await granted(), grants, 'after a take-over')
  await hidden()

  const dump = join(data, 'catalog.json')
  t.equal((await w.script(STOP)).code, 0)
  const tajo = (...words: string[]): Promise<Ran> => host.run([TAJO, ...words, '--config', conf])
  t.match(await tajo('catalog', 'dump', dump), { code: 0 })
  t.match(JSON.parse(readFileSync(dump, 'utf8')), {
    tajoCatalog: 2,
    catalog: { users: [{ name: 'anna' }] },
  })
  t.match(await tajo('catalog', 'load', dump, '--force'), { code: 0 })
  await start()
  t.same(await granted(), grants, 'after a dump and a load')
  await hidden()
  await admin('DROP USER anna')
  t.match(await anna('SELECT 1'), { code: 1 })
})
