/**
 * A map of which copies cost nothing, however large it is: `fork` takes constant time, and both go on by themselves. The
 * catalog hands out a copy of its state for each group of transactions; whatever grew with the catalog there would hold
 * the event loop at each change.
 *
 * Iterates in order of insertion, as Map does. An iteration goes on over what was there when it began, if nobody changes
 * this very copy meanwhile, so a state's maps can be read in slices.
 *
 * Two trees, each with up to 32 branches a node: one leads by the hash of a key to the key's place in the order of
 * insertion, the other by place to the entry. A change copies the nodes on its way, but for those that are this copy's
 * own since the last fork: a journal that is replayed into one copy changes it where it stands.
 */

const BITS = 5
const WIDTH = 2 ** BITS

/** Who may change a node where it stands. */
type Owner = object

type Entry<K, V> = readonly [K, V]

/** Keys of one hash hang on each other. */
interface Leaf<K> {
  readonly hash: number
  readonly key: K
  readonly place: number
  readonly next: Leaf<K> | null
}

class Branch<K> {
  readonly owner: Owner
  /** A bit for each of the next five bits of a hash that leads on. */
  bits: number
  /** In the order of their bits. */
  readonly ways: (Branch<K> | Leaf<K>)[]

  constructor(owner: Owner, bits = 0, ways: (Branch<K> | Leaf<K>)[] = []) {
    this.owner = owner
    this.bits = bits
    this.ways = ways
  }
}

/** Level 0 has entries, the others nodes of the level below. What is empty is not there. */
class Row<K, V> {
  readonly owner: Owner
  readonly level: number
  readonly cells: (Row<K, V> | Entry<K, V> | undefined)[]
  used: number

  constructor(owner: Owner, level: number, cells: Row<K, V>['cells'] = [], used = 0) {
    this.owner = owner
    this.level = level
    this.cells = cells
    this.used = used
  }
}

const nothing = (): void => {}

export class PersistentMap<K extends string | number, V extends NonNullable<unknown>> {
  #owner: Owner = {}
  #keys: Branch<K> = new Branch(this.#owner)
  #rows: Row<K, V> = new Row(this.#owner, 0)
  /** How many places there are, in as many levels as there are rows. */
  #room = WIDTH
  #size = 0
  /** Of the next new key. */
  #next = 0

  constructor(entries: Iterable<readonly [K, V]> = []) {
    for (const [key, value] of entries) this.set(key, value)
  }

  get size(): number {
    return this.#size
  }

  get(key: K): V | undefined {
    const place = this.#placeOf(key, hashOf(key))
    return place === null ? undefined : this.#at(place)?.[1]
  }

  has(key: K): boolean {
    return this.#placeOf(key, hashOf(key)) !== null
  }

  /**
   * Undefined removes. Answers the way back, to the old place in the order too; it is good while everything that was set
   * later has been taken back.
   */
  set(key: K, value: V | undefined): () => void {
    const hash = hashOf(key)
    const place = this.#placeOf(key, hash)
    if (value === undefined) return place === null ? nothing : this.#remove(key, hash, place)
    if (place === null) return this.#insert(key, hash, value)
    const before = this.#at(place)
    this.#put(place, [key, value])
    return () => this.#put(place, before)
  }

