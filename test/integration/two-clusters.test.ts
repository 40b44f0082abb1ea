/**
 * Two real clusters, and a configuration that names a master of the other one, or a directory: whatever is asked through it
 * touches the own cluster only, and everybody who looks is told which master is the stranger.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { freePortRow } from '../support/free-ports.ts'
import { HOME } from '../support/install.ts'
import { monitorMs } from '../support/pace.ts'
import { type Ran, run } from '../support/run.ts'
import { makeCluster, type TestCluster, type TestMaster } from '../support/test-masters.ts'
import { clientOf, writeConf } from '../support/test-worker.ts'
import { eventOf, until } from '../support/until.ts'

const M = monitorMs(1500)

/** A configuration that lists these masters, for whoever asks with it. */
function confOf(t: Test, masters: readonly TestMaster[], root: string) {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-two-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const conf = join(dir, 'conf')
  const configure = (listed: readonly TestMaster[], site: Readonly<Record<string, string>>): void =>
    writeConf(conf, listed, {
      'tajo.rootdir': `file://${root}`,
      'tajo.master.ha.monitor.interval': String(M),
      ...site,
    })
  configure(masters, {})
  const home = join(dir, 'home')
  mkdirSync(home)
  const env = { HOME: home, TAJO_HOME: HOME, TAJO_CONF_DIR: conf }
  const program = (name: string, words: readonly string[], more = {}): Promise<Ran> =>
    run([process.execPath, join(HOME, name), ...words], { env: { ...env, ...more } })
  return {
    home,
    configure,
    program,
    named: ({ ports }: TestMaster): string[] => [
      ...['--config', conf, '-h', 'localhost', '-p', String(ports.client)],
    ],
    tsql: (sql: string) => program('bin/tsql', ['--config', conf, '-c', sql]),
    haadmin: (...words: string[]) => program('bin/tajo', ['--config', conf, 'haadmin', ...words]),
    waitForActive: (seconds = '60') =>
      program('build/programs/cluster-active.js', ['wait', '0'], { TAJO_START_TIMEOUT: seconds }),
    nameActive: () => program('build/programs/cluster-active.js', ['name']),
  }
}

const databasesOf = async ({ masters }: TestCluster): Promise<string[]> => {
  const client = clientOf(masters)
  const names = await client.databases()
  await client.close()
  return names
}

/** Whoever can't read the directory would have to log in, which is another matter. */
const OPEN = { 'tajo.security.authentication': 'none' }

t.test('a list with a master of another cluster in it', async (t) => {
  const a = await makeCluster(t, { count: 1, monitorMs: M })
  const b = await makeCluster(t, { count: 1, monitorMs: M })
  const [{ active: foreign }, { active: own }] = [await a.settled(), await b.settled()]
  const [idA, idB] = [(await foreign.cluster()).clusterId, (await own.cluster()).clusterId]
  const host = confOf(t, [foreign, own], b.root)

  const done = await host.tsql('CREATE DATABASE mine')
  t.same([done.code, done.stderr], [0, ''])
  t.same((await databasesOf(b)).includes('mine'), true)
  t.same((await databasesOf(a)).includes('mine'), false)

  const belongs = `${foreign.address} belongs to cluster ${idA} in ${a.root}: its tajo.rootdir differs`
  const status = await host.haadmin('-status')
  t.equal(status.code, 1)
  t.match(status.stdout, `Cluster ${idB} in ${b.root}`)
  t.match(status.stderr, belongs)
  const report = JSON.parse((await host.haadmin('-status', '--json')).stdout)
  t.match(report, { active: own.address, masters: [{ state: 'foreign', epoch: null }] })
  t.match(await host.haadmin('-getState', foreign.address), { code: 1, stderr: belongs })
  t.match(await host.haadmin('-getState', own.address), { code: 0, stdout: /is active/ })
  const order = await host.haadmin('-transitionToBackup', foreign.address, '--force')
  t.match(order, { code: 4, stderr: belongs })

  const started = await host.waitForActive()
  t.equal(started.code, 1)
  t.match(started.stdout, `Active master:  ${own.address}`)
  t.match(started.stderr, belongs)
  t.match(await host.nameActive(), { code: 0, stdout: /^localhost:/ })

  own.destroy()
  await own.ended()
  const refused = await host.tsql('CREATE DATABASE theirs')
  t.equal(refused.code, 3)
  t.match(
    refused.stderr,
    `localhost:${foreign.ports.client} belongs to cluster ${idA}, not to ${idB}`,
  )
  t.notOk((await databasesOf(a)).includes('theirs'), 'it was not touched')
})

