/**
 * One schedule: start, faults, healing, convergence. The same seed gives the same run.
 *
 * Safety is audited at every step; after the healing an active must serve, acknowledge and be followed within the promised
 * bound.
 */

import type { MasterState } from '../../lib/ha/member/member-api.ts'
import type { Violation } from './auditor.ts'
import type { Breaks } from './breaks.ts'
import { Cluster } from './cluster.ts'
import { Nemesis } from './nemesis.ts'
import { drawProfile, type Profile, slowestMs } from './profile.ts'

export interface Outcome {
  readonly seed: number
  /** `rule: what happened`, or null. */
  readonly violation: string | null
  /** Nothing was broken but, at most, the bound on healing. */
  readonly safe: boolean
  readonly events: number
  readonly acks: number
  readonly activations: number
  readonly excusedReads: number
  readonly virtualMs: number
  /** From the end of the healing to an active that acknowledged, in monitor intervals; null where none was awaited. */
  readonly healedInM: number | null
}

export interface ScheduleOptions {
  readonly seed: number
  readonly breaks?: Breaks
  readonly write?: ((line: string) => void) | null
  readonly adjust?: (profile: Profile) => Profile
}

/** Keepers' own start and first look come on top of M where masters have to be started. */
const STARTS_MS = 300
/**
 * With everything healed at once, several things are wrong at once: a claim that failed pauses for D first; masters that all
 * lost power first make sure that nobody uses their address (up to M), and then have a patience to wait out.
 */
const HEALED_WITHIN_M = 2.6
const GRACE_M = 0.6
/** A new directory is made in peace. */
const FORMED_M = 1.3

export async function runSchedule(options: ScheduleOptions): Promise<Outcome> {
  const drawn = drawProfile(options.seed)
  const profile = options.adjust?.(drawn) ?? drawn
  const cluster = new Cluster(profile, options.breaks ?? {}, options.write ?? null)
  const { world, auditor } = cluster
  const { timeline, storage } = world
  const m = slowestMs(profile)

  storage.weather.staleListingMs = profile.hostileMs * cluster.random.next()
  storage.weather.staleAttributeMs = profile.hostileMs * cluster.random.next()
  for (const master of cluster.masters) {
    const process = (): void => master.start()
    world.after(cluster.random.chance(0.5) ? 0 : cluster.random.between(0, m), process)
  }
  if (profile.fresh) await timeline.runUntil(FORMED_M * m)
  const nemesis = new Nemesis(cluster)
  await timeline.runUntil(profile.faultsForMs)
  nemesis.end()
  let healedInM: number | null = null
  if (auditor.violation === null) healedInM = await converge(cluster)
  return {
    seed: options.seed,
    violation: describe(auditor.violation) ?? late(cluster, healedInM),
    safe: auditor.violation === null,
    events: timeline.count,
    acks: auditor.acks,
    activations: auditor.activations,
    excusedReads: auditor.excusedReads,
    virtualMs: timeline.nowMs,
    healedInM,
  }
}

const describe = (violation: Violation | null): string | null => violation?.message ?? null

/** Heals everything; gives the time to the first acknowledgement after it, in M. */
async function converge(cluster: Cluster): Promise<number | null> {
  const { world, auditor, profile } = cluster
  const { timeline, storage } = world
  const m = slowestMs(profile)
  const graceMs = cluster.random.chance(0.3) ? GRACE_M * m : 0
  world.trace(() => 'HEALED')
  const healedMs = timeline.nowMs
  cluster.heal(graceMs)
  const fromMs = Math.max(healedMs, storage.graceUntilMs)
  const leasesMs = storage.kind.delegations ? 2 * storage.kind.leaseMs : 0
  const untilMs = fromMs + HEALED_WITHIN_M * m + STARTS_MS + leasesMs + profile.changeEveryMs * 2
  const stepMs = m / 10
  while (timeline.nowMs < untilMs && auditor.violation === null) {
    await timeline.runUntil(timeline.nowMs + stepMs)
    if (auditor.ackedMs > fromMs && isFollowed(cluster)) {
      const tookMs = auditor.ackedMs - fromMs
      // A moment more: whoever was healed late must not spoil it.
      await timeline.runUntil(timeline.nowMs + m / 4)
      return tookMs / m
    }
  }
  return null
}

/** Somebody serves, whoever held a term before is a backup, and nobody knows of a term that would have him refused: that is a term's number to all others. */
function isFollowed({ masters }: Cluster): boolean {
  const cores = masters.flatMap(({ life, alive }) => (life !== null && alive ? [life.core] : []))
  const term = cores.find((core) => core.mayServe())?.term() ?? null
  const isSettled = (core: (typeof cores)[number]): boolean =>
    !UNSETTLED.includes(core.view().state)
  return term !== null && cores.every((core) => core.view().epoch <= term && isSettled(core))
}

/** Whoever has lost its term is a backup again, and waits for nothing. */
const UNSETTLED: readonly MasterState[] = ['suspended', 'stepping-down', 'activating']

function late(cluster: Cluster, healedInM: number | null): string | null {
  if (healedInM !== null) return null
  const states = cluster.masters.map((master) => {
    const { life } = master
    if (life === null || !master.alive) return `${master.address} dead`
    const phase = life.keeperCore?.state.phase.name ?? 'no keeper'
    return `${master.address} ${life.core.view().state}, ${phase} ${life.core.view().problem ?? ''}`
  })
  return `an active after the healing: none within the bound (${states.join('; ')})`
}
