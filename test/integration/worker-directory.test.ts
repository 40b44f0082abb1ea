/**
 * A worker that has another directory than the cluster's under the same path (not mounted, unmounted, mounted over, a copy),
 * each of the two by itself: it gets no queries, an alert names its host and the directory, and nothing that it wrote there
 * is ever acknowledged.
 */
import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { mustRun } from '../support/run.ts'
import { ask, makeCluster, type TestMaster } from '../support/test-masters.ts'
import { clientOf, TestWorker } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

interface Document {
  readonly workers: readonly { address: string; state: string; trouble: string | null }[]
  readonly alerts: readonly { kind: string; text: string; level: string }[]
}

interface Ground {
  readonly root: string
  readonly warehouse: string
  readonly master: TestMaster
  /** Not started; `mounts` is a shell's words, run among the mounts of that worker alone before it begins. */
  add(mounts?: string): Promise<TestWorker>
  told(worker: TestWorker): Promise<string>
  live(worker: TestWorker): Promise<void>
  /** Rows of `t`, written and counted. */
  insert(): Promise<void>
  count(): Promise<number>
}

async function ground(t: Test, m = monitorMs(1500)): Promise<Ground> {
  const base = await makeCluster(t, { count: 1, monitorMs: m, start: false })
  const { root, masters } = base
  const warehouse = join(root, '..', 'tables')
  mkdirSync(warehouse)
  const [master] = masters
  if (master === undefined) throw new Error('there is no master')
  const site = { 'tajo.warehouse.directory': warehouse }
  master.reconfigure(site)
  await master.start()
  await base.settled()
  const look = async (): Promise<Document> =>
    JSON.parse((await ask(master.ports.info, '/api/v1/cluster')).text)
  const rowOf = async ({ address }: TestWorker) =>
    (await look()).workers.find((one) => one.address === address)
  const client = clientOf(masters)
  t.teardown(() => client.close())
  let made = 0
  return {
    root,
    warehouse,
    master,
    add: async (mounts) => {
      made += 1
      const worker = await TestWorker.make({
        dir: join(root, '..', `worker-${made}`),
        root,
        masters,
        site: { ...site, 'tajo.master.ha.monitor.interval': String(m) },
      })
      t.teardown(() => worker.destroy())
      if (mounts !== undefined) {
        worker.before = ['unshare', '--mount', 'sh', '-c', `${mounts} && exec "$@"`, 'sh']
      }
      return worker
    },
    told: (worker) =>
      until(`${worker.address} is told`, async () => {
        if ((await rowOf(worker))?.state !== 'stuck') return null
        const { alerts } = await look()
        const alert = alerts.find(
          ({ kind, text }) => kind === 'worker-storage' && text.includes(worker.address),
        )
        return alert?.text ?? null
      }),
    live: (worker) =>
      until(`${worker.address} is live`, async () => (await rowOf(worker))?.state === 'live').then(
        () => undefined,
      ),
    insert: async () => {
      await client.execute('INSERT INTO t VALUES (1)')
    },
    count: async () => {
      const result = await client.query('SELECT count(*) FROM t')
      let found = Number.NaN
      for await (const rows of result.rows()) found = Number(rows[0]?.[0])
      return found
    },
  }
}

const inMountsOf = (worker: TestWorker, ...words: string[]): Promise<unknown> =>
  mustRun(['nsenter', '--target', String(worker.pid), '--mount', ...words])

t.test('the warehouse alone is not mounted: before the start, and under it', async (t) => {
  if (!hasParts(t, 'netns')) return
  const g = await ground(t)
  const { warehouse } = g
  const astray = await g.add(`mount -t tmpfs none ${warehouse}`)
  const right = await g.add()
  await astray.start()
  const text = await g.told(astray)
  for (const word of [astray.address, hostname(), warehouse, 'tajo.warehouse.directory', 'tmpfs']) {
    t.ok(text.includes(word), `the alert names ${word}: ${text}`)
  }
  await right.start()
  await g.live(right)
  const client = clientOf([g.master])
  t.teardown(() => client.close())
  await client.execute('CREATE TABLE t (a INT)')
  for (let i = 0; i < 3; i += 1) await g.insert()
  t.equal(await g.count(), 3)
  await inMountsOf(astray, 'umount', warehouse)
  await g.live(astray)
  // Now the other one, while it runs, and in both ways.
  right.kill('SIGTERM')
  await right.ended()
  t.equal(await g.count(), 3, 'the first one has the tables by now')
  await g.insert()
  await inMountsOf(astray, 'mount', '-t', 'tmpfs', 'none', warehouse)
  t.match(await g.told(astray), /something was mounted over it/)
  await inMountsOf(astray, 'umount', warehouse)
  await g.live(astray)
  await inMountsOf(astray, 'mount', '--bind', warehouse, warehouse)
  await g.live(astray)
  await g.insert()
  t.equal(await g.count(), 5)
})
