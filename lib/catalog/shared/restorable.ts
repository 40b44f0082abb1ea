/**
 * What can be brought back of a shared catalog that is damaged: each part of each term that is kept, with what would be
 * missing. Nothing here concludes more than the files show. A file that can't be read, for whatever reason, is lost to those
 * parts alone that rest on it: the others are there all the same.
 *
 * A part is whole with its journal and with what that rests on: the newest of its checkpoints that is whole, or else the place
 * of another part that its first record names, with all that one rests on. Without its journal it is what its newest
 * checkpoint says. One of format 1 rests on its snapshot.
 */
import { join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import { Draft } from '../apply.ts'
import { CatalogError } from '../errors.ts'
import { CatalogState, EMPTY } from '../state.ts'
import { type Begun, marksOf, newerOf, promisesJournal } from './begun.ts'
import { type CheckpointRead, checkpointMs, readCheckpoint, readSnapshot } from './checkpoint.ts'
import { FileError, type Files } from './files.ts'
import { type FoundJournal, findJournal, type Look, snapshotHeadOf } from './found-journal.ts'
import { type Place, type Position, Vanished } from './journal.ts'
import { readGroups, startOf } from './journal-read.ts'
import { seenTerms } from './newest.ts'
import { SNAPSHOT_FORMATS } from './snapshot.ts'
import { checkpointsOf, partsOf, snapshotFile, termDir, wholeCheckpointsOf } from './term-names.ts'

export interface Restorable {
  readonly term: number
  readonly part: number
  readonly state: CatalogState
  /** When its last change was made, or its checkpoint; null where neither is known. */
  readonly at: string | null
  /** Where it comes from, or what is missing, as a sentence; null where its files are whole. */
  readonly how: string | null
  /** Acknowledged changes are missing in it. */
  readonly lossy: boolean
}
interface Lost {
  readonly term: number
  readonly part: number
  readonly why: string
}

/** They come newest first. Rejects with FileError where the directory itself can't be listed. */
export async function findRestorable(
  files: Files,
  directory: string,
  known: Begun | null,
): Promise<{ restorable: Restorable[]; lost: Lost[] }> {
  const look = { files, directory, takesOver: false }
  const parts = await partsIn(look, known)
  const rebuilding = new Rebuilding(look, parts)
  const restorable: Restorable[] = []
  const lost: Lost[] = []
  for (const { term, part } of parts) {
    const built = await rebuilding.at(term, part, null)
    if ('why' in built) lost.push({ term, part, why: built.why })
    else restorable.push({ term, part, ...built })
  }
  return { restorable, lost }
}

/**
 * As of when the oldest catalog is that can be brought back, ms since 1970 by the clock of who kept it: that of the lowest
 * part, since a sweep leaves no part below a checkpoint that it keeps. Null where the lowest part rests on none, so that it
 * may be of any age. Rejects with FileError.
 */
export async function oldestRestorableMs(files: Files, directory: string): Promise<number | null> {
  const look = { files, directory, takesOver: false }
  for (const term of (await seenTerms(look, 0)).reverse()) {
    const names = await files.list(join(directory, termDir(term)))
    const lowest = Math.min(...partsOf(names === 'missing' ? [] : names))
    if (names === 'missing' || lowest === Number.POSITIVE_INFINITY) continue
    const whole = wholeCheckpointsOf(names).find(({ part }) => part === lowest)
    return whole === undefined ? null : checkpointMs(look, { term, ...whole })
  }
  return null
}

/** What is there, or why not, such as `is missing`. */
type Found<T> = { readonly is: T } | { readonly why: string }

interface Part {
  readonly term: number
  readonly part: number
  readonly journal: Found<FoundJournal>
  /** Newest first. */
  readonly checkpoints: readonly Candidate[]
  readonly hasSnapshot: boolean
  /** Changes may have been acknowledged in it. */
  readonly hadJournal: boolean
}

async function partsIn(look: Look, known: Begun | null): Promise<Part[]> {
  const { files, directory } = look
  const names = await files.list(directory)
  const marks = marksOf(names === 'missing' ? [] : names)
  const mayReadAll = (await files.growingFilesReadable?.()) ?? true
  const parts: Part[] = []
  for (const term of await seenTerms(look, 0)) {
    const listed = await found(files.list(join(directory, termDir(term))))
    const ownMarks = marks.filter((mark) => mark.term === term).map(({ part }) => part)
    const all = 'is' in listed ? listed.is : []
    const numbers = [...new Set([...ownMarks, ...partsOf(all)])]
    // Its directory is there, and nobody can tell what is in it.
    if (numbers.length === 0 && 'why' in listed && listed.why !== MISSING) numbers.push(1)
    numbers.sort((a, b) => b - a)
    const lowest = numbers.at(-1) ?? 0
    for (const part of numbers) {
      const marked = ownMarks.includes(part) ? { term, part, by: '' } : null
      const begun = newerOf(marked, known)
      const hadJournal = begun !== null && promisesJournal(begun, { term, part, lowest })
      const checkpoints = checkpointsIn(all, part, mayReadAll)
      const journal = await foundJournal(look, { term, part, names: all })
      const hasSnapshot = all.includes(snapshotFile(part)) && (await isSnapshot(look, term, part))
      parts.push({ term, part, journal, checkpoints, hasSnapshot, hadJournal })
    }
  }
  return parts
}

interface Candidate {
  readonly part: number
  readonly seq: number
  /** Null: nothing says that it is whole but its own end. */
  readonly sizeBytes: number | null
}

/** They come newest first. One that nothing says to be whole is tried, too, where it may be read while it grows. */
function checkpointsIn(names: readonly string[], part: number, mayReadAll: boolean): Candidate[] {
  const whole = wholeCheckpointsOf(names).filter((one) => one.part === part)
  const unsigned = checkpointsOf(names)
    .filter((one) => one.part === part && mayReadAll)
    .filter(({ seq }) => !whole.some((one) => one.seq === seq))
  const all = [...whole, ...unsigned.map(({ seq }) => ({ part, seq, sizeBytes: null }))]
  return all.sort((a, b) => b.seq - a.seq)
}

const MISSING = 'is missing'

async function found<T>(call: Promise<T | 'missing'>): Promise<Found<T>> {
  try {
    const is = await call
    return is === 'missing' ? { why: MISSING } : { is }
  } catch (error) {
    return { why: `is lost (${whyLost(error)})` }
  }
}

/** What is wrong with files; anything else is no finding. */
function whyLost(error: unknown): string {
  const isFinding =
    error instanceof FileError || error instanceof CatalogError || error instanceof Vanished
  if (!isFinding) throw error
  return messageOf(error)
}

async function foundJournal(
  look: Look,
  place: { term: number; part: number; names: readonly string[] },
): Promise<Found<FoundJournal>> {
  try {
    const { is, ...one } = await findJournal(look, place)
    if ('journal' in one) return { is: one.journal }
    return { why: is === 'missing' ? MISSING : 'was never begun' }
  } catch (error) {
    return { why: `is lost (${whyLost(error)})` }
  }
}

/** Whether it is one: each part of today has a file of that name, for readers of earlier formats. */
async function isSnapshot(look: Look, term: number, part: number): Promise<boolean> {
  try {
    const head = await snapshotHeadOf(look, { term, part })
    return head === null || SNAPSHOT_FORMATS.includes(head.snapshot)
  } catch (error) {
    whyLost(error)
    return true
  }
}

type Built =
  | (Pick<Restorable, 'state' | 'at' | 'how' | 'lossy'> & { readonly end: Position })
  | { readonly why: string }

interface Start {
  readonly state: CatalogState
  readonly position: Position
  readonly at: string | null
  readonly how: string | null
  readonly lossy: boolean
}

class Rebuilding {
  readonly #look: Look
  readonly #parts: readonly Part[]
  readonly #built = new Map<string, Promise<Built>>()

  constructor(look: Look, parts: readonly Part[]) {
    this.#look = look
    this.#parts = parts
  }

  /** The state of that part at `upTo`, or after all of its changes that are whole. */
  at(term: number, part: number, upTo: Position | null): Promise<Built> {
    const key = `${term} ${part} ${upTo?.bytes ?? 'end'}`
    const built = this.#built.get(key) ?? this.#build(term, part, upTo)
    this.#built.set(key, built)
    return built
  }

  async #build(term: number, part: number, upTo: Position | null): Promise<Built> {
    const found = this.#parts.find((one) => one.term === term && one.part === part)
    if (found === undefined) return { why: `nothing is left of part ${part} of term ${term}` }
    const { journal, hadJournal } = found
    const start = await this.#startOf(found, upTo)
    if ('why' in journal) {
      if ('why' in start) return { why: `${start.why}, and its journal ${journal.why}` }
      const { state, position: end, at } = start
      if (upTo !== null && end.seq === upTo.seq) return { ...start, end }
      // What stands there and can't be read may hold changes, promised or not.
      const lossy = hadJournal || journal.why !== MISSING
      const how = `its journal ${journal.why}: what was changed after ${at} is not in it`
      return { state, at, end, how: lossy ? how : null, lossy }
    }
    if ('why' in start) return start
    return this.#replayed(journal.is, start, upTo)
  }

  async #startOf(part: Part, upTo: Position | null): Promise<Start | { readonly why: string }> {
    const { directory } = this.#look
    const { term, journal, hasSnapshot } = part
    const tried: string[] = []
    for (const whole of part.checkpoints) {
      if (upTo !== null && whole.seq > upTo.seq) continue
      const read = await found(orBroken(readCheckpoint(this.#look, { term, ...whole })))
      if ('is' in read) return startAt(read.is)
      tried.push(`its checkpoint after change ${whole.seq} ${read.why}`)
    }
    const basis = 'is' in journal ? journal.is.basis : null
    const snapshot = hasSnapshot || basis?.is === 'snapshot'
    if (snapshot && basis?.is !== 'journal' && basis?.is !== 'empty') {
      const path = join(directory, termDir(term), snapshotFile(part.part))
      const read = await found(orBroken(readSnapshot(this.#look, path)))
      if ('is' in read) return startAt(read.is)
      tried.push(`its snapshot ${read.why}`)
    }
    const lost = tried.join(', ')
    if (basis === null) return { why: lost === '' ? 'no checkpoint of it is left' : lost }
    if (basis.is === 'empty' && 'is' in journal) return anew(lost, 'nothing', begin, journal.is)
    if (basis.is === 'journal' && 'is' in journal) return this.#below(basis, journal.is, lost)
    return { why: lost === '' ? 'what it began with is not there' : lost }
  }

  async #below(
    basis: Place,
    journal: FoundJournal,
    lost: string,
  ): Promise<Start | { readonly why: string }> {
    const from = `term ${basis.term} (part ${basis.part})`
    const below = await this.at(basis.term, basis.part, basis.position)
    if ('why' in below) {
      const so =
        lost === '' ? 'what it began with is lost' : `${lost}, and so is what it began with`
      return { why: `${so}, ${from}: ${below.why}` }
    }
    if (below.end.seq !== basis.position.seq) {
      const why = `${from} ends with change ${below.end.seq}, it began with ${basis.position.seq}`
      return { why: lost === '' ? why : `${lost}, and ${why}` }
    }
    return anew(lost, from, below, journal)
  }

  /** As far as the journal is whole. */
  async #replayed(journal: FoundJournal, start: Start, upTo: Position | null): Promise<Built> {
    const draft = Draft.of(start.state)
    let end = start.position
    let { at } = start
    let why: string | null = null
    try {
      const read = await readGroups(this.#look, journal, {
        from: start.position,
        tail: Buffer.alloc(0),
        upTo,
        *take(group) {
          for (const [index, transaction] of group.transactions.entries()) {
            yield* draft.steps(transaction)
            at = new Date(transaction.atMs).toISOString()
            end = { ...end, seq: group.seq + index }
          }
        },
      })
      end = read.end
    } catch (error) {
      why = whyLost(error)
    }
    const { state } = draft.seal()
    if (why === null) return { state, at, how: start.how, lossy: start.lossy, end }
    const cut = `its journal is whole up to change ${end.seq} only: ${why}`
    return { state, at, how: start.how === null ? cut : `${start.how}; ${cut}`, lossy: true, end }
  }
}

async function orBroken(
  read: Promise<CheckpointRead | 'missing' | null>,
): Promise<CheckpointRead | 'missing'> {
  const found = await read
  if (found === null) throw new CatalogError('CORRUPT', 'it is not whole')
  return found
}

const startAt = ({ state, position, at }: CheckpointRead): Start => ({
  ...{ state, position, at, how: null, lossy: false },
})

const begin = { state: CatalogState.from(EMPTY), at: null, how: null, lossy: false }

/** `lost`: what would have been nearer. */
function anew(
  lost: string,
  from: string,
  below: Omit<Start, 'position'>,
  journal: FoundJournal,
): Start {
  const made = lost === '' ? null : `${lost}; it is made anew from ${from}`
  const told = [made, below.how].filter((one) => one !== null)
  const { state, at, lossy } = below
  const how = told.length === 0 ? null : told.join('; ')
  return { state, at, how, lossy, position: startOf(journal) }
}
