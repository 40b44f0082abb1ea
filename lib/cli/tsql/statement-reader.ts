/**
 * Cuts what is typed, or stands in a script, into statements and meta commands. A statement ends with a semicolon
 * outside of strings and comments; a line that begins with a backslash where no statement has begun is a meta command.
 *
 * In text so plain that no lexer is needed to see it, statements are cut without one. Loading the SQL lexer takes longer
 * than most statements run, so it is left alone until there is a quote or a comment to be understood.
 */
import type { SqlText } from '../../sql/index.ts'

/** Quotes, dollar quotes, comments: what a semicolon can hide in. */
const HIDING = /['"$]|--|\/\*/

/** As `splitStatements` of lib/sql, which is loaded when it is needed. */
export const split: Split = async (text) => {
  if (!HIDING.test(text)) return splitPlain(text)
  const { splitStatements } = await import('../../sql/index.ts')
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

/** The statements that end with a semicolon, without it, and what is left; null for blanks and comments. */
export type Split = (text: string) => Promise<{
  readonly statements: readonly SqlText[]
  readonly rest: SqlText | null
}>

export type Piece =
  /** `line`: where it begins, from 1. */
  | { readonly is: 'statement'; readonly text: string; readonly line: number }
  | { readonly is: 'meta'; readonly text: string; readonly line: number }

/** Longer text is looked at only when a line could end a statement. */
const CHEAP_LENGTH = 10_000

export class StatementReader {
  readonly #split: Split
  #begun = ''
  #beginsAtLine = 1
  #line = 0

  constructor(split: Split) {
    this.#split = split
  }

  /** Whether a statement has begun that is not complete. */
  get pending(): boolean {
    return this.#begun !== ''
  }

  /** What has been typed of that statement. */
  get begun(): string {
    return this.#begun
  }

  /** One line, without its end; answers what it completes. */
  async feed(line: string): Promise<Piece[]> {
    this.#line += 1
    if (this.#begun === '') {
      if (line.trim() === '') return []
      if (line.trimStart().startsWith('\\')) {
        return [{ is: 'meta', text: line.trim(), line: this.#line }]
      }
      this.#beginsAtLine = this.#line
    }
    this.#begun += `${line}\n`
    if (!line.includes(';') && this.#begun.length > CHEAP_LENGTH) return []
    const { statements, rest } = await this.#split(this.#begun)
    const pieces = statements.map((one) => this.#piece(one))
    if (rest === null) this.#begun = ''
    else if (pieces.length > 0) this.#keepFrom(rest)
    return pieces
  }

  /** What was begun counts as complete: the last statement of a script needs no semicolon. */
  async end(): Promise<Piece[]> {
    const { statements, rest } = await this.#split(this.#begun)
    const all = rest === null ? statements : [...statements, rest]
    const pieces = all.map((one) => this.#piece(one))
    this.drop()
    return pieces
  }

  /** Forgets what was begun, and counts lines from the first again. */
  drop(): void {
    this.#begun = ''
    this.#line = 0
  }

  #piece({ text, place }: SqlText): Piece {
    return { is: 'statement', text: text.trimEnd(), line: this.#beginsAtLine + place.line - 1 }
  }

  /** As it was typed, so that lines count as they did there. */
  #keepFrom({ place }: SqlText): void {
    const lines = this.#begun.split('\n').slice(place.line - 1)
    this.#begun = [lines[0]?.slice(place.column - 1) ?? '', ...lines.slice(1)].join('\n')
    this.#beginsAtLine += place.line - 1
  }
}
