/** Changes of columns that a table's files don't allow, since those stay as they were written. Both throw SqlError. */
import type { Table } from '../../../catalog/model.ts'
import { SqlError, type TableName } from '../../../sql/statement.ts'
import { textFormat } from '../../../sql/text-format.ts'
import { spell } from './names.ts'

/** Where a column is found by its name in files that are there already, a new name would find nothing. */
export function requireRenamable(table: Table, column: string, named: TableName): void {
  const inPaths = table.partitionColumns.some(({ name }) => name === column)
  const byName =
    table.format === 'JSON'
      ? table.files.length > 0 || table.wholeDirectory
      : table.wholeDirectory && (table.format === 'PARQUET' || inPaths)
  if (!byName) return
  throw new SqlError(
    `the files of ${spell(table)} name their column ${column} themselves, so it can't be renamed: make a new table of it (CREATE TABLE … AS SELECT ${column} AS …)`,
    named.place,
  )
}

/** NULL alone in a line is an empty one; to a table of more columns, which can be left out at a line's end, it is none. */
export function requireWidenable(table: Table, named: TableName): void {
  const hasFiles = table.files.length > 0 || table.wholeDirectory
  if (table.format !== 'TEXT' || table.columns.length > 1 || !hasFiles) return
  if (textFormat(table.options).nullText !== '') return
  const column = table.columns[0]?.name
  throw new SqlError(
    `the files of ${spell(table)} have one column, and NULL in it is an empty line, which would be lost: make a new table of it (CREATE TABLE … AS SELECT ${column}, … AS …)`,
    named.place,
  )
}
