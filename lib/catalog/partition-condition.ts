/**
 * What a query needs of a table, as far as the values of the partition columns tell: conditions that its rows have to meet
 * wherever the query reads them. Partitions that can't meet them are left out before anybody looks at their files.
 *
 * A test may pass a partition that has no such row, since the query looks at the rows itself, and must never hold back one
 * that has. So whatever isn't certain passes: a type whose values can be spelt in several ways, a value that isn't spelt
 * as its type would be. NULL meets none of them, as in SQL. Pure.
 */
import type { Comparison, Condition } from '../contract/index.ts'
import type { PartitionValues } from './file-partition.ts'
import type { Table } from './model.ts'

/**
 * Whether the text of a partition's value can be one of its column's type: a value that can't would make every query on
 * the table fail. Types not named here take what DuckDB takes for them. Pure.
 */
const BOUNDS: Readonly<Record<string, bigint>> = {
  INT1: 2n ** 7n,
  INT2: 2n ** 15n,
  INT4: 2n ** 31n,
  INT8: 2n ** 63n,
}

export function fitsType(value: string, type: string): boolean {
  const bound = BOUNDS[type]
  if (bound !== undefined) {
    return /^-?\d{1,20}$/.test(value) && BigInt(value) < bound && BigInt(value) >= -bound
  }
  switch (type) {
    case 'DATE':
      return isDate(value)
    case 'FLOAT4':
    case 'FLOAT8':
      return value.trim() !== '' && (!Number.isNaN(Number(value)) || value === 'NaN')
    case 'BOOLEAN':
      return /^(true|false)$/i.test(value)
    default:
      return true
  }
}

function isDate(value: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(value)) return false
  const date = new Date(`${value}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(value)
}

type Columns = Pick<Table, 'columns' | 'partitionColumns'>

/** Whether a partition may have rows that meet it; null when nothing is known: all may. */
export type PartitionTest = ((values: PartitionValues) => boolean) | null

/** `asked`: all tables of the same request in their order, which `rivals` count; null for one that isn't there. */
export function testOf(
  condition: Condition | null,
  table: Columns,
  asked: readonly (Columns | null)[],
): PartitionTest {
  if (condition === null || table.partitionColumns.length === 0) return null
  if ('all' in condition) {
    const tests = condition.all
      .map((one) => testOf(one, table, asked))
      .filter((one) => one !== null)
    return tests.length === 0 ? null : (values) => tests.every((test) => test(values))
  }
  if ('any' in condition) {
    const tests = condition.any.map((one) => testOf(one, table, asked))
    const known = tests.filter((one) => one !== null)
    return known.length < tests.length ? null : (values) => known.some((test) => test(values))
  }
  return comparison(condition, table, asked)
}

const hasColumn = ({ columns, partitionColumns }: Columns, name: string): boolean =>
  [...columns, ...partitionColumns].some((column) => sameName(column.name, name))

/** As DuckDB takes names: case makes no difference. */
const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

function comparison(
  { column, rivals, written, is, values }: Comparison,
  table: Columns,
  asked: readonly (Columns | null)[],
): PartitionTest {
  const at = table.partitionColumns.findIndex(({ name }) => sameName(name, column))
  const type = table.partitionColumns[at]?.type
  if (type === undefined) return null
  const others = rivals.map((rival) => asked[rival] ?? null)
  if (others.some((one) => one === null || hasColumn(one, column))) return null
  const kind = kindOf(type)
  if (kind === null || (written !== kind.written && written !== 'text')) return null
  const wanted = values.map((value) => kind.keyOf(value, type))
  if (wanted.some((key) => key === null)) return null
  const passes = passing(is, wanted as Key[], kind)
  return (partition) => {
    const value = partition[at] ?? null
    if (value === null) return false
    const key = kind.keyOf(value, type)
    return key === null || passes(key)
  }
}

function passing(is: Comparison['is'], wanted: readonly Key[], kind: Kind): (key: Key) => boolean {
  if (is === 'in') {
    const all = new Set(wanted)
    return (key) => all.has(key)
  }
  const [bound] = wanted
  // Never, unless somebody made it up.
  if (bound === undefined) return () => true
  switch (is) {
    case '<':
      return (key) => kind.order(key, bound) < 0
    case '<=':
      return (key) => kind.order(key, bound) <= 0
    case '>':
      return (key) => kind.order(key, bound) > 0
    case '>=':
      return (key) => kind.order(key, bound) >= 0
  }
}

/** Equal where the values are. */
type Key = string | bigint

interface Kind {
  readonly written: Comparison['written']
  /** Null for a text that may be a value all the same, spelt otherwise, or none. */
  keyOf(value: string, type: string): Key | null
  order(a: Key, b: Key): number
}

const plainOrder = (a: Key, b: Key): number => (a < b ? -1 : Number(a > b))

const TEXT: Kind = {
  written: 'text',
  keyOf: (value) => value,
  // By its bytes in UTF-8, as DuckDB does it.
  order: (a, b) => Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b))),
}
const INTEGER: Kind = {
  written: 'integer',
  keyOf: (value, type) =>
    /^(?:0|-?[1-9]\d*)$/.test(value) && fitsType(value, type) ? BigInt(value) : null,
  order: plainOrder,
}
const DATE: Kind = {
  written: 'date',
  keyOf: (value) => (fitsType(value, 'DATE') ? value : null),
  order: plainOrder,
}

function kindOf(type: string): Kind | null {
  if (/^(?:TEXT|CHAR|VARCHAR)\b/.test(type)) return TEXT
  if (/^INT[1248]$/.test(type)) return INTEGER
  return type === 'DATE' ? DATE : null
}
