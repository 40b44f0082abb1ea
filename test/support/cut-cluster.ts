/**
 * Two masters whose clients' network can be cut while the storage lives: hosts are made of namespaces, and the shared
 * directory is one that all of them reach without any network.
 *
 *     third host    the worker runs on a host of its own
 *     witness       it runs beside the active master, and the masters know a gateway that is no member
 *     neither       it runs beside the active master, and nobody can tell which of the two is cut off
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { processesOf } from '../soak/leaks.ts'
import { mountHangFs } from './hangfs.ts'
import { HOME, makeConf } from './install.ts'
import { makeHosts, type TestHost } from './netns.ts'
import type { Ran } from './run.ts'
import { until } from './until.ts'

export const LAYOUTS = ['third host', 'witness', 'neither'] as const
export type Layout = (typeof LAYOUTS)[number]

export interface CutOptions {
  readonly layout: Layout
  /** M of both masters, ms. */
  readonly monitorMs: number
  /** More properties of tajo-site.xml. */
  readonly site?: Readonly<Record<string, string>>
  /** The directory of all of it is kept at the end. */
  readonly keep?: () => boolean
}

export interface Served {
  readonly term: number
  /** Umbilical address. */
  readonly address: string
  /** When it was written down that the term serves, ms of the wall clock. */
  readonly atMs: number
  /** Why it began, and what its master had seen (`TermRecord`). */
  readonly reason: string
  readonly evidence: string
}

const CLEAN = ['/usr/bin/env', '-u', 'NODE_OPTIONS']
const DAEMON = [...CLEAN, join(HOME, 'sbin/tajo-daemon.sh')]
const TAJO = [...CLEAN, join(HOME, 'bin/tajo')]
const TSQL = [...CLEAN, join(HOME, 'bin/tsql')]

type Hosts = Readonly<Record<'ma' | 'mb' | 'wc' | 'gateway' | 'desk', TestHost>>

export class CutCluster {
  readonly hosts: Hosts
  readonly layout: Layout
  readonly monitorMs: number
  readonly dir: string
  readonly #conf: string
  readonly #history: string

  private constructor(hosts: Hosts, dir: string, conf: string, options: CutOptions) {
    this.hosts = hosts
    this.layout = options.layout
    this.monitorMs = options.monitorMs
    this.dir = dir
    this.#conf = conf
    this.#history = join(dir, 'backing', 'system', 'ha', 'history')
  }

  /** ma is active, mb its backup, and the worker is registered. Needs the parts `netns` and `hangfs`. */
  static async start(t: Pick<Test, 'teardown'>, options: CutOptions): Promise<CutCluster> {
    const { layout, monitorMs, site = {}, keep = () => false } = options
    const dir = mkdtempSync(join(tmpdir(), 'tajo-cut-'))
    t.teardown(() => {
      if (!keep()) rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
    })
    mkdirSync(join(dir, 'backing'))
    const names = ['ma', 'mb', 'wc', 'gateway', 'desk'] as const
    const [ma, mb, wc, gateway, desk] = await makeHosts(t, names)
    const worker = layout === 'third host' ? wc : ma
    const conf = makeConf(dir, {
      masters: 'ma\nmb\n',
      workers: `${worker.name}\n`,
      site: {
        'tajo.master.ha.monitor.interval': String(monitorMs),
        ...(layout === 'witness' && { 'tajo.master.ha.network.witness': `${gateway.address}:9` }),
        ...site,
      },
    })
    // A local disk would be refused with masters on several hosts.
    for (const host of [ma, mb, wc, desk]) {
      await mountHangFs(t, join(dir, 'backing'), { path: join(dir, 'root'), host })
    }
    const cluster = new CutCluster({ ma, mb, wc, gateway, desk }, dir, conf, options)
    const daemon = (host: TestHost, role: 'master' | 'worker'): Promise<string> =>
      host.mustRun([...DAEMON, '--config', conf, 'start', role], {
        env: { TAJO_MASTER_NAME: host.name, TAJO_WORKER_NAME: host.name },
      })
    await daemon(ma, 'master')
    await until('ma serves', () => cluster.served().length > 0)
    await daemon(mb, 'master')
    await daemon(worker, 'worker')
    await until('a query is answered', async () => (await cluster.sql(mb, 'SELECT 1')) === 0)
    await cluster.settle()
    return cluster
  }

  /** Both have published what they hear, and nothing has been new for a while. */
  async settle(): Promise<void> {
    const backups = join(this.dir, 'backing', 'system', 'ha', 'backup')
    await until('both have published what they hear', () => {
      const names = readdirSync(backups)
      return ['ma', 'mb'].every((name) => names.some((one) => one.startsWith(`${name}_26001.netw`)))
    })
    await sleep(2 * this.monitorMs)
  }

  /** Of all processes of both masters, who have to agree on who serves. */
  pids(): number[] {
    return ['ma', 'mb'].flatMap((name) => processesOf(join(this.dir, name)))
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
      const record = JSON.parse(readFileSync(join(this.#history, `${term}.json`), 'utf8'))
      const { address, reason, evidence } = record
      const atMs = statSync(join(this.#history, `${term}.served.json`)).mtimeMs
      return { term: Number(term), address, atMs, reason, evidence }
    })
  }

  get active(): string | undefined {
    return this.served().at(-1)?.address
  }

  get activeHost(): TestHost {
    return this.active === 'mb:26001' ? this.hosts.mb : this.hosts.ma
  }

  get backupHost(): TestHost {
    return this.activeHost === this.hosts.ma ? this.hosts.mb : this.hosts.ma
  }

  /** Critical alerts of the network, as that master's page has them. */
  async alerts(host: TestHost): Promise<string[]> {
    const { stdout } = await host.run(['curl', '-s', 'http://127.0.0.1:26080/api/v1/cluster'])
    return stdout === '' ? [] : networkAlerts(stdout)
  }
}

interface Alert {
  readonly kind: string
  readonly level: string
  readonly text: string
}

/** Texts of the critical ones of the network in the page's document. */
export function networkAlerts(document: string): string[] {
  const { alerts } = JSON.parse(document) as { alerts: Alert[] }
  return alerts
    .filter(({ kind, level }) => kind === 'network' && level === 'critical')
    .map(({ text }) => text)
}
