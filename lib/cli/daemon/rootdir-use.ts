/**
 * One `tajo.rootdir` is used by the masters of one HA cluster, or by one master without high availability: both at once
 * would be two active masters. The single one has no term, so it leaves a mark where the others keep theirs.
 *
 * Each side leaves its own sign first and looks for the other's after (an HA master does so again whenever it is about
 * to be active): of two that start at the same moment at least one sees the other.
 */
import { open, readdir, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import { type Clock, pause, systemClock, waitingClock } from '../../base/time.ts'
import {
  GuardError,
  type Guarded,
  type ProcessGuard,
  realWorld,
  requireUnheld,
  takeGuard,
} from '../../daemon/index.ts'
import { liveMembers, type Timing } from '../../ha/index.ts'

/** The mark's mtime moves, so that another container of the same kernel can tell whether its holder lives. */
const BEAT_MS = 1000
const STILL_MS = 3500
/** Beside the patience with a heartbeat: whoever can't be judged by then is not. */
const JUDGED_MS = 10_000
/** With a storage that fails. */
const PATIENCE_MS = 30_000
const AGAIN_MS = 250

interface SingleUse {
  readonly haDirectory: string
  readonly rootDirectory: string
  /** The master's own. */
  readonly address: string
  readonly timing: Timing
  /** The mark was taken away, so another master may have started. */
  readonly onLost: (error: Error) => void
  /** The mark was removed and is there again; nobody else has come meanwhile. For people. */
  readonly onPutBack?: (why: string) => void
}

/** What a master with high availability leaves before it looks for the mark: its backup file, its term. */
async function signsIn(haDirectory: string): Promise<string> {
  const names = await Promise.all(
    ['active', 'backup'].map((name) => readdir(join(haDirectory, name)).catch(noneIfMissing)),
  )
  return JSON.stringify(names.map((some) => (some ?? []).sort()))
}

function noneIfMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null
  throw error
}

/** It is for a master without high availability. Rejects with an Error that names who uses the directory. */
export async function useAlone(use: SingleUse): Promise<{ release(): void }> {
  const { haDirectory, rootDirectory, address, timing, onLost, onPutBack } = use
  const mark = markOf(haDirectory, rootDirectory)
  const take = (): Promise<ProcessGuard> => takeGuard(mark, `master ${address}`, worldOf(mark))
  const held = { guard: await take(), signs: await signsIn(haDirectory) }
  let isReleased = false
  const putBack = async (): Promise<void> => {
    // A beat that was under way then finds no mark, and by right.
    if (isReleased) return
    held.guard = await take()
    if (isReleased) return held.guard.release()
    const now = await signsIn(haDirectory)
    if (now !== held.signs) throw new Error('masters with high availability have come meanwhile')
    onPutBack?.(
      `${mark.path} was removed while this master uses tajo.rootdir alone, and was put back: something removes files there`,
    )
  }
  const stopBeat = beat(mark.path, { isOurs: () => held.guard.isOurs(), putBack, onLost })
  const release = (): void => {
    isReleased = true
    stopBeat()
    held.guard.release()
  }
  try {
    await requireNoCluster(haDirectory, rootDirectory, timing)
    return { release }
  } catch (error) {
    release()
    throw error
  }
}

/**
 * Silence proves nothing here: this master would end no term, and a holder that wakes up would go on with its own. It is
 * waited for by the periods of whoever is silent, which may be much longer than ours.
 */
async function requireNoCluster(
  haDirectory: string,
  rootDirectory: string,
  timing: Timing,
): Promise<void> {
  let { patienceMs } = timing
  const judging = liveMembers(haDirectory, timing, (theirsMs) => {
    patienceMs = Math.max(patienceMs, theirsMs)
  })
  const waiting = new AbortController()
  const late = until(() => JUDGED_MS + 2 * patienceMs, waiting.signal)
  const judged = await Promise.race([judging, late])
  waiting.abort()
  if (judged === null) {
    throw new Error(
      `whether an HA cluster uses tajo.rootdir ${rootDirectory} can't be told: ${haDirectory} is too slow, or does not answer`,
    )
  }
  const { live, unproven } = judged
  if (live.length > 0) {
    throw new Error(
      `tajo.rootdir ${rootDirectory} is used by the HA cluster of ${live.join(', ')}; set tajo.master.ha.enable to true, or choose another tajo.rootdir`,
    )
  }
  if (unproven === null) return
  throw new Error(
    `tajo.rootdir ${rootDirectory} was used by the HA cluster of ${unproven}, of which nothing proves that it has ended: its host may be frozen or cut off, and would go on. When it is gone for good run 'tajo haadmin -formatHA', which ends its term; otherwise set tajo.master.ha.enable to true, or choose another tajo.rootdir`,
  )
}

