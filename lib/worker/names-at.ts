/** A qualified name as it is written in a statement: `db."T"`. Pure; DuckDB has parsed the statement before. */

export interface WrittenName {
  readonly name: string
  readonly quoted: boolean
}

/** Ends a name that isn't quoted. */
const ENDS = new Set(' \t\r\n\f\v.,;()[]{}"\'+-*/<>=~!@#%^&|`?:')

/** The parts of the name that begins `position` bytes into the text; empty where none does. */
export function namesAt(text: string, position: number): WrittenName[] {
  const rest = Buffer.from(text, 'utf8').toString('utf8', position)
  const names: WrittenName[] = []
  let at = 0
  for (;;) {
    const part = rest[at] === '"' ? quoted(rest, at) : plain(rest, at)
    if (part === null) return names
    names.push(part.written)
    at = afterBlanks(rest, part.end)
    if (rest[at] !== '.') return names
    at = afterBlanks(rest, at + 1)
  }
}

function quoted(text: string, start: number): { written: WrittenName; end: number } | null {
  let name = ''
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] !== '"') name += text[at]
    else if (text[at + 1] === '"') {
      name += '"'
      at += 1
    } else return { written: { name, quoted: true }, end: at + 1 }
  }
  return null
}

function plain(text: string, start: number): { written: WrittenName; end: number } | null {
  let end = start
  while (end < text.length && !ENDS.has(text[end] ?? '')) end += 1
  return end === start ? null : { written: { name: text.slice(start, end), quoted: false }, end }
}

function afterBlanks(text: string, start: number): number {
  let at = start
  while (at < text.length && ' \t\r\n\f\v'.includes(text[at] ?? '')) at += 1
  return at
}
