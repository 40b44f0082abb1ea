/**
 * One statement, taken apart. A query needs no grammar here, only its extent, so the parser (and the time to make it) is
 * for the statements that Tajo adds.
 */
import { nearest } from '../base/nearest.ts'
import type { IToken } from './chevrotain.ts'
import { complain, shown } from './complaint.ts'
import { tokenize } from './lexer.ts'
import { type StatementParser, theParser } from './parser.ts'
import { placeAt } from './place.ts'
import { queryFrom } from './query-text.ts'
import { REFUSED_WORDS, refusalOf } from './refusals.ts'
import { SqlError, type Statement } from './statement.ts'
import * as T from './tokens.ts'

type RuleName = Extract<keyof StatementParser, `${string}Statement`>

/** Which rule reads a statement, by its first word. */
const RULES: Readonly<Record<string, RuleName>> = {
  CREATE: 'createStatement',
  DROP: 'dropStatement',
  INSERT: 'insertStatement',
  TRUNCATE: 'truncateStatement',
  OPTIMIZE: 'optimizeStatement',
  ALTER: 'alterStatement',
  EXPLAIN: 'explainStatement',
  SET: 'setStatement',
  UNSET: 'unsetStatement',
  RESET: 'unsetStatement',
  SHOW: 'showStatement',
  DESC: 'describeStatement',
  DESCRIBE: 'describeStatement',
}
const FIRST_WORDS = [...Object.keys(RULES), ...T.QUERY_WORDS.map((type) => type.name)]

const beginsQuery = (token: IToken | undefined): boolean =>
  token !== undefined &&
  (token.tokenType === T.LeftParen || T.QUERY_WORDS.includes(token.tokenType))

/** The tokens of the one statement, without the semicolons around it. */
function onlyStatement(text: string): IToken[] {
  const all = tokenize(text)
  const isEnd = (token: IToken): boolean => token.tokenType === T.Semicolon
  const start = all.findIndex((token) => !isEnd(token))
  if (start === -1) throw new SqlError('there is no statement', placeAt(text, 0))
  const length = all.slice(start).findIndex(isEnd)
  if (length === -1) return all.slice(start)
  const second = all.slice(start + length).find((token) => !isEnd(token))
  if (second !== undefined) {
    const place = placeAt(text, second.startOffset)
    throw new SqlError('a second statement begins here: send them one by one', place)
  }
  return all.slice(start, start + length)
}

function unknownStatement(first: IToken): string {
  if (first.image === '\\') return 'commands that begin with \\ are for tsql, not SQL'
  const meant = nearest(first.image, [...FIRST_WORDS, ...REFUSED_WORDS.keys()])
  const hint = meant === null ? '' : ` (did you mean ${meant}?)`
  return `expected a statement such as SELECT, CREATE TABLE or INSERT, found "${shown(first.image)}"${hint}`
}

/**
 * What `text` says: one statement, with one semicolon or none behind it.
 * @throws SqlError with the place in `text`, and nothing else.
 */
export function parseStatement(text: string): Statement {
  const tokens = onlyStatement(text)
  const [first, second] = tokens
  if (first === undefined) throw new SqlError('there is no statement', placeAt(text, 0))
  if (beginsQuery(first)) return { is: 'query', query: queryFrom(text, tokens, 0) }
  const describes = first.tokenType === T.Desc || first.tokenType === T.Describe
  if (describes && beginsQuery(second) && second?.tokenType !== T.Table) {
    return { is: 'query', query: queryFrom(text, tokens, 0) }
  }
  const refusal = refusalOf(first.image, second?.image ?? '')
  if (refusal !== null) throw new SqlError(refusal, placeAt(text, first.startOffset))
  const rule = RULES[first.image.toUpperCase()]
  if (rule === undefined) {
    throw new SqlError(unknownStatement(first), placeAt(text, first.startOffset))
  }
  const parser = theParser()
  parser.begin(text, tokens)
  const statement = parser[rule]()
  const [error] = parser.errors
  if (error !== undefined) throw complain(text, tokens, parser, rule, error)
  return statement
}
