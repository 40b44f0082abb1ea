/**
 * A result as text, piece by piece: whatever has been turned into text is forgotten, so that a result of any size
 * passes through. One printer serves one result; printers.ts chooses which.
 */
import type { Row } from '../../client/index.ts'

export interface Printer {
  rows(batch: readonly Row[]): string
  /** After the last row. */
  end(): string
}

/** A value that isn't NULL; lists and structs as JSON. */
export const textOf = (value: unknown): string => {
  if (typeof value === 'string') return value
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
