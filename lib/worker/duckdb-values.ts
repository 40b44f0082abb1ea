/**
 * DuckDB's values as JSON. What JSON has no words for is text: decimals, times, blobs, whole numbers beyond 2^53, NaN.
 *
 * A FLOAT4 is the shortest number that is the same FLOAT4: JavaScript has the next wider type alone, in which 0.1 of
 * FLOAT4 is 0.10000000149011612.
 */
import {
  DuckDBArrayType,
  DuckDBArrayValue,
  DuckDBListType,
  DuckDBListValue,
  DuckDBMapType,
  DuckDBMapValue,
  DuckDBStructType,
  DuckDBStructValue,
  type DuckDBType,
  DuckDBTypeId,
  DuckDBUnionType,
  DuckDBUnionValue,
  type DuckDBValue,
} from '@duckdb/node-api'

/** `type`: the value's; null where a FLOAT4 need not look like one. */
export function jsonText(value: DuckDBValue, type: DuckDBType | null): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
      return Number.isFinite(value) ? plainNumber(numberOf(value, type)) : `"${value}"`
    case 'bigint':
      return isSafe(value) ? String(value) : `"${value}"`
    case 'boolean':
      return value ? 'true' : 'false'
    default:
      return value === null ? 'null' : JSON.stringify(jsonValue(value, type))
  }
}

/** JSON has a minus zero, `String` has not. */
const plainNumber = (value: number): string => (Object.is(value, -0) ? '-0' : String(value))

const numberOf = (value: number, type: DuckDBType | null): number =>
  type?.typeId === DuckDBTypeId.FLOAT ? shortest(value) : value

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

export function jsonValue(value: DuckDBValue, type: DuckDBType | null): unknown {
  if (value === null || value === undefined) return null
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) ? numberOf(value, type) : String(value)
    case 'bigint':
      return isSafe(value) ? Number(value) : String(value)
    default:
      break
  }
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) {
    const of = type instanceof DuckDBListType || type instanceof DuckDBArrayType ? type : null
    return value.items.map((item) => jsonValue(item, of?.valueType ?? null))
  }
  if (value instanceof DuckDBStructValue) {
    const of = type instanceof DuckDBStructType ? type : null
    const entries = Object.entries(value.entries)
    return Object.fromEntries(
      entries.map(([key, item]) => [key, jsonValue(item, of?.typeForEntry(key) ?? null)]),
    )
  }
  if (value instanceof DuckDBMapValue) {
    const of = type instanceof DuckDBMapType ? type : null
    return value.entries.map(({ key, value: item }) => ({
      key: jsonValue(key, of?.keyType ?? null),
      value: jsonValue(item, of?.valueType ?? null),
    }))
  }
  if (!(value instanceof DuckDBUnionValue)) return String(value)
  const of = type instanceof DuckDBUnionType ? type : null
  return jsonValue(value.value, of?.memberTypeForTag(value.tag) ?? null)
}
