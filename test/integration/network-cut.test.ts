/**
 * The clients' network of the active master is cut and the storage lives: hosts are made of namespaces, the shared
 * directory is one that all of them reach without any network. The role has to go to a master that is better off, and
 * to stay where nobody is.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { processesOf } from '../soak/leaks.ts'
import { mountHangFs } from '../support/hangfs.ts'
import { HOME, makeConf } from '../support/install.ts'
import { makeHosts, type TestHost } from '../support/netns.ts'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import type { Ran } from '../support/run.ts'
import { judgeTime, StallWatch } from '../support/stall.ts'
import { until } from '../support/until.ts'

const CLEAN = ['/usr/bin/env', '-u', 'NODE_OPTIONS']
const DAEMON = [...CLEAN, join(HOME, 'sbin/tajo-daemon.sh')]
const TAJO = [...CLEAN, join(HOME, 'bin/tajo')]
const TSQL = [...CLEAN, join(HOME, 'bin/tsql')]

interface Served {
  readonly term: number
  readonly address: string
}

/** Two masters, ma and mb, and a worker on one of the hosts; `gateway` is the fourth. */
class CutCluster {
  readonly ma: TestHost
  readonly mb: TestHost
  readonly gateway: TestHost
  readonly m: number
  readonly #dir: string
  readonly #conf: string
  readonly #history: string

  private constructor(
    hosts: { ma: TestHost; mb: TestHost; gateway: TestHost },
    files: { dir: string; conf: string; history: string; m: number },
  ) {
    this.ma = hosts.ma
    this.mb = hosts.mb
    this.gateway = hosts.gateway
    this.m = files.m
    this.#dir = files.dir
    this.#conf = files.conf
    this.#history = files.history
  }

  /** ma is active, mb its backup, and the worker is registered. */
  static async start(
    t: Test,
    options: { worker: 'ma' | 'wc'; witness: boolean },
  ): Promise<CutCluster> {
    const dir = mkdtempSync(join(tmpdir(), 'tajo-cut-'))
    t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
    mkdirSync(join(dir, 'backing'))
    const [ma, mb, wc, gateway] = await makeHosts(t, ['ma', 'mb', 'wc', 'gateway'])
    const m = 2 * monitorMs(1000)
    const conf = makeConf(dir, {
      masters: 'ma\nmb\n',
      workers: `${options.worker}\n`,
      site: {
        'tajo.master.ha.monitor.interval': String(m),
        'tajo.worker.heartbeat.idle.interval': '1000',
        ...(options.witness && { 'tajo.master.ha.network.witness': `${gateway.address}:9` }),
      },
    })
    // A local disk would be refused with masters on several hosts.
    for (const host of [ma, mb, wc]) {
      await mountHangFs(t, join(dir, 'backing'), { path: join(dir, 'root'), host })
    }
    const history = join(dir, 'backing', 'system', 'ha', 'history')
    const cluster = new CutCluster({ ma, mb, gateway }, { dir, conf, history, m })
    const start = (host: TestHost, role: 'master' | 'worker'): Promise<string> =>
      host.mustRun([...DAEMON, '--config', conf, 'start', role], {
        env: { TAJO_MASTER_NAME: host.name, TAJO_WORKER_NAME: host.name },
      })
    await start(ma, 'master')
    await until('ma serves', () => cluster.served().length > 0)
    await start(mb, 'master')
    await start(options.worker === 'ma' ? ma : wc, 'worker')
    await until('a query is answered', async () => (await cluster.sql(mb, 'SELECT 1')) === 0)
    const settled = (): boolean => {
      const names = readdirSync(join(dir, 'backing', 'system', 'ha', 'backup'))
      return ['ma', 'mb'].every((name) => names.some((one) => one.startsWith(`${name}_26001.netw`)))
    }
    await until('both have published what they hear', settled)
    await sleep(2 * m)
    return cluster
  }

