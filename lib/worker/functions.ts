/**
 * Which of DuckDB's functions a query may call.
 *
 * Functions after FROM are refused unless they are listed: most of them read files or show the engine's inside.
 * Functions that give a value are allowed unless they are listed: there are hundreds, and none of them reads a file in
 * this version. `test/unit/worker` compares both lists with what the engine has, so that a new version can't add one
 * unseen.
 *
 * SHOW FUNCTIONS: what a query may call, asked of the engine itself, in Tajo's names of types. What is refused
 * here is not in it, and neither are operators. Each row is one way to call a function.
 */
import { EngineError } from './duckdb-errors.ts'
import type { QueryEngine } from './query-engine.ts'

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

/** They are sorted by name, and each row comes once. Rejects with EngineError. */
export async function functionRows(
  engine: QueryEngine,
  fromDuckDb: (type: string) => string,
): Promise<string[][]> {
  const rows = new Map<string, string[]>()
  for (const listed of (await engine.rows(QUERY)).map(listedOf)) {
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

/** Those that make rows of their arguments, and of nothing else. */
export const TABLE_FUNCTIONS: ReadonlySet<string> = new Set([
  'range',
  'generate_series',
  'unnest',
  'repeat',
  'repeat_row',
  'json_each',
  'json_tree',
  'icu_calendar_names',
  'pg_timezone_names',
  'test_all_types',
])

const INSIDE = 'it shows the inside of the worker'
const RUNS_TEXT = 'it takes text for SQL'
const WAITS = 'it only keeps a worker busy'

const DENIED: Readonly<Record<string, string>> = {
  getenv: INSIDE,
  current_setting: INSIDE,
  current_database: `${INSIDE}; current_schema() is the current database`,
  current_catalog: `${INSIDE}; current_schema() is the current database`,
  current_connection_id: INSIDE,
  current_query: `${INSIDE}: around the statement stands what the engine is given`,
  current_query_id: INSIDE,
  current_transaction_id: INSIDE,
  txid_current: INSIDE,
  parse_duckdb_log_message: INSIDE,
  format_type: INSIDE,
  pg_get_viewdef: INSIDE,
  pg_get_constraintdef: INSIDE,
  get_block_size: INSIDE,
  in_search_path: INSIDE,
  nextval: 'there are no sequences',
  currval: 'there are no sequences',
  getvariable: 'there are no variables of the engine',
  write_log: INSIDE,
  json_serialize_plan: RUNS_TEXT,
  json_execute_serialized_sql: RUNS_TEXT,
  query: RUNS_TEXT,
  query_table: RUNS_TEXT,
  sleep_ms: WAITS,
  pg_sleep: WAITS,
}

/** Names of files and settings, whatever a version calls them. */
const DENIED_BEGINNINGS = ['__internal_', 'read_', 'duckdb_', 'pragma_']

/** Why a function is refused, null when it isn't. `name` is in lower case. */
export function whyDenied(name: string): string | null {
  if (Object.hasOwn(DENIED, name)) return DENIED[name] ?? null
  return DENIED_BEGINNINGS.some((beginning) => name.startsWith(beginning)) ? INSIDE : null
}
