/**
 * What is not written to TEXT and JSON, because it would not be read back as it was, or the whole table could not be
 * read any more: SQL around the values, which ends the statement by an error. Pure.
 */
import type { TextFormat } from '../sql/index.ts'
import { sqlText } from './sql-text.ts'

/**
 * Of a file of text DuckDB holds sixteen lines of the longest size in memory, however small it is, so this is no number
 * to be generous with.
 */
export const LONGEST_LINE_BYTES = 1_999_999
export const LONGEST_OBJECT_BYTES = 16 * 1024 * 1024

/** Makes a column's value. `alone`: nothing else is in the line. */
export function checkedValue(sql: string, format: TextFormat, alone: boolean): string {
  const { quote, delimiter, nullText } = format
  if (quote !== '') return sql
  const text = `CAST(${sql} AS VARCHAR)`
  const bad = [sqlText(delimiter), 'chr(10)', 'chr(13)'].map((one) => `contains(${text}, ${one})`)
  const checks = [
    when(
      `${bad.join(' OR ')} OR ${text} = ${sqlText(nullText)}`,
      "a value holds the delimiter or a line break, or is the text for NULL, and the table's option 'text.quote' is empty",
    ),
    ...(alone ? [when(`${text} = ''`, EMPTY_LINE)] : []),
  ]
  return `CASE ${checks.join(' ')} ELSE ${sql} END`
}

const EMPTY_LINE =
  "a value is an empty text: in a table of one column that is an empty line, which would be passed over, and the table's option 'text.quote' is empty"

interface LineValue {
  readonly sql: string
  /** DuckDB's. */
  readonly type: string
  /** In every row. */
  readonly isNull: boolean
}

/** The first of a line's values, `first`, as long as the line of all of them can be read back. */
export function checkedLine(
  first: string,
  values: readonly LineValue[],
  format: TextFormat,
): string {
  const texts = values
    .filter(({ type, isNull }) => UNBOUNDED.test(type) && !isNull)
    .map(({ sql }) => `coalesce(CAST(${sql} AS VARCHAR), '')`)
  if (texts.length === 0) return first
  const most = LONGEST_LINE_BYTES - values.length * OTHER_BYTES
  const bytes = sumOf(texts.map((text) => `strlen(${text})`))
  const doubled = [...new Set([format.quote, format.escape])].filter((one) => one !== '')
  if (doubled.length === 0) return `CASE ${when(`${bytes} > ${most}`, LONG_LINE)} ELSE ${first} END`
  // Each quote is written twice; counting them is left to where it matters.
  const plain = texts.map(
    (text) =>
      `strlen(${doubled.reduce((sql, one) => `replace(${sql}, ${sqlText(one)}, '')`, text)})`,
  )
  const long = `${bytes} > ${Math.floor(most / 2)} AND 2 * (${bytes}) - (${sumOf(plain)}) > ${most}`
  return `CASE ${when(long, LONG_LINE)} ELSE ${first} END`
}

/**
 * Halves of halves: added one after the other, hundreds of terms are as many levels, and the engine goes through all that
 * are below for each of them. The statement for a single row of 300 columns took it 15 s.
 */
function sumOf(terms: readonly string[]): string {
  if (terms.length < 3) return terms.join(' + ')
  const half = Math.ceil(terms.length / 2)
  return `(${sumOf(terms.slice(0, half))}) + (${sumOf(terms.slice(half))})`
}

/** Of these a value may have any length. */
const UNBOUNDED = /VARCHAR|BLOB|STRUCT|MAP|\[/
/** Delimiter and quotes, or a whole value of another type. */
const OTHER_BYTES = 100

const LONG_LINE = `a row has more than ${LONGEST_LINE_BYTES} bytes as a line of text, and could not be read back: use PARQUET for such rows`

/** A line of JSON, from what gives it as text. */
export const checkedObject = (line: string): string =>
  `CASE ${when(`strlen(${line}) > ${LONGEST_OBJECT_BYTES}`, LONG_OBJECT)} ELSE ${line} END`

const LONG_OBJECT = `a row has more than ${LONGEST_OBJECT_BYTES} bytes as JSON, and could not be read back: use PARQUET for such rows`

const when = (condition: string, message: string): string =>
  `WHEN ${condition} THEN error(${sqlText(message)})`