  *entries(): IterableIterator<Entry<K, V>> {
    for (const row of lowest(this.#rows)) {
      for (const cell of row.cells) if (cell !== undefined) yield cell as Entry<K, V>
    }
  }

  *keys(): IterableIterator<K> {
    for (const [key] of this.entries()) yield key
  }

  *values(): IterableIterator<V> {
    for (const [, value] of this.entries()) yield value
  }

  /** The first value that passes: several times faster than an iteration, in one piece. */
  find(test: (value: V) => boolean): V | undefined {
    return findIn(this.#rows, test)
  }

  /**
   * Entries of this map that are not the same in the other, in order. What both still share since one was forked from
   * the other is passed over unseen; of maps that were made apart everything counts as changed.
   */
  changedSince(before: PersistentMap<K, V>): IterableIterator<Entry<K, V>> {
    return changedIn(this.#rows, before.#rows)
  }

  /** A map with the same content; what is done to one of the two doesn't show in the other. */
  fork(): PersistentMap<K, V> {
    const copy = new PersistentMap<K, V>()
    copy.#keys = this.#keys
    copy.#rows = this.#rows
    copy.#room = this.#room
    copy.#size = this.#size
    copy.#next = this.#next
    this.#owner = {}
    return copy
  }

  // ---- by key ----------------------------------------------------------------------------------------------------

  #insert(key: K, hash: number, value: V): () => void {
    const place = this.#next
    this.#keys = this.#leadTo(this.#keys, { hash, key, place, next: null }, 0)
    this.#put(place, [key, value])
    this.#size += 1
    this.#next += 1
    return () => {
      this.#remove(key, hash, place)
      this.#next = place
    }
  }

  #remove(key: K, hash: number, place: number): () => void {
    const before = this.#at(place)
    this.#keys = this.#without(this.#keys, hash, key, 0) ?? new Branch(this.#owner)
    this.#put(place, undefined)
    this.#size -= 1
    return () => {
      this.#keys = this.#leadTo(this.#keys, { hash, key, place, next: null }, 0)
      this.#put(place, before)
      this.#size += 1
    }
  }

  #placeOf(key: K, hash: number): number | null {
    let way: Branch<K> | Leaf<K> | undefined = this.#keys
    for (let rest = hash; way instanceof Branch; rest >>>= BITS) {
      const bit = bitOf(rest)
      if ((way.bits & bit) === 0) return null
      way = way.ways[indexOf(way.bits, bit)]
    }
    for (let leaf = way ?? null; leaf !== null; leaf = leaf.next) {
      if (leaf.key === key) return leaf.place
    }
    return null
  }

  #leadTo(branch: Branch<K>, leaf: Leaf<K>, shift: number): Branch<K> {
    const own = this.#ownBranch(branch)
    const bit = bitOf(leaf.hash >>> shift)
    const at = indexOf(own.bits, bit)
    const there = own.ways[at]
    if ((own.bits & bit) === 0 || there === undefined) {
      own.ways.splice(at, 0, leaf)
      own.bits |= bit
    } else if (there instanceof Branch) {
      own.ways[at] = this.#leadTo(there, leaf, shift + BITS)
    } else if (there.hash === leaf.hash) {
      own.ways[at] = { ...leaf, next: there }
    } else {
      const both = this.#leadTo(new Branch(this.#owner), there, shift + BITS)
      own.ways[at] = this.#leadTo(both, leaf, shift + BITS)
    }
    return own
  }

  /** Null when nothing is left. */
  #without(branch: Branch<K>, hash: number, key: K, shift: number): Branch<K> | null {
    const own = this.#ownBranch(branch)
    const bit = bitOf(hash >>> shift)
    const at = indexOf(own.bits, bit)
    const there = own.ways[at]
    if (there === undefined) return own
    const left =
      there instanceof Branch
        ? this.#without(there, hash, key, shift + BITS)
        : unchained(there, key)
    if (left !== null) {
      own.ways[at] = left
      return own
    }
    own.ways.splice(at, 1)
    own.bits &= ~bit
    return own.ways.length === 0 ? null : own
  }

  #ownBranch(branch: Branch<K>): Branch<K> {
    if (branch.owner === this.#owner) return branch
    return new Branch(this.#owner, branch.bits, [...branch.ways])
  }

  // ---- by place --------------------------------------------------------------------------------------------------

  #at(place: number): Entry<K, V> | undefined {
    let cell: Row<K, V> | Entry<K, V> | undefined = this.#rows
    while (cell instanceof Row) cell = cell.cells[cellOf(place, cell.level)]
    return cell
  }

  #put(place: number, entry: Entry<K, V> | undefined): void {
    while (place >= this.#room) this.#grow()
    this.#rows =
      this.#placed(this.#rows, place, entry) ?? new Row(this.#owner, this.#rows.level, [], 0)
  }

  #grow(): void {
    const { level, used } = this.#rows
    const below = used === 0 ? undefined : this.#rows
    this.#rows = new Row(this.#owner, level + 1, [below], Number(below !== undefined))
    this.#room *= WIDTH
  }

  /** Undefined when nothing is left. */
  #placed(row: Row<K, V>, place: number, entry: Entry<K, V> | undefined): Row<K, V> | undefined {
    const own =
      row.owner === this.#owner
        ? row
        : new Row<K, V>(this.#owner, row.level, [...row.cells], row.used)
    const at = cellOf(place, row.level)
    const there = own.cells[at]
    const cell =
      row.level === 0
        ? entry
        : this.#placed(
            there instanceof Row ? there : new Row(this.#owner, row.level - 1),
            place,
            entry,
          )
    // No holes: an array with holes is a slow one.
    while (own.cells.length < at) own.cells.push(undefined)
    own.cells[at] = cell
    own.used += Number(cell !== undefined) - Number(there !== undefined)
    return own.used === 0 ? undefined : own
  }
}

