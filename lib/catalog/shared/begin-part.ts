/**
 * A part of a term begins: a sign for readers of earlier formats, its journal with the first record, and the mark that
 * promises it, durably when it resolves. From the moment when the first record is whole a successor may rest on it, so from
 * then on nothing of it is taken back, whatever is told of a write.
 */
import { dirname, join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import type { Log } from '../../base/log.ts'
import { type Binding, bindingFile } from '../binding.ts'
import { CatalogError } from '../errors.ts'
import type { CatalogState } from '../state.ts'
import type { Opening } from '../store.ts'
import { markFile, marksOf } from './begun.ts'
import { type Checkpoint, makeCheckpoint } from './checkpoint.ts'
import { type Files, isNoSpace, type NewFile } from './files.ts'
import { findJournal } from './found-journal.ts'
import { type Basis, beginning, GrowingJournal, type Journal, SegmentedJournal } from './journal.ts'
import { encodeStop } from './snapshot.ts'
import { removePart } from './sweep.ts'
import { journalFile, partsOf, snapshotFile, termDir } from './term-names.ts'

/** The catalog's directory, and what is written there for people. */
export interface PartMaker {
  readonly files: Files
  readonly directory: string
  readonly cluster: string | null
  readonly now: () => Date
  readonly log: Log
}

export interface NewPart {
  readonly term: number
  /** Or the next number that is free. */
  readonly part: number
  /** The number of the last change before it. */
  readonly seq: number
  readonly basis: Basis
  /** The format of its journal (journal-format.ts). */
  readonly journal: number
  /** What it begins with. */
  readonly state: CatalogState
  /** Whether a checkpoint of that stands before the first record. */
  readonly copies: 'no' | 'if there is room' | 'surely'
  readonly onProgress?: Opening['onProgress']
}

interface BegunPart {
  readonly part: number
  readonly journal: Journal
  /** The checkpoint at its beginning. */
  readonly copy: Checkpoint | null
}

/** Names that exist already although no listing showed them. */
const PART_TRIES = 32

/** The term's directory is there. Rejects FileError; CatalogError UNAVAILABLE where it may have begun all the same. */
export async function beginPart(maker: PartMaker, begin: NewPart): Promise<BegunPart> {
  const at = join(maker.directory, termDir(begin.term))
  for (let part = begin.part; part < begin.part + PART_TRIES; part += 1) {
    const stop = await maker.files.create(join(at, snapshotFile(part)), { durable: false })
    if (stop === 'exists') continue
    const begun = await beginFiles(maker, { ...begin, part }, stop)
    if (begun !== null) return begun
  }
  throw new CatalogError('UNAVAILABLE', `${at} has files that its listing does not show`)
}

/** One that is there already is ours: its number was never used before. */
export async function makeMark(
  { files, directory }: Pick<PartMaker, 'files' | 'directory'>,
  { term, part }: Pick<NewPart, 'term' | 'part'>,
): Promise<void> {
  const mark = await files.create(join(directory, markFile(term, part)), { durable: false })
  if (mark !== 'exists') await mark.close()
}

/** The highest number that a part of the term has had, as far as can be seen; 0 for none. */
export async function lastPart(
  { files, directory }: Pick<PartMaker, 'files' | 'directory'>,
  term: number,
): Promise<number> {
  const dirs = [join(directory, termDir(term)), directory]
  const [names = 'missing', all = 'missing'] = await Promise.all(
    dirs.map((path) => files.list(path)),
  )
  const marked = marksOf(all === 'missing' ? [] : all).filter((mark) => mark.term === term)
  const parts = partsOf(names === 'missing' ? [] : names)
  return Math.max(0, ...parts, ...marked.map(({ part }) => part))
}

/**
 * Whose catalog it is reaches the disk with the part that is begun. `bound`: whose marks there are; another's only to be
 * replaced.
 */
export async function bindFiles(
  { files, directory, log }: Pick<PartMaker, 'files' | 'directory' | 'log'>,
  bound: readonly string[],
  { clusterId: ours, rebinds }: Binding,
): Promise<void> {
  for (const theirs of rebinds === true ? bound : []) {
    await files.unlink(join(directory, bindingFile(theirs)))
  }
  if (ours === null || (bound.length > 0 && rebinds !== true)) return
  const path = join(directory, bindingFile(ours))
  try {
    const mark = await files.create(path, { durable: false })
    if (mark !== 'exists') await mark.close()
  } catch (error) {
    if (!isNoSpace(error)) throw error
    // The next term makes it: this one must not fail for what only tells of damage later.
    log('warn', `no room for ${path}, which says whose catalog it is`, {
      event: 'catalog-sign-omitted',
    })
  }
}

/** Null where the number is taken. */
async function beginFiles(
  maker: PartMaker,
  begin: NewPart,
  stop: NewFile,
): Promise<BegunPart | null> {
  const { files, directory, cluster } = maker
  const { term, part, seq, basis, journal: format } = begin
  const path = join(directory, termDir(term), journalFile(part))
  let file: NewFile | 'exists' | null = null
  try {
    const segmented = !((await files.growingFilesReadable?.()) ?? true)
    const stopped = stop.write(encodeStop(term, part)).then(() => stop.close())
    // Whoever waits for it hears of a failure; a copy may take its time before.
    void stopped.catch(() => undefined)
    // Where nobody may read what still grows, it has to be whole before the journal makes anybody look at it.
    if (segmented) await stopped
    const copy = begin.copies === 'no' ? null : await copied(maker, begin)
    file = await files.create(path, { durable: true })
    await stopped
    if (file === 'exists') return null
    const kind = segmented ? SegmentedJournal : GrowingJournal
    const head = { journal: format, cluster, term, part, seq, basis }
    const journal = await kind.begin(files, file, head)
    await promise(maker, begin)
    return { part, journal, copy }
  } catch (error) {
    closeQuietly(stop)
    if (file !== null && file !== 'exists') closeQuietly(file)
    if (error instanceof BegunError || (await mayBeBegun(maker, begin))) {
      throw new CatalogError('UNAVAILABLE', messageOf(error), { cause: error })
    }
    if (isNoSpace(error) || error instanceof CatalogError) {
      await removePart(files, directory, { term, part })
    }
    throw error
  }
}

/** A chain that has become long for want of room is gone on with. */
async function copied(
  { files, directory, cluster, now, log }: PartMaker,
  { term, part, seq, state, copies, onProgress }: NewPart,
): Promise<Checkpoint | null> {
  let done = 0
  const goesOn = (): boolean => {
    done += 1
    onProgress?.({ phase: 'writing a checkpoint', done, of: null })
    return true
  }
  const at = now().toISOString()
  const place = { term, part, position: beginning(seq) }
  try {
    return await makeCheckpoint(files, directory, { ...place, cluster, state, at }, goesOn)
  } catch (error) {
    if (copies === 'surely' || !isNoSpace(error)) throw error
    const text = 'there is no room for the checkpoint that a long chain of terms asks for'
    log('warn', text, { event: 'checkpoint-failed', term, error: messageOf(error) })
    return null
  }
}

/** A part could not be begun in good order, though its first record counts. */
class BegunError extends Error {}

/** The first record is whole. Rejects BegunError. */
async function promise(maker: PartMaker, { term, part }: NewPart): Promise<void> {
  const { files, directory, log } = maker
  try {
    // After the journal: a mark promises it. Without room it is made when all files are looked for.
    await makeMark(maker, { term, part }).catch((error: unknown) => {
      if (!isNoSpace(error)) throw error
      const name = markFile(term, part)
      log('warn', `there is no room for ${name}: it is made later`, {
        event: 'catalog-sign-omitted',
        term,
        part,
      })
    })
    // At once, since the file system commits them together: a take-over waits for nothing but this.
    const dirs = [join(directory, termDir(term)), directory, dirname(directory)]
    await Promise.all(dirs.map((dir) => files.syncDir(dir)))
  } catch (error) {
    throw new BegunError(messageOf(error), { cause: error })
  }
}

/** Also a write that was told as failed may stand. */
async function mayBeBegun(
  { files, directory }: PartMaker,
  { term, part }: NewPart,
): Promise<boolean> {
  try {
    const names = await files.list(join(directory, termDir(term)))
    if (names === 'missing') return false
    const look = { files, directory, takesOver: false }
    return (await findJournal(look, { term, part, names })).is === 'begun'
  } catch {
    return true
  }
}

/** Everything in it is durable or given up, so a close that fails or hangs says nothing. */
export function closeQuietly(open: { close(): Promise<void> }): void {
  void open.close().catch(() => undefined)
}
