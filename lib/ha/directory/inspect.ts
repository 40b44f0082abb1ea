/**
 * What the shared directory says by itself, for tools that must work when every master is down. Read-only; concludes
 * nothing that a watch of the given length doesn't show.
 */
import type { DirectoryPicture, HistoryEntry, InspectedMaster } from '../member/member-api.ts'
import { viewOf } from '../rules/picture.ts'
import type { Pulse, Seen } from '../rules/watch.ts'
import { HaError } from '../words/errors.ts'
import {
  ACTIVE_DIR,
  type Addresses,
  CLUSTER_FILE,
  type Holder,
  releaseOf,
  SECRET_FILE,
} from '../words/layout.ts'
import { realClock } from '../world/clock.ts'
import { openDisk } from '../world/disk.ts'
import { fileSystemOf, nearestExisting } from '../world/file-system.ts'
import { hostProcesses } from '../world/processes.ts'
import { decodeCluster } from './decode.ts'
import { readHistory, servedRecord, servedTerms } from './history.ts'
import { Looker } from './look.ts'
import { readPast } from './past.ts'
import { type Peer, Peers } from './peers.ts'

/**
 * Watches a directory for `watchMs` and tells who lives there; with 0 it is one glance, from which nobody's silence is known.
 * Nothing is written. Rejects with DiskError where the directory can't be read, HaError BAD_DIRECTORY where its cluster file
 * is torn, foreign or of a newer version.
 */
export async function inspectDirectory(
  directory: string,
  { watchMs }: { watchMs: number },
): Promise<DirectoryPicture> {
  const disk = openDisk(directory)
  const processes = hostProcesses()
  const looker = new Looker(disk, processes, null)
  const peers = new Peers(disk, realClock, processes)
  const text = await disk.read('inspect', CLUSTER_FILE)
  const cluster = text === 'missing' ? null : decodeCluster(text, `${directory}/${CLUSTER_FILE}`)
  if (cluster === null) {
    const [newest] = await readHistory(disk, 1)
    const epoch = newest?.term.term ?? 0
    const problem = await withStorage(directory, `${directory} ${whyNoCluster(newest)}`)
    return { clusterId: null, catalog: null, epoch, masters: [], problem }
  }
  await peers.scan()
  const first = await looker.look()
  await new Promise<void>((done) => realClock.after(watchMs, done))
  await peers.scan()
  const last = await looker.look()
  const nowMs = realClock.nowMs()
  const holder = last.holder === null ? [] : [holderOf(last.holder, first, last, watchMs)]
  const backups = peers
    .all()
    .filter((peer) => holder[0]?.pulse !== 'live' || peer.holder.address !== holder[0].address)
    .map((peer) => backupOf(peer, nowMs))
  const masters = [...holder, ...backups]
  const problem = problemOf(last, holder[0] ?? null, watchMs)
  return {
    clusterId: cluster.clusterId,
    catalog: cluster.catalog,
    epoch: last.newest,
    masters,
    problem: problem === null ? null : await withStorage(directory, problem),
  }
}

/** What is wrong with the storage comes first: nothing else can be mended before it. */
async function withStorage(directory: string, problem: string): Promise<string> {
  const trouble = await storageTrouble(directory)
  return trouble === null ? problem : `${trouble}; ${problem}`
}

/** Below this no claim finds room. */
const LEAST_BYTES = 64 * 1024
const LEAST_FILES = 16

/** What keeps everybody from claiming a term, as far as the mount says it, where the directory is or would be made. */
async function storageTrouble(directory: string): Promise<string | null> {
  const { isReadOnly, mountPoint } = await fileSystemOf(directory)
  const where = `the file system of ${directory} (mounted at ${mountPoint})`
  if (isReadOnly) return `${where} is read-only (EROFS)`
  const { freeBytes, freeFiles } = await openDisk(await nearestExisting(directory)).space()
  if (freeBytes < LEAST_BYTES) return `${where} is full: ${freeBytes} bytes are left`
  if (freeFiles !== null && freeFiles < LEAST_FILES) {
    return `${where} is full: ${freeFiles} inodes are left`
  }
  return null
}

/** Where there is no cluster file: formatting removes it, and the history stays. */
function whyNoCluster(newest: HistoryEntry | undefined): string {
  if (newest === undefined)
    return 'holds no HA directory: no master has been started on it, or it was removed'
  if (newest.term.reason === 'format') return 'was formatted; no master has been started since'
  return `has lost its ${CLUSTER_FILE}: the active master puts it back within a monitor interval; where none is left, put it back from a backup, or run 'tajo haadmin -formatHA' when all masters are stopped`
}

