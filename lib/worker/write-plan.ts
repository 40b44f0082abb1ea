/**
 * How a query's columns become a table's: which one goes where, with which type, and what is missing. Pure. Everything
 * that doesn't fit is told before a byte is written.
 */
import type { Column } from '../catalog/index.ts'
import type { WriteTarget } from '../contract/index.ts'
import type { Place } from '../sql/index.ts'
import type { EngineColumn } from './duckdb-stream.ts'
import { QueryFault } from './query-error.ts'

export interface TypeNames {
  /** From Tajo's type names to DuckDB's. */
  readonly toDuckDb: (type: string) => string
  readonly fromDuckDb: (type: string) => string
}

export interface PlannedColumn extends Column {
  /** The number of the query's column, from 0; null: NULL. */
  readonly source: number | null
}

export interface WritePlan {
  /** Without the partition columns. */
  readonly columns: readonly PlannedColumn[]
  readonly partitionColumns: readonly PlannedColumn[]
}

/** Throws QueryFault `user` with `place`, where the query begins. */
export function writePlan(
  target: Pick<WriteTarget, 'columns' | 'into' | 'partitionBy'>,
  source: readonly EngineColumn[],
  types: TypeNames,
  place: Place | null = null,
): WritePlan {
  try {
    return planned(target, source, types)
  } catch (error) {
    if (!(error instanceof QueryFault)) throw error
    throw new QueryFault(error.code, error.message, place, error)
  }
}

function planned(
  target: Pick<WriteTarget, 'columns' | 'into' | 'partitionBy'>,
  source: readonly EngineColumn[],
  types: TypeNames,
): WritePlan {
  const all = target.columns === null ? ownColumns(target, source, types) : given(target, source)
  const isPartition = (name: string): boolean => target.partitionBy.some((one) => one.name === name)
  for (const { name } of target.partitionBy) {
    if (!all.some((column) => column.name === name)) {
      throw fault(`the query has no column ${name} to partition by: it has ${namesOf(source)}`)
    }
  }
  const columns = all.filter(({ name }) => !isPartition(name))
  if (columns.length === 0)
    throw fault('all columns are partition columns: nothing is left to write')
  const partitionColumns = target.partitionBy.flatMap(
    (one) => all.find(({ name }) => name === one.name) ?? [],
  )
  return { columns, partitionColumns }
}

/** CREATE TABLE AS: the query's own names, as if they had been typed without quotes. */
function ownColumns(
  { partitionBy }: Pick<WriteTarget, 'partitionBy'>,
  source: readonly EngineColumn[],
  { fromDuckDb }: TypeNames,
): PlannedColumn[] {
  const seen = new Set<string>()
  return source.map(({ name: written, type }, i) => {
    const name = written.toLowerCase()
    if (seen.has(name)) {
      throw fault(`the query has two columns named ${name}: give one of them another name with AS`)
    }
    seen.add(name)
    const wanted = partitionBy.find((one) => one.name === name)?.type
    return { name, type: wanted ?? fromDuckDb(type), source: i }
  })
}

function given(
  { columns, into }: Pick<WriteTarget, 'columns' | 'into'>,
  source: readonly EngineColumn[],
): PlannedColumn[] {
  const table = columns ?? []
  const targets = into ?? table.map(({ name }) => name)
  const names = table.map(({ name }) => name).join(', ')
  for (const [i, name] of targets.entries()) {
    if (!table.some((column) => column.name === name)) {
      throw fault(`the table has no column ${name}: it has ${names}`)
    }
    if (targets.indexOf(name) !== i) throw fault(`the column ${name} is named twice`)
  }
  if (source.length !== targets.length) {
    const what = into === null ? 'the table' : 'the list of columns'
    throw fault(
      `the query gives ${counted(source.length)} (${namesOf(source)}), and ${what} has ${targets.length} (${targets.join(', ')})`,
    )
  }
  return table.map((column) => {
    const at = targets.indexOf(column.name)
    return { ...column, source: at === -1 ? null : at }
  })
}

const counted = (count: number): string => (count === 1 ? '1 column' : `${count} columns`)
const namesOf = (source: readonly EngineColumn[]): string =>
  source.map(({ name }) => name).join(', ')
const fault = (message: string): QueryFault => new QueryFault('user', message)
