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
  /** That SQL may name as well. */
  readonly allowed: string
  /** Not started; `mounts` is a shell's words, run among the mounts of that worker alone before it begins. */
  add(mounts?: string): Promise<TestWorker>
  told(worker: TestWorker): Promise<string>
  live(worker: TestWorker): Promise<void>
  /** Table `t`, and its rows, written and counted. */
  create(): Promise<void>
  insert(): Promise<void>
  count(table?: string): Promise<number>
  execute(sql: string): Promise<unknown>
}

async function ground(t: Test, { m = monitorMs(3000), idleMs = 10_000 } = {}): Promise<Ground> {
  const base = await makeCluster(t, { count: 1, monitorMs: m, start: false })
  const { root, masters } = base
  const warehouse = join(root, '..', 'tables')
  const allowed = join(root, '..', 'allowed')
  for (const one of [warehouse, allowed]) mkdirSync(one)
  const [master] = masters
  if (master === undefined) throw new Error('there is no master')
  const site = {
    'tajo.warehouse.directory': warehouse,
    'tajo.query.allowed-paths': allowed,
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
    allowed,
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
    execute: (sql) => client.execute(sql),
    count: async (table = 't') => {
      const result = await client.query(`SELECT count(*) FROM ${table}`)
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
  const astray = await g.add(`mount -t tmpfs -o mode=755 none ${warehouse}`)
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
      /what it would write is not in the cluster's directory: .*something was mounted over it.*; nothing was changed/,
  })
  t.equal(await inMountsOf(worker, 'ls', '-A', g.warehouse), '', 'nothing was made there')
  t.match(await g.told(worker), worker.address)
})

t.test('what is read before anybody has noticed is all of it, or an error', async (t) => {
  if (!hasParts(t, 'netns')) return
  // Nobody looks by himself within the test.
  const g = await ground(t, { m: 600_000, idleMs: 600_000 })
  const { warehouse, allowed } = g
  const external = join(allowed, 'lines')
  mkdirSync(external)
  writeFileSync(join(external, 'a.csv'), '1\n2\n')
  const worker = await g.add('true')
  await worker.start()
  await g.live(worker)
  await g.create()
  await g.insert()
  await g.insert()
  await g.execute(`CREATE EXTERNAL TABLE lines (a INT) USING TEXT LOCATION '${external}'`)
  t.equal(await g.count('lines'), 2)
  for (const mounted of ['-t tmpfs none', `--bind ${join(g.root, '..', 'older')}`]) {
    if (mounted.startsWith('--bind')) {
      // A part of the table, as a backup or an older copy has it.
      await mustRun(['cp', '-a', warehouse, join(g.root, '..', 'older')])
      await g.insert()
    }
    await inMountsOf(worker, 'mount', ...mounted.split(' '), warehouse)
    for (const sql of ['SELECT a FROM t', 'INSERT INTO t SELECT a FROM t']) {
      await t.rejects(g.execute(sql), { message: /a data file of default.t, is missing/ }, sql)
    }
    await inMountsOf(worker, 'umount', '--lazy', warehouse)
  }
  t.equal(await g.count(), 3)
  // A table that is whatever stands in its directory has no list to be compared with.
  await inMountsOf(worker, 'mount', '-t', 'tmpfs', 'none', external)
  const seen = /sees no file in .*lines, and the active master .* does: is it mounted/
  await t.rejects(g.count('lines'), { message: seen })
  await inMountsOf(worker, 'umount', '--lazy', external)
  t.equal(await g.count('lines'), 2)
  writeFileSync(join(external, 'a.csv'), '')
  t.equal(await g.count('lines'), 0)
})

t.test('a location outside of the warehouse that is not mounted', async (t) => {
  if (!hasParts(t, 'netns')) return
  const g = await ground(t)
  const { master, allowed } = g
  const [external, out] = [join(allowed, 'external'), join(allowed, 'out')]
  for (const one of [external, out]) mkdirSync(one)
  const astray = await g.add(`mount -t tmpfs none ${external} && mount -t tmpfs none ${allowed}`)
  await astray.start()
  await g.live(astray)
  const create = `CREATE EXTERNAL TABLE e (a INT) USING TEXT LOCATION '${external}'`
  await g.execute(create)
  for (const sql of [
    'INSERT INTO e VALUES (1)',
    'INSERT OVERWRITE INTO e VALUES (1)',
    `INSERT OVERWRITE INTO LOCATION '${out}' SELECT 1`,
    `INSERT OVERWRITE INTO LOCATION '${out}' SELECT 1 WHERE false`,
  ]) {
    await t.rejects(g.execute(sql), { message: /nothing was changed/ }, sql)
  }
  t.same(await readdir(external), [], 'nothing is there')
  astray.kill('SIGTERM')
  await astray.ended()
  const right = await g.add()
  await right.start()
  await g.live(right)
  await g.execute('INSERT INTO e VALUES (1)')
  t.equal(await g.count('e'), 1)
  // The active is the one without it, and a worker beside it sees all that it sees.
  right.kill('SIGTERM')
  await right.ended()
  master.destroy()
  await master.ended()
  const mounts = `mount -t tmpfs none ${external} && exec "$@"`
  master.before = ['unshare', '--mount', 'sh', '-c', mounts, 'sh']
  await master.start()
  const beside = await g.add()
  beside.before = ['nsenter', '--target', String(master.pid), '--mount']
  await beside.start()
  await g.live(beside)
  for (const sql of ['INSERT INTO e VALUES (1)', 'INSERT OVERWRITE INTO e VALUES (1)']) {
    await t.rejects(g.execute(sql), { message: /of the table's files.*nothing was changed/ }, sql)
  }
  await inMountsOf(master, 'umount', '--lazy', external)
  await g.execute('INSERT INTO e VALUES (1)')
  t.equal(await g.count('e'), 2)
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
  const mounts = `mount -t tmpfs -o mode=755 none ${warehouse} && exec "$@"`
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
