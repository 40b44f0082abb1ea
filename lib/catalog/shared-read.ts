/**
 * Reading the shared catalog: which term's files count, and what they say.
 *
 *     epoch-0000000042/snapshot-0000000001   all of the catalog when term 42 began
 *     epoch-0000000042/journal-0000000001    the changes since
 *     begun-0000000042-0000000001            both of them are there: whoever finds this without them has met damage
 *     epoch-0000000042/snapshot-0000000002   the next part: the journal had got long, or a write had failed
 *     …
 *
 * The highest part whose snapshot is whole counts, with its journal as far as that is whole; of the terms the highest
 * that has such a part. A snapshot that isn't whole can be passed over, because nothing is acknowledged before it is;
 * a journal is made only after its snapshot was whole, so one beside a broken snapshot means damage, and is refused. So is
 * anything older than what is known to have been begun (begun.ts), and nothing at all where the terms below have left no
 * record of never having served: files that were removed must not look like files that never were. Something else in the
 * place of a file (a directory, a loop of links) is damage of that part like a file that can't be trusted.
 *
 * A listing may be old, and so may be the absence of a name that was asked for before. So a take-over believes the one
 * that has seen more: it lists, and then asks for the next numbers by name. Whoever only looks (a dump on a backup)
 * never asks by name, so that no absence is remembered on a host that takes over a moment later.
 */
import { join } from 'node:path'
import { Draft } from './apply.ts'
import { type Begun, marksOf, newerOf, promisesJournal, type Served } from './begun.ts'
import { CatalogError } from './errors.ts'
import { type Files, isNoFile } from './files.ts'
import { corrupt, replayJournal } from './journal.ts'
import { readSnapshot } from './snapshot.ts'
import { CatalogState } from './state.ts'

/** So many numbers beyond the listed ones are asked for by name: takes over that died early leave few of them. */
const ASKED_BEYOND = 32
/** A file that was listed and isn't there has been swept meanwhile: everything is looked at again. */
const LOOKS = 5

const number10 = (number: number): string => String(number).padStart(10, '0')
export const epochDir = (term: number): string => `epoch-${number10(term)}`
export const snapshotFile = (part: number): string => `snapshot-${number10(part)}`
export const journalFile = (part: number): string => `journal-${number10(part)}`

const numbersOf = (names: readonly string[], prefix: string): number[] =>
  names
    .filter((name) => name.startsWith(prefix) && /^\d{10}$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => b - a)
/** Highest first. */
export const termsOf = (names: readonly string[]): number[] => numbersOf(names, 'epoch-')
/** Highest first. */
export const partsOf = (names: readonly string[]): number[] =>
  [...new Set([...numbersOf(names, 'snapshot-'), ...numbersOf(names, 'journal-')])].sort(
    (a, b) => b - a,
  )

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
 * The newest that counts up to `term`, that one included; null when there is none and never was. CatalogError CORRUPT:
 * damaged, or something is missing that `served` or a mark says must be there.
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

class Vanished extends Error {}

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
  const read = async (name: string): Promise<Buffer | 'missing'> => {
    if (!look.takesOver && !names.includes(name)) return 'missing'
    const path = join(directory, name)
    const bytes = await inItsPlace(path, look.files.read(path))
    if (bytes === 'missing' && names.includes(name)) {
      throw new Vanished(`${join(directory, name)} was listed and is not there`)
    }
    return bytes
  }
  const listed = partsOf(names)
  const lowest = listed.at(-1) ?? 0
  for (const part of [...(await partsBeyond(listed[0] ?? 0, read)), ...listed]) {
    const path = join(directory, snapshotFile(part))
    const bytes = await read(snapshotFile(part))
    const journal = await read(journalFile(part))
    const snapshot = bytes === 'missing' ? null : readSnapshot(bytes, path)
    if (snapshot === null) {
      if (journal === 'missing') continue
      if (bytes === 'missing') throw damaged(`${path} is missing, though its journal was begun`)
      throw corrupt(path, `it is not whole, though its journal was begun. ${WAY_BACK}`)
    }
    if (journal === 'missing' && begun !== null && promisesJournal(begun, { term, part, lowest })) {
      throw damaged(`${join(directory, journalFile(part))} is missing, and ${begun.by}`)
    }
    const draft = Draft.of(CatalogState.from(snapshot.data))
    const from = { path: join(directory, journalFile(part)), seq: snapshot.head.seq }
    const seq = journal === 'missing' ? from.seq : replayJournal(journal, draft, from)
    return { term, part, state: draft.seal().state, seq }
  }
  return null
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
async function partsBeyond(
  highest: number,
  read: (name: string) => Promise<Buffer | 'missing'>,
): Promise<number[]> {
  const parts: number[] = []
  for (let part = highest + 1; (await read(snapshotFile(part))) !== 'missing'; part += 1) {
    parts.unshift(part)
  }
  return parts
}
