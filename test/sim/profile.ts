/**
 * What one seed's world is like: everything that is drawn before it begins. Swarm testing: most schedules have only a
 * few kinds of faults, so that rare combinations get their turn undisturbed.
 */
import { makeTiming, type Timing } from '../../lib/ha/rules/timing.ts'
import { FAULTS, type FaultName } from './faults.ts'
import type { Call } from './world/disk.ts'
import { Random } from './world/random.ts'
import type { StorageKind } from './world/storage.ts'

export interface Profile {
  readonly seed: number
  readonly timing: Timing
  /** Each master has one of these, in turn, and after each restart the next one. */
  readonly timings: readonly Timing[]
  readonly masters: number
  readonly hosts: number
  readonly priorities: readonly number[]
  readonly fencing: boolean
  readonly maxDrift: number
  readonly storage: StorageKind
  /** Listings, absences and attributes may be so old, against what real mounts do. */
  readonly hostileMs: number
  /**
   * Where heartbeats are shown that are old, a living holder is taken for dead, and only its next renewal tells it: if
   * that one hangs too, two faults at once, reads may be old. So they are audited there only while renewals are prompt. On
   * HDFS's gateway no renewal tells it: what that says of a file that is gone has to be settled by a listing, which is old
   * there as well. So the renewals of a holder that was ended fail, and its reads may be old until its deadline, no longer, and
   * only as long as its keeper has not seen a higher term serve.
   */
  readonly auditReads: boolean | 'to the deadline'
  /** So many terms have been before, all of them ended. */
  readonly past: number
  readonly faults: readonly FaultName[]
  /** The directory is new: whoever comes first makes it. A crash in the middle of that needs the operator. */
  readonly fresh: boolean
  /** Mean time between two faults. */
  readonly faultEveryMs: number
  /** Faults last so long, even on a logarithmic scale. */
  readonly shortestMs: number
  readonly longestMs: number
  /** How long faults happen; then all is healed. */
  readonly faultsForMs: number
  /** Faults that strike at a certain file call. */
  readonly triggers: number
  /** At calls for these purposes, each with how many there may be of it. */
  readonly aims: readonly Aim[]
  /** The faults that strike there: those that stop or end somebody. */
  readonly strikes: readonly FaultName[]
  readonly changeEveryMs: number
  /** The clients' network, in which links can be cut while the storage lives; null: masters know nothing of it. */
  readonly network: {
    /** Each on a place of its own, or on that master's host, counted from 1. */
    readonly workers: readonly ('apart' | number)[]
    readonly witness: boolean
  } | null
}

/** A new directory, a storage that shows nothing old, and nobody who is struck: for worlds whose test strikes by itself. */
export const WITHOUT_FAULTS = {
  priorities: [],
  fresh: true,
  past: 0,
  hostileMs: 0,
  faults: [],
  triggers: 0,
} as const satisfies Partial<Profile>

/** Faults that keep nobody from renewing. */
const PROMPT: readonly FaultName[] = [
  'kill master',
  'kill both',
  'power off',
  'wall clock',
  'cut network',
  'hand over',
  'take over',
  'leave',
  'hint',
]

/**
 * Those of scenarios alone, or drawn as one of another fault's cases, or of HDFS's worlds.
 * Without its cluster's file, or all its terms, nobody joins a directory before the holder or an operator has mended it; and
 * the claims of all terms at once, or all backups, are more than the one file at a time that a holder puts back.
 */
const NOT_DRAWN: readonly FaultName[] = [
  'remove heartbeat',
  'remove record',
  'remove directory of term',
  'remove directories of terms',
  'remove history',
  'remove claim',
  'remove decision',
  'remove cluster file',
  'replace cluster file',
  'remove everything',
  'remove terms',
  'remove backups',
  'dump catalog',
]
const DRAWN = (Object.keys(FAULTS) as FaultName[]).filter((name) => !NOT_DRAWN.includes(name))

export type Aim = readonly [purpose: Call['purpose'], most: number]
const AIMS: readonly Aim[] = [
  ['claim', 12],
  ['end-below', 12],
  ['catalog', 40],
  ['mark', 3],
  ['renew', 40],
  ['release', 4],
  ['obituary', 2],
  ['history', 4],
]

