/**
 * Takes the query out of a statement: everything from its first word on, as text, for DuckDB to read. All that is looked
 * at here is what DuckDB would complain of without a place, or not at all: parentheses, and statements that only begin
 * as a query.
 *
 * A query as DuckDB can read it. Tajo's first database is called `default`, and `SELECT … FROM default.t` is how its
 * users write it; DuckDB reserves that word. Where it stands before a dot it is put in double quotes, and places in the
 * changed text can be told in the user's.
 */
import type { IToken } from './chevrotain.ts'
import { endOf, scan, tokenize } from './lexer.ts'
import { Lines, placeAt, placeWithin } from './place.ts'
import { type Place, SqlError, type SqlText } from './statement.ts'
import * as T from './tokens.ts'

export interface EngineText {
  readonly text: string
  /** Place, in the statement as the user wrote it, of an offset (UTF-16 units, from 0) in `text`. */
  placeOf(offset: number): Place
}

/** @throws SqlError when the query has something that is never closed. */
export function engineText(query: SqlText): EngineText {
  const tokens = tokenize(query.text)
  /** Offsets in the user's text of the words that were quoted. */
  const quoted: { start: number; end: number }[] = []
  tokens.forEach((token, i) => {
    if (token.tokenType !== T.Default || tokens[i + 1]?.tokenType !== T.Dot) return
    quoted.push({ start: token.startOffset, end: endOf(token) })
  })
  let text = ''
  let done = 0
  for (const { start, end } of quoted) {
    text += `${query.text.slice(done, start)}"default"`
    done = end
  }
  text += query.text.slice(done)
  return {
    text,
    placeOf(offset) {
      let added = 0
      for (const { start, end } of quoted) {
        if (offset > start + added) added += 1
        if (offset > end + added) added += 1
      }
      return placeWithin(query.place, placeAt(query.text, Math.max(0, offset - added)))
    },
  }
}

/** Tells the offset in a query's text of the first `?`, `$1` or `$name`; null without one. */
export function firstParameter(text: string): number | null {
  const found = scan(text).find(
    ({ tokenType, image }) => tokenType === T.Parameter || image === '?',
  )
  return found?.startOffset ?? null
}

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

/** Finds the first bracket that is closed by another one, or by none. */
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
