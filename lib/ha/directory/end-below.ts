/**
 * Ending every term below n, so that no lower holder's renewal succeeds, whatever its clock says.
 *
 * For each number from n−1 down to the newest that is known to have served, that one included: create its claim.json
 * saying *closed*, and the same in `history/k.opened.json`, since files can be removed under a cluster and one of the two
 * is enough; where one exists already, or the term is known to have been held, unlink its heartbeat and look for `.nfs*`.
 * Going by number and not by a listing, none is forgotten because a listing was old. A term that served has itself ended
 * all below it.
 *
 * Of those far below, a term that nobody opened is made void instead (void-terms.ts), which is less work where failed
 * claims have left thousands; those that are void already cost nothing.
 *
 * `.nfs*` after the unlink means that a process on this host had the heartbeat open: the file lives on under that name
 * and the old holder's renewals go on succeeding, so the predecessor isn't fenced until the name is gone. A host that
 * lost power leaves its `.nfs*` for good: any other host removes that by name.
 *
 * How long a holder may take to meet its end is its own matter: its S, by the periods that stand in its term's files.
 *
 * A term's last word, as far as it left one, is `end.json`: it is found by listing, so that no absence gets cached on NFS.
 */
import type { Periods } from '../rules/periods.ts'
import type { Pulse } from '../rules/watch.ts'
import { DiskError } from '../words/errors.ts'
import {
  ACTIVE_DIR,
  type Claim,
  claimFile,
  type End,
  encode,
  endFile,
  HISTORY_DIR,
  heartbeatFile,
  historyFile,
  openedFile,
  releaseOf,
  servedFile,
  termDir,
} from '../words/layout.ts'
import type { Disk } from '../world/ports.ts'
import { decodeClaim, decodeEnd, decodeTerm } from './decode.ts'
import {
  closeInHistory,
  createClosed,
  KEPT_TERMS,
  tellVoid,
  voidIn,
  voidTerm,
} from './void-terms.ts'

/** Null where the term has no end on file, or a torn one. */
export async function readEnd(disk: Disk, term: number): Promise<End | null> {
  if (term === 0) return null
  const names = await disk.list('observe', termDir(term))
  if (names === 'missing' || !names.includes('end.json')) return null
  const text = await disk.read('observe', endFile(term))
  return text === 'missing' ? null : decodeEnd(text)
}

