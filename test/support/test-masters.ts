/**
 * Two or more real masters of one cluster on this machine: own configuration, ports, pid and log directories each, one
 * shared directory. Every process that is started here ends with the test, keepers too; only pids of our own are ever
 * signalled.
 */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { type RequestOptions, request as requestSecurely } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { exchange } from '../../lib/cli/sight/http.ts'
import { callingWith, whoKey } from '../../lib/rpc/index.ts'
import { administratorOf } from './administrator.ts'
import { freePortRow, PortRow } from './free-ports.ts'
import { patienceMs } from './pace.ts'
import { closed, type End, ended, endOf, hasEnded } from './processes.ts'
import { saysReady, siteXml, startDaemon } from './test-daemon.ts'
import { until } from './until.ts'

export interface Answer {
  /** 0 when there was none. */
  readonly status: number
  readonly text: string
}

/**
 * One request with a deadline, by default a share of the usual patience; never rejects. What the contract says is asked over
 * TLS, as anybody may or as `secure` tells.
 */
export function ask(
  port: number,
  path: string,
  {
    method = 'GET',
    agent,
    timeoutMs = patienceMs(0.1),
    headers = {},
    body = '',
    secure = callingWith(whoKey),
  }: {
    method?: string
    agent?: Agent
    timeoutMs?: number
    headers?: Readonly<Record<string, string>>
    body?: string
    secure?: RequestOptions
  } = {},
): Promise<Answer> {
  return new Promise((resolve) => {
    const none = { status: 0, text: '' }
    const options = { host: '127.0.0.1', port, path, method, agent, headers }
    const isSecure = path.startsWith('/rpc/')
    const asked = isSecure ? { ...options, ...secure } : options
    const call = (isSecure ? requestSecurely : request)(asked, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.on('error', () => resolve(none))
    })
    call.setTimeout(timeoutMs, () => call.destroy())
    call.on('error', () => resolve(none))
    call.end(body)
  })
}

export interface Ports {
  readonly umbilical: number
  readonly client: number
  readonly info: number
}

/** One master: its configuration, and its process while it has one. */
export class TestMaster {
  readonly dir: string
  readonly pidFile: string
  /** Words that become its process in the end, such as those for mounts of its own. */
  before: readonly string[] = []
  /** Started from its modules, not from the bundle. */
  fileByFile = false
  readonly #row: PortRow
  readonly #site: Readonly<Record<string, string>>
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  #process: ChildProcess | null = null
  #said = ''

  constructor(dir: string, firstPort: number, site: Readonly<Record<string, string>>) {
    this.dir = dir
    this.#row = new PortRow(firstPort, 5, join(dir, 'conf', 'tajo-site.xml'))
    this.pidFile = join(dir, 'run', 'tajo-test-master.pid')
    mkdirSync(join(dir, 'conf'), { recursive: true })
    writeFileSync(join(dir, 'conf', 'masters'), 'localhost\n')
    this.#site = {
      'tajo.master.umbilical-rpc.address': `localhost:${firstPort}`,
      'tajo.master.client-rpc.address': `localhost:${firstPort + 1}`,
      'tajo.resource-tracker.rpc.address': `localhost:${firstPort + 2}`,
      'tajo.catalog.client-rpc.address': `localhost:${firstPort + 3}`,
      'tajo.master.info-http.address': `127.0.0.1:${firstPort + 4}`,
      ...site,
    }
    this.configure(this.#site)
  }

  /** They stay from the first time that somebody asks for them. */
  get ports(): Ports {
    const first = this.#row.tell()
    return { umbilical: first, client: first + 1, info: first + 4 }
  }

  get address(): string {
    return `localhost:${this.ports.umbilical}`
  }

  /** The cluster's secret lies there, as its configuration has it. */
  get haDirectory(): string {
    const site = readFileSync(join(this.dir, 'conf', 'tajo-site.xml'), 'utf8')
    const root = /<name>tajo\.rootdir<\/name>\s*<value>(?:file:\/\/)?([^<]*)</.exec(site)?.[1]
    return join(root ?? this.dir, 'system', 'ha')
  }

  /** What an administrator shows on the info port. */
  get administrator(): { readonly authorization: string } {
    return administratorOf(this.haDirectory)
  }

  configure(site: Readonly<Record<string, string>>): void {
    writeFileSync(join(this.dir, 'conf', 'tajo-site.xml'), siteXml(site))
  }

  /** In its conf/masters, in place of what stands there. */
  list(masters: readonly { readonly address: string }[]): void {
    const lines = masters.map(({ address }) => `${address}\n`)
    writeFileSync(join(this.dir, 'conf', 'masters'), lines.join(''))
  }

