/**
 * Columns, each of which is kept once. The tables of a warehouse have the same columns over and over (`id INT8`), and a
 * catalog is read into memory as a whole: 10,000 tables of 100 columns are a million objects with texts of their own, and
 * what a process has in memory the kernel takes back, at its death, before anybody hears of it.
 *
 * Good for values that nobody changes, as all of the catalog's are. What is remembered is forgotten now and then, so that a
 * warehouse in which no two columns are alike has no second list of them.
 */
import type { Column, Table } from './model.ts'

const MOST_KNOWN = 20_000

/** By type, then by name. */
const known = new Map<string, Map<string, Column>>()
let count = 0

type Columns = Pick<Table, 'columns' | 'partitionColumns'>

/** The same table, with columns that others like it have as well. */
export const withInternedColumns = (table: Table): Table => ({ ...table, ...internedOf(table) })

/** Lists in which nothing is another one stay as they are: whoever compares them sees that. */
export const internedOf = ({ columns, partitionColumns }: Columns): Columns => ({
  columns: listOf(columns),
  partitionColumns: listOf(partitionColumns),
})

function listOf(columns: readonly Column[]): readonly Column[] {
  const made = columns.map(interned)
  return made.every((one, at) => one === columns[at]) ? columns : made
}

function interned(column: Column): Column {
  const { name, type } = column
  const ofType = known.get(type)
  const found = ofType?.get(name)
  if (found !== undefined) return found
  if (count >= MOST_KNOWN) {
    known.clear()
    count = 0
  }
  const names = known.get(type) ?? new Map<string, Column>()
  names.set(name, column)
  known.set(type, names)
  count += 1
  return column
}
