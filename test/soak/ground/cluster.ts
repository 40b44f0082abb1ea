/**
 * A cluster on hosts of its own for the soak of the ground: two masters and a worker on three hosts, a desk from which
 * clients work, and one small shared directory that each host mounts itself and that can be full, read-only or robbed of
 * its files. Nothing of it touches the machine's own network, and all of it ends with this process.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type HangFs, mountHangFs } from '../../support/hangfs.ts'
import { HOME, siteXml } from '../../support/install.ts'
import { makeHosts, type TestHost } from '../../support/netns.ts'
import { ended, hasEnded, start } from '../../support/processes.ts'
import { mustRun, type Ran } from '../../support/run.ts'
import { saysReady } from '../../support/test-daemon.ts'
import { until } from '../../support/until.ts'

const TAJO = join(HOME, 'build/programs/tajo.js')
const TSQL = join(HOME, 'build/programs/tsql.js')
/** Small enough to be filled in a moment, bytes as well as inodes, and enough for what an hour writes. */
const SIZE = 'size=384m,nr_inodes=96k'

export type Owner = Pick<Test, 'teardown'>

/** One master or worker: its own configuration, one process at a time. */
export class Daemon {
  readonly role: 'master' | 'worker'
  readonly host: TestHost
  readonly dir: string
  readonly conf: string
  #site: Record<string, string>
  #child: ChildProcessWithoutNullStreams | null = null
  #said = ''

  constructor(options: {
    role: 'master' | 'worker'
    host: TestHost
    dir: string
    masters: readonly string[]
    site: Readonly<Record<string, string>>
  }) {
    this.role = options.role
    this.host = options.host
    this.dir = options.dir
    this.conf = makeConf(options.dir, options.masters, options.site)
    this.#site = { ...options.site }
  }

  get hasEnded(): boolean {
    return this.#child === null || hasEnded(this.#child)
  }

  /** What it printed since its start. */
  get said(): string {
    return this.#said
  }

