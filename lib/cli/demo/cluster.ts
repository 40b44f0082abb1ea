/**
 * The demo's cluster: a directory and ports of its own, real masters and workers started the way an operator starts
 * them in the foreground. Whatever it starts it also ends.
 *
 * Each master has a configuration of its own that lists it alone, and its ports are the first one's shifted by one
 * distance, so that a list of all masters, as a worker needs it, is `localhost:PORT` for each.
 *
 * Ports of the loopback for daemons that start later. A port that is free now may be another program's by then, so
 * ports come in blocks: a block belongs to the process that listens on its first port, and that one does so until it
 * ends. Two that look for ports at once never get the same. The kernel knows nothing of blocks: what it gives to
 * outgoing connections is avoided for as long as there is anything else.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ephemeralPorts, type PortRange } from '../../base/port-holder.ts'
import { pause, waitingClock, within } from '../../base/time.ts'
import { failure, oneLine } from '../exit.ts'

/** Of these the first is the reservation itself. */
export const BLOCK_PORTS = 50
/** They lie below Tajo's own ports, and below those that systems usually give to outgoing connections. */
const FIRST = 10_000
const END = 26_000
/** Every user may open the ports from here on. */
const LOWEST = 1024
/** From END to here are Tajo's own ports and those of second masters and workers, which may be started any time. */
const TAJO_END = 33_000

/**
 * First ports of all blocks, in the order in which they are tried: those between FIRST and END from a random one on,
 * then all others below and above, and at last, in the same order, those that `ephemeral` has a port of. `random` is
 * from 0 to below 1.
 */
export function blocksInOrder(ephemeral: PortRange, random: number): number[] {
  const usual = marks(FIRST, END)
  const start = Math.floor(random * usual.length)
  const others = [...marks(LOWEST, FIRST), ...marks(TAJO_END, 65_536)]
  const all = [...usual.slice(start), ...usual.slice(0, start), ...others]
  const meets = (mark: number): boolean =>
    mark <= ephemeral.last && ephemeral.first < mark + BLOCK_PORTS
  return [...all.filter((mark) => !meets(mark)), ...all.filter(meets)]
}

const marks = (from: number, end: number): number[] =>
  Array.from({ length: Math.floor((end - from) / BLOCK_PORTS) }, (_, i) => from + i * BLOCK_PORTS)

/**
 * Takes a block for as long as this process lives and resolves to its first usable port, which BLOCK_PORTS − 2 others
 * follow. `random` gives numbers from 0 to below 1, as Math.random; `ephemeral` is what outgoing connections get.
 * Rejects when no block is free.
 */
export async function takePortBlock(
  random: () => number,
  ephemeral: PortRange = ephemeralPorts(),
): Promise<number> {
  for (const mark of blocksInOrder(ephemeral, random())) {
    const reservation = await listenOn(mark)
    if (reservation === null) continue
    if ((await firstTaken(mark + 1, BLOCK_PORTS - 1)) === null) {
      reservation.unref()
      return mark + 1
    }
    await closed(reservation)
  }
  throw failure(`there are no ${BLOCK_PORTS} free ports in a row on 127.0.0.1`)
}

/** The first of `count` ports from `first` on that can't be opened on 127.0.0.1 now; null when all can. */
export async function firstTaken(first: number, count: number): Promise<number | null> {
  const servers = await Promise.all(Array.from({ length: count }, (_, i) => listenOn(first + i)))
  await Promise.all(servers.filter((one) => one !== null).map(closed))
  const taken = servers.indexOf(null)
  return taken < 0 ? null : first + taken
}

/** Null when it is not to be had: somebody else has it, or this user may not. */
const listenOn = (port: number): Promise<Server | null> =>
  new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(null)
      else reject(error)
    })
    server.listen(port, '127.0.0.1', () => resolve(server))
  })

const closed = (server: Server): Promise<void> => new Promise((done) => server.close(() => done()))

export interface DemoProcess {
  readonly pid: number
  readonly process: ChildProcess
}

export interface DemoMaster extends DemoProcess {
  /** The umbilical address, its name. */
  readonly address: string
  readonly ports: DemoPorts
  readonly confDir: string
}

interface DemoPorts {
  readonly umbilical: number
  readonly client: number
  readonly tracker: number
  readonly catalog: number
  readonly http: number
}

interface DemoOptions {
  /** More properties for every daemon's tajo-site.xml. */
  readonly properties?: Readonly<Record<string, string>>
  /** The words that run `tajo`; this install's by default. */
  readonly tajo?: readonly string[]
}

/** A daemon ends in good order within this; then it is killed. */
const STOP_MS = 5000
/** What was started is gone within this, and its files with it. */
const REMOVE_MS = 30_000
const MASTER_PORTS = 5
const WORKER_PORTS = 4
/** All live in one block of ports, whose first is none of theirs. */
const MOST_MASTERS = Math.floor((BLOCK_PORTS - 1 - WORKER_PORTS) / MASTER_PORTS)

export class DemoCluster {
  readonly directory: string
  readonly haDirectory: string
  readonly masters: DemoMaster[] = []
  /** Of all processes that were started. */
  readonly #children: ChildProcess[] = []
  #firstPort: Promise<number> | null = null
  readonly #home: string
  readonly #tajo: readonly string[]
  readonly #properties: Readonly<Record<string, string>>

