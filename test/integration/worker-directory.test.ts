/**
 * A worker that has another directory than the cluster's under the same path (not mounted, unmounted, mounted over, a copy),
 * each of the two by itself: it gets no queries, an alert names its host and the directory, and nothing that it wrote there
 * is ever acknowledged.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
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
  /** Table `t`, and its rows, written and counted. */
  create(): Promise<void>
  insert(): Promise<void>
  count(): Promise<number>
}

async function ground(t: Test, { m = monitorMs(3000), idleMs = 10_000 } = {}): Promise<Ground> {
  const base = await makeCluster(t, { count: 1, monitorMs: m, start: false })
  const { root, masters } = base
  const warehouse = join(root, '..', 'tables')
  mkdirSync(warehouse)
  const [master] = masters
  if (master === undefined) throw new Error('there is no master')
  const site = {
    'tajo.warehouse.directory': warehouse,
    'tajo.worker.heartbeat.idle.interval': String(idleMs),
  }
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
    create: async () => {
      await client.execute('CREATE TABLE t (a INT)')
    },
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

const inMountsOf = (worker: { readonly pid: number }, ...words: string[]): Promise<unknown> =>
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
  await g.create()
  for (let i = 0; i < 3; i += 1) await g.insert()
  t.equal(await g.count(), 3)
  await inMountsOf(astray, 'umount', '--lazy', warehouse)
  await g.live(astray)
  // Now the other one, while it runs, and in both ways.
  right.kill('SIGTERM')
  await right.ended()
  t.equal(await g.count(), 3, 'the first one has the tables by now')
  await g.insert()
  await inMountsOf(astray, 'mount', '-t', 'tmpfs', 'none', warehouse)
  t.match(await g.told(astray), /something was mounted over it/)
  await inMountsOf(astray, 'umount', '--lazy', warehouse)
  await g.live(astray)
  await inMountsOf(astray, 'mount', '--bind', warehouse, warehouse)
  await g.live(astray)
  await g.insert()
  t.equal(await g.count(), 5)
})

t.test('a copy of rootdir, with all that lay in it during the term', async (t) => {
  if (!hasParts(t, 'netns')) return
  const g = await ground(t)
  const { root } = g
  await until('the term has made its file', async () =>
    (await readdir(join(root, 'system', 'proof')).catch(() => [])).some((name) =>
      name.startsWith('term-'),
    ),
  )
  const copy = `${root}-copy`
  const astray = await g.add(`cp -a ${root} ${copy} && mount --bind ${copy} ${root}`)
  await astray.start()
  const text = await g.told(astray)
  t.ok(text.includes(`${root} (tajo.rootdir) is not the cluster's directory, or a cache`), text)
  t.ok(text.includes(`worker ${astray.address} on ${hostname()} `))
  await inMountsOf(astray, 'umount', '--lazy', root)
  await g.live(astray)
})

t.test('what is written before anybody has noticed is not acknowledged', async (t) => {
  if (!hasParts(t, 'netns')) return
  // Nobody looks by himself within the test.
  const g = await ground(t, { m: 600_000, idleMs: 600_000 })
  const worker = await g.add('true')
  await worker.start()
  await g.live(worker)
  await g.create()
  await g.insert()
  await inMountsOf(worker, 'mount', '-t', 'tmpfs', 'none', g.warehouse)
  await t.rejects(g.insert(), {
    message:
      /what it wrote is not in the cluster's directory: .*something was mounted over it.*; nothing was changed/,
  })
  t.match(await g.told(worker), worker.address)
})

t.test('the active is the one without the warehouse', async (t) => {
  if (!hasParts(t, 'netns')) return
  const g = await ground(t)
  const { master, warehouse } = g
  const right = await g.add()
  await right.start()
  await g.live(right)
  await g.create()
  await g.insert()
  master.destroy()
  await master.ended()
  const mounts = `mount -t tmpfs none ${warehouse} && exec "$@"`
  master.before = ['unshare', '--mount', 'sh', '-c', mounts, 'sh']
  await master.start()
  const text = await until('it is told', async () => {
    const { alerts } = await master.cluster()
    return alerts.find(({ level, kind }) => level === 'critical' && kind === 'storage')?.text
  })
  for (const word of [hostname(), warehouse, 'tajo.warehouse.directory', 'is it mounted']) {
    t.ok(text.includes(word), `the alert names ${word}: ${text}`)
  }
  await g.live(right)
  t.equal(await g.count(), 1, 'what the workers have can be read')
  await t.rejects(g.insert(), { message: /is not the cluster's: .*nothing was changed/ })
  right.kill('SIGTERM')
  await right.ended()
  // Of the same host: it has what its master has, and nobody else.
  const beside = await g.add()
  beside.before = ['nsenter', '--target', String(master.pid), '--mount']
  await beside.start()
  await g.live(beside)
  await t.rejects(g.insert(), { message: /is not the cluster's: .*nothing was changed/ })
  await inMountsOf(master, 'umount', '--lazy', warehouse)
  await until('it is the cluster’s again', async () =>
    (await master.cluster()).alerts.every(({ kind }) => kind !== 'storage'),
  )
  await g.insert()
  t.equal(await g.count(), 2)
})

t.test('rootdir is not mounted, or holds what another cluster has left there', async (t) => {
  if (!hasParts(t, 'netns')) return
  const g = await ground(t)
  const { root, master } = g
  const astray = await g.add(`mount -t tmpfs none ${root}`)
  await astray.start()
  const told = (words: string) =>
    until(`it is told: ${words}`, async () => {
      const { alerts } = await master.cluster()
      return alerts.find(({ kind, text }) => kind === 'worker-storage' && text.includes(words))
    })
  const { text } = await told('holds no cluster')
  for (const word of [astray.address, hostname(), root, 'tajo.rootdir', 'not registered']) {
    t.ok(text.includes(word), `the alert names ${word}: ${text}`)
  }
  const other = join(root, '..', 'other')
  const ha = join(other, 'system', 'ha')
  mkdirSync(ha, { recursive: true })
  writeFileSync(join(ha, 'single-cluster'), `${randomUUID()}\n`)
  writeFileSync(join(ha, 'secret'), `${'0'.repeat(64)}\n`)
  await inMountsOf(astray, 'mount', '--bind', other, root)
  await told('which is another one')
  await inMountsOf(astray, 'umount', '--lazy', root)
  await inMountsOf(astray, 'umount', '--lazy', root)
  await g.live(astray)
  await until('it is over', async () =>
    (await master.cluster()).alerts.every(({ kind }) => kind !== 'worker-storage'),
  )
})
