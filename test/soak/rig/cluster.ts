/** A master, and a worker where one is wanted, on each host of a rig, over the storage that is mounted there: how they are set up, started, ordered. */
import { mkdirSync, rmSync } from 'node:fs'
import { makeConf } from '../../support/install.ts'
import { InVain } from '../../support/patience.ts'
import { mustRun } from '../../support/run.ts'
import { until } from '../../support/until.ts'
import type { Rig } from './rig.ts'
import { activeOfWhole } from './role-watch.ts'

export interface RigOptions {
  readonly monitorMs: number
  /** The install on each host. */
  readonly home: string
  /** On each host's own disk: configuration, logs, pid files. */
  readonly dir: string
  /** The shared directory, below the mount point. */
  readonly root: string
  readonly fewestHosts: number
  readonly workers: boolean
}

type Role = 'worker' | 'master'
/** As they are stopped. */
const ROLES: readonly Role[] = ['worker', 'master']

/** A cluster that has come back needs a few monitor intervals; a host of a rig may be many times slower than this one. */
const WHOLE_IN_M = 6
const WHOLE_PATIENCE = 6

export class RigCluster {
  readonly rig: Rig
  readonly hosts: readonly string[]
  readonly monitorMs: number
  readonly #options: RigOptions
  readonly #conf: string

  private constructor(rig: Rig, hosts: readonly string[], options: RigOptions) {
    this.rig = rig
    this.hosts = hosts
    this.monitorMs = options.monitorMs
    this.#options = options
    rmSync(options.dir, { recursive: true, force: true })
    mkdirSync(options.dir, { recursive: true })
    const lines = `${hosts.join('\n')}\n`
    this.#conf = makeConf(options.dir, {
      masters: lines,
      workers: options.workers ? lines : '',
      site: {
        'tajo.rootdir': `file://${options.root}`,
        'tajo.master.ha.monitor.interval': String(options.monitorMs),
        'tajo.master.ha.unproven-mount': 'refuse',
      },
    })
  }

  static async start(rig: Rig, options: RigOptions): Promise<RigCluster> {
    const cluster = await RigCluster.make(rig, options)
    await cluster.startAll()
    return cluster
  }

  /** Configured on each host, and not started. */
  static async make(rig: Rig, options: RigOptions): Promise<RigCluster> {
    const cluster = new RigCluster(rig, await rig.hosts(options.fewestHosts), options)
    for (const host of cluster.hosts) await cluster.#furnish(host)
    return cluster
  }

  startAll(): Promise<unknown> {
    return Promise.all(this.hosts.map((host) => this.startDaemons(host)))
  }

  /** The same configuration on each, with a directory for logs that a power-off leaves. */
  async #furnish(host: string): Promise<void> {
    const { dir } = this.#options
    const packed = await mustRun(['bash', '-c', 'tar c -C "$1" conf | base64', 'bash', dir])
    // Of a run that was broken off.
    const stop = ROLES.map((role) => `${this.#daemon('stop', role)};`).join(' ')
    await this.rig.run(host, `[ ! -e '${this.#conf}' ] || { ${stop} }`)
    // On the disk, since the power of the host may be gone soon.
    const command = `rm -rf '${dir}' && mkdir -p '${dir}' && base64 -d | tar x -C '${dir}' && sync`
    await this.rig.mustRun(host, command, { input: packed })
  }

  async startDaemons(host: string): Promise<void> {
    const names = `TAJO_MASTER_NAME=${host} TAJO_WORKER_NAME=${host}`
    const starts = this.#roles.toReversed().map((role) => this.#daemon('start', role))
    await this.rig.mustRun(host, `export ${names}; ${starts.join(' && ')}`)
  }

  async stop(): Promise<void> {
    for (const role of this.#roles) {
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

  /** While the cluster is stopped; none of the tables has files. */
  async makeTables(host: string, size: { tables: number; columns: number }): Promise<void> {
    const { home, root } = this.#options
    const program = `'${home}/build/test/soak/hosts/fill.js'`
    await this.rig.mustRun(host, `node ${program} '${root}' ${size.tables} ${size.columns}`)
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

  get #roles(): readonly Role[] {
    return this.#options.workers ? ROLES : ['master']
  }

  #daemon(verb: 'start' | 'stop', role: Role): string {
    return `'${this.#options.home}/sbin/tajo-daemon.sh' --config '${this.#conf}' ${verb} ${role}`
  }

  get #tajo(): string {
    return `'${this.#options.home}/bin/tajo'`
  }
}
