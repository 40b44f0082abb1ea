/**
 * Which parts of the shared catalog must be there, so that their absence is noticed: files that somebody removed look like
 * files that never were, and an older catalog, or an empty one, would be served without a word.
 *
 * Two things say so, each in another directory than the files themselves:
 * - a mark beside the terms' directories, `begun-0000000042-0000000001`: made after the part's journal, and before anything
 *   is acknowledged in it;
 * - the history of the election: the record of a term that has served says which store it had and which part it began with
 *   (`history/0000000042.served.json`). It outlives the removal of the whole catalog directory, and tells terms whose catalog
 *   was in another store.
 */
import { DiskError, readServedRecord, readServedTerms } from '../../ha/index.ts'
import { FileError } from './files.ts'

/** A part whose journal was begun: changes may have been acknowledged in it. */
export interface Begun {
  readonly term: number
  /** Null: it is not known which; the term must have one. */
  readonly part: number | null
  /** How that is known, for people. */
  readonly by: string
}

/** What the history says of the terms up to one. */
export interface Served {
  /** The newest part that a term with this store is known to have begun; null where none has. */
  readonly begun: Begun | null
  /** Whether there are records of any lower term. */
  readonly recorded: boolean
}

const number10 = (number: number): string => String(number).padStart(10, '0')
export const markFile = (term: number, part: number): string =>
  `begun-${number10(term)}-${number10(part)}`

/** Finds the marks among names, highest first. */
export function marksOf(names: readonly string[]): { term: number; part: number }[] {
  return names
    .map((name) => /^begun-(\d{10})-(\d{10})$/.exec(name))
    .filter((match) => match !== null)
    .map(([, term, part]) => ({ term: Number(term), part: Number(part) }))
    .sort((a, b) => b.term - a.term || b.part - a.part)
}

/** The higher one, where a part that is not known is below all others of its term. */
export function newerOf(a: Begun | null, b: Begun | null): Begun | null {
  if (a === null || b === null) return a ?? b
  if (a.term !== b.term) return a.term > b.term ? a : b
  return (a.part ?? 0) >= (b.part ?? 0) ? a : b
}

/** Whether a part of that number must have a journal. `lowest`: of all parts of the term that are left. */
export const promisesJournal = (
  begun: Begun,
  { term, part, lowest }: { term: number; part: number; lowest: number },
): boolean => begun.term === term && (begun.part === null ? part === lowest : part <= begun.part)

const STORE = 'SharedStore'

/** For a term's served record. */
export const servedNote = (store: string, part?: number, files?: readonly string[]): string =>
  JSON.stringify({ store, ...(part === undefined ? {} : { part, files }) })

/** What the history in `haDirectory` says up to `upTo` of the store with that name. Rejects with FileError. */
export async function readServed(
  haDirectory: string,
  upTo: number,
  store = STORE,
): Promise<Served> {
  try {
    const { recorded, served } = await readServedTerms(haDirectory, upTo)
    return { recorded, begun: await newestBegun(haDirectory, served, store) }
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
    throw new FileError(error.errno, error.message, { cause: error })
  }
}

/**
 * The newest record that names a store decides. One without a name is formatHA's, which changes no catalog, or of an earlier
 * version: that cluster had this very store, unless it was formatted since.
 */
async function newestBegun(
  haDirectory: string,
  served: readonly number[],
  wanted: string,
): Promise<Begun | null> {
  let formatted = false
  for (const term of served) {
    const { note, isFormat } = await readServedRecord(haDirectory, term)
    const by = `the history says that term ${term} has served with it`
    if (note !== null) {
      const { store, part } = decodeNote(note)
      // A note that nobody can read says nothing of another store.
      return store === wanted || store === null ? { term, part, by } : null
    }
    if (isFormat) formatted = true
    else return formatted ? null : { term, part: null, by }
  }
  return null
}

function decodeNote(text: string): { store: string | null; part: number | null } {
  try {
    const { store, part } = JSON.parse(text) as { store?: unknown; part?: unknown }
    return {
      store: typeof store === 'string' ? store : null,
      part: typeof part === 'number' ? part : null,
    }
  } catch {
    return { store: null, part: null }
  }
}
