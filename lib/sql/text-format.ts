/**
 * How the lines of a TEXT table are read and written, from the table's options.
 *
 * As in Tajo: fields are separated by `text.delimiter` (`|`), `text.null` (nothing) stands for NULL, and
 * `text.skip.headerlines` lines are passed over. Other than in Tajo a field may be quoted, since what is written must
 * be read back as it was: a value that holds the delimiter, a line break or the text for NULL is put into quotes, and
 * an empty text is `""`. `text.quote` of nothing turns that off.
 */
import { SqlError } from './statement.ts'

export interface TextFormat {
  readonly delimiter: string
  readonly nullText: string
  /** Empty: no quotes. */
  readonly quote: string
  readonly escape: string
  readonly headerLines: number
  /** Lines that don't fit are passed over. */
  readonly tolerant: boolean
}

type Options = Readonly<Record<string, string>>

/** Throws SqlError for an option that makes no sense. */
export function textFormat(options: Options): TextFormat {
  const delimiter = unescaped(options['text.delimiter'] ?? options['csvfile.delimiter'] ?? '|')
  const quote = options['text.quote'] ?? '"'
  const escapeChar = options['text.escape'] ?? quote
  const size = Buffer.byteLength(delimiter)
  if (size < 1 || size > 4 || /[\r\n\0]/.test(delimiter) || delimiter === quote) {
    throw fault('text.delimiter', delimiter, 'one to four bytes, no line break, not the quote')
  }
  if (Buffer.byteLength(quote) > 1) throw fault('text.quote', quote, 'one character, or nothing')
  if (Buffer.byteLength(escapeChar) > 1)
    throw fault('text.escape', escapeChar, 'one character, or nothing')
  return {
    delimiter,
    quote,
    escape: quote === '' ? '' : escapeChar,
    nullText: unescapedNull(options['text.null'] ?? options['csvfile.null'] ?? ''),
    headerLines: wholeNumber('text.skip.headerlines', options, 0, 1_000_000),
    tolerant: wholeNumber('text.error-tolerance.max-num', options, -1, 0) === -1,
  }
}

function wholeNumber(key: string, options: Options, least: number, most: number): number {
  const text = options[key]
  if (text === undefined) return 0
  const value = /^-?\d{1,9}$/.test(text.trim()) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw fault(key, text, `a whole number from ${least} to ${most}`)
}

const fault = (key: string, value: string, allowed: string): SqlError =>
  new SqlError(`the table's option '${key}' is '${value}': allowed is ${allowed}`, null)

const NAMED: Readonly<Record<string, string>> = { t: '\t', '\\': '\\' }

/** `\t`, `\\`, `\u0001` and `\001`, as Tajo's manual writes control characters; everything else is itself. */
function unescaped(text: string): string {
  const code = /^\\u([0-9A-Fa-f]{4})$/.exec(text)?.[1]
  if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16))
  const octal = /^\\([0-7]{3})$/.exec(text)?.[1]
  if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8))
  return text.length === 2 && text[0] === '\\' ? (NAMED[text[1] ?? ''] ?? text) : text
}

/** Hive's `\N` is written `\\N` in Tajo's manual; both mean the two characters. */
const unescapedNull = (text: string): string => (text === '\\\\N' ? '\\N' : text)
