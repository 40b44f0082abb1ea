/**
 * What can be brought back of a shared catalog that is damaged: each part of each term that is kept, with what would be
 * missing. Nothing here concludes more than the files show. A file that can't be read, for whatever reason, is lost to its
 * part alone: the others are there all the same.
 *
 * A part is whole with its snapshot and its journal. With the snapshot alone it is what it was when it began. With the
 * journal alone it can still be whole: the journal says where its snapshot was taken from, and where that state can be had,
 * the snapshot is made anew.
 */
import { join } from 'node:path'
import { messageOf } from '../base/message-of.ts'
import { Draft } from './apply.ts'
import { type Begun, marksOf, newerOf, promisesJournal } from './begun.ts'
import { FileError, type Files } from './files.ts'
import {
  type JournalPlace,
  journalFile,
  journalHead,
  readSegments,
  replayJournal,
  segmentsOf,
} from './journal.ts'
import { epochDir, partsOf, seenTerms, snapshotFile } from './shared-read.ts'
import { readSnapshot, type Snapshot } from './snapshot.ts'
import { CatalogState, EMPTY } from './state.ts'

export interface Restorable {
  readonly term: number
  readonly part: number
  readonly state: CatalogState
  /** When its snapshot was taken; null where that is lost. */
  readonly at: string | null
  /** Where it comes from, or what is missing, as a sentence; null where its files are whole. */
  readonly how: string | null
  /** Acknowledged changes are missing in it. */
  readonly lossy: boolean
}
export interface Lost {
  readonly term: number
  readonly part: number
  readonly why: string
}

/** Newest first. Rejects with FileError where the directory itself can't be listed. */
export async function findRestorable(
  files: Files,
  directory: string,
  known: Begun | null,
): Promise<{ restorable: Restorable[]; lost: Lost[] }> {
  const parts = await partsIn(files, directory, known)
  const rebuilt = new Rebuilding(parts)
  const restorable: Restorable[] = []
  const lost: Lost[] = []
  for (const { term, part } of parts) {
    const built = rebuilt.at(term, part)
    if ('why' in built) lost.push({ term, part, why: built.why })
    else restorable.push({ term, part, ...built })
  }
  return { restorable, lost }
}

/** What is there, or why not, such as `is missing`. */
type Found<T> = { readonly is: T } | { readonly why: string }

interface JournalLeft {
  readonly bytes: readonly Buffer[]
  /** Why there is no more of it, as far as it is known that there was; null where nothing is known to be lost. */
  readonly cut: string | null
}

interface Part {
  readonly term: number
  readonly part: number
  readonly snapshot: Found<Snapshot>
  readonly journal: Found<JournalLeft>
  /** Changes may have been acknowledged in it. */
  readonly hadJournal: boolean
}

async function partsIn(files: Files, directory: string, known: Begun | null): Promise<Part[]> {
  const names = await files.list(directory)
  const marks = marksOf(names === 'missing' ? [] : names)
  const mayReadAll = (await files.growingFilesReadable?.()) ?? true
  const parts: Part[] = []
  for (const term of await seenTerms({ files, directory, takesOver: false }, 0)) {
    const at = join(directory, epochDir(term))
    const listed = await found(files.list(at))
    const ownMarks = marks.filter((mark) => mark.term === term).map(({ part }) => part)
    const numbers = [...new Set([...ownMarks, ...partsOf(listedIn(listed))])]
    // Its directory is there, and nobody can tell what is in it.
    if (numbers.length === 0 && 'why' in listed && listed.why !== MISSING) numbers.push(1)
    numbers.sort((a, b) => b - a)
    const lowest = numbers.at(-1) ?? 0
    for (const part of numbers) {
      const marked = ownMarks.includes(part) ? { term, part, by: '' } : null
      const begun = newerOf(marked, known)
      const hadJournal = begun !== null && promisesJournal(begun, { term, part, lowest })
      const isWhole = hadJournal || listedIn(listed).includes(journalFile(part))
      const path = join(at, snapshotFile(part))
      const snapshot = isWhole || mayReadAll ? await found(files.read(path)) : ON_ITS_WAY
      parts.push({
        term,
        part,
        snapshot: 'is' in snapshot ? wholeOf(snapshot.is, path) : snapshot,
        journal: await foundJournal(files, { directory: at, names: listedIn(listed), part }),
        hadJournal,
      })
    }
  }
  return parts
}

const MISSING = 'is missing'
/** Where nobody may read a file that still grows. */
const ON_ITS_WAY = { why: 'may still be on its way: nothing says that its journal was begun' }

