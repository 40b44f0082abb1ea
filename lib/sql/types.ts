/**
 * Types as text: the catalog's spelling, DuckDB's, and the ways between them.
 *
 * DuckDB's types as Tajo's: for CREATE TABLE AS, where the query's columns become the table's. Total: what Tajo has no
 * type for is kept in the next wider one, and what fits nowhere as TEXT, so that a query never fails for its types.
 */
import { complain } from './complaint.ts'
import { tokenize } from './lexer.ts'
import { quoteName } from './names.ts'
import { theParser } from './parser.ts'
import { SqlError } from './statement.ts'
import { duckDbType, IN_DUCKDB, type TypeTree, tajoType } from './tajo-types.ts'

/** By DuckDB's spelling. */
const IN_TAJO: Readonly<Record<string, string>> = {
  BOOLEAN: 'BOOLEAN',
  TINYINT: 'INT1',
  UTINYINT: 'INT2',
  SMALLINT: 'INT2',
  USMALLINT: 'INT4',
  INTEGER: 'INT4',
  UINTEGER: 'INT8',
  BIGINT: 'INT8',
  UBIGINT: 'NUMERIC(20,0)',
  /** What sum() of whole numbers gives. */
  HUGEINT: 'NUMERIC(38,0)',
  FLOAT: 'FLOAT4',
  DOUBLE: 'FLOAT8',
  VARCHAR: 'TEXT',
  DATE: 'DATE',
  TIME: 'TIME',
  TIMESTAMP: 'TIMESTAMP',
  TIMESTAMP_S: 'TIMESTAMP',
  TIMESTAMP_MS: 'TIMESTAMP',
  /** To the microsecond. */
  TIMESTAMP_NS: 'TIMESTAMP',
  TIME_NS: 'TIME',
  TIMESTAMPTZ: 'TIMESTAMPTZ',
  'TIMESTAMP WITH TIME ZONE': 'TIMESTAMPTZ',
  INTERVAL: 'INTERVAL',
  BLOB: 'BLOB',
  UUID: 'UUID',
}

/** What Tajo has for it. */
function fromTree(tree: TypeTree): string {
  switch (tree.is) {
    case 'array':
      return `ARRAY<${fromTree(tree.of)}>`
    case 'map':
      return `MAP<${fromTree(tree.key)}, ${fromTree(tree.value)}>`
    case 'union':
      return 'TEXT'
    case 'record': {
      const fields = tree.fields.map((field) => `${quoteName(field.name)} ${fromTree(field.type)}`)
      return `RECORD(${fields.join(', ')})`
    }
    case 'scalar': {
      const [digits, decimals = '0'] = tree.args
      if (tree.name === 'DECIMAL') return `NUMERIC(${digits ?? '18'},${decimals})`
      return IN_TAJO[tree.name] ?? 'TEXT'
    }
  }
}

/** @throws SqlError */
function treeOf(text: string): TypeTree {
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

/** Tells Tajo's type for a column of this type of DuckDB's, as DESCRIBE or a result spells it. Never throws. */
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
