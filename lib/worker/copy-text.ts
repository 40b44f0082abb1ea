/**
 * The COPY statement that writes a query's result in a table's format. Pure.
 *
 * Partitions get directories whose names tell their values exactly, and which are renamed afterwards (`staging.ts`):
 * DuckDB's own names can't tell NULL from a text that looks like it. JSON goes through DuckDB's writer of text, one
 * column of ready lines, because its writer of JSON knows no partitions.
 */
import type { WriteTarget } from '../contract/index.ts'
import { textFormat } from '../sql/index.ts'
import { QueryFault } from './query-error.ts'
import { sqlName, sqlText } from './sql-text.ts'
import { checkedLine, checkedObject, checkedValue } from './text-checks.ts'
import type { PlannedColumn, TypeNames, WritePlan } from './write-plan.ts'

interface CopyText {
  readonly sql: string
  /** Bytes (UTF-8) before the query's own text in it. */
  readonly queryAt: number
  /** What files' names end with. */
  readonly extension: string
  /** Whether COPY tells rows and bytes for each file. */
  readonly tellsFiles: boolean
}

interface CopyInput {
  readonly target: Pick<WriteTarget, 'format' | 'options'>
  readonly plan: WritePlan
  /** As the user wrote it. */
  readonly query: string
  /** How many columns that has. */
  readonly width: number
  /** Absolute. A file, or with partitions a directory, both without the extension. */
  readonly path: string
  readonly types: TypeNames
}

/** A directory's name has 255 bytes, and each byte of a value takes two. */
const LONGEST_PARTITION_BYTES = 120

/** Throws QueryFault for options that can't be written. */
export function copyText(input: CopyInput): CopyText {
  const { plan, query, width, path } = input
  const { extension, options, tellsFiles } = formatOf(input)
  const tokens = plan.partitionColumns.map((column, i) => ({
    sql: token(input, column),
    name: sqlName(tokenName(plan, i)),
  }))
  const values = [...valuesOf(input), ...tokens.map(({ sql, name }) => `${sql} AS ${name}`)]
  const parts =
    tokens.length === 0
      ? []
      : [
          `PARTITION_BY (${tokens.map(({ name }) => name).join(', ')})`,
          "FILENAME_PATTERN 'part-{i}'",
          `FILE_EXTENSION ${sqlText(extension)}`,
        ]
  const before = `COPY (SELECT ${values.join(', ')} FROM (`
  const names = Array.from({ length: width }, (_, i) => `c${i}`)
  // The line break ends a comment at the end of the query.
  const after = `\n) AS q(${names.join(', ')})) TO ${sqlText(tokens.length === 0 ? `${path}.${extension}` : path)} (${[...options, ...parts].join(', ')})`
  return {
    sql: before + query + after,
    queryAt: Buffer.byteLength(before),
    extension,
    tellsFiles,
  }
}

const cast = ({ types }: CopyInput, { source, type }: PlannedColumn): string =>
  `CAST(${source === null ? 'NULL' : `q.c${source}`} AS ${types.toDuckDb(type)})`

function valuesOf(input: CopyInput): string[] {
  const { target, plan, types } = input
  if (target.format === 'JSON') return [jsonLine(input)]
  const plain = plan.columns.map((one) => ({
    name: sqlName(one.name),
    sql: cast(input, one),
    type: types.toDuckDb(one.type),
    isNull: one.source === null,
  }))
  if (target.format !== 'TEXT') return plain.map(({ name, sql }) => `${sql} AS ${name}`)
  const format = textFormat(target.options)
  return plain.map(({ name, sql }, i) => {
    const value = checkedValue(sql, format, plain.length === 1)
    return `${i === 0 ? checkedLine(value, plain, format) : value} AS ${name}`
  })
}

function jsonLine(input: CopyInput): string {
  const fields = input.plan.columns.map((one) => `${sqlText(one.name)}: ${jsonValue(input, one)}`)
  return `${checkedObject(`CAST(to_json({${fields.join(', ')}}) AS VARCHAR)`)} AS line`
}

/** DuckDB reads JSON's numbers as FLOAT8, which loses digits of a NUMERIC: it is written as text, also inside of others. */
function jsonValue(input: CopyInput, column: PlannedColumn): string {
  const type = input.types.toDuckDb(column.type)
  const exact = type.replace(NUMERIC_OR_NAME, (one) => (one.startsWith('"') ? one : 'VARCHAR'))
  const value = cast(input, column)
  return exact === type ? value : `CAST(${value} AS ${exact})`
}

