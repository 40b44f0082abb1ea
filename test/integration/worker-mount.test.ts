/**
 * A worker's mount of the shared directory hangs and nothing else does: its reports go on, so it has to say so itself.
 * Queries go to the other worker, an alert names host and directory, and all of it is over with the mount's recovery.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { mountHangFs } from '../support/hangfs.ts'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { ask, makeCluster } from '../support/test-masters.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

interface Document {
  readonly workers: readonly { address: string; state: string }[]
  readonly alerts: readonly { kind: string; text: string }[]
}

t.test('a worker whose mount hangs gets no queries and is told', async (t) => {
  if (!hasParts(t, 'hangfs')) return
  const m = monitorMs(1000)
  const cluster = await makeCluster(t, { count: 1, monitorMs: m })
  const [master] = cluster.masters
  if (master === undefined) throw new Error('there is no master')
  await cluster.settled()
  const dir = mkdtempSync(join(tmpdir(), 'tajo-mount-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  const mount = await mountHangFs(t, cluster.root)
  const site = { 'tajo.worker.heartbeat.idle.interval': '500' }
  const make = async (name: string, root: string): Promise<TestWorker> => {
    const worker = await TestWorker.make({ dir: join(dir, name), root, masters: [master], site })
    t.teardown(() => worker.destroy())
    await worker.start()
    return worker
  }
  const stuck = await make('w1', mount.path)
  const whole = await make('w2', cluster.root)
  const look = async (): Promise<Document> =>
    JSON.parse((await ask(master.ports.info, '/api/v1/cluster')).text)
  const stateOf = async ({ address }: TestWorker): Promise<string | undefined> =>
    (await look()).workers.find((one) => one.address === address)?.state
  for (const one of [stuck, whole]) {
    await until(`${one.address} is live`, async () => (await stateOf(one)) === 'live')
  }
  await mount.hang([stuck.pid])
  await until('it is told', async () => (await stateOf(stuck)) === 'stuck')
  const { alerts } = await look()
  const alert = alerts.find(({ kind }) => kind === 'worker-storage')
  t.match(
    alert?.text,
    new RegExp(`worker ${stuck.address} on .* gets no queries: ${mount.path}(/warehouse)? `),
  )
  const client = clientOf(cluster.masters)
  t.teardown(() => client.close())
  for (let i = 0; i < 5; i += 1) {
    await client.execute('SELECT 1')
  }
  t.equal(await stateOf(whole), 'live', 'the other one has answered five queries')
  await mount.release()
  await until('it is over', async () => (await stateOf(stuck)) === 'live')
})
