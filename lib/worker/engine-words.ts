/**
 * What DuckDB says, as Tajo's users say it: types by Tajo's names, and without advice on settings that nobody here can
 * change. Pure.
 */
import { fromDuckDb } from '../sql/index.ts'

export function inUsersWords(message: string): string {
  if (TOO_DEEP.some((one) => message.startsWith(one))) {
    return 'the statement is nested too deeply, or chains too many operators, tables or WITH queries: at most about 1000; put long lists of values into a table'
  }
  return withTajoTypes(withoutAdvice(message))
}

const TOO_DEEP = ['Max expression depth limit', 'memory exhausted at or near']

const USELESS = ['. Try auto-detecting', '. Use "SET ']

/** Names that only our own statements have. */
const OWN_COLUMN = / when casting from source column [cp]\d+$/

const withoutAdvice = (message: string): string =>
  USELESS.reduce((text, advice) => text.split(advice)[0] ?? text, message).replace(OWN_COLUMN, '')

/** Widths in bits, which Tajo's users would read as widths in bytes. */
const BIT_TYPES: Readonly<Record<string, string>> = {
  INT8: 'INT1',
  INT16: 'INT2',
  INT32: 'INT4',
  INT64: 'INT8',
}

const withTajoTypes = (message: string): string =>
  message
    .replace(/\b(to|type|Type) (INT(?:8|16|32|64))\b/g, (_, word, type) => {
      return `${word} ${BIT_TYPES[type]}`
    })
    .replace(/\bto '([A-Z][A-Z ]*(?:\(\d+,\d+\))?)'/g, (_, type) => `to ${fromDuckDb(type)}`)
