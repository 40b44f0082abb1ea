/**
 * Where statements end, for text so plain that no lexer is needed to see it. Loading the SQL lexer takes longer than
 * most statements run, so it is left alone until there is a quote or a comment to be understood.
 */
import type { SqlText } from '../../sql/statement.ts'
import type { Split } from './statement-reader.ts'

/** Quotes, dollar quotes, comments: what a semicolon can hide in. */
const HIDING = /['"$]|--|\/\*/

/** As `splitStatements` of lib/sql, which is loaded when it is needed. */
export const split: Split = async (text) => {
  if (!HIDING.test(text)) return splitPlain(text)
  const { splitStatements } = await import('../../sql/split.ts')
  return splitStatements(text)
}

/** A text that is complete and has no semicolon but perhaps at its end is one statement, whatever it says; else null. */
export function onlyStatement(text: string): string | null {
  const statement = text.trim().replace(/;$/, '').trimEnd()
  const plain = !statement.includes(';') && !/^(\\|--|\/\*)/.test(statement)
  return statement !== '' && plain ? statement : null
}

function splitPlain(text: string): { statements: SqlText[]; rest: SqlText | null } {
  const parts = text.split(';')
  const statements: SqlText[] = []
  let line = 1
  let column = 1
  let rest: SqlText | null = null
  for (const [i, part] of parts.entries()) {
    const blank = part.length - part.trimStart().length
    const place = moved({ line, column }, part.slice(0, blank))
    const piece = part.trim() === '' ? null : { text: part.trim(), place }
    if (i === parts.length - 1) rest = piece
    else if (piece !== null) statements.push(piece)
    const end = moved({ line, column }, part)
    line = end.line
    column = end.column + 1
  }
  return { statements, rest }
}

function moved(from: SqlText['place'], text: string): SqlText['place'] {
  const lines = text.split('\n')
  const last = lines.at(-1)?.length ?? 0
  return lines.length === 1
    ? { line: from.line, column: from.column + last }
    : { line: from.line + lines.length - 1, column: last + 1 }
}
