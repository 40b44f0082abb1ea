/**
 * The analysts of the soak: a process at the desk that works all the time, and keeps a ledger of what it was told. A
 * statement may fail, since the ground may be gone for a while; what was acknowledged may not be lost or doubled.
 *
 * Several append to tables of their own; on one more table some append, one replaces it by itself (INSERT OVERWRITE … SELECT
 * from it), and one alters it, all at once: none of the acknowledged rows may vanish, and no acknowledged column. Each line of stdin is a question,
 * answered by a line of JSON: `ping`, `check`, `stop`.
 */
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { type QueryResult, TajoClient } from '../../../lib/client/index.ts'
import { randomOf } from '../../support/random.ts'
import { Ledger, type Verdict } from './ledger.ts'

export interface Report {
  /** Statements that were acknowledged, and that failed, by kind. */
  readonly done: Record<string, number>
  readonly failed: Record<string, number>
  /** The last message of each kind of failure. */
  readonly said: Record<string, string>
  readonly acknowledged: number
  readonly unknown: number
  readonly lost: number
  readonly doubled: number
  readonly foreign: number
  /** Tables that could not be read at the end: what was acknowledged in them is not known to be there. */
  readonly unread: number
  /** A sentence for each table in which something is wrong. */
  readonly wrong: string[]
}

const [seed = '1', haDirectory = '', ...masters] = process.argv.slice(2)
/** A table is looked at, dropped and begun anew after so many statements: every INSERT adds a file. */
const STATEMENTS_A_TABLE = 80
const PAUSE_MS = 150
const MOST_ROWS = 20

const clientOf = (retries: number): TajoClient =>
  new TajoClient({
    haDirectory,
    masters: masters.map((host) => ({ client: `${host}:26002`, catalog: `${host}:26005` })),
    retry: { maxNum: retries },
  })

const total = {
  done: {} as Record<string, number>,
  failed: {} as Record<string, number>,
  said: {} as Record<string, string>,
  acknowledged: 0,
  unknown: 0,
  lost: 0,
  doubled: 0,
  foreign: 0,
  unread: 0,
  wrong: [] as string[],
}
let stopping = false
let nextId = 1
const takeIds = (count: number): number => {
  const first = nextId
  nextId += count
  return first
}

/** True when it was acknowledged. */
async function attempt(kind: string, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    total.done[kind] = (total.done[kind] ?? 0) + 1
    return true
  } catch (error) {
    total.failed[kind] = (total.failed[kind] ?? 0) + 1
    total.said[kind] = error instanceof Error ? error.message : String(error)
    return false
  }
}

/** Tries that are left when all ends. */
const LAST_TRIES = 5

/** Again and again until it is acknowledged, or all ends. */
async function insist(kind: string, work: () => Promise<unknown>): Promise<boolean> {
  for (let left = LAST_TRIES; !(await attempt(kind, work)); ) {
    if (stopping) left -= 1
    if (left === 0) return false
    await sleep(PAUSE_MS)
  }
  return true
}

/** How often each is there. */
function counted(ids: Iterable<number>, counts = new Map<number, number>()): Map<number, number> {
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
  return counts
}

/** By the first column. */
async function rowsOf(result: QueryResult): Promise<Map<number, number>> {
  const rows = new Map<number, number>()
  for await (const batch of result.rows()) {
    counted(
      batch.map(([id]) => Number(id)),
      rows,
    )
  }
  return rows
}

/** What clients were told of one table: of its rows, and of the columns `c1`, `c2`, … that were added. */
interface Told {
  readonly rows: Ledger
  readonly columns: Ledger
}

async function check(client: TajoClient, table: string, told: Told): Promise<void> {
  let rows = new Map<number, number>()
  let columns = new Map<number, number>()
  const read = await insist('check', async () => {
    const result = await client.query(`select * from ${table}`)
    columns = counted(result.columns.slice(1).map(({ name }) => Number(name.slice(1))))
    rows = await rowsOf(result)
  })
  if (!read) {
    total.unread += 1
    note(table, 'could not be read at the end')
    return
  }
  const verdict = told.rows.judge(rows)
  total.acknowledged += verdict.acknowledged
  total.unknown += verdict.unknown
  judge(table, 'rows', verdict)
  judge(table, 'columns', told.columns.judge(columns))
}

