/**
 * A table, and a transaction, as JSON values of bounded size, and whole again of them: a table of 3,000,000 files as one
 * text would be as long as the longest string that there can be, and hold the event loop for seconds.
 *
 * Pure. The pieces of one thing are given and taken in their order; whoever keeps them says where they belong (a file's
 * records, a page of an answer). What is small is one piece.
 */
import { FileList, type FilePiece, type PackedFiles } from './file-list.ts'
import type { CatalogData, Change, DataFile, PlainTable, Table, Transaction } from './model.ts'

/** So many files, or rows of another kind, a piece has at most. */
const PIECE_ROWS = 1000

/** All of a table but its files, and the first of these. */
export interface TableStart {
  readonly table: Omit<Table, 'files'>
  readonly files: readonly PackedFiles[]
  /** So many are in pieces that follow. */
  readonly more: number
}
/** More files of the table with that id. */
export interface TableRest {
  readonly moreOf: number
  readonly files: readonly PackedFiles[]
}
export type TablePiece = TableStart | TableRest

/** At least one. */
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
  #missing = 0

  /** The table, once this was its last piece; null before. Throws Error for a piece that does not follow. */
  add(piece: TablePiece): Table | null {
    if ('table' in piece) this.#begin(piece)
    else this.#goOn(piece)
    for (const packed of piece.files) this.#files = this.#files.appendPacked(packed)
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
function* packedInPieces(pieces: Iterable<Pick<FilePiece, 'length' | 'packed'>>) {
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

// ---- transactions ------------------------------------------------------------------------------------------------------

type Rows = Partial<Omit<CatalogData, 'tables' | 'nextTableId'>>

/** The transaction; of a large one without its long lists, which follow. */
export interface TransactionStart {
  readonly transaction: Transaction
  /** Pieces follow, up to an end. */
  readonly cut?: true
}
/** What belongs to the lists of its change number `of`. */
export interface TransactionRest {
  readonly of: number
  readonly files?: readonly PackedFiles[]
  readonly paths?: readonly string[]
  readonly table?: TablePiece
  readonly rows?: Rows
}
export interface TransactionEnd {
  /** So many pieces stand between it and the start. */
  readonly end: number
}
export type TransactionPiece = TransactionStart | TransactionRest | TransactionEnd

/** At least one; a single one for whatever has not more than 1000 rows. */
export function* transactionPieces(transaction: Transaction): Generator<TransactionPiece> {
  const { changes } = transaction
  if (changes.reduce((sum, change) => sum + sizeOf(change), 0) <= PIECE_ROWS) {
    yield { transaction }
    return
  }
  yield { transaction: { ...transaction, changes: changes.map(emptied) }, cut: true }
  let count = 0
  for (const [of, change] of changes.entries()) {
    for (const rest of restOf(change)) {
      yield { of, ...rest }
      count += 1
    }
  }
  yield { end: count }
}

/** Makes transactions of their pieces. */
export class TransactionAssembler {
  #start: Transaction | null = null
  #changes: ChangeAssembler[] = []
  #count = 0

  /** The transaction, once this was its last piece; null before. Throws Error for a piece that does not follow. */
  add(piece: TransactionPiece): Transaction | null {
    if ('transaction' in piece) return this.#begin(piece)
    const start = this.#start
    if (start === null) throw new Error('a part of a transaction follows none that began')
    if ('of' in piece) {
      this.#count += 1
      const change = this.#changes[piece.of]
      if (change === undefined) throw new Error(`the transaction has no change ${piece.of}`)
      change.add(piece)
      return null
    }
    if (piece.end !== this.#count) {
      throw new Error(`the transaction has ${this.#count} parts of ${piece.end}`)
    }
    this.#start = null
    return { ...start, changes: this.#changes.map((change) => change.done()) }
  }

  get isUnfinished(): boolean {
    return this.#start !== null
  }

  #begin({ transaction, cut }: TransactionStart): Transaction | null {
    if (this.#start !== null) throw new Error('a transaction begins, and the one before has no end')
    if (cut !== true) return transaction
    this.#start = transaction
    this.#changes = transaction.changes.map((change) => new ChangeAssembler(change))
    this.#count = 0
    return null
  }
}

/** How many rows are in its lists. */
function sizeOf(change: Change): number {
  switch (change.do) {
    case 'create-table':
      return change.table.files.length
    case 'write':
      return change.files.length
    case 'add-litter':
    case 'litter-removed':
      return change.paths.length
    case 'load':
      return dataSize(change.data)
    default:
      return 0
  }
}

function dataSize({ databases, tables, outcomes, litter, publications }: CatalogData): number {
  const lists = [databases, tables, outcomes, litter, publications]
  const files = tables.reduce((sum, table) => sum + table.files.length, 0)
  return lists.reduce((sum, { length }) => sum + length, files)
}

const NO_ROWS = { databases: [], tables: [], outcomes: [], litter: [], publications: [] }

/** Without its lists. */
function emptied(change: Change): Change {
  switch (change.do) {
    case 'create-table':
      return { ...change, table: { ...change.table, files: [] } }
    case 'write':
      return { ...change, files: [] }
    case 'add-litter':
    case 'litter-removed':
      return { ...change, paths: [] }
    case 'load':
      return { ...change, data: { ...NO_ROWS, nextTableId: change.data.nextTableId } }
    default:
      return change
  }
}

function* restOf(change: Change): Generator<Omit<TransactionRest, 'of'>> {
  switch (change.do) {
    case 'create-table':
      yield* filesOf(change.table.files)
      return
    case 'write':
      yield* filesOf(change.files)
      return
    case 'add-litter':
    case 'litter-removed':
      for (const paths of chunksOf(change.paths)) yield { paths }
      return
    case 'load':
      yield* dataOf(change.data)
  }
}

function* filesOf(files: Iterable<DataFile>): Generator<Omit<TransactionRest, 'of'>> {
  for (const some of packedInPieces(FileList.of(files).pieces())) yield { files: some }
}

function* dataOf({ tables, nextTableId: _, ...lists }: CatalogData) {
  for (const [name, rows] of Object.entries(lists)) {
    for (const some of chunksOf<unknown>(rows)) yield { rows: { [name]: some } as Rows }
  }
  for (const plain of tables) {
    const files = FileList.of(plain.files)
    for (const table of tablePieces({ ...plain, files })) yield { table }
  }
}

function* chunksOf<T>(rows: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < rows.length; from += PIECE_ROWS) {
    yield rows.slice(from, from + PIECE_ROWS)
  }
}

/** A change without its lists, and what has come of these. */
class ChangeAssembler {
  readonly #change: Change
  readonly #tables = new TableAssembler()
  readonly #rows: { [List in keyof CatalogData]: unknown[] } = {
    ...{ databases: [], tables: [], outcomes: [], litter: [], publications: [], nextTableId: [] },
  }
  readonly #paths: string[] = []
  #files = FileList.EMPTY

  constructor(change: Change) {
    this.#change = change
  }

  add({ files = [], paths = [], table, rows = {} }: TransactionRest): void {
    for (const packed of files) this.#files = this.#files.appendPacked(packed)
    for (const path of paths) this.#paths.push(path)
    const whole = table === undefined ? null : this.#tables.add(table)
    if (whole !== null) this.#rows.tables.push(whole)
    for (const [name, some] of Object.entries(rows)) {
      for (const row of some) this.#rows[name as keyof Rows].push(row)
    }
  }

  done(): Change {
    const change = this.#change
    const { unfinished } = this.#tables
    if (unfinished !== null) throw new Error(`files of table ${unfinished} are missing`)
    switch (change.do) {
      case 'create-table':
        return { ...change, table: { ...change.table, files: this.#files } as PlainTable }
      case 'write':
        return { ...change, files: [...this.#files] }
      case 'add-litter':
      case 'litter-removed':
        return { ...change, paths: this.#paths }
      case 'load': {
        const { nextTableId: _, ...lists } = this.#rows
        return {
          ...change,
          data: { ...change.data, ...(lists as Omit<CatalogData, 'nextTableId'>) },
        }
      }
      default:
        return change
    }
  }
}