  /** With these in place of what it was made with, until the next time. */
  reconfigure(site: Readonly<Record<string, string>>): void {
    this.configure({ ...this.#site, ...site })
  }

  /** Starts its process and returns at once. */
  launch(env: Readonly<Record<string, string>> = {}): ChildProcess {
    this.#said = ''
    this.#row.tell()
    const child = startDaemon('master', {
      dir: this.dir,
      env,
      before: this.before,
      fileByFile: this.fileByFile,
      onSaid: (text) => {
        this.#said += text
      },
    })
    this.#process = child
    return child
  }

  /** Starts it and waits until it takes part in the election. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.#row.settle()
    const child = this.launch(env)
    const isReady = (): boolean => saysReady(this.#said)
    await until(`${this.address} says that it is ready`, isReady, { needs: [child] })
  }

  /** Runs it to its end, which is expected to come by itself. The code is null when a signal ended it. */
  async runToEnd(
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ code: number | null; said: string }> {
    const child = this.launch(env)
    const isReady = (): boolean => saysReady(this.#said)
    await until(`${this.address} ends by itself`, () => isReady() || endOf(child) !== null)
    if (isReady()) throw new Error(`${this.address} was to end by itself, and is ready`)
    return { code: child.exitCode, said: this.#said }
  }

  /** Of the last one that was started, running or not. */
  get processId(): number {
    const pid = this.#process?.pid
    if (pid === undefined) throw new Error('it was never started')
    return pid
  }

  /** The one of the pid file, as an operator finds it. */
  get pid(): number {
    return Number(readFileSync(this.pidFile, 'utf8'))
  }

  /** The keeper of the running master, from /proc. */
  get keeperPid(): number {
    const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8')
    const found = children.split(' ').find((pid) => {
      return pid !== '' && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('keeper-process')
    })
    if (found === undefined) throw new Error(`${this.address} has no keeper`)
    return Number(found)
  }

  get log(): string {
    return this.logLines.map(({ msg }) => msg).join('\n')
  }

  get logLines(): { level: string; event: string; msg: string; time: string }[] {
    const name = `tajo-test-master-${readFileSync('/proc/sys/kernel/hostname', 'utf8').trim()}.log`
    const text = readFileSync(join(this.dir, 'logs', name), 'utf8')
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  }

  /** Resolves to exit code and signal. */
  async ended(): Promise<End> {
    if (this.#process === null) throw new Error('it was never started')
    return ended(this.#process)
  }

  /** How its process ended, and what it and its keeper said last. */
  async lastWords(): Promise<string> {
    if (this.#process === null) throw new Error('it was never started')
    await closed(this.#process)
    return endOf(this.#process) ?? ''
  }

  async health(what: 'active' | 'backup'): Promise<boolean> {
    const agent = this.#agent
    return (await ask(this.ports.info, `/health/${what}`, { agent })).status === 200
  }

  clientStatus(agent?: Agent): Promise<Answer> {
    const options = { method: 'POST', ...(agent === undefined ? {} : { agent }) }
    return ask(this.ports.client, '/rpc/client/status', options)
  }

  async cluster(): Promise<{
    clusterId: string
    epoch: number
    active: string | null
    problem: string | null
    masters: { state: string }[]
    alerts: { kind: string; level: string; text: string }[]
  }> {
    return JSON.parse((await ask(this.ports.info, '/api/v1/cluster')).text)
  }

  /** A planned hand-over, ordered at its admin socket. Rejects with what it was refused with. */
  async handOverTo(successor: TestMaster): Promise<void> {
    const socketPath = join(this.dir, 'run', 'tajo-test-master.sock')
    const body = { successor: successor.address, force: false, by: 'test' }
    const headers = { 'x-tajo-cluster': (await this.cluster()).clusterId }
    const options = { method: 'POST', body, headers, deadlineMs: patienceMs() } as const
    const answer = await exchange({ socketPath }, '/admin/handOver', options)
    if (answer.status !== 200) throw new Error(JSON.stringify(answer))
  }

  /** SIGKILL to whatever of it still runs, frozen or not. */
  destroy(): void {
    this.#agent.destroy()
    const child = this.#process
    if (child === null || hasEnded(child)) return
    child.kill('SIGCONT')
    child.kill('SIGKILL')
  }
}

export interface TestCluster {
  readonly root: string
  readonly masters: readonly TestMaster[]
  /** The one that serves, once there is exactly one, and all others are backups that know it. */
  settled(): Promise<{ active: TestMaster; backups: TestMaster[]; epoch: number }>
}

/**
 * A directory for these masters and theirs, also for those that are added to the list later: at the end of the test they
 * are ended, and it is removed once the last of their keepers, which outlive them by a moment, writes no more.
 */
export function dirOfMasters(t: Test, masters: readonly TestMaster[]): string {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-masters-'))
  t.teardown(async () => {
    for (const master of masters) master.destroy()
    await until('the directory is free', () => {
      rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
      return true
    })
  })
  return dir
}

/** `count` masters, started and settled unless `start` is false. */
export async function makeCluster(
  t: Test,
  options: { count: number; monitorMs: number; start?: boolean; site?: Record<string, string> },
): Promise<TestCluster> {
  const masters: TestMaster[] = []
  const dir = dirOfMasters(t, masters)
  const root = join(dir, 'root')
  for (let i = 0; i < options.count; i += 1) {
    const master = new TestMaster(join(dir, `master-${i}`), await freePortRow(5), {
      'tajo.rootdir': `file://${root}`,
      'tajo.master.ha.enable': 'true',
      'tajo.master.ha.monitor.interval': String(options.monitorMs),
      ...options.site,
    })
    masters.push(master)
  }
  if (options.start !== false) await Promise.all(masters.map((master) => master.start()))
  return { root, masters, settled: () => settled(masters) }
}

async function settled(
  masters: readonly TestMaster[],
): Promise<{ active: TestMaster; backups: TestMaster[]; epoch: number }> {
  return until('one is active and the others are its backups', async () => {
    const actives = await Promise.all(masters.map((master) => master.health('active')))
    const active = masters[actives.indexOf(true)]
    if (active === undefined || actives.filter((one) => one).length !== 1) return null
    const backups = masters.filter((master) => master !== active)
    const { epoch, masters: known } = await active.cluster()
    const all = await Promise.all(
      backups.map(async (backup) => {
        const ready = await backup.health('backup')
        const view = await backup.cluster()
        return ready && view.active === active.address && view.epoch === epoch
      }),
    )
    return known.length === masters.length && all.every((one) => one)
      ? { active, backups, epoch }
      : null
  })
}
