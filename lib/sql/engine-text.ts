/**
 * A query as DuckDB can read it. Tajo's first database is called `default`, and `SELECT … FROM default.t` is how its
 * users write it; DuckDB reserves that word. Where it stands before a dot it is put in double quotes, and places in the
 * changed text can be told in the user's.
 */
import { endOf, scan, tokenize } from './lexer.ts'
import { placeAt, placeWithin } from './place.ts'
import type { Place, SqlText } from './statement.ts'
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

/** Offset in a query's text of the first `?`, `$1` or `$name`; null without one. */
export function firstParameter(text: string): number | null {
  const found = scan(text).find(
    ({ tokenType, image }) => tokenType === T.Parameter || image === '?',
  )
  return found?.startOffset ?? null
}
