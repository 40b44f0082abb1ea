/**
 * The operations that the protocol rests on, tried from one host: each trial says what it saw and what would go wrong
 * without it. `storage-check.ts` runs them all; a start runs some of them with few rounds.
 */
import { smallestMonitorMs } from '../rules/timing.ts'
import {
  REFUSED_MTIME_MS,
  RELEASED_FOR_MTIME_MS,
  RELEASED_MTIME_MS,
  releaseOf,
} from '../words/layout.ts'
import type { FileSystem } from '../world/file-system.ts'
import { mountWarnings } from '../world/mount-kinds.ts'
import type { Disk, Glimpse } from '../world/ports.ts'
import { profileText, type StorageProfile, tooShortFor } from '../world/storage-profile.ts'
import { FIRST_COUNTER_MS, type Finding, holdOpen, percentile, type Trial, timed } from './kit.ts'
import type { Admission } from './mount-admission.ts'
import { isSamePlace, type MountFacts } from './mount-facts.ts'

/** Where trials work: a scratch directory of their own, and what they measured for others. */
export interface Space {
  readonly disk: Disk
  /** Absolute path of the scratch directory. */
  readonly path: string
  readonly measured: {
    granularityMs: number | null
    /** 95th percentiles of calls that a running master makes, ms. */
    readonly p95Ms: number[]
  }
}

/** Steps of an mtime, finest first; no file system in use is coarser than the last. */
const GRAINS_MS = [0.001, 0.01, 0.1, 1, 10, 100, 1000, 2000]

export const counterOf = (glimpse: Glimpse | 'missing'): number =>
  glimpse === 'missing' ? Number.NaN : glimpse.mtimeMs

/** Whether a master may start on it, and what to think of it. `admission`: of a start here and now, without a peer. */
export const fileSystemTrial = (
  { fileSystem, network, place }: MountFacts,
  admission: Admission,
  { peer, severalHosts }: { readonly peer: MountFacts | null; readonly severalHosts: boolean },
): Trial => ({
  name: 'file system',
  consequence:
    'on a file system of one host, or one without exclusive creates, two masters go active',
  run: async () => {
    const { type, source, mountPoint, options, sharing } = fileSystem
    const what = `${type}, ${source} on ${mountPoint} (${options})`
    const isOneKernel = peer !== null && peer.network !== network && isSamePlace(place, peer.place)
    if (isOneKernel && sharing !== 'refused') {
      const detail = `${what}: both hosts are one kernel, and this is one and the same directory there`
      return { ok: true, detail }
    }
    // What nobody has tried is what a check with a peer is there to try; what is known to fail is not.
    const isTried = peer !== null && sharing === 'unknown'
    const [why] = [
      ...(admission.refusal === null ? [] : [admission.refusal]),
      ...admission.critical,
    ]
    if (why !== undefined && !isTried) return { ok: false, detail: why }
    if (admission.warnings[0] !== undefined) {
      return { ok: true, detail: `${what}: ${admission.warnings[0]}` }
    }
    const proven = severalHosts ? 'proven by a check with another host' : 'for this host alone'
    const reach = {
      local: severalHosts ? proven : 'for masters on this host only',
      shared: 'several hosts can share it',
      refused: 'for masters on this host only',
      unknown: peer !== null ? 'a kind that only this check can prove' : proven,
    }[sharing]
    return { ok: true, detail: `${what}: ${reach}` }
  },
})

/** As what it is taken, and what follows from that. */
export const profileTrial = (profile: StorageProfile, directory: string): Trial => ({
  name: 'habits',
  consequence: 'an answer that means something else there is taken by its word',
  run: async () => ({
    ok: true,
    detail: profileText(profile, directory) ?? 'none that need rules of their own',
  }),
})

/** Options under which a start is an alert, and a directory can't be trusted. */
export const optionsTrial = (fileSystem: FileSystem): Trial => ({
  name: 'mount options',
  consequence: 'a write is given up half-way, or an old heartbeat is taken for the newest',
  run: async () => {
    const found = mountWarnings(fileSystem)
    if (found.length > 0) return { ok: false, detail: found.join('; ') }
    return { ok: true, detail: 'none of those that weaken the file system’s promises' }
  },
})

