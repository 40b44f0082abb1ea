/**
 * Which term's journal counts is told from what can be seen of all terms, and from what must be there.
 *
 * The highest part of the highest term whose first record is whole counts, even if it holds nothing else; what it says is read
 * by chain.ts. A term without a whole first record is passed over, unless a mark or the history says that it was begun
 * (begun.ts): that is damage, and is refused, as is nothing at all where the terms below have left no record of never having
 * served: files that were removed must not look like files that never were. Something else in the place of a file (a
 * directory, a loop of links) is damage like a file that can't be trusted.
 *
 * A listing may be old, and so may be the absence of a name that was asked for before. So a take-over believes the one that
 * has seen more: it lists, and then asks for the next numbers by name. Whoever only looks (a backup that follows, a dump)
 * never asks by name, so that no absence is remembered on a host that takes over a moment later. And files are swept, by a
 * deposed master too: whatever is missing is looked for anew, and damage is told, and "begins empty" believed, only after a
 * renewal of the own term that began after that look. docs/ha-protocol.md, "A term begins with a reference".
 */
import { join } from 'node:path'
import { CatalogError } from '../errors.ts'
import { type Begun, marksOf, newerOf, promisesJournal, type Served } from './begun.ts'
import { damaged, type Known, readChain, TermDirs } from './chain.ts'
import type { Files } from './files.ts'
import { type FoundJournal, findJournal, inItsPlace, isThere, type Look } from './found-journal.ts'
import { Vanished } from './journal.ts'
import { Changed } from './journal-read.ts'
import { journalFile, partsOf, segmentsOf, snapshotFile, termDir, termsOf } from './term-names.ts'

/** So many numbers beyond the listed ones are asked for by name: take-overs that died early leave few of them. */
const ASKED_BEYOND = 32
/** A file that was listed and isn't there has been swept meanwhile: everything is looked at again. */
const LOOKS = 5

interface Finding {
  readonly look: Look
  /** The newest up to this one counts. */
  readonly term: number
  readonly served: Promise<Served> | null
  /** What is in memory already: read on from there where that place lies on the chain. */
  readonly known: Known | null
  /** Resolves after a renewal of the own term that began now; left out where whoever reads has none. */
  readonly renewed?: (() => Promise<void>) | undefined
}

/**
 * The newest that counts up to `term`, that one included; null when there is none and never was. CatalogError STALE_TERM:
 * a higher term is there, told to whoever takes over, before any file is read. CORRUPT: damaged, or something is missing
 * that `served` or a mark says must be there.
 */
export async function readNewest(finding: Finding): Promise<Known | null> {
  const { renewed = async () => {} } = finding
  let { known } = finding
  let damage: CatalogError | null = null
  for (let left = LOOKS - 1; ; left -= 1) {
    try {
      const newest = await readOnce({ ...finding, known })
      if (newest === null) await renewed()
      return newest
    } catch (error) {
      if (error instanceof Changed) known = null
      else if (CatalogError.is(error, 'CORRUPT')) {
        // What was swept while it was read looks like damage: a second look tells them apart.
        if (damage?.message === error.message || left <= 0) {
          await renewed()
          throw error
        }
        damage = error
        known = null
      } else if (!(error instanceof Vanished)) throw error
      else if (left <= 0) throw new CatalogError('UNAVAILABLE', error.message)
    }
  }
}

/**
 * A few names and a length, in which whatever a master adds to the catalog shows: while they are the same, nothing has come
 * since `known`. Bytes that another hand has put in the place of as many are met when something is read again, which an
 * opening always does. Rejects with FileError.
 */
export async function glanceAt({ files, directory }: Look, { term, part }: Known): Promise<string> {
  const dir = join(directory, termDir(term))
  const [terms, names] = await Promise.all([files.list(directory), files.list(dir)])
  const listed = names === 'missing' ? [] : names
  // The newest file of several may have been listed while it was being written.
  const segment = segmentsOf(listed).findLast((one) => one.part === part)
  const name = segment?.name ?? journalFile(part)
  const journal = listed.includes(name) ? await files.lookAt(join(dir, name)) : 'missing'
  return JSON.stringify([terms, names, journal])
}

async function readOnce({ look, term, served, known }: Finding): Promise<Known | null> {
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
  const dirs = new TermDirs(look)
  for (const candidate of candidates) {
    if (candidate > term) continue
    const journal = await newestIn(dirs, candidate, begun)
    if (journal === null) continue
    refuseOlder(look, journal, begun)
    return readChain(dirs, journal, known)
  }
  refuseOlder(look, null, begun)
  if (term > 1 && !history.recorded) {
    const what = `nothing of any term is left in ${look.directory}, and no record of a term below ${term} says that it never served`
    throw damaged(what)
  }
  return null
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
    const path = join(look.directory, termDir(term))
    const found = await inItsPlace(path, look.files.list(path))
    if (found !== 'missing') asked.push(term)
  }
  return [...new Set([...asked, ...listed])].sort((a, b) => b - a)
}

async function namesIn({ files, directory }: Look): Promise<string[]> {
  const names = await files.list(directory)
  return names === 'missing' ? [] : names
}

async function newestIn(
  dirs: TermDirs,
  term: number,
  begun: Begun | null,
): Promise<FoundJournal | null> {
  const { look } = dirs
  const names = await dirs.names(term)
  if (names === 'missing') return null
  const listed = partsOf(names)
  const lowest = listed.at(-1) ?? 0
  const directory = join(look.directory, termDir(term))
  const beyond = look.takesOver ? await partsBeyond(look.files, directory, listed[0] ?? 0) : []
  for (const part of [...beyond, ...listed]) {
    const found = await findJournal(look, { term, part, names })
    if (found.is === 'begun') return found.journal
    if (begun === null || !promisesJournal(begun, { term, part, lowest })) continue
    const what = found.is === 'missing' ? 'is missing' : 'has no whole first record'
    throw damaged(`${join(directory, journalFile(part))} ${what}, and ${begun.by}`)
  }
  return null
}

/** They come highest first. */
async function partsBeyond(files: Files, directory: string, highest: number): Promise<number[]> {
  const parts: number[] = []
  for (let part = highest + 1; ; part += 1) {
    const paths = [snapshotFile(part), journalFile(part)].map((name) => join(directory, name))
    const found = await Promise.all(paths.map((path) => isThere(files, path)))
    if (!found.includes(true)) return parts
    parts.unshift(part)
  }
}

/** Refuses what is older than what has been begun for certain. */
function refuseOlder({ directory }: Look, read: FoundJournal | null, begun: Begun | null): void {
  if (begun === null) return
  const { term, part, by } = begun
  const isOlder =
    read === null || read.term < term || (read.term === term && part !== null && read.part < part)
  if (!isOlder) return
  const found = read === null ? 'nothing is' : `the newest that is comes from term ${read.term}`
  const which = part === null ? '' : ` (part ${part})`
  throw damaged(
    `the catalog of term ${term}${which} is not in ${join(directory, termDir(term))}, and ${by}; ${found}`,
  )
}
