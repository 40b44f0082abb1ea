/**
 * The catalog's tables in a database, and how an older form of them becomes the newest. `catalog_schema` holds a row
 * for each version that was reached. A version that has left this house is never changed: the next one is added below.
 *
 * MariaDB and MySQL commit each CREATE at once, so a migration may be cut off in the middle and run again: its
 * statements must stand that.
 */
import { CatalogError } from '../errors.ts'
import { EMPTY } from '../state.ts'
import type { Dialect, SqlConnection, SqlServer } from './sql-connection.ts'

interface Migration {
  readonly version: number
  readonly statements: (dialect: Dialect) => readonly Statement[]
}
interface Statement {
  readonly sql: string
  readonly values?: readonly (string | number)[]
  /** Left out when that column is there: MySQL has no ADD COLUMN IF NOT EXISTS. */
  readonly adds?: { readonly table: string; readonly column: string }
}

const MIGRATIONS: readonly Migration[] = [
  { version: 1, statements: (dialect) => [...tables(dialect), ...firstRows()] },
  { version: 2, statements: ({ text }) => [added('catalog_outcomes', 'failure_kind', text)] },
  {
    version: 3,
    statements: ({ integer }) => [added('catalog_tables', 'content_version', integer)],
  },
  // Null: bound to no cluster yet (binding.ts).
  { version: 4, statements: ({ text }) => [added('catalog_term', 'cluster_id', text)] },
  // Null: of a row that no transaction has left a mark in (sql-changes.ts).
  {
    version: 5,
    statements: (dialect) => [
      { sql: create(dialect, 'catalog_changes', changes(dialect)) },
      added('catalog_term', 'change_no', dialect.integer),
      added('catalog_term', 'mark', dialect.text),
      added('catalog_litter', 'joined_ms', dialect.integer),
    ],
  },
  // Null: it is the administrator's.
  {
    version: 6,
    statements: (dialect) => [
      { sql: create(dialect, 'catalog_users', users(dialect)) },
      added('catalog_tables', 'owner', dialect.text),
    ],
  },
]
const NEWEST = MIGRATIONS.length

interface TableDef {
  /** Column names of its primary key. */
  readonly key: string
  readonly columns: readonly string[]
}

/**
 * The names begin with `catalog_`, so that a database that has served Apache Tajo itself (TABLES, COLUMNS, …) can serve
 * on. What has no number of its own gets one, and rows are found by number alone: no text is a key, so none can be too
 * long for an index, and no collation takes part.
 */
function tables(dialect: Dialect): Statement[] {
  const { text, integer, boolean } = dialect
  const defs: Readonly<Record<string, TableDef>> = {
    // One row: who may write. `opening` grows with each take-over; `kept` counts the transactions of the term.
    catalog_term: {
      key: 'id',
      columns: [
        `id ${integer} NOT NULL`,
        `term ${integer} NOT NULL`,
        `opening ${integer} NOT NULL`,
        `kept ${integer} NOT NULL`,
        `next_table_id ${integer} NOT NULL`,
        `session ${text} NOT NULL`,
        `opened_at ${text} NOT NULL`,
      ],
    },
    catalog_databases: {
      key: 'database_no',
      columns: [
        `database_no ${integer} NOT NULL`,
        `name ${text} NOT NULL`,
        `created_at ${text} NOT NULL`,
      ],
    },
    catalog_tables: {
      key: 'table_id',
      columns: [
        `table_id ${integer} NOT NULL`,
        `database_name ${text} NOT NULL`,
        `name ${text} NOT NULL`,
        `kind ${text} NOT NULL`,
        `format ${text} NOT NULL`,
        `location ${text} NOT NULL`,
        `whole_directory ${boolean} NOT NULL`,
        `schema_version ${integer} NOT NULL`,
        `created_at ${text} NOT NULL`,
      ],
    },
    // `position` counts a table's own columns, then, anew, its partition columns.
    catalog_columns: {
      key: 'table_id, is_partition, position',
      columns: [
        `table_id ${integer} NOT NULL`,
        `is_partition ${boolean} NOT NULL`,
        `position ${integer} NOT NULL`,
        `name ${text} NOT NULL`,
        `type ${text} NOT NULL`,
      ],
    },
    catalog_options: {
      key: 'table_id, position',
      columns: [
        `table_id ${integer} NOT NULL`,
        `position ${integer} NOT NULL`,
        `name ${text} NOT NULL`,
        `value ${text} NOT NULL`,
      ],
    },
    // `partition_values`: a JSON array, one text or null for each partition column. `row_count` is NULL when unknown.
    catalog_files: {
      key: 'table_id, file_no',
      columns: [
        `table_id ${integer} NOT NULL`,
        `file_no ${integer} NOT NULL`,
        `path ${text} NOT NULL`,
        `row_count ${integer}`,
        `bytes ${integer} NOT NULL`,
        `partition_values ${text} NOT NULL`,
      ],
    },
    catalog_outcomes: {
      key: 'outcome_no',
      columns: [
        `outcome_no ${integer} NOT NULL`,
        `query_id ${text} NOT NULL`,
        `state ${text} NOT NULL`,
        `message ${text} NOT NULL`,
        `row_count ${integer}`,
        `at_ms ${integer} NOT NULL`,
      ],
    },
    catalog_litter: {
      key: 'litter_no',
      columns: [
        `litter_no ${integer} NOT NULL`,
        `path ${text} NOT NULL`,
        `since_ms ${integer} NOT NULL`,
      ],
    },
    catalog_publications: {
      key: 'publication_no',
      columns: [
        `publication_no ${integer} NOT NULL`,
        `query_id ${text} NOT NULL`,
        `staging ${text} NOT NULL`,
        `location ${text} NOT NULL`,
      ],
    },
  }
  return Object.entries(defs).map(([name, def]) => ({ sql: create(dialect, name, def) }))
}