function judge(table: string, what: 'rows' | 'columns', verdict: Verdict): void {
  for (const how of ['lost', 'doubled', 'foreign'] as const) {
    const ids = verdict[how]
    if (ids.length === 0) continue
    total[how] += ids.length
    note(table, `${ids.length} ${what} ${how}, such as ${ids.slice(0, 5).join(', ')}`)
  }
}

const note = (table: string, text: string): void =>
  void total.wrong.push(`${new Date().toISOString()} ${table}: ${text}`)

/** Questions of the driver that all tables have to answer before they go on. */
let checks: (() => void)[] = []
let resting = 0
const checkpoint = async (): Promise<void> => {
  resting += 1
  await new Promise<void>((resolve) => checks.push(resolve))
  resting -= 1
}
let checking = false

interface Hand {
  readonly client: TajoClient
  readonly random: () => number
}

const append = async ({ client, random }: Hand, table: string, { rows }: Told): Promise<void> => {
  const count = 1 + Math.floor(random() * MOST_ROWS)
  const first = takeIds(count)
  rows.sent(first, count)
  const sql = `insert into ${table} (id) select cast(${first} + i as bigint) from range(${count}) t(i)`
  if (await attempt('insert', () => client.execute(sql))) rows.acknowledged(first, count)
}

async function work(table: string, hands: readonly ((told: Told) => Promise<void>)[]) {
  const client = clientOf(40)
  for (let generation = 0; !stopping; generation += 1) {
    const name = `${table}_${generation}`
    const told: Told = { rows: new Ledger(), columns: new Ledger() }
    const create = `create table if not exists ${name} (id INT8) using parquet`
    if (!(await insist('create table', () => client.execute(create)))) break
    names.set(table, name)
    let left = STATEMENTS_A_TABLE
    const one = async (hand: (told: Told) => Promise<void>): Promise<void> => {
      while (left > 0 && !stopping && !checking) {
        left -= 1
        await hand(told)
        await sleep(PAUSE_MS)
      }
    }
    await Promise.all(hands.map(one))
    await check(client, name, told)
    if (checking) await checkpoint()
    await insist('drop table', () => client.execute(`drop table if exists ${name} purge`))
  }
  await client.close()
}
const names = new Map<string, string>()

function appender(index: number): Promise<void> {
  const hand = { client: clientOf(40), random: randomOf(Number(seed) + index) }
  const table = `own${index}`
  const one = (told: Told) => append(hand, names.get(table) ?? table, told)
  return work(table, [one]).then(() => hand.client.close())
}

function mixers(): Promise<void> {
  const client = clientOf(40)
  const table = 'mixed'
  const name = (): string => names.get(table) ?? table
  const one: Hand = { client, random: randomOf(Number(seed) + 100) }
  const two: Hand = { client, random: randomOf(Number(seed) + 101) }
  let column = 0
  const hands = [
    (told: Told) => append(one, name(), told),
    (told: Told) => append(two, name(), told),
    async () => {
      const sql = `insert overwrite into ${name()} (id) select id from ${name()}`
      await attempt('overwrite by itself', () => client.execute(sql))
    },
    async ({ columns }: Told) => {
      column += 1
      const added = column
      columns.sent(added, 1)
      const sql = `alter table ${name()} add column (c${added} TEXT)`
      if (await attempt('alter', () => client.execute(sql))) columns.acknowledged(added, 1)
      await sleep(PAUSE_MS * 5)
    },
  ]
  return work(table, hands).then(() => client.close())
}

const workers = [appender(1), appender(2), mixers()]
const pinger = clientOf(8)

async function answer(line: string): Promise<unknown> {
  if (line === 'ping') {
    const ok = await attempt('ping', () => pinger.query('select 1').then(rowsOf))
    return { ok, said: ok ? null : (total.said.ping ?? null) }
  }
  if (line === 'check') {
    checking = true
    while (resting < workers.length) await sleep(20)
    checking = false
    const all = checks
    checks = []
    for (const go of all) go()
    return total
  }
  stopping = true
  await Promise.all(workers)
  await pinger.close()
  return total
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(line))}\n`)
  if (stopping) break
}
