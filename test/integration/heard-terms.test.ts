/**
 * Numbers of terms that somebody says. One that the directory does not show moves neither masters nor workers, and the next
 * real failover is followed as ever. A worker whose mount hangs can't see a real one, and says so until the mount answers.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../lib/base/time.ts'
import { RpcClient } from '../../lib/call/index.ts'
import { mountHangFs } from '../support/hangfs.ts'
import { monitorMs, pacedMs, patienceMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { ask, makeCluster, type TestMaster } from '../support/test-masters.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'
import { testdirOf } from '../support/testdir.ts'
import { until } from '../support/until.ts'

const LARGEST = 9_999_999_999

interface Document {
  readonly clusterId: string
  readonly epoch: number
  readonly workers: readonly { address: string; state: string }[]
  readonly alerts: readonly { kind: string; text: string }[]
}
const look = async (master: TestMaster): Promise<Document> =>
  JSON.parse((await ask(master.ports.info, '/api/v1/cluster')).text)
const isLive = async (master: TestMaster, { address }: TestWorker): Promise<boolean> =>
  (await look(master)).workers.some((one) => one.address === address && one.state === 'live')
const textOf = async (master: TestMaster, words: string): Promise<string | undefined> =>
  (await look(master)).alerts.find(({ text }) => text.includes(words))?.text

async function world(t: Test, mounted: (root: string) => Promise<string>) {
  const cluster = await makeCluster(t, { count: 2, monitorMs: monitorMs(1000) })
  const { active, backups } = await cluster.settled()
  const [backup] = backups
  if (backup === undefined) throw new Error('there is no backup')
  const { masters } = cluster
  const root = await mounted(cluster.root)
  const worker = await TestWorker.make({ dir: join(testdirOf(t), 'w'), root, masters })
  t.teardown(() => worker.destroy())
  await worker.start()
  await until('the worker is there', () => isLive(active, worker))
  return { cluster, active, backup, worker }
}

t.test('a number that only a message says moves nobody', async (t) => {
  const { cluster, active, backup, worker } = await world(t, async (root) => root)
  const { clusterId, epoch } = await look(active)
  const secret = readFileSync(join(cluster.root, 'system', 'ha', 'secret'), 'utf8').trim()
  const options = {
    clusterId: () => clusterId,
    secret: () => secret,
    term: () => LARGEST,
    clock: systemClock,
    connectTimeoutMs: pacedMs(2000),
  }
  const deadlineMs = patienceMs()
  const toWorker = new RpcClient('worker', `localhost:${worker.port + 1}`, options)
  const kill = { queryId: '00000000-0000-4000-8000-000000000001' }
  await t.rejects(toWorker.call('kill', kill, { deadlineMs }), {
    code: 'UNAVAILABLE',
    message: new RegExp(`has not shown term ${LARGEST} .* goes on under term ${epoch}`),
  })
  const toMasters = cluster.masters.map(
    ({ ports }) => new RpcClient('umbilical', `localhost:${ports.umbilical}`, options),
  )
  const news = { address: 'localhost:1', state: 'active', epoch: LARGEST } as const
  for (const one of toMasters) await one.call('announce', news, { deadlineMs })
  for (const one of [toWorker, ...toMasters]) t.teardown(() => one.close())

  const client = clientOf(cluster.masters)
  t.teardown(() => client.close())
  await client.execute('SELECT 1')
  for (const master of cluster.masters) {
    await until('each master tells of it', () => textOf(master, `named term ${LARGEST}`))
    t.equal((await look(master)).epoch, epoch)
  }
  const { text } = await ask(worker.port + 3, '/metrics')
  t.match(text, /^tajo_worker_unshown_terms_total 1$/m)

  process.kill(active.pid, 'SIGKILL')
  await until('the worker follows the next one', () => isLive(backup, worker))
  await client.execute('SELECT 1')
  t.equal(JSON.parse((await ask(worker.port + 3, '/api/v1/worker')).text).epoch, epoch + 1)
})

t.test(
  'a failover while the worker’s mount hangs: told, and followed once it answers',
  async (t) => {
    if (!hasParts(t, 'hangfs')) return
    const dir = mkdtempSync(join(tmpdir(), 'tajo-heard-'))
    t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
    let mount: Awaited<ReturnType<typeof mountHangFs>> | null = null
    const { active, backup, worker } = await world(t, async (root) => {
      mount = await mountHangFs(t, root)
      return mount.path
    })
    const hanging = mount as Awaited<ReturnType<typeof mountHangFs>> | null
    if (hanging === null) throw new Error('there is no mount')
    await hanging.hang([worker.pid])
    process.kill(active.pid, 'SIGKILL')
    const told = await until('the new active tells of it', () =>
      textOf(backup, `worker ${worker.address} on ${hostname()}`),
    )
    t.match(told, /is not registered .* says that it is active, but term \d+ can't be looked for/)
    const log = join(worker.dir, 'logs', `tajo-test-worker-${hostname()}.log`)
    t.match(readFileSync(log, 'utf8'), /has not answered for .*: this worker goes on under term/)
    t.ok(await worker.live())
    await hanging.release()
    await until('it follows when its mount answers', () => isLive(backup, worker))
  },
)
