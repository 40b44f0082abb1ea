/**
 * A table's files: a list that never changes, made for millions of them. Adding a file, reading one partition, and replacing
 * or dropping it cost what is added or what that partition holds, not what the table holds.
 *
 * They come partition by partition (file-partition.ts), in the order in which the partitions got their first file; within one
 * in the order in which they were added. Without partition columns that is the order in which all were added.
 */
import {
  FilePartition,
  type FilePiece,
  type FileTotals,
  NOTHING,
  type PackedFiles,
  type PartitionValues,
  type PieceChanges,
  packedOf,
  summed,
  type Totals,
} from './file-partition.ts'
import { type Fresh, IntTrie } from './int-trie.ts'
import type { DataFile } from './model.ts'

export class FileList implements Iterable<DataFile>, FileTotals {
  /** By a number that each gets when it gets its first file. */
  readonly #partitions: IntTrie<FilePartition>
  /** Those numbers, by a hash of the values. */
  readonly #numbers: IntTrie<readonly number[]>
  readonly #next: number
  readonly #totals: Totals

  constructor(
    partitions: IntTrie<FilePartition> = new IntTrie(),
    numbers: IntTrie<readonly number[]> = new IntTrie(),
    next = 0,
    totals: Totals = NOTHING,
  ) {
    this.#partitions = partitions
    this.#numbers = numbers
    this.#next = next
    this.#totals = totals
  }

  static get EMPTY(): FileList {
    return EMPTY
  }

  /** Of what a message or a file says; a list that is one already stays the same. */
  static of(files: Iterable<DataFile>): FileList {
    return files instanceof FileList ? files : EMPTY.append(files)
  }

  get length(): number {
    return this.#totals.length
  }

  get outside(): number {
    return this.#totals.outside
  }

  /** What all files have together. */
  get bytes(): number {
    return this.#totals.bytes
  }

  /** Of all files together; null when those of one are not known. */
  get rows(): number | null {
    return this.#totals.uncounted > 0 ? null : this.#totals.counted
  }

