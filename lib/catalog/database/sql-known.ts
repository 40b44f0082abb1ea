/**
 * What a process knows of a catalog in a database: the state, which row is which, and the place in the database's history
 * that both are of (`mark`, sql-changes.ts). It goes on from there by what is kept of each change (sql-changes.ts). Whatever
 * doesn't fit is thrown, and it is good for nothing any more: the tables have to be read.
 */
import { unreachable } from '../../ha/index.ts'
import { FileList } from '../file-list.ts'
import { FilePartition, type FilePiece } from '../file-partition.ts'
import { internedOf } from '../interned-columns.ts'
import type { Column, DataFile, Table } from '../model.ts'
import { PersistentMap } from '../persistent-map.ts'
import { CatalogState, forkMaps, type Maps } from '../state.ts'
import { changesIn, type Numbered, type RowChange, type TableHead } from './sql-changes.ts'
import type { RowNumbers } from './sql-delta.ts'

/** A row of `catalog_changes`. */
export interface KeptChange {
  readonly no: number
  /** The place before it, and the one that it leads to. */
  readonly follows: string
  readonly mark: string
  readonly changes: string
  readonly nextTableId: number
}

interface KnownAt {
  readonly no: number
  readonly mark: string
}

type Do<Name extends RowChange['do']> = Extract<RowChange, { do: Name }>

export class KnownRows {
  readonly numbers: RowNumbers
  #state: CatalogState
  #no: number
  #mark: string

  constructor(state: CatalogState, numbers: RowNumbers, at: KnownAt) {
    this.#state = state
    this.numbers = numbers
    this.#no = at.no
    this.#mark = at.mark
  }

  /** Never changed by what is taken later. */
  get state(): CatalogState {
    return this.#state
  }

  get no(): number {
    return this.#no
  }

  get mark(): string {
    return this.#mark
  }

  /** Takes over what the process has written itself. */
  became(state: CatalogState, at: KnownAt): void {
    this.#state = state
    this.#no = at.no
    this.#mark = at.mark
  }

