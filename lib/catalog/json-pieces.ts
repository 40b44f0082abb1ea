/**
 * Reads one JSON document as its text comes, piece by piece, and gives its values one by one: of the objects and lists
 * that are told to be large, what is in them, of everything else the whole value. Neither the text nor the document is ever
 * there as a whole: a catalog's may be longer than the longest string.
 *
 * Its structure is checked here, each value by JSON.parse.
 */

/** The way to a value: keys of objects, places in lists. */
export type Path = readonly (string | number)[]

interface JsonReading {
  /** Whether what stands there is large: what is in it is given instead of itself, and its end is told. */
  readonly isLarge: (path: Path) => boolean
  readonly onValue: (path: Path, value: unknown) => void
  /** A large object or list is over. */
  readonly onEnd: (path: Path, kind: 'object' | 'list') => void
}

interface Large {
  readonly kind: 'object' | 'list'
  /** Of the value that is being read. */
  key: string | number
}

type Expecting =
  | 'value'
  | 'value or end'
  | 'key'
  | 'key or end'
  | 'colon'
  | 'comma or end'
  | 'nothing'

const SPACE = /[ \t\n\r]/
/** Ends a number or a word. */
const DELIMITER = /[,\]} \t\n\r]/

export class JsonPieces {
  readonly #reading: JsonReading
  readonly #stack: Large[] = []
  #expecting: Expecting = 'value'
  /** The text of a value or key that is not complete yet. */
  #begun: string[] = []
  #isBegun = false
  /** Within it: open brackets, whether a string is open, and whether the next character is escaped. */
  #depth = 0
  #inString = false
  #isEscaped = false
  /** Characters before the piece that is being read. */
  #before = 0

  constructor(reading: JsonReading) {
    this.#reading = reading
  }

  /** Throws SyntaxError for what is no JSON. */
  push(text: string): void {
    let at = 0
    while (at < text.length) at = this.#isBegun ? this.#goOn(text, at) : this.#structure(text, at)
    this.#before += text.length
  }

  /** Throws SyntaxError when the document is not complete. */
  end(): void {
    // A number at the very end is ended by nothing else.
    if (this.#isBegun && this.#depth === 0 && !this.#inString) this.#finish()
    if (this.#expecting !== 'nothing') throw new SyntaxError('it ends in the middle')
  }

  #path(): Path {
    return this.#stack.map(({ key }) => key)
  }

  /** Answers the place after what it has taken. */
  #structure(text: string, at: number): number {
    const char = text[at] ?? ''
    if (SPACE.test(char)) return at + 1
    const expecting = this.#expecting
    const ends = expecting.endsWith('or end') && char === this.#closing()
    if (ends) this.#close()
    else if (expecting.startsWith('value')) return this.#begin(text, at)
    else if (expecting.startsWith('key') && char === '"') return this.#begin(text, at)
    else if (expecting === 'colon' && char === ':') this.#expecting = 'value'
    else if (expecting === 'comma or end' && char === ',') {
      const top = this.#stack.at(-1)
      if (typeof top?.key === 'number') top.key += 1
      this.#expecting = top?.kind === 'list' ? 'value' : 'key'
    } else this.#refuse(char, at)
    return at + 1
  }

  #closing(): string {
    return this.#stack.at(-1)?.kind === 'list' ? ']' : '}'
  }

  #refuse(char: string, at: number): never {
    const place = this.#before + at
    throw new SyntaxError(`${JSON.stringify(char)} at position ${place} is not expected there`)
  }

  #begin(text: string, at: number): number {
    const char = text[at]
    const isOpening = char === '{' || char === '['
    if (isOpening && this.#expecting.startsWith('value') && this.#reading.isLarge(this.#path())) {
      const kind = char === '{' ? 'object' : 'list'
      this.#stack.push({ kind, key: kind === 'object' ? '' : 0 })
      this.#expecting = kind === 'object' ? 'key or end' : 'value or end'
      return at + 1
    }
    if (char === ',' || char === ']' || char === '}' || char === ':') this.#refuse(char, at)
    this.#isBegun = true
    return this.#goOn(text, at)
  }

  /** Of a value or key that has begun: to its end, or that of the text. */
  #goOn(text: string, from: number): number {
    let at = from
    for (; at < text.length; at += 1) {
      const char = text[at] ?? ''
      if (this.#inString) {
        if (this.#isEscaped) this.#isEscaped = false
        else if (char === '\\') this.#isEscaped = true
        else if (char === '"') {
          this.#inString = false
          if (this.#depth === 0) return this.#ended(text, from, at + 1)
        }
      } else if (this.#depth === 0 && DELIMITER.test(char)) return this.#ended(text, from, at)
      else if (char === '"') this.#inString = true
      else if (char === '{' || char === '[') this.#depth += 1
      else if (char === '}' || char === ']') {
        this.#depth -= 1
        if (this.#depth === 0) return this.#ended(text, from, at + 1)
      }
    }
    this.#begun.push(text.slice(from))
    return at
  }

  #ended(text: string, from: number, to: number): number {
    this.#begun.push(text.slice(from, to))
    this.#finish()
    return to
  }

  #finish(): void {
    const text = this.#begun.join('')
    this.#begun = []
    this.#isBegun = false
    const value: unknown = JSON.parse(text)
    const top = this.#stack.at(-1)
    if (this.#expecting.startsWith('key') && top !== undefined) {
      top.key = String(value)
      this.#expecting = 'colon'
      return
    }
    this.#expecting = top === undefined ? 'nothing' : 'comma or end'
    this.#reading.onValue(this.#path(), value)
  }

  #close(): void {
    const closed = this.#stack.pop()
    this.#expecting = this.#stack.length === 0 ? 'nothing' : 'comma or end'
    if (closed !== undefined) this.#reading.onEnd(this.#path(), closed.kind)
  }
}
