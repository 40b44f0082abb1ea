/**
 * Which of DuckDB's functions a query may call.
 *
 * Functions after FROM are refused unless they are listed: most of them read files or show the engine's inside.
 * Functions that give a value are allowed unless they are listed: there are hundreds, and none of them reads a file in
 * this version. `test/unit/worker` compares both lists with what the engine has, so that a new version can't add one
 * unseen.
 */

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

/** Why a function is refused, null when it isn't. `name` in lower case. */
export function whyDenied(name: string): string | null {
  if (Object.hasOwn(DENIED, name)) return DENIED[name] ?? null
  return DENIED_BEGINNINGS.some((beginning) => name.startsWith(beginning)) ? INSIDE : null
}
