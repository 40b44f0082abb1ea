/** Where a run's seed of the property tests is handed to its files, and repeated. */
export const SEED_VARIABLE = 'TAJO_TEST_SEED'

/** mulberry32: small, and the same everywhere for a seed. Answers numbers in [0, 1). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
