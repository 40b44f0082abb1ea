/** One worker's life in its process: joins configuration, daemon and worker, which don't know each other. */
import { randomUUID } from 'node:crypto'
import { lstat, mkdir, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import { oomKills } from '../../base/oom-kills.ts'
import { OwnPlaceError } from '../../base/own-place.ts'
import { systemClock } from '../../base/time.ts'
import { ROOT_PROOF, WAREHOUSE_PROOF } from '../../catalog/index.ts'
import type { DaemonLog } from '../../daemon/index.ts'
import { hostNetwork, makeDirs, readMembers } from '../../ha/index.ts'
import type { Membership } from '../../serve/index.ts'
import { fromDuckDb, toDuckDb } from '../../sql/index.ts'
import { realPathOf, Worker, type WorkerOptions } from '../../worker/index.ts'
import { daemonCertificate } from './cluster-certificate.ts'
import { membershipOf } from './cluster-identity.ts'
import type { DaemonLife } from './daemon-command.ts'
import { makeDefaultRootdir } from './default-rootdir.ts'
import { lookAtDirectory } from './directory.ts'
import { OtherCatalogError } from './other-catalogs.ts'
import { ownNames } from './own-names.ts'
import { orNull } from './own-shown.ts'
import { requireOwnSpill, requireOwnStorage } from './own-storage.ts'
import { termsShown } from './terms-shown.ts'
import { roomiest, spillBytesOf, type WorkerPlan } from './worker-plan.ts'

const BIND_KEYS = {
  qm: 'tajo.worker.qm-rpc.address',
  clientRpc: 'tajo.worker.client-rpc.address',
  peer: 'tajo.worker.peer-rpc.address',
  infoHttp: 'tajo.worker.info-http.address',
} as const

/** Clients read results through a stream that is never silent for longer. */
const RESULT_BEAT_MS = 1000

const WAREHOUSE_KEYS = 'tajo.warehouse.directory, by default in tajo.rootdir'
/** What a worker reads below `system`: whose cluster it is, its secret, its masters. Thousands of workers may start. */
const READ_DEPTH = 2
const PATHS_KEY = 'tajo.query.allowed-paths'

/** It need not be there yet. Rejects with an Error that names the key. */
async function realDirectory(path: string, key: string): Promise<string> {
  try {
    return await realPathOf(path)
  } catch (error) {
    throw new Error(`can't use the directory ${path} (${key}): ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** Null: no master has formed a cluster yet. Rejects where its files can't be read. */
async function certified(
  haDirectory: string,
  names: readonly string[],
): Promise<Membership | null> {
  const membership = await membershipOf(haDirectory)
  if (membership === null) return null
  const { clusterId } = membership
  return { ...membership, certificate: await daemonCertificate(haDirectory, clusterId, names) }
}

export class WorkerLife implements DaemonLife {
  readonly #plan: WorkerPlan
  readonly #version: string
  readonly #log: DaemonLog
  #worker: Worker | null = null
  #spill: string | null = null
  /** The HA directory was there and this user's alone: nobody else can have put another one in its place since. */
  #isJudged = false
  readonly #told = new Set<string>()

  constructor(plan: WorkerPlan, version: string, log: DaemonLog) {
    this.#plan = plan
    this.#version = version
    this.#log = log
  }

  get ready(): string {
    return `worker ${this.#plan.addresses.peer}`
  }

  /** Resolves when its ports are open. Rejects with an Error that says what to do; `stop` cleans up then. */
  async start(): Promise<void> {
    const spill = await this.#makeSpill()
    this.#spill = spill
    const worker = new Worker(await this.#options(spill))
    this.#worker = worker
    await worker.start()
  }

  async stop(why: string): Promise<void> {
    await this.#worker?.stop(why)
    if (this.#spill !== null) await rm(this.#spill, { recursive: true, force: true })
  }

  /** Nothing of it changes while it runs; conf/masters is read again whenever the active one is looked for. */
  reload(): void {}

  /** This worker's own directory, empty: what a crash has left there is of no use to anybody. */
  async #makeSpill(): Promise<string> {
    const { conf, surroundings, spillLocations, spillName } = this.#plan
    const { env, userName } = surroundings
    try {
      const start = { conf, home: env.TAJO_HOME ?? '', userName }
      await makeDefaultRootdir(start)
      await this.#requireOwn()
      for (const location of spillLocations) {
        await makeDirs(location, 0o700)
        await requireOwnSpill(location)
      }
      const spill = join(await roomiest(spillLocations), spillName)
      await rm(spill, { recursive: true, force: true })
      await mkdir(spill, { mode: 0o700 })
      return realPathOf(spill)
    } catch (error) {
      if (error instanceof OtherCatalogError || error instanceof OwnPlaceError) throw error
      const text = `can't make the spill directory (tajo.worker.tmpdir.locations): ${messageOf(error)}`
      throw new Error(text, { cause: error })
    }
  }

  /** Rejects with OwnPlaceError, or the system's error. What isn't there yet is judged once it is to be read. */
  async #requireOwn(): Promise<void> {
    const { haDirectory, conf } = this.#plan
    const isThere = (await orNull(lstat(haDirectory))) !== null
    for (const warning of await requireOwnStorage(conf, READ_DEPTH)) {
      if (!this.#told.has(warning)) this.#log.log('warn', warning, { event: 'rootdir-mode' })
      this.#told.add(warning)
    }
    this.#isJudged = isThere
  }

  /** What a read of the HA directory gives; `otherwise` while there is none that was judged. */
  async #fromOwn<T>(read: (haDirectory: string) => Promise<T>, otherwise: T): Promise<T> {
    if (!this.#isJudged) await this.#requireOwn()
    return this.#isJudged ? read(this.#plan.haDirectory) : otherwise
  }

  async #options(spillDirectory: string): Promise<WorkerOptions> {
    const plan = this.#plan
    const { addresses, bind, conf, timing } = plan
    const names = ownNames(conf, plan.masters, [bind.infoHttp.host, addresses.infoHttp])
    return {
      worker: {
        workerId: addresses.peer,
        incarnation: plan.watchedAs ?? randomUUID(),
        watched: plan.watchedAs !== null,
        host: hostname(),
        pid: process.pid,
        version: this.#version,
        addresses: { ...addresses },
        cores: plan.cores,
        memoryBytes: plan.memoryBytes,
        slots: plan.slots,
        network: hostNetwork(),
      },
      connectionsPerAddress: conf.get('tajo.connections.per-address'),
      binds: {
        qm: { key: BIND_KEYS.qm, ...bind.qm },
        clientRpc: { key: BIND_KEYS.clientRpc, ...bind.clientRpc },
        peer: { key: BIND_KEYS.peer, ...bind.peer },
        infoHttp: { key: BIND_KEYS.infoHttp, ...bind.infoHttp },
      },
      names,
      masters: plan.trackers,
      readMasters: plan.readTrackers,
      readMembers: async () =>
        (await this.#fromOwn(readMembers, [])).map(({ resourceTracker: tracker, catalog }) => ({
          tracker,
          catalog,
        })),
      engine: {
        threads: plan.cores,
        memoryBytes: plan.memoryBytes,
        niceness: plan.engineNiceness,
        spillDirectory,
        spillBytes: await spillBytesOf(spillDirectory, conf.get('tajo.worker.spill.max-size')),
        secretName: randomUUID,
      },
      roots: await Promise.all(
        plan.roots.map((root, i) => realDirectory(root, i === 0 ? WAREHOUSE_KEYS : PATHS_KEY)),
      ),
      closed: [await realDirectory(plan.systemDirectory, 'tajo.rootdir')],
      types: { toDuckDb, fromDuckDb },
      authentication: conf.get('tajo.security.authentication'),
      readMembership: () => this.#fromOwn((ha) => certified(ha, names), null),
      terms: {
        directory: `${plan.haDirectory} (tajo.rootdir)`,
        read: () => this.#fromOwn(termsShown, { newest: 0, isAlone: false }),
        everyMs: timing.monitorMs,
      },
      oomKills,
      storage: {
        directories: [
          {
            key: 'tajo.rootdir',
            path: conf.get('tajo.rootdir'),
            nonces: { directory: plan.systemDirectory, name: ROOT_PROOF },
            look: (clusterId) => lookAtDirectory(plan.haDirectory, clusterId),
          },
          {
            key: 'tajo.warehouse.directory',
            path: conf.get('tajo.warehouse.directory'),
            nonces: { directory: conf.get('tajo.warehouse.directory'), name: WAREHOUSE_PROOF },
          },
        ],
        // What is wrong is told within M.
        everyMs: Math.min(conf.get('tajo.worker.heartbeat.idle.interval'), timing.monitorMs / 2),
        limitMs: timing.monitorMs,
      },
      idleMs: conf.get('tajo.worker.heartbeat.idle.interval'),
      activeMs: conf.get('tajo.worker.heartbeat.active.interval'),
      beatMs: RESULT_BEAT_MS,
      silenceMs: timing.monitorMs,
      // A failover takes seconds at the worst; a cluster without any master is told after a while.
      catalogMs: Math.max(60_000, 6 * timing.monitorMs),
      maxRunMs: conf.get('tajo.query.max-run-time'),
      clock: systemClock,
      wallClockMs: Date.now,
      random: Math.random,
      log: this.#log.log,
    }
  }
}
