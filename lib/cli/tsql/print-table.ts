/**
 * A table for people. Columns are as wide as the first rows need; later rows that need more stick out, because waiting
 * for the last row of a long result would mean keeping all of it. Numbers stand to the right.
 */
import type { Column, Row } from '../../client/index.ts'
import { CONTROL } from '../print.ts'
import { type Printer, textOf } from './printer.ts'
import { displayWidth, padEnd, padStart } from './width.ts'

const MEASURED_ROWS = 1000
/** A single long value must not push all other rows apart. */
const WIDEST = 120

const NUMERIC = /^(INT|FLOAT|NUMERIC|DECIMAL|REAL|DOUBLE|BIGINT|SMALLINT|TINYINT|HUGEINT)/i

export class TablePrinter implements Printer {
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
