/** A real worker of a test's cluster on this machine, with a configuration of its own that lists the given masters. */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TajoClient, type TajoClientOptions } from '../../lib/client/index.ts'
import { freePortRow, PortRow } from './free-ports.ts'
import { ended, hasEnded } from './processes.ts'
import { saysReady, siteXml, startDaemon } from './test-daemon.ts'
import { ask, type TestMaster } from './test-masters.ts'
import { until } from './until.ts'

export interface TestWorkerOptions {
  readonly dir: string
  /** The cluster's `tajo.rootdir`, a path. */
  readonly root: string
  readonly masters: readonly TestMaster[]
  readonly site?: Readonly<Record<string, string>>
  /** Started as sbin/tajo-daemon.sh does it, by a shell that tells a master how it has ended. */
  readonly watched?: boolean
}

/** Writes a `conf` folder in which `masters` are listed; a worker or client started with it finds them. */
export function writeConf(
  confDir: string,
  masters: readonly TestMaster[],
  site: Readonly<Record<string, string>>,
): void {
  const first = masters[0]?.ports.umbilical ?? 26001
  const all: Record<string, string> = {
    'tajo.master.ha.enable': 'true',
    'tajo.master.umbilical-rpc.address': `localhost:${first}`,
    'tajo.master.client-rpc.address': `localhost:${first + 1}`,
    'tajo.resource-tracker.rpc.address': `localhost:${first + 2}`,
    'tajo.catalog.client-rpc.address': `localhost:${first + 3}`,
    'tajo.master.info-http.address': `127.0.0.1:${first + 4}`,
    ...site,
  }
  mkdirSync(confDir, { recursive: true })
  writeFileSync(join(confDir, 'tajo-site.xml'), siteXml(all))
  const lines = masters.map(({ ports }) => `localhost:${ports.umbilical}\n`)
  writeFileSync(join(confDir, 'masters'), lines.join(''))
}

export class TestWorker {
  readonly dir: string
  readonly #row: PortRow
  readonly #watched: boolean
  /** Words that become its process in the end, such as those for mounts of its own. */
  before: readonly string[] = []
  #process: ChildProcess | null = null
  #said = ''

  private constructor(dir: string, port: number, watched: boolean) {
    this.dir = dir
    this.#watched = watched
    this.#row = new PortRow(port, 4, join(dir, 'conf', 'tajo-site.xml'))
  }

  /** Configured, not started. */
  static async make(options: TestWorkerOptions): Promise<TestWorker> {
    const { dir, root, masters, site = {}, watched = false } = options
    const port = await freePortRow(4)
    writeConf(join(dir, 'conf'), masters, {
      'tajo.rootdir': `file://${root}`,
      'tajo.worker.peer-rpc.address': `localhost:${port}`,
      'tajo.worker.qm-rpc.address': `localhost:${port + 1}`,
      'tajo.worker.client-rpc.address': `localhost:${port + 2}`,
      'tajo.worker.info-http.address': `127.0.0.1:${port + 3}`,
      'tajo.worker.tmpdir.locations': join(dir, 'spill'),
      ...site,
    })
    return new TestWorker(dir, port, watched)
  }

  /** Its peer port; it stays from the first time that somebody asks for it. */
  get port(): number {
    return this.#row.tell()
  }

  get address(): string {
    return `localhost:${this.port}`
  }

  get pid(): number {
    const pid = this.#process?.pid
    if (pid === undefined) throw new Error('it was never started')
    const file = join(this.dir, 'run', 'tajo-test-worker.pid')
    return this.#watched ? Number(readFileSync(file, 'utf8')) : pid
  }

  get said(): string {
    return this.#said
  }

  get hasEnded(): boolean {
    return this.#process === null || hasEnded(this.#process)
  }

  /** Starts it and waits until its ports are open. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.#row.settle()
    this.#said = ''
    const child = startDaemon('worker', {
      dir: this.dir,
      watched: this.#watched,
      env,
      before: this.before,
      onSaid: (text) => {
        this.#said += text
      },
    })
    this.#process = child
    const isReady = (): boolean => saysReady(this.#said)
    await until(`worker ${this.address} says that it is ready`, isReady, { needs: [child] })
  }

  async live(): Promise<boolean> {
    return (await ask(this.port + 3, '/health/live')).status === 200
  }

  kill(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal)
  }

  async ended(): Promise<void> {
    if (this.#process !== null) await ended(this.#process)
  }

  /** SIGKILL to it if it still runs, frozen or not. */
  destroy(): void {
    if (this.hasEnded) return
    // With the shell that watches it the worker ends too.
    for (const signal of ['SIGCONT', 'SIGKILL'] as const) this.#process?.kill(signal)
  }
}

/** A client that knows these masters, and is their administrator; to be closed. */
export const clientOf = (
  masters: readonly TestMaster[],
  options: Partial<TajoClientOptions> = {},
): TajoClient =>
  new TajoClient({
    ...(masters[0] !== undefined && { haDirectory: masters[0].haDirectory }),
    masters: masters.map(({ ports }) => ({
      client: `localhost:${ports.client}`,
      catalog: `localhost:${ports.umbilical + 3}`,
    })),
    ...options,
  })