  constructor(home: string, options: DemoOptions = {}) {
    this.#tajo = options.tajo ?? [process.execPath, join(home, 'bin', 'tajo')]
    this.#home = home
    this.#properties = options.properties ?? {}
    this.directory = mkdtempSync(join(tmpdir(), 'tajo-demo-'))
    this.haDirectory = join(this.directory, 'shared', 'system', 'ha')
    mkdirSync(join(this.directory, 'shared'), 0o700)
  }

  /** Starts one more master; returns at once. */
  async start(): Promise<DemoMaster> {
    const number = this.masters.length
    if (number === MOST_MASTERS)
      throw new Error(`the demo's cluster has room for ${number} masters`)
    const ports = portsOfMaster((await this.#ports()) + number * MASTER_PORTS)
    const address = `localhost:${ports.umbilical}`
    const confDir = this.#makeConf(`master-${ports.umbilical}`, [address], {
      ...masterProperties(ports),
      'tajo.master.info-http.address': `127.0.0.1:${ports.http}`,
    })
    const master = { address, ports, confDir, ...this.#spawn('master', confDir) }
    this.masters.push(master)
    return master
  }

  /** Starts the worker, which knows the masters started so far; returns at once. */
  async startWorker(): Promise<DemoProcess> {
    const first = await this.#ports()
    const own = first + MOST_MASTERS * MASTER_PORTS
    const masters = this.masters.map(({ address }) => address)
    const confDir = this.#makeConf('worker', masters, {
      ...masterProperties(portsOfMaster(first)),
      'tajo.worker.peer-rpc.address': `localhost:${own}`,
      'tajo.worker.client-rpc.address': `localhost:${own + 1}`,
      'tajo.worker.qm-rpc.address': `localhost:${own + 2}`,
      'tajo.worker.info-http.address': `127.0.0.1:${own + 3}`,
      'tajo.worker.tmpdir.locations': join(this.directory, 'spill'),
    })
    return this.#spawn('worker', confDir)
  }

  /** The first of a block that has room for all. */
  #ports(): Promise<number> {
    this.#firstPort ??= takePortBlock(Math.random)
    return this.#firstPort
  }

  #makeConf(
    name: string,
    masters: readonly string[],
    properties: Readonly<Record<string, string>>,
  ): string {
    const confDir = join(this.directory, name, 'conf')
    mkdirSync(confDir, { recursive: true, mode: 0o700 })
    const common = {
      'tajo.rootdir': `file://${join(this.directory, 'shared')}`,
      'tajo.master.ha.enable': 'true',
    }
    const site = siteXml({ ...this.#properties, ...common, ...properties })
    writeFileSync(join(confDir, 'tajo-site.xml'), site)
    writeFileSync(join(confDir, 'masters'), masters.map((one) => `${one}\n`).join(''))
    return confDir
  }

  #spawn(role: 'master' | 'worker', confDir: string): DemoProcess {
    const base = dirname(confDir)
    const env = { ...process.env }
    for (const one of INHERITED) delete env[one]
    const [program = '', ...args] = this.#tajo
    // A process group of its own: Ctrl-C reaches the demo only, which then ends its daemons itself.
    const child = spawn(program, [...args, role], {
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
    if (child.pid === undefined) throw failure(`can't start a ${role}: ${said()}`)
    this.#children.push(child)
    return { pid: child.pid, process: child }
  }

  /** Ends every daemon and removes the directory. */
  async end(): Promise<void> {
    await Promise.all(this.#children.map(endChild))
    // A keeper outlives its master by the moment it needs for its last word.
    const endMs = performance.now() + REMOVE_MS
    do {
      rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
      await pause(waitingClock, 20)
      if (!present(this.directory)) return
    } while (performance.now() < endMs)
    throw failure(`can't remove ${this.directory}: something has written there for ${REMOVE_MS} ms`)
  }
}

const alive = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null

async function endChild(child: ChildProcess): Promise<void> {
  if (!alive(child)) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await within(waitingClock, STOP_MS, ended, () => {})
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

/** What the shell that runs the demo may have set for a daemon of its own. */
const INHERITED = ['TAJO_MASTER_NAME', 'TAJO_WORKER_NAME', 'TAJO_PID_FILE', 'TAJO_LOG_FILE']

/** The last of what a daemon says, for the case that it doesn't start. */
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
/** Why a daemon ended by itself, in its own words; null while it runs. */
export const whyEnded = ({ process: child }: DemoProcess): string | null =>
  alive(child) ? null : (lastWords.get(child) ?? `signal ${child.signalCode ?? 'none'}`)

const portsOfMaster = (first: number): DemoPorts => ({
  umbilical: first,
  client: first + 1,
  tracker: first + 2,
  catalog: first + 3,
  http: first + 4,
})

const masterProperties = (ports: DemoPorts): Record<string, string> => ({
  'tajo.master.umbilical-rpc.address': `localhost:${ports.umbilical}`,
  'tajo.master.client-rpc.address': `localhost:${ports.client}`,
  'tajo.resource-tracker.rpc.address': `localhost:${ports.tracker}`,
  'tajo.catalog.client-rpc.address': `localhost:${ports.catalog}`,
})

function siteXml(properties: Readonly<Record<string, string>>): string {
  const lines = Object.entries(properties).map(
    ([name, value]) => `  <property><name>${name}</name><value>${value}</value></property>`,
  )
  return `<?xml version="1.0"?>\n<configuration>\n${lines.join('\n')}\n</configuration>\n`
}
