/**
 * Tajo's types: what a user may write, the one spelling the catalog keeps, and what DuckDB calls them. All of parsed types
 * (`types.ts`); `types.ts` does the same for text.
 *
 * `NUMERIC` alone is NUMERIC(38,10), and DESC shows it: DuckDB's own default of 18 digits would cut silently. `FLOAT` is
 * FLOAT8, as in Tajo's documentation. CHAR(n) and VARCHAR(n) keep their length in the catalog; DuckDB does not enforce it.
 *
 * A type as it was written, before anybody asks which of the two languages it belongs to: Tajo's or DuckDB's.
 */
import { nearest } from '../base/nearest.ts'
import { faultOfName, quoteName } from './names.ts'
import { SqlError } from './statement.ts'

export interface TypeField {
  /** As written, without quotes. */
  readonly name: string
  readonly quoted: boolean
  readonly type: TypeTree
}

/** `at`: offset in the text, for errors. */
export type TypeTree =
  | {
      readonly is: 'scalar'
      /** Upper case, one blank between words: `DOUBLE PRECISION`, `TIMESTAMP WITH TIME ZONE`. */
      readonly name: string
      /** In parentheses: `10` and `2` of NUMERIC(10,2). */
      readonly args: readonly string[]
      readonly at: number
    }
  | { readonly is: 'array'; readonly of: TypeTree; readonly at: number }
  | {
      readonly is: 'map'
      readonly key: TypeTree
      readonly value: TypeTree
      readonly at: number
    }
  /** RECORD, STRUCT, ROW; `union`: DuckDB's UNION, which looks the same. */
  | {
      readonly is: 'record' | 'union'
      readonly fields: readonly TypeField[]
      readonly at: number
    }

/** Deeper types are refused: nobody means them, and each level is a level of calls. */
export const MOST_NESTED = 32

type Fail = (why: string, at: number) => never

/** Spellings without parentheses, to the catalog's. */
const PLAIN: Readonly<Record<string, string>> = {
  BOOLEAN: 'BOOLEAN',
  BOOL: 'BOOLEAN',
  INT1: 'INT1',
  TINYINT: 'INT1',
  INT2: 'INT2',
  SMALLINT: 'INT2',
  INT4: 'INT4',
  INT: 'INT4',
  INTEGER: 'INT4',
  INT8: 'INT8',
  BIGINT: 'INT8',
  FLOAT4: 'FLOAT4',
  REAL: 'FLOAT4',
  FLOAT8: 'FLOAT8',
  FLOAT: 'FLOAT8',
  DOUBLE: 'FLOAT8',
  'DOUBLE PRECISION': 'FLOAT8',
  TEXT: 'TEXT',
  STRING: 'TEXT',
  DATE: 'DATE',
  TIME: 'TIME',
  'TIME WITHOUT TIME ZONE': 'TIME',
  TIMESTAMP: 'TIMESTAMP',
  DATETIME: 'TIMESTAMP',
  'TIMESTAMP WITHOUT TIME ZONE': 'TIMESTAMP',
  TIMESTAMPTZ: 'TIMESTAMPTZ',
  'TIMESTAMP WITH TIME ZONE': 'TIMESTAMPTZ',
  INTERVAL: 'INTERVAL',
  BLOB: 'BLOB',
  BYTEA: 'BLOB',
  BINARY: 'BLOB',
  'BINARY VARYING': 'BLOB',
  VARBINARY: 'BLOB',
  UUID: 'UUID',
}

const CHARACTERS: Readonly<Record<string, 'CHAR' | 'VARCHAR'>> = {
  CHAR: 'CHAR',
  CHARACTER: 'CHAR',
  NCHAR: 'CHAR',
  'NATIONAL CHAR': 'CHAR',
  'NATIONAL CHARACTER': 'CHAR',
  VARCHAR: 'VARCHAR',
  NVARCHAR: 'VARCHAR',
  'CHAR VARYING': 'VARCHAR',
  'CHARACTER VARYING': 'VARCHAR',
  'NCHAR VARYING': 'VARCHAR',
  'NATIONAL CHAR VARYING': 'VARCHAR',
  'NATIONAL CHARACTER VARYING': 'VARCHAR',
}
const NUMERICS = ['NUMERIC', 'DECIMAL', 'DEC']

/** All names that a type can begin with or be. */
export const TYPE_NAMES: readonly string[] = [
  ...Object.keys(PLAIN),
  ...Object.keys(CHARACTERS),
  ...NUMERICS,
  'ARRAY',
  'MAP',
  'RECORD',
]

/** Known elsewhere, and what to use here. */
const INSTEAD: Readonly<Record<string, string>> = {
  INET4: 'INET4 is not supported: use TEXT',
  BIT: 'BIT is not supported: use BOOLEAN, or TEXT for many bits',
  VARBIT: 'VARBIT is not supported: use TEXT',
  'BIT VARYING': 'BIT VARYING is not supported: use TEXT',
  TIMETZ: 'TIMETZ is not supported: use TIME, or TIMESTAMPTZ',
  'TIME WITH TIME ZONE': 'TIME WITH TIME ZONE is not supported: use TIME, or TIMESTAMPTZ',
  JSON: 'JSON is not a type of a column: use TEXT, or RECORD(…)',
  ENUM: 'ENUM is not supported: use TEXT',
  RECORD: 'RECORD needs its fields: RECORD(a INT4, b TEXT)',
  STRUCT: 'STRUCT needs its fields: STRUCT(a INT4, b TEXT)',
  MAP: 'MAP needs its types: MAP<TEXT, INT4>',
}
const LONGEST_CHARACTERS = 1_000_000_000
const MOST_DIGITS = 38

