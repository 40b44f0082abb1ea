/**
 * A table's files: a list that never changes, made for millions of them. Adding a file, reading one partition, and replacing
 * or dropping it cost what is added or what that partition holds, not what the table holds.
 *
 * The files of a partition lie in pieces of up to 256, each of a few plain arrays, so that a million files are a few
 * thousand objects and not millions; a `DataFile` is made of it when somebody looks. A list that is made of another one
 * shares all pieces with it that are the same, and what differs between the two is found by that.
 *
 * They come partition by partition, in the order in which the partitions got their first file; within one in the order in
 * which they were added. Without partition columns that is the order in which all were added.
 */
import { type Fresh, IntTrie } from './int-trie.ts'
import type { DataFile } from './model.ts'

export type PartitionValues = DataFile['partition']

/** As JSON: files of one partition, whose values are said once. */
export interface PackedFiles {
  readonly partition: PartitionValues
  readonly paths: readonly string[]
  /** Null when nobody has counted them. */
  readonly rows: readonly (number | null)[]
  readonly bytes: readonly number[]
}

/** What of the files and of each partition can be had without looking at them. */
export interface FileTotals {
  readonly length: number
  readonly bytes: number
  /** Null when those of one are not known. */
  readonly rows: number | null
  /** So many have an absolute path, or one that leads upwards: they need not be below the table's location. */
  readonly outside: number
}

/** A new file of a partition is put into its last piece, up to so many: what adding one file copies. */
const PIECE_FILES = 256
const OUTSIDE = /^\/|(?:^|\/)\.\.(?:\/|$)/
/** No path has it. */
const BETWEEN = '\0'
const BEYOND_LATIN1 = /[^\0-\xff]/
const NOT_COUNTED = -1

/**
 * Up to 256 files of a partition, in their order. The piece that comes of adding some to this one goes on in the same arrays,
 * unless another one has done so before: what is beyond this one's length is not its own.
 */
export class FilePiece implements Iterable<DataFile> {
  readonly partition: PartitionValues
  readonly length: number
  readonly #paths: KeptText
  readonly #rows: number[]
  readonly #bytes: number[]

  /** The arrays are the piece's from now on. */
  constructor(partition: PartitionValues, { paths, rows, bytes }: Columns) {
    this.partition = partition
    this.length = rows.length
    this.#paths = rows.length === PIECE_FILES ? outsideOfHeap(paths) : paths
    this.#rows = rows
    this.#bytes = bytes
  }

  *[Symbol.iterator](): Iterator<DataFile> {
    const { partition } = this
    for (const [at, path] of this.paths().entries()) {
      const rows = this.#rows[at] ?? NOT_COUNTED
      yield {
        path,
        rows: rows === NOT_COUNTED ? null : rows,
        bytes: this.#bytes[at] ?? 0,
        partition,
      }
    }
  }

  /** What all paths come to, about. */
  get chars(): number {
    return this.#paths.length
  }

