/**
 * What the checks of a shared directory have in common: a scratch directory of their own, measured calls, a limit for a
 * mount that hangs, and the shape of a result.
 */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { HaError, messageOf } from '../words/errors.ts'
import { realClock } from '../world/clock.ts'
import type { Disk } from '../world/ports.ts'

/** What one check found. */
export interface StorageCheck {
  /** What was checked, in a few words. */
  readonly name: string
  /** It was found as the protocol needs it. */
  readonly ok: boolean
  /** What was seen, as a sentence. */
  readonly detail: string
  /** How long the call took that the check is about, in ms; null where none was measured. */
  readonly medianMs: number | null
  /** The same for the slowest twentieth: its 95th percentile. */
  readonly p95Ms: number | null
  /** What would go wrong on a mount that fails it. */
  readonly consequence: string
  /** False: it could not be tried (an error, no answer), which shows nothing. */
  readonly tried: boolean
}

export interface Finding {
  readonly ok: boolean
  readonly detail: string
  /** Measured calls, ms. */
  readonly samples?: readonly number[]
}

/** Of whom an older mark is taken back. */
export type Refuted = 'here' | 'both'

export interface Trial {
  readonly name: string
  readonly consequence: string
  /** Without it the trials after it mean nothing. */
  readonly essential?: true
  /** Whose mount it is seen on to do what a mark denies, when it fails: the checking host's, or one of the two's. */
  readonly refutes?: Refuted
  readonly run: () => Promise<Finding>
}

/** Counters of the checks start here (2026): any value above the reserved ones will do. */
export const FIRST_COUNTER_MS = 1_790_000_000_000

/** A name that no other check uses. Leftovers of a crashed one bear another name and do no harm. */
export const newScratchName = (): string => `check-${randomUUID()}`

/** Returns the disk as seen from one directory below it. */
export function below(disk: Disk, directory: string): Disk {
  const at = (path: string): string => `${directory}/${path}`
  return {
    makeTermDir: (purpose, path) => disk.makeTermDir(purpose, at(path)),
    makeDirs: (purpose, path) => disk.makeDirs(purpose, at(path)),
    create: (purpose, path, text) => disk.create(purpose, at(path), text),
    fill: (purpose, path, text) => disk.fill(purpose, at(path), text),
    occupy: (purpose, path, bytes) => disk.occupy(purpose, at(path), bytes),
    space: () => disk.space(),
    touch: (purpose, path, mtimeMs) => disk.touch(purpose, at(path), mtimeMs),
    glimpse: (purpose, path) => disk.glimpse(purpose, at(path)),
    read: (purpose, path) => disk.read(purpose, at(path)),
    list: (purpose, path) => disk.list(purpose, at(path)),
    unlink: (purpose, path) => disk.unlink(purpose, at(path)),
    replace: (purpose, path, by) => disk.replace(purpose, at(path), at(by)),
    removeDir: (purpose, path) => disk.removeDir(purpose, at(path)),
    syncDir: (purpose, path) => disk.syncDir(purpose, at(path)),
  }
}

/** Empties and removes a scratch directory, one level of directories in it included. */
export async function removeScratch(disk: Disk, directory: string): Promise<void> {
  const names = await disk.list('check', directory)
  if (names === 'missing') return
  for (const name of names) {
    const path = `${directory}/${name}`
    if ((await disk.removeDir('check', path).catch(() => 'file' as const)) === 'file') {
      await disk.unlink('check', path)
    }
  }
  await disk.removeDir('check', directory)
}

/** Runs a call and keeps how long it took. */
export async function timed<T>(samples: number[], call: () => Promise<T>): Promise<T> {
  const start = realClock.nowMs()
  const value = await call()
  samples.push(realClock.nowMs() - start)
  return value
}

/** The value that the share `q` of all samples doesn't exceed; null without samples. */
export function percentile(samples: readonly number[], q: number): number | null {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * q) - 1)] ?? null
}

/** Rejects HaError TIMEOUT when the call takes longer; the call itself can't be taken back. */
export function within<T>(limitMs: number, what: string, call: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = realClock.after(limitMs, () =>
      reject(new HaError('TIMEOUT', `${what}: no answer within ${limitMs} ms`)),
    )
    call.then(resolve, reject).finally(cancel)
  })
}

export const pause = (delayMs: number): Promise<void> =>
  new Promise((resolve) => realClock.after(delayMs, resolve))

/** Runs trials one after the other, up to one that hangs (the next would hang too) or an essential one that fails. */
export async function runTrials(
  trials: readonly Trial[],
  limitMs: number,
): Promise<{ checks: StorageCheck[]; hangs: boolean; refuted: ReadonlySet<Refuted> }> {
  const checks: StorageCheck[] = []
  const refuted = new Set<Refuted>()
  for (const { name, consequence, essential, refutes, run } of trials) {
    const { finding, isSeen, hangs } = await runTrial(within(limitMs, name, run()))
    const { ok, detail, samples = [] } = finding
    if (!ok && isSeen && refutes !== undefined) refuted.add(refutes)
    const [medianMs, p95Ms] = [percentile(samples, 0.5), percentile(samples, 0.95)]
    checks.push({ name, ok, detail, medianMs, p95Ms, consequence, tried: isSeen })
    if (hangs || (essential && !ok)) return { checks, hangs, refuted }
  }
  return { checks, hangs: false, refuted }
}

interface Tried {
  readonly finding: Finding
  /** False for an error: what could not be tried shows nothing. */
  readonly isSeen: boolean
  readonly hangs: boolean
}

async function runTrial(run: Promise<Finding>): Promise<Tried> {
  try {
    return { finding: await run, isSeen: true, hangs: false }
  } catch (error) {
    const hangs = error instanceof HaError && error.code === 'TIMEOUT'
    return { finding: { ok: false, detail: messageOf(error) }, isSeen: false, hangs }
  }
}

/** Opens a file as a careless program would, and keeps it open until the answer is called. */
export async function holdOpen(path: string): Promise<() => Promise<void>> {
  const file = await open(path, constants.O_RDONLY)
  return () => file.close()
}
