/**
 * Claiming a term: five exclusive steps, each of which can only be lost, never undone by somebody slow.
 *
 *  1. `epoch-n/` is made by mkdir through proper-lockfile. Picks the winner on NFS; on an HDFS gateway everybody wins it.
 *  2. `history/n.json` by exclusive create: the number is taken for ever. Only now may a heartbeat be made: its name must
 *     never be used again, not after it was unlinked and not after its directory was swept, or a deposed holder that was
 *     paused before a renewal would find it living.
 *  3. `heartbeat` is made by exclusive create. From here on the term is renewed.
 *  4. `claim.json` is made by exclusive create, saying open. If it exists, a higher term has closed this one.
 *  5. `history/n.opened.json` is made by exclusive create. If it exists, the term was swept while we were paused before
 *     3 or 4, and
 *     its directory was made again by a contender even slower than us.
 *
 * test/sim/terms.ts shows each of them to be needed. A reply can be lost after success: steps 2, 4 and 5 then find their
 * own nonce, which is another one for every attempt. After 1 and 3 nothing can be proven, and the term is left to expire
 * like any other.
 *
 * A claim that fails (a full disk) goes on later under the same number and nonce, where it stopped: to the others it is
 * one that was paused. What it has made stays, and what it could not fill it fills. Not so once its heartbeat was made,
 * or may have been: that name would be used again, and the number is given up.
 */

import { isDefinite, isNoSpace } from '../words/errors.ts'
import {
  type Claim,
  claimFile,
  encode,
  HISTORY_DIR,
  type Holder,
  heartbeatFile,
  historyFile,
  openedFile,
  type TermRecord,
  termDir,
} from '../words/layout.ts'
import { makeWhole } from '../world/directories.ts'
import type { Disk } from '../world/ports.ts'
import { decodeClaim, decodeTerm } from './decode.ts'

/** One number and nonce, and how far they have come. */
export interface Attempt {
  readonly record: TermRecord
  /** Our own mkdir succeeded. */
  dirMade: boolean
  /** Files that we made and could not fill. */
  readonly torn: Set<string>
  /** The heartbeat exists, or may come to exist. */
  heartbeatTried: boolean
}

export const newAttempt = (record: TermRecord): Attempt => ({
  record,
  dirMade: false,
  torn: new Set(),
  heartbeatTried: false,
})

/** It left nothing that forbids its number another try. */
export const canGoOn = (attempt: Attempt): boolean => !attempt.heartbeatTried

interface ClaimRequest {
  readonly holder: Holder
  readonly attempt: Attempt
  /** Called when the heartbeat is made: the lease begins with the start of that call. */
  readonly onHeartbeat: () => void
  /** Gives up what was kept for this moment when there is no space; false: nothing is left to give up. */
  readonly makeRoom: () => Promise<boolean>
}

/** `lost` says to whom or why, as far as it can be told. */
type ClaimOutcome = { readonly won: true } | { readonly won: false; readonly why: string }

/** Rejects with DiskError where the storage fails; then the caller abandons the term, or goes on with it (`canGoOn`). */
export async function claimTerm(disk: Disk, request: ClaimRequest): Promise<ClaimOutcome> {
  const { attempt, holder, onHeartbeat, makeRoom } = request
  const { record } = attempt
  const { term, nonce } = record
  const roomy = async <T>(step: () => Promise<T>): Promise<T> => {
    try {
      return await step()
    } catch (error) {
      if (!isNoSpace(error) || !(await makeRoom())) throw error
      return await step()
    }
  }
  const own = (path: string, text: string, decode: Decode): Promise<boolean> =>
    roomy(() => createOwn(disk, attempt, { path, text, decode }))

  if (
    !attempt.dirMade &&
    (await roomy(() => disk.makeTermDir('claim', termDir(term)))) === 'exists'
  )
    return { won: false, why: 'another contender made the term first' }
  attempt.dirMade = true
  if (!(await own(historyFile(term), encode(record), decodeTerm))) {
    return { won: false, why: 'another contender took the number first' }
  }
  if ((await roomy(() => makeHeartbeat(disk, attempt))) !== 'created') {
    return { won: false, why: 'its heartbeat was there already' }
  }
  onHeartbeat()
  const claim: Claim = { state: 'open', term, holder, nonce }
  const decided = await own(claimFile(term), encode(claim), decodeClaim)
  const opened = decided && (await own(openedFile(term), encode(claim), decodeClaim))
  if (opened) return { won: true }
  await disk.unlink('claim', heartbeatFile(term))
  return {
    won: false,
    why: decided ? 'it was swept meanwhile' : 'a higher term has closed it',
  }
}

/** Only an answer that says so leaves the name unused: after an EIO the create may land later. */
async function makeHeartbeat(
  disk: Disk,
  attempt: Attempt,
): Promise<'created' | 'exists' | 'missing'> {
  attempt.heartbeatTried = true
  try {
    return await disk.create('claim', heartbeatFile(attempt.record.term), '')
  } catch (error) {
    if (isDefinite(error) && !error.made) attempt.heartbeatTried = false
    throw error
  }
}

type Decode = (text: string) => { readonly nonce: string } | null

/** Exclusive create that also counts as ours when the file holds our nonce: the reply to our own create was lost. */
async function createOwn(
  disk: Disk,
  { torn, record }: Attempt,
  { path, text, decode }: { path: string; text: string; decode: Decode },
): Promise<boolean> {
  const wanted = { purpose: 'claim', path, text } as const
  let made = await makeWhole(disk, torn, wanted)
  if (made === 'missing' && path.startsWith(`${HISTORY_DIR}/`)) {
    // Removed under the cluster. Numbers stay taken by their directories.
    await disk.makeDirs('claim', HISTORY_DIR)
    made = await makeWhole(disk, torn, wanted)
  }
  if (made !== 'exists') return made === 'created'
  const found = await disk.read('claim', path)
  return found !== 'missing' && decode(found)?.nonce === record.nonce
}
