/**
 * formatHA clears the HA directory without ever lowering the term.
 *
 * It is a take-over too: it claims the next term in the tool's name and ends all below, so that a master which was cut
 * off and comes back meets its end. Only then are the old terms, the backups' files, the cluster file and the secret
 * removed. The tool's own term stays, released, as the number that the next master counts from, and as the mark by which
 * masters tell a format from damage: its record keeps the cluster's id and counts its generation. The history stays as
 * well: it is what keeps used numbers used (claim.ts).
 */
import { randomUUID } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import type { Timing } from '../rules/timing.ts'
import { HaError } from '../words/errors.ts'
import {
  ACTIVE_DIR,
  BACKUP_DIR,
  CLUSTER_FILE,
  encode,
  endFile,
  HISTORY_DIR,
  heartbeatFile,
  NEXT_CLUSTER_FILE,
  RELEASED_MTIME_MS,
  SECRET_FILE,
  type TermRecord,
  termOf,
} from '../words/layout.ts'
import { realClock } from '../world/clock.ts'
import { openDisk } from '../world/disk.ts'
import type { Disk, Log } from '../world/ports.ts'
import { claimTerm, newAttempt } from './claim.ts'
import { decodeClusterLoosely, generationOf, refuseNewer } from './decode.ts'
import { endBelow } from './end-below.ts'
import { judgeMembers } from './live-members.ts'
import { newestIdentity } from './past.ts'
import { removeAllReserves } from './reserve-leftovers.ts'
import { recordServed, toolHolder } from './tool-term.ts'
import { sweepTerm } from './void-terms.ts'

/** How a directory is formatted. */
export interface FormatOptions {
  /** By which it is judged whether masters live. */
  readonly timing: Timing
  /** Who asks, for the history. */
  readonly by: string
  /** The newest term of which a catalog stands beside the directory, 0 for none: the format goes above it. */
  readonly catalogTerm?: number
  /** The cluster that the catalog says it belongs to: the last thing that may still tell the id. */
  readonly catalogCluster?: string | null
  /** Hears what is waited for. */
  readonly log: Log
}

/**
 * Clears an HA directory, which keeps its history and the cluster's id. `epoch` is the term under which that was done: the next
 * master's is above it. Rejects with HaError UNSAFE naming the masters that live, or when another master claims meanwhile. It
 * rejects with BAD_DIRECTORY where the directory is missing or of a newer version, and else with DiskError.
 */
export async function formatDirectory(
  directory: string,
  { timing, by, log, catalogTerm = 0, catalogCluster = null }: FormatOptions,
): Promise<{ epoch: number }> {
  const disk = openDisk(directory)
  await refuseUnknown(disk, directory)
  for (const name of [ACTIVE_DIR, BACKUP_DIR, HISTORY_DIR]) await disk.makeDirs('setup', name)
  const { live, newest } = await judgeMembers(disk, timing)
  if (live.length > 0) {
    throw new HaError(
      'UNSAFE',
      `masters are alive: ${live.join(', ')}. Stop them first (sbin/stop-tajo.sh)`,
    )
  }
  const term = Math.max(newest, catalogTerm) + 1
  const cluster = await clusterAfter(disk, catalogCluster)
  const record = await takeTerm(disk, { term, newest, by, timing, log, cluster })
  const names = await disk.list('sweep', ACTIVE_DIR)
  const terms = (names === 'missing' ? [] : names).map(termOf)
  for (const old of terms) if (old !== null && old < term) await sweepTerm(disk, old, record)
  const backups = await disk.list('sweep', BACKUP_DIR)
  for (const name of backups === 'missing' ? [] : backups) {
    await disk.unlink('sweep', `${BACKUP_DIR}/${name}`)
  }
  await disk.unlink('sweep', CLUSTER_FILE)
  await disk.unlink('sweep', NEXT_CLUSTER_FILE)
  await disk.unlink('sweep', SECRET_FILE)
  return { epoch: term }
}

/** A directory that isn't there may be a share that isn't mounted; a newer version's files can't be judged. */
async function refuseUnknown(disk: Disk, directory: string): Promise<void> {
  if ((await disk.list('setup', '.')) === 'missing') {
    throw new HaError('BAD_DIRECTORY', `${directory} does not exist: there is nothing to format`)
  }
  const text = await disk.read('setup', CLUSTER_FILE)
  // Torn or foreign is what formatting is for.
  if (text !== 'missing') refuseNewer(text, `${directory}/${CLUSTER_FILE}`)
}

interface Take extends FormatOptions {
  readonly term: number
  readonly newest: number
  readonly cluster: Pick<TermRecord, 'clusterId' | 'generation'>
}

/**
 * The id stays: balancers and clients know the cluster by it. The terms know it best, as cluster.json may be what was
 * overwritten. Nothing where no term, no file and no catalog tells it.
 */
async function clusterAfter(disk: Disk, ofCatalog: string | null): Promise<Take['cluster']> {
  const text = await disk.read('setup', CLUSTER_FILE)
  const file = text === 'missing' ? null : decodeClusterLoosely(text)
  const known = await newestIdentity(disk, 'setup')
  const clusterId = known?.clusterId ?? file?.clusterId ?? ofCatalog ?? undefined
  const generation = 1 + Math.max(generationOf(file ?? {}), generationOf(known ?? {}))
  return clusterId === undefined ? {} : { clusterId, generation }
}

/** Gives the term's record. */
async function takeTerm(
  disk: Disk,
  { term, newest, by, timing, log, cluster }: Take,
): Promise<TermRecord> {
  const nonce = randomUUID()
  const record: TermRecord = {
    term,
    address: 'formatHA',
    hostname: hostname(),
    nonce,
    reason: 'format',
    evidence: 'no master was alive',
    orderedBy: by,
    previousTerm: newest,
    previousAddress: null,
    at: new Date().toISOString(),
    ...cluster,
  }
  const won = await claimTerm(disk, {
    holder: toolHolder(record),
    attempt: newAttempt(record),
    onHeartbeat: () => {},
    // No master lives that could need its own.
    makeRoom: () => removeAllReserves(disk),
  })
  if (!won.won)
    throw new HaError('UNSAFE', `another master claimed term ${term} meanwhile: ${won.why}`)
  const pause = async (why: string): Promise<void> => {
    log('warn', `waiting: ${why}`, { event: 'ending-waits' })
    await new Promise<void>((done) => realClock.after(timing.pollMs, done))
  }
  const { settleMs } = timing
  await endBelow(disk, { term, nonce, provenTerm: null, basis: [], settleMs, pause })
  const end = { reason: 'stopped', by: userInfo().username, successor: null, at: record.at }
  await disk.create('release', endFile(term), encode(end))
  await recordServed(disk, record)
  // By path, as a renewal: nothing is removed under a term that another one has ended.
  const held = await disk.touch('release', heartbeatFile(term), RELEASED_MTIME_MS)
  if (held !== 'touched') {
    throw new HaError('UNSAFE', `another master took over from term ${term} meanwhile: try again`)
  }
  return record
}
