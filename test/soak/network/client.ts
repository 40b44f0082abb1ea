/**
 * Those who work at the desk while the network is cut, with a ledger of what they were told. A statement may fail; what was
 * acknowledged may not be lost or doubled. Each line of stdin is an order, answered by a line of JSON:
 *
 *     begin 7         a table of its own for round 7
 *     row             one INSERT, again and again until one is acknowledged
 *     load on|off     several append all the time, and one reads
 *     check           reads the table, judges it, and drops it
 */
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { type QueryResult, TajoClient } from '../../../lib/client/index.ts'
import { Ledger } from '../ground/ledger.ts'

export interface Rows {
  readonly acknowledged: number
  /** Of statements that failed: they may be there. */
  readonly unknown: number
  readonly lost: number
  readonly doubled: number
  readonly foreign: number
}

const [haDirectory = '', ...masters] = process.argv.slice(2)
const HANDS = 3
const ROWS = 10
const PAUSE_MS = 100

const clientOf = (retries: number): TajoClient =>
  new TajoClient({
    haDirectory,
    masters: masters.map((host) => ({ client: `${host}:26002`, catalog: `${host}:26005` })),
    retry: { maxNum: retries },
  })

const clients = Array.from({ length: HANDS + 1 }, () => clientOf(40))
const [reader] = clients as [TajoClient]
let table = ''
let ledger = new Ledger()
let nextId = 1
let loaded = false
let working: Promise<void>[] = []

async function append(client: TajoClient): Promise<boolean> {
  const first = nextId
  nextId += ROWS
  ledger.sent(first, ROWS)
  const sql = `insert into ${table} (id) select cast(${first} + i as bigint) from range(${ROWS}) t(i)`
  try {
    await client.execute(sql)
  } catch {
    // Its fate is unknown, and so the ledger keeps it.
    return false
  }
  ledger.acknowledged(first, ROWS)
  return true
}

async function rowsOf(result: QueryResult): Promise<Map<number, number>> {
  const rows = new Map<number, number>()
  for await (const batch of result.rows()) {
    for (const [id] of batch) rows.set(Number(id), (rows.get(Number(id)) ?? 0) + 1)
  }
  return rows
}

const insist = async <T>(work: () => Promise<T>): Promise<T> => {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.message : error}; again\n`)
      await sleep(PAUSE_MS)
    }
  }
}

async function whileLoaded(work: () => Promise<unknown>): Promise<void> {
  while (loaded) {
    await work()
    await sleep(PAUSE_MS)
  }
}

const readAll = async (): Promise<void> => {
  // That a read fails while nobody can be reached is no fault.
  await reader.query(`select count(*) from ${table}`).then(rowsOf, () => undefined)
}

async function check(): Promise<Rows> {
  const rows = await insist(async () => rowsOf(await reader.query(`select id from ${table}`)))
  const { acknowledged, unknown, lost, doubled, foreign } = ledger.judge(rows)
  await insist(() => reader.execute(`drop table if exists ${table} purge`))
  return {
    acknowledged,
    unknown,
    lost: lost.length,
    doubled: doubled.length,
    foreign: foreign.length,
  }
}

async function obey(order: string): Promise<unknown> {
  const [word, what = ''] = order.split(' ')
  switch (word) {
    case 'begin':
      table = `round_${what}`
      ledger = new Ledger()
      await insist(() =>
        reader.execute(`create table if not exists ${table} (id INT8) using parquet`),
      )
      return true
    case 'row':
      while (!(await append(reader))) await sleep(PAUSE_MS)
      return true
    case 'load': {
      loaded = what === 'on'
      if (loaded) {
        const [, ...hands] = clients
        const works = [readAll, ...hands.map((client) => () => append(client))]
        working = works.map(whileLoaded)
      } else await Promise.all(working)
      return true
    }
    case 'check':
      return check()
    default:
      throw new Error(`${order} is no order`)
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await obey(line))}\n`)
}
process.exit(0)
