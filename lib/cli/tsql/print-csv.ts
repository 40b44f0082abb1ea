/** CSV as RFC 4180 quotes it, with a line of names and lines that end as Unix tools expect. NULL is nothing, '' is `""`. */
import type { Column, Row } from '../../client/index.ts'
import { type Printer, textOf } from './printer.ts'

export class CsvPrinter implements Printer {
  #head: string

  constructor(columns: readonly Column[]) {
    this.#head = `${columns.map(({ name }) => field(name)).join(',')}\n`
  }

  rows(batch: readonly Row[]): string {
    let text = this.#head
    this.#head = ''
    for (const row of batch) text += `${row.map(field).join(',')}\n`
    return text
  }

  end(): string {
    return this.#head
  }
}

function field(value: unknown): string {
  if (value === null || value === undefined) return ''
  const text = textOf(value)
  return text === '' || /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
