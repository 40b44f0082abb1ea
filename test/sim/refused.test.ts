/**
 * A catalog that can't be opened, in worlds of one to four masters: they claim one after the other, all of them together no
 * faster than once in M, none of them has many more turns than another, and once the catalog is right one of them serves at
 * the next claim. The rules are broken on purpose as well: by a release that doesn't tell that it was refused, and
 * by masters that forget that it was they who were refused, or when.
 */
import { test } from 'tap'
import { makeTiming } from '../../lib/ha/rules/timing.ts'
import { REFUSED_MTIME_MS, RELEASED_MTIME_MS } from '../../lib/ha/words/layout.ts'
import type { Disk } from '../../lib/ha/world/ports.ts'
import type { Breaks } from './breaks.ts'
import { Cluster } from './cluster.ts'
import type { Master } from './master.ts'
import { drawProfile, type Profile, WITHOUT_FAULTS } from './profile.ts'
import { Random } from './world/random.ts'

/** So long nobody can open it, in M. */
const REFUSED_M = 20
const SEEDS = Array.from({ length: 24 }, (_, i) => i + 1)
/** Who is new is not known to the others for a moment; of four, two may change their places once on top of that. */
const mostFavoured = ({ addresses }: Refused): number => (addresses.length > 3 ? 3 : 2)
/** Of them those with two masters and more, and with three and more. */
const SEVERAL = [1, 2, 3]
const MANY = [2, 3, 6, 7]

interface Refused {
  readonly M: number
  readonly claims: readonly { readonly atMs: number; readonly by: string }[]
  readonly addresses: readonly string[]
  /** From the catalog's repair until a master serves; null: none does. */
  readonly backMs: number | null
}

/** `forget` takes something out of every keeper's memory at each turn. */
async function refusedWorld(
  seed: number,
  { breaks = {}, forget }: { breaks?: Breaks; forget?: (master: Master) => void } = {},
): Promise<Refused> {
  const cluster = new Cluster(worldOf(seed), breaks, null)
  const { timeline } = cluster.world
  const audit = timeline.afterTurn
  timeline.afterTurn = () => {
    audit()
    if (forget !== undefined) cluster.masters.forEach(forget)
  }
  const M = cluster.profile.timing.monitorMs
  const claims: { atMs: number; by: string }[] = []
  const known = new Set<string>()
  cluster.onCall = (master, { verb, purpose, path }) => {
    if (purpose !== 'claim' || verb !== 'create' || !/history\/\d+\.json$/.test(path)) return
    // A lost answer is asked for again.
    if (known.has(path)) return
    known.add(path)
    claims.push({ atMs: timeline.nowMs, by: master.address })
  }
  cluster.refused = 'files of the catalog were removed'
  for (const master of cluster.masters) master.start()
  await timeline.runUntil(timeline.nowMs + REFUSED_M * M)
  const told = [...claims]
  cluster.refused = null
  const mendedMs = timeline.nowMs
  while (cluster.active?.serves !== true && timeline.nowMs < mendedMs + 4 * M) {
    await timeline.runUntil(timeline.nowMs + M / 100)
  }
  const backMs = cluster.active?.serves === true ? timeline.nowMs - mendedMs : null
  return { M, claims: told, addresses: cluster.masters.map(({ address }) => address), backMs }
}

function worldOf(seed: number): Profile {
  const random = new Random(seed, 'refused')
  const timing = makeTiming(random.pick([500, 1000, 5000]))
  const masters = 1 + (seed % 4)
  const drawn = drawProfile(seed)
  return {
    ...drawn,
    ...WITHOUT_FAULTS,
    timing,
    timings: [timing],
    masters,
    hosts: random.chance(0.5) ? masters : 1,
    // M is measured by more than one clock here.
    maxDrift: 0,
    network: null,
    storage: {
      ...drawn.storage,
      hdfs: false,
      peakShare: 0,
      delegations: false,
      latencyMs: random.between(0.2, timing.monitorMs / 500),
    },
  }
}

const gapsOf = ({ claims }: Refused): number[] =>
  claims.slice(1).map(({ atMs }, i) => atMs - (claims[i]?.atMs ?? 0))

/** How many more turns one of them had than another. */
function favoured({ claims, addresses }: Refused): number {
  const turns = addresses.map((address) => claims.filter(({ by }) => by === address).length)
  return Math.max(...turns) - Math.min(...turns)
}

test('claims of refused masters', async (t) => {
  for (const seed of SEEDS) {
    const world = await refusedWorld(seed)
    const { M, claims, addresses, backMs } = world
    const gaps = gapsOf(world)
    const which = `seed ${seed}, ${addresses.length} masters, M ${M}`
    if (Math.min(...gaps) < M) t.fail(`${which}: two claims within M: ${gaps.join(', ')}`)
    if (claims.length < REFUSED_M / 2) t.fail(`${which}: only ${claims.length} claims`)
    if (favoured(world) > mostFavoured(world))
      t.fail(`${which}: one had ${favoured(world)} turns more`)
    if (backMs === null || backMs > 2 * M) t.fail(`${which}: back after ${backMs} ms`)
  }
  t.pass(`${SEEDS.length} worlds`)
})

test('a release that does not tell is noticed', async (t) => {
  const disk = (whole: Disk): Disk => {
    const { touch } = whole
    whole.touch = (purpose, path, mtimeMs) =>
      touch.call(whole, purpose, path, mtimeMs === REFUSED_MTIME_MS ? RELEASED_MTIME_MS : mtimeMs)
    return whole
  }
  const world = await refusedWorld(2, { breaks: { disk } })
  t.ok(Math.min(...gapsOf(world)) < world.M, 'two claims within M')
})

interface Memory {
  failure: { what: string; term: number } | null
}
const memoryOf = ({ life }: Master): Memory | undefined => life?.keeperCore?.state

test('masters that forget that they were refused are noticed', async (t) => {
  const forget = (master: Master): void => {
    const memory = memoryOf(master)
    if (memory?.failure?.what === 'opening') memory.failure = null
  }
  for (const seed of SEVERAL) {
    const world = await refusedWorld(seed, { forget })
    t.ok(favoured(world) > mostFavoured(world), `seed ${seed}`)
  }
})

test('masters that forget who was refused before whom are noticed', async (t) => {
  const forget = (master: Master): void => {
    const memory = memoryOf(master)
    if (memory?.failure?.what === 'opening') memory.failure = { ...memory.failure, term: 1e9 }
  }
  for (const seed of MANY) {
    const world = await refusedWorld(seed, { forget })
    t.ok(favoured(world) > mostFavoured(world), `seed ${seed}`)
  }
})
