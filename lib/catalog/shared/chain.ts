/**
 * Reading the shared catalog: which term's journal counts, and what it says with all that it rests on.
 *
 *     epoch-0000000042/journal-0000000001    begins with a reference: term 41, part 2, to exactly this place
 *     epoch-0000000041/journal-0000000002    begins with a reference to its own part 1
 *     epoch-0000000041/journal-0000000001    …
 *     epoch-0000000041/checkpoint-0000000001.0000000812   the whole catalog at a place of it: nothing below is needed
 *
 * The highest part of the highest term whose first record is whole counts, even if it holds nothing else. Every older link of
 * its chain is read to the place that its successor has named, never to its end. A term without a whole first record is
 * passed over, unless a mark or the history says that it was begun (begun.ts): that is damage, and is refused, as is a gap that
 * no whole checkpoint covers, and nothing at all where the terms below have left no record of never having served: files that
 * were removed must not look like files that never were. Something else in the place of a file (a directory, a loop of links)
 * is damage like a file that can't be trusted.
 *
 * A listing may be old, and so may be the absence of a name that was asked for before. So a take-over believes the one that
 * has seen more: it lists, and then asks for the next numbers by name. Whoever only looks (a backup that follows, a dump)
 * never asks by name, so that no absence is remembered on a host that takes over a moment later. And files are swept, by a
 * deposed master too: whatever is missing is looked for anew, and damage is told, and "begins empty" believed, only after a
 * renewal of the own term that began after that look. docs/ha-protocol.md, "A term begins with a reference".
 */
import { join } from 'node:path'
import { Draft } from '../apply.ts'
import { CatalogError } from '../errors.ts'
import { CatalogState, EMPTY } from '../state.ts'
import { type Begun, marksOf, newerOf, promisesJournal, type Served } from './begun.ts'
import { whyGone } from './by-name.ts'
import { type CheckpointRead, readCheckpoint, readSnapshot } from './checkpoint.ts'
import {
  checkpointFile,
  epochDir,
  journalFile,
  partsOf,
  segmentsOf,
  snapshotFile,
  termsOf,
  wholeCheckpointsOf,
  wholeFile,
} from './epoch-names.ts'
import type { Files, Written } from './files.ts'
import {
  type FoundJournal,
  findJournal,
  inItsPlace,
  isThere,
  type Look,
  WAY_BACK,
} from './found-journal.ts'
import {
  corrupt,
  type Group,
  type Place,
  type Position,
  samePosition,
  Vanished,
} from './journal.ts'
import { Changed, readGroups, startOf } from './journal-read.ts'

/** So many numbers beyond the listed ones are asked for by name: take-overs that died early leave few of them. */
const ASKED_BEYOND = 32
/** A file that was listed and isn't there has been swept meanwhile: everything is looked at again. */
const LOOKS = 5

/** A journal on which the present one rests, to the place that counts. */
export interface Link extends Place {
  /** How many files have to be read for it. */
  readonly files: number
  /** Why it is not under its name any more as far as it counts; null when it is. */
  whyGone(): Promise<string | null>
}

/** What the state of a place rests on. */
export interface Chain {
  /** From the newest on, with the one of the place itself. */
  readonly links: readonly Link[]
  /** The checkpoint below them; null where the catalog began empty. */
  readonly base: Base | null
}

export interface Base {
  readonly term: number
  readonly part: number
  /** The last change in it. */
  readonly seq: number
  /** How much of its journal is in it, and how many of its files; 0 where that is not known. */
  readonly journalBytes: number
  readonly journalFiles: number
  readonly sizeBytes: number
  /** What says that it is whole; null where that is not needed. */
  readonly sign: string | null
  whyGone(): Promise<string | null>
}

/** The catalog at one place, as this process knows it. */
export interface Known extends Place {
  readonly state: CatalogState
  /** The last bytes before the place, so that what was read can be told from what another hand has put there. */
  readonly tail: Buffer
  readonly chain: Chain
}

