/** A master and a worker on each host of a rig, over the HDFS that is mounted there: how they are set up, started, ordered. */
import { mkdirSync, rmSync } from 'node:fs'
import { makeConf } from '../../support/install.ts'
import { InVain } from '../../support/patience.ts'
import { mustRun } from '../../support/run.ts'
import { until } from '../../support/until.ts'
import type { Rig } from './rig.ts'
import { activeOfWhole } from './role-watch.ts'

export interface HdfsOptions {
  readonly monitorMs: number
  /** The install on each host. */
  readonly home: string
  /** On each host's own disk: configuration, logs, pid files. */
  readonly dir: string
  /** The shared directory, below the mount point. */
  readonly root: string
}

/** As they are stopped. */
const ROLES = ['worker', 'master'] as const

/** A cluster that has come back needs a few monitor intervals; a host of a rig may be many times slower than this one. */
const WHOLE_IN_M = 6
const WHOLE_PATIENCE = 6

export class HdfsCluster {
  readonly rig: Rig
  readonly hosts: readonly string[]
  readonly monitorMs: number
  readonly #options: HdfsOptions
  readonly #conf: string

  private constructor(rig: Rig, hosts: readonly string[], options: HdfsOptions) {
    this.rig = rig
    this.hosts = hosts
    this.monitorMs = options.monitorMs
    this.#options = options
    rmSync(options.dir, { recursive: true, force: true })
    mkdirSync(options.dir, { recursive: true })
    const lines = `${hosts.join('\n')}\n`
    this.#conf = makeConf(options.dir, {
      masters: lines,
      workers: lines,
      site: {
        'tajo.rootdir': `file://${options.root}`,
        'tajo.master.ha.monitor.interval': String(options.monitorMs),
        'tajo.master.ha.unproven-mount': 'refuse',
      },
    })
  }

  static async start(rig: Rig, options: HdfsOptions): Promise<HdfsCluster> {
    const cluster = new HdfsCluster(rig, await rig.hosts(), options)
    for (const host of cluster.hosts) await cluster.#furnish(host)
    await Promise.all(cluster.hosts.map((host) => cluster.startDaemons(host)))
    return cluster
  }

  /** The same configuration on each, with a directory for logs that a power-off leaves. */
  async #furnish(host: string): Promise<void> {
    const { dir } = this.#options
    const packed = await mustRun(['bash', '-c', 'tar c -C "$1" conf | base64', 'bash', dir])
    // Of a run that was broken off.
    const stop = ROLES.map((role) => `${this.#daemon('stop', role)};`).join(' ')
    await this.rig.run(host, `[ ! -e '${this.#conf}' ] || { ${stop} }`)
    const command = `rm -rf '${dir}' && mkdir -p '${dir}' && base64 -d | tar x -C '${dir}'`
    await this.rig.mustRun(host, command, { input: packed })
  }

  async startDaemons(host: string): Promise<void> {
    const names = `TAJO_MASTER_NAME=${host} TAJO_WORKER_NAME=${host}`
    const [worker, master] = ROLES.map((role) => this.#daemon('start', role))
    await this.rig.mustRun(host, `export ${names}; ${master} && ${worker}`)
  }

  async stop(): Promise<void> {
    for (const role of ROLES) {
      await Promise.all(this.hosts.map((host) => this.rig.run(host, this.#daemon('stop', role))))
    }
  }

  /** SIGKILL to the master. Resolves to when, ms of the wall clock. */
  async killMaster(host: string): Promise<number> {
    const pidFile = `'${this.#options.dir}'/"$HOSTNAME"/run/tajo-test-master.pid`
    const script = `read -r pid _ <${pidFile} && kill -KILL "$pid" && echo "$EPOCHREALTIME"`
    return (
      1000 *
      Number((await this.rig.mustRun(host, `bash -c '${script.replaceAll("'", `'\\''`)}'`)).trim())
    )
  }

  /** Resolves to when the order arrived, ms of the wall clock: a command needs seconds to start on some rigs. */
  async handOver(from: string, to: string): Promise<number> {
    const order = `${this.#tajo} haadmin --config '${this.#conf}' -transitionToActive ${to}:26001`
    const log = `'${this.#options.dir}'/"$HOSTNAME"/logs/tajo-test-master-"$HOSTNAME".log`
    const found = await this.rig.mustRun(
      from,
      `${order} >/dev/null && grep -h '"msg":"order: handOver"' ${log} | tail -n 1`,
    )
    return new Date((JSON.parse(found) as { readonly time: string }).time).getTime()
  }

  /** What is wrong with a dump there; null for nothing. */
  async dump(host: string): Promise<string | null> {
    const command = `${this.#tajo} catalog --config '${this.#conf}' dump >/dev/null`
    const { code, stderr } = await this.rig.run(host, command)
    return code === 0 ? null : `exit code ${code}: ${stderr.trim()}`
  }

  /** The active, once all others are its backups; null when that does not come about. */
  async whole(): Promise<string | null> {
    const productMs = WHOLE_IN_M * this.monitorMs
    try {
      return await until('one is active, the others are backups', () => activeOfWhole(this.hosts), {
        productMs,
        patience: WHOLE_PATIENCE,
        everyMs: 200,
      })
    } catch (error) {
      if (error instanceof InVain) return null
      throw error
    }
  }

  #daemon(verb: 'start' | 'stop', role: 'worker' | 'master'): string {
    return `'${this.#options.home}/sbin/tajo-daemon.sh' --config '${this.#conf}' ${verb} ${role}`
  }

  get #tajo(): string {
    return `'${this.#options.home}/bin/tajo'`
  }
}
