/**
 * Ending every term below n, so that no lower holder's renewal succeeds, whatever its clock says.
 *
 * For each number from n−1 down to the newest that is known to have served, that one included: create its claim.json
 * saying *closed*; where one exists already, unlink its heartbeat and look for `.nfs*`. Going by number and not by a
 * listing, none is forgotten because a listing was old. A term that served has itself ended all below it.
 *
 * `.nfs*` after the unlink means that a process on this host had the heartbeat open: the file lives on under that name
 * and the old holder's renewals go on succeeding, so the predecessor isn't fenced until the name is gone. A host that
 * lost power leaves its `.nfs*` for good: any other host removes that by name.
 *
 * How long a holder may take to meet its end is its own matter: its S, by the periods that stand in its term's files.
 */
import { decodeClaim, decodeTerm } from './decode.ts'
import { DiskError, isNoSpace } from './errors.ts'
import {
  type Claim,
  claimFile,
  encode,
  HISTORY_DIR,
  heartbeatFile,
  historyFile,
  historyTermOf,
  releaseOf,
  termDir,
} from './layout.ts'
import type { Periods } from './periods.ts'
import type { Disk } from './ports.ts'
import type { Pulse } from './watch.ts'

export interface EndBelow {
  readonly term: number
  readonly nonce: string
  /** A lower term whose holder is proven dead already, or null. */
  readonly provenTerm: number | null
  /** Heartbeats as they were when silence was taken for death; empty where nothing was concluded from silence. */
  readonly basis: readonly Pulse[]
  /** S of the winner, for a holder of which nothing better is known. */
  readonly settleMs: number
  /** Terms that this process has closed before anybody opened them: nobody ever will. Kept up to date here. */
  readonly closed?: Set<number>
  /** Waits between two looks for `.nfs*`; rejects when the claim is over. */
  readonly pause: (why: string) => Promise<void>
}

/** `alive`: a term whose heartbeat has moved since, and which was left alone; the claim has to be abandoned then. */
export interface Ended {
  /** Every holder below is proven to be gone; if not, the caller waits the settling time. */
  readonly proven: boolean
  readonly alive: number | null
  /** Where it is to be waited: the largest S of those that were ended unproven. */
  readonly settleMs: number
}

export async function endBelow(disk: Disk, request: EndBelow): Promise<Ended> {
  const lowest = newestServed(await servedTerms(disk), request.term)
  let proven = true
  let settleMs = 0
  for (let from = request.term - 1; from >= lowest; from -= AT_ONCE) {
    const terms = Array.from({ length: Math.min(AT_ONCE, from - lowest + 1) }, (_, i) => from - i)
    const ends = await Promise.all(terms.map((lower) => endTerm(disk, lower, request)))
    const alive = ends.indexOf('alive')
    if (alive >= 0) return { proven: false, alive: from - alive, settleMs }
    const ended = terms.filter((lower) => ends[from - lower] === 'ended')
    if (ended.length > 0) proven = false
    const theirs = await Promise.all(ended.map((lower) => settleOf(disk, lower, request)))
    settleMs = Math.max(settleMs, ...theirs)
  }
  return { proven, alive: null, settleMs }
}

/** Terms that failed claims have left can be thousands; each is a create of its own, and none waits for another. */
const AT_ONCE = 32
/** Beyond so many terms below a closing is an empty file: thousands of texts would fill the disk that failed the claims. */
const WITH_TEXT = 64

/** The newest below `term` that is known to have served, else 1. */
function newestServed(served: ReadonlySet<number>, term: number): number {
  let newest = 1
  for (const one of served) if (one < term && one > newest) newest = one
  return newest
}

async function servedTerms(disk: Disk): Promise<Set<number>> {
  const names = await disk.list('end-below', HISTORY_DIR)
  if (names === 'missing') return new Set()
  const entries = names.map(historyTermOf)
  return new Set(entries.filter((entry) => entry?.served).map((entry) => entry?.term ?? 0))
}

/**
 * `gone`: the term's holder is proven gone, or never was. `alive`: it was only stalled, and renews again. Ending it now
 * would be safe for changes, but it may stall once more before it meets its end, and answer reads for the rest of a lease
 * that is longer than the settling time.
 */
async function endTerm(
  disk: Disk,
  lower: number,
  request: EndBelow,
): Promise<'gone' | 'ended' | 'alive'> {
  const { term, nonce } = request
  if (request.closed?.has(lower) === true) return 'gone'
  const closed: Claim = { state: 'closed', term: lower, closedBy: term, nonce }
  const decision = await close(disk, lower, lower < term - WITH_TEXT ? '' : encode(closed))
  // Created: closed before it was opened, so nobody ever held it. Missing: swept, and its number is taken for ever.
  if (decision !== 'exists') {
    request.closed?.add(lower)
    return 'gone'
  }
  const heartbeat = await disk.glimpse('end-below', heartbeatFile(lower))
  const released = heartbeat !== 'missing' && releaseOf(heartbeat.mtimeMs) !== 'no'
  const before = request.basis.find((pulse) => pulse.term === lower)
  const beats = heartbeat !== 'missing' && !released
  const moved = beats && before !== undefined && before.mtimeMs !== heartbeat.mtimeMs
  // One that came only after the term was closed is nobody's: a create whose reply was an error may land much later.
  if (moved && !(await isClosed(disk, lower))) return 'alive'
  let name: string | undefined = 'heartbeat'
  for (;;) {
    await unlinkUnlessOpenHere(disk, `${termDir(lower)}/${name}`)
    const names = await disk.list('end-below', termDir(lower))
    // By listing, since an unlink may be answered from a remembered absence.
    name = names === 'missing' ? undefined : names.find(isHeartbeat)
    if (name === undefined) return released || lower === request.provenTerm ? 'gone' : 'ended'
    await request.pause(
      `the heartbeat of term ${lower} is still there, held open by a process on this host or by one that lost power (${termDir(lower)}/${name})`,
    )
  }
}

async function isClosed(disk: Disk, lower: number): Promise<boolean> {
  const text = await disk.read('end-below', claimFile(lower))
  return text !== 'missing' && decodeClaim(text)?.state === 'closed'
}

/** That it exists closes it: one that no space was left to fill does as well. */
async function close(
  disk: Disk,
  lower: number,
  text: string,
): Promise<'created' | 'exists' | 'missing'> {
  try {
    return await disk.create('end-below', claimFile(lower), text)
  } catch (error) {
    if (isNoSpace(error) && error.made) return 'created'
    throw error
  }
}

async function settleOf(disk: Disk, lower: number, request: EndBelow): Promise<number> {
  const seen = request.basis.find((pulse) => pulse.term === lower)?.periods
  return (seen ?? (await writtenPeriods(disk, lower)))?.settleMs ?? request.settleMs
}

/** Where it can't be read the term is ended all the same: its fence is the unlink. */
async function writtenPeriods(disk: Disk, term: number): Promise<Periods | undefined> {
  try {
    const text = await disk.read('end-below', historyFile(term))
    return text === 'missing' ? undefined : decodeTerm(text)?.periods
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
    return undefined
  }
}

const isHeartbeat = (name: string): boolean => name === 'heartbeat' || name.startsWith('.nfs')

/** A `.nfs*` name goes like any other on all hosts but the one that has the file open: there it is busy. */
async function unlinkUnlessOpenHere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.unlink('end-below', path)
  } catch (error) {
    if (!(error instanceof DiskError) || error.errno !== 'EBUSY') throw error
  }
}