const STRIKES: readonly FaultName[] = [
  'kill master',
  'kill keeper',
  'kill both',
  'stop master',
  'stop keeper',
  'stop both',
  'power off',
  'freeze host',
  'suspend host',
  'cut storage of host',
]

const MONITOR_MS = [1000, 2000, 5000] as const

/** An operator is changing the monitor interval, one master after the other. */
function drawTimings(timing: Timing, random: Random): Timing[] {
  if (random.chance(0.75)) return [timing]
  const others = MONITOR_MS.filter((ms) => ms !== timing.monitorMs)
  return [timing, makeTiming(random.pick(others))]
}

const latencyMost = (timings: readonly Timing[]): number =>
  Math.min(...timings.map(({ monitorMs }) => monitorMs / 250))

/** The monitor interval that bounds everything: nothing is promised to be faster than the slowest. */
export const slowestMs = ({ timings }: Profile): number =>
  Math.max(...timings.map(({ monitorMs }) => monitorMs))

export function drawProfile(seed: number): Profile {
  const random = new Random(seed, 'profile')
  const timing = makeTiming(random.pick(MONITOR_MS))
  const timings = drawTimings(timing, new Random(seed, 'timings'))
  const m = timing.monitorMs
  const masters = random.chance(0.75) ? 3 : random.chance(0.7) ? 2 : 4
  const hosts = random.chance(0.75) ? masters : Math.max(1, masters - 1)
  const hostileMs = random.chance(0.15) ? random.logBetween(100, 60_000) : 0
  const prompt = hostileMs > 0 && random.chance(0.5)
  const kinds = prompt ? PROMPT : DRAWN
  const some = 1 + random.below(random.chance(0.7) ? 4 : kinds.length)
  const faults = Array.from({ length: some }, () => random.pick(kinds))
  const hdfs = random.chance(0.2)
  // Between other faults: by itself it does no harm.
  if (hdfs) faults.push('dump catalog')
  const fresh = random.chance(0.25)
  return {
    seed,
    timing,
    timings,
    masters,
    hosts,
    priorities: Array.from({ length: masters }, () => random.pick([100, 100, 100, 50, 200])),
    fencing: random.chance(0.15),
    maxDrift: 0.0099,
    storage: {
      hdfs,
      granularityMs: hdfs ? 1 : random.pick([0.001, 0.001, 1]),
      // As slow as the shortest of them may be.
      latencyMs: Math.min(random.logBetween(0.15, Math.min(8, m / 250)), latencyMost(timings)),
      peakMs: 216,
      peakShare: prompt ? 0 : random.pick([0, 0.001, 0.01]),
      delegations: !prompt && random.chance(0.05),
      linksIgnored: false,
      leaseMs: random.between(1, 4) * m,
      absenceMs: random.chance(0.8) ? 30_000 : 0,
    },
    hostileMs,
    auditReads: hostileMs === 0 || (prompt && (hdfs ? 'to the deadline' : true)),
    faults,
    fresh,
    past: !fresh && random.chance(0.2) ? 1 + random.below(24) : 0,
    faultEveryMs: m * random.logBetween(0.12, 0.8),
    shortestMs: m / 100,
    longestMs: m * random.pick([0.3, 1.5, 1.5, 3]),
    faultsForMs: m * random.between(1.5, 3),
    triggers: !prompt && random.chance(0.7) ? 1 + random.below(3) : 0,
    aims: AIMS,
    strikes: STRIKES,
    changeEveryMs: m * random.logBetween(0.03, 0.5),
    network: random.chance(0.3)
      ? {
          workers: random.pick([['apart'], ['apart'], [1], []] as const),
          witness: random.chance(0.5),
        }
      : null,
  }
}

/** Everything that was drawn, in one line a value, for whoever replays a seed. */
export function describeProfile(profile: Profile): string {
  return Object.entries(profile)
    .map(([key, value]) => `  ${key.padEnd(14)} ${JSON.stringify(value)}`)
    .join('\n')
}
