/**
 * Reading the shared catalog: which term's files count, and what they say.
 *
 *     epoch-0000000042/snapshot-0000000001   all of the catalog when term 42 began
 *     epoch-0000000042/journal-0000000001    the changes since, with more files of that number on some storages (journal.ts)
 *     begun-0000000042-0000000001            both of them are there: whoever finds this without them has met damage
 *     epoch-0000000042/snapshot-0000000002   the next part: the journal had got long, or a write had failed
 *     …
 *
 * The highest part that has a journal counts, as far as that is whole; of the terms the highest that has such a part. A
 * snapshot without a journal is passed over, and not read: nothing was acknowledged in it, and it may still be on its way. A
 * journal is made only after its snapshot was whole, so one beside a broken snapshot means damage, and is refused. So is
 * anything older than what is known to have been begun (begun.ts), and nothing at all where the terms below have left no
 * record of never having served: files that were removed must not look like files that never were. Something else in the
 * place of a file (a directory, a loop of links) is damage of that part like a file that can't be trusted.
 *
 * A listing may be old, and so may be the absence of a name that was asked for before. So a take-over believes the one
 * that has seen more: it lists, and then asks for the next numbers by name. Whoever only looks (a dump on a backup)
 * never asks by name, so that no absence is remembered on a host that takes over a moment later.
 */
import { basename, join } from 'node:path'
import { Draft } from './apply.ts'
import { type Begun, marksOf, newerOf, promisesJournal, type Served } from './begun.ts'
import { CatalogError } from './errors.ts'
import { type Files, isNoFile } from './files.ts'
import {
  corrupt,
  type JournalPlace,
  journalFile,
  readSegments,
  replayJournal,
  segmentsOf,
  Vanished,
} from './journal.ts'
import { readSnapshot, type Snapshot } from './snapshot.ts'
import { CatalogState } from './state.ts'

/** So many numbers beyond the listed ones are asked for by name: takes over that died early leave few of them. */
const ASKED_BEYOND = 32
/** A file that was listed and isn't there has been swept meanwhile: everything is looked at again. */
const LOOKS = 5

const number10 = (number: number): string => String(number).padStart(10, '0')
export const epochDir = (term: number): string => `epoch-${number10(term)}`
export const snapshotFile = (part: number): string => `snapshot-${number10(part)}`

const numbersOf = (names: readonly string[], prefix: string): number[] =>
  names
    .filter((name) => name.startsWith(prefix) && /^\d{10}$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => b - a)
/** Highest first. */
export const termsOf = (names: readonly string[]): number[] => numbersOf(names, 'epoch-')
/** Highest first. */
export const partsOf = (names: readonly string[]): number[] =>
  [
    ...new Set([
      ...numbersOf(names, 'snapshot-'),
      ...numbersOf(names, 'journal-'),
      ...segmentsOf(names).map((one) => one.part),
    ]),
  ].sort((a, b) => b - a)

/** What one term's files say. */
export interface EpochRead {
  readonly term: number
  readonly part: number
  readonly state: CatalogState
  readonly seq: number
}

export interface Look {
  readonly files: Files
  readonly directory: string
  /** Ask for names beyond the listing, too: whoever takes over does. */
  readonly takesOver: boolean
  /** A master may be writing meanwhile: what still grows is not read where that would spoil it. */
  readonly besideMasters?: boolean
}

/** All terms that can be seen, highest first, with or without files of their own. */
export async function seenTerms(look: Look, below: number): Promise<number[]> {
  const names = await namesIn(look)
  const listed = [...new Set([...termsOf(names), ...marksOf(names).map(({ term }) => term)])].sort(
    (a, b) => b - a,
  )
  if (!look.takesOver) return listed
  const from = Math.max(listed.find((term) => term < below) ?? 0, below - 1 - ASKED_BEYOND)
  const asked: number[] = []
  for (let term = below - 1; term > from; term -= 1) {
    const path = join(look.directory, epochDir(term))
    const found = await inItsPlace(path, look.files.list(path))
    if (found !== 'missing') asked.push(term)
  }
  return [...new Set([...asked, ...listed])].sort((a, b) => b - a)
}

