/**
 * A result as text, piece by piece: whatever has been turned into text is forgotten, so that a result of any size
 * passes through. One printer serves one result.
 */
import type { Column, Row } from '../../client/index.ts'
import type { Format } from './options.ts'
import { CsvPrinter } from './print-csv.ts'
import { JsonPrinter } from './print-json.ts'
import { TablePrinter } from './print-table.ts'

export interface Printer {
  rows(batch: readonly Row[]): string
  /** After the last row. */
  end(): string
}

export interface PrintSettings {
  readonly format: Format
  /** What stands for NULL in a table. */
  readonly nullText: string
}

export function printerFor(columns: readonly Column[], settings: PrintSettings): Printer {
  switch (settings.format) {
    case 'table':
      return new TablePrinter(columns, settings.nullText)
    case 'csv':
      return new CsvPrinter(columns)
    case 'json':
      return new JsonPrinter(columns)
  }
}

/** A value that isn't NULL; lists and structs as JSON. */
export const textOf = (value: unknown): string => {
  if (typeof value === 'string') return value
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
