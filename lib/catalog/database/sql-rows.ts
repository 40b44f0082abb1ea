/**
 * What a row of the catalog's tables says, value by value: one that can't be meant so, as after somebody's hand in the
 * database, is CORRUPT, with its column.
 */
import { CatalogError } from '../errors.ts'
import { fromSqlText, type SqlRow } from './sql-connection.ts'

export function text(row: SqlRow, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw corrupt(`${column} is ${value} instead of a text`)
  try {
    return fromSqlText(value)
  } catch (error) {
    throw corrupt(`${column} can't be decoded: ${value}`, error)
  }
}

export function whole(row: SqlRow, column: string): number {
  const value = row[column]
  if (Number.isSafeInteger(value)) return value as number
  throw corrupt(`${column} is ${value} instead of a whole number`)
}

export const wholeOrNull = (row: SqlRow, column: string): number | null =>
  row[column] === null ? null : whole(row, column)

/** MySQL has no type of its own for it and answers 0 or 1. */
export function flag(row: SqlRow, column: string): boolean {
  const value = row[column]
  if (typeof value === 'boolean') return value
  return whole(row, column) !== 0
}

export function oneOf<T extends string>(row: SqlRow, column: string, allowed: readonly T[]): T {
  const value = text(row, column)
  const found = allowed.find((one) => one === value)
  if (found !== undefined) return found
  throw corrupt(`${column} is ${value}, not one of ${allowed.join(', ')}`)
}

export const corrupt = (message: string, cause?: unknown): CatalogError =>
  new CatalogError('CORRUPT', `the catalog's tables in the database: ${message}`, { cause })