/** What the last transactions have changed, one or more rows for each: for those who know what was before. */
const changes = ({ text, integer }: Dialect): TableDef => ({
  key: 'change_no',
  columns: [
    `change_no ${integer} NOT NULL`,
    `follows ${text} NOT NULL`,
    `mark ${text} NOT NULL`,
    `next_table_id ${integer} NOT NULL`,
    `changes ${text} NOT NULL`,
  ],
})

/** `grants`: a JSON array (model.ts). */
const users = ({ text, integer }: Dialect): TableDef => ({
  key: 'user_no',
  columns: [
    `user_no ${integer} NOT NULL`,
    `name ${text} NOT NULL`,
    `verifier ${text} NOT NULL`,
    `created_at ${text} NOT NULL`,
    `grants ${text} NOT NULL`,
  ],
})

/** Each deletes what an earlier, cut-off try may have left. */
const firstRows = (): Statement[] => [
  { sql: 'DELETE FROM catalog_databases' },
  ...EMPTY.databases.map(({ name, createdAt }, at) => ({
    sql: 'INSERT INTO catalog_databases VALUES (?, ?, ?)',
    values: [at + 1, name, createdAt],
  })),
  { sql: 'DELETE FROM catalog_term' },
  {
    sql: 'INSERT INTO catalog_term VALUES (?, ?, ?, ?, ?, ?, ?)',
    values: [1, 0, 0, 0, EMPTY.nextTableId, '', ''],
  },
]

/** Nullable, and the last one: rows are inserted by position. */
const added = (table: string, column: string, type: string): Statement => ({
  sql: `ALTER TABLE ${table} ADD COLUMN ${column} ${type}`,
  adds: { table, column },
})

function create(dialect: Dialect, name: string, { key, columns }: TableDef): string {
  const parts = dialect.hasKeys ? [...columns, `PRIMARY KEY (${key})`] : columns
  return `CREATE TABLE IF NOT EXISTS ${name} (\n  ${parts.join(',\n  ')}\n)${dialect.tableEnd}`
}

/**
 * Brings the schema to the newest version; one query when it is there already. Rejects SqlFailure, and CatalogError
 * BAD_STORE when a newer version of this program has been here.
 */
export async function migrate(
  server: Pick<SqlServer, 'name'>,
  connection: SqlConnection,
  dialect: Dialect,
  nowText: string,
): Promise<void> {
  if ((await versionOf(server, connection, dialect)) === NEWEST) return
  await dialect.exclusively(connection, async () => {
    await connection.query(
      create(dialect, 'catalog_schema', {
        key: 'version',
        columns: [`version ${dialect.integer} NOT NULL`, `reached_at ${dialect.text} NOT NULL`],
      }),
    )
    // Another master may have done it while this one waited.
    const version = (await versionOf(server, connection, dialect)) ?? 0
    for (const migration of MIGRATIONS.slice(version)) {
      await connection.query(dialect.begin)
      for (const { sql, values, adds } of migration.statements(dialect)) {
        if (adds !== undefined && (await hasColumn(connection, dialect, adds))) continue
        await connection.query(sql, values)
      }
      await connection.query('INSERT INTO catalog_schema VALUES (?, ?)', [
        migration.version,
        nowText,
      ])
      await connection.query('COMMIT')
    }
  })
}

/** Whether the catalog's tables are there, whole, in any form that this program reads. Errors as of `migrate`. */
export const isThere = async (
  server: Pick<SqlServer, 'name'>,
  connection: SqlConnection,
  dialect: Dialect,
): Promise<boolean> => ((await versionOf(server, connection, dialect)) ?? 0) > 0

async function hasColumn(
  connection: SqlConnection,
  { currentSchema }: Dialect,
  { table, column }: { readonly table: string; readonly column: string },
): Promise<boolean> {
  const found = await connection.query(
    `SELECT 1 AS found FROM information_schema.columns WHERE table_schema = ${currentSchema} AND table_name = ? AND column_name = ?`,
    [table, column],
  )
  return found.length > 0
}

/** Null when there is no catalog at all. */
async function versionOf(
  server: Pick<SqlServer, 'name'>,
  connection: SqlConnection,
  dialect: Dialect,
): Promise<number | null> {
  const found = await connection.query(
    "SELECT 1 AS found FROM information_schema.tables WHERE table_name = 'catalog_schema' AND table_schema = " +
      dialect.currentSchema,
  )
  if (found.length === 0) return null
  const rows = await connection.query('SELECT MAX(version) AS version FROM catalog_schema')
  const version = Number(rows[0]?.version ?? 0)
  if (version <= NEWEST) return version
  throw new CatalogError(
    'BAD_STORE',
    `the catalog in ${server.name} has schema version ${version}, this program knows up to ${NEWEST}: a newer version of it has been here; start that one, or restore a dump into an empty database`,
  )
}
