/**
 * What is done to the ground under a cluster: one kind each, with a seed that chooses what exactly. `strike` does it and
 * undoes it again where an operator would; whoever calls it waits for service and looks at the data afterwards.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../support/until.ts'
import type { Daemon, GroundCluster } from './cluster.ts'
import { strikeOtherCluster, strikeWrongRoot } from './other-cluster.ts'

export interface Strike {
  readonly cluster: GroundCluster
  readonly random: () => number
  readonly monitorMs: number
  /** How often each kind of place was deleted. */
  readonly deleted: Map<string, number>
}

export interface Fault {
  readonly name: string
  /** Answers what exactly was done. Rejects when the cluster did what it may not. */
  strike(strike: Strike): Promise<string>
}

const pick = <T>(all: readonly T[], random: () => number): T | undefined =>
  all[Math.floor(random() * all.length)]

/** Everything below `dir`; what vanishes meanwhile is left out. */
function walk(dir: string): { files: string[]; dirs: string[] } {
  const files: string[] = []
  const dirs: string[] = []
  if (!existsSync(dir)) return { files, dirs }
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if (!entry.isDirectory()) files.push(path)
    else {
      const below = walk(path)
      dirs.push(path, ...below.dirs)
      files.push(...below.files)
    }
  }
  return { files, dirs }
}

/** The kind of place that a path is: of many terms, parts and members one. */
export const placeOf = (path: string): string =>
  path.replaceAll(/network-[0-9a-f-]+/g, 'network-#').replaceAll(/\d+/g, '#')

/** Of the kinds that were deleted least: each has its turn, the few as well as the many small files of the history. */
function pickByPlace(paths: readonly string[], { cluster, random, deleted }: Strike) {
  const kindOf = (path: string): string => placeOf(relative(cluster.backing, path))
  const times = (path: string): number => deleted.get(kindOf(path)) ?? 0
  const least = Math.min(...paths.map(times))
  const kind = pick([...new Set(paths.filter((path) => times(path) === least).map(kindOf))], random)
  if (kind !== undefined) deleted.set(kind, least + 1)
  return pick(
    paths.filter((path) => kindOf(path) === kind),
    random,
  )
}

/** A strike that finds nobody would be none. */
const someActive = (cluster: GroundCluster): Promise<Daemon> =>
  until('one is active', () => cluster.active())

async function killActive({ cluster, random }: Strike): Promise<string> {
  if (random() < 0.5) return ''
  const active = await cluster.active()
  await active?.signal('KILL')
  return `, and kill -9 of ${active?.host.name ?? 'nobody'}`
}

const between = (random: () => number, fromMs: number, toMs: number): number =>
  fromMs + random() * (toMs - fromMs)

/** Holds the last copy of a catalog to be there for 2 M before anything else may befall it. */
const afterDeletion = (monitorMs: number): Promise<void> => sleep(2 * monitorMs)

const fillBytes = (dir: string): void => {
  const file = openSync(join(dir, 'fill'), 'w')
  const block = Buffer.alloc(1 << 20)
  try {
    for (let size = block.length; size > 0; ) {
      try {
        writeSync(file, block, 0, size)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        size >>= 1
      }
    }
  } finally {
    closeSync(file)
  }
}

const fillInodes = (dir: string): void => {
  mkdirSync(join(dir, 'fill'))
  try {
    for (let n = statfsSync(dir).files; n > 0; n -= 1) {
      closeSync(openSync(join(dir, 'fill', String(n)), 'w'))
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}

async function full(strike: Strike, fill: (dir: string) => void): Promise<string> {
  const { cluster, random } = strike
  fill(cluster.backing)
  try {
    await sleep(between(random, 500, 3000))
    const killed = await killActive(strike)
    await sleep(between(random, 1000, 8000))
    return `full${killed}`
  } finally {
    rmSync(join(cluster.backing, 'fill'), { recursive: true })
  }
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'a file of system/ deleted',
    strike: async (strike) => {
      const { cluster, monitorMs } = strike
      const file = pickByPlace(walk(join(cluster.backing, 'system')).files, strike)
      if (file === undefined) throw new Error('there is no file in system/')
      const size = statSync(file, { throwIfNoEntry: false })?.size
      // Some come and go by themselves.
      rmSync(file, { force: true })
      await afterDeletion(monitorMs)
      const what = size === undefined ? 'gone by itself' : `${size} bytes`
      return `${relative(cluster.backing, file)} (${what})`
    },
  },
  {
    name: 'a directory of system/ deleted',
    strike: async (strike) => {
      const { cluster, monitorMs } = strike
      const dir = pickByPlace(walk(join(cluster.backing, 'system')).dirs, strike)
      if (dir === undefined) throw new Error('there is no directory in system/')
      // Somebody may write into it at the same moment.
      rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 5 })
      await afterDeletion(monitorMs)
      return relative(cluster.backing, dir)
    },
  },
  { name: 'disk full', strike: (strike) => full(strike, fillBytes) },
  { name: 'inodes used up', strike: (strike) => full(strike, fillInodes) },
  {
    name: 'read-only',
    strike: async (strike) => {
      const { cluster, random } = strike
      for (const mount of cluster.mounts) await mount.makeReadOnly('all')
      try {
        await sleep(between(random, 500, 4000))
        const killed = await killActive(strike)
        await sleep(between(random, 500, 4000))
        return `read-only${killed}`
      } finally {
        for (const mount of cluster.mounts) await mount.release()
      }
    },
  },
  {
    name: "the active's client network cut",
    strike: async ({ cluster, random, monitorMs }) => {
      const active = await someActive(cluster)
      await active.host.setLink('down')
      try {
        await sleep(between(random, monitorMs / 2, 4 * monitorMs))
      } finally {
        await active.host.setLink('up')
      }
      return active.host.name
    },
  },
  {
    name: 'M changed, one by one',
    strike: async ({ cluster, random, monitorMs }) => {
      const next = String(pick([monitorMs, monitorMs * 2, monitorMs * 1.5], random))
      for (const master of cluster.masters) {
        master.set('tajo.master.ha.monitor.interval', next)
        await master.signal('TERM')
        await master.start()
        await sleep(between(random, 500, 2000))
      }
      return `${next} ms`
    },
  },
  { name: 'a second cluster', strike: strikeOtherCluster },
  { name: 'a wrong tajo.rootdir', strike: strikeWrongRoot },
  {
    name: 'kill -9 of the active',
    strike: async ({ cluster }) => {
      const active = await someActive(cluster)
      await active.signal('KILL')
      return active.host.name
    },
  },
]
