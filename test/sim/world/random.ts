/**
 * Chance from a seed: sfc32. Every stream is derived from the seed and a label, so that drawing more in one part of
 * the world doesn't change what another part draws.
 */
export class Random {
  #a: number
  #b: number
  #c: number
  #d = 1

  constructor(seed: number, label: string) {
    let hash = 0x811c9dc5 ^ (seed >>> 0)
    for (let i = 0; i < label.length; i += 1) {
      hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193)
    }
    this.#a = seed >>> 0
    this.#b = Math.floor(seed / 2 ** 32) >>> 0
    this.#c = hash >>> 0
    for (let i = 0; i < 12; i += 1) this.next()
  }

  /** Uniform in [0, 1). */
  next(): number {
    const t = (this.#a + this.#b + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t
    return (t >>> 0) / 2 ** 32
  }

  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability
  }
  between(low: number, high: number): number {
    return low + (high - low) * this.next()
  }
  /** Whole number in [0, n). */
  below(n: number): number {
    return Math.floor(this.next() * n)
  }
  /** Even on a logarithmic scale: as many short ones as long ones. */
  logBetween(low: number, high: number): number {
    return low * (high / low) ** this.next()
  }
  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new Error('nothing to pick from')
    return item
  }
}
