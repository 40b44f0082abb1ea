/**
 * Before the role is handed over, its successor shows that it can make its files: a hand-over on a full disk would end
 * with nobody serving, while the old holder, which only renews, could have gone on.
 *
 * The proof stands in the directory, since that is what has to take the files: the successor's reserve (reserve.ts).
 * Where it keeps none, because space is low, it is asked by a file and makes one now, or leaves word why it can't: in a
 * name, since a name takes no room.
 */
import type { Timing } from '../rules/timing.ts'
import { DiskError, isNoSpace, messageOf } from '../words/errors.ts'
import { askedFile, BACKUP_DIR, cannotFile, type Holder } from '../words/layout.ts'
import { pause } from '../world/clock.ts'
import type { Clock, Disk } from '../world/ports.ts'
import { hasReserve, type Reserve } from './reserve.ts'

/** `why`: with the errno, where one is known. */
export type Proof = { readonly can: true } | { readonly can: false; readonly why: string }

interface AskOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly timing: Timing
  /** Our own room, for the question. */
  readonly reserve: Pick<Reserve, 'spend'>
}

/**
 * Asks that very process. Never rejects; takes M at most, its own where that is longer, and no time where it keeps its
 * reserve.
 */
export async function askForProof(options: AskOptions, successor: Holder): Promise<Proof> {
  const { disk } = options
  try {
    if (await hasReserve(disk, successor)) return { can: true }
    await forgetAnswers(disk, successor.address)
    await ask(options, askedFile(successor.address))
    return await answerOf(options, successor)
  } catch (error) {
    return { can: false, why: messageOf(error) }
  } finally {
    // The next question takes it away, or its reader.
    await disk.unlink('release', askedFile(successor.address)).catch(() => undefined)
  }
}

async function ask({ disk, reserve }: AskOptions, path: string): Promise<void> {
  try {
    await disk.create('release', path, '')
  } catch (error) {
    if (!isNoSpace(error) || error.made) throw error
    if (!(await reserve.spend())) throw error
    await disk.create('release', path, '')
  }
}

/** Those to a question whose asker has died. */
async function forgetAnswers(disk: Disk, address: string): Promise<void> {
  const refusal = cannotFile(address, '').slice(BACKUP_DIR.length + 1)
  const names = await disk.list('release', BACKUP_DIR)
  for (const name of names === 'missing' ? [] : names) {
    if (name.startsWith(refusal)) await disk.unlink('release', `${BACKUP_DIR}/${name}`)
  }
}

async function answerOf(options: AskOptions, successor: Holder): Promise<Proof> {
  const { disk, clock, timing } = options
  const { address } = successor
  // It looks for questions at its own pace.
  const limitMs = Math.max(timing.monitorMs, successor.periods?.monitorMs ?? 0)
  const untilMs = clock.nowMs() + limitMs
  const refusal = cannotFile(address, '').slice(BACKUP_DIR.length + 1)
  while (clock.nowMs() < untilMs) {
    if (await hasReserve(disk, successor)) return { can: true }
    const names = await disk.list('release', BACKUP_DIR)
    const refused = names === 'missing' ? undefined : names.find((name) => name.startsWith(refusal))
    if (refused !== undefined) {
      await disk.unlink('release', `${BACKUP_DIR}/${refused}`)
      const errno = refused.slice(refusal.length)
      return { can: false, why: `${errno}: it tried to make the files of a claim` }
    }
    await pause(clock, timing.pollMs)
  }
  const text = `it has not shown within ${limitMs} ms that it can make its files`
  return { can: false, why: text }
}

/** The successor's side: `names` are those in `backup/`. Never rejects. */
export async function answerIfAsked(
  disk: Disk,
  reserve: Pick<Reserve, 'prove'>,
  { address, names }: { address: string; names: readonly string[] },
): Promise<void> {
  const asked = askedFile(address)
  if (!names.some((name) => `${BACKUP_DIR}/${name}` === asked)) return
  try {
    await reserve.prove()
  } catch (error) {
    const errno = error instanceof DiskError ? error.errno.replaceAll(/\W/g, '_') : 'EIO'
    // Where not even a name finds room, the silence says it.
    await disk.create('register', cannotFile(address, errno), '').catch(() => undefined)
  }
  await disk.unlink('register', asked).catch(() => undefined)
}
