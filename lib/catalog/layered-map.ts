/**
 * A map that can be copied often although it is large: a base that is shared by all copies and never changed, and a
 * small top layer of each copy's own changes. The catalog hands out one copy of its state for each group of transactions;
 * with plain maps each would cost as much as the whole catalog.
 *
 * Iterates in order of insertion, except that a key which was removed and comes back may keep its old place.
 */

/** A top layer beyond this share of its base (and this size) is merged at the next copy. */
const MERGE_SHARE = 1 / 8
const MERGE_SIZE = 64

export class LayeredMap<K, V extends NonNullable<unknown>> {
  #base: ReadonlyMap<K, V>
  /** Undefined stands for removed. */
  readonly #top: Map<K, V | undefined>
  #size: number

  constructor(entries: Iterable<readonly [K, V]> = []) {
    this.#base = new Map(entries)
    this.#top = new Map()
    this.#size = this.#base.size
  }

  get size(): number {
    return this.#size
  }

  get(key: K): V | undefined {
    const own = this.#top.get(key)
    if (own !== undefined || this.#top.has(key)) return own
    return this.#base.get(key)
  }

  has(key: K): boolean {
    return this.get(key) !== undefined
  }

  /** Undefined removes. */
  set(key: K, value: V | undefined): void {
    const before = this.has(key)
    if (value === undefined && !this.#base.has(key)) this.#top.delete(key)
    else this.#top.set(key, value)
    this.#size += Number(value !== undefined) - Number(before)
  }

  *entries(): IterableIterator<[K, V]> {
    for (const [key, value] of this.#base) {
      const now = this.#top.has(key) ? this.#top.get(key) : value
      if (now !== undefined) yield [key, now]
    }
    for (const [key, value] of this.#top) {
      if (value !== undefined && !this.#base.has(key)) yield [key, value]
    }
  }

  *keys(): IterableIterator<K> {
    for (const [key] of this.entries()) yield key
  }

  *values(): IterableIterator<V> {
    for (const [, value] of this.entries()) yield value
  }

  /** A map with the same content; what is done to one of the two doesn't show in the other. */
  fork(): LayeredMap<K, V> {
    if (this.#top.size > Math.max(MERGE_SIZE, this.#base.size * MERGE_SHARE)) {
      this.#base = new Map(this.entries())
      this.#top.clear()
    }
    const copy = new LayeredMap<K, V>()
    copy.#base = this.#base
    for (const [key, value] of this.#top) copy.#top.set(key, value)
    copy.#size = this.#size
    return copy
  }
}
