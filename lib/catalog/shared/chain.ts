/**
 * What a journal says with all that it rests on: its chain is walked down to the first place whose state can be had, in memory
 * or in a checkpoint, and read up again from there.
 *
 *     epoch-0000000042/journal-0000000001    begins with a reference: term 41, part 2, to exactly this place
 *     epoch-0000000041/journal-0000000002    begins with a reference to its own part 1
 *     epoch-0000000041/journal-0000000001    …
 *     epoch-0000000041/checkpoint-0000000001.0000000812   the whole catalog at a place of it: nothing below is needed
 *
 * Which one is read is said by newest.ts. Every older link of its chain is read to the place that its successor has named,
 * never to its end. A gap that no whole checkpoint covers is damage, and is refused.
 */
import { join } from 'node:path'
import { Draft } from '../apply.ts'
import { CatalogError } from '../errors.ts'
import { CatalogState, EMPTY } from '../state.ts'
import { whyGone } from './by-name.ts'
import { type CheckpointRead, readCheckpoint, readSnapshot } from './checkpoint.ts'
import type { Files, Written } from './files.ts'
import { type FoundJournal, findJournal, inItsPlace, type Look, WAY_BACK } from './found-journal.ts'
import { corrupt, type Group, type Place, type Position, samePosition } from './journal.ts'
import { readGroups, startOf } from './journal-read.ts'
import {
  checkpointFile,
  journalFile,
  snapshotFile,
  termDir,
  wholeCheckpointsOf,
  wholeFile,
} from './term-names.ts'

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

/** What is in the terms' directories, each listed once in a look. */
export class TermDirs {
  readonly look: Look
  readonly #names = new Map<number, Promise<string[] | 'missing'>>()

  constructor(look: Look) {
    this.look = look
  }

  names(term: number): Promise<string[] | 'missing'> {
    const path = join(this.look.directory, termDir(term))
    const listed = this.#names.get(term) ?? inItsPlace(path, this.look.files.list(path))
    this.#names.set(term, listed)
    return listed
  }
}

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

/** What that journal says to its last whole group, with all that it rests on. `known`: gone on from, where it lies on the chain. */
export async function readChain(
  dirs: TermDirs,
  newest: FoundJournal,
  known: Known | null,
): Promise<Known> {
  const { files } = dirs.look
  const { wanted, start } = await findStart(dirs, newest, known)
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
    const read = await readGroups(dirs.look, journal, {
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
  const chain = await rebased(dirs, { links, base: start.chain.base })
  return { term, part, position, tail, state, chain }
}

/** What was read may rest on less by now: whoever has made a checkpoint may have removed what is below it. */
async function rebased(dirs: TermDirs, { links, base }: Chain): Promise<Chain> {
  const { directory, files } = dirs.look
  for (const [index, { term, part, position }] of links.entries()) {
    const names = await dirs.names(term)
    const whole = wholeCheckpointsOf(names === 'missing' ? [] : names).find(
      (one) => one.part === part && one.seq <= position.seq,
    )
    if (whole === undefined) continue
    const path = join(directory, termDir(term), checkpointFile(part, whole.seq))
    const { seq, sizeBytes } = whole
    const sign = join(directory, termDir(term), wholeFile(part, seq, sizeBytes))
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
  dirs: TermDirs,
  newest: FoundJournal,
  known: Known | null,
): Promise<{ wanted: Wanted[]; start: Start }> {
  const wanted: Wanted[] = []
  let at: Wanted = { journal: newest, upTo: null }
  for (;;) {
    wanted.push(at)
    const { journal } = at
    const start = inMemory(known, at) ?? (await onDisk(dirs, at))
    if (start !== null) return { wanted, start }
    const { basis } = journal
    if (basis.is !== 'journal') {
      const what = `${journal.path} rests on a checkpoint or a snapshot that is not there as a whole`
      throw damaged(what)
    }
    requireLower(journal, basis)
    const below = inMemoryExactly(known, basis) ?? (await atExactly(dirs, basis))
    if (below !== null) return { wanted, start: { ...below, position: startOf(journal) } }
    const names = await dirs.names(basis.term)
    const { term, part } = basis
    const found = names === 'missing' ? null : await findJournal(dirs.look, { term, part, names })
    if (found?.is !== 'begun') {
      const missing = join(dirs.look.directory, termDir(term), journalFile(part))
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
async function onDisk(dirs: TermDirs, { journal, upTo }: Wanted): Promise<Start | null> {
  const { term, part, basis } = journal
  const { files } = dirs.look
  const most = upTo?.seq ?? Number.POSITIVE_INFINITY
  const read = await checkpointOf(dirs, { term, part }, (seq) => seq <= most)
  if (read !== null) return startAt(files, { term, part }, read)
  if (basis.is === 'empty') {
    const chain = { links: [], base: null }
    const state = CatalogState.from(EMPTY)
    return { state, position: startOf(journal), tail: Buffer.alloc(0), chain }
  }
  if (basis.is !== 'snapshot') return null
  const snapshotPath = join(dirs.look.directory, termDir(term), snapshotFile(part))
  const snapshot = await readSnapshot(dirs.look, snapshotPath)
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
async function atExactly(dirs: TermDirs, { term, part, position }: Place): Promise<Start | null> {
  const read = await checkpointOf(dirs, { term, part }, (seq) => seq === position.seq)
  return read === null ? null : startAt(dirs.look.files, { term, part }, read)
}

/**
 * The newest of those wanted, by the changes that are in them: their names tell, and a whole catalog is not read for
 * nothing. One that is said to be whole and isn't is passed over: there may be an older one.
 */
async function checkpointOf(
  dirs: TermDirs,
  { term, part }: { term: number; part: number },
  isWanted: (seq: number) => boolean,
): Promise<CheckpointRead | null> {
  const names = await dirs.names(term)
  for (const whole of wholeCheckpointsOf(names === 'missing' ? [] : names)) {
    if (whole.part !== part || !isWanted(whole.seq)) continue
    const read = await readCheckpoint(dirs.look, { term, ...whole })
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

/** The error names the way back, for the log, the status and the page. */
export const damaged = (what: string): CatalogError =>
  new CatalogError(
    'CORRUPT',
    `${what}. Files of the catalog were removed: put them back, or run 'tajo catalog restore', which lists what is whole and brings it back`,
  )
