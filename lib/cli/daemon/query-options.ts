/** What the configuration says to a master about queries: its catalog, its directories, its limits. */
import { randomUUID } from 'node:crypto'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Log } from '../../base/log.ts'
import { whyNotThere } from '../../base/there.ts'
import type { ReadableStore } from '../../catalog/index.ts'
import { Memory } from '../../catalog/index.ts'
import type { Configuration } from '../../conf/index.ts'
import { fileSystemOf, hostNetwork } from '../../ha/index.ts'
import type { QueryOptions } from '../../master/index.ts'
import { timingOf } from '../timing.ts'
import { configuredStore } from './configured-store.ts'

/** Readers of what was dropped or overwritten have so long to end, beyond all queries that began before. */
const LITTER_GRACE_MS = 600_000
const HOUR_MS = 3600 * 1000
const DAY_MS = 24 * HOUR_MS

/** `address`: the master's own, for others who find the catalog in use. */
export function queryOptionsOf(
  conf: Configuration,
  {
    address,
    severalHosts,
    admission,
    log,
  }: {
    address: string
    severalHosts: boolean
    admission?: QueryOptions['admission'] & {}
    log: Log
  },
): QueryOptions {
  const rootDirectory = conf.get('tajo.rootdir')
  const { monitorMs } = timingOf(conf)
  const memory = new Memory()
  // The database clients are loaded with it: not before this master has joined.
  const makeStore = (clusterId: string | null): Promise<ReadableStore> =>
    configuredStore(conf, {
      binding: { clusterId },
      holder: `master ${address}`,
      ofMaster: true,
      memory,
      log,
    })
  return {
    // A store that is not opened costs nothing.
    preload: () => makeStore(null),
    makeStore,
    scratch: tmpdir(),
    followMs: monitorMs / 5,
    logDirectory: join(rootDirectory, 'system', 'queries'),
    warehouse: conf.get('tajo.warehouse.directory'),
    allowedPaths: conf.get('tajo.query.allowed-paths'),
    systemDirectory: join(rootDirectory, 'system'),
    lookFor: whyNotThere,
    proof: {
      host: hostname(),
      warehouseMode: 0o777 & ~Number.parseInt(conf.get('tajo.warehouse.umask'), 8),
      everyMs: monitorMs / 2,
      limitMs: monitorMs,
      nonce: randomUUID,
      severalHosts,
      network: hostNetwork(),
      aloneOn: (path) => aloneOn(path, rootDirectory),
    },
    queue: {
      most: conf.get('tajo.master.query.queue.limit'),
      mostOfUser: conf.get('tajo.query.queue.per-user'),
      runningOfUser: conf.get('tajo.query.max-per-user'),
      chars: conf.get('tajo.master.query.queue.max-size'),
    },
    ...(admission === undefined ? {} : { admission }),
    historyLimit: conf.get('tajo.history.query.max-entries'),
    historyMaxAgeMs: conf.get('tajo.history.expiry-time-day') * DAY_MS,
    idleMs: conf.get('tajo.worker.heartbeat.idle.interval'),
    activeMs: conf.get('tajo.worker.heartbeat.active.interval'),
    writeWaitMs: conf.get('tajo.table.write.wait'),
    compaction: {
      enabled: conf.get('tajo.table.compaction.enabled'),
      minInputFiles: conf.get('tajo.table.compaction.min-input-files'),
      minFileBytes: conf.get('tajo.table.compaction.min-file-size'),
      targetFileBytes: conf.get('tajo.table.compaction.target-file-size'),
      maxConcurrent: conf.get('tajo.table.compaction.max-concurrent'),
      checkMs: conf.get('tajo.table.compaction.check-interval'),
      retentionMs: conf.get('tajo.table.compaction.retention-hour') * HOUR_MS,
    },
    litterGraceMs: LITTER_GRACE_MS,
  }
}

/** A root directory of this host alone has been admitted: then everything may be. Rejects with the system's error. */
async function aloneOn(path: string, rootDirectory: string): Promise<string | null> {
  const [root, own] = await Promise.all([fileSystemOf(rootDirectory), fileSystemOf(path)])
  if (root.sharing === 'local' || own.sharing !== 'local') return null
  return `a local file system (${own.type}, mounted at ${own.mountPoint})`
}
