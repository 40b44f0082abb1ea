/** Types as text: the catalog's spelling, DuckDB's, and the ways between them. */
import { complain } from './complaint.ts'
import { fromTree, IN_TAJO } from './duckdb-types.ts'
import { tokenize } from './lexer.ts'
import { theParser } from './parser.ts'
import { SqlError } from './statement.ts'
import type { TypeTree } from './tajo-types.ts'
import { duckDbType, IN_DUCKDB, tajoType } from './tajo-types.ts'

/** @throws SqlError */
export function treeOf(text: string): TypeTree {
  const parser = theParser()
  const tokens = tokenize(text)
  parser.begin(text, tokens)
  const tree = parser.type()
  const [error] = parser.errors
  if (error !== undefined) throw complain(text, tokens, parser, 'type', error)
  return tree
}

/** A type as a user writes it, in the catalog's spelling. @throws SqlError */
export function parseType(text: string): string {
  return tajoType(treeOf(text), (why) => {
    throw new SqlError(why, null)
  })
}

/** What DuckDB calls one of Tajo's types, in any spelling. @throws SqlError for what is no type. */
export function toDuckDb(type: string): string {
  return IN_DUCKDB[type] ?? duckDbType(treeOf(parseType(type)))
}

/** Tajo's type for a column of this type of DuckDB's, as DESCRIBE or a result spells it. Never throws. */
export function fromDuckDb(type: string): string {
  const simple = IN_TAJO[type]
  if (simple !== undefined) return simple
  try {
    return parseType(fromTree(treeOf(type)))
  } catch (error) {
    // Unnamed fields of a ROW, say: the value's text is what can be kept of it.
    if (error instanceof SqlError) return 'TEXT'
    throw error
  }
}
