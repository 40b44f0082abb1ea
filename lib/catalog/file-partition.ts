/**
 * The files of one partition never change, and are made for very many of them: adding some costs what is added and a piece.
 *
 * They lie in pieces of up to 256, each of a few plain arrays, so that a million files are a few thousand objects and not
 * millions; a `DataFile` is made of it when somebody looks. A partition that is made of another one shares all pieces with it
 * that are the same, and what differs between the two is found by that.
 */
import { IntTrie } from './int-trie.ts'
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
 * It holds up to 256 files of a partition, in their order. The piece that comes of adding some to this one goes on in
 * the same arrays, unless another one has done so before: what is beyond this one's length is not its own.
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

export interface Totals {
  readonly length: number
  readonly outside: number
  readonly bytes: number
  readonly counted: number
  readonly uncounted: number
}

export const NOTHING: Totals = { length: 0, outside: 0, bytes: 0, counted: 0, uncounted: 0 }

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
export const summed = (a: Totals, b: Totals, sign: 1 | -1): Totals => ({
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

export function packedOf(partition: PartitionValues, files: Iterable<DataFile>): PackedFiles {
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
