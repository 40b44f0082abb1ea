/**
 * Makes or joins an HA directory. What is there already is never changed: a directory of a newer version, of other
 * software, or of a cluster with another catalog is refused with both sides named.
 *
 * cluster.json and the secret are made where no term has ever been, and after a format. Everywhere else their absence
 * means that they were removed: the holder puts them back, or the start is refused.
 */
import { periodsOf } from '../rules/periods.ts'
import type { Timing } from '../rules/timing.ts'
import { advance, newWatch, verdictOf } from '../rules/watch.ts'
import { DiskError, HaError, messageOf } from '../words/errors.ts'
import {
  ACTIVE_DIR,
  BACKUP_DIR,
  type CatalogName,
  CLUSTER_FILE,
  type ClusterFile,
  encode,
  FORMAT_VERSION,
  HISTORY_DIR,
  isSecret,
  NEXT_CLUSTER_FILE,
  SECRET_FILE,
  type TermRecord,
} from '../words/layout.ts'
import { pause } from '../world/clock.ts'
import type { Clock, Disk, Processes } from '../world/ports.ts'
import { decodeCluster, decodeClusterLoosely, generationOf, refuseNewer } from './decode.ts'
import type { Looker } from './look.ts'
import { migrate, sweepLeftovers } from './migrate.ts'
import { newestIdentity, type Past, readPast } from './past.ts'
import { describeCatalog } from './refusals.ts'
import { readWhole } from './whole.ts'

export interface Setup {
  readonly directory: string
  readonly catalog: CatalogName
  /** The newest term in which a catalog beside the directory has been served; 0 for none, or where that can't be told. */
  readonly catalogTerm: number
  /** The cluster that the catalog says it belongs to; left out or null: to none, or nobody could tell. */
  readonly catalogCluster?: string | null
  readonly fresh: { readonly clusterId: string; readonly secret: string }
  readonly createdAt: string
  readonly timing: Timing
}

interface SetupPorts {
  readonly disk: Disk
  readonly clock: Clock
  readonly processes: Processes
  readonly looker: Looker
}

/** What a master knows of the directory that it joined. */
export interface Membership {
  readonly clusterId: string
  readonly secret: string
  readonly cluster: ClusterFile
  /** The highest number that was taken before. */
  readonly newest: number
}

