/**
 * One JSON document for each result: a list of objects, a row a line. Numbers that JSON's readers would round arrive as
 * text and stay so. A name that comes twice gets a number, since an object can't hold it twice.
 */
import type { Column, Row } from '../../client/index.ts'
import type { Printer } from './printer.ts'

export class JsonPrinter implements Printer {
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
