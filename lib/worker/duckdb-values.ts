/**
 * DuckDB's values as JSON. What JSON has no words for is text: decimals, times, blobs, whole numbers beyond 2^53, NaN.
 *
 * A FLOAT4 is the shortest number that is the same FLOAT4: JavaScript has the next wider type alone, in which 0.1 of
 * FLOAT4 is 0.10000000149011612.
 *
 * What has parts is told in pieces, straight from the engine's memory: as a value of JavaScript's, a list that takes the
 * engine a few hundred megabytes would take several gigabytes, and the worker with it.
 */
import {
  DuckDBArrayVector,
  DuckDBListVector,
  DuckDBMapVector,
  DuckDBStructVector,
  DuckDBTypeId,
  DuckDBUnionVector,
  type DuckDBVector,
} from '@duckdb/node-api'

/** Whether its values have parts. */
export const isNested = (vector: DuckDBVector): boolean =>
  vector instanceof DuckDBListVector ||
  vector instanceof DuckDBArrayVector ||
  vector instanceof DuckDBStructVector ||
  vector instanceof DuckDBMapVector ||
  vector instanceof DuckDBUnionVector

/** Tells a value without parts. */
export function plainText(vector: DuckDBVector, at: number): string {
  const value = vector.getItem(at)
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
      return Number.isFinite(value) ? numberText(value, vector) : `"${value}"`
    case 'bigint':
      return isSafe(value) ? String(value) : `"${value}"`
    case 'boolean':
      return value ? 'true' : 'false'
    default:
      return value === null ? 'null' : JSON.stringify(String(value))
  }
}

/** Tells any value, in order. Each piece is short, unless a single text in it is long. */
export function* pieces(vector: DuckDBVector, at: number): Generator<string, void> {
  if (vector instanceof DuckDBListVector) {
    const items = vector.getItemVector(at)
    if (items === null) yield 'null'
    else yield* listPieces(items, 0, items.itemCount)
  } else if (vector instanceof DuckDBArrayVector) {
    const { length } = vector.type
    if (!insideOf(vector).validity.itemValid(at)) yield 'null'
    else yield* listPieces(insideOf(vector).childData, at * length, length)
  } else if (vector instanceof DuckDBStructVector) {
    yield* structPieces(vector, at)
  } else if (vector instanceof DuckDBMapVector) {
    // A list of records of a key and a value.
    yield* pieces(insideOf(vector).listVector, at)
  } else if (vector instanceof DuckDBUnionVector) {
    const { structVector: parts } = insideOf(vector)
    const tag = parts.getItemValue(at, 0)
    if (tag === null) yield 'null'
    else yield* pieces(parts.entryVectorAt(Number(tag) + 1), at)
  } else {
    yield plainText(vector, at)
  }
}

const PIECE_CHARS = 16 * 1024

function* listPieces(items: DuckDBVector, first: number, count: number): Generator<string, void> {
  if (isNested(items)) yield* nestedListPieces(items, first, count)
  else yield* plainListPieces(items, first, count)
}

/** What is added to a text bit by bit keeps all bits, thirty times its length: so a piece is joined of them. */
function* plainListPieces(
  items: DuckDBVector,
  first: number,
  count: number,
): Generator<string, void> {
  let before = '['
  let texts: string[] = []
  let chars = 0
  for (let at = first; at < first + count; at += 1) {
    const text = plainText(items, at)
    texts.push(text)
    chars += text.length + 1
    if (chars < PIECE_CHARS) continue
    yield before + texts.join(',')
    before = ','
    texts = []
    chars = 0
  }
  if (texts.length > 0 || count === 0) yield before + texts.join(',')
  yield ']'
}

function* nestedListPieces(
  items: DuckDBVector,
  first: number,
  count: number,
): Generator<string, void> {
  yield '['
  for (let at = first; at < first + count; at += 1) {
    if (at > first) yield ','
    yield* pieces(items, at)
  }
  yield ']'
}

function* structPieces(vector: DuckDBStructVector, at: number): Generator<string, void> {
  if (!vector.isItemValid(at)) {
    yield 'null'
    return
  }
  const { entryNames } = vector.type
  let before = '{'
  for (const entry of inJsonOrder(entryNames)) {
    yield `${before}${JSON.stringify(entryNames[entry])}:`
    yield* pieces(vector.entryVectorAt(entry), at)
    before = ','
  }
  yield before === '{' ? '{}' : '}'
}

/** As JavaScript has the names of an object: those that look like whole numbers come first. */
const inJsonOrder = (names: readonly string[]): number[] =>
  Object.values(Object.fromEntries(names.map((name, entry) => [name, entry])))

/** What the library keeps to itself, and gives out only as whole values of JavaScript's. */
interface Inside {
  readonly childData: DuckDBVector
  readonly validity: { itemValid(at: number): boolean }
  readonly listVector: DuckDBListVector
  readonly structVector: DuckDBStructVector
}

const insideOf = (vector: DuckDBVector): Inside => vector as unknown as Inside

function numberText(value: number, { type }: DuckDBVector): string {
  const number = type.typeId === DuckDBTypeId.FLOAT ? shortest(value) : value
  // JSON has a minus zero, `String` has not.
  return Object.is(number, -0) ? '-0' : String(number)
}

const SMALLEST_NORMAL = 2 ** -126

/** Six digits are in every normal FLOAT4, nine tell it from all others. */
function shortest(value: number): number {
  // Minus zero, too, which has no text of its own.
  if (value === 0) return value
  for (let digits = Math.abs(value) < SMALLEST_NORMAL ? 1 : 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return short
  }
  return Number(value.toPrecision(9))
}

const LARGEST = BigInt(Number.MAX_SAFE_INTEGER)
const isSafe = (value: bigint): boolean => value <= LARGEST && value >= -LARGEST