export interface Finding {
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
      else if (error instanceof CatalogError && error.code === 'CORRUPT') {
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
  const epoch = join(directory, epochDir(term))
  const [terms, names] = await Promise.all([files.list(directory), files.list(epoch)])
  const listed = names === 'missing' ? [] : names
  // The newest file of several may have been listed while it was being written.
  const segment = segmentsOf(listed).findLast((one) => one.part === part)
  const name = segment?.name ?? journalFile(part)
  const journal = listed.includes(name) ? await files.lookAt(join(epoch, name)) : 'missing'
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
  const epochs = new Epochs(look)
  for (const candidate of candidates) {
    if (candidate > term) continue
    const journal = await newestIn(epochs, candidate, begun)
    if (journal === null) continue
    refuseOlder(look, journal, begun)
    return readChain(epochs, journal, known)
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

/** What is in the terms' directories, each listed once in a look. */
class Epochs {
  readonly look: Look
  readonly #names = new Map<number, Promise<string[] | 'missing'>>()

  constructor(look: Look) {
    this.look = look
  }

  names(term: number): Promise<string[] | 'missing'> {
    const path = join(this.look.directory, epochDir(term))
    const listed = this.#names.get(term) ?? inItsPlace(path, this.look.files.list(path))
    this.#names.set(term, listed)
    return listed
  }
}

async function newestIn(
  epochs: Epochs,
  term: number,
  begun: Begun | null,
): Promise<FoundJournal | null> {
  const { look } = epochs
  const names = await epochs.names(term)
  if (names === 'missing') return null
  const listed = partsOf(names)
  const lowest = listed.at(-1) ?? 0
  const directory = join(look.directory, epochDir(term))
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

/** Highest first. */
async function partsBeyond(files: Files, directory: string, highest: number): Promise<number[]> {
  const parts: number[] = []
  for (let part = highest + 1; ; part += 1) {
    const paths = [snapshotFile(part), journalFile(part)].map((name) => join(directory, name))
    const found = await Promise.all(paths.map((path) => isThere(files, path)))
    if (!found.includes(true)) return parts
    parts.unshift(part)
  }
}

/** Older than what has been begun for certain. */
function refuseOlder({ directory }: Look, read: FoundJournal | null, begun: Begun | null): void {
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

// ---- a chain -------------------------------------------------------------------------------------------------------

interface Wanted {
  readonly journal: FoundJournal
  /** Null: to its last whole group. */
  readonly upTo: Position | null
}

interface Start {
  readonly state: CatalogState
  /** The place is in the journal that is read first. */
  readonly position: Position
  readonly tail: Buffer
  readonly chain: Chain
}

async function readChain(
  epochs: Epochs,
  newest: FoundJournal,
  known: Known | null,
): Promise<Known> {
  const { files } = epochs.look
  const { wanted, start } = await findStart(epochs, newest, known)
  const draft = Draft.of(start.state)
  let links = [...start.chain.links]
  let { position, tail } = start
  let isChanged = false
  for (const { journal, upTo } of wanted.reverse()) {
    const isFirst = links[0]?.term === journal.term && links[0].part === journal.part
    if (isFirst) links = links.slice(1)
    const from = journal === wanted[0]?.journal ? position : startOf(journal)
    const take = (group: Group): Iterable<void> => {
      isChanged = true
      return applyKept(draft, group, journal.path)
    }
    const read = await readGroups(epochs.look, journal, {
      from,
      tail: journal === wanted[0]?.journal ? tail : Buffer.alloc(0),
      upTo,
      take,
    })
    position = read.end
    tail = read.tail
    links.unshift(linkTo(files, journal, read))
  }
  const state = isChanged ? draft.seal().state : start.state
  const { term, part } = newest
  const chain = await rebased(epochs, { links, base: start.chain.base })
  return { term, part, position, tail, state, chain }
}

/** What was read may rest on less by now: whoever has made a checkpoint may have removed what is below it. */
async function rebased(epochs: Epochs, { links, base }: Chain): Promise<Chain> {
  const { directory, files } = epochs.look
  for (const [index, { term, part, position }] of links.entries()) {
    const names = await epochs.names(term)
    const whole = wholeCheckpointsOf(names === 'missing' ? [] : names).find(
      (one) => one.part === part && one.seq <= position.seq,
    )
    if (whole === undefined) continue
    const path = join(directory, epochDir(term), checkpointFile(part, whole.seq))
    const { seq, sizeBytes } = whole
    const sign = join(directory, epochDir(term), wholeFile(part, seq, sizeBytes))
    const written = { path, fileId: '', bytes: sizeBytes, tail: Buffer.alloc(0) }
    const found = { term, part, seq, sizeBytes, sign, whyGone: looking(files, written) }
    return {
      links: links.slice(0, index + 1),
      base: { ...found, journalBytes: 0, journalFiles: 0 },
    }
  }
  return { links, base }
}

/** Walks down from the newest to the first place whose state can be had, and answers what has to be read from there on. */
async function findStart(
  epochs: Epochs,
  newest: FoundJournal,
  known: Known | null,
): Promise<{ wanted: Wanted[]; start: Start }> {
  const wanted: Wanted[] = []
  let at: Wanted = { journal: newest, upTo: null }
  for (;;) {
    wanted.push(at)
    const { journal } = at
    const start = inMemory(known, at) ?? (await onDisk(epochs, at))
    if (start !== null) return { wanted, start }
    const { basis } = journal
    if (basis.is !== 'journal') {
      const what = `${journal.path} rests on a checkpoint or a snapshot that is not there as a whole`
      throw damaged(what)
    }
    requireLower(journal, basis)
    const below = inMemoryExactly(known, basis) ?? (await atExactly(epochs, basis))
    if (below !== null) return { wanted, start: { ...below, position: startOf(journal) } }
    const names = await epochs.names(basis.term)
    const { term, part } = basis
    const found = names === 'missing' ? null : await findJournal(epochs.look, { term, part, names })
    if (found?.is !== 'begun') {
      const missing = join(epochs.look.directory, epochDir(term), journalFile(part))
      throw damaged(`${missing} is not there as a whole, and ${journal.path} rests on it`)
    }
    at = { journal: found.journal, upTo: basis.position }
  }
}

const requireLower = ({ term, part, path }: FoundJournal, basis: Place): void => {
  if (basis.term < term || (basis.term === term && basis.part < part)) return
  throw corrupt(path, `it rests on term ${basis.term}, part ${basis.part}. ${WAY_BACK}`)
}

function inMemory(known: Known | null, { journal, upTo }: Wanted): Start | null {
  if (known === null || known.term !== journal.term || known.part !== journal.part) return null
  return upTo === null || known.position.bytes <= upTo.bytes ? known : null
}

/** The newest checkpoint of that journal that is whole and not beyond the place, or what it began with. */
async function onDisk(epochs: Epochs, { journal, upTo }: Wanted): Promise<Start | null> {
  const { term, part, basis } = journal
  const { files } = epochs.look
  const most = upTo?.seq ?? Number.POSITIVE_INFINITY
  const read = await checkpointOf(epochs, { term, part }, (seq) => seq <= most)
  if (read !== null) return startAt(files, { term, part }, read)
  if (basis.is === 'empty') {
    const chain = { links: [], base: null }
    const state = CatalogState.from(EMPTY)
    return { state, position: startOf(journal), tail: Buffer.alloc(0), chain }
  }
  if (basis.is !== 'snapshot') return null
  const snapshotPath = join(epochs.look.directory, epochDir(term), snapshotFile(part))
  const snapshot = await readSnapshot(epochs.look, snapshotPath)
  if (snapshot === 'missing') {
    throw damaged(`${snapshotPath} is missing, though its journal was begun`)
  }
  if (snapshot === null) {
    throw corrupt(snapshotPath, `it is not whole, though its journal was begun. ${WAY_BACK}`)
  }
  return startAt(files, { term, part }, snapshot)
}

function startAt(files: Files, of: { term: number; part: number }, read: CheckpointRead): Start {
  const { state, position, written } = read
  const { seq, bytes: journalBytes } = position
  const { sign } = read
  const whole = { sizeBytes: written.bytes, sign, whyGone: looking(files, written) }
  const base = { ...of, seq, journalBytes, journalFiles: 0, ...whole }
  return { state, position, tail: Buffer.alloc(0), chain: { links: [], base } }
}

const inMemoryExactly = (known: Known | null, place: Place): Start | null =>
  known !== null && isAt(known, place) ? { ...known, tail: Buffer.alloc(0) } : null

export const isAt = (a: Place, b: Place): boolean =>
  a.term === b.term && a.part === b.part && samePosition(a.position, b.position)

/** Where a checkpoint stands at the very place that a reference names, nothing of its journal is needed. */
async function atExactly(epochs: Epochs, { term, part, position }: Place): Promise<Start | null> {
  const read = await checkpointOf(epochs, { term, part }, (seq) => seq === position.seq)
  return read === null ? null : startAt(epochs.look.files, { term, part }, read)
}

/**
 * The newest of those wanted, by the changes that are in them: their names tell, and a whole catalog is not read for
 * nothing. One that is said to be whole and isn't is passed over: there may be an older one.
 */
async function checkpointOf(
  epochs: Epochs,
  { term, part }: { term: number; part: number },
  isWanted: (seq: number) => boolean,
): Promise<CheckpointRead | null> {
  const names = await epochs.names(term)
  for (const whole of wholeCheckpointsOf(names === 'missing' ? [] : names)) {
    if (whole.part !== part || !isWanted(whole.seq)) continue
    const read = await readCheckpoint(epochs.look, { term, ...whole })
    if (read !== null) return read
  }
  return null
}

/** It fitted when it was written; that it doesn't now means that something before it is lost. */
function* applyKept(draft: Draft, group: Group, path: string): Generator<void, void> {
  let { seq } = group
  try {
    for (const transaction of group.transactions) {
      yield* draft.steps(transaction)
      seq += 1
    }
  } catch (error) {
    throw new CatalogError('CORRUPT', `${path}, change ${seq} does not fit what stands before it`, {
      cause: error,
    })
  }
}

function linkTo(
  files: Files,
  journal: FoundJournal,
  { end: position, tail }: { end: Position; tail: Buffer },
): Link {
  const { term, part, path, segments, head } = journal
  const ofOne = { path, fileId: '', bytes: head.length + position.bytes, tail }
  return {
    term,
    part,
    position,
    files: segments?.length ?? 1,
    whyGone:
      segments === null ? looking(files, ofOne) : () => whySegmentsGone(files, journal, position),
  }
}

/** What was read and not made here is known by what stands in it, until that has been seen once. */
function looking(files: Files, read: Written): () => Promise<string | null> {
  let written = read
  return async () => {
    const why = await whyGone(files, written)
    if (why !== null || written.fileId !== '') return why
    const seen = await files.lookAt(written.path)
    if (seen !== 'missing') written = { ...written, fileId: seen.fileId }
    return null
  }
}

async function whySegmentsGone(
  files: Files,
  { path, segments, head }: FoundJournal,
  { bytes }: Position,
): Promise<string | null> {
  const directory = path.slice(0, path.lastIndexOf('/'))
  const listed = await files.list(directory)
  const names = new Set(listed === 'missing' ? [] : listed)
  let before = 0
  for (const { name, sizeBytes } of segments ?? []) {
    const groups = sizeBytes - head.length
    // The first one has none.
    if (before >= bytes && groups > 0) break
    if (!names.has(name)) return `${join(directory, name)} is gone: somebody has removed it`
    before += groups
  }
  return null
}
