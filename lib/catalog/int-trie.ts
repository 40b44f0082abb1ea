/**
 * A persistent array: a change makes a new one that shares all but the way to the changed place with the old, so both go on
 * being used, and what differs between the two is found by what they don't share. It may have holes.
 *
 * A tree of arrays of up to 32, its depth follows the highest index. Reading and changing one place costs that depth
 * (a million places: four), whatever else is in it.
 */
const BITS = 5
const WIDTH = 2 ** BITS
const MASK = WIDTH - 1

/** On the lowest level the values, above it nodes; never longer than its last place that is taken. */
type Node<V> = readonly (V | Node<V> | undefined)[]

/** One place that differs; undefined: a hole. */
interface Difference<V> {
  readonly index: number
  readonly before: V | undefined
  readonly after: V | undefined
}

/**
 * The arrays that one hand has made and nobody else has seen yet: it goes on changing them where they stand. Whoever has a
 * set of these lets nobody keep what it has made but its last.
 */
export type Fresh = Set<object>

export class IntTrie<V extends object> {
  readonly #root: Node<V>
  /** 1: the root holds the values. */
  readonly #levels: number

  constructor(root: Node<V> = [], levels = 1) {
    this.#root = root
    this.#levels = levels
  }

  /** `index`: a whole number from 0 to 2^30 - 1. */
  get(index: number): V | undefined {
    if (index >= WIDTH ** this.#levels) return undefined
    let node: Node<V> | undefined = this.#root
    for (let level = this.#levels - 1; level > 0 && node !== undefined; level -= 1) {
      node = node[(index >>> (BITS * level)) & MASK] as Node<V> | undefined
    }
    return node?.[index & MASK] as V | undefined
  }

  /** The same with `value` at `index`; undefined makes a hole. */
  with(index: number, value: V | undefined, fresh?: Fresh): IntTrie<V> {
    if (this.get(index) === value) return this
    let root = this.#root
    let levels = this.#levels
    for (; index >= WIDTH ** levels; levels += 1) root = root.length === 0 ? [] : [root]
    return new IntTrie(changed(root, levels - 1, { index, value, fresh }), levels)
  }

  /** They come in the order of their places. */
  values(): Iterable<V> {
    return walk(this.#root, this.#levels - 1)
  }

  /** They come from the last place to the first. */
  valuesBackwards(): Iterable<V> {
    return walk(this.#root, this.#levels - 1, true)
  }

  /** Costs what the two don't share. */
  differencesTo(after: IntTrie<V>): Iterable<Difference<V>> {
    const levels = Math.max(this.#levels, after.#levels)
    return differences(this.#lifted(levels), after.#lifted(levels), levels - 1, 0)
  }

  #lifted(levels: number): Node<V> {
    let root = this.#root
    for (let at = this.#levels; at < levels; at += 1) root = root.length === 0 ? [] : [root]
    return root
  }
}

interface Change<V> {
  readonly index: number
  readonly value: V | undefined
  readonly fresh: Fresh | undefined
}

function changed<V>(node: Node<V>, level: number, change: Change<V>): Node<V> {
  const { index, value, fresh } = change
  const at = (index >>> (BITS * level)) & MASK
  const own = fresh?.has(node) === true ? (node as (V | Node<V> | undefined)[]) : node.slice()
  fresh?.add(own)
  while (own.length < at) own.push(undefined)
  own[at] = level === 0 ? value : below(node[at] as Node<V> | undefined, level, change)
  while (own.length > 0 && own.at(-1) === undefined) own.pop()
  return own
}

function below<V>(node: Node<V> | undefined, level: number, change: Change<V>) {
  const made = changed(node ?? [], level - 1, change)
  return made.length === 0 ? undefined : made
}

function* walk<V>(node: Node<V>, level: number, backwards = false): Generator<V> {
  for (let step = 0; step < node.length; step += 1) {
    const child = node[backwards ? node.length - 1 - step : step]
    if (child === undefined) continue
    if (level === 0) yield child as V
    else yield* walk(child as Node<V>, level - 1, backwards)
  }
}

function* differences<V>(
  before: Node<V>,
  after: Node<V>,
  level: number,
  first: number,
): Generator<Difference<V>> {
  const length = Math.max(before.length, after.length)
  for (let at = 0; at < length; at += 1) {
    const [one, other] = [before[at], after[at]]
    if (one === other) continue
    const index = first + at * WIDTH ** level
    if (level === 0) {
      yield { index, before: one as V | undefined, after: other as V | undefined }
    } else {
      yield* differences((one ?? []) as Node<V>, (other ?? []) as Node<V>, level - 1, index)
    }
  }
}
