/**
 * The query in a statement: everything from its first word on, as text, for DuckDB to read. All that is looked at here is
 * what DuckDB would complain of without a place, or not at all: parentheses, and statements that only begin as a query.
 */
import type { IToken } from './chevrotain.ts'
import { endOf } from './lexer.ts'
import { Lines } from './place.ts'
import { SqlError, type SqlText } from './statement.ts'
import * as T from './tokens.ts'

const CLOSING = new Map([
  ['(', ')'],
  ['[', ']'],
  ['{', '}'],
])
const CLOSERS = new Set(CLOSING.values())
const CHANGING = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

interface Fault {
  readonly message: string
  readonly at: number
}

/** The first bracket that is closed by another one, or by none. */
function faultOfBrackets(tokens: readonly IToken[], from: number): Fault | null {
  const open: IToken[] = []
  for (let i = from; i < tokens.length; i++) {
    const token = tokens[i]
    if (token === undefined || token.image.length > 1) continue
    if (CLOSING.has(token.image)) open.push(token)
    if (!CLOSERS.has(token.image)) continue
    const opener = open.pop()
    if (opener === undefined) {
      return { message: `this "${token.image}" closes nothing`, at: token.startOffset }
    }
    const closer = CLOSING.get(opener.image)
    if (closer !== token.image) {
      const message = `expected "${closer}" for the "${opener.image}" before, found "${token.image}"`
      return { message, at: token.startOffset }
    }
  }
  const left = open.pop()
  if (left === undefined) return null
  return { message: `this "${left.image}" is never closed`, at: left.startOffset }
}

/** `WITH x AS (…) INSERT …`: the word that should have come first. */
function changeAfterWith(tokens: readonly IToken[], from: number): IToken | null {
  if (tokens[from]?.tokenType !== T.With) return null
  let depth = 0
  for (let i = from + 1; i < tokens.length; i++) {
    const token = tokens[i]
    if (token === undefined) break
    if (token.image === '(') depth += 1
    if (token.image === ')') depth -= 1
    if (depth > 0 || tokens[i - 1]?.image !== ')' || token.image === ')') continue
    if (CHANGING.has(token.image.toUpperCase())) return token
    if (T.QUERY_WORDS.includes(token.tokenType) || token.image === '(') return null
  }
  return null
}

function faultOf(tokens: readonly IToken[], from: number): Fault | null {
  let first = from
  while (tokens[first]?.image === '(') first += 1
  const opening = tokens[first]
  const isQuery = opening !== undefined && T.QUERY_WORDS.includes(opening.tokenType)
  const describes = opening?.tokenType === T.Desc || opening?.tokenType === T.Describe
  if (first > from && opening !== undefined && !isQuery && !describes) {
    const message = `expected a query (SELECT, WITH, FROM, VALUES or TABLE), found "${opening.image.slice(0, 40)}"`
    return { message, at: opening.startOffset }
  }
  const change = changeAfterWith(tokens, from)
  if (change !== null) {
    const word = change.image.toUpperCase()
    const instead =
      word === 'INSERT'
        ? 'write INSERT INTO table WITH … SELECT …'
        : 'rows can not be changed, only whole tables or partitions: INSERT OVERWRITE INTO table SELECT …'
    return { message: `${word} after WITH is not supported: ${instead}`, at: change.startOffset }
  }
  return faultOfBrackets(tokens, from)
}

/** The query that begins with token `from` and ends with the last one. @throws SqlError */
export function queryFrom(sql: string, tokens: readonly IToken[], from: number): SqlText {
  const lines = new Lines(sql)
  const fault = faultOf(tokens, from)
  if (fault !== null) throw new SqlError(fault.message, lines.placeAt(fault.at))
  const start = tokens[from]?.startOffset ?? sql.length
  const last = tokens.at(-1)
  const end = last === undefined ? sql.length : endOf(last)
  return { text: sql.slice(start, end), place: lines.placeAt(start) }
}