  paths(): string[] {
    return textOf(this.#paths).split(BETWEEN)
  }

  packed(): PackedFiles {
    return {
      partition: this.partition,
      paths: this.paths(),
      rows: this.#own(this.#rows).map((rows) => (rows === NOT_COUNTED ? null : rows)),
      bytes: this.#own(this.#bytes),
    }
  }

  with(more: Columns): FilePiece {
    const isLast = this.#rows.length === this.length
    const rows = isLast ? this.#rows : this.#own(this.#rows)
    const bytes = isLast ? this.#bytes : this.#own(this.#bytes)
    rows.push(...more.rows)
    bytes.push(...more.bytes)
    return new FilePiece(this.partition, {
      paths: textOf(this.#paths) + BETWEEN + more.paths,
      rows,
      bytes,
    })
  }

  totals(): Totals {
    return totalsOf(this.paths(), this.#own(this.#rows), this.#own(this.#bytes))
  }

  #own(column: readonly number[]): number[] {
    return column.slice(0, this.length)
  }
}

/**
 * The paths of a full piece lie outside of V8's heap, where the allocator may ask the kernel for huge pages
 * (sbin/tajo-daemon.sh). When a master is killed, nothing that others watch closes before the kernel has its memory back,
 * page by page, and paths are most of what a catalog of millions of files takes. A piece that is not full yet is replaced
 * with each file that comes, and memory outside of the heap is not made for that.
 */
type KeptText = string | Buffer
const outsideOfHeap = (text: string): KeptText =>
  BEYOND_LATIN1.test(text) ? text : Buffer.from(text, 'latin1')
const textOf = (text: KeptText): string =>
  typeof text === 'string' ? text : text.toString('latin1')

interface Columns {
  readonly paths: string
  readonly rows: number[]
  readonly bytes: number[]
}

interface Totals {
  readonly length: number
  readonly outside: number
  readonly bytes: number
  readonly counted: number
  readonly uncounted: number
}

const NOTHING: Totals = { length: 0, outside: 0, bytes: 0, counted: 0, uncounted: 0 }

function totalsOf(
  paths: readonly string[],
  rows: readonly number[],
  bytes: readonly number[],
): Totals {
  let [outside, sum, counted, uncounted] = [0, 0, 0, 0]
  for (const one of paths) outside += Number(OUTSIDE.test(one))
  for (const one of bytes) sum += one
  for (const one of rows) {
    if (one === NOT_COUNTED) uncounted += 1
    else counted += one
  }
  return { length: rows.length, outside, bytes: sum, counted, uncounted }
}

/** `sign`: 1 to add, -1 to take away. */
const summed = (a: Totals, b: Totals, sign: 1 | -1): Totals => ({
  length: a.length + sign * b.length,
  outside: a.outside + sign * b.outside,
  bytes: a.bytes + sign * b.bytes,
  counted: a.counted + sign * b.counted,
  uncounted: a.uncounted + sign * b.uncounted,
})

/** The files that have the same values in all partition columns; of a table without such, all. */
export class FilePartition implements Iterable<DataFile>, FileTotals {
  readonly values: PartitionValues
  readonly totals: Totals
  readonly #pieces: IntTrie<FilePiece>
  /** The place of the next piece; some before it may be empty. */
  readonly #next: number

  constructor(
    values: PartitionValues,
    pieces: IntTrie<FilePiece> = new IntTrie(),
    next = 0,
    totals: Totals = NOTHING,
  ) {
    this.values = values
    this.#pieces = pieces
    this.#next = next
    this.totals = totals
  }

  get length(): number {
    return this.totals.length
  }

  get outside(): number {
    return this.totals.outside
  }

  get bytes(): number {
    return this.totals.bytes
  }

  get rows(): number | null {
    return this.totals.uncounted > 0 ? null : this.totals.counted
  }

  *[Symbol.iterator](): Iterator<DataFile> {
    for (const piece of this.#pieces.values()) yield* piece
  }

  pieces(): Iterable<FilePiece> {
    return this.#pieces.values()
  }

  piecesBackwards(): Iterable<FilePiece> {
    return this.#pieces.valuesBackwards()
  }

  append(files: PackedFiles): FilePartition {
    const { paths, bytes } = files
    requireNames(paths)
    const rows = files.rows.map((one) => one ?? NOT_COUNTED)
    const part = (from: number, to: number): Columns => ({
      paths: paths.slice(from, to).join(BETWEEN),
      rows: rows.slice(from, to),
      bytes: bytes.slice(from, to),
    })
    let pieces = this.#pieces
    let next = this.#next
    let at = 0
    const last = pieces.get(next - 1)
    if (last !== undefined && last.length < PIECE_FILES) {
      at = Math.min(PIECE_FILES - last.length, paths.length)
      pieces = pieces.with(next - 1, last.with(part(0, at)))
    }
    for (; at < paths.length; at += PIECE_FILES) {
      pieces = pieces.with(next, new FilePiece(this.values, part(at, at + PIECE_FILES)))
      next += 1
    }
    const totals = summed(this.totals, totalsOf(paths, rows, bytes), 1)
    return new FilePartition(this.values, pieces, next, totals)
  }

  /**
   * For each path what takes its place: once, where the first of those stood that have the same. The same partition where it
   * has none of them; pieces that have none stay the same.
   */
  replaced(by: ReadonlyMap<string, readonly DataFile[]>): FilePartition {
    let pieces = this.#pieces
    let { totals } = this
    const placed = new Set<readonly DataFile[]>()
    const seen = new Set<string>()
    let longest = 0
    for (const { index, after: piece } of new IntTrie<FilePiece>().differencesTo(pieces)) {
      if (seen.size === by.size) break
      if (piece === undefined || !piece.paths().some((path) => by.has(path))) continue
      const left = [...piece].flatMap((file) => {
        const files = by.get(file.path)
        if (files === undefined) return [file]
        seen.add(file.path)
        if (placed.has(files)) return []
        placed.add(files)
        return files
      })
      const rest = left.length === 0 ? undefined : pieceOf(this.values, left)
      pieces = pieces.with(index, rest)
      totals = summed(totals, piece.totals(), -1)
      if (rest !== undefined) totals = summed(totals, rest.totals(), 1)
      longest = Math.max(longest, left.length)
    }
    if (pieces === this.#pieces) return this
    const made = new FilePartition(this.values, pieces, this.#next, totals)
    const isSparse = this.#next > 2 * Math.ceil(totals.length / PIECE_FILES) + 1
    if (!isSparse && longest <= 2 * PIECE_FILES) return made
    return new FilePartition(this.values).append(packedOf(this.values, made))
  }

  /** The pieces that are not the same in both. */
  differencesTo(after: FilePartition): PieceChanges {
    const [gone, come]: [FilePiece[], FilePiece[]] = [[], []]
    let last = -1
    for (const { index, before: one, after: other } of this.#pieces.differencesTo(after.#pieces)) {
      if (one !== undefined) gone.push(one)
      if (other !== undefined) come.push(other)
      last = index
    }
    return { gone, come, behind: () => after.#behind(last) }
  }

  *#behind(last: number): Generator<FilePiece> {
    if (last === this.#next - 1) return
    for (const { index, after: piece } of new IntTrie<FilePiece>().differencesTo(this.#pieces)) {
      if (index > last && piece !== undefined) yield piece
    }
  }
}

/** Of one partition, in the order of the list. A file may be in pieces of both: one that was added to a piece makes it another one. */
export interface PieceChanges {
  readonly gone: readonly FilePiece[]
  readonly come: readonly FilePiece[]
  /** Those of the partition that are the same in both, and stand behind all that differ. */
  readonly behind: () => Iterable<FilePiece>
}

function packedOf(partition: PartitionValues, files: Iterable<DataFile>): PackedFiles {
  const packed = {
    partition,
    paths: [] as string[],
    rows: [] as (number | null)[],
    bytes: [] as number[],
  }
  for (const { path, rows, bytes } of files) {
    packed.paths.push(path)
    packed.rows.push(rows)
    packed.bytes.push(bytes)
  }
  return packed
}

function pieceOf(partition: PartitionValues, files: readonly DataFile[]): FilePiece {
  const { paths, rows, bytes } = packedOf(partition, files)
  requireNames(paths)
  const known = rows.map((one) => one ?? NOT_COUNTED)
  return new FilePiece(partition, { paths: paths.join(BETWEEN), rows: known, bytes: [...bytes] })
}

function requireNames(paths: readonly string[]): void {
  const odd = paths.find((path) => path.includes(BETWEEN))
  if (odd !== undefined) throw new Error(`no file is called ${JSON.stringify(odd)}`)
}

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

  /** Of all files together. */
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

  /** Up to so many, those at the end of the list. */
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

  /** As an array: what messages and dumps say. */
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

/** In the order of their first files. */
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

/** FNV-1a. */
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
