/**
 * The lexer makes tokens of a text. It must get through everything that DuckDB understands, since where a query begins
 * and where a statement ends is found by tokens; so nothing is unknown to it: a character that begins nothing longer is
 * a symbol, and what is never closed is one token to the end of the text, which `tokenize` refuses and `split.ts` waits
 * for.
 *
 * Where the tokens end that no simple pattern describes: quoted ones, comments that nest, dollar quotes. Each function
 * takes the place where one begins and gives the place behind it, or -1 when it is never closed. One walk, no way back:
 * a long text that is never closed costs no more than a long text.
 */
import { type CustomPatternMatcherFunc, createToken, type IToken, Lexer } from './chevrotain.ts'
import { placeAt } from './place.ts'
import { SqlError } from './statement.ts'
import {
  AnyToken,
  DollarText,
  EscapedText,
  NumberToken,
  Parameter,
  PlainText,
  QuotedName,
  symbolType,
  wordType,
} from './tokens.ts'

/** A quote inside is written twice. */
function endOfQuoted(text: string, offset: number): number {
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
function endOfEscaped(text: string, offset: number): number {
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
function endOfComment(text: string, offset: number): number {
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
function dollarTag(text: string, offset: number): string | null {
  DOLLAR_TAG.lastIndex = offset
  return DOLLAR_TAG.exec(text)?.[0] ?? null
}

function endOfDollarText(text: string, offset: number, tag: string): number {
  const found = text.indexOf(tag, offset + tag.length)
  return found === -1 ? -1 : found + tag.length
}

/** DuckDB takes these for blanks outside of quotes; all other characters beyond ASCII may be in names. */
const BLANKS = '\\u00a0\\u2000-\\u200d\\u202f\\u205f\\u2060\\u3000\\ufeff'
const LETTERS =
  'A-Za-z_\\u0080-\\u009f\\u00a1-\\u1fff\\u200e-\\u202e\\u2030-\\u205e\\u2061-\\u2fff\\u3001-\\ufefe\\uff00-\\uffff'

const ANY = '\\u0000-\\uffff'

/** A pattern that ends where `end` says; -1 is no match. */
const upTo =
  (end: (text: string, offset: number) => number): CustomPatternMatcherFunc =>
  (text, offset) => {
    const to = end(text, offset)
    return to === -1 ? null : [text.slice(offset, to)]
  }

const startsEscaped = (text: string, offset: number): boolean =>
  text.charAt(offset + 1) === "'" && (text.charAt(offset) === 'e' || text.charAt(offset) === 'E')
const startsComment = (text: string, offset: number): boolean => text.startsWith('/*', offset)

const rule = (
  name: string,
  hint: readonly string[],
  end: (text: string, offset: number) => number,
) => createToken({ name, pattern: upTo(end), start_chars_hint: [...hint], line_breaks: true })

const blank = createToken({
  name: 'Blank',
  pattern: new RegExp(`[\\s${BLANKS}]+`),
  group: Lexer.SKIPPED,
})
const lineComment = createToken({
  name: 'LineComment',
  pattern: /--[^\n\r]*/,
  group: Lexer.SKIPPED,
})
const blockComment = createToken({
  name: 'BlockComment',
  pattern: upTo((text, offset) => (startsComment(text, offset) ? endOfComment(text, offset) : -1)),
  start_chars_hint: ['/'],
  line_breaks: true,
  group: Lexer.SKIPPED,
})
const escaped = rule('Escaped', ['e', 'E'], (text, offset) =>
  startsEscaped(text, offset) ? endOfEscaped(text, offset) : -1,
)
const quoted = rule('Quoted', ['"', "'"], (text, offset) => {
  const char = text.charAt(offset)
  return char === '"' || char === "'" ? endOfQuoted(text, offset) : -1
})
const dollar = rule('Dollar', ['$'], (text, offset) => {
  const tag = dollarTag(text, offset)
  return tag === null ? -1 : endOfDollarText(text, offset, tag)
})
/** Comes after the closed ones: whatever begins like them here has no end. */
export const Unclosed = rule('Unclosed', ['"', "'", '$', '/', 'e', 'E'], (text, offset) => {
  const char = text.charAt(offset)
  const open =
    char === '"' ||
    char === "'" ||
    startsEscaped(text, offset) ||
    startsComment(text, offset) ||
    dollarTag(text, offset) !== null
  return open ? text.length : -1
})
const word = createToken({ name: 'Word', pattern: new RegExp(`[${LETTERS}][\\w$${LETTERS}]*`) })
const number = createToken({
  name: 'Number',
  pattern: /0[xX][\da-fA-F_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?/,
})
const parameter = createToken({
  name: 'Dollar parameter',
  pattern: new RegExp(`\\$[\\w${LETTERS}]+`),
})
/** As a range, not as `.` or a negation: only so the lexer can choose its patterns by the first character. */
const single = createToken({
  name: 'Single',
  pattern: new RegExp(`[${ANY}]`),
  line_breaks: true,
})

let lexer: InstanceType<typeof Lexer> | null = null

/** Made once, when the first text comes. */
function theLexer(): InstanceType<typeof Lexer> {
  lexer ??= new Lexer(
    [
      blank,
      lineComment,
      blockComment,
      escaped,
      quoted,
      dollar,
      Unclosed,
      word,
      number,
      parameter,
      single,
      AnyToken,
    ],
    { positionTracking: 'onlyOffset' },
  )
  return lexer
}

/** Which kind of the grammar's a token is. */
function grammarType(token: IToken) {
  switch (token.tokenType) {
    case word:
      return wordType(token.image)
    case quoted:
      return token.image.startsWith('"') ? QuotedName : PlainText
    case escaped:
      return EscapedText
    case dollar:
      return DollarText
    case number:
      return NumberToken
    case parameter:
      return Parameter
    case single:
      return symbolType(token.image)
    default:
      return token.tokenType
  }
}

/** All tokens, comments and blanks left out; an `Unclosed` one can only be the last. Never throws. */
export function scan(text: string): IToken[] {
  const { tokens } = theLexer().tokenize(text)
  for (const token of tokens) {
    const type = grammarType(token)
    token.tokenType = type
    if (type.tokenTypeIdx !== undefined) token.tokenTypeIdx = type.tokenTypeIdx
  }
  return tokens
}

/** Offset behind a token. */
export const endOf = (token: IToken): number => token.startOffset + token.image.length

/** What an unclosed token began as, by its text. */
export function openKind(image: string): 'string' | 'quoted name' | 'comment' | 'dollar quote' {
  if (image.startsWith('/*')) return 'comment'
  if (image.startsWith('$')) return 'dollar quote'
  return image.startsWith('"') ? 'quoted name' : 'string'
}

function unclosedMessage(image: string): string {
  switch (openKind(image)) {
    case 'comment':
      return 'this comment is not closed: */ is missing'
    case 'dollar quote':
      return `this text is not closed: ${dollarTag(image, 0) ?? '$'} is missing at its end`
    case 'quoted name':
      return 'this quoted name is not closed: a " is missing'
    default:
      return "this text is not closed: a ' is missing (a ' inside it is written twice)"
  }
}

/** Offset of a character that no statement may have, or -1: NUL, and halves of a surrogate pair (they have no UTF-8). */
function badCharacter(text: string): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0) return i
    if (code < 0xd800 || code > 0xdfff) continue
    const next = text.charCodeAt(i + 1)
    if (code > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return i
    i += 1
  }
  return -1
}

/** It does what `scan` does. @throws SqlError where a character is not allowed or something is not closed. */
export function tokenize(text: string): IToken[] {
  const bad = badCharacter(text)
  if (bad !== -1) {
    const what =
      text.charCodeAt(bad) === 0 ? 'a NUL character' : 'half of a character (a surrogate)'
    throw new SqlError(`${what} can't be in a statement`, placeAt(text, bad))
  }
  const tokens = scan(text)
  const last = tokens.at(-1)
  if (last?.tokenType === Unclosed) {
    throw new SqlError(unclosedMessage(last.image), placeAt(text, last.startOffset))
  }
  return tokens
}