function holderOf(holder: Holder, first: Seen, last: Seen, watchMs: number): InspectedMaster {
  const before = beatOf(first, last.holderTerm)
  const after = beatOf(last, last.holderTerm)
  const moved = before !== null && after !== null && before.mtimeMs !== after.mtimeMs
  const released = after?.mtimeMs != null && releaseOf(after.mtimeMs) !== 'no'
  const pulse = released ? 'released' : moved ? 'live' : 'silent'
  const ageMs = moved ? 0 : watchMs
  return { ...viewOf(holder, 'active', ageMs), pulse, epoch: last.holderTerm }
}

const beatOf = (seen: Seen, term: number): Pulse | null =>
  seen.pulses.find((pulse) => pulse.term === term) ?? null

function backupOf(peer: Peer, nowMs: number): InspectedMaster {
  const live = peer.process !== 'dead' && (peer.moved || peer.process === 'alive')
  const view = viewOf(peer.holder, 'backup', nowMs - peer.sinceMs)
  return { ...view, pulse: live ? 'live' : 'silent', epoch: null }
}

function problemOf(seen: Seen, holder: InspectedMaster | null, watchMs: number): string | null {
  if (seen.newest === 0) return 'no master has ever been active here'
  // At a glance nobody's silence is known.
  if (watchMs === 0 && !seen.holderDead && holder?.pulse === 'silent') return null
  if (holder === null) {
    return `term ${seen.newest} has no holder: its claim was not finished, or its files were removed`
  }
  if (holder.pulse === 'live') return null
  const who = `the last active master ${holder.address} (term ${holder.epoch})`
  if (holder.pulse === 'released') return `${who} released its term, and no other has claimed one`
  if (seen.holderDead) return `${who} is dead: its process is gone from this host`
  return `${who} has not renewed its heartbeat for ${Math.round(watchMs)} ms`
}

/**
 * Where the masters listen that the directory knows, living or not: one look, which concludes nothing. None before the
 * first master has joined. Rejects with DiskError.
 */
export async function readMembers(directory: string): Promise<readonly Addresses[]> {
  const disk = openDisk(directory)
  if ((await disk.list('inspect', ACTIVE_DIR)) === 'missing') return []
  const processes = hostProcesses()
  const peers = new Peers(disk, realClock, processes)
  await peers.scan()
  const { holder } = await new Looker(disk, processes, null).look()
  const backups = peers.all().map((peer) => peer.holder)
  const all = holder === null ? backups : [holder, ...backups]
  // formatHA's mark listens nowhere.
  return all.map(({ addresses }) => addresses).filter(({ umbilical }) => umbilical !== '')
}

/**
 * Tells how the newest `limit` terms began and served, newest first. Numbers that nobody ever held are left out, and where
 * there are many, old ones that never served. A directory without a history has none. Rejects with DiskError.
 */
export const readDirectoryHistory = (directory: string, limit: number): Promise<HistoryEntry[]> =>
  readHistory(openDisk(directory), limit)

/**
 * The terms up to `upTo` that have served, newest first (`served`), and whether any below it has left a record (`recorded`).
 * Rejects with DiskError.
 */
export const readServedTerms = (
  directory: string,
  upTo: number,
): Promise<{ recorded: boolean; served: number[] }> => servedTerms(openDisk(directory), upTo)

/**
 * Tells what the service kept under a term, in its own words, and whether the term was a format's. `note` is null where the
 * service told nothing or the term has not served. Rejects with DiskError.
 */
export const readServedRecord = (
  directory: string,
  term: number,
): Promise<{ note: string | null; isFormat: boolean }> => servedRecord(openDisk(directory), term)

/**
 * The cluster's id, or null where no master has been started yet. Rejects with DiskError, or HaError BAD_DIRECTORY where the
 * cluster file is torn, foreign or of a newer version.
 */
export async function readClusterId(directory: string): Promise<string | null> {
  const text = await openDisk(directory).read('inspect', CLUSTER_FILE)
  return text === 'missing' ? null : decodeCluster(text, `${directory}/${CLUSTER_FILE}`).clusterId
}

/** The daemons' shared secret, or null where no master has been started yet. Rejects with DiskError (EACCES …). */
export async function readSecret(directory: string): Promise<string | null> {
  const text = await openDisk(directory).read('inspect', SECRET_FILE)
  return text === 'missing' ? null : text.trim()
}

/**
 * It is asked by a master that uses the directory alone and finds no file `name` there. It resolves where that may be made, to
 * the cluster's id that a format has kept, or null where there is none. Rejects with HaError BAD_DIRECTORY where terms have
 * been and no format came after them, since that file was removed then. Else it rejects with DiskError.
 */
export async function requireNew(directory: string, name: string): Promise<string | null> {
  const { newest, mark } = await readPast(openDisk(directory), 'inspect')
  if (newest === 0 || mark !== null) return mark?.clusterId ?? null
  throw new HaError(
    'BAD_DIRECTORY',
    `${directory} has terms of masters with high availability (the newest is ${newest}), but its ${name} is gone: it was removed. Put it back from a backup, or run 'tajo haadmin -formatHA', which keeps the catalog, the history and the cluster's id`,
  )
}
