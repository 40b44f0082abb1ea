/**
 * A transaction as JSON values of bounded size, and whole again of them: one that adds a million files to a table, or that
 * replaces the whole catalog, is longer than the longest string that there can be.
 *
 * Pure. The pieces of one transaction are given and taken in their order. What is small is one piece.
 */
import { unreachable } from '../ha/index.ts'
import { FileList } from './file-list.ts'
import type { PackedFiles } from './file-partition.ts'
import type { Fresh } from './int-trie.ts'
import type { CatalogData, Change, Join, SomeFiles, Transaction } from './model.ts'
import {
  PIECE_ROWS,
  packedInPieces,
  TableAssembler,
  type TablePiece,
  tablePieces,
} from './table-pieces.ts'

type Rows = Partial<Omit<CatalogData, 'tables' | 'nextTableId'>>

/** The transaction; of a large one without its long lists, which follow. */
interface TransactionStart {
  readonly transaction: Transaction
  /** Pieces follow, up to an end. */
  readonly cut?: true
}
/** What belongs to the lists of its change number `of`. */
interface TransactionRest {
  readonly of: number
  readonly files?: readonly PackedFiles[]
  readonly paths?: readonly string[]
  readonly joins?: readonly Join[]
  readonly table?: TablePiece
  readonly rows?: Rows
}
interface TransactionEnd {
  /** So many pieces stand between it and the start. */
  readonly end: number
}
export type TransactionPiece = TransactionStart | TransactionRest | TransactionEnd

