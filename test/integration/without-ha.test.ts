/** High availability is switched off: one master and a worker do all that a cluster does, through the master's end too. */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { monitorMs } from '../support/pace.ts'
import { ask, makeCluster } from '../support/test-masters.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

interface Document {
  readonly workers: readonly { address: string; state: string }[]
  readonly alerts: readonly { kind: string; text: string }[]
}

t.test('a master without high availability has its worker run queries', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-single-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  const site = {
    'tajo.master.ha.enable': 'false',
    'tajo.catalog.uri': `jdbc:derby:${join(dir, 'catalog')};create=true`,
  }
  const cluster = await makeCluster(t, { count: 1, monitorMs: monitorMs(1000), site })
  const { root, masters } = cluster
  const [master] = masters
  if (master === undefined) throw new Error('there is no master')
  const worker = await TestWorker.make({
    dir: join(dir, 'w'),
    root,
    masters,
    site: { 'tajo.master.ha.enable': 'false', 'tajo.worker.heartbeat.idle.interval': '300' },
  })
  t.teardown(() => worker.destroy())
  await worker.start()
  const look = async (): Promise<Document> =>
    JSON.parse((await ask(master.ports.info, '/api/v1/cluster')).text)
  await until('it is live', async () => (await look()).workers[0]?.state === 'live')
  const client = clientOf(masters)
  t.teardown(() => client.close())
  const rowsOf = async (sql: string): Promise<unknown[]> => {
    const rows: unknown[] = []
    for await (const some of (await client.query(sql)).rows()) rows.push(...some)
    return rows
  }
  t.same((await rowsOf('SELECT 1')).flat().map(Number), [1])
  await client.execute('CREATE TABLE t (a INT4)')
  await client.execute('INSERT INTO t VALUES (7)')
  t.same((await rowsOf('SELECT a FROM t')).flat().map(Number), [7])
  t.equal((await look()).workers[0]?.state, 'live')
  t.notOk((await look()).alerts.some(({ kind }) => kind === 'worker-storage'))

  const spill = join(dir, 'w', 'spill')
  const [own = ''] = readdirSync(spill)
  // At once: file by file the worker puts back what has gone already.
  renameSync(spill, `${spill}-gone`)
  await rowsOf('SELECT 2')
  t.ok(existsSync(join(spill, own)), 'where it spills was removed, and is there again')
  await until('and that is told', async () => {
    const found = (await look()).alerts.find(({ kind }) => kind === 'worker-spill')
    return found?.text.includes(`${join(spill, own)} (tajo.worker.tmpdir`)
  })

  const names = ['single-cluster', 'secret'].map((name) => join(root, 'system', 'ha', name))
  const before = names.map((name) => readFileSync(name, 'utf8'))
  for (const name of names) rmSync(name)
  await until('the id and the secret are put back', () => names.every((name) => existsSync(name)))
  t.same(
    names.map((name) => readFileSync(name, 'utf8')),
    before,
  )
  await until('and that is told', async () => {
    const texts = (await look()).alerts.map(({ text }) => text)
    return (
      texts.filter((text) => /put back.*something removes or replaces files/.test(text)).length ===
      2
    )
  })
  for (const wrong of ['', 'garbage', '01234567-89ab-cdef-0123-456789abcdef\n']) {
    for (const name of names) writeFileSync(name, wrong)
    await until('what was replaced is put back', () =>
      names.every((name, i) => readFileSync(name, 'utf8') === before[i]),
    )
    await client.execute('INSERT OVERWRITE INTO t VALUES (7)')
  }
  process.kill(master.pid, 'SIGKILL')
  await master.ended()
  const [, secret = ''] = names
  writeFileSync(secret, '')
  const refused = await master.runToEnd()
  t.equal(refused.code, 1)
  t.match(refused.said, `${secret} is torn or foreign (0 characters): restore it, or move it away`)
  writeFileSync(secret, before[1] ?? '')
  await master.start()
  t.same((await rowsOf('SELECT a FROM t')).flat().map(Number), [7])
})
