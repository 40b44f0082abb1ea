/**
 * Before the role is handed over, its successor shows that it can make its files: a hand-over on a full disk would end
 * with nobody serving, while the old holder, which only renews, could have gone on.
 *
 * The proof stands in the directory, since that is what has to take the files: the successor's reserve (reserve.ts).
 * Where it keeps none, because space is low, it is asked by a file and makes one now, or leaves word why it can't.
 */
import { DiskError, isNoSpace, messageOf } from './errors.ts'
import { askedFile, BACKUP_DIR, cannotFile, type Holder } from './layout.ts'
import type { Clock, Disk } from './ports.ts'
import { hasReserve, type Reserve } from './reserve.ts'
import type { Timing } from './timing.ts'

/** `why`: with the errno, where one is known. */
export type Proof = { readonly can: true } | { readonly can: false; readonly why: string }

export interface AskOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly timing: Timing
  /** Our own room, for the question. */
  readonly reserve: Pick<Reserve, 'spend'>
}

/** Asks that very process. Never rejects; takes M at most, and no time where it keeps its reserve. */
export async function askForProof(options: AskOptions, successor: Holder): Promise<Proof> {
  const { disk } = options
  try {
    if (await hasReserve(disk, successor)) return { can: true }
    await ask(options, askedFile(successor.address))
    return await answerOf(options, successor)
  } catch (error) {
    return { can: false, why: messageOf(error) }
  } finally {
    for (const path of [askedFile(successor.address), cannotFile(successor.address)]) {
      // The next question takes it away, or its reader.
      await disk.unlink('release', path).catch(() => undefined)
    }
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

async function answerOf(options: AskOptions, successor: Holder): Promise<Proof> {
  const { disk, clock, timing } = options
  const { address } = successor
  const untilMs = clock.nowMs() + timing.monitorMs
  const cannot = cannotFile(address)
  while (clock.nowMs() < untilMs) {
    if (await hasReserve(disk, successor)) return { can: true }
    const names = await disk.list('release', BACKUP_DIR)
    if (names !== 'missing' && names.some((name) => `${BACKUP_DIR}/${name}` === cannot)) {
      const why = await disk.read('release', cannot)
      if (why !== 'missing' && why !== '') return { can: false, why: why.trim() }
    }
    await new Promise<void>((done) => clock.after(timing.pollMs, done))
  }
  const text = `it has not shown within ${timing.monitorMs} ms that it can make its files`
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
    const why = error instanceof DiskError ? `${error.errno}: ${error.message}` : messageOf(error)
    // Where not even this finds room, the silence says it.
    await disk.create('register', cannotFile(address), `${why}\n`).catch(() => undefined)
  }
  await disk.unlink('register', asked).catch(() => undefined)
}