/** Reads the arguments as whole numbers, each within its bounds. */
function wholes(
  tree: Scalar,
  bounds: readonly (readonly [number, number])[],
  fail: Fail,
): number[] {
  if (tree.args.length > bounds.length) {
    const takes = ['nothing', 'one number', 'two numbers'][bounds.length] ?? 'less'
    fail(`${tree.name} takes ${takes} in parentheses`, tree.at)
  }
  return tree.args.map((arg, i) => {
    const value = Number(arg)
    const [least, most] = bounds[i] ?? [0, 0]
    if (!Number.isInteger(value) || value < least || value > most) {
      fail(`${tree.name}(${tree.args.join(',')}): ${arg} is not from ${least} to ${most}`, tree.at)
    }
    return value
  })
}

type Scalar = Extract<TypeTree, { is: 'scalar' }>

function numericType(tree: Scalar, fail: Fail): string {
  const [digits = MOST_DIGITS, decimals] = wholes(
    tree,
    [
      [1, MOST_DIGITS],
      [0, MOST_DIGITS],
    ],
    fail,
  )
  const scale = decimals ?? (tree.args.length === 0 ? 10 : 0)
  if (scale > digits) {
    fail(`${tree.name}(${tree.args.join(',')}): more decimals than digits`, tree.at)
  }
  return `NUMERIC(${digits},${scale})`
}

function scalarType(tree: Scalar, fail: Fail): string {
  const { name } = tree
  if (NUMERICS.includes(name)) return numericType(tree, fail)
  const characters = CHARACTERS[name]
  if (characters !== undefined) {
    const [length] = wholes(tree, [[1, LONGEST_CHARACTERS]], fail)
    if (length !== undefined) return `${characters}(${length})`
    return characters === 'CHAR' ? 'CHAR(1)' : 'VARCHAR'
  }
  if (name === 'FLOAT' && tree.args.length > 0) {
    const [bits = 53] = wholes(tree, [[1, 53]], fail)
    return bits <= 24 ? 'FLOAT4' : 'FLOAT8'
  }
  const instead = INSTEAD[name]
  if (instead !== undefined) fail(instead, tree.at)
  const plain = PLAIN[name]
  if (plain === undefined) return unknownType(name, tree.at, fail)
  wholes(tree, [], fail)
  return plain
}

function unknownType(name: string, at: number, fail: Fail): never {
  const blank = name.indexOf(' ')
  const first = blank === -1 ? name : name.slice(0, blank)
  if (blank !== -1 && TYPE_NAMES.includes(first)) {
    return fail(`${name.slice(blank + 1, blank + 41)} does not belong to the type ${first}`, at)
  }
  const meant = nearest(name, TYPE_NAMES)
  return fail(
    `unknown type ${name.slice(0, 40)}${meant === null ? '' : ` (did you mean ${meant}?)`}`,
    at,
  )
}

/** The catalog's spelling of what a user wrote. `fail` is told the offset of the part that is wrong. */
export function tajoType(tree: TypeTree, fail: Fail): string {
  switch (tree.is) {
    case 'scalar':
      return scalarType(tree, fail)
    case 'array':
      return `ARRAY<${tajoType(tree.of, fail)}>`
    case 'map':
      return `MAP<${tajoType(tree.key, fail)}, ${tajoType(tree.value, fail)}>`
    case 'union':
      return fail('UNION is not a type of a column: use RECORD(…)', tree.at)
    case 'record': {
      const names = new Set<string>()
      const fields = tree.fields.map((field) => {
        const name = field.quoted ? field.name : field.name.toLowerCase()
        const fault =
          faultOfName(name) ?? (names.has(name) ? `the field ${name} is there twice` : null)
        if (fault !== null) fail(fault, tree.at)
        names.add(name)
        return `${quoteName(name)} ${tajoType(field.type, fail)}`
      })
      return `RECORD(${fields.join(', ')})`
    }
  }
}

/** By the catalog's spelling. */
export const IN_DUCKDB: Readonly<Record<string, string>> = {
  BOOLEAN: 'BOOLEAN',
  INT1: 'TINYINT',
  INT2: 'SMALLINT',
  INT4: 'INTEGER',
  INT8: 'BIGINT',
  FLOAT4: 'FLOAT',
  FLOAT8: 'DOUBLE',
  TEXT: 'VARCHAR',
  DATE: 'DATE',
  TIME: 'TIME',
  TIMESTAMP: 'TIMESTAMP',
  TIMESTAMPTZ: 'TIMESTAMP WITH TIME ZONE',
  INTERVAL: 'INTERVAL',
  BLOB: 'BLOB',
  UUID: 'UUID',
}

/** What DuckDB calls it. @throws SqlError for what is no type of Tajo's. */
export function duckDbType(tree: TypeTree): string {
  switch (tree.is) {
    case 'array':
      return `${duckDbType(tree.of)}[]`
    case 'map':
      return `MAP(${duckDbType(tree.key)}, ${duckDbType(tree.value)})`
    case 'record':
    case 'union': {
      const fields = tree.fields.map((field) => {
        const name = field.quoted ? field.name : field.name.toLowerCase()
        return `"${name.replaceAll('"', '""')}" ${duckDbType(field.type)}`
      })
      return `STRUCT(${fields.join(', ')})`
    }
    case 'scalar': {
      const type = scalarType(tree, (why) => {
        throw new SqlError(why, null)
      })
      const simple = IN_DUCKDB[type]
      if (simple !== undefined) return simple
      return type.startsWith('NUMERIC') ? `DECIMAL${type.slice('NUMERIC'.length)}` : 'VARCHAR'
    }
  }
}
