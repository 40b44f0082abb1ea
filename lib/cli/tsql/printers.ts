/**
 * A result as text, piece by piece: whatever has been turned into text is forgotten, so that a result of any size passes
 * through. One printer serves one result; its format chooses which.
 *
 * CSV as RFC 4180 quotes it, with a line of names and lines that end as Unix tools expect. NULL is nothing, '' is `""`.
 *
 * One JSON document is printed for each result: a list of objects, a row a line. Numbers that JSON's readers would round
 * arrive as text and stay so. A name that comes twice gets a number, since an object can't hold it twice.
 *
 * A table is printed for people. Columns are as wide as the first rows need; later rows that need more stick out,
 * because waiting for the last row of a long result would mean keeping all of it. Numbers stand to the right.
 */
import type { Column, Row } from '../../client/index.ts'
import { CONTROL } from '../print.ts'
import type { Format } from './options.ts'
import { displayWidth, padEnd, padStart } from './width.ts'

const MEASURED_ROWS = 1000
/** A single long value must not push all other rows apart. */
const WIDEST = 120

const NUMERIC = /^(INT|FLOAT|NUMERIC|DECIMAL|REAL|DOUBLE|BIGINT|SMALLINT|TINYINT|HUGEINT)/i

class TablePrinter implements Printer {
  readonly #columns: readonly { readonly title: string; readonly right: boolean }[]
  readonly #nullText: string
  #widths: readonly number[] | null = null
  #waiting: string[][] = []

  constructor(columns: readonly Column[], nullText: string) {
    this.#columns = columns.map(({ name, type }) => ({
      title: visible(name),
      right: NUMERIC.test(type),
    }))
    this.#nullText = nullText
  }

  rows(batch: readonly Row[]): string {
    const cells = batch.map((row) => row.map((value) => this.#cell(value)))
    if (this.#widths !== null) return this.#lines(cells)
    // In a loop: a batch may have more rows than a call takes arguments.
    for (const row of cells) this.#waiting.push(row)
    return this.#waiting.length < MEASURED_ROWS ? '' : this.#begin()
  }

  end(): string {
    return this.#widths === null ? this.#begin() : ''
  }

  #begin(): string {
    const waiting = this.#waiting
    this.#waiting = []
    const widths = this.#columns.map(({ title }) => displayWidth(title))
    for (const row of waiting) {
      for (const [i, cell] of row.entries()) {
        widths[i] = Math.max(widths[i] ?? 0, Math.min(WIDEST, displayWidth(cell)))
      }
    }
    this.#widths = widths
    const titles = this.#columns.map(({ title }, i) => padEnd(title, widths[i] ?? 0))
    const rule = widths.map((width) => '-'.repeat(width + 2)).join('+')
    return `${` ${titles.join(' | ')}`.trimEnd()}\n${rule}\n${this.#lines(waiting)}`
  }

  #lines(rows: readonly (readonly string[])[]): string {
    let text = ''
    for (const row of rows) {
      const cells = row.map((cell, i) => {
        const width = this.#widths?.[i] ?? 0
        return this.#columns[i]?.right === true ? padStart(cell, width) : padEnd(cell, width)
      })
      text += `${` ${cells.join(' | ')}`.trimEnd()}\n`
    }
    return text
  }

  #cell(value: unknown): string {
    return value === null || value === undefined ? this.#nullText : visible(textOf(value))
  }
}

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }
const visible = (text: string): string =>
  text.replaceAll(CONTROL, (char) => NAMED[char] ?? `\\x${char.charCodeAt(0).toString(16)}`)

class JsonPrinter implements Printer {
  readonly #keys: readonly string[]
  #before = '[\n'

  constructor(columns: readonly Column[]) {
    this.#keys = distinct(columns.map(({ name }) => name)).map((name) => JSON.stringify(name))
  }

  rows(batch: readonly Row[]): string {
    let text = ''
    for (const row of batch) {
      const fields = this.#keys.map((key, i) => `${key}:${JSON.stringify(row[i] ?? null)}`)
      text += `${this.#before}{${fields.join(',')}}`
      this.#before = ',\n'
    }
    return text
  }

  end(): string {
    return this.#before === '[\n' ? '[]\n' : '\n]\n'
  }
}

function distinct(names: readonly string[]): string[] {
  const taken = new Set(names)
  const seen = new Set<string>()
  return names.map((name) => {
    let own = name
    for (let n = 2; seen.has(own); n++) {
      if (!taken.has(`${name}_${n}`) && !seen.has(`${name}_${n}`)) own = `${name}_${n}`
    }
    seen.add(own)
    return own
  })
}

class CsvPrinter implements Printer {
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

interface Printer {
  rows(batch: readonly Row[]): string
  /** It is called after the last row. */
  end(): string
}

/** A value that isn't NULL; lists and structs as JSON. */
export const textOf = (value: unknown): string => {
  if (typeof value === 'string') return value
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
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