  *[Symbol.iterator](): Iterator<DataFile> {
    for (const partition of this.#partitions.values()) yield* partition
  }

  map<T>(make: (file: DataFile) => T): T[] {
    return Array.from(this, make)
  }

  /** Each has at least one file. */
  partitions(): Iterable<FilePartition> {
    return this.#partitions.values()
  }

  /** Null when no file has these values. */
  partition(values: PartitionValues): FilePartition | null {
    return this.#placeOf(values)?.partition ?? null
  }

  *pieces(): Iterable<FilePiece> {
    for (const partition of this.#partitions.values()) yield* partition.pieces()
  }

  /** Returns up to so many, those at the end of the list. */
  last(count: number): DataFile[] {
    const found: DataFile[] = []
    for (const partition of this.#partitions.valuesBackwards()) {
      for (const piece of partition.piecesBackwards()) {
        found.unshift(...[...piece].slice(Math.min(0, found.length - count)))
        if (found.length >= count) return found
      }
    }
    return found
  }

  append(files: Iterable<DataFile>): FileList {
    let list: FileList = this
    const fresh: Fresh = new Set()
    for (const packed of packedByPartition(files)) list = list.appendPacked(packed, fresh)
    return list
  }

  /** `fresh`: of whoever adds many, one after the other, and shows nobody what comes in between. */
  appendPacked(files: PackedFiles, fresh?: Fresh): FileList {
    if (files.paths.length === 0) return this
    const { partition: values } = files
    const place = this.#placeOf(values)
    const partition = place?.partition ?? new FilePartition(values)
    return this.#with(place, partition.append(files), fresh)
  }

  /** With all of another list, a piece in each step. */
  *withAll(added: FileList): Generator<void, FileList> {
    if (this.length === 0) return added
    let list: FileList = this
    const fresh: Fresh = new Set()
    for (const piece of added.pieces()) {
      list = list.appendPacked(piece.packed(), fresh)
      yield
    }
    return list
  }

  /** Without the files that have these values. */
  withoutPartition(values: PartitionValues): FileList {
    const place = this.#placeOf(values)
    return place === null ? this : this.#with(place, new FilePartition(values))
  }

  /** What takes the place of files of that partition, by their paths (`FilePartition.replaced`); it has its values, too. */
  replaced(values: PartitionValues, by: ReadonlyMap<string, readonly DataFile[]>): FileList {
    const place = this.#placeOf(values)
    return place === null ? this : this.#with(place, place.partition.replaced(by))
  }

  /** What is not the same in both, partition by partition; costs what they don't share. */
  *differencesTo(after: FileList): Iterable<PieceChanges> {
    for (const one of this.#partitions.differencesTo(after.#partitions)) {
      const { before = NO_FILES, after: now = NO_FILES } = one
      if (one.before === undefined || one.after === undefined || same(before.values, now.values)) {
        yield before.differencesTo(now)
        continue
      }
      // Lists that were not made of each other give their numbers to other partitions.
      yield before.differencesTo(NO_FILES)
      yield NO_FILES.differencesTo(now)
    }
  }

  /** It is an array: what messages and dumps say. */
  toJSON(): DataFile[] {
    return [...this]
  }

  #placeOf(values: PartitionValues): PartitionPlace | null {
    for (const number of this.#numbers.get(hashOf(values)) ?? []) {
      const partition = this.#partitions.get(number)
      if (partition !== undefined && same(partition.values, values)) return { number, partition }
    }
    return null
  }

  /** In its place, where it has one; an empty one goes. */
  #with(place: PartitionPlace | null, partition: FilePartition, fresh?: Fresh): FileList {
    const number = place?.number ?? this.#next
    const before = place?.partition.totals ?? NOTHING
    const isThere = partition.length > 0
    const totals = summed(summed(this.#totals, before, -1), partition.totals, 1)
    const partitions = this.#partitions.with(number, isThere ? partition : undefined, fresh)
    const next = Math.max(this.#next, number + 1)
    if (isThere === (place !== null)) return new FileList(partitions, this.#numbers, next, totals)
    const hash = hashOf(partition.values)
    const others = (this.#numbers.get(hash) ?? []).filter((one) => one !== number)
    const now = isThere ? [...others, number] : others
    const numbers = this.#numbers.with(hash, now.length === 0 ? undefined : now, fresh)
    return new FileList(partitions, numbers, next, totals)
  }
}

interface PartitionPlace {
  readonly number: number
  readonly partition: FilePartition
}

const NO_FILES = new FilePartition([])
const EMPTY = new FileList()

/** They come in the order of their first files. */
function packedByPartition(files: Iterable<DataFile>): Iterable<PackedFiles> {
  const lists = new Map<string, { values: PartitionValues; files: DataFile[] }>()
  for (const file of files) {
    const values = file.partition
    const key = values.length === 0 ? '' : JSON.stringify(values)
    const list = lists.get(key)
    if (list === undefined) lists.set(key, { values, files: [file] })
    else list.files.push(file)
  }
  return [...lists.values()].map((list) => packedOf(list.values, list.files))
}

const same = (a: PartitionValues, b: PartitionValues): boolean =>
  a.length === b.length && a.every((value, at) => value === b[at])

/** So many buckets (2^15), each of a few partitions: with more than that of them a look-up costs some comparisons more. */
const HASH_MASK = 2 ** 15 - 1

/** This is FNV-1a. */
function hashOf(values: PartitionValues): number {
  let hash = 0x811c9dc5
  const take = (code: number): void => {
    hash = Math.imul(hash ^ code, 0x01000193)
  }
  for (const value of values) {
    take(value === null ? 1 : 2)
    for (let at = 0; value !== null && at < value.length; at += 1) take(value.charCodeAt(at))
  }
  return (hash ^ (hash >>> 15)) & HASH_MASK
}