/** Rejects BAD_DIRECTORY, BAD_STORAGE or CATALOG_DIFFERS. */
export async function joinDirectory(ports: SetupPorts, setup: Setup): Promise<Membership> {
  const { disk } = ports
  try {
    const past = await readPast(disk, 'setup')
    const known = await knownId(disk, past)
    refuseForeignCatalog(known, setup)
    refuseLostTerms(past, known, setup)
    for (const name of [ACTIVE_DIR, BACKUP_DIR, HISTORY_DIR]) await disk.makeDirs('setup', name)
    const cluster = await joinCluster(ports, setup, past)
    const secret = await joinSecret(ports, setup, past)
    return { clusterId: cluster.clusterId, secret, cluster, newest: past.newest }
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
    throw new HaError(
      'BAD_STORAGE',
      `the HA directory ${setup.directory} can't be used: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

/** The cluster that the directory is known to be: by its terms, and before the first one by cluster.json. */
async function knownId(disk: Disk, { newest, mark }: Past): Promise<string | null> {
  const named = newest === 0 ? null : (mark ?? (await newestIdentity(disk, 'setup')))
  if (named?.clusterId !== undefined) return named.clusterId
  const names = await disk.list('setup', '.')
  if (names === 'missing' || !names.includes(CLUSTER_FILE)) return null
  const text = await disk.read('setup', CLUSTER_FILE)
  return text === 'missing' ? null : (decodeClusterLoosely(text)?.clusterId ?? null)
}

/** Two clusters with one catalog would count the same terms beside each other. */
function refuseForeignCatalog(
  known: string | null,
  { directory, catalog, catalogCluster = null }: Setup,
): void {
  if (known === null || catalogCluster === null || known === catalogCluster) return
  throw new HaError(
    'CATALOG_DIFFERS',
    `the catalog ${describeCatalog(catalog)} belongs to cluster ${catalogCluster}, and this is cluster ${known} (${directory}): two clusters can't share one. Set tajo.catalog.uri (or tajo.rootdir) to this cluster's own; or, when no master of that cluster lives any more, take it over: 'tajo catalog dump FILE', then 'tajo catalog load FILE --force'`,
  )
}

/**
 * The catalog has been served under terms of which nothing is left here: the directory, or the terms in it, were removed.
 * A cluster that began anew would use their numbers again, under another id. (A catalog of term 1 that belongs to nobody may
 * have been loaded before the first start; one of ours was a single master's.)
 */
function refuseLostTerms({ newest }: Past, known: string | null, setup: Setup): void {
  const { directory, catalog, catalogTerm, catalogCluster = null, fresh } = setup
  const isOwn = catalogCluster === null || catalogCluster === (known ?? fresh.clusterId)
  if (catalogTerm <= Math.max(newest, isOwn ? 1 : 0)) return
  const left = newest === 0 ? 'nothing is left of any term' : `the newest term is ${newest}`
  const whose = catalogCluster === null ? '' : ` by cluster ${catalogCluster}`
  const wrong = isOwn
    ? ''
    : "Where that is another cluster than this master's, set tajo.catalog.uri to one of its own. Otherwise "
  throw new HaError(
    'BAD_DIRECTORY',
    `the catalog ${describeCatalog(catalog)} was served${whose} in term ${catalogTerm}, but in ${directory} ${left}. ${wrong}${isOwn ? 'T' : 't'}he HA directory, or its terms, were removed: put it back from a backup, or stop all masters and run 'tajo haadmin -formatHA', which keeps the catalog and the cluster's id and goes on above that term`,
  )
}

async function joinCluster(ports: SetupPorts, setup: Setup, past: Past): Promise<ClusterFile> {
  const { disk } = ports
  const { directory, timing } = setup
  const where = `${directory}/${CLUSTER_FILE}`
  const theirs =
    (await interruptedMigration(disk)) ??
    (await newCluster(ports, setup, past)) ??
    (await putBack(ports, timing, () => wholeCluster(disk, where, past)))
  const known = await knownId(disk, past)
  if (theirs === null) throw await replacedFile(disk, known, { setup, past })
  if (known !== null && theirs.clusterId !== known) {
    throw foreignFile(theirs.clusterId, known, setup)
  }
  requireSameCatalog(setup.catalog, theirs.catalog, where)
  if (theirs.format >= FORMAT_VERSION) {
    await sweepLeftovers(disk)
    return theirs
  }
  const { clusterId: nonce, secret } = setup.fresh
  return migrate(ports, { directory, file: theirs, nonce, secret, timing })
}

/** What a migration that was interrupted has left in the place of cluster.json. */
async function interruptedMigration(disk: Disk): Promise<ClusterFile | null> {
  const names = await disk.list('setup', '.')
  if (names === 'missing' || names.includes(CLUSTER_FILE)) return null
  if (!names.includes(NEXT_CLUSTER_FILE)) return null
  const text = await disk.read('setup', NEXT_CLUSTER_FILE)
  const next = text === 'missing' ? null : decodeClusterLoosely(text)
  if (next === null) return null
  await disk.create('setup', CLUSTER_FILE, encode(next))
  await disk.unlink('setup', NEXT_CLUSTER_FILE)
  return next
}

/**
 * Where no term has ever been, and where a format's mark says that one begins; null everywhere else. Of several that
 * start at once one makes it, and the others read what it made: the create has told them that it is there.
 */
async function newCluster(
  { disk, clock }: SetupPorts,
  setup: Setup,
  { newest, mark }: Past,
): Promise<ClusterFile | null> {
  if (newest > 0 && mark === null) return null
  if (mark !== null) await removeOlder(disk, mark)
  const ours: ClusterFile = {
    format: FORMAT_VERSION,
    clusterId: mark?.clusterId ?? setup.fresh.clusterId,
    generation: mark === null ? 1 : generationOf(mark),
    catalog: setup.catalog,
    createdAt: setup.createdAt,
  }
  if ((await disk.create('setup', CLUSTER_FILE, encode(ours))) === 'created') return ours
  const text = await readWhole(disk, clock, CLUSTER_FILE)
  return decodeCluster(text, `${setup.directory}/${CLUSTER_FILE}`)
}

/** Removes the older file: a format was interrupted before that, or the holder that it ended has put it back. */
async function removeOlder(disk: Disk, mark: TermRecord): Promise<void> {
  const text = await disk.read('setup', CLUSTER_FILE)
  const file = text === 'missing' ? null : decodeClusterLoosely(text)
  if (file !== null && generationOf(file) < generationOf(mark)) {
    await disk.unlink('setup', CLUSTER_FILE)
  }
}

/**
 * Null where there is none, and where what is there is no cluster file, or names another cluster than the terms do: the
 * holder may still mend it.
 */
async function wholeCluster(disk: Disk, where: string, past: Past): Promise<ClusterFile | null> {
  const names = await disk.list('setup', '.')
  if (names === 'missing' || !names.includes(CLUSTER_FILE)) return null
  const text = await disk.read('setup', CLUSTER_FILE)
  if (text === 'missing') return null
  refuseNewer(text, where)
  const file = decodeClusterLoosely(text)
  const known = await knownId(disk, past)
  return file?.clusterId === known ? file : null
}

function requireSameCatalog(ours: CatalogName, theirs: CatalogName, where: string): void {
  if (theirs.class === ours.class && theirs.uri === ours.uri) return
  throw new HaError(
    'CATALOG_DIFFERS',
    `this master is configured with another catalog than its cluster: here ${describeCatalog(ours)}, in the cluster ${describeCatalog(theirs)} (${where}). ` +
      "Set tajo.catalog.store.class and tajo.catalog.uri alike on all masters (DerbyStore is one master's alone: for several take SharedStore, PostgreSQLStore or MariaDBStore); to change the whole cluster's catalog stop all masters and run 'tajo haadmin -formatHA'",
  )
}

async function joinSecret(ports: SetupPorts, setup: Setup, past: Past): Promise<string> {
  const { disk } = ports
  const mayMake = past.newest === 0 || past.mark !== null
  if (mayMake) {
    const made = await disk.create('setup', SECRET_FILE, `${setup.fresh.secret}\n`)
    if (made === 'created') return setup.fresh.secret
    const secret = (await readWhole(disk, ports.clock, SECRET_FILE)).trim()
    if (isSecret(secret)) return secret
    throw new HaError(
      'BAD_DIRECTORY',
      `${setup.directory}/${SECRET_FILE} is torn or foreign (${secret.length} characters): stop all masters, remove it and start again`,
    )
  }
  const secret = await putBack(ports, setup.timing, () => wholeSecret(disk))
  if (secret !== null) return secret
  throw lostFile(SECRET_FILE, setup, past)
}

async function wholeSecret(disk: Disk): Promise<string | null> {
  const names = await disk.list('setup', '.')
  if (names === 'missing' || !names.includes(SECRET_FILE)) return null
  const text = await disk.read('setup', SECRET_FILE)
  const secret = text === 'missing' ? '' : text.trim()
  return isSecret(secret) ? secret : null
}

/**
 * The holder of the role puts back what was removed (upkeep.ts), once a monitor interval: it is waited for as long
 * as one lives, or may be coming. Null when nobody did.
 */
async function putBack<T>(
  { clock, looker }: SetupPorts,
  timing: Timing,
  attempt: () => Promise<T | null>,
): Promise<T | null> {
  const startedMs = clock.nowMs()
  const own = periodsOf(timing)
  let watch = newWatch(startedMs, own)
  let livedMs = startedMs
  for (;;) {
    const found = await attempt()
    const nowMs = clock.nowMs()
    if (found !== null) return found
    if (nowMs - livedMs >= timing.monitorMs || nowMs - startedMs >= 4 * timing.monitorMs)
      return null
    const seen = await looker.look()
    watch = advance(
      watch,
      seen,
      { startedMs: nowMs, finishedMs: clock.nowMs() },
      { own, pace: null },
    )
    if (verdictOf(watch, clock.nowMs(), timing).is === 'live') livedMs = clock.nowMs()
    await pause(clock, timing.pollMs)
  }
}

/** Why there is no cluster file to go by. */
async function replacedFile(
  disk: Disk,
  known: string | null,
  { setup, past }: { readonly setup: Setup; readonly past: Past },
): Promise<HaError> {
  const text = await disk.read('setup', CLUSTER_FILE)
  const file = text === 'missing' ? null : decodeClusterLoosely(text)
  if (file === null || known === null) return lostFile(CLUSTER_FILE, setup, past)
  return foreignFile(file.clusterId, known, setup)
}

const foreignFile = (named: string, known: string, { directory }: Setup): HaError =>
  new HaError(
    'BAD_DIRECTORY',
    `${directory}/${CLUSTER_FILE} names cluster ${named}, but the terms in ${HISTORY_DIR}/ beside it are those of cluster ${known}, and no active master has put it back: one of the two was overwritten, or copied from another cluster. Put back what was there, or stop all masters and run 'tajo haadmin -formatHA', which keeps the catalog, the history and the id ${known}`,
  )

function lostFile(name: string, { directory }: Setup, { newest, record }: Past): HaError {
  const last = record === null ? '' : `, by ${record.address}`
  return new HaError(
    'BAD_DIRECTORY',
    `${directory} has terms (the newest is ${newest}${last}), but its ${name} is gone, torn or foreign, and no active master has put it back: it was removed or overwritten, or this mount does not show what another host has written ('tajo haadmin -checkSharedDir --peer HOST' tells). Put it back from a backup, or stop all masters and run 'tajo haadmin -formatHA', which keeps the catalog, the history and the cluster's id`,
  )
}
