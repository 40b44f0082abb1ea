/**
 * DuckDB's types as Tajo's: for CREATE TABLE AS, where the query's columns become the table's. Total: what Tajo has no
 * type for is kept in the next wider one, and what fits nowhere as TEXT, so that a query never fails for its types.
 */
import { quoteName } from './names.ts'
import type { TypeTree } from './tajo-types.ts'

/** By DuckDB's spelling. */
export const IN_TAJO: Readonly<Record<string, string>> = {
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
export function fromTree(tree: TypeTree): string {
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
