/**
 * A table as JSON values of bounded size, and whole again of them: one of 3,000,000 files as one text would be as long as
 * the longest string that there can be, and hold the event loop for seconds.
 *
 * Pure. The pieces of one thing are given and taken in their order; whoever keeps them says where they belong (a file's
 * records, a page of an answer). What is small is one piece.
 */
import { FileList } from './file-list.ts'
import type { FilePiece, PackedFiles } from './file-partition.ts'
import type { Fresh } from './int-trie.ts'
import type { Table } from './model.ts'

/** So many files, or rows of another kind, a piece has at most. */
export const PIECE_ROWS = 1000

/** All of a table but its files, and the first of these. */
interface TableStart {
  readonly table: Omit<Table, 'files'>
  readonly files: readonly PackedFiles[]
  /** So many are in pieces that follow. */
  readonly more: number
}
/** More files of the table with that id. */
interface TableRest {
  readonly moreOf: number
  readonly files: readonly PackedFiles[]
}
export type TablePiece = TableStart | TableRest

/** There is at least one. */
export function* tablePieces(table: Table): Generator<TablePiece> {
  const { files, ...rest } = table
  let isFirst = true
  let left = files.length
  for (const some of packedInPieces(files.pieces())) {
    left -= countOf(some)
    yield isFirst ? { table: rest, files: some, more: left } : { moreOf: table.id, files: some }
    isFirst = false
  }
  if (isFirst) yield { table: rest, files: [], more: 0 }
}

/** Makes tables of their pieces. */
export class TableAssembler {
  #table: Omit<Table, 'files'> | null = null
  #files = FileList.EMPTY
  #fresh: Fresh = new Set()
  #missing = 0

  /** The table, once this was its last piece; null before. Throws Error for a piece that does not follow. */
  add(piece: TablePiece): Table | null {
    if ('table' in piece) this.#begin(piece)
    else this.#goOn(piece)
    for (const packed of piece.files) this.#files = this.#files.appendPacked(packed, this.#fresh)
    const table = this.#table
    if (table === null || this.#missing > 0) return null
    this.#table = null
    return { ...table, files: this.#files }
  }

  /** The id of the one of which pieces are missing; null for none. */
  get unfinished(): number | null {
    return this.#table?.id ?? null
  }

  #begin({ table, more }: TableStart): void {
    if (this.#table !== null) {
      throw new Error(
        `table ${table.id} begins, and ${this.#missing} files of ${this.#table.id} are missing`,
      )
    }
    this.#table = table
    this.#files = FileList.EMPTY
    this.#fresh = new Set()
    this.#missing = more
  }

  #goOn({ moreOf, files }: TableRest): void {
    if (this.#table?.id !== moreOf)
      throw new Error(`files of table ${moreOf} follow, which did not begin`)
    this.#missing -= countOf(files)
    if (this.#missing < 0) throw new Error(`table ${moreOf} has more files than it said`)
  }
}

const countOf = (files: readonly PackedFiles[]): number =>
  files.reduce((sum, { paths }) => sum + paths.length, 0)

/** Up to 1000 files at a time. */
export function* packedInPieces(pieces: Iterable<Pick<FilePiece, 'length' | 'packed'>>) {
  let some: PackedFiles[] = []
  let count = 0
  for (const piece of pieces) {
    if (count + piece.length > PIECE_ROWS) {
      yield some
      some = []
      count = 0
    }
    some.push(piece.packed())
    count += piece.length
  }
  if (some.length > 0) yield some
}