/** To be run last: by what the others have measured. */
export const monitorTrial = (
  { measured }: Space,
  profile: StorageProfile,
  monitorMs: number,
): Trial => ({
  name: 'monitor interval',
  consequence: 'a slow renewal suspends the active master, and backups take over from living ones',
  run: async () => {
    const worst = Math.max(0, ...measured.p95Ms)
    const smallestMs = smallestMonitorMs(worst)
    const tooShort = tooShortFor(profile, monitorMs)
    if (tooShort !== null) return { ok: false, detail: tooShort }
    const detail = `tajo.master.ha.monitor.interval is ${monitorMs} ms, the smallest for this latency is ${smallestMs} ms`
    return { ok: smallestMs <= monitorMs, detail }
  },
})

/** What one of them sees to be wrong takes this host's mark back. */
export const hereTrials = (space: Space): Trial[] => {
  const trials: Trial[] = [
    {
      name: 'exclusive create',
      consequence: 'two masters both win a term',
      run: () => exclusiveCreate(space, 50),
    },
    {
      name: 'make directory',
      consequence: 'terms are told apart by their exclusive creates alone, which is enough',
      run: () => makeDirectory(space, 20),
    },
    {
      name: 'renewal by path',
      consequence: 'backups don’t see that the active lives, and take over from it',
      run: () => renewal(space, 100),
    },
    {
      name: 'look by open and fstat',
      consequence: 'backups see an old heartbeat and take over from a living active',
      run: () => look(space, 100),
    },
    {
      name: 'reserved times',
      consequence: 'a release is not understood: a planned hand-over takes a whole failover',
      run: () => reservedTimes(space),
    },
    {
      name: 'unlink ends renewals',
      consequence: 'a deposed master goes on believing that it is active',
      run: () => unlinkEnds(space, 20),
    },
    {
      name: 'listing',
      consequence: 'new terms are not seen',
      run: () => listing(space, 20),
    },
    {
      name: 'unlink of an open file',
      consequence:
        'renewals of a deposed master go on, unseen, while a process holds its heartbeat open',
      run: () => unlinkWhileOpen(space),
    },
  ]
  return trials.map((trial) => ({ ...trial, refutes: 'here' }))
}

/** Two creates of one name at once, again and again. */
export async function exclusiveCreate({ disk, measured }: Space, rounds: number): Promise<Finding> {
  const samples: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const path = `create-${round}`
    const texts = ['first\n', 'second\n']
    const answers = await Promise.all(
      texts.map((text) => timed(samples, () => disk.create('check', path, text))),
    )
    const winners = texts.filter((_, index) => answers[index] === 'created')
    if (winners.length !== 1 || (await disk.read('check', path)) !== winners[0]) {
      const detail = `two creates of ${path} at once were answered ${answers.join(' and ')}, exactly one may win, and its text must stand`
      return { ok: false, detail }
    }
    await disk.unlink('check', path)
  }
  notePercentile(measured, samples)
  return { ok: true, detail: `one winner in each of ${rounds} rounds`, samples }
}

async function makeDirectory({ disk }: Space, rounds: number): Promise<Finding> {
  const samples: number[] = []
  let again = 0
  for (let round = 0; round < rounds; round += 1) {
    const path = `directory-${round}`
    const first = await timed(samples, () => disk.makeTermDir('check', path))
    if (first !== 'made') return { ok: false, detail: `${path} is new and yet ${first}` }
    if ((await disk.makeTermDir('check', path)) === 'made') again += 1
    await disk.removeDir('check', path)
  }
  const detail =
    again === 0
      ? 'a directory is made once'
      : `a directory that exists is made again (${again} of ${rounds}), as HDFS does`
  return { ok: true, detail, samples }
}

/** Measures the grain of an mtime, then renews in steps of it. */
export async function renewal(space: Space, rounds: number): Promise<Finding> {
  const { disk, measured } = space
  const path = 'renewal'
  await disk.create('check', path, '')
  const grainMs = await findGrain(disk, path)
  if (grainMs === null) return { ok: false, detail: 'utimes does not move the time of a file' }
  measured.granularityMs = grainMs
  const samples: number[] = []
  let last = Number.NaN
  for (let round = 0; round < rounds; round += 1) {
    const counter = FIRST_COUNTER_MS + round * grainMs
    const answer = await timed(samples, () => disk.touch('check', path, counter))
    const seen = counterOf(await disk.glimpse('check', path))
    if (answer !== 'touched' || Number.isNaN(seen) || seen === last) {
      return { ok: false, detail: `a renewal was answered ${answer} and moved ${last} to ${seen}` }
    }
    last = seen
  }
  await disk.unlink('check', path)
  notePercentile(measured, samples)
  return { ok: true, detail: `times are kept to ${grainMs} ms`, samples }
}

