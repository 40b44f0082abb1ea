/** A worker's engine over a throw-away warehouse, with a catalog that tests fill by hand. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../lib/base/time.ts'
import { FileList } from '../../lib/catalog/file-list.ts'
import { joined } from '../../lib/catalog/joined.ts'
import type { Column, PlainTable, Table } from '../../lib/catalog/model.ts'
import type {
  Confinement,
  Manifest,
  QueryError,
  Task,
  WriteTarget,
} from '../../lib/contract/index.ts'
import { FilePages } from '../../lib/master/queries/catalog/catalog-service.ts'
import {
  compactedOf,
  compactionOf,
  planJoins,
} from '../../lib/master/queries/compaction/compaction.ts'
import type { JoinRules } from '../../lib/master/queries/compaction/join-planner.ts'
import { type EngineText, engineText, fromDuckDb, toDuckDb } from '../../lib/sql/index.ts'
import type { AskedTable } from '../../lib/worker/catalog-reader.ts'
import { Engines } from '../../lib/worker/engines.ts'
import { type JoiningInput, joinFiles } from '../../lib/worker/joining.ts'
import type { QueryEngine } from '../../lib/worker/query-engine.ts'
import { queryErrorOf } from '../../lib/worker/query-error.ts'
import type { Reach } from '../../lib/worker/reach.ts'
import { RESULT_LIMITS, ResultRoom, zonedRows } from '../../lib/worker/results.ts'
import { Roots, realPathOf } from '../../lib/worker/roots.ts'
import { type QueryParts, RunningQuery } from '../../lib/worker/running-query.ts'
import { enterScope, type ScopeParts } from '../../lib/worker/scope.ts'
import { type Staged, type StagingInput, stage } from '../../lib/worker/staging.ts'

export const TYPES = { toDuckDb, fromDuckDb }

/** `a INT4, b TEXT`, for types without commas. */
export const columnsOf = (text: string): Column[] =>
  text === ''
    ? []
    : text.split(', ').map((one) => {
        const [name = '', type = ''] = one.split(' ')
        return { name, type }
      })

export class TestWarehouse {
  readonly directory: string
  readonly tables = new Map<string, Table>()
  readonly engines: Engines
  readonly spillDirectory: string
  readonly #scope: ScopeParts
  /** Where the files of some tables have to be. */
  readonly confined = new Map<string, Confinement>()
  /** What its engines wrote into the worker's log. */
  readonly logged: string[]
  /** How many files were told of to the queries. */
  told = 0
  #writes = 0

