/** A text of several statements, as a file or a terminal gives it: where each begins and ends. */
import type { IToken } from './chevrotain.ts'
import { endOf, openKind, scan, Unclosed } from './lexer.ts'
import { Lines } from './place.ts'
import type { SqlText } from './statement.ts'
import { Semicolon } from './tokens.ts'

/** A statement that has no end yet. */
interface Unfinished extends SqlText {
  /** What is still open, for the prompt; `statement`: only the semicolon is missing. */
  readonly inside:
    | 'statement'
    | 'parenthesis'
    | 'string'
    | 'quoted name'
    | 'comment'
    | 'dollar quote'
}

function insideOf(tokens: readonly IToken[]): Unfinished['inside'] {
  const last = tokens.at(-1)
  if (last?.tokenType === Unclosed) return openKind(last.image)
  let depth = 0
  for (const token of tokens) {
    if (token.image === '(') depth += 1
    if (token.image === ')') depth -= 1
  }
  return depth > 0 ? 'parenthesis' : 'statement'
}

/**
 * The statements that end with a semicolon, without it, and what is left. A semicolon in a text, a quoted name, a comment
 * or a dollar quote ends nothing; in parentheses it does, so that a parenthesis forgotten in one statement is an error of
 * that one. What follows the last semicolon is null when it is blank or comments. Never throws.
 */
export function splitStatements(text: string): {
  readonly statements: readonly SqlText[]
  readonly rest: Unfinished | null
} {
  const lines = new Lines(text)
  const statements: SqlText[] = []
  let current: IToken[] = []
  const piece = (): SqlText | null => {
    const first = current[0]
    const last = current.at(-1)
    if (first === undefined || last === undefined) return null
    return {
      text: text.slice(first.startOffset, endOf(last)),
      place: lines.placeAt(first.startOffset),
    }
  }
  for (const token of scan(text)) {
    if (token.tokenType !== Semicolon) {
      current.push(token)
      continue
    }
    const statement = piece()
    if (statement !== null) statements.push(statement)
    current = []
  }
  const rest = piece()
  return { statements, rest: rest && { ...rest, inside: insideOf(current) } }
}