const listedIn = (listed: Found<string[]>): string[] => ('is' in listed ? listed.is : [])

async function found<T>(call: Promise<T | 'missing'>): Promise<Found<T>> {
  try {
    const is = await call
    return is === 'missing' ? { why: MISSING } : { is }
  } catch (error) {
    if (!(error instanceof FileError)) throw error
    return { why: `is lost (${error.message})` }
  }
}

/** One of its files that can't be read takes those after it along. */
async function foundJournal(files: Files, place: JournalPlace): Promise<Found<JournalLeft>> {
  const { directory, names, part } = place
  const growing = await found(files.read(join(directory, journalFile(part))))
  if ('why' in growing) return growing
  let cut: string | null = null
  const segments = await readSegments(files, place, (error) => {
    cut = error.message
  })
  const isSegmented = segmentsOf(names).some((one) => one.part === part)
  return { is: { bytes: isSegmented ? segments : [growing.is], cut } }
}

/** A newer version's can't be judged, and is as good as lost to this one. */
function wholeOf(bytes: Buffer, path: string): Found<Snapshot> {
  try {
    const snapshot = readSnapshot(bytes, path)
    return snapshot === null ? { why: 'is broken' } : { is: snapshot }
  } catch {
    return { why: 'is broken' }
  }
}

type Built =
  | (Pick<Restorable, 'state' | 'at' | 'how' | 'lossy'> & { readonly seq: number })
  | { readonly why: string }

class Rebuilding {
  readonly #parts: readonly Part[]
  constructor(parts: readonly Part[]) {
    this.#parts = parts
  }

  /** The state of that part after its change `upTo`, or after all that are whole. */
  at(term: number, part: number, upTo = Number.POSITIVE_INFINITY): Built {
    const found = this.#parts.find((one) => one.term === term && one.part === part)
    if (found === undefined) return { why: `nothing is left of part ${part} of term ${term}` }
    const { snapshot, journal } = found
    if ('is' in snapshot) return fromSnapshot(found, snapshot.is, upTo)
    const lost = `its snapshot ${snapshot.why}`
    if ('is' in journal) return this.#fromJournal(found, journal.is, lost)
    return { why: `${lost}, and its journal ${journal.why}` }
  }

  #fromJournal({ term, part }: Part, journal: JournalLeft, lost: string): Built {
    const base = journalHead(journal.bytes)?.base
    if (base === undefined)
      return { why: `${lost}, and its journal does not say what it began with` }
    const below = base === null ? begin : this.at(base.term, base.part, base.seq)
    const from = base === null ? 'nothing' : `term ${base.term} (part ${base.part})`
    if ('why' in below)
      return { why: `${lost}, and so is what it began with, ${from}: ${below.why}` }
    if (base !== null && below.seq !== base.seq) {
      return {
        why: `${lost}, and ${from} ends with change ${below.seq}, it began with ${base.seq}`,
      }
    }
    const seq = base?.term === term ? base.seq : 0
    const { how, ...built } = replayed(journal, { state: below.state, seq, part })
    const anew = `${lost}; it is made anew from ${from}`
    return { ...built, at: null, how: how === null ? anew : `${anew}; ${how}` }
  }
}

const begin = { state: CatalogState.from(EMPTY), at: null, how: null, lossy: false, seq: 0 }

function fromSnapshot(
  { part, journal, hadJournal }: Part,
  snapshot: Snapshot,
  upTo: number,
): Built {
  const { at, seq } = snapshot.head
  const state = CatalogState.from(snapshot.data)
  if ('is' in journal) return { at, ...replayed(journal.is, { state, seq, part, upTo }) }
  // What stands there and can't be read may hold changes, promised or not.
  const lossy = hadJournal || journal.why !== MISSING
  const how = `its journal ${journal.why}: what was changed after ${at} is not in it`
  return { at, state, seq, how: lossy ? how : null, lossy }
}

/** As far as the journal is whole. */
function replayed(
  journal: JournalLeft,
  from: { state: CatalogState; seq: number; part: number; upTo?: number },
): Pick<Restorable, 'state' | 'how' | 'lossy'> & { seq: number } {
  const { state, part, ...rest } = from
  const draft = Draft.of(state)
  let { seq } = from
  const onChange = (change: number): void => {
    seq = change
  }
  let why = journal.cut
  try {
    replayJournal(journal.bytes, draft, { path: journalFile(part), onChange, ...rest })
  } catch (error) {
    why = messageOf(error)
  }
  const how = why === null ? null : `its journal is whole up to change ${seq} only: ${why}`
  return { state: draft.seal().state, seq, how, lossy: how !== null }
}
