/**
 * Claiming a term: five exclusive steps, each of which can only be lost, never undone by somebody slow.
 *
 *  1. `epoch-n/` by mkdir through proper-lockfile. Picks the winner on NFS; on an HDFS gateway everybody wins it.
 *  2. `history/n.json` by exclusive create: the number is taken for ever. Only now may a heartbeat be made: its name must
 *     never be used again, not after it was unlinked and not after its directory was swept, or a deposed holder that was
 *     paused before a renewal would find it living.
 *  3. `heartbeat` by exclusive create. From here on the term is renewed.
 *  4. `claim.json` by exclusive create, saying open. If it exists, a higher term has closed this one.
 *  5. `history/n.opened.json` by exclusive create. If it exists, the term was swept while we were paused before 3 or 4, and
 *     its directory was made again by a contender even slower than us.
 *
 * test/sim/terms.ts shows each of them to be needed. A reply can be lost after success: steps 2, 4 and 5 then find their
 * own nonce, which is another one at every attempt. After 1 and 3 nothing can be proven, and the term is left to expire
 * like any other.
 */
import { decodeClaim, decodeTerm } from './decode.ts'
import {
  type Claim,
  claimFile,
  encode,
  type Holder,
  heartbeatFile,
  historyFile,
  openedFile,
  type TermRecord,
  termDir,
} from './layout.ts'
import type { Disk } from './ports.ts'

export interface ClaimRequest {
  readonly term: number
  readonly holder: Holder
  readonly record: TermRecord
  /** Called when the heartbeat is made: the lease begins with the start of that call. */
  readonly onHeartbeat: () => void
}

/** `lost` says to whom or why, as far as it can be told. */
export type ClaimOutcome = { readonly won: true } | { readonly won: false; readonly why: string }

/** Rejects with DiskError where the storage fails; then the caller abandons the term. */
export async function claimTerm(disk: Disk, request: ClaimRequest): Promise<ClaimOutcome> {
  const { term, holder, record } = request
  if ((await disk.makeTermDir('claim', termDir(term))) === 'exists') {
    return { won: false, why: 'another contender made the term first' }
  }
  if (!(await createOwn(disk, historyFile(term), encode(record), record.nonce, decodeTerm))) {
    return { won: false, why: 'another contender took the number first' }
  }
  if ((await disk.create('claim', heartbeatFile(term), '')) !== 'created') {
    return { won: false, why: 'its heartbeat was there already' }
  }
  request.onHeartbeat()
  const claim: Claim = { state: 'open', term, holder, nonce: record.nonce }
  const decided = await createOwn(disk, claimFile(term), encode(claim), record.nonce, decodeClaim)
  const opened =
    decided && (await createOwn(disk, openedFile(term), encode(claim), record.nonce, decodeClaim))
  if (opened) return { won: true }
  await disk.unlink('claim', heartbeatFile(term))
  return {
    won: false,
    why: decided ? 'it was swept meanwhile' : 'a higher term has closed it',
  }
}

/** Exclusive create that also counts as ours when the file holds our nonce: the reply to our own create was lost. */
async function createOwn(
  disk: Disk,
  path: string,
  text: string,
  nonce: string,
  decode: (text: string) => { readonly nonce: string } | null,
): Promise<boolean> {
  const made = await disk.create('claim', path, text)
  if (made !== 'exists') return made === 'created'
  const found = await disk.read('claim', path)
  return found !== 'missing' && decode(found)?.nonce === nonce
}