/** A field's quoted name may look like a type. */
const NUMERIC_OR_NAME = /"(?:[^"]|"")*"|DECIMAL\(\d+,\d+\)/g

function token(input: CopyInput, column: PlannedColumn): string {
  const text = `CAST(${cast(input, column)} AS VARCHAR)`
  const message = `a value of the partition column ${column.name} is longer than ${LONGEST_PARTITION_BYTES} bytes`
  return `CASE WHEN ${text} IS NULL THEN 'n' WHEN strlen(${text}) > ${LONGEST_PARTITION_BYTES} THEN error(${sqlText(message)}) ELSE 'v' || hex(${text}) END`
}

/** The i-th partition column's directories are called `NAME=n` for NULL and `NAME=v…`, in hexadecimal digits. */
export function tokenName({ columns, partitionColumns }: WritePlan, i: number): string {
  const taken = [...columns, ...partitionColumns].map(({ name }) => name.toLowerCase())
  let name = `p${i}`
  while (taken.includes(name)) name += '_'
  return name
}

/** What such a directory's name says. */
export const tokenValue = (text: string): string | null =>
  text === 'n' ? null : Buffer.from(text.slice(1), 'hex').toString('utf8')

function formatOf(input: CopyInput): {
  extension: string
  options: string[]
  tellsFiles: boolean
} {
  const { target } = input
  switch (target.format) {
    case 'PARQUET':
      return { extension: 'parquet', options: parquetOptions(input), tellsFiles: true }
    case 'TEXT': {
      const { suffix, option } = compression(target.options)
      const options = ['FORMAT csv', ...textOptions(input), option]
      return { extension: `csv${suffix}`, options, tellsFiles: false }
    }
    case 'JSON': {
      const { suffix, option } = compression(target.options)
      const plain = `FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER ${sqlText('\u0001')}`
      return { extension: `json${suffix}`, options: [plain, option], tellsFiles: false }
    }
  }
}

function textOptions({ target, plan }: CopyInput): string[] {
  const format = textFormat(target.options)
  if (format.headerLines > 1) {
    throw new QueryFault(
      'user',
      `the table's option 'text.skip.headerlines' is ${format.headerLines}: files with more than one such line can be read, not written`,
    )
  }
  return [
    `HEADER ${format.headerLines === 1}`,
    `DELIMITER ${sqlText(format.delimiter)}`,
    `QUOTE ${sqlText(format.quote)}`,
    `ESCAPE ${sqlText(format.escape)}`,
    `NULLSTR ${sqlText(format.nullText)}`,
    // An empty text would be an empty line, which is none.
    ...(plan.columns.length === 1 && format.quote !== '' && format.nullText !== ''
      ? ['FORCE_QUOTE *']
      : []),
  ]
}

/** By the end of Tajo's and Hadoop's class names. */
const CODECS: Readonly<Record<string, { suffix: string; option: string }>> = {
  '': { suffix: '', option: 'COMPRESSION uncompressed' },
  gzipcodec: { suffix: '.gz', option: 'COMPRESSION gzip' },
  zstandardcodec: { suffix: '.zst', option: 'COMPRESSION zstd' },
}

function compression(options: Readonly<Record<string, string>>): {
  suffix: string
  option: string
} {
  const name = options['compression.codec'] ?? ''
  const codec = CODECS[name.split('.').at(-1)?.toLowerCase() ?? '']
  if (codec !== undefined) return codec
  throw new QueryFault(
    'user',
    `the table's option 'compression.codec' is '${name}': allowed are org.apache.hadoop.io.compress.GzipCodec and ….ZStandardCodec`,
  )
}

const PARQUET_CODECS = new Set(['uncompressed', 'snappy', 'gzip', 'zstd', 'lz4', 'brotli'])

function parquetOptions({ target, plan }: CopyInput): string[] {
  const codec = (target.options['parquet.compression'] ?? 'snappy').toLowerCase()
  if (!PARQUET_CODECS.has(codec)) {
    throw new QueryFault(
      'user',
      `the table's option 'parquet.compression' is '${codec}': allowed are ${[...PARQUET_CODECS].join(', ')}`,
    )
  }
  const ids = plan.columns.map(({ name }, i) => `${sqlName(name)}: ${i + 1}`)
  return [
    'FORMAT parquet',
    `COMPRESSION ${codec}`,
    `FIELD_IDS {${ids.join(', ')}}`,
    'RETURN_STATS true',
  ]
}