async function findGrain(disk: Disk, path: string): Promise<number | null> {
  await disk.touch('check', path, FIRST_COUNTER_MS)
  const base = counterOf(await disk.glimpse('check', path))
  for (const grainMs of GRAINS_MS) {
    await disk.touch('check', path, FIRST_COUNTER_MS + grainMs)
    if (counterOf(await disk.glimpse('check', path)) !== base) return grainMs
  }
  return null
}

async function look({ disk, measured }: Space, rounds: number): Promise<Finding> {
  const samples: number[] = []
  const path = 'look'
  await disk.create('check', path, '')
  for (let round = 0; round < rounds; round += 1) {
    const counter = FIRST_COUNTER_MS + round * 2000
    await disk.touch('check', path, counter)
    const seen = counterOf(await timed(samples, () => disk.glimpse('check', path)))
    if (seen !== counter) return { ok: false, detail: `${counter} was set, ${seen} was seen` }
  }
  await disk.unlink('check', path)
  notePercentile(measured, samples)
  return { ok: true, detail: `each of ${rounds} renewals was seen by the next look`, samples }
}

export async function reservedTimes({ disk }: Space): Promise<Finding> {
  const path = 'reserved'
  await disk.create('check', path, '')
  const expected = [
    [RELEASED_MTIME_MS, 'released'],
    [RELEASED_FOR_MTIME_MS, 'released-for'],
    [REFUSED_MTIME_MS, 'refused'],
    [FIRST_COUNTER_MS, 'no'],
  ] as const
  for (const [mtimeMs, meaning] of expected) {
    await disk.touch('check', path, mtimeMs)
    const seen = counterOf(await disk.glimpse('check', path))
    if (releaseOf(seen) !== meaning) {
      return { ok: false, detail: `the time ${mtimeMs} ms came back as ${seen} ms` }
    }
  }
  await disk.unlink('check', path)
  return { ok: true, detail: 'days in January 1970 are kept' }
}

export async function unlinkEnds({ disk }: Space, rounds: number): Promise<Finding> {
  const samples: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const path = `unlink-${round}`
    await disk.create('check', path, '')
    await disk.touch('check', path, FIRST_COUNTER_MS)
    const unlinked = await timed(samples, () => disk.unlink('check', path))
    const answer = await disk.touch('check', path, FIRST_COUNTER_MS + 2000)
    if (unlinked !== 'unlinked' || answer !== 'missing') {
      const detail = `the unlink was answered ${unlinked}, the renewal after it ${answer}`
      return { ok: false, detail }
    }
  }
  const detail = `the renewal after it found no file in each of ${rounds} rounds`
  return { ok: true, detail, samples }
}

export async function listing({ disk }: Space, rounds: number): Promise<Finding> {
  const samples: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const path = `listed-${round}`
    await disk.create('check', path, '')
    const names = await timed(samples, () => disk.list('check', '.'))
    if (!names.includes(path)) return { ok: false, detail: 'a new name is not in the listing' }
    await disk.unlink('check', path)
    if ((await disk.list('check', '.')).includes(path)) {
      return { ok: false, detail: 'an unlinked name is still in the listing' }
    }
  }
  return { ok: true, detail: 'names come and go at once', samples }
}

/** On NFS the file lives on under another name while we hold it: the successor must be able to see that. */
async function unlinkWhileOpen({ disk, path }: Space): Promise<Finding> {
  const name = 'held'
  await disk.create('check', name, '')
  const close = await holdOpen(`${path}/${name}`)
  try {
    await disk.unlink('check', name)
    const names = await disk.list('check', '.')
    const silly = names !== 'missing' && names.some((other) => other.startsWith('.nfs'))
    const answer = await disk.touch('check', name, FIRST_COUNTER_MS)
    const left = silly ? 'it lives on as .nfs…, which the listing shows' : 'its name is gone'
    return { ok: answer === 'missing', detail: `${left}; the renewal after it: ${answer}` }
  } finally {
    await close()
  }
}

/** Of a few samples the 95th percentile is the worst one, and a single peak says nothing about a mount. */
const ENOUGH_SAMPLES = 20

function notePercentile({ p95Ms }: Space['measured'], samples: readonly number[]): void {
  const value = percentile(samples, 0.95)
  if (value !== null && samples.length >= ENOUGH_SAMPLES) p95Ms.push(value)
}
