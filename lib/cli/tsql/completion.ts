/**
 * What the tab key offers: keywords, and what the catalog holds. The catalog is asked at most every few seconds and may
 * take its time only for a moment: a completion that makes somebody wait is worse than none.
 */
import { type Clock, within } from '../../base/time.ts'
import type { TajoClient } from '../../client/index.ts'
import { META_COMMANDS } from './meta.ts'

const FRESH_MS = 10_000
const PATIENCE_MS = 1000
/** Nobody waits at the Tab key for more. */
const MOST_TABLES = 1000

const KEYWORDS = (
  'ADD ALL ALTER ANALYZE AND AS ASC BETWEEN BY CASE CAST COLUMN COUNT CREATE CROSS CSV DATABASE DATABASES DESC ' +
  'DESCRIBE DISTINCT DROP ELSE END EXCEPT EXISTS EXPLAIN EXTERNAL FALSE FROM FULL FUNCTIONS GROUP HAVING IF ILIKE IN ' +
  'INNER INSERT INTERSECT INTO IS JOIN JSON LEFT LIKE LIMIT LOCATION NOT NULL OFFSET ON OPTIMIZE OR ORDER OUTER OVER OVERWRITE ' +
  'PARQUET PARTITION PROPERTY PURGE RENAME RIGHT SELECT SET SHOW SUM TABLE TABLES TEXT THEN TO TRUE TRUNCATE UNION ' +
  'UNSET USING VALUES WHEN WHERE WITH'
).split(' ')

interface Names {
  readonly databases: readonly string[]
  readonly tables: readonly string[]
  readonly columns: readonly string[]
}
const NOTHING: Names = { databases: [], tables: [], columns: [] }

export class Completion {
  readonly #client: TajoClient
  readonly #clock: Clock
  #names = NOTHING
  /** Of which database, and since when. */
  #known: { readonly database: string; readonly atMs: number } | null = null

  constructor(client: TajoClient, clock: Clock) {
    this.#client = client
    this.#clock = clock
  }

  /** Tells candidates for the last word of `line`, and that word. Never rejects. */
  async complete(line: string): Promise<[string[], string]> {
    const word = /[^\s(),;=<>+*/'"]*$/.exec(line)?.[0] ?? ''
    const before = line.slice(0, line.length - word.length)
    if (before.trim() === '' && word.startsWith('\\')) {
      return [META_COMMANDS.filter((command) => command.startsWith(word)), word]
    }
    const names = await this.#fresh()
    const command = before.trimStart().split(/\s/)[0] ?? ''
    if (command === '\\c') return [startingWith(word, names.databases), word]
    if (command === '\\d') return [startingWith(word, names.tables), word]
    if (command.startsWith('\\')) return [[], word]
    const small = word !== '' && word === word.toLowerCase()
    const keywords = KEYWORDS.map((keyword) => (small ? keyword.toLowerCase() : keyword))
    const databases = names.databases.map((name) => `${name}.`)
    const all = [...names.tables, ...names.columns, ...databases, ...(word === '' ? [] : keywords)]
    return [startingWith(word, all), word]
  }

  async #fresh(): Promise<Names> {
    const { database } = this.#client.session
    const nowMs = this.#clock.nowMs()
    if (this.#known?.database === database && nowMs - this.#known.atMs < FRESH_MS)
      return this.#names
    this.#known = { database, atMs: nowMs }
    this.#names = NOTHING
    const asked = Promise.all([
      this.#client.databases(),
      this.#client.tablesAmong(database, { limit: MOST_TABLES }),
    ])
      .then(([databases, { tables }]) => {
        const columns = tables.flatMap((table) => [...table.columns, ...table.partitionColumns])
        const unique = [...new Set(columns.map(({ name }) => name))]
        this.#names = { databases, tables: tables.map(({ name }) => name), columns: unique }
      })
      // Nothing to offer is all that it means here; a statement will say what is wrong.
      .catch(() => undefined)
    await within(this.#clock, PATIENCE_MS, asked, () => {})
    return this.#names
  }
}

const startingWith = (word: string, candidates: readonly string[]): string[] => {
  const typed = word.toLowerCase()
  const found = candidates.filter((candidate) => candidate.toLowerCase().startsWith(typed))
  return [...new Set(found)].sort()
}