  /** Of all processes of both masters, who have to agree on who serves. */
  pids(): number[] {
    return ['ma', 'mb'].flatMap((name) => processesOf(join(this.#dir, name)))
  }

  /** Exit code of tsql on that host. */
  async sql(host: TestHost, text: string): Promise<number> {
    const { code } = await host.run([...TSQL, '--config', this.#conf, '-c', text])
    return code ?? -1
  }

  haadmin(host: TestHost, ...words: string[]): Promise<Ran> {
    return host.run([...TAJO, 'haadmin', '--config', this.#conf, ...words])
  }

  /** The terms that have begun to serve, in order. */
  served(): Served[] {
    let names: string[] = []
    try {
      names = readdirSync(this.#history)
    } catch {
      // The first master has not made it yet.
    }
    const terms = names.flatMap((name) => /^(\d+)\.served\.json$/.exec(name)?.[1] ?? []).sort()
    return terms.map((term) => {
      const { address } = JSON.parse(readFileSync(join(this.#history, `${term}.json`), 'utf8'))
      return { term: Number(term), address }
    })
  }

  get active(): string | undefined {
    return this.served().at(-1)?.address
  }

  /** Critical alerts of the network, as that master's page has them. */
  async alerts(host: TestHost): Promise<string[]> {
    const url = 'http://127.0.0.1:26080/api/v1/cluster'
    const { stdout } = await host.run(['curl', '-s', url])
    if (stdout === '') return []
    const { alerts } = JSON.parse(stdout) as {
      alerts: { kind: string; level: string; text: string }[]
    }
    return alerts
      .filter(({ kind, level }) => kind === 'network' && level === 'critical')
      .map(({ text }) => text)
  }
}

async function cutActive(t: Test, cluster: CutCluster): Promise<void> {
  const before = cluster.served().length
  const stall = new StallWatch(cluster.pids())
  const startMs = performance.now()
  await cluster.ma.setLink('down')
  await until('mb serves', () => cluster.active === 'mb:26001', { everyMs: 10 })
  const tookMs = performance.now() - startMs
  const stalled = stall.stop(cluster.pids())
  judgeTime(t, 'another serves after', { tookMs, promisedMs: cluster.m, stalled })
  t.equal(cluster.served().length, before + 1, 'by one change of the role')
}

t.test('a worker on a third host: another serves within M, and flaps move nothing', async (t) => {
  if (!hasParts(t, 'netns', 'hangfs')) return
  const cluster = await CutCluster.start(t, { worker: 'wc', witness: false })
  await cutActive(t, cluster)
  await until('the worker is there', async () => (await cluster.sql(cluster.mb, 'SELECT 1')) === 0)
  await cluster.ma.setLink('up')
  await sleep(3 * cluster.m)
  const healed = cluster.served().length
  t.equal(cluster.active, 'mb:26001', 'a network that is whole again moves nothing')
  for (let i = 0; i < 10; i += 1) {
    await cluster.mb.setLink('down')
    await sleep((3 * cluster.m) / 5)
    await cluster.mb.setLink('up')
    await sleep((3 * cluster.m) / 5)
  }
  await sleep(2 * cluster.m)
  t.ok(cluster.served().length - healed <= 1, 'at most one move in ten flaps')
  t.comment(`${cluster.served().length - healed} moves in ten flaps of 3/5 M`)
})

t.test('a worker beside the active, and a witness: another serves within M', async (t) => {
  if (!hasParts(t, 'netns', 'hangfs')) return
  const cluster = await CutCluster.start(t, { worker: 'ma', witness: true })
  await cutActive(t, cluster)
})

t.test('neither: the role stays, and a critical alert says why within M', async (t) => {
  if (!hasParts(t, 'netns', 'hangfs')) return
  const cluster = await CutCluster.start(t, { worker: 'ma', witness: false })
  t.same(await cluster.alerts(cluster.ma), [], 'nothing is told while all is well')
  const before = cluster.served().length
  const stall = new StallWatch(cluster.pids())
  const startMs = performance.now()
  await cluster.ma.setLink('down')
  const alert = await until(
    'the alert',
    async () => {
      const [text] = await cluster.alerts(cluster.ma)
      return text ?? null
    },
    { everyMs: 20 },
  )
  const tookMs = performance.now() - startMs
  const stalled = stall.stop(cluster.pids())
  judgeTime(t, `the alert "${alert}" after`, { tookMs, promisedMs: cluster.m, stalled })
  t.match(alert, /no answer from mb:26001.* stays active: mb:26001 hears nobody/)
  await until('the backup tells it too', async () => (await cluster.alerts(cluster.mb)).length > 0)
  await sleep(3 * cluster.m)
  t.equal(cluster.served().length, before, 'the role stays')

  await t.test('a command goes through the directory where the network does not', async (t) => {
    const moved = await cluster.haadmin(cluster.mb, '-transitionToActive', 'mb:26001')
    t.match(
      moved,
      { code: 0, stdout: 'mb:26001 is active, ma:26001 was it before.\n' },
      moved.stderr,
    )
    const back = await cluster.haadmin(cluster.ma, '-transitionToBackup', 'mb:26001')
    t.match(back, { code: 0, stdout: 'mb:26001 is a backup, ma:26001 is active.\n' }, back.stderr)
    t.equal(cluster.active, 'ma:26001')
  })
})
