/**
 * A syntax error in words: what could have stood there, what stood there, and what was probably meant. What could have
 * stood there is asked of the grammar itself, so that no message can differ from it.
 */
import { nearest } from '../base/nearest.ts'
import {
  type IRecognitionException,
  type IToken,
  type TokenType,
  tokenMatcher,
} from './chevrotain.ts'
import { endOf } from './lexer.ts'
import type { StatementParser } from './parser.ts'
import { placeAt } from './place.ts'
import { isSecretAt } from './secrets.ts'
import { SqlError } from './statement.ts'
import * as T from './tokens.ts'

/** The grammar is asked only behind so many tokens: its answer takes time that grows with them. */
const FURTHEST = 300
const LONGEST_LIST = 8

const LABELS: Readonly<Record<string, string>> = {
  databaseName: 'the name of a database',
  tableName: 'the name of a table',
  columnName: 'the name of a column',
  userName: 'the name of a user',
  variableName: 'the name of a variable',
  formatName: 'TEXT, CSV, JSON or PARQUET',
  constant: 'a value',
  optionKey: "a key in single quotes, such as 'text.delimiter'",
  query: 'a query (SELECT, WITH, FROM, VALUES or TABLE)',
}
const TYPE_RULES = new Set(['type', 'arrayType', 'mapType', 'recordType', 'scalarType'])
const CLOSE_TYPES = [T.Greater, T.RightParen, T.Comma]
const CONSTRAINTS = new Set([
  'NOT',
  'NULL',
  'DEFAULT',
  'PRIMARY',
  'UNIQUE',
  'CHECK',
  'REFERENCES',
  'FOREIGN',
  'CONSTRAINT',
  'COLLATE',
])

interface Possible {
  readonly type: TokenType
  /** The innermost rule with a label that asks for it, else the innermost. */
  readonly rule: string
  readonly inType: boolean
}

function possibleAfter(
  parser: StatementParser,
  rule: string,
  before: readonly IToken[],
): readonly Possible[] {
  if (before.length > FURTHEST) return []
  // Inside a query anything is possible: that tells nobody what is wrong.
  const paths = parser
    .computeContentAssist(rule, [...before])
    .filter((path) => path.nextTokenType !== T.AnyToken)
  return paths.map((path) => ({
    type: path.nextTokenType,
    rule: path.ruleStack.findLast((name) => name in LABELS) ?? path.ruleStack.at(-1) ?? '',
    inType: path.ruleStack.some((name) => TYPE_RULES.has(name)),
  }))
}

const labelOf = (one: Possible): string => {
  const label = LABELS[one.rule]
  if (label !== undefined && one.type !== T.Dot) return label
  return one.type.LABEL ?? one.type.name
}

/** Where the text left the grammar: a choice is refused at its first token, though a later one may be to blame. */
function firstUnfit(
  parser: StatementParser,
  rule: string,
  tokens: readonly IToken[],
  from: number,
): { at: number; possible: readonly Possible[] } {
  for (let at = from; ; at++) {
    const possible = possibleAfter(parser, rule, tokens.slice(0, at))
    const token = tokens[at]
    if (token === undefined || possible.length === 0) return { at, possible }
    if (!possible.some((one) => tokenMatcher(token, one.type))) return { at, possible }
  }
}

/** Without what could only make a type or a name longer, where anything else is possible too. */
function labelsOf(possible: readonly Possible[]): string[] {
  const begins =
    possible.every((one) => one.inType) && possible.some((one) => one.type === T.ArrayWord)
  if (begins) return ['a type']
  const ends = possible.filter(
    (one) => (!one.inType && one.type !== T.Dot) || CLOSE_TYPES.includes(one.type),
  )
  const told = (ends.length > 0 ? ends : possible).filter((one) => one.type !== T.ReservedWord)
  return [...new Set(told.map(labelOf))]
}

function listOf(labels: readonly string[]): string {
  const shown = labels
    .slice(0, LONGEST_LIST)
    .map((label) => (label.length === 1 ? `"${label}"` : label))
  if (labels.length > LONGEST_LIST) return `${shown.join(', ')} or another word`
  const last = shown.at(-1) ?? ''
  return shown.length < 2 ? last : `${shown.slice(0, -1).join(', ')} or ${last}`
}

/** A token as a message shows it: one line, not too long. */
export function shown(image: string): string {
  const short = image.length > 40 ? `${image.slice(0, 37)}…` : image
  let line = ''
  for (const char of short) line += char < ' ' ? ' ' : char
  return line
}

function hintFor(token: IToken, labels: readonly string[], possible: readonly Possible[]): string {
  const word = token.image.toUpperCase()
  const inColumns = possible.some((one) => ['columns', 'column'].includes(one.rule) || one.inType)
  if (CONSTRAINTS.has(word) && inColumns) {
    return ': constraints such as NOT NULL, DEFAULT or PRIMARY KEY are not supported, leave them out'
  }
  const wantsName = possible.some((one) => one.type === T.Name)
  if (wantsName && !tokenMatcher(token, T.Name) && /^\w+$/.test(token.image) && !/^\d/.test(word)) {
    return `: ${word} is a reserved word, as a name it needs double quotes`
  }
  if (wantsName && token.tokenType === T.PlainText)
    return ': names are written without quotes, or in double quotes'
  if (wantsName && token.image === '`') return ': names are quoted with " and not with `'
  const meant = nearest(
    token.image,
    labels.filter((label) => label.length > 1 && label === label.toUpperCase()),
  )
  return meant === null ? '' : ` (did you mean ${meant}?)`
}

/** Makes the error for the user. `rule`: the one that was to match all of `tokens`. */
export function complain(
  text: string,
  tokens: readonly IToken[],
  parser: StatementParser,
  rule: string,
  error: IRecognitionException,
): SqlError {
  const found = tokens.indexOf(error.token)
  const { at, possible } = firstUnfit(parser, rule, tokens, found === -1 ? tokens.length : found)
  const token = tokens[at]
  const labels = labelsOf(possible)
  const last = tokens.at(-1)
  if (token === undefined) {
    const message =
      labels.length === 0
        ? 'the statement is not complete: the text ends here'
        : `expected ${listOf(labels)}, but the text ends here`
    return new SqlError(message, placeAt(text, last === undefined ? text.length : endOf(last)))
  }
  const place = placeAt(text, token.startOffset)
  const isSecret = isSecretAt(tokens, at)
  const what = isSecret ? 'something else' : `"${shown(token.image)}"`
  if (labels.length === 0) return new SqlError(`${what} does not belong here`, place)
  const hint = isSecret ? '' : hintFor(token, labels, possible)
  return new SqlError(`expected ${listOf(labels)}, found ${what}${hint}`, place)
}