/** Resolves to null when so long a time has passed, which may grow meanwhile, or the signal says that nobody waits. */
async function until(limitMs: () => number, signal: AbortSignal): Promise<null> {
  const startedMs = waitingClock.nowMs()
  for (;;) {
    const leftMs = startedMs + limitMs() - waitingClock.nowMs()
    if (leftMs <= 0 || signal.aborted) return null
    await pause(waitingClock, leftMs, signal)
  }
}

/**
 * It is for a master with high availability. Rejects with GuardError HELD naming the master that uses the directory alone.
 */
export function requireNobodyAlone(haDirectory: string, rootDirectory: string): Promise<void> {
  const mark = markOf(haDirectory, rootDirectory)
  return requireUnheld(mark, worldOf(mark))
}

/**
 * The same for a term that begins, as patient with the storage as the catalog is, which comes next: one failed call does
 * not end a term. `onTrouble` hears why it waits.
 */
export async function requireNobodyAloneInTerm(
  haDirectory: string,
  rootDirectory: string,
  term: {
    readonly signal: AbortSignal
    readonly onTrouble: (why: string) => void
    readonly clock?: Clock
  },
): Promise<void> {
  const { signal, onTrouble, clock = systemClock } = term
  const untilMs = clock.nowMs() + PATIENCE_MS
  for (;;) {
    try {
      return await requireNobodyAlone(haDirectory, rootDirectory)
    } catch (error) {
      const passing = GuardError.is(error, 'UNAVAILABLE')
      if (!passing || signal.aborted || clock.nowMs() >= untilMs) throw error
      onTrouble(error.message)
      await pause(clock, AGAIN_MS)
    }
  }
}

/** Where one that crashed has left its mark it says so too. Rejects with the file system's error. */
export async function isUsedAlone(haDirectory: string): Promise<boolean> {
  return (await stat(pathOfMark(haDirectory)).catch(noneIfMissing)) !== null
}

const pathOfMark = (haDirectory: string): string => join(haDirectory, 'single.json')

const markOf = (haDirectory: string, rootDirectory: string): Guarded => ({
  path: pathOfMark(haDirectory),
  what: `tajo.rootdir ${rootDirectory} for a master without high availability`,
  usedBy: `tajo.rootdir ${rootDirectory} is used by a master without high availability:`,
  instead:
    'Set tajo.master.ha.enable to true on all masters of one tajo.rootdir, or choose another tajo.rootdir',
})

const worldOf = ({ path }: Guarded) => realWorld(() => isStill(path))

async function isStill(path: string): Promise<boolean> {
  const before = await mtimeOf(path)
  await pause(waitingClock, STILL_MS)
  return (await mtimeOf(path)) === before
}

/** It opens the file: on NFS a plain stat may be a minute old. */
async function mtimeOf(path: string): Promise<number> {
  const file = await open(path)
  try {
    return (await file.stat()).mtimeMs
  } finally {
    await file.close()
  }
}

interface Beat {
  readonly isOurs: () => Promise<boolean>
  /** Rejects when another master may use the directory by now. */
  readonly putBack: () => Promise<void>
  readonly onLost: (error: Error) => void
}

/**
 * A mark that is gone is put back, and then the others' signs are looked for: who came meanwhile has left one, and who
 * comes later finds the mark. So only another master ends this one, not the hand that removed a file.
 */
function beat(path: string, { isOurs, putBack, onLost }: Beat): () => void {
  let busy = false
  const touch = async (): Promise<void> => {
    if (busy) return
    busy = true
    try {
      if (await isOurs()) await utimes(path, new Date(), new Date())
      else await putBackOrEnd()
    } catch (error) {
      // Any other error: whoever looks for the mark meanwhile has the same storage before him.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') await putBackOrEnd()
    } finally {
      busy = false
    }
  }
  const timer = setInterval(() => void touch(), BEAT_MS)
  const putBackOrEnd = async (): Promise<void> => {
    try {
      await putBack()
    } catch (error) {
      clearInterval(timer)
      const text = `${path} was removed while this master uses tajo.rootdir alone, so another one may use it now: ${messageOf(error)}`
      onLost(new Error(text))
    }
  }
  return () => clearInterval(timer)
}