async function namesIn({ files, directory }: Look): Promise<string[]> {
  const names = await files.list(directory)
  return names === 'missing' ? [] : names
}

/**
 * The newest that counts up to `term`, that one included; null when there is none and never was. CatalogError STALE_TERM:
 * a higher term is there, told to whoever takes over, before any file is read. CORRUPT: damaged, or something is missing
 * that `served` or a mark says must be there.
 */
export async function readNewest(
  look: Look,
  term: number,
  served: Promise<Served> | null,
): Promise<EpochRead | null> {
  for (let left = LOOKS - 1; ; left -= 1) {
    try {
      return await readOnce(look, term, served)
    } catch (error) {
      if (!(error instanceof Vanished)) throw error
      if (left === 0) throw new CatalogError('UNAVAILABLE', error.message)
    }
  }
}

async function readOnce(
  look: Look,
  term: number,
  served: Promise<Served> | null,
): Promise<EpochRead | null> {
  // Marks first: what they promise was there before them.
  const [mark] = marksOf(await namesIn(look)).filter((one) => one.term <= term)
  const candidates = await seenTerms(look, term + 1)
  const [highest] = candidates
  if (look.takesOver && highest !== undefined && highest > term) {
    const text = `term ${highest} has the catalog in ${look.directory}, this is term ${term}`
    throw new CatalogError('STALE_TERM', text)
  }
  const history = (await served) ?? { begun: null, recorded: true }
  const marked = mark === undefined ? null : { ...mark, by: 'a mark says that it was begun' }
  const begun = newerOf(marked, history.begun)
  for (const candidate of candidates) {
    if (candidate > term) continue
    const read = await readEpoch(look, candidate, begun)
    if (read === null) continue
    refuseOlder(look, read, begun)
    return read
  }
  refuseOlder(look, null, begun)
  if (term > 1 && !history.recorded) {
    const what = `nothing of any term is left in ${look.directory}, and no record of a term below ${term} says that it never served`
    throw damaged(what)
  }
  return null
}

/** Older than what has been begun for certain. */
function refuseOlder({ directory }: Look, read: EpochRead | null, begun: Begun | null): void {
  if (begun === null) return
  const { term, part, by } = begun
  const isOlder =
    read === null || read.term < term || (read.term === term && part !== null && read.part < part)
  if (!isOlder) return
  const found = read === null ? 'nothing is' : `the newest that is comes from term ${read.term}`
  const which = part === null ? '' : ` (part ${part})`
  throw damaged(
    `the catalog of term ${term}${which} is not in ${join(directory, epochDir(term))}, and ${by}; ${found}`,
  )
}

/** With the way back, for the log, the status and the page. */
const damaged = (what: string): CatalogError =>
  new CatalogError(
    'CORRUPT',
    `${what}. Files of the catalog were removed: put them back, or run 'tajo catalog restore', which lists what is whole and brings it back`,
  )

async function readEpoch(look: Look, term: number, begun: Begun | null): Promise<EpochRead | null> {
  const directory = join(look.directory, epochDir(term))
  const names = await inItsPlace(directory, look.files.list(directory))
  if (names === 'missing') return null
  const listed = partsOf(names)
  const lowest = listed.at(-1) ?? 0
  const beyond = look.takesOver ? await partsBeyond(look.files, directory, listed[0] ?? 0) : []
  for (const part of [...beyond, ...listed]) {
    const found = await readPart(look, { directory, names, part })
    if (found === null) continue
    if (found.journal === 'missing') {
      if (begun === null || !promisesJournal(begun, { term, part, lowest })) continue
      throw damaged(`${join(directory, journalFile(part))} is missing, and ${begun.by}`)
    }
    const { snapshot, journal } = found
    const draft = Draft.of(CatalogState.from(snapshot.data))
    const from = { path: join(directory, journalFile(part)), seq: snapshot.head.seq }
    const seq = replayJournal(journal, draft, from)
    return { term, part, state: draft.seal().state, seq }
  }
  return null
}

