/**
 * Reading the shared catalog: which term's files count, and what they say.
 *
 *     epoch-0000000042/snapshot-0000000001   all of the catalog when term 42 began
 *     epoch-0000000042/journal-0000000001    the changes since
 *     epoch-0000000042/snapshot-0000000002   the next part: the journal had got long, or a write had failed
 *     …
 *
 * The highest part whose snapshot is whole counts, with its journal as far as that is whole; of the terms the highest
 * that has such a part. A snapshot that isn't whole can be passed over, because nothing is acknowledged before it is;
 * a journal is made only after its snapshot was whole, so one beside a broken snapshot means damage, and is refused.
 *
 * A listing may be old, and so may be the absence of a name that was asked for before. So a take-over believes the one
 * that has seen more: it lists, and then asks for the next numbers by name. Whoever only looks (a dump on a backup)
 * never asks by name, so that no absence is remembered on a host that takes over a moment later.
 */
import { join } from 'node:path'
import { Draft } from './apply.ts'
import { CatalogError } from './errors.ts'
import type { Files } from './files.ts'
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
export const partsOf = (names: readonly string[]): number[] => [
  ...new Set([...numbersOf(names, 'snapshot-'), ...numbersOf(names, 'journal-')]),
]

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

/** All terms that can be seen, highest first. */
export async function seenTerms(look: Look, below: number): Promise<number[]> {
  const names = await look.files.list(look.directory)
  const listed = names === 'missing' ? [] : termsOf(names)
  if (!look.takesOver) return listed
  const from = Math.max(listed.find((term) => term < below) ?? 0, below - 1 - ASKED_BEYOND)
  const asked: number[] = []
  for (let term = below - 1; term > from; term -= 1) {
    const found = await look.files.list(join(look.directory, epochDir(term)))
    if (found !== 'missing') asked.push(term)
  }
  return [...new Set([...asked, ...listed])].sort((a, b) => b - a)
}

/** The newest that counts up to `term`, that one included; null when there is none. CatalogError CORRUPT. */
export async function readNewest(look: Look, term: number): Promise<EpochRead | null> {
  for (let left = LOOKS - 1; ; left -= 1) {
    try {
      for (const candidate of await seenTerms(look, term + 1)) {
        if (candidate > term) continue
        const read = await readEpoch(look, candidate)
        if (read !== null) return read
      }
      return null
    } catch (error) {
      if (!(error instanceof Vanished)) throw error
      if (left === 0) throw new CatalogError('UNAVAILABLE', error.message)
    }
  }
}

class Vanished extends Error {}

async function readEpoch(look: Look, term: number): Promise<EpochRead | null> {
  const directory = join(look.directory, epochDir(term))
  const names = await look.files.list(directory)
  if (names === 'missing') return null
  const read = async (name: string): Promise<Buffer | 'missing'> => {
    if (!look.takesOver && !names.includes(name)) return 'missing'
    const bytes = await look.files.read(join(directory, name))
    if (bytes === 'missing' && names.includes(name)) {
      throw new Vanished(`${join(directory, name)} was listed and is not there`)
    }
    return bytes
  }
  const listed = partsOf(names)
  for (const part of [...(await partsBeyond(listed[0] ?? 0, read)), ...listed]) {
    const path = join(directory, snapshotFile(part))
    const bytes = await read(snapshotFile(part))
    const journal = await read(journalFile(part))
    const snapshot = bytes === 'missing' ? null : readSnapshot(bytes, path)
    if (snapshot === null) {
      if (journal === 'missing') continue
      throw corrupt(path, 'it is not whole, though its journal was begun')
    }
    const draft = Draft.of(CatalogState.from(snapshot.data))
    const from = { path: join(directory, journalFile(part)), seq: snapshot.head.seq }
    const seq = journal === 'missing' ? from.seq : replayJournal(journal, draft, from)
    return { term, part, state: draft.seal().state, seq }
  }
  return null
}

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
