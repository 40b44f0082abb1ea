/** One type that stands alone, as in the catalog or in DuckDB's answers. */
import { complain } from './complaint.ts'
import { tokenize } from './lexer.ts'
import { theParser } from './parser.ts'
import type { TypeTree } from './type-tree.ts'

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
