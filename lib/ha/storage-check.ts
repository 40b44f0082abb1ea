/**
 * Whether a directory can carry the protocol. Two depths:
 *
 * - `quickCheck`, at every start: refuses what is wrong beyond doubt, in some hundred calls from this host alone.
 * - `checkStorage`, for `-checkSharedDir`: every operation that the protocol rests on, measured, and with a peer on another
 *   host what only two hosts can show: races, the fence, freshness. One host alone can't prove a mount good.
 *
 * Both work in a scratch directory `check-…` inside the directory and remove it.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  below,
  type Finding,
  newScratchName,
  percentile,
  removeScratch,
  runTrials,
  type StorageCheck,
  within,
} from './check-kit.ts'
import { connectPeer, type PeerLines } from './check-link.ts'
import { openDisk } from './disk.ts'
import { DiskError, HaError, messageOf } from './errors.ts'
import { type FileSystem, fileSystemOf, mountWarnings } from './file-system.ts'
import type { Disk } from './ports.ts'
import {
  exclusiveCreate,
  fileSystemTrial,
  hereTrials,
  listing,
  refusalOf,
  renewal,
  reservedTimes,
  type Space,
  unlinkEnds,
} from './storage-trials.ts'
import { peerTrials } from './storage-trials-peer.ts'
import { smallestMonitorMs } from './timing.ts'

export type { StorageCheck } from './check-kit.ts'
export type { PeerLines } from './check-link.ts'

/** A check that takes longer hangs. An NFS server that was just restarted lets nobody create for up to 90 s. */
const TRIAL_LIMIT_MS = 30_000

export interface StorageReport {
  /** True when every check passed. */
  readonly ok: boolean
  readonly fileSystem: FileSystem
  readonly checks: readonly StorageCheck[]
  /** The smallest step of an mtime that is kept; null when it could not be measured. */
  readonly granularityMs: number | null
  /** 95th percentile of the slowest of renewal, look and create, on either host; null when not measured. */
  readonly p95Ms: number | null
  /** The smallest monitor interval for that latency. */
  readonly smallestMonitorMs: number | null
}

export interface CheckStorageOptions {
  /** Absolute path of the HA directory. It is made when missing. */
  readonly directory: string
  /** Line streams of a `check-peer.ts` that was started on the other host with the same directory. */
  readonly peer?: PeerLines
  /** Masters of other hosts are to use it: a local file system can't carry them. A peer says so by itself. */
  readonly severalHosts?: boolean
}

/** Runs all checks. Rejects HaError BAD_STORAGE where not even a scratch directory can be made, TIMEOUT where that hangs. */
export async function checkStorage(options: CheckStorageOptions): Promise<StorageReport> {
  const { directory, peer, severalHosts = false } = options
  // Listened to from the start: a stream of lines that ends unheard never seems to end.
  const link = peer === undefined ? null : connectPeer(peer, TRIAL_LIMIT_MS)
  const disk = openDisk(directory)
  const scratch = newScratchName()
  const prepared = inWords(directory, async () => {
    const kind = await fileSystemOf(directory)
    await disk.makeDirs('check', scratch)
    return kind
  })
  const fileSystem = await within(TRIAL_LIMIT_MS, directory, prepared)
  const space = spaceIn(disk, directory, scratch)
  const trials = [fileSystemTrial(fileSystem, severalHosts || link !== null), ...hereTrials(space)]
  if (link !== null) trials.push(...peerTrials({ ...space, scratch, link }))
  const { checks, hangs } = await runTrials(trials, TRIAL_LIMIT_MS)
  if (!hangs) await removeScratch(disk, scratch)
  const worst = Math.max(0, ...space.measured.p95Ms)
  const p95Ms = worst > 0 ? worst : null
  return {
    ok: checks.every((check) => check.ok),
    fileSystem,
    checks,
    granularityMs: space.measured.granularityMs,
    p95Ms,
    smallestMonitorMs: p95Ms === null ? null : smallestMonitorMs(p95Ms),
  }
}

export interface QuickCheck {
  readonly granularityMs: number
  /** Half of the renewals tried took no longer. Starts come together on a busy cluster: the slowest say little. */
  readonly medianMs: number
  /** 95th percentile of a renewal. */
  readonly p95Ms: number
  /** True when file events tell nothing about other hosts: everything but a known local file system. */
  readonly network: boolean
  readonly fsType: string
  /** Mount options that endanger the lease: a sentence each. */
  readonly warnings: readonly string[]
}

/**
 * What every start checks, in a few dozen milliseconds. `disk` is the one of `directory`, which is made when missing.
 * Rejects HaError BAD_STORAGE with the reason and the way out.
 */
export async function quickCheck(
  disk: Disk,
  directory: string,
  options: { readonly severalHosts: boolean },
): Promise<QuickCheck> {
  const fileSystem = await inWords(directory, () => fileSystemOf(directory))
  const refusal = refusalOf(fileSystem, options.severalHosts)
  if (refusal !== null) throw unusable(directory, refusal)
  const scratch = newScratchName()
  const space = spaceIn(disk, directory, scratch)
  await inWords(directory, () => disk.makeDirs('check', scratch))
  try {
    await demand(directory, 'an exclusive create is not exclusive', exclusiveCreate(space, 2))
    const beat = await demand(directory, 'a renewal is not kept', renewal(space, 40))
    await demand(directory, 'a release is not kept', reservedTimes(space))
    await demand(directory, 'an unlink does not end renewals', unlinkEnds(space, 2))
    await demand(directory, 'listings are not fresh', listing(space, 1))
    await removeScratch(disk, scratch)
    return {
      granularityMs: space.measured.granularityMs ?? 0,
      medianMs: percentile(beat.samples ?? [], 0.5) ?? 0,
      p95Ms: Math.max(0, ...space.measured.p95Ms),
      network: fileSystem.sharing !== 'local',
      fsType: fileSystem.type,
      warnings: mountWarnings(fileSystem),
    }
  } catch (error) {
    // The first failure is the one to tell; a scratch directory that stays does no harm.
    await removeScratch(disk, scratch).catch(() => undefined)
    if (error instanceof HaError) throw error
    throw unusable(directory, messageOf(error), error)
  }
}

const spaceIn = (disk: Disk, directory: string, scratch: string): Space => ({
  disk: below(disk, scratch),
  path: join(directory, scratch),
  measured: { granularityMs: null, p95Ms: [] },
})

async function demand(
  directory: string,
  what: string,
  finding: Promise<Finding>,
): Promise<Finding> {
  const found = await finding
  if (!found.ok) throw unusable(directory, `${what}: ${found.detail}`)
  return found
}

async function inWords<T>(directory: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw unusable(directory, await whyClosed(directory, error), error)
  }
}

/** The usual reasons in words. */
async function whyClosed(directory: string, error: unknown): Promise<string> {
  const errno = error instanceof DiskError ? error.errno : (error as NodeJS.ErrnoException).code
  const user = `this user (uid ${process.getuid?.()})`
  if (errno === 'EACCES' || errno === 'EPERM') return `${user} may not write there (${errno})`
  if (errno === 'EROFS') return 'it is mounted read-only (EROFS)'
  const found = await stat(directory).catch(() => null)
  if (errno === 'ENOTDIR' || found?.isDirectory() === false) return 'it is not a directory'
  return messageOf(error)
}

const unusable = (directory: string, why: string, cause?: unknown): HaError =>
  new HaError('BAD_STORAGE', `the shared directory ${directory} can't be used: ${why}`, { cause })
