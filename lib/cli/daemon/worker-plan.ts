/**
 * From configuration and environment to what a worker is started with. Everything that can be wrong with them is told
 * before anything is opened.
 */
import { statfs } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import {
  type Configuration,
  type HostList,
  loadConfiguration,
  masterAddresses,
  parseWorkerName,
  readMasters,
  type Surroundings,
  surroundingsOf,
  type WorkerAddresses,
  type WorkerPlace,
  workerAddresses,
} from '../../conf/index.ts'
import type { LogLimits } from '../../daemon/index.ts'
import type { Timing } from '../../ha/index.ts'
import type { CommandContext } from '../arguments.ts'
import { failure } from '../exit.ts'
import { timingOf } from '../timing.ts'
import { requireRootdir } from './default-rootdir.ts'
import { directoryOf, identOf, logLimitsOf } from './master-plan.ts'

interface Tracker {
  readonly tracker: string
  readonly catalog: string
}

export interface WorkerPlan {
  readonly conf: Configuration
  readonly surroundings: Surroundings
  readonly masters: HostList
  readonly addresses: WorkerAddresses
  readonly bind: WorkerPlace['bind']
  /** Tracker and catalog port of each master in conf/masters. */
  readonly trackers: readonly Tracker[]
  /** The same as the file is now: a master may have been added since. */
  readonly readTrackers: () => Promise<readonly Tracker[]>
  readonly pidFile: string
  readonly logFile: string
  readonly logLimits: LogLimits
  /** `<rootdir>/system/ha`. */
  readonly haDirectory: string
  /** `<rootdir>/system`: queries do not reach it. */
  readonly systemDirectory: string
  readonly timing: Timing
  /** Warehouse first. */
  readonly roots: readonly string[]
  readonly spillLocations: readonly string[]
  /** Of this worker in a spill location. */
  readonly spillName: string
  readonly cores: number
  readonly memoryBytes: number
  readonly slots: number
  /** How much lower the priority of engines' processes is than the worker's. */
  readonly engineNiceness: number
  /** Which start of it this is, to whoever started it and tells how it ends; null: nobody does. */
  readonly watchedAs: string | null
  readonly warnings: readonly string[]
}

/** Throws ConfError, or HaError BAD_TIMING, for what is wrong in the configuration. */
export async function planWorker({ confDir, home, env }: CommandContext): Promise<WorkerPlan> {
  const surroundings = surroundingsOf(env)
  const conf = await loadConfiguration(confDir, surroundings)
  requireRootdir(conf, home)
  const readList = () => readMasters(confDir, conf.get('tajo.master.umbilical-rpc.address').port)
  const masters = await readList()
  const entry = env.TAJO_WORKER_NAME ? parseWorkerName(env.TAJO_WORKER_NAME) : null
  const { addresses, bind, suffix } = workerAddresses(conf, entry)
  const daemon = `tajo-${identOf(env, surroundings)}-worker${suffix}`
  return {
    conf,
    surroundings,
    masters,
    addresses,
    bind,
    trackers: trackersOf(conf, masters),
    readTrackers: async () => trackersOf(conf, await readList()),
    pidFile: env.TAJO_PID_FILE || join(directoryOf(env.TAJO_PID_DIR, home, 'run'), `${daemon}.pid`),
    logFile:
      env.TAJO_LOG_FILE ||
      join(directoryOf(env.TAJO_LOG_DIR, home, 'logs'), `${daemon}-${hostname()}.log`),
    logLimits: logLimitsOf(conf),
    haDirectory: join(conf.get('tajo.rootdir'), 'system', 'ha'),
    systemDirectory: join(conf.get('tajo.rootdir'), 'system'),
    timing: timingOf(conf),
    roots: [conf.get('tajo.warehouse.directory'), ...conf.get('tajo.query.allowed-paths')],
    spillLocations: conf.get('tajo.worker.tmpdir.locations'),
    spillName: `${daemon}-${bind.peer.port}`,
    cores: conf.get('tajo.worker.resource.cpu-cores'),
    memoryBytes: conf.get('tajo.worker.resource.memory-mb') * 1024 * 1024,
    slots: conf.get('tajo.worker.parallel-queries'),
    engineNiceness: engineNicenessOf(env.TAJO_ENGINE_NICENESS),
    watchedAs: env.TAJO_WORKER_START || null,
    warnings: [...conf.warnings, ...masters.warnings],
  }
}

const trackersOf = (conf: Configuration, masters: HostList): Tracker[] =>
  masters.entries.map((one) => {
    const { resourceTracker: tracker, catalog } = masterAddresses(conf, one).addresses
    return { tracker, catalog }
  })

const ENGINE_NICENESS = 5

/** Throws CliError for what is none. */
function engineNicenessOf(chosen: string | undefined): number {
  if (!chosen) return ENGINE_NICENESS
  if (/^\d{1,2}$/.test(chosen) && Number(chosen) <= 19) return Number(chosen)
  throw failure(`TAJO_ENGINE_NICENESS is '${chosen}': allowed is a number from 0 to 19`)
}

/** The directory with the most free space; all of them exist. */
export async function roomiest(directories: readonly string[]): Promise<string> {
  const rooms = await Promise.all(
    directories.map(async (directory) => {
      const { bavail, bsize } = await statfs(directory)
      return { directory, bytes: bavail * bsize }
    }),
  )
  return rooms.reduce((best, one) => (one.bytes > best.bytes ? one : best)).directory
}

/** Of its disk's size, where no other bound is set. Not of what is free, which may be nothing at this moment. */
const SPILL_PART = 0.9

/** What may be spilled to a directory. `bound`: bytes; 0 for none. */
export async function spillBytesOf(directory: string, bound: number): Promise<number> {
  if (bound > 0) return bound
  const { blocks, bsize } = await statfs(directory)
  return blocks * bsize * SPILL_PART
}
