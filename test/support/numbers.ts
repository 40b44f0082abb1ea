/**
 * Numbers as people write them, in options and in the environment. Whatever else stands there is
 * named in one line, instead of being taken for some number that nobody meant.
 */

/** Seeds up to here can be counted on from without losing a digit. */
const LARGEST = 2 ** 52

/** Throws an error that names the option and its value. */
export function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < least) {
    throw new Error(`${name}: ${JSON.stringify(text)} is not a whole number of at least ${least}`)
  }
  if (value > LARGEST) throw new Error(`${name}: ${JSON.stringify(text)} is too large`)
  return value
}

/** The same for what is above 0 and may have a fraction. */
export function positiveNumber(name: string, text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new Error(`${name}: ${JSON.stringify(text)} is not a number above 0`)
}