t.test('who can not read the directory goes by what he remembers', async (t) => {
  const a = await makeCluster(t, { count: 1, monitorMs: M, site: OPEN })
  const b = await makeCluster(t, { count: 1, monitorMs: M, site: OPEN })
  const [{ active: foreign }, { active: own }] = [await a.settled(), await b.settled()]
  const nowhere = '/nowhere/to/be/found'

  const both = confOf(t, [foreign, own], nowhere)
  const two = await both.tsql('CREATE DATABASE mine')
  t.equal(two.code, 1)
  t.match(two.stderr, /the masters belong to 2 clusters, and which one is meant is not known/)
  for (const one of [a, b]) t.notOk((await databasesOf(one)).includes('mine'))

  const host = confOf(t, [own], nowhere)
  t.match(await host.tsql('CREATE DATABASE mine'), { code: 0, stderr: '' })
  const memory = join(host.home, '.tajo', 'clusters')
  const [name = ''] = readdirSync(memory)
  t.equal(statSync(join(memory, name)).mode & 0o777, 0o600)
  t.equal(statSync(memory).mode & 0o777, 0o700)
  t.equal(statSync(join(host.home, '.tajo')).mode & 0o777, 0o700)
  const remembered = JSON.parse(readFileSync(join(memory, name), 'utf8'))
  t.match(remembered, { clusterId: (await own.cluster()).clusterId })

  // The same address, another cluster behind it.
  writeFileSync(
    join(memory, name),
    JSON.stringify({ ...remembered, clusterId: (await foreign.cluster()).clusterId }),
  )
  const other = await host.tsql('CREATE DATABASE late')
  t.equal(other.code, 1)
  t.match(other.stderr, `If the cluster was made anew, remove ${join(memory, name)}`)
  t.notOk((await databasesOf(b)).includes('late'))
  rmSync(join(memory, name))
  t.match(await host.tsql('CREATE DATABASE late'), { code: 0, stderr: '' })
})

t.test('who knows nothing and hears the foreign master only', async (t) => {
  const a = await makeCluster(t, { count: 1, monitorMs: M, site: OPEN })
  const b = await makeCluster(t, { count: 2, monitorMs: M, site: OPEN })
  const [{ active: foreign }, { active: own, backups }] = [await a.settled(), await b.settled()]
  const nowhere = '/nowhere/to/be/found'
  const wrong = confOf(t, [own, foreign], nowhere)
  const right = confOf(t, b.masters, nowhere)
  own.destroy()
  await own.ended()
  const refused = await wrong.tsql('CREATE DATABASE one')
  t.equal(refused.code, 1)
  t.match(
    refused.stderr,
    new RegExp(`${own.ports.client} does not tell its cluster .* knows no master there`),
  )
  t.match(await right.tsql('CREATE DATABASE one'), { code: 0, stderr: '' }, 'a failover')
  t.notOk(existsSync(join(right.home, '.tajo', 'clusters')), 'nothing is kept of it')
  await own.start()
  await until('it is back', () => own.health('backup'))
  const two = await wrong.tsql('CREATE DATABASE two')
  t.match(two, { code: 1, stderr: /the masters belong to 2 clusters/ })
  t.match(await right.tsql('CREATE DATABASE two'), { code: 0, stderr: '' })
  t.equal(readdirSync(join(right.home, '.tajo', 'clusters')).length, 1, 'all have said so')
  t.equal(backups.length, 1)
  for (const name of ['one', 'two']) t.notOk((await databasesOf(a)).includes(name))
})

t.test('the directory that can be read decides, whatever is listed and however', async (t) => {
  const a = await makeCluster(t, { count: 1, monitorMs: M })
  const b = await makeCluster(t, { count: 1, monitorMs: M })
  const [{ active: foreign }, { active: own }] = [await a.settled(), await b.settled()]
  const idB = (await own.cluster()).clusterId
  const only = confOf(t, [foreign], b.root)
  const one = await only.tsql('CREATE DATABASE one')
  t.equal(one.code, 1)
  t.match(one.stderr, `tajo.rootdir here, ${b.root}, holds cluster ${idB}, and a master`)
  const spelt = confOf(t, [own, foreign], b.root)
  const masters = join(spelt.home, '..', 'conf', 'masters')
  writeFileSync(masters, readFileSync(masters, 'utf8').replace('localhost', '127.0.0.1'))
  own.destroy()
  await own.ended()
  t.match(await spelt.tsql('CREATE DATABASE one'), {
    code: 3,
    stderr: /not to .*tajo.rootdir here/s,
  })
  t.notOk((await databasesOf(a)).includes('one'))
})