function findIn<K, V>(row: Row<K, V>, test: (value: V) => boolean): V | undefined {
  for (const cell of row.cells) {
    if (cell instanceof Row) {
      const found = findIn(cell, test)
      if (found !== undefined) return found
    } else if (cell !== undefined && test(cell[1])) return cell[1]
  }
  return undefined
}

function* changedIn<K, V>(
  row: Row<K, V>,
  other: Row<K, V> | undefined,
): IterableIterator<Entry<K, V>> {
  // Rows are put above the first one when it is full.
  let before = other
  while (before !== undefined && before.level > row.level) before = rowIn(before.cells[0])
  if (row === before) return
  const isAbove = before !== undefined && row.level > before.level
  for (const [at, cell] of row.cells.entries()) {
    const old = isAbove ? (at === 0 ? before : undefined) : before?.cells[at]
    if (cell instanceof Row) yield* changedIn(cell, rowIn(old))
    else if (cell !== undefined && cell !== old) yield cell
  }
}

const rowIn = <K, V>(cell: Row<K, V>['cells'][number]): Row<K, V> | undefined =>
  cell instanceof Row ? cell : undefined

/** Yields the rows with entries, in order. */
function* lowest<K, V>(row: Row<K, V>): IterableIterator<Row<K, V>> {
  if (row.level === 0) yield row
  else for (const cell of row.cells) if (cell instanceof Row) yield* lowest(cell)
}

function unchained<K>(leaf: Leaf<K>, key: K): Leaf<K> | null {
  if (leaf.key === key) return leaf.next
  return { ...leaf, next: leaf.next === null ? null : unchained(leaf.next, key) }
}

/** Beyond 32 bits, which nobody reaches in a hurry, by division: shifts would come round again. */
const cellOf = (place: number, level: number): number =>
  place < 2 ** 32 && BITS * level < 32
    ? (place >>> (BITS * level)) & (WIDTH - 1)
    : Math.floor(place / WIDTH ** level) % WIDTH

const bitOf = (hash: number): number => 1 << (hash & (WIDTH - 1))

/** Counts how many ways stand before the one of this bit. */
function indexOf(bits: number, bit: number): number {
  let before = bits & (bit - 1)
  before -= (before >>> 1) & 0x55555555
  before = (before & 0x33333333) + ((before >>> 2) & 0x33333333)
  return Math.imul((before + (before >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

/** FNV-1a of a text, with its bits mixed once more so that the low ones depend on all; 32 bits. */
function hashOf(key: string | number): number {
  let hash = 0x811c9dc5
  if (typeof key === 'number') hash = key | 0
  else
    for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
