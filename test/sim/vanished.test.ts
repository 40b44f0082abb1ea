/**
 * Each file and each directory that the holder makes again is removed, one after the other, in worlds of one to three masters
 * that fail over meanwhile: a monitor interval later it is there again. Each put-back is left out on purpose as well. What
 * would come of that is in the scenarios (removed-files, put-back, history-gone).
 */
import { test } from 'tap'
import { makeTiming } from '../../lib/ha/rules/timing.ts'
import {
  BACKUP_DIR,
  CLUSTER_FILE,
  claimFile,
  HISTORY_DIR,
  historyFile,
  openedFile,
  SECRET_FILE,
  servedCopy,
  servedFile,
} from '../../lib/ha/words/layout.ts'
import type { Disk } from '../../lib/ha/world/ports.ts'
import type { Breaks } from './breaks.ts'
import { Cluster } from './cluster.ts'
import { drawProfile, type Profile, WITHOUT_FAULTS } from './profile.ts'
import { Random } from './world/random.ts'

/** Of the holder's term where that matters. */
const PLACES = {
  'cluster.json': () => CLUSTER_FILE,
  'the secret': () => SECRET_FILE,
  'backup/': () => BACKUP_DIR,
  'history/': () => HISTORY_DIR,
  'claim.json': claimFile,
  "the term's record": historyFile,
  'that it was opened': openedFile,
  'that it has served': servedFile,
  'the copy of that': servedCopy,
} as const satisfies Record<string, (term: number) => string>
type Place = keyof typeof PLACES
const NAMES = Object.keys(PLACES) as Place[]

const SEEDS = Array.from({ length: 12 }, (_, i) => i + 1)
/** The holder looks once in M; what it makes takes its time, and the two clocks drift. */
const BACK_WITHIN_M = 1.1
const SETTLED_M = 2.5

/** What is not there again, or that nobody serves; null when all is well. */
async function vanishing(seed: number, breaks: Breaks = {}): Promise<string | null> {
  const random = new Random(seed, 'vanished')
  const cluster = new Cluster(worldOf(seed, random), breaks, null)
  const { timeline, storage } = cluster.world
  const M = cluster.profile.timing.monitorMs
  const hold = (forM: number): Promise<void> => timeline.runUntil(timeline.nowMs + forM * M)
  const gone = (path: string): boolean => storage.server.entry(path) === undefined
  for (const master of cluster.masters) master.start()
  await hold(SETTLED_M)
  for (const place of shuffled(NAMES, random)) {
    const { active } = cluster
    if (active?.serves !== true) return `nobody serves before ${place} is removed`
    const paths = NAMES.map((name) => PLACES[name](active.heldTerm))
    const path = PLACES[place](active.heldTerm)
    if (storage.server.entry(path) === 'directory') cluster.removeDirectory(path)
    else cluster.remove(path)
    await hold(BACK_WITHIN_M)
    const missing = paths.filter(gone)
    if (missing.length > 0) return `${missing.join(', ')} stays away after ${place} was removed`
    if (!random.chance(0.3)) continue
    active.life?.process.kill()
    await hold(0.1)
    active.start()
    await hold(SETTLED_M)
  }
  return cluster.auditor.violation?.message ?? null
}

function worldOf(seed: number, random: Random): Profile {
  const timing = makeTiming(random.pick([500, 1000, 5000]))
  const masters = 1 + (seed % 3)
  const drawn = drawProfile(seed)
  return {
    ...drawn,
    ...WITHOUT_FAULTS,
    timing,
    timings: [timing],
    masters,
    hosts: masters,
    auditReads: true,
    network: null,
    storage: {
      ...drawn.storage,
      peakShare: 0,
      delegations: false,
      latencyMs: random.between(0.2, timing.monitorMs / 500),
    },
  }
}

function shuffled<T>(all: readonly T[], random: Random): T[] {
  const left = [...all]
  return all.map(() => left.splice(random.below(left.length), 1)[0] as T)
}

/** The holder finds nothing to do there. */
const leftOut = (place: Place): Breaks => {
  const isIt = (purpose: string, path: string): boolean => {
    const term = Number(/\d{10}/.exec(path)?.[0] ?? 0)
    return purpose === 'upkeep' && path === PLACES[place](term)
  }
  return {
    disk: (disk: Disk): Disk => {
      const { create, makeDirs } = disk
      disk.create = async (purpose, path, text) =>
        isIt(purpose, path) ? 'exists' : create.call(disk, purpose, path, text)
      disk.makeDirs = async (purpose, path) => {
        if (!isIt(purpose, path)) await makeDirs.call(disk, purpose, path)
      }
      return disk
    },
  }
}

test('whatever is removed is there again', async (t) => {
  for (const seed of SEEDS) t.equal(await vanishing(seed), null, `seed ${seed}`)
})

for (const place of NAMES) {
  test(`it is noticed: nobody puts ${place} back`, async (t) => {
    for (const seed of SEEDS) {
      const what = await vanishing(seed, leftOut(place))
      if (what === null) continue
      t.comment(`seed ${seed}: ${what}`)
      t.match(what, 'stays away')
      return
    }
    t.fail(`not within ${SEEDS.length} seeds`)
  })
}
