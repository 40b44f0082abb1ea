/**
 * A password that stands in a statement is told to nobody: neither in an error, nor where statements are kept and shown. So
 * what is kept of such a statement ends where the password may begin, also of one that is misspelled and does nothing.
 */
import { type IToken, type TokenType, tokenMatcher } from './chevrotain.ts'
import { endOf, scan } from './lexer.ts'
import * as T from './tokens.ts'

const BEFORE_NAME = [T.If, T.Not, T.Exists]
const OF_TABLES = [T.Table, T.External, T.Database]
const READS = [...T.QUERY_WORDS, ...[T.Explain, T.Insert, T.Desc, T.Describe, T.Show, T.LeftParen]]
const isOne = (token: IToken | undefined, of: readonly TokenType[]): boolean =>
  token !== undefined && of.includes(token.tokenType)

/** Whether this token of one statement's may be a password: anything behind the user's name, or behind PASSWORD. */
export function isSecretAt(tokens: readonly IToken[], at: number): boolean {
  const start = secretFrom(tokens)
  return start !== null && at >= start
}

/** The statement as it may be kept and shown: the same text, unless it may have a password in it. */
export function withoutPasswords(sql: string): string {
  if (!/user|password|identified/i.test(sql)) return sql
  const tokens = scan(sql)
  for (let from = 0; from < tokens.length; ) {
    const length = tokens.slice(from).findIndex((one) => isOne(one, [T.Semicolon]))
    const to = length === -1 ? tokens.length : from + length
    const statement = tokens.slice(from, to)
    const secret = secretFrom(statement)
    const last = statement[(secret ?? 0) - 1]
    // What follows it may be a part of a password that is not closed.
    if (secret !== null && secret < statement.length && last !== undefined) {
      return `${sql.slice(0, endOf(last))} '…'`
    }
    from = to + 1
  }
  return sql
}

/** The number of the first token that may be one; null where the statement has none. */
function secretFrom(tokens: readonly IToken[]): number | null {
  const [first, second] = tokens
  if (isOne(first, READS) || isOne(second, OF_TABLES)) return null
  if (isOne(first, [T.Create, T.Alter]) && isOne(second, [T.User])) {
    let at = 2
    while (isOne(tokens[at], BEFORE_NAME)) at += 1
    const name = tokens[at]
    if (name === undefined || !tokenMatcher(name, T.Name)) return at
    return isOne(tokens[at + 1], [T.Password]) ? at + 2 : at + 1
  }
  const word = tokens.findIndex(({ image }) => /^(password|identified)$/i.test(image))
  return word === -1 ? null : word + 1
}