type PartRead =
  | { readonly journal: 'missing' }
  | { readonly journal: readonly Buffer[]; readonly snapshot: Snapshot }

/** Null where nothing is. The journal first: a snapshot without one may still be on its way, and is not read. */
async function readPart(look: Look, place: JournalPlace): Promise<PartRead | null> {
  const { files, takesOver } = look
  const { directory, part } = place
  const path = join(directory, snapshotFile(part))
  const journalPath = join(directory, journalFile(part))
  // A part that no listing showed may have files that none showed.
  const isListed = partsOf(place.names).includes(part)
  const listed = isListed ? place.names : await files.list(directory)
  const names = listed === 'missing' ? [] : listed
  const mayBe = takesOver || names.includes(journalFile(part))
  if (!mayBe || !(await isThere(files, journalPath))) {
    refuseVanished(names, journalPath)
    return isListed && !names.includes(snapshotFile(part)) ? null : { journal: 'missing' }
  }
  const growingReadable = (await files.growingFilesReadable?.()) ?? true
  const readJournal = () => inItsPlace(journalPath, files.read(journalPath))
  const beside = growingReadable ? readJournal() : null
  // Whoever waits for it hears of a failure; what is wrong with the snapshot comes first.
  void beside?.catch(() => undefined)
  const bytes = await inItsPlace(path, files.read(path))
  if (bytes === 'missing') {
    refuseVanished(names, path)
    throw damaged(`${path} is missing, though its journal was begun`)
  }
  const snapshot = readSnapshot(bytes, path)
  if (snapshot === null) {
    throw corrupt(path, `it is not whole, though its journal was begun. ${WAY_BACK}`)
  }
  if (snapshot.segmented) {
    const segments = readSegments(files, { directory, names, part })
    return { snapshot, journal: await inItsPlace(journalPath, segments) }
  }
  if (look.besideMasters === true && !growingReadable) throw growing(journalPath)
  const journal = await (beside ?? readJournal())
  if (journal === 'missing') throw new Vanished(`${journalPath} was there and is not any more`)
  return { snapshot, journal: [journal] }
}

/** Versions that know no closed files write such a journal on any storage. */
function growing(path: string): CatalogError {
  const text = `${path} is of an earlier version, whose active master may still write it, and whoever reads it here meanwhile (HDFS's NFS gateway) leaves this host's master unable to: start the masters of this version, which then keep the catalog in files that can be read at any time`
  return new CatalogError('UNAVAILABLE', text)
}

/** Asked for by its name, without a byte of it: no file is that long. */
async function isThere(files: Files, path: string): Promise<boolean> {
  const found = await inItsPlace(path, files.readWhole(path, Number.MAX_SAFE_INTEGER))
  return found !== 'missing'
}

function refuseVanished(names: readonly string[], path: string): void {
  if (!names.includes(basename(path))) return
  throw new Vanished(`${path} was listed and is not there`)
}

/** Passing trouble stays a FileError. */
async function inItsPlace<T>(path: string, call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    if (!isNoFile(error)) throw error
    const what = `something else stands in its place (${error.errno}). ${WAY_BACK}`
    throw corrupt(path, what, error)
  }
}

const WAY_BACK = "'tajo catalog restore' lists what is whole and brings it back"

/** Highest first. */
async function partsBeyond(files: Files, directory: string, highest: number): Promise<number[]> {
  const parts: number[] = []
  for (let part = highest + 1; ; part += 1) {
    const path = join(directory, snapshotFile(part))
    if (!(await isThere(files, path))) return parts
    parts.unshift(part)
  }
}
