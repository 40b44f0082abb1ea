/**
 * Whether a directory can carry the protocol. It has two depths:
 *
 * - `quickCheck`, at every start: refuses what is wrong beyond doubt, in some hundred calls from this host alone.
 * - `checkStorage`, for `-checkSharedDir`: every operation that the protocol rests on, measured, and with a peer on another
 *   host what only two hosts can show: races, the fence, freshness. One host alone can't prove a mount good. A passed check
 *   of two hosts leaves its mark on a kind of mount that needs one.
 *
 * Both work in a scratch directory `check-…` inside the directory and remove it.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { smallestMonitorMs } from '../rules/timing.ts'
import { DiskError, HaError, messageOf } from '../words/errors.ts'
import { MARK_DIR } from '../words/layout.ts'
import { realClock } from '../world/clock.ts'
import { makeDirs } from '../world/directories.ts'
import { openDisk } from '../world/disk.ts'
import type { FileSystem } from '../world/file-system.ts'
import type { Disk } from '../world/ports.ts'
import { profileOn, type StorageProfile } from '../world/storage-profile.ts'
import {
  below,
  type Finding,
  newScratchName,
  percentile,
  type Refuted,
  removeScratch,
  runTrials,
  type StorageCheck,
  within,
} from './kit.ts'
import { connectPeer, type PeerLines } from './link.ts'
import {
  type Admission,
  admissionOf,
  admit,
  alertsOf,
  type UnprovenMount,
} from './mount-admission.ts'
import { type MountFacts, mountFacts } from './mount-facts.ts'
import { leaveMarks, readMarks, strangers, takeBackMarks } from './mount-mark.ts'
import {
  exclusiveCreate,
  fileSystemTrial,
  hereTrials,
  listing,
  monitorTrial,
  optionsTrial,
  profileTrial,
  renewal,
  reservedTimes,
  type Space,
  unlinkEnds,
} from './storage-trials.ts'
import { habitTrials } from './storage-trials-habits.ts'
import { peerFacts, peerTrials, unfitPeer } from './storage-trials-peer.ts'

export type { StorageCheck } from './kit.ts'
export type { PeerLines } from './link.ts'

/** A check that takes longer hangs. An NFS server that was just restarted lets nobody create for up to 90 s. */
const TRIAL_LIMIT_MS = 30_000

/** What `checkStorage` has found. */
export interface StorageReport {
  /** True when every check passed. */
  readonly ok: boolean
  /** What the directory is mounted from. */
  readonly fileSystem: FileSystem
  /** Each check, in the order in which they were made. */
  readonly checks: readonly StorageCheck[]
  /** The smallest step of an mtime that is kept, ms; null when it could not be measured. */
  readonly granularityMs: number | null
  /** The 95th percentile of the slowest of renewal, look and create is meant, on either host, ms; null when not measured. */
  readonly p95Ms: number | null
  /** The smallest monitor interval for that latency, ms; null when it was not measured. */
  readonly smallestMonitorMs: number | null
  /** How far the check goes: with a peer `whole`; without one as far as this host can tell, of some mounts only for itself. */
  readonly reach: 'whole' | 'as far as one host can tell' | 'this host'
  /** Why a passed check with a peer has left no mark where one is needed; null otherwise. */
  readonly unmarked: string | null
  /** Hosts whose mark of an earlier check was taken back, since this one saw the mount do what it denies. */
  readonly takenBack: readonly string[]
}

/** What is to be checked. */
export interface CheckStorageOptions {
  /** Absolute path of the HA directory. It is made when missing. */
  readonly directory: string
  /** Line streams of a `build/lib/ha/check-peer.js` that was started on the other host with the same directory. */
  readonly peer?: PeerLines
  /** Masters of other hosts are to use it: a local file system can't carry them. False by default; a peer says so by itself. */
  readonly severalHosts?: boolean
  /** The configured monitor interval, ms, which the directory must be fast enough for; left out: not judged. */
  readonly monitorMs?: number
}

/**
 * Tries on a directory whatever the protocol rests on, with a peer on another host what only two hosts can show. It works in
 * a scratch directory in there, which it removes unless the mount hangs, and gives each check 30 s. A check that fails rejects nothing: the report
 * tells it. Rejects with HaError: BAD_STORAGE where not even a scratch directory can be made, TIMEOUT where that hangs.
 */
