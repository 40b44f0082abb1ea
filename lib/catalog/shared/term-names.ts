/**
 * The names of the shared catalog's files: a directory for each term, and in it the files of the term's parts.
 *
 *     epoch-0000000042/journal-0000000001                       a part's journal (journal.ts)
 *     epoch-0000000042/journal-0000000001.0000000017-431        a group of it, where nobody may read what still grows
 *     epoch-0000000042/checkpoint-0000000001.0000000017         the catalog after that part's change 17 (checkpoint.ts)
 *     epoch-0000000042/whole-0000000001.0000000017-48213        says that this checkpoint is whole, with so many bytes
 *     epoch-0000000042/snapshot-0000000001                      of format 1 and 2: the catalog when the part began; later
 *                                                               ones make readers of those formats stop (checkpoint.ts)
 */
const number10 = (number: number): string => String(number).padStart(10, '0')

export const termDir = (term: number): string => `epoch-${number10(term)}`
export const snapshotFile = (part: number): string => `snapshot-${number10(part)}`
export const journalFile = (part: number): string => `journal-${number10(part)}`
export const segmentFile = (part: number, index: number, sizeBytes: number): string =>
  `${journalFile(part)}.${number10(index)}-${sizeBytes}`
export const checkpointFile = (part: number, seq: number): string =>
  `checkpoint-${number10(part)}.${number10(seq)}`
export const wholeFile = (part: number, seq: number, sizeBytes: number): string =>
  `whole-${number10(part)}.${number10(seq)}-${sizeBytes}`

const numbersOf = (names: readonly string[], prefix: string): number[] =>
  names
    .filter((name) => name.startsWith(prefix) && /^\d{10}$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => b - a)

/** Highest first. */
export const termsOf = (names: readonly string[]): number[] => numbersOf(names, 'epoch-')

/** Of all files that belong to parts, highest first. */
export const partsOf = (names: readonly string[]): number[] =>
  [
    ...new Set([
      ...numbersOf(names, 'snapshot-'),
      ...numbersOf(names, 'journal-'),
      ...segmentsOf(names).map(({ part }) => part),
      ...checkpointsOf(names).map(({ part }) => part),
    ]),
  ].sort((a, b) => b - a)

export interface Segment {
  readonly name: string
  readonly part: number
  readonly index: number
  readonly sizeBytes: number
}

/** Those among names, in their order. */
export const segmentsOf = (names: readonly string[]): Segment[] =>
  names
    .map((name) => /^journal-(\d{10})\.(\d{10})-(\d{1,15})$/.exec(name))
    .filter((match) => match !== null)
    .map(([name, part, index, bytes]) => ({
      ...{ name, part: Number(part), index: Number(index), sizeBytes: Number(bytes) },
    }))
    .sort((a, b) => a.index - b.index)

/** A checkpoint that is said to be whole. */
interface WholeCheckpoint {
  readonly part: number
  /** The number of the last change in it. */
  readonly seq: number
  readonly sizeBytes: number
}

/** Those among names, the newest first. */
export const wholeCheckpointsOf = (names: readonly string[]): WholeCheckpoint[] =>
  names
    .map((name) => /^whole-(\d{10})\.(\d{10,})-(\d{1,15})$/.exec(name))
    .filter((match) => match !== null)
    .map(([, part, seq, bytes]) => ({
      ...{ part: Number(part), seq: Number(seq), sizeBytes: Number(bytes) },
    }))
    .sort((a, b) => b.part - a.part || b.seq - a.seq)

/** All files of checkpoints among names, with those that say that they are whole. */
export const checkpointsOf = (names: readonly string[]) =>
  names
    .map((name) => /^(?:checkpoint|whole)-(\d{10})\.(\d{10,})(?:-\d+)?$/.exec(name))
    .filter((match) => match !== null)
    .map(([name, part, seq]) => ({ name, part: Number(part), seq: Number(seq) }))
