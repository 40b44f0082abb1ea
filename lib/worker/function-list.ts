/**
 * SHOW FUNCTIONS: what a query may call, asked of the engine itself, in Tajo's names of types. What `functions.ts`
 * refuses is not in it, and neither are operators. Each row is one way to call a function.
 */
import { type EngineConnection, EngineError } from './duckdb.ts'
import { TABLE_FUNCTIONS, whyDenied } from './functions.ts'

export const FUNCTION_COLUMNS = ['function', 'kind', 'parameters', 'result'] as const

/** In the engine's spelling; a type that it leaves open is null. */
interface Listed {
  readonly name: string
  readonly kind: string
  readonly parameters: readonly (string | null)[]
  readonly varargs: string | null
  readonly result: string | null
}

const QUERY =
  'SELECT function_name, function_type, to_json(parameter_types), varargs, return_type FROM duckdb_functions()'

/** Sorted by name; each row once. Rejects with EngineError. */
export async function functionRows(
  connection: EngineConnection,
  fromDuckDb: (type: string) => string,
): Promise<string[][]> {
  const rows = new Map<string, string[]>()
  for (const listed of (await connection.rows(QUERY)).map(listedOf)) {
    const kind = KINDS[listed.kind]
    if (kind === undefined || !mayCall(listed)) continue
    const row = rowOf(listed, kind, fromDuckDb)
    rows.set(row.join('\n'), row)
  }
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
}

const KINDS: Readonly<Record<string, string>> = {
  scalar: 'scalar',
  macro: 'scalar',
  aggregate: 'aggregate',
  table: 'table',
  table_macro: 'table',
}

function listedOf([name, kind, parameters, varargs, result]: unknown[]): Listed {
  const types: unknown = JSON.parse(String(parameters ?? '[]'))
  if (!Array.isArray(types)) throw new EngineError('internal', `${name} has no parameters`, null)
  const text = (value: unknown): string | null => (value === null ? null : String(value))
  return {
    name: String(name),
    kind: String(kind),
    parameters: types.map(text),
    varargs: text(varargs),
    result: text(result),
  }
}

/** Operators have names of other characters. */
const IS_NAME = /^[a-z][a-z0-9_]*$/

function mayCall({ name, kind }: Listed): boolean {
  if (!IS_NAME.test(name)) return false
  return KINDS[kind] === 'table' ? TABLE_FUNCTIONS.has(name) : whyDenied(name) === null
}

function rowOf(
  { name, parameters, varargs, result }: Listed,
  kind: string,
  fromDuckDb: (type: string) => string,
): string[] {
  const spelt = (type: string | null): string => spell(type, fromDuckDb)
  const all = [
    ...parameters.map(spelt),
    // Zero or more of them.
    ...(varargs === null ? [] : [`${spelt(varargs)} …`]),
  ]
  return [name, kind, all.join(', '), kind === 'table' ? 'TABLE' : spelt(result)]
}

/** Placeholders of the engine (ANY, K, LAMBDA …) stay what they are. */
function spell(type: string | null, fromDuckDb: (type: string) => string): string {
  if (type === null || type === '"NULL"') return 'ANY'
  if (type.endsWith('[]')) return `ARRAY<${spell(type.slice(0, -2), fromDuckDb)}>`
  if (type === 'DECIMAL') return 'NUMERIC'
  const tajo = fromDuckDb(type)
  return tajo === 'TEXT' && type !== 'VARCHAR' ? type : tajo
}
