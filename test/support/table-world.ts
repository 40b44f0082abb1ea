/**
 * Tables whose rows a test can see: a term's query services over a catalog in memory, and a worker that the test plays.
 * A row is the number of the statement that wrote it. What a statement that reads its own table writes is what it has
 * read and a row of its own, so that every row that got lost shows.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { administrator } from '../../lib/access/index.ts'
import type { Table } from '../../lib/catalog/model.ts'
import { absolutePath, contentVersionOf } from '../../lib/catalog/state.ts'
import type {
  Manifest,
  QueryStatus,
  Task,
  TaskReport,
  WorkerInfo,
} from '../../lib/contract/index.ts'
import { resolved } from '../../lib/master/queries/catalog/catalog-service.ts'
import type { QueryOptions } from '../../lib/master/queries/options.ts'
import { askedFor, meantBy } from '../../lib/worker/scope.ts'
import { settle } from './hand-clock.ts'
import { ID, reportOf, type Seat, Terms, workerAt } from './query-terms.ts'

/** One that was begun: its answer comes when it is done, or after a while. */
export interface Begun {
  readonly number: number
  readonly queryId: string
  readonly sql: string
}

interface Row {
  readonly number: number
  readonly partition: string | null
}

/** What the worker has read for an attempt. */
interface Reading {
  readonly task: Task
  readonly reads: Manifest['reads']
  readonly rows: readonly Row[]
}

const SESSION = { database: 'default', user: 'me', variables: {} }

export class TableWorld {
  readonly terms: Terms
  seat: Seat
  readonly #worker: WorkerInfo
  /** By absolute path. */
  readonly #files = new Map<string, readonly Row[]>()
  /** What it was given and has not begun to read for. */
  readonly #accepted = new Map<string, Task>()
  readonly #readings = new Map<string, Reading>()
  /** Ended ones that no master has taken note of. */
  readonly #reports = new Map<string, { task: Task; report: TaskReport }>()
  #last = 0
  #isServed = true

  private constructor(terms: Terms, seat: Seat, slots: number) {
    this.#worker = workerAt(1, slots)
    this.terms = terms
    this.seat = seat
  }

  static async begin(
    t: Test,
    options: Partial<QueryOptions> = {},
    slots = 100,
  ): Promise<TableWorld> {
    const terms = new Terms(t, options)
    const world = new TableWorld(terms, await terms.begin(), slots)
    await world.#register()
    return world
  }

