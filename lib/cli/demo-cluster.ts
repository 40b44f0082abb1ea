/**
 * The demo's cluster: a directory of its own, free ports, real masters started the way an operator starts them in the
 * foreground. Whatever it starts it also ends.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { failure, oneLine } from './exit.ts'

export interface DemoMaster {
  /** The umbilical address, its name. */
  readonly address: string
  readonly ports: DemoPorts
  readonly confDir: string
  readonly pid: number
  readonly process: ChildProcess
}

interface DemoPorts {
  readonly umbilical: number
  readonly client: number
  readonly tracker: number
  readonly catalog: number
  readonly http: number
}

export interface DemoOptions {
  /** More properties for every master's tajo-site.xml. */
  readonly properties?: Readonly<Record<string, string>>
  /** The words that run `tajo`; this install's by default. */
  readonly tajo?: readonly string[]
}

/** A master ends in good order within this; then it is killed. */
const STOP_MS = 5000

export class DemoCluster {
  readonly directory: string
  readonly haDirectory: string
  readonly masters: DemoMaster[] = []
  readonly #home: string
  readonly #tajo: readonly string[]
  readonly #properties: Readonly<Record<string, string>>

  constructor(home: string, options: DemoOptions = {}) {
    this.#tajo = options.tajo ?? [process.execPath, join(home, 'bin', 'tajo')]
    this.#home = home
    this.#properties = options.properties ?? {}
    this.directory = mkdtempSync(join(tmpdir(), 'tajo-demo-'))
    this.haDirectory = join(this.directory, 'shared', 'system', 'ha')
    mkdirSync(join(this.directory, 'shared'))
  }

  /** Starts one more master; returns at once. */
  async start(): Promise<DemoMaster> {
    const ports = await freePorts()
    const base = join(this.directory, `master-${ports.umbilical}`)
    const confDir = join(base, 'conf')
    mkdirSync(confDir, { recursive: true })
    writeFileSync(
      join(confDir, 'tajo-site.xml'),
      siteXml({ ...this.#properties, ...propertiesOf(join(this.directory, 'shared'), ports) }),
    )
    writeFileSync(join(confDir, 'masters'), `localhost:${ports.umbilical}\n`)
    const { TAJO_MASTER_NAME: _a, TAJO_PID_FILE: _b, TAJO_LOG_FILE: _c, ...env } = process.env
    const [program = '', ...args] = this.#tajo
    // A process group of its own: Ctrl-C reaches the demo only, which then ends its masters itself.
    const child = spawn(program, [...args, 'master'], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...env,
        TAJO_HOME: this.#home,
        TAJO_CONF_DIR: confDir,
        TAJO_LOG_DIR: join(base, 'logs'),
        TAJO_PID_DIR: join(base, 'run'),
        TAJO_IDENT_STRING: 'demo',
      },
    })
    const said = gather(child)
    if (child.pid === undefined) throw failure(`can't start a master: ${said()}`)
    const master = {
      address: `localhost:${ports.umbilical}`,
      ports,
      confDir,
      pid: child.pid,
      process: child,
    }
    this.masters.push(master)
    return master
  }

  /** Ends every master and removes the directory. */
  async end(): Promise<void> {
    await Promise.all(this.masters.map(({ process: child }) => endChild(child)))
    // A keeper outlives its master by the moment it needs for its last word.
    for (let attempt = 0; attempt < 50; attempt++) {
      rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
      await sleep(20)
      if (!present(this.directory)) return
    }
    throw failure(`can't remove ${this.directory}: something still writes there`)
  }
}

const alive = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null

async function endChild(child: ChildProcess): Promise<void> {
  if (!alive(child)) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await Promise.race([ended, sleep(STOP_MS)])
  if (!alive(child)) return
  child.kill('SIGKILL')
  await ended
}

function present(path: string): boolean {
  try {
    readFileSync(path)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT'
  }
}

/** The last of what a master says, for the case that it doesn't start. */
function gather(child: ChildProcess): () => string {
  let text = ''
  const add = (chunk: string): void => {
    text = (text + chunk).slice(-2000)
  }
  child.stdout?.setEncoding('utf8').on('data', add)
  child.stderr?.setEncoding('utf8').on('data', add)
  child.on('error', (error) => add(error.message))
  child.on('exit', (code) => {
    if (code !== null && code !== 0) lastWords.set(child, oneLine(text))
  })
  return () => oneLine(text)
}

const lastWords = new WeakMap<ChildProcess, string>()
/** Why a master ended by itself, in its own words; null while it runs. */
export const whyEnded = ({ process: child }: DemoMaster): string | null =>
  alive(child) ? null : (lastWords.get(child) ?? `signal ${child.signalCode ?? 'none'}`)

/** Five ports that are free now: bound all at once, so that no two are the same. */
async function freePorts(): Promise<DemoPorts> {
  const servers = Array.from({ length: 5 }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  const [umbilical = 0, client = 0, tracker = 0, catalog = 0, http = 0] = ports
  return { umbilical, client, tracker, catalog, http }
}

const propertiesOf = (rootDir: string, ports: DemoPorts): Record<string, string> => ({
  'tajo.rootdir': `file://${rootDir}`,
  'tajo.master.ha.enable': 'true',
  'tajo.master.umbilical-rpc.address': `localhost:${ports.umbilical}`,
  'tajo.master.client-rpc.address': `localhost:${ports.client}`,
  'tajo.resource-tracker.rpc.address': `localhost:${ports.tracker}`,
  'tajo.catalog.client-rpc.address': `localhost:${ports.catalog}`,
  'tajo.master.info-http.address': `127.0.0.1:${ports.http}`,
})

function siteXml(properties: Readonly<Record<string, string>>): string {
  const lines = Object.entries(properties).map(
    ([name, value]) => `  <property><name>${name}</name><value>${value}</value></property>`,
  )
  return `<?xml version="1.0"?>\n<configuration>\n${lines.join('\n')}\n</configuration>\n`
}