t.test('an address that is named, or stands alone, is remembered as well', async (t) => {
  const a = await makeCluster(t, { count: 1, monitorMs: M, site: OPEN })
  const b = await makeCluster(t, { count: 1, monitorMs: M, site: OPEN })
  const [{ active: foreign }, { active: own }] = [await a.settled(), await b.settled()]
  const host = confOf(t, [own], '/nowhere/to/be/found')
  const ask = (sql: string) => host.program('bin/tsql', [...host.named(own), '-c', sql])
  const memory = join(host.home, '.tajo', 'clusters')
  t.match(await ask('CREATE DATABASE one'), { code: 0, stderr: '' })
  const [name = ''] = readdirSync(memory)
  const remembered = JSON.parse(readFileSync(join(memory, name), 'utf8'))
  const { clusterId } = await foreign.cluster()
  writeFileSync(join(memory, name), JSON.stringify({ ...remembered, clusterId }))
  const forget = `remove ${join(memory, name)} and try again`
  t.match(await ask('CREATE DATABASE two'), { code: 1, stderr: forget })
  host.configure([own], { 'tajo.master.ha.enable': 'false' })
  t.match(await host.tsql('CREATE DATABASE two'), { code: 1, stderr: forget })
  t.notOk((await databasesOf(b)).includes('two'))
  rmSync(memory, { recursive: true })
  t.match(await host.tsql('CREATE DATABASE two'), { code: 0, stderr: '' })
  t.equal(readdirSync(memory).length, 1, 'without high availability, too')
})

t.test('a master of an older state, which names no cluster', async (t) => {
  const b = await makeCluster(t, { count: 1, monitorMs: M })
  const { active: own } = await b.settled()
  // What such a master answers, on each of its ports.
  const first = await freePortRow(5)
  const older = `localhost:${first}`
  const said = { address: older, state: 'active', serving: true, epoch: 8_765_432, hostname: 'h' }
  const answer = JSON.stringify({ ...said, version: '0.0.9', priority: 100, active: older })
  for (const port of [first, first + 1, first + 4]) {
    const server = createServer((_request, response) => {
      response.setHeader('content-type', 'application/json').end(answer)
    })
    t.teardown(() => void server.close())
    server.listen(port, '127.0.0.1')
    await eventOf(server, 'listening')
  }
  const host = confOf(t, [own], b.root)
  const masters = join(host.home, '..', 'conf', 'masters')
  writeFileSync(masters, `${older}\n`)
  const names = `${older} names no cluster: it runs an older state of this software`
  t.match(await host.haadmin('-getState', older), { code: 1, stdout: '', stderr: names })
  t.match(await host.nameActive(), { code: 1, stdout: '' })
  own.destroy()
  await own.ended()
  const status = await host.haadmin('-status')
  t.match(status, { code: 1, stderr: names })
  t.notMatch(status.stdout, /8765432/, 'what it says counts for nothing')
  const started = await host.waitForActive('2')
  t.match(started, { code: 1, stderr: names })
  t.notMatch(started.stdout, 'Active master')
})

t.test('the same masters with a new directory: it says so itself', async (t) => {
  const cluster = await makeCluster(t, { count: 1, monitorMs: M })
  const { active } = await cluster.settled()
  const host = confOf(t, cluster.masters, cluster.root)
  t.match(await host.tsql('CREATE DATABASE one'), { code: 0, stderr: '' })
  active.destroy()
  await active.ended()
  await until('its keeper has ended', () => {
    rmSync(cluster.root, { recursive: true, force: true })
    return true
  })
  await active.start()
  await cluster.settled()
  // A slow machine reads the directory for longer than the second after which tsql says what it waits for.
  const waits = /^(tsql: waiting for an active master .*\n)?$/
  t.match(await host.tsql('CREATE DATABASE two'), { code: 0, stderr: waits })
})