  /** A directory with a file, for ADD PARTITION; its row is number 0. */
  place(name: string, partition: string): string {
    const directory = join(this.terms.directory, 'allowed', name)
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, 'part'), '')
    this.#files.set(join(directory, 'part'), [{ number: 0, partition }])
    return directory
  }

  /** Submits it and lets it come as far as it can without the worker. */
  async begin(sql: string): Promise<Begun> {
    const number = ++this.#last
    const queryId = ID(number)
    await this.#submit({ number, queryId, sql })
    return { number, queryId, sql }
  }

  /** As its client hears of it, which submits it again where nobody knows it. */
  async status(begun: Begun): Promise<QueryStatus> {
    const { queryId } = begun
    const seen = { queryId, state: 'queued', attempt: 99, worker: null, waitMs: 0 } as const
    const told = await this.seat.term.client.wait(seen, administrator('me'))
    if (told !== null) return told
    await this.#submit(begun)
    return this.status(begun)
  }

  /** Of one that needs the worker no more; it may look at files. */
  async ended(begun: Begun): Promise<QueryStatus> {
    for (;;) {
      const status = await this.status(begun)
      if (status.state !== 'queued' && status.state !== 'running') return status
      await settle()
      await this.#goOn()
    }
  }

  async #submit({ queryId, sql }: Begun): Promise<void> {
    const { client, list } = this.seat.term
    const said = client.submit({ queryId, attempt: 1, sql, session: SESSION }, administrator('me'))
    said.catch(() => undefined)
    // Planning may look at files; the answer of one that waits comes only after a while.
    while (list.get(queryId) === null) await settle()
    await this.#goOn()
  }

  /** The worker asks the catalog for the tables of the newest attempt. */
  read(begun: Begun): void {
    const task = this.#accepted.get(begun.queryId)
    if (task === undefined) throw new Error(`${begun.sql}: the worker has not got it`)
    this.#accepted.delete(begun.queryId)
    const names = [...task.query.text.matchAll(/\bfrom (\w+)/g)].map(([, name]) => String(name))
    const bound = task.names ?? null
    const asked = names.map((name) => askedFor({ database: 'default', name }, bound))
    const state = this.seat.catalog.state()
    const tables = asked.flatMap((use) => meantBy(use, resolved(state, use), bound) ?? [])
    this.#readings.set(begun.queryId, {
      task,
      reads: tables.map((table) => ({
        tableId: table.id,
        contentVersion: contentVersionOf(table),
      })),
      rows: tables.filter(({ id }) => id === task.write?.tableId).flatMap((one) => this.rows(one)),
    })
  }

  /** The ids of the tables that the worker has read for it. */
  readBy({ queryId }: Begun): number[] {
    return this.#readings.get(queryId)?.reads.map(({ tableId }) => tableId) ?? []
  }

  /** The worker has written what it has read and the statement's own row, and tells so. */
  async finish(begun: Begun): Promise<void> {
    const reading = this.#readings.get(begun.queryId)
    if (reading === undefined) throw new Error(`${begun.sql}: nothing was read`)
    this.#readings.delete(begun.queryId)
    const { task, reads, rows } = reading
    const partitioned = (task.write?.partitionBy.length ?? 0) > 0
    const own = { number: begun.number, partition: partitioned ? 'a' : null }
    const manifest = this.#write(task, [...rows, own], reads)
    this.#reports.set(begun.queryId, { task, report: reportOf(task, 'succeeded', { manifest }) })
    await this.beat()
  }

  /** Read and written at once. */
  async run(begun: Begun): Promise<void> {
    this.read(begun)
    await this.finish(begun)
  }

  async beat(): Promise<void> {
    if (!this.#isServed) return
    const reports = this.#tasks().map(({ report }) => report)
    const { forget } = this.seat.term.tracker.heartbeat({
      workerId: this.#worker.workerId,
      incarnation: this.#worker.incarnation,
      freeSlots: this.#worker.slots - this.#accepted.size - this.#readings.size,
      reports,
    })
    this.#forget(forget, reports)
    await this.#goOn()
  }

  /** Time passes, and the worker goes on telling. */
  async pass(ms: number): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= 1000) {
      await this.terms.clock.advance(Math.min(leftMs, 1000))
      await this.beat()
    }
  }

  #tasks(): { task: Task; report: TaskReport }[] {
    const tasks = [
      ...this.#accepted.values(),
      ...[...this.#readings.values()].map((one) => one.task),
    ]
    const running = tasks.map((task) => ({ task, report: reportOf(task, 'running') }))
    return [...this.#reports.values(), ...running]
  }

  /** Lets everything go on that waits for no time. */
  async #goOn(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await this.terms.clock.advance(0)
  }

  /** kill -9 of the master: whoever tells something to it is not heard. */
  async end(): Promise<void> {
    await this.seat.end()
    this.#isServed = false
  }

  /** The next master knows what is in the catalog, and what the worker tells. */
  async failOver(): Promise<void> {
    if (this.#isServed) await this.end()
    this.seat = await this.terms.begin()
    this.#isServed = true
    await this.#register()
  }

  async #register(): Promise<void> {
    this.seat.calls.answer = (_info, task) => {
      // It replaces an earlier attempt.
      this.#reports.delete(task.queryId)
      this.#readings.delete(task.queryId)
      this.#accepted.set(task.queryId, task)
      return { is: 'accepted' }
    }
    const tasks = this.#tasks()
    const { forget } = this.seat.term.tracker.register({ worker: this.#worker, tasks })
    this.#forget(
      forget,
      tasks.map(({ report }) => report),
    )
    await this.#goOn()
  }

  /** As a worker does it: what it was given since then is another attempt. */
  #forget(queryIds: readonly string[], told: readonly TaskReport[]): void {
    for (const { queryId, attempt } of told) {
      if (!queryIds.includes(queryId)) continue
      if (this.#accepted.get(queryId)?.attempt === attempt) this.#accepted.delete(queryId)
      if (this.#readings.get(queryId)?.task.attempt === attempt) this.#readings.delete(queryId)
      if (this.#reports.get(queryId)?.report.attempt === attempt) this.#reports.delete(queryId)
    }
  }

  /** Whether the worker has it and may begin to read for it, and whether it has done so. */
  has({ queryId }: Begun): 'to read' | 'to finish' | 'nothing' {
    if (this.#accepted.has(queryId)) return 'to read'
    return this.#readings.has(queryId) ? 'to finish' : 'nothing'
  }

  /** The numbers of the statements whose rows the table has, sorted; null: no such table. */
  content(name: string): number[] | null {
    const table = this.seat.catalog.state().find('default', name)
    if (table === null) return null
    return this.rows(table)
      .map(({ number }) => number)
      .sort((a, b) => a - b)
  }

  rows(table: Table): Row[] {
    return [...table.files].flatMap(({ path, partition }) =>
      (this.#files.get(absolutePath(table, path)) ?? []).map((row) => ({
        ...row,
        partition: partition[0] ?? null,
      })),
    )
  }

  #write(task: Task, rows: readonly Row[], reads: Manifest['reads']): Manifest {
    const { write } = task
    if (write === null) throw new Error(`${task.sql}: it writes nothing`)
    const partitions = [...new Set(rows.map(({ partition }) => partition))]
    const files = partitions.map((partition, at) => {
      const path = join(write.directory, `part-${at}`)
      const own = rows.filter((row) => row.partition === partition)
      this.#files.set(path, own)
      const relative = path.slice(write.base.length + 1)
      const values = write.partitionBy.length > 0 ? [partition] : []
      return { path: relative, rows: own.length, bytes: 10, partition: values }
    })
    return {
      reads: [...reads],
      columns: ['a', 'b'].map((name) => ({ name, type: 'INT4' })),
      partitionColumns: write.partitionBy.map(({ name, type }) => ({ name, type: type ?? 'TEXT' })),
      files,
      rows: rows.length,
      bytes: 10,
    }
  }
}
