/**
 * One client of the query soak: a mixed load of queries and changes, and a model of what must come of them. No statement
 * may fail, and whatever was acknowledged must be there exactly once: each row carries a number that is used once, so a
 * count, a sum and a count of distinct ones tell a row that is missing from one that is there twice.
 */
import type { Row, TajoClient } from '../../lib/client/index.ts'

/** What a table must hold: how many rows, the sum of their ids, and a sum of squares, modulo a prime. */
interface Content {
  readonly rows: number
  readonly sum: bigint
  readonly squares: bigint
}

export interface WorkloadOptions {
  readonly client: TajoClient
  /** Names the client's own tables. */
  readonly index: number
  readonly random: () => number
  /** A table that all clients append to. */
  readonly sharedTable: string
  readonly onViolation: (text: string) => void
}

const PRIME = 1_000_003n
const EMPTY: Content = { rows: 0, sum: 0n, squares: 0n }
const MOST_TABLES = 6
/** Ids of one client never meet another's. */
const ID_SPACE = 1_000_000_000

const plus = (a: Content, b: Content): Content => ({
  rows: a.rows + b.rows,
  sum: a.sum + b.sum,
  squares: a.squares + b.squares,
})

/** Of the ids from `first` on. */
function contentOf(first: number, count: number): Content {
  let content = EMPTY
  for (let id = first; id < first + count; id += 1) {
    const residue = BigInt(id) % PRIME
    content = plus(content, { rows: 1, sum: BigInt(id), squares: (residue * residue) % PRIME })
  }
  return content
}

const CHECK =
  'select count(*), count(distinct id), coalesce(sum(id), 0), coalesce(sum(((id % 1000003) * (id % 1000003)) % 1000003), 0) from'

export class Workload {
  readonly #options: WorkloadOptions
  readonly #tables = new Map<string, Content>()
  #shared = EMPTY
  #nextId: number
  #nextTable = 0
  #stopped = false
  readonly counts = new Map<string, number>()
  /** The longest that a statement took, ms, by its kind. */
  readonly longestMs = new Map<string, number>()

  constructor(options: WorkloadOptions) {
    this.#options = options
    this.#nextId = options.index * ID_SPACE
  }

  /** What it has appended to the shared table. */
  get shared(): Content {
    return this.#shared
  }

  stop(): void {
    this.#stopped = true
  }

  /** One statement after the other until it is stopped, then a last look at all tables. */
  async run(): Promise<void> {
    while (!this.#stopped) await this.#one()
    for (const [table, content] of this.#tables) await this.#check(table, content)
  }

  async #one(): Promise<void> {
    const { random } = this.#options
    const dice = random()
    const table = [...this.#tables.keys()][Math.floor(random() * this.#tables.size)]
    if (table === undefined || (dice < 0.08 && this.#tables.size < MOST_TABLES)) {
      await this.#timed('create table', () => this.#create())
    } else if (dice < 0.3) await this.#timed('insert', () => this.#insert(table, false))
    else if (dice < 0.4) await this.#timed('insert overwrite', () => this.#insert(table, true))
    else if (dice < 0.5) await this.#timed('insert, shared table', () => this.#append())
    else if (dice < 0.58) await this.#timed('create table as', () => this.#copy(table))
    else if (dice < 0.63) await this.#timed('drop table', () => this.#drop(table))
    else if (dice < 0.9) {
      await this.#timed('select, short', () => this.#check(table, this.#tables.get(table) ?? EMPTY))
    } else await this.#timed('select, long', () => this.#long())
  }

  async #timed(kind: string, work: () => Promise<void>): Promise<void> {
    const startedMs = performance.now()
    try {
      await work()
    } catch (error) {
      const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
      this.#options.onViolation(`client ${this.#options.index}, ${kind}: ${text}`)
      // What became of it is unknown now: the model would only repeat the complaint.
      this.#stopped = true
      this.#tables.clear()
    }
    const tookMs = performance.now() - startedMs
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
    this.longestMs.set(kind, Math.max(this.longestMs.get(kind) ?? 0, tookMs))
  }

  #name(): string {
    this.#nextTable += 1
    return `c${this.#options.index}_${this.#nextTable}`
  }

  #ids(): { first: number; count: number; select: string } {
    const count = 1 + Math.floor(this.#options.random() * 200)
    const first = this.#nextId
    this.#nextId += count
    const select = `select cast(${first} + i as bigint) as id, 'row ' || i as note from range(${count}) t(i)`
    return { first, count, select }
  }

  async #create(): Promise<void> {
    const table = this.#name()
    const format = this.#options.random() < 0.5 ? 'PARQUET' : "TEXT WITH ('text.delimiter'='|')"
    await this.#options.client.execute(`create table ${table} (id INT8, note TEXT) using ${format}`)
    this.#tables.set(table, EMPTY)
  }

