/**
 * Making or joining an HA directory. What is there already is never changed: a directory of a newer version, of other
 * software, or of a cluster with another catalog is refused with both sides named.
 */

import { decodeClaim, decodeCluster, decodeHolder } from './decode.ts'
import { DiskError, HaError, messageOf } from './errors.ts'
import {
  ACTIVE_DIR,
  BACKUP_DIR,
  backupFile,
  type CatalogName,
  CLUSTER_FILE,
  type ClusterFile,
  claimFile,
  encode,
  FORMAT_VERSION,
  HISTORY_DIR,
  type Holder,
  heartbeatFile,
  releaseOf,
  SECRET_FILE,
  termOf,
} from './layout.ts'
import type { Clock, Disk, Processes } from './ports.ts'
import { describeCatalog } from './refusals.ts'
import type { Timing } from './timing.ts'

export interface Setup {
  readonly directory: string
  readonly catalog: CatalogName
  readonly fresh: { readonly clusterId: string; readonly secret: string }
  readonly createdAt: string
}

/** Rejects BAD_DIRECTORY, BAD_STORAGE or CATALOG_DIFFERS. */
export async function joinDirectory(
  disk: Disk,
  clock: Clock,
  setup: Setup,
): Promise<{ clusterId: string; secret: string }> {
  try {
    for (const name of [ACTIVE_DIR, BACKUP_DIR, HISTORY_DIR]) await disk.makeDirs('setup', name)
    const cluster = await joinCluster(disk, clock, setup)
    const secret = await joinSecret(disk, clock, setup)
    return { clusterId: cluster.clusterId, secret }
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
    throw new HaError(
      'BAD_STORAGE',
      `the HA directory ${setup.directory} can't be used: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

async function joinCluster(disk: Disk, clock: Clock, setup: Setup): Promise<ClusterFile> {
  const ours: ClusterFile = {
    format: FORMAT_VERSION,
    clusterId: setup.fresh.clusterId,
    catalog: setup.catalog,
    createdAt: setup.createdAt,
  }
  const where = `${setup.directory}/${CLUSTER_FILE}`
  if ((await disk.create('setup', CLUSTER_FILE, encode(ours))) === 'created') return ours
  const text = await readWhole(disk, clock, CLUSTER_FILE)
  const theirs = decodeCluster(text, where)
  const { catalog } = theirs
  if (catalog.class !== ours.catalog.class || catalog.uri !== ours.catalog.uri) {
    throw new HaError(
      'CATALOG_DIFFERS',
      `this master is configured with another catalog than its cluster: here ${describeCatalog(ours.catalog)}, in the cluster ${describeCatalog(catalog)} (${where}). ` +
        "Set tajo.catalog.store.class and tajo.catalog.uri alike on all masters (DerbyStore is one master's alone: for several take SharedStore, PostgreSQLStore or MariaDBStore); to change the whole cluster's catalog stop all masters and run 'tajo haadmin -formatHA'",
    )
  }
  return theirs
}

async function joinSecret(disk: Disk, clock: Clock, setup: Setup): Promise<string> {
  const made = await disk.create('setup', SECRET_FILE, `${setup.fresh.secret}\n`)
  if (made === 'created') return setup.fresh.secret
  const secret = (await readWhole(disk, clock, SECRET_FILE)).trim()
  if (secret.length >= 32) return secret
  throw new HaError(
    'BAD_DIRECTORY',
    `${setup.directory}/${SECRET_FILE} is torn or foreign (${secret.length} characters): stop all masters, remove it and start again`,
  )
}

/** Another master may be between its create and its write: a text without its last line end is read again for a while. */
async function readWhole(disk: Disk, clock: Clock, path: string): Promise<string> {
  for (let tries = 0; ; tries += 1) {
    const text = await disk.read('setup', path)
    if (text !== 'missing' && (text.endsWith('\n') || tries === 20)) return text
    if (text === 'missing' && tries === 20) return ''
    await new Promise<void>((done) => clock.after(25, done))
  }
}

/**
 * Two masters under one name would unlink each other's files. Rejects ADDRESS_IN_USE when a live master has `self`'s
 * address: its process runs on this host, or its heartbeat moves while we watch.
 */
export async function refuseSameAddress(
  ports: { disk: Disk; clock: Clock; processes: Processes },
  self: Holder,
  timing: Timing,
): Promise<void> {
  const { disk, processes } = ports
  for (const { holder, path } of await namesakes(disk, self)) {
    const verdict = processes.verdict(holder.master)
    const alive =
      verdict === 'alive' ||
      (verdict === 'unknown' && (await moves(ports, path, slowest(holder, timing))))
    if (alive) {
      throw new HaError(
        'ADDRESS_IN_USE',
        `another master uses the address ${self.address}: pid ${holder.master.pid} on ${holder.hostname}, since ${holder.startedAt}. Give each master its own tajo.master.umbilical-rpc.address, or its own line in conf/masters`,
      )
    }
  }
}

async function namesakes(disk: Disk, self: Holder): Promise<{ holder: Holder; path: string }[]> {
  const found: { holder: Holder; path: string }[] = []
  const isOther = (h: Holder | null): h is Holder =>
    h !== null && h.address === self.address && h.nonce !== self.nonce
  const backup = await disk.read('setup', backupFile(self.address))
  const holder = backup === 'missing' ? null : decodeHolder(backup)
  if (isOther(holder)) found.push({ holder, path: backupFile(self.address) })
  const names = await disk.list('setup', ACTIVE_DIR)
  const terms = names === 'missing' ? [] : names.map(termOf).filter((term) => term !== null)
  const newest = Math.max(0, ...terms)
  const text = newest === 0 ? 'missing' : await disk.read('setup', claimFile(newest))
  const claim = text === 'missing' ? null : decodeClaim(text)
  if (claim?.state === 'open' && isOther(claim.holder)) {
    found.push({ holder: claim.holder, path: heartbeatFile(newest) })
  }
  return found
}

/** A namesake beats by its own periods. */
const slowest = ({ periods }: Holder, { renewMs, pollMs }: Timing): Beat => ({
  renewMs: Math.max(renewMs, periods?.renewMs ?? 0),
  pollMs,
})
type Beat = Pick<Timing, 'renewMs' | 'pollMs'>

/** Watches one heartbeat for two and a half of a backup's renewal periods, or until it moves. */
async function moves(
  { disk, clock }: { disk: Disk; clock: Clock },
  path: string,
  { renewMs, pollMs }: Beat,
): Promise<boolean> {
  const first = await disk.glimpse('setup', path)
  if (first === 'missing' || releaseOf(first.mtimeMs) !== 'no') return false
  const untilMs = clock.nowMs() + 5 * renewMs
  while (clock.nowMs() < untilMs) {
    await new Promise<void>((done) => clock.after(pollMs, done))
    const next = await disk.glimpse('setup', path)
    if (next === 'missing') return false
    if (next.mtimeMs !== first.mtimeMs) return releaseOf(next.mtimeMs) === 'no'
  }
  return false
}
