/**
 * What can be brought back of a shared catalog that is damaged: each part of each term that is kept, with what would be
 * missing. Nothing here concludes more than the files show.
 *
 * A part is whole with its snapshot and its journal. With the snapshot alone it is what it was when it began. With the
 * journal alone it can still be whole: the journal says where its snapshot was taken from, and where that state can be had,
 * the snapshot is made anew.
 */
import { join } from 'node:path'
import { messageOf } from '../base/message-of.ts'
import { Draft } from './apply.ts'
import { type Begun, marksOf, newerOf, promisesJournal } from './begun.ts'
import type { Files } from './files.ts'
import { journalHead, replayJournal } from './journal.ts'
import { epochDir, journalFile, partsOf, seenTerms, snapshotFile } from './shared-read.ts'
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

/** Newest first. Rejects with FileError. */
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

interface Part {
  readonly term: number
  readonly part: number
  /** Null: missing, or not whole. */
  readonly snapshot: Snapshot | null
  readonly journal: Buffer | null
  /** Changes may have been acknowledged in it. */
  readonly hadJournal: boolean
}

async function partsIn(files: Files, directory: string, known: Begun | null): Promise<Part[]> {
  const names = await files.list(directory)
  const marks = marksOf(names === 'missing' ? [] : names)
  const found: Part[] = []
  for (const term of await seenTerms({ files, directory, takesOver: false }, 0)) {
    const at = join(directory, epochDir(term))
    const listed = await files.list(at)
    const ownMarks = marks.filter((mark) => mark.term === term).map(({ part }) => part)
    const numbers = [...new Set([...ownMarks, ...partsOf(listed === 'missing' ? [] : listed)])]
    numbers.sort((a, b) => b - a)
    const lowest = numbers.at(-1) ?? 0
    for (const part of numbers) {
      const marked = ownMarks.includes(part) ? { term, part, by: '' } : null
      const begun = newerOf(marked, known)
      const path = join(at, snapshotFile(part))
      const snapshot = await files.read(path)
      const journal = await files.read(join(at, journalFile(part)))
      found.push({
        term,
        part,
        snapshot: snapshot === 'missing' ? null : wholeOf(snapshot, path),
        journal: journal === 'missing' ? null : journal,
        hadJournal: begun !== null && promisesJournal(begun, { term, part, lowest }),
      })
    }
  }
  return found
}

/** A newer version's can't be judged, and is as good as lost to this one. */
function wholeOf(bytes: Buffer, path: string): Snapshot | null {
  try {
    return readSnapshot(bytes, path)
  } catch {
    return null
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
    return found.snapshot === null
      ? this.#fromJournal(found)
      : fromSnapshot(found, found.snapshot, upTo)
  }

  #fromJournal({ term, part, journal }: Part): Built {
    const lost = 'its snapshot is missing or broken'
    if (journal === null) return { why: `${lost}, and its journal is missing` }
    const base = journalHead(journal)?.base
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
    const anew = `its snapshot is missing or broken; it is made anew from ${from}`
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
  if (journal !== null) return { at, ...replayed(journal, { state, seq, part, upTo }) }
  const how = hadJournal
    ? `its journal is missing: what was changed after ${at} is not in it`
    : null
  return { at, state, seq, how, lossy: hadJournal }
}

/** As far as the journal is whole. */
function replayed(
  journal: Buffer,
  from: { state: CatalogState; seq: number; part: number; upTo?: number },
): Pick<Restorable, 'state' | 'how' | 'lossy'> & { seq: number } {
  const { state, part, ...rest } = from
  const draft = Draft.of(state)
  let { seq } = from
  const onChange = (change: number): void => {
    seq = change
  }
  try {
    replayJournal(journal, draft, { path: journalFile(part), onChange, ...rest })
    return { state: draft.seal().state, seq, how: null, lossy: false }
  } catch (error) {
    const how = `its journal is whole up to change ${seq} only: ${messageOf(error)}`
    return { state: draft.seal().state, seq, how, lossy: true }
  }
}
