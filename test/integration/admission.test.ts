/**
 * Who may be a worker: one that has the secret and is in no list gets queries and is told of, or is refused until its line
 * comes. And one that names another worker's address gets nothing, and takes nobody's place.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../lib/base/time.ts'
import { RpcClient } from '../../lib/call/index.ts'
import type { WorkerInfo } from '../../lib/contract/index.ts'
import { monitorMs, pacedMs, patienceMs } from '../support/pace.ts'
import { ask, makeCluster, type TestMaster } from '../support/test-masters.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'
import { testdirOf } from '../support/testdir.ts'
import { until } from '../support/until.ts'

interface Document {
  readonly workers: readonly { address: string; state: string; trouble: string | null }[]
  readonly alerts: readonly { kind: string; text: string }[]
}

const look = async (master: TestMaster): Promise<Document> =>
  JSON.parse((await ask(master.ports.info, '/api/v1/cluster')).text)

async function world(t: Test, lines: (worker: TestWorker) => string) {
  const cluster = await makeCluster(t, { count: 1, monitorMs: monitorMs(1000), start: false })
  const [master] = cluster.masters
  if (master === undefined) throw new Error('there is no master')
  const dir = testdirOf(t)
  const make = async (name: string): Promise<TestWorker> => {
    const masters = [master]
    const worker = await TestWorker.make({ dir: join(dir, name), root: cluster.root, masters })
    t.teardown(() => worker.destroy())
    return worker
  }
  const worker = await make('w1')
  const list = (text: string): void => writeFileSync(join(master.dir, 'conf', 'workers'), text)
  list(lines(worker))
  const client = clientOf(cluster.masters)
  t.teardown(() => client.close())
  return { cluster, master, make, worker, list, client }
}
const isLive = async (master: TestMaster, { address }: TestWorker): Promise<boolean> =>
  (await look(master)).workers.some((one) => one.address === address && one.state === 'live')

t.test('a worker that is in no list: told of, or refused until its line comes', async (t) => {
  const { master, make, worker, list, client } = await world(t, () => 'elsewhere:1\n')
  await Promise.all([master.start(), worker.start()])
  const told = await until('it is told of', async () => {
    const { alerts } = await look(master)
    return alerts.find(({ kind }) => kind === 'worker-unlisted')
  })
  const { address } = worker
  t.match(told.text, `worker ${address} on ${hostname()} is not in conf/workers, and gets queries`)
  await client.execute('SELECT 1')
  t.match((await ask(master.ports.info, '/metrics')).text, /^tajo_workers_unlisted 1$/m)

  master.reconfigure({ 'tajo.worker.admission': 'listed' })
  const barred = await until('it gets no queries any more', async () =>
    (await look(master)).workers.find(({ state }) => state === 'stuck'),
  )
  t.match(barred.trouble, `worker ${address} on ${hostname()} is not in ${master.dir}/conf/workers`)
  const other = await make('w2')
  await other.start()
  const log = join(other.dir, 'logs', `tajo-test-worker-${hostname()}.log`)
  await until('it says why itself', () =>
    readFileSync(log, 'utf8').includes('does not admit this worker: worker '),
  )
  const refused = await until('the master tells of it', async () =>
    (await look(master)).alerts.find(({ text }) => text.includes(`worker ${other.address} on`)),
  )
  t.match(
    refused.text,
    /is not registered and gets no queries: .* tajo\.worker\.admission is listed/,
  )

  list(`${address}\n`)
  await until('a line that was added counts', () => isLive(master, worker))
  t.notOk(await isLive(master, other))
  // By another name of the same host.
  list(`${address}\n127.0.0.1:${other.port}\n`)
  await until('for one that was refused, too', () => isLive(master, other))
  await until('nobody is told of any more', async () =>
    (await look(master)).alerts.every(({ text }) => !text.includes('worker ')),
  )
  await client.execute('SELECT 1')
})

t.test(
  'who names another worker’s address gets none of its tasks, and not its place',
  async (t) => {
    const { cluster, master, worker, client } = await world(t, ({ address }) => `${address}\n`)
    await Promise.all([master.start(), worker.start()])
    await until('the worker is there', () => isLive(master, worker))
    const { clusterId } = JSON.parse((await ask(master.ports.info, '/api/v1/cluster')).text)
    const secret = readFileSync(join(cluster.root, 'system', 'ha', 'secret'), 'utf8').trim()
    const tracker = new RpcClient('tracker', `localhost:${master.ports.umbilical + 2}`, {
      clusterId: () => clusterId,
      secret: () => secret,
      term: () => 1,
      clock: systemClock,
      connectTimeoutMs: pacedMs(2000),
    })
    t.teardown(() => tracker.close())
    const options = { deadlineMs: patienceMs() }
    const { port } = worker
    const addresses = {
      peer: `localhost:${port}`,
      qm: `localhost:${port + 1}`,
      clientRpc: `localhost:${port + 2}`,
      infoHttp: `localhost:${port + 3}`,
    }
    const claimed = (more: Partial<WorkerInfo>): WorkerInfo => ({
      ...{ workerId: 'liar:28091', incarnation: 'liar', host: 'liar', pid: 1, version: '1' },
      ...{ addresses, cores: 1, memoryBytes: 1, slots: 100, ...more },
    })
    const first = claimed({})
    await tracker.call('register', { worker: first, tasks: [] }, options)
    const stays = setInterval(() => void beat().catch(() => {}), pacedMs(200))
    t.teardown(() => clearInterval(stays))
    const beat = () => {
      const { workerId, incarnation } = first
      const said = { workerId, incarnation, freeSlots: 100, reports: [] }
      return tracker.call('heartbeat', said, options)
    }
    // It has the most free slots, so it is the first to be chosen.
    for (let i = 0; i < 5; i += 1) await client.execute('SELECT 1')
    t.match(
      (await beat()).barred,
      `at ${addresses.qm}, which worker liar:28091 names as its address for orders, worker ${worker.address} on`,
    )
    const { workers, alerts } = await look(master)
    t.match(
      workers.find(({ address }) => address === 'liar:28091'),
      { state: 'stuck' },
    )
    t.ok(
      alerts.some(({ text }) => text.startsWith('worker liar:28091 on liar gets no queries: at ')),
    )

    const thief = claimed({ workerId: worker.address })
    const answer = await tracker.call('register', { worker: thief, tasks: [] }, options)
    t.match(answer.refused, /another process of that name answers/)
    t.ok(await isLive(master, worker), 'the worker keeps its place')
    await client.execute('SELECT 1')

    worker.kill('SIGKILL')
    await worker.ended()
    await worker.start()
    await until('a worker that was started anew has its place', async () => {
      const { workers } = await look(master)
      const found = workers.find(({ address }) => address === worker.address)
      return found?.state === 'live' && 'pid' in found && found.pid === worker.pid
    })
    await client.execute('SELECT 1')
  },
)
