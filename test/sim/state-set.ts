/**
 * The states that an exhaustive check has met: each is a fixed number of 32-bit words, and keeps its number, in the order
 * in which they came. 4 bytes a word, and 10 to 20 more for each state.
 */
const CHUNK_BITS = 14
const CHUNK = 1 << CHUNK_BITS
const FIRST_SLOTS = 1 << 16

export class StateSet {
  readonly #width: number
  /** So many states in each, and beside each state the number of the one it came from. */
  readonly #chunks: Int32Array[] = []
  /** Numbers of states plus one, by hash; 0 is free. */
  #slots = new Int32Array(FIRST_SLOTS)
  size = 0

  constructor(width: number) {
    this.#width = width
  }

  /** Whether it is a new one. */
  add(words: Int32Array, from: number): boolean {
    if (this.size * 2 > this.#slots.length) this.#grow()
    const slot = this.#find(words)
    if (this.#slots[slot] !== 0) return false
    const i = this.size & (CHUNK - 1)
    if (i === 0) this.#chunks.push(new Int32Array(CHUNK * (this.#width + 1)))
    const chunk = this.#chunks[this.size >>> CHUNK_BITS] as Int32Array
    const start = i * (this.#width + 1)
    for (let w = 0; w < this.#width; w += 1) chunk[start + w] = words[w] as number
    chunk[start + this.#width] = from
    this.size += 1
    this.#slots[slot] = this.size
    return true
  }

  read(state: number, words: Int32Array): void {
    const chunk = this.#chunks[state >>> CHUNK_BITS] as Int32Array
    const start = (state & (CHUNK - 1)) * (this.#width + 1)
    for (let w = 0; w < this.#width; w += 1) words[w] = chunk[start + w] as number
  }

  /** The numbers of the states that lead to this one, from the first to itself. */
  pathTo(state: number): number[] {
    const path = [state]
    for (let at = state; at !== 0; path.push(at)) {
      const chunk = this.#chunks[at >>> CHUNK_BITS] as Int32Array
      at = chunk[(at & (CHUNK - 1)) * (this.#width + 1) + this.#width] as number
    }
    return path.reverse()
  }

  /** Its slot, or the free one where it belongs. */
  #find(words: Int32Array): number {
    const last = this.#slots.length - 1
    for (let slot = hash(words, this.#width) & last; ; slot = (slot + 1) & last) {
      const held = this.#slots[slot] as number
      if (held === 0 || this.#equals(held - 1, words)) return slot
    }
  }

  #equals(state: number, words: Int32Array): boolean {
    const chunk = this.#chunks[state >>> CHUNK_BITS] as Int32Array
    const start = (state & (CHUNK - 1)) * (this.#width + 1)
    for (let w = 0; w < this.#width; w += 1) if (chunk[start + w] !== words[w]) return false
    return true
  }

  #grow(): void {
    this.#slots = new Int32Array(this.#slots.length * 4)
    const words = new Int32Array(this.#width)
    for (let state = 0; state < this.size; state += 1) {
      this.read(state, words)
      this.#slots[this.#find(words)] = state + 1
    }
  }
}

function hash(words: Int32Array, width: number): number {
  let h = width
  for (let w = 0; w < width; w += 1) {
    h = Math.imul(h ^ (words[w] as number), 0x9e3779b1)
    h ^= h >>> 15
  }
  return Math.imul(h, 0x85ebca6b) >>> 7
}
