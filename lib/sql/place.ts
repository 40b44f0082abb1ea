/**
 * Where something stands in the user's text. Lines and columns count from 1; a column counts UTF-16 units, as JavaScript
 * does, so that whoever prints a caret under it needs no conversion. A line ends with LF, CR or both.
 */
import type { Place, SqlError } from './statement.ts'

const LF = 10
const CR = 13

/** One text's lines, found once, so that many places in a long text cost a search each and not a walk. */
export class Lines {
  readonly #starts: number[] = [0]

  constructor(text: string) {
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code === LF || (code === CR && text.charCodeAt(i + 1) !== LF)) this.#starts.push(i + 1)
    }
  }

  /** `offset` counts from 0; the text's length is the place behind its last character. */
  placeAt(offset: number): Place {
    let low = 0
    let high = this.#starts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.#starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: offset - (this.#starts[low] ?? 0) + 1 }
  }
}

/** Does what `Lines.placeAt` does, for one place. */
export function placeAt(text: string, offset: number): Place {
  return new Lines(text).placeAt(offset)
}

/** `inner` is a place in a piece of text that begins at `outer`; where that is in the whole. */
export function placeWithin(outer: Place, inner: Place): Place {
  if (inner.line > 1) return { line: outer.line + inner.line - 1, column: inner.column }
  return { line: outer.line, column: outer.column + inner.column - 1 }
}

/** `line 1, column 8: expected TABLE …`: for a reader who sees no caret. */
export function withPlace(error: SqlError): string {
  if (error.place === null) return error.message
  return `line ${error.place.line}, column ${error.place.column}: ${error.message}`
}
