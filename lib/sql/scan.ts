/**
 * Where the tokens end that no simple pattern describes: quoted ones, comments that nest, dollar quotes. Each function
 * takes the place where one begins and gives the place behind it, or -1 when it is never closed. One walk, no way back:
 * a long text that is never closed costs no more than a long text.
 */

/** A quote inside is written twice. */
export function endOfQuoted(text: string, offset: number): number {
  const quote = text.charAt(offset)
  let at = offset + 1
  for (;;) {
    const found = text.indexOf(quote, at)
    if (found === -1) return -1
    if (text.charAt(found + 1) !== quote) return found + 1
    at = found + 2
  }
}

/** `E'…'`: a backslash takes the next character along. */
export function endOfEscaped(text: string, offset: number): number {
  let at = offset + 2
  while (at < text.length) {
    const char = text.charAt(at)
    if (char === '\\') at += 2
    else if (char !== "'") at += 1
    else if (text.charAt(at + 1) === "'") at += 2
    else return at + 1
  }
  return -1
}

/** Comments nest, as in PostgreSQL. */
export function endOfComment(text: string, offset: number): number {
  let depth = 1
  let at = offset + 2
  while (at < text.length) {
    const two = text.charAt(at) + text.charAt(at + 1)
    if (two === '/*') {
      depth += 1
      at += 2
    } else if (two === '*/') {
      depth -= 1
      at += 2
      if (depth === 0) return at
    } else {
      at += 1
    }
  }
  return -1
}

const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y

/** The `$tag$` that opens a dollar quote here, or null. */
export function dollarTag(text: string, offset: number): string | null {
  DOLLAR_TAG.lastIndex = offset
  return DOLLAR_TAG.exec(text)?.[0] ?? null
}

export function endOfDollarText(text: string, offset: number, tag: string): number {
  const found = text.indexOf(tag, offset + tag.length)
  return found === -1 ? -1 : found + tag.length
}