  set(key: string, value: string): void {
    this.#site = { ...this.#site, [key]: value }
    writeFileSync(join(this.conf, 'tajo-site.xml'), siteXml(this.#site))
  }

  /** Resolves when it takes part, or has ended without. */
  async start(): Promise<void> {
    this.#said = ''
    const name = this.role === 'master' ? 'TAJO_MASTER_NAME' : 'TAJO_WORKER_NAME'
    const child = start(this.host.command([process.execPath, TAJO, this.role]), {
      cwd: HOME,
      logDir: join(this.dir, 'logs'),
      env: { ...environment(this.dir), [name]: this.host.name },
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#said += text
      })
    }
    this.#child = child
    const what = `the ${this.role} of ${this.host.name} is ready, or has ended`
    await until(what, () => saysReady(this.#said) || hasEnded(child), { patience: 2 })
  }

  /** Returns when it is gone. */
  async signal(signal: 'KILL' | 'TERM'): Promise<void> {
    if (this.#child === null || this.hasEnded) return
    const pid = readFileSync(join(this.dir, 'run', `tajo-soak-${this.role}.pid`), 'utf8').trim()
    await this.host.run(['kill', `-${signal}`, pid])
    await ended(this.#child)
  }
}

const environment = (dir: string): Record<string, string | undefined> => ({
  TAJO_HOME: HOME,
  TAJO_CONF_DIR: join(dir, 'conf'),
  TAJO_LOG_DIR: join(dir, 'logs'),
  TAJO_PID_DIR: join(dir, 'run'),
  TAJO_IDENT_STRING: 'soak',
  TAJO_PID_FILE: undefined,
  TAJO_LOG_FILE: undefined,
  HOME: dir,
})

function makeConf(
  dir: string,
  masters: readonly string[],
  site: Readonly<Record<string, string>>,
): string {
  const conf = join(dir, 'conf')
  mkdirSync(conf, { recursive: true })
  writeFileSync(join(conf, 'tajo-site.xml'), siteXml(site))
  writeFileSync(join(conf, 'masters'), masters.map((name) => `${name}\n`).join(''))
  return conf
}

/** Mounts a small file system at `dir`, in this process's mount namespace only. */
async function mountSmall(t: Owner, dir: string): Promise<void> {
  mkdirSync(dir, { recursive: true })
  await mustRun(['mount', '-t', 'tmpfs', '-o', SIZE, 'tmpfs', dir])
  t.teardown(async () => void (await mustRun(['umount', '-l', dir])))
}

export class GroundCluster {
  readonly masters: readonly [Daemon, Daemon]
  readonly worker: Daemon
  readonly desk: TestHost
  readonly dir: string
  /** The shared directory as its server sees it. */
  readonly backing: string
  /** As each host mounts it. */
  readonly root: string
  readonly mounts: readonly HangFs[]
  readonly #deskDir: string

  private constructor(options: {
    masters: readonly [Daemon, Daemon]
    worker: Daemon
    desk: TestHost
    dir: string
    mounts: readonly HangFs[]
  }) {
    this.masters = options.masters
    this.worker = options.worker
    this.desk = options.desk
    this.dir = options.dir
    this.backing = join(options.dir, 'backing')
    this.root = join(options.dir, 'root')
    this.mounts = options.mounts
    this.#deskDir = join(options.dir, 'desk')
    makeConf(this.#deskDir, ['one', 'two'], siteOf(this.root, 1000))
  }

  static async make(t: Owner, dir: string, monitorMs: number): Promise<GroundCluster> {
    await mountSmall(t, join(dir, 'backing'))
    const [one, two, three, desk] = await makeHosts(t, ['one', 'two', 'three', 'desk'])
    const root = join(dir, 'root')
    const mounts: HangFs[] = []
    for (const host of [one, two, three, desk]) {
      mounts.push(await mountHangFs(t, join(dir, 'backing'), { path: root, host }))
    }
    const site = siteOf(root, monitorMs)
    const daemon = (role: 'master' | 'worker', host: TestHost): Daemon =>
      new Daemon({
        role,
        host,
        dir: join(dir, host.name),
        masters: ['one', 'two'],
        site: { ...site, 'tajo.worker.tmpdir.locations': join(dir, host.name, 'spill') },
      })
    return new GroundCluster({
      masters: [daemon('master', one), daemon('master', two)],
      worker: daemon('worker', three),
      desk,
      dir,
      mounts,
    })
  }

  get daemons(): readonly Daemon[] {
    return [...this.masters, this.worker]
  }

  /** A program of this install, run from the desk or, with `at`, on that daemon's host with its configuration. */
  tajo(words: readonly string[], at: Daemon | null = null): Promise<Ran> {
    const host = at?.host ?? this.desk
    const env = environment(at?.dir ?? this.#deskDir)
    return host.run([process.execPath, TAJO, ...words], { env })
  }

  /** tsql at the desk, by default with the cluster's configuration. */
  tsql(words: readonly string[], conf: string = join(this.#deskDir, 'conf')): Promise<Ran> {
    const env = { ...environment(this.#deskDir), TAJO_CONF_DIR: conf }
    return this.desk.run([process.execPath, TSQL, ...words], { env })
  }

  /** Null while none says that it is active; asked at each master's own host, so that no cable matters. */
  async active(): Promise<Daemon | null> {
    const answers = await Promise.all(this.masters.map((master) => saysActive(master)))
    return this.masters[answers.indexOf(true)] ?? null
  }

  async backup(): Promise<Daemon | null> {
    const active = await this.active()
    return this.masters.find((master) => master !== active && !master.hasEnded) ?? null
  }
}

const siteOf = (root: string, monitorMs: number): Record<string, string> => ({
  'tajo.rootdir': `file://${root}`,
  'tajo.master.ha.enable': 'true',
  'tajo.master.ha.monitor.interval': String(monitorMs),
  // FUSE mounts of one backing directory: a kind that nobody has proven.
  'tajo.master.ha.unproven-mount': 'warn',
})

async function saysActive({ host, hasEnded }: Daemon): Promise<boolean> {
  if (hasEnded) return false
  const url = `http://${host.name}:26080/health/active`
  const script = `fetch('${url}',{signal:AbortSignal.timeout(5000)}).then(({status})=>console.log(status),()=>console.log(0))`
  const { stdout } = await host.run([process.execPath, '-e', script])
  return stdout.trim() === '200'
}
