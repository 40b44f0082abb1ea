/**
 * The upgrade from the state before format 2 (commit d142f83) and from the last one whose daemons spoke no TLS, with those
 * states themselves: built from the repository's history where that is there. What an operator should do keeps all data; whatever order he gets wrong, somebody is refused with
 * true words and nothing is lost. Without the history (a shallow clone) test/unit/ha/migrate tries the same on a directory
 * that it has left.
 */
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { HOME } from '../support/install.ts'
import { monitorMs } from '../support/pace.ts'
import { mustRun, type Ran, run } from '../support/run.ts'
import { makeCluster, type TestMaster } from '../support/test-masters.ts'
import { TestWorker, writeConf } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

interface Old {
  readonly commit: string
  readonly format: number
  /** Clients name the cluster, and are understood by this version. */
  readonly hasClients: boolean
}
const BEFORE_FORMAT_2: Old = { commit: 'd142f83', format: 1, hasClients: false }
const BEFORE_TLS: Old = { commit: '58d10c56', format: 3, hasClients: true }

/** The old state, built beside this one; null where the history does not reach back to it. */
async function oldInstall(t: Test, commit: string): Promise<string | null> {
  const known = await run(['git', '-C', HOME, 'cat-file', '-e', `${commit}^{commit}`])
  if (known.code !== 0) return null
  const home = mkdtempSync(join(tmpdir(), 'tajo-old-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true, maxRetries: 5 }))
  await mustRun(['git', 'clone', '--quiet', '--shared', '--no-checkout', HOME, home])
  await mustRun(['git', 'checkout', '--quiet', commit], { cwd: home })
  const lock = (of: string): string => readFileSync(join(of, 'package-lock.json'), 'utf8')
  if (lock(home) === lock(HOME)) {
    symlinkSync(join(HOME, 'node_modules'), join(home, 'node_modules'))
  } else {
    await mustRun(['npm', 'ci', '--ignore-scripts', '--silent'], { cwd: home, patience: 10 })
  }
  for (const project of ['.', 'tsconfig.page.json']) {
    await mustRun([join(home, 'node_modules/.bin/tsc'), '-p', project], { cwd: home, patience: 6 })
  }
  return home
}

const ended = async (master: TestMaster, signal: NodeJS.Signals): Promise<void> => {
  process.kill(master.pid, signal)
  await master.ended()
}

t.test('from the state before format 2', (t) => upgrade(t, BEFORE_FORMAT_2))
t.test('from the last state without TLS', (t) => upgrade(t, BEFORE_TLS))

async function upgrade(t: Test, { commit, format, hasClients }: Old): Promise<void> {
  const old = await oldInstall(t, commit)
  if (old === null) {
    t.comment(`the history has no ${commit}: test/unit/ha/migrate tries a directory of format 1`)
    return
  }
  const asOld = { TAJO_HOME: old }
  const cluster = await makeCluster(t, { count: 3, monitorMs: monitorMs(1500), start: false })
  const { root, masters } = cluster
  const [one, two, three] = masters as [TestMaster, TestMaster, TestMaster]
  const dir = join(root, '..')
  const confDir = join(dir, 'operator', 'conf')
  writeConf(confDir, [one, two], { 'tajo.rootdir': `file://${root}` })
  const worker = await TestWorker.make({ dir: join(dir, 'worker'), root, masters: [one, two] })
  t.teardown(() => worker.destroy())
  const sql = (home: string, text: string): Promise<Ran> =>
    run([process.execPath, join(home, 'bin/tsql'), '--format', 'csv', '-c', text], {
      env: { TAJO_HOME: home, TAJO_CONF_DIR: confDir, HOME: dir, TAJO_MASTER_NAME: undefined },
    })
  const formatOf = (): number =>
    JSON.parse(readFileSync(join(root, 'system/ha/cluster.json'), 'utf8')).format
  const secretOf = (): string => readFileSync(join(root, 'system/ha/secret'), 'utf8')
  const rows = async (home: string, expected: string, what: string): Promise<void> => {
    const read = await until(`rows: ${what}`, async () => {
      const ran = await sql(home, 'SELECT x, y FROM d.a ORDER BY x')
      return ran.code === 0 ? ran : Promise.reject(new Error(ran.stderr))
    })
    t.equal(read.stdout, expected, what)
  }
  const isActive = (master: TestMaster) => () => master.health('active')
  const refused = async (master: TestMaster, home: string, words: RegExp, what: string) => {
    const { code, said } = await master.runToEnd({ TAJO_HOME: home })
    t.equal(code, 1, what)
    t.match(said, words, what)
    const line = said.split('\n').find((text) => words.test(text)) ?? ''
    t.comment(`${what}: ${line.slice(0, 400)}`)
  }

  await one.start(asOld)
  await until('the old one is active', isActive(one))
  await two.start(asOld)
  await worker.start(asOld)
  const made = await until('old: tables and rows', async () => {
    const ran = await sql(
      old,
      "CREATE DATABASE IF NOT EXISTS d; CREATE TABLE IF NOT EXISTS d.a (x INT4, y TEXT); INSERT OVERWRITE INTO d.a VALUES (1, 'one'), (2, 'two')",
    )
    return ran.code === 0 ? ran : Promise.reject(new Error(ran.stderr))
  })
  t.match(made.code, 0)
  await rows(old, 'x,y\n1,one\n2,two\n', 'the old state reads them')

  // Wrong orders: a new master beside living old ones, whichever of them it meets.
  const live = /masters of an older version live in .*Stop the whole cluster with that version/
  await refused(three, HOME, live, 'new beside old active and backup')
  await ended(two, 'SIGTERM')
  await refused(three, HOME, live, 'new beside an old active')
  await two.start(asOld)
  await ended(one, 'SIGKILL')
  await until('the old backup is active', isActive(two))
  await refused(three, HOME, live, 'new beside an old successor')
  t.equal(formatOf(), format, 'nothing was migrated')
  if (!hasClients) {
    const mixed = await sql(HOME, "INSERT INTO d.a VALUES (9, 'mixed')")
    t.not(mixed.code, 0, 'a new client is refused by the old state')
    t.comment(`new tsql, old master: ${mixed.stderr.trim().slice(0, 300)}`)
  }
  await rows(old, 'x,y\n1,one\n2,two\n', 'and all is as it was')

  // As a whole, though not in good order: the worker and one master are killed.
  worker.kill('SIGKILL')
  await worker.ended()
  await ended(two, 'SIGTERM')

  const sent = secretOf()
  const both = [one.start(), three.start()]
  await Promise.all(both)
  await until('a new one is active', async () => (await isActive(one)()) || isActive(three)())
  t.equal(formatOf(), 4)
  t.not(secretOf(), sent, 'the secret that was sent over the network is no more')
  writeConf(confDir, [one, three], { 'tajo.rootdir': `file://${root}` })
  writeConf(join(worker.dir, 'conf'), [one, three], {
    'tajo.rootdir': `file://${root}`,
    'tajo.worker.peer-rpc.address': `localhost:${worker.port}`,
    'tajo.worker.qm-rpc.address': `localhost:${worker.port + 1}`,
    'tajo.worker.client-rpc.address': `localhost:${worker.port + 2}`,
    'tajo.worker.info-http.address': `127.0.0.1:${worker.port + 3}`,
    'tajo.worker.tmpdir.locations': join(worker.dir, 'spill'),
  })

  // An old worker is not taken in; a new one is.
  await worker.start(asOld)
  if (!hasClients) {
    const byOld = await sql(old, "INSERT INTO d.a VALUES (8, 'old client')")
    t.not(byOld.code, 0, 'an old client is refused by the new state')
    t.comment(`old tsql, new master: ${byOld.stderr.trim().slice(0, 300)}`)
  }
  worker.kill('SIGTERM')
  await worker.ended()
  await worker.start()
  await rows(HOME, 'x,y\n1,one\n2,two\n', 'the new state has all of them')
  t.match(await sql(HOME, "INSERT INTO d.a VALUES (3, 'three')"), { code: 0 })

  // An old master on the new directory, beside new ones and alone.
  const newer = /format|newer/
  await refused(two, old, newer, 'old beside new')
  for (const master of [one, three]) await ended(master, 'SIGTERM')
  await refused(two, old, newer, 'old on a directory that was migrated')
  await Promise.all([one.start(), three.start()])
  await rows(HOME, 'x,y\n1,one\n2,two\n3,three\n', 'and after all that')
}
