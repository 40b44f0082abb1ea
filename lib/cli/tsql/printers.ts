/** Which printer a format has. */
import type { Column } from '../../client/index.ts'
import type { Format } from './options.ts'
import { CsvPrinter } from './print-csv.ts'
import { JsonPrinter } from './print-json.ts'
import { TablePrinter } from './print-table.ts'
import type { Printer } from './printer.ts'

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
