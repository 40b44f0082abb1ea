/**
 * Reads of the day's tables: all that one holds, by INSERT, for its verdict; and how long a full scan and a read of one
 * partition take beside the same of a table that was written just now with the same content, by turns in one run.
 */
import type { Row, TajoClient } from '../../../lib/client/index.ts'
import { type Found, formatOf, isPartitioned, partitionName, tableName } from './numbers.ts'

export async function rowsOf(client: TajoClient, sql: string): Promise<Row[]> {
  const all: Row[] = []
  for await (const batch of (await client.query(sql)).rows()) all.push(...batch)
  return all
}

export const createSql = (table: number, name = tableName(table)): string => {
  const using = formatOf(table) === 'PARQUET' ? 'parquet' : "text with ('text.delimiter'='|')"
  const parts = isPartitioned(table) ? ' partition by column (p TEXT)' : ''
  return `create table ${name} (id INT8, note TEXT) using ${using}${parts}`
}

export async function foundIn(
  client: TajoClient,
  table: number,
  shape: { readonly rows: number; readonly tables: number; readonly partitions: number },
): Promise<Found[]> {
  const { rows, tables, partitions } = shape
  const number = `(id // ${rows})`
  const note = "note = 'row ' || id || ' of the day'"
  const place = isPartitioned(table)
    ? `p = 'p' || ((${number} // ${tables}) % ${partitions})`
    : 'true'
  const sql = `select ${number}, count(*), count(distinct id), count(*) filter (where ${note} and ${place}) from ${tableName(table)} group by 1`
  const all = await rowsOf(client, sql)
  return all.map((row) => {
    const [number = 0, rows = 0, distinct = 0, right = 0] = row.map(Number)
    return { number, rows, distinct, right }
  })
}

export interface Reading {
  readonly what: string
  readonly dayMs: number
  readonly freshMs: number
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

async function timed(client: TajoClient, sql: string): Promise<number> {
  const sinceMs = performance.now()
  await rowsOf(client, sql)
  return performance.now() - sinceMs
}

/** Medians. The fresh table is dropped again. */
export async function readings(
  client: TajoClient,
  table: number,
  trials: number,
): Promise<Reading[]> {
  const name = tableName(table)
  const fresh = `fresh_${name}`
  await client.execute(createSql(table, fresh))
  await client.execute(`insert into ${fresh} select * from ${name}`)
  const wheres = isPartitioned(table) ? ['', ` where p = '${partitionName(1)}'`] : ['']
  const found: Reading[] = []
  for (const where of wheres) {
    const scan = (from: string) => `select count(*), sum(id), max(note) from ${from}${where}`
    const times = { day: [] as number[], fresh: [] as number[] }
    for (let trial = 0; trial < trials; trial += 1) {
      times.day.push(await timed(client, scan(name)))
      times.fresh.push(await timed(client, scan(fresh)))
    }
    const what = `${name}, ${formatOf(table)}, ${where === '' ? 'all' : 'one partition'}`
    found.push({ what, dayMs: median(times.day), freshMs: median(times.fresh) })
  }
  await client.execute(`drop table ${fresh} purge`)
  return found
}