  /** It comes in one piece, as long as its text. Throws an Error, and is good for nothing then. */
  take({ no, follows, mark, changes, nextTableId }: KeptChange): void {
    if (follows !== this.#mark) throw new Error(`change ${no} doesn't follow what is known`)
    const maps = forkMaps(this.#state.maps)
    const taker = new Taker(maps, this.numbers)
    for (const change of changesIn(changes)) taker.take(change)
    this.became(new CatalogState(maps, nextTableId), { no, mark })
  }
}

class Taker {
  readonly #maps: Maps
  readonly #numbers: RowNumbers

  constructor(maps: Maps, numbers: RowNumbers) {
    this.#maps = maps
    this.#numbers = numbers
  }

  take(change: RowChange): void {
    const { tables } = this.#maps
    switch (change.do) {
      case 'rows':
        this.#rows(change)
        break
      case 'tables-gone':
        for (const id of change.ids) {
          this.#unname(this.#table(id))
          tables.set(id, undefined)
        }
        break
      case 'head':
        this.#head(change.head)
        break
      case 'columns': {
        tables.set(change.table, { ...this.#table(change.table), ...internedOf(change) })
        break
      }
      case 'options':
        tables.set(change.table, { ...this.#table(change.table), options: change.options })
        break
      case 'files-gone':
        tables.set(change.table, { ...this.#table(change.table), files: FileList.EMPTY })
        break
      case 'files':
        this.#files(change)
        break
      case 'read-all':
        throw new Error('a change was too long to be kept')
      default:
        unreachable(change)
    }
  }

  #rows({ of, gone, put }: Do<'rows'>): void {
    const map = this.#maps[of] as unknown as PersistentMap<string, object>
    const numbers = this.#numbers[of]
    for (const key of gone) {
      map.set(key, undefined)
      numbers.delete(key)
      if (of === 'databases') this.#maps.names.set(key, undefined)
    }
    for (const [number, value] of put) {
      const key = keyOf(of, value)
      map.set(key, undefined)
      map.set(key, value)
      numbers.set(key, number)
      this.#numbered(number)
      if (of === 'databases') this.#namesOf(key)
    }
  }

  #head(head: TableHead): void {
    const before = this.#maps.tables.get(head.id)
    if (before !== undefined) this.#unname(before)
    this.#maps.tables.set(head.id, { ...NEW_TABLE, ...contentOf(before), ...head })
    const names = this.#namesOf(head.database).fork()
    names.set(head.name, head.id)
    this.#maps.names.set(head.database, names)
  }

  /** Gives its name free, unless another table has that name already. */
  #unname({ id, database, name }: Table): void {
    const known = this.#namesOf(database)
    if (known.get(name) !== id) return
    const names = known.fork()
    names.set(name, undefined)
    this.#maps.names.set(database, names)
  }

  #namesOf(database: string): PersistentMap<string, number> {
    const known = this.#maps.names.get(database)
    if (known !== undefined) return known
    const made = new PersistentMap<string, number>()
    this.#maps.names.set(database, made)
    return made
  }

  #files({ table: id, partition, gone, come }: Do<'files'>): void {
    const table = this.#table(id)
    const before = table.files.partition(partition) ?? new FilePartition(partition)
    let files = table.files
    if (gone.length > 0) files = files.replaced(partition, this.#goneOf(before, gone))
    files = files.appendPacked(packedOf(partition, come))
    const after = files.partition(partition) ?? new FilePartition(partition)
    if (after.length !== before.length - gone.length + come.length) {
      throw new Error(`some files of table ${id} are not told apart by their paths`)
    }
    this.#numberPieces(before, after, { gone, come })
    this.#maps.tables.set(id, { ...table, files })
  }

  /** Tells by path what takes the place of a file that is gone: nothing. */
  #goneOf(before: FilePartition, gone: readonly number[]): Map<string, DataFile[]> {
    const left = new Set(gone)
    const paths = new Map<string, DataFile[]>()
    for (const piece of before.pieces()) {
      if (left.size === 0) break
      const numbers = this.#numbersOf(piece)
      if (!numbers.some((number) => left.has(number))) continue
      for (const [at, path] of piece.paths().entries()) {
        if (left.delete(numbers[at] ?? 0)) paths.set(path, [])
      }
    }
    if (left.size > 0) throw new Error('files go that nobody knows')
    return paths
  }

  #numberPieces(
    before: FilePartition,
    after: FilePartition,
    { gone, come }: Pick<Do<'files'>, 'gone' | 'come'>,
  ): void {
    const left = new Set(gone)
    const changes = before.differencesTo(after)
    const stay = changes.gone.flatMap((piece) => this.#numbersOf(piece))
    const numbers = stay.filter((number) => !left.has(number))
    for (const [number] of come) {
      numbers.push(number)
      this.#numbered(number)
    }
    let at = 0
    for (const piece of changes.come) {
      this.#numbers.files.set(piece, numbers.slice(at, at + piece.length))
      at += piece.length
    }
  }

  #numbersOf(piece: FilePiece): readonly number[] {
    const numbers = this.#numbers.files.get(piece)
    if (numbers?.length !== piece.length) throw new Error('files have no row numbers')
    return numbers
  }

  #numbered(number: number): void {
    this.#numbers.next = Math.max(this.#numbers.next, number + 1)
  }

  #table(id: number): Table {
    const table = this.#maps.tables.get(id)
    if (table === undefined) throw new Error(`there is no table ${id}`)
    return table
  }
}

const NO_COLUMNS: readonly Column[] = []
const NEW_TABLE = {
  columns: NO_COLUMNS,
  partitionColumns: NO_COLUMNS,
  options: {},
  files: FileList.EMPTY,
}

function contentOf(table: Table | undefined): Partial<typeof NEW_TABLE> {
  if (table === undefined) return {}
  const { columns, partitionColumns, options, files } = table
  return { columns, partitionColumns, options, files }
}

function packedOf(partition: DataFile['partition'], come: Do<'files'>['come']) {
  return {
    partition,
    paths: come.map(([, path]) => path),
    rows: come.map(([, , rows]) => rows),
    bytes: come.map(([, , , bytes]) => bytes),
  }
}

const KEYS = {
  databases: 'name',
  outcomes: 'queryId',
  litter: 'path',
  publications: 'queryId',
  users: 'name',
}

function keyOf(of: Numbered, value: object): string {
  const key = (value as Readonly<Record<string, unknown>>)[KEYS[of]]
  if (typeof key !== 'string') throw new Error(`a row of catalog_${of} has no ${KEYS[of]}`)
  return key
}