export async function checkStorage(options: CheckStorageOptions): Promise<StorageReport> {
  const { directory, peer, severalHosts = false, monitorMs } = options
  // Listened to from the start: a stream of lines that ends unheard never seems to end.
  const link = peer === undefined ? null : connectPeer(peer, TRIAL_LIMIT_MS)
  const disk = openDisk(directory)
  const scratch = newScratchName()
  const prepared = inWords(directory, async () => {
    // Before the first start nobody has made it, and this is an order: what it is on is told.
    await makeDirs(directory)
    await disk.makeDirs('check', scratch)
    const mount = await mountFacts(directory)
    const profile = await profileOn(mount.fileSystem, directory)
    if (link !== null) return { mount, profile, admission: unmarkedAdmission(mount) }
    const facts = { mount, severalHosts, unproven: 'refuse' } as const
    return { mount, profile, admission: await admit(disk, 'check', facts) }
  })
  const { mount, profile, admission } = await within(TRIAL_LIMIT_MS, directory, prepared)
  const space = spaceIn(disk, directory, scratch)
  // Who the peer is and that it answers at all is a trial of its own.
  const there = link === null ? null : await peerFacts(link).catch(() => null)
  const { fileSystem } = mount
  const trials = [
    fileSystemTrial(mount, admission, { peer: there, severalHosts }),
    optionsTrial(fileSystem),
    profileTrial(profile, directory),
    ...hereTrials(space),
  ]
  if (link !== null) {
    trials.push(...peerTrials({ ...space, scratch, link, mount }))
    trials.push(...habitTrials({ ...space, link, profile }))
  }
  if (monitorMs !== undefined) trials.push(monitorTrial(space, profile, monitorMs))
  const { checks, hangs, refuted } = await runTrials(trials, TRIAL_LIMIT_MS)
  if (!hangs) await removeScratch(disk, scratch)
  const ok = checks.every((check) => check.ok)
  const unmarked = ok && there !== null ? await mark(disk, mount, there) : null
  const takenBack = hangs ? [] : await takeBackMarks(disk, refutedHosts(refuted, mount, there))
  const worst = Math.max(0, ...space.measured.p95Ms)
  const p95Ms = worst > 0 ? worst : null
  return {
    ok,
    fileSystem,
    checks,
    granularityMs: space.measured.granularityMs,
    p95Ms,
    smallestMonitorMs:
      p95Ms === null ? null : Math.max(profile.smallestMonitorMs, smallestMonitorMs(p95Ms)),
    reach: reachOf(fileSystem, link !== null),
    unmarked,
    takenBack,
  }
}

/** A peer that is on something else, or is this very host, shows nothing of the mount that was proven. */
function refutedHosts(
  refuted: ReadonlySet<Refuted>,
  here: MountFacts,
  there: MountFacts | null,
): readonly MountFacts[] {
  const isOfBoth = refuted.has('both') && there !== null && unfitPeer(here, there) === null
  if (isOfBoth) return [here, there]
  return refuted.has('here') ? [here] : []
}

/** A check of two hosts judges anew, whatever an earlier one has left. */
const unmarkedAdmission = (mount: MountFacts): Admission =>
  admissionOf({ mount, severalHosts: true, unproven: 'refuse', marks: [], ranBefore: false })

/** Of a kind that was never tried, and of one that caches, one host can tell nothing. */
function reachOf({ sharing }: FileSystem, hasPeer: boolean): StorageReport['reach'] {
  if (hasPeer) return 'whole'
  return sharing === 'shared' || sharing === 'local' ? 'as far as one host can tell' : 'this host'
}

/** Leaves the marks of both hosts where a start asks for one; why not, or null. */
async function mark(disk: Disk, here: MountFacts, there: MountFacts): Promise<string | null> {
  const needed = [here, there].some(({ fileSystem }) => fileSystem.sharing !== 'shared')
  if (!needed) return null
  const marks = (await readMarks(disk, 'check')).map((found) => found.mark)
  const others = strangers(marks, here.host, there.host)
  if (others.length > 0) {
    return `neither ${here.host.hostname} nor ${there.host.hostname} has passed a check with one of the hosts that have (${others.join(', ')}): check each of them with one of those. Where those hosts are gone for good, remove ${MARK_DIR}/ in the directory first`
  }
  await leaveMarks(disk, here, there, new Date(realClock.wallMs()).toISOString())
  return null
}

export interface QuickCheck {
  readonly granularityMs: number
  /** Half of the renewals tried took no longer. Starts come together on a busy cluster: the slowest say little. */
  readonly medianMs: number
  /** 95th percentile of a renewal. */
  readonly p95Ms: number
  /** It is true where file events tell nothing about other hosts: on everything but a known local file system. */
  readonly network: boolean
  readonly fsType: string
  readonly profile: StorageProfile
  /** What an operator should know of the mount: a sentence each. */
  readonly warnings: readonly string[]
  /** The same of what endangers the cluster: options that weaken the lease, a kind that nobody has proven. */
  readonly critical: readonly string[]
}

/**
 * What every start checks, in a few dozen milliseconds. `disk` is the one of `directory`, which is made when missing.
 * Rejects HaError BAD_STORAGE with the reason and the way out.
 */
export async function quickCheck(
  disk: Disk,
  directory: string,
  options: { readonly severalHosts: boolean; readonly unprovenMount?: UnprovenMount },
): Promise<QuickCheck> {
  const { severalHosts, unprovenMount: unproven = 'refuse' } = options
  const { mount, admission } = await inWords(directory, async () => {
    const mount = await mountFacts(directory)
    return { mount, admission: await admit(disk, 'check', { mount, severalHosts, unproven }) }
  })
  const { fileSystem } = mount
  if (admission.refusal !== null) throw unusable(directory, admission.refusal)
  const profile = await inWords(directory, () => profileOn(fileSystem, directory))
  const scratch = newScratchName()
  const space = spaceIn(disk, directory, scratch)
  await inWords(directory, async () => {
    await makeDirs(directory)
    await disk.makeDirs('check', scratch)
  })
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
      profile,
      ...alertsOf(admission, mount),
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