  private constructor(
    directory: string,
    spillDirectory: string,
    engines: Engines,
    logged: string[],
  ) {
    this.logged = logged
    this.directory = directory
    this.spillDirectory = spillDirectory
    this.engines = engines
    this.#scope = {
      roots: new Roots([directory]),
      toDuckDb,
      resolve: async (uses) => ({
        tables: await this.#resolve(uses),
        refused: new Map(),
        confined: new Map(
          uses.flatMap(({ database, name }, at) => {
            const confinement = this.confined.get(`${database}.${name}`)
            return confinement === undefined ? [] : [[at, confinement] as const]
          }),
        ),
      }),
    }
  }

  /** Below `parent`, which the test removes. */
  static async open(parent: string): Promise<TestWarehouse> {
    const directory = join(realpathSync(parent), 'warehouse')
    const spillDirectory = join(realpathSync(parent), 'spill')
    for (const one of [directory, spillDirectory]) mkdirSync(one)
    const logged: string[] = []
    const engines = await Engines.open({
      ...{ threads: 2, memoryBytes: 512 * 1024 * 1024, slots: 1, spillDirectory },
      ...{ niceness: 0, spillBytes: 1024 ** 4, secretName: randomUUID, clock: systemClock },
      log: (_level, message) => logged.push(message),
    })
    return new TestWarehouse(directory, spillDirectory, engines, logged)
  }

  /** An engine that opens whatever lies in the warehouse, or just that. */
  async connect(reach: Reach = { files: [], directories: [this.directory] }): Promise<QueryEngine> {
    const engine = await this.engines.take()
    engine.open(reach)
    return engine
  }

  table(name: string, columns: string, { files = [], ...more }: Partial<PlainTable> = {}): Table {
    const table: Table = {
      id: this.tables.size + 1,
      database: 'default',
      name,
      kind: 'managed',
      format: 'PARQUET',
      options: {},
      columns: columnsOf(columns),
      partitionColumns: [],
      location: join(this.directory, 'default', name),
      wholeDirectory: false,
      schemaVersion: 1,
      createdAt: '2026-01-01T00:00:00.000Z',
      ...more,
      files: FileList.of(files),
    }
    this.put(table)
    return table
  }

  /** As the active master answers, by way of JSON, and the worker reads it. */
  async #resolve(asked: readonly AskedTable[]): Promise<(Table | null)[]> {
    const found = asked.map(({ database, name }) => this.tables.get(`${database}.${name}`) ?? null)
    const lists = found.map(() => FileList.EMPTY)
    const pages = new FilePages(systemClock)
    let page = await pages.begin(JSON.parse(JSON.stringify(asked)), found)
    for (;;) {
      for (const { of, packed } of page.files) {
        lists[of] = (lists[of] ?? FileList.EMPTY).appendPacked(packed)
        this.told += packed.paths.length
      }
      if (page.next === null) break
      page = await pages.more(page.next)
    }
    return found.map((table, at) =>
      table === null ? null : { ...table, files: lists[at] ?? FileList.EMPTY },
    )
  }

  put(table: Table): void {
    this.tables.set(`${table.database}.${table.name}`, table)
  }

  /** The rows, or the error that the client would get. */
  async query(sql: string, timeZone = ''): Promise<unknown[][] | QueryError> {
    const query = engineText({ text: sql, place: { line: 1, column: 1 } })
    const engine = await this.engines.take()
    try {
      await this.#enter(engine, query, { timeZone })
      const stream = await zonedRows(engine, query.text, timeZone)
      const rows: unknown[][] = []
      for (let next = await stream.next(); next !== null; next = await stream.next()) {
        rows.push(...next.map((row) => JSON.parse(row)))
      }
      return rows
    } catch (error) {
      return queryErrorOf(error, query)
    } finally {
      await engine.close()
    }
  }

  #enter(
    engine: QueryEngine,
    query: EngineText,
    { timeZone = '', writesTo = null }: { timeZone?: string; writesTo?: string | null } = {},
  ): ReturnType<typeof enterScope> {
    const { signal } = new AbortController()
    const input = { query, database: 'default', names: null, writesTo, timeZone, signal }
    return enterScope(engine, input, this.#scope)
  }

  /** What is told of the tables that it reads. */
  async reads(sql: string): Promise<Manifest['reads']> {
    const query = engineText({ text: sql, place: { line: 1, column: 1 } })
    const engine = await this.engines.take()
    try {
      return await this.#enter(engine, query)
    } finally {
      await engine.close()
    }
  }

  /** Writes a query's result for a table, and adds it to the table as a master would. */
  async insert(
    table: Table,
    sql: string,
    more: Partial<WriteTarget> = {},
    way?: StagingInput['way'],
  ): Promise<Staged | QueryError> {
    const query = engineText({ text: sql, place: { line: 1, column: 1 } })
    const engine = await this.engines.take()
    this.#writes += 1
    try {
      const target = { ...this.#target(table), ...more }
      const writesTo = await realPathOf(target.directory)
      await this.#enter(engine, query, { writesTo })
      const { roots } = this.#scope
      const input = { engine, query, target, roots, types: TYPES }
      const manifest = await stage(way === undefined ? input : { ...input, way })
      const now = this.tables.get(`${table.database}.${table.name}`) ?? table
      this.put({ ...now, files: now.files.append(manifest.files) })
      return manifest
    } catch (error) {
      return queryErrorOf(error, query)
    } finally {
      await engine.close()
    }
  }

  /** Joins what the rules choose, and replaces it in the table as a master would. */
  async join(
    table: Table,
    rules: Partial<JoinRules> = {},
    more: Partial<Pick<JoiningInput, 'signal'> & { keep: boolean }> = {},
  ): Promise<Manifest | QueryError> {
    const now = this.tables.get(`${table.database}.${table.name}`) ?? table
    const plan = await planJoins(now.files, {
      ...{ minFiles: 2, smallBytes: 1e9, targetBytes: 1e9, sparing: false, cheapBytes: 0 },
      ...{ mostFiles: 1e9, mostBytes: 1e18, ...rules },
    })
    this.#writes += 1
    const how = { queryId: String(this.#writes), attempt: 1, term: 1 }
    const parts = compactionOf(now, plan, { ...how, keepMs: 0, background: false })
    const engine = await this.engines.take()
    try {
      const manifest = await joinFiles({
        ...{ engine, compaction: parts.compaction },
        ...{ roots: this.#scope.roots, types: TYPES },
        ...{ target: parts.write, way: async () => null, signal: new AbortController().signal },
        onRows: () => {},
        ...more,
      })
      const { changes } = compactedOf(now, { ...parts }, manifest)
      const [change] = changes
      if (change?.do !== 'compact') throw new Error('nothing was joined')
      const files = joined(now, change.joins)
      if (typeof files === 'string') throw new Error(files)
      if (more.keep !== true) {
        const kept = new Set(files.map(({ path }) => path))
        for (const { path } of now.files) if (!kept.has(path)) rmSync(join(now.location, path))
      }
      this.put({ ...now, files })
      return manifest
    } catch (error) {
      return queryErrorOf(error, null)
    } finally {
      await engine.close()
    }
  }

  /** A task as a master gives it to a worker; `requireOurs` is asked before and after the files are written. */
  begin(table: Table, sql: string, requireOurs: QueryParts['requireOurs']): RunningQuery {
    const text = { text: sql, place: { line: 1, column: 1 } }
    this.#writes += 1
    const task: Task = {
      ...{ queryId: randomUUID(), attempt: 1, sql, query: text, mode: 'write', create: null },
      ...{ session: { database: 'default', user: 'me', variables: {} }, submittedMs: 0 },
      ...{ write: this.#target(table), publishTo: null },
    }
    return new RunningQuery(task, {
      ...{ engines: this.engines, scope: this.#scope, types: TYPES, limits: RESULT_LIMITS },
      ...{ ready: async () => {}, requireOurs, clock: systemClock, wallClockMs: Date.now },
      ...{ room: new ResultRoom(), onSlot: () => {} },
      log: () => {},
    })
  }

  #target(table: Table): WriteTarget {
    return {
      tableId: table.id,
      schemaVersion: table.schemaVersion,
      mode: 'append',
      directory: join(table.location, `data-${this.#writes}-1`),
      base: table.location,
      format: table.format,
      options: { ...table.options },
      columns: [...table.columns, ...table.partitionColumns],
      into: null,
      partitionBy: table.partitionColumns.map(({ name, type }) => ({ name, type })),
    }
  }

  async close(): Promise<void> {
    await this.engines.close()
  }
}