  async #insert(table: string, overwrite: boolean): Promise<void> {
    const { first, count, select } = this.#ids()
    const word = overwrite ? 'insert overwrite into' : 'insert into'
    await this.#options.client.execute(`${word} ${table} ${select}`)
    const before = overwrite ? EMPTY : (this.#tables.get(table) ?? EMPTY)
    this.#tables.set(table, plus(before, contentOf(first, count)))
  }

  async #append(): Promise<void> {
    const { first, count, select } = this.#ids()
    await this.#options.client.execute(`insert into ${this.#options.sharedTable} ${select}`)
    this.#shared = plus(this.#shared, contentOf(first, count))
  }

  async #copy(from: string): Promise<void> {
    if (this.#tables.size >= MOST_TABLES) return
    const table = this.#name()
    await this.#options.client.execute(
      `create table ${table} using parquet as select id, note from ${from}`,
    )
    this.#tables.set(table, this.#tables.get(from) ?? EMPTY)
  }

  async #drop(table: string): Promise<void> {
    await this.#options.client.execute(`drop table ${table} purge`)
    this.#tables.delete(table)
  }

  async #check(table: string, content: Content): Promise<void> {
    const text = await holds(this.#options.client, table, content)
    if (text !== null) this.#options.onViolation(`client ${this.#options.index}: ${text}`)
  }

  /** Streams for some seconds; every row is looked at. */
  async #long(): Promise<void> {
    const rows = 300_000 + Math.floor(this.#options.random() * 700_000)
    const result = await this.#options.client.query(
      `select i, md5(cast(i as varchar)) from range(${rows}) t(i) order by md5(cast(i as varchar)), i`,
    )
    let count = 0
    let sum = 0n
    for await (const batch of result.rows()) {
      count += batch.length
      for (const [i] of batch as [unknown, unknown][]) sum += BigInt(String(i))
    }
    const expected = (BigInt(rows) * BigInt(rows - 1)) / 2n
    if (count === rows && sum === expected) return
    const text = `a long select had ${count} rows of ${rows}, sum ${sum} of ${expected}`
    this.#options.onViolation(`client ${this.#options.index}: ${text}`)
  }
}

/** Null when the table holds just that; else what is wrong. */
export async function holds(
  client: TajoClient,
  table: string,
  content: Content,
): Promise<string | null> {
  const result = await client.query(`${CHECK} ${table}`)
  const all: Row[] = []
  for await (const batch of result.rows()) all.push(...batch)
  const [count, distinct, sum, squares] = (all[0] ?? []).map((value) => BigInt(String(value)))
  const expected = [BigInt(content.rows), BigInt(content.rows), content.sum, content.squares]
  const found = [count, distinct, sum, squares]
  if (found.every((value, i) => value === expected[i])) return null
  return `${table} holds ${found.join('/')}, not ${expected.join('/')} (rows, distinct ids, sum, squares)`
}

export const sumOf = (contents: readonly Content[]): Content => contents.reduce(plus, EMPTY)