/** At least one; a single one for whatever has not more than 1000 rows. */
export function* transactionPieces(transaction: Transaction): Generator<TransactionPiece> {
  const { changes } = transaction
  if (sizeOf(transaction) <= PIECE_ROWS) {
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
export const sizeOf = ({ changes }: Transaction): number =>
  changes.reduce((sum, change) => sum + rowsOf(change), 0)

/** Whether versions before there were users can't tell what it does. */
export const namesUsers = ({ changes }: Transaction): boolean =>
  changes.some((change) => {
    switch (change.do) {
      case 'create-user':
      case 'set-verifier':
      case 'drop-user':
      case 'grant':
      case 'revoke':
        return true
      case 'create-table':
        return change.table.owner !== undefined
      case 'load':
        return (change.data.users?.length ?? 0) > 0
      default:
        return false
    }
  })

/** Which kinds of change have lists: these travel and are kept in pieces. */
const HAS_LISTS = {
  'create-database': false,
  'drop-database': false,
  'create-table': true,
  'drop-table': true,
  'rename-table': false,
  'rename-column': false,
  'add-column': false,
  'set-options': false,
  write: true,
  'drop-partition': false,
  compact: true,
  'add-litter': true,
  'litter-removed': true,
  publish: false,
  published: false,
  'create-user': false,
  'set-verifier': false,
  'drop-user': false,
  grant: false,
  revoke: false,
  load: true,
} as const satisfies { readonly [Do in Change['do']]: boolean }

type WithLists = Extract<
  Change,
  {
    readonly do: {
      [Do in keyof typeof HAS_LISTS]: (typeof HAS_LISTS)[Do] extends true ? Do : never
    }[keyof typeof HAS_LISTS]
  }
>
const hasLists = (change: Change): change is WithLists => HAS_LISTS[change.do]

function rowsOf(change: Change): number {
  if (!hasLists(change)) return 0
  switch (change.do) {
    case 'create-table':
      return change.table.files.length
    case 'write':
      return change.files.length
    case 'drop-table':
      return change.litter.length
    case 'compact':
      return change.joins.reduce((sum, join) => sum + joinRows(join), 0)
    case 'add-litter':
    case 'litter-removed':
      return change.paths.length
    case 'load':
      return dataSize(change.data)
    default:
      return unreachable(change)
  }
}

const joinRows = ({ replaced, files }: Join): number => replaced.length + files.length

function dataSize({
  databases,
  tables,
  outcomes,
  litter,
  publications,
  users = [],
}: CatalogData): number {
  const lists = [databases, tables, outcomes, litter, publications, users]
  const files = tables.reduce((sum, table) => sum + table.files.length, 0)
  return lists.reduce((sum, { length }) => sum + length, files)
}

const NO_ROWS = { databases: [], tables: [], outcomes: [], litter: [], publications: [] }

/** Returns it without its lists. */
function emptied(change: Change): Change {
  if (!hasLists(change)) return change
  switch (change.do) {
    case 'create-table':
      return { ...change, table: { ...change.table, files: [] } }
    case 'write':
      return { ...change, files: [] }
    case 'drop-table':
      return { ...change, litter: [] }
    case 'compact':
      return { ...change, joins: [] }
    case 'add-litter':
    case 'litter-removed':
      return { ...change, paths: [] }
    case 'load':
      return { ...change, data: { ...NO_ROWS, nextTableId: change.data.nextTableId } }
    default:
      return unreachable(change)
  }
}

function* restOf(change: Change): Generator<Omit<TransactionRest, 'of'>> {
  if (!hasLists(change)) return
  switch (change.do) {
    case 'create-table':
      yield* filesOf(change.table.files)
      return
    case 'write':
      yield* filesOf(change.files)
      return
    case 'drop-table':
      for (const paths of chunksOf(change.litter)) yield { paths }
      return
    case 'compact':
      for (const joins of chunksOf(change.joins, joinRows)) yield { joins }
      return
    case 'add-litter':
    case 'litter-removed':
      for (const paths of chunksOf(change.paths)) yield { paths }
      return
    case 'load':
      yield* dataOf(change.data)
      return
    default:
      unreachable(change)
  }
}

function* filesOf(files: SomeFiles): Generator<Omit<TransactionRest, 'of'>> {
  for (const some of packedInPieces(FileList.of(files).pieces())) yield { files: some }
}

function* dataOf({ tables, nextTableId: _, ...lists }: CatalogData) {
  for (const [name, rows = []] of Object.entries(lists)) {
    for (const some of chunksOf<unknown>(rows)) yield { rows: { [name]: some } as Rows }
  }
  for (const plain of tables) {
    const files = FileList.of(plain.files)
    for (const table of tablePieces({ ...plain, files })) yield { table }
  }
}

/** `rowsIn`: how many rows one of them is; a single one may have more than a piece should. */
function* chunksOf<T>(
  rows: readonly T[],
  rowsIn: (row: T) => number = () => 1,
): Generator<readonly T[]> {
  let chunk: T[] = []
  let count = 0
  for (const row of rows) {
    const more = rowsIn(row)
    if (chunk.length > 0 && count + more > PIECE_ROWS) {
      yield chunk
      chunk = []
      count = 0
    }
    chunk.push(row)
    count += more
  }
  if (chunk.length > 0) yield chunk
}

/** A change without its lists, and what has come of these. */
class ChangeAssembler {
  readonly #change: Change
  readonly #tables = new TableAssembler()
  readonly #rows: { [List in keyof Required<CatalogData>]: unknown[] } = {
    ...{ databases: [], tables: [], outcomes: [], litter: [], publications: [], users: [] },
    nextTableId: [],
  }
  readonly #paths: string[] = []
  readonly #joins: Join[] = []
  #files = FileList.EMPTY
  readonly #fresh: Fresh = new Set()

  constructor(change: Change) {
    this.#change = change
  }

  add({ files = [], paths = [], joins = [], table, rows = {} }: TransactionRest): void {
    for (const packed of files) this.#files = this.#files.appendPacked(packed, this.#fresh)
    for (const path of paths) this.#paths.push(path)
    for (const join of joins) this.#joins.push(join)
    const whole = table === undefined ? null : this.#tables.add(table)
    if (whole !== null) this.#rows.tables.push(whole)
    for (const [name, some] of Object.entries(rows)) {
      for (const row of some ?? []) this.#rows[name as keyof Rows].push(row)
    }
  }

  done(): Change {
    const change = this.#change
    const { unfinished } = this.#tables
    if (unfinished !== null) throw new Error(`files of table ${unfinished} are missing`)
    if (!hasLists(change)) return change
    switch (change.do) {
      case 'create-table':
        return { ...change, table: { ...change.table, files: this.#files } }
      case 'write':
        return { ...change, files: this.#files }
      case 'drop-table':
        return { ...change, litter: this.#paths }
      case 'compact':
        return { ...change, joins: this.#joins }
      case 'add-litter':
      case 'litter-removed':
        return { ...change, paths: this.#paths }
      case 'load': {
        const { nextTableId: _, users, ...lists } = this.#rows
        const rows = users.length > 0 ? { ...lists, users } : lists
        return {
          ...change,
          data: { ...change.data, ...(rows as Omit<CatalogData, 'nextTableId'>) },
        }
      }
      default:
        return unreachable(change)
    }
  }
}
