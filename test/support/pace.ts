/**
 * How fast this machine is, measured: what a test waits is a multiple of it and no number of seconds, so that a busy or
 * a slow machine gets the time it needs and a quick one is not kept waiting by a broken test.
 *
 * The unit is what it takes here to start a Node that does nothing, or ten durable writes where the disk is the slower
 * of the two. Each process of a run measures once, when it first needs it, and takes the larger of that and of what the
 * run measured at its start. A wait that is over measures again before it gives up: the load may have come later.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Pace {
  /** From the start of a Node that does nothing until its end is known, ms. */
  readonly spawnMs: number
  /** A small file made, written and synced in the folder of temporary files, ms. */
  readonly durableMs: number
}

/** How a run hands its own measurement to its test files: `SPAWN_MS DURABLE_MS`. */
export const PACE_VARIABLE = 'TAJO_TEST_PACE'

/** What one wait is given at most, in units: 45 s where Node starts in 45 ms. */
const PATIENCE_UNITS = 1000
const PATIENCE_OF_A_FILE = 60
const WRITES_OF_A_UNIT = 10
/** A renewal is half a dozen steps, each of which waits for its turn; ten renewals make M. */
const UNITS_OF_M = 15
const MOST_GROWTH = 4
/** A unit on a quiet machine of today, ms. Below it nothing becomes shorter. */
const QUIET_UNIT_MS = 60

/** Measures now; takes about two units. */
export function measurePace(): Pace {
  const timed = (act: () => void): number => {
    const startMs = performance.now()
    act()
    return performance.now() - startMs
  }
  // The first start reads Node from the disk, which happens once and is not how fast the machine is.
  const spawns = [startNode, startNode].map(timed)
  const writes = [writeDurably, writeDurably, writeDurably].map(timed)
  return { spawnMs: Math.min(...spawns), durableMs: Math.min(...writes) }
}

function startNode(): void {
  // tap puts its loader into whatever is spawned; only a program in between takes it out again.
  const words = ['-u', 'NODE_OPTIONS', process.execPath, '-e', '0']
  const { error, status } = spawnSync('/usr/bin/env', words, { stdio: 'ignore' })
  if (error !== undefined || status !== 0) throw error ?? new Error(`node ended with ${status}`)
}

function writeDurably(): void {
  const path = join(tmpdir(), `tajo-pace-${process.pid}`)
  const file = openSync(path, 'w')
  try {
    writeSync(file, 'a record of the size of a heartbeat'.repeat(4))
    fsyncSync(file)
  } finally {
    closeSync(file)
    rmSync(path)
  }
}

export const formatPace = ({ spawnMs, durableMs }: Pace): string =>
  `${spawnMs.toFixed(1)} ${durableMs.toFixed(1)}`

/** Null for anything else than what `formatPace` writes. */
export function parsePace(text: string): Pace | null {
  const [spawnMs, durableMs, ...more] = text.split(' ').map(Number)
  if (spawnMs === undefined || durableMs === undefined || more.length > 0) return null
  return spawnMs > 0 && durableMs >= 0 ? { spawnMs, durableMs } : null
}

export const unitMs = ({ spawnMs, durableMs }: Pace): number =>
  Math.max(spawnMs, WRITES_OF_A_UNIT * durableMs)

let known: Pace | null = null

/** Of this process, measured at the first call. */
export function pace(): Pace {
  if (known === null) {
    const ofTheRun = parsePace(process.env[PACE_VARIABLE] ?? '')
    known = slower(measurePace(), ofTheRun)
  }
  return known
}

/** Measures again and keeps what is slower; one measurement that met a standstill does not count for more than so much. */
export function paceNow(): Pace {
  const before = pace()
  const now = measurePace()
  known = slower(before, {
    spawnMs: Math.min(now.spawnMs, MOST_GROWTH * before.spawnMs),
    durableMs: Math.min(now.durableMs, MOST_GROWTH * before.durableMs),
  })
  return known
}

const slower = (one: Pace, other: Pace | null): Pace => ({
  spawnMs: Math.max(one.spawnMs, other?.spawnMs ?? 0),
  durableMs: Math.max(one.durableMs, other?.durableMs ?? 0),
})

/** What one wait is given, ms; `patience` times as much for what takes long. */
export const patienceMs = (patience = 1, of = pace()): number =>
  Math.round(patience * PATIENCE_UNITS * unitMs(of))

/** What a whole test file is given, ms: far more than its waits, which are to tell what they waited for. */
export const fileLimitMs = (of = pace()): number => patienceMs(PATIENCE_OF_A_FILE, of)

/**
 * A monitor interval for a test: `quietMs`, or fifteen units where that is more, so that a failover which the test does not
 * expect does not come of the machine either. A test waits for several of them, so it is no longer than it must be.
 */
export const monitorMs = (quietMs: number, of = pace()): number =>
  Math.round(Math.max(quietMs, UNITS_OF_M * unitMs(of)))

/** A time limit of the product for a test: `quietMs` on a quiet machine, in proportion more on a slower one. */
export const pacedMs = (quietMs: number, of = pace()): number =>
  Math.round(quietMs * Math.max(1, unitMs(of) / QUIET_UNIT_MS))

/** The same in whole seconds, for programs that count in those. */
export const pacedS = (quietS: number): number => Math.ceil(pacedMs(1000 * quietS) / 1000)
