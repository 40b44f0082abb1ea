/**
 * The host of a worker goes under a change: its network is cut while it lives on, or its power, with the active master's
 * or not. Hosts are made of namespaces and everything is started by the scripts; the shared directory is one that all of
 * them reach without any network.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { administratorOf } from '../support/administrator.ts'
import { mountHangFs } from '../support/hangfs.ts'
import { HOME, makeConf } from '../support/install.ts'
import { makeHosts, type TestHost } from '../support/netns.ts'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import type { Ran } from '../support/run.ts'
import { slow } from '../support/slow.ts'
import { until } from '../support/until.ts'

const CLEAN = ['/usr/bin/env', '-u', 'NODE_OPTIONS']
const DAEMON = [...CLEAN, join(HOME, 'sbin/tajo-daemon.sh')]
const TSQL = [...CLEAN, join(HOME, 'bin/tsql')]
const { from: SLOW, rows: SLOW_ROWS } = slow(20)

interface Query {
  readonly sql: string
  readonly state: string
  readonly attempt: number
  readonly worker: string | null
}

class HostCluster {
  readonly hosts: Readonly<Record<'ma' | 'mb' | 'wc' | 'wd', TestHost>>
  readonly #dir: string
  readonly #conf: string

  private constructor(hosts: HostCluster['hosts'], dir: string, conf: string) {
    this.hosts = hosts
    this.#dir = dir
    this.#conf = conf
  }

  /** ma is active, mb its backup; workers are started by the test. */
  static async start(t: Test): Promise<HostCluster> {
    const dir = mkdtempSync(join(tmpdir(), 'tajo-host-'))
    t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
    mkdirSync(join(dir, 'backing'))
    const [ma, mb, wc, wd] = await makeHosts(t, ['ma', 'mb', 'wc', 'wd'])
    const conf = makeConf(dir, {
      masters: 'ma\nmb\n',
      workers: 'wc\n',
      site: { 'tajo.master.ha.monitor.interval': String(monitorMs(3000)) },
    })
    // A local disk would be refused with masters on several hosts.
    for (const host of [ma, mb, wc, wd]) {
      await mountHangFs(t, join(dir, 'backing'), { path: join(dir, 'root'), host })
    }
    const cluster = new HostCluster({ ma, mb, wc, wd }, dir, conf)
    await cluster.start('ma', 'master')
    await until('ma serves', async () => (await cluster.queries('ma')) !== null)
    await cluster.start('mb', 'master')
    return cluster
  }

  /** As an operator does it on that host. */
  async start(name: keyof HostCluster['hosts'], role: 'master' | 'worker'): Promise<void> {
    const env = { TAJO_MASTER_NAME: name, TAJO_WORKER_NAME: name }
    await this.hosts[name].mustRun([...DAEMON, '--config', this.#conf, 'start', role], { env })
  }

  /** And waits until that one is registered with the active master, which is on `at`. */
  async startWorker(name: keyof HostCluster['hosts'], at: 'ma' | 'mb' = 'ma'): Promise<void> {
    await this.start(name, 'worker')
    await this.isLive(name, at)
  }

  async isLive(name: keyof HostCluster['hosts'], at: 'ma' | 'mb' = 'ma'): Promise<void> {
    await until(`${name} is live`, async () => {
      const document = await this.#get<{ workers: { address: string; state: string }[] }>(
        at,
        '/api/v1/cluster',
      )
      const found = document?.workers.find(({ address }) => address === `${name}:28091`)
      return found?.state === 'live'
    })
  }

  sql(name: 'ma' | 'mb', text: string): Promise<Ran> {
    const words = [...TSQL, '--config', this.#conf, '--format', 'csv', '-c', text]
    return this.hosts[name].run(words)
  }

  /** The last line that it prints, as a number. */
  async number(name: 'ma' | 'mb', text: string): Promise<number> {
    const { stdout, stderr, code } = await this.sql(name, text)
    if (code !== 0) throw new Error(`${text}: ${stderr}`)
    return Number(stdout.trim().split('\n').at(-1))
  }

  async queries(at: 'ma' | 'mb'): Promise<readonly Query[] | null> {
    return (await this.#get<{ queries: Query[] }>(at, '/api/v1/queries'))?.queries ?? null
  }

  /** It runs there, in that attempt. */
  async runsAt(at: 'ma' | 'mb', sql: string, expected: Partial<Query>): Promise<void> {
    await until(`it runs as ${JSON.stringify(expected)}`, async () => {
      const query = (await this.queries(at))?.find((one) => one.sql === sql)
      const isAs = (key: keyof Query): boolean =>
        expected[key] === undefined || query?.[key] === expected[key]
      return query?.state === 'running' && isAs('attempt') && isAs('worker')
    })
  }

  pidOf(name: string): number {
    return Number(readFileSync(join(this.#dir, name, 'run', 'tajo-test-worker.pid'), 'utf8'))
  }

  async #get<T>(at: 'ma' | 'mb', path: string): Promise<T | null> {
    // The backing directory, which no mount can hang.
    const ha = join(this.#dir, 'backing/system/ha')
    const shown = existsSync(join(ha, 'secret')) ? administratorOf(ha) : { authorization: '' }
    const header = `authorization: ${shown.authorization}`
    const url = `http://127.0.0.1:26080${path}`
    const { stdout } = await this.hosts[at].run(['curl', '-s', '-H', header, url])
    return stdout.startsWith('{') ? (JSON.parse(stdout) as T) : null
  }
}

t.test(
  'a worker is killed, another is cut off and lives on: each INSERT is done once',
  async (t) => {
    if (!hasParts(t, 'netns', 'hangfs')) return
    const cluster = await HostCluster.start(t)
    const { wc, wd } = cluster.hosts
    await cluster.startWorker('wc')
    await cluster.sql('mb', 'create table t (a int8) using parquet')

    await t.test('kill -9 of one that tajo-daemon.sh has started', async (t) => {
      const sql = `insert into t select i from ${SLOW}`
      const written = cluster.sql('mb', sql)
      await cluster.runsAt('ma', sql, { attempt: 1, worker: 'wc:28091' })
      await cluster.startWorker('wd')
      await wc.mustRun(['kill', '-9', String(cluster.pidOf('wc'))])
      const ran = await written
      t.equal(ran.code, 0, ran.stderr)
      t.match(ran.stderr, /worker wc:28091 was killed \(SIGKILL\): it runs again on another one/)
      t.equal(await cluster.number('mb', 'select count(*) from t'), SLOW_ROWS)
      t.equal(await cluster.number('mb', 'select count(distinct a) from t'), SLOW_ROWS)
    })

    await t.test('a cut network', async (t) => {
      const sql = `insert overwrite into t select i from ${SLOW}`
      const written = cluster.sql('mb', sql)
      await cluster.runsAt('ma', sql, { attempt: 1, worker: 'wd:28091' })
      await cluster.startWorker('wc')
      await wd.setLink('down')
      const ran = await written
      t.equal(ran.code, 0, ran.stderr)
      t.match(ran.stderr, /worker wd:28091 is lost: its host does not answer: it runs again/)
      await wd.setLink('up')
      await cluster.isLive('wd')
      t.equal(await cluster.number('mb', 'select count(*) from t'), SLOW_ROWS, 'once')
      t.equal(await cluster.number('mb', 'select count(distinct a) from t'), SLOW_ROWS)
    })
  },
)

t.test(
  'a host with the active master and the worker loses its power: the INSERT ends well',
  async (t) => {
    if (!hasParts(t, 'netns', 'hangfs')) return
    const cluster = await HostCluster.start(t)
    await cluster.startWorker('ma')
    await cluster.sql('mb', 'create table t (a int8) using parquet')
    const sql = `insert into t select i from ${SLOW}`
    const written = cluster.sql('mb', sql)
    await cluster.runsAt('ma', sql, { attempt: 1, worker: 'ma:28091' })
    await cluster.startWorker('wc')
    await cluster.hosts.ma.powerOff()
    const ran = await written
    t.equal(ran.code, 0, ran.stderr)
    t.equal(await cluster.number('mb', 'select count(*) from t'), SLOW_ROWS, 'once')
    t.equal(await cluster.number('mb', 'select count(distinct a) from t'), SLOW_ROWS)
    const record = (await cluster.queries('mb'))?.find((one) => one.sql === sql)
    t.match(record, { state: 'succeeded', attempt: 2, worker: 'wc:28091' })
  },
)