interface EndBelow {
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
interface Ended {
  /** Every holder below is proven to be gone; if not, the caller waits the settling time. */
  readonly proven: boolean
  readonly alive: number | null
  /** Where it is to be waited: the largest S of those that were ended unproven. */
  readonly settleMs: number
}

export async function endBelow(disk: Disk, request: EndBelow): Promise<Ended> {
  const listed = await disk.list('end-below', HISTORY_DIR)
  const names = listed === 'missing' ? [] : listed
  const history = new Set(names.map((name) => `${HISTORY_DIR}/${name}`))
  const lowest = newestServed(history, request.term)
  const isVoid = voidIn(names)
  const left: number[] = []
  for (let lower = request.term - 1; lower >= lowest; lower -= 1) {
    if (request.closed?.has(lower) !== true && !isVoid(lower)) left.push(lower)
  }
  const made: number[] = []
  let proven = true
  let settleMs = 0
  for (let from = 0; from < left.length; from += AT_ONCE) {
    const terms = left.slice(from, from + AT_ONCE)
    const work: Work = { ...request, history, made }
    const ends = await Promise.all(terms.map((lower) => endTerm(disk, lower, work)))
    const alive = terms[ends.indexOf('alive')]
    if (alive !== undefined) return { proven: false, alive, settleMs }
    const ended = terms.filter((_, i) => ends[i] === 'ended')
    if (ended.length > 0) proven = false
    const theirs = await Promise.all(ended.map((lower) => settleOf(disk, lower, request)))
    settleMs = Math.max(settleMs, ...theirs)
  }
  await tellOthers(disk, made)
  return { proven, alive: null, settleMs }
}

/**
 * Tells the others, which only saves them work: where no name finds room, or the storage fails, this ending is done all
 * the same.
 */
async function tellOthers(disk: Disk, made: readonly number[]): Promise<void> {
  try {
    await tellVoid(disk, 'end-below', made)
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
  }
}

interface Work extends EndBelow {
  /** Paths of all that stands there. */
  readonly history: ReadonlySet<string>
  /** Those that were made void. */
  readonly made: number[]
}

/** Terms that failed claims have left can be thousands; each is a create of its own, and none waits for another. */
const AT_ONCE = 32

/** The newest below `term` that is known to have served, else 1; `history`: paths of all that stands there. */
function newestServed(history: ReadonlySet<string>, term: number): number {
  for (let lower = term - 1; lower > 1; lower -= 1) if (history.has(servedFile(lower))) return lower
  return 1
}

/**
 * `gone`: the term's holder is proven gone, or never was. `alive`: it was only stalled, and renews again. Ending it now
 * would be safe for changes, but it may stall once more before it meets its end, and answer reads for the rest of a lease
 * that is longer than the settling time.
 */
async function endTerm(
  disk: Disk,
  lower: number,
  request: Work,
): Promise<'gone' | 'ended' | 'alive'> {
  const { term, nonce, history, made } = request
  const isFar = lower < term - KEPT_TERMS
  const mayBeVoid = isFar && !history.has(openedFile(lower)) && !wasHeld(lower, request)
  if (mayBeVoid && (await voidTerm(disk, 'end-below', lower))) {
    request.closed?.add(lower)
    made.push(lower)
    return 'gone'
  }
  const closed: Claim = { state: 'closed', term: lower, closedBy: term, nonce }
  // Texts of thousands would fill the disk that failed the claims.
  const text = isFar ? '' : encode(closed)
  const decision = await createClosed(disk, 'end-below', { path: claimFile(lower), text })
  const inHistory = history.has(openedFile(lower))
    ? 'exists'
    : await closeInHistory(disk, 'end-below', { term: lower, text })
  if (decision === 'missing') return endVanished(disk, lower, request)
  // Closed in both before it was opened: nobody ever held it, nor will.
  if (decision === 'created' && inHistory === 'created' && !wasHeld(lower, request)) {
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

/**
 * It beat when it was looked at, or has served: both files that opened it were removed under it, and its holder may live.
 * Needs no call: thousands of terms that nobody held are asked.
 */
function wasHeld(lower: number, { basis, history }: Pick<Work, 'basis' | 'history'>): boolean {
  const beat = basis.some(({ term, mtimeMs }) => term === lower && mtimeMs !== null)
  return beat || history.has(servedFile(lower))
}

async function isClosed(disk: Disk, lower: number): Promise<boolean> {
  const text = await disk.read('end-below', claimFile(lower))
  return text !== 'missing' && decodeClaim(text)?.state === 'closed'
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

/**
 * The term's directory is gone. One that was swept had long been ended, and its number is taken for ever; one that was
 * removed otherwise took the heartbeat along, which its holder finds at its next renewal.
 */
async function endVanished(
  disk: Disk,
  lower: number,
  { provenTerm, history }: Work,
): Promise<'gone' | 'ended'> {
  // By listing, since a name may be a remembered absence.
  const names = await disk.list('end-below', ACTIVE_DIR)
  if (names !== 'missing' && names.includes(termDir(lower).slice(ACTIVE_DIR.length + 1))) {
    const path = termDir(lower)
    throw new DiskError('ESTALE', path, `${path} is listed, but can't be written into yet`)
  }
  if (lower === provenTerm) return 'gone'
  if (!history.has(historyFile(lower))) return 'ended'
  const text = await disk.read('end-below', historyFile(lower))
  return text !== 'missing' && decodeTerm(text)?.reason === 'swept' ? 'gone' : 'ended'
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
