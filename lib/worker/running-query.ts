/**
 * One task, from its acceptance to its end: entering its scope, running it, and telling how it stands.
 *
 * It ends once, whatever happens at the same time: `kill` only asks DuckDB to stop, lets go of the reader and remembers
 * why; the run itself comes to an end by that. Nothing of it rejects: what went wrong is in the report.
 */

import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import type { Clock } from '../base/time.ts'
import type { Manifest, ManifestPage, QueryError, Task, TaskReport } from '../contract/index.ts'
import type { LineWriter } from '../rpc/index.ts'
import { type EngineText, engineText } from '../sql/index.ts'
import type { Engines } from './engines.ts'
import { FUNCTION_COLUMNS, functionRows } from './functions.ts'
import { joinFiles } from './joining.ts'
import type { QueryEngine, Rows } from './query-engine.ts'
import { QueryFault, queryErrorOf, shiftedBack } from './query-error.ts'
import { NOTHING } from './reach.ts'
import { type ResultLimits, ResultQueue, type ResultRoom, zonedRows } from './results.ts'
import { realPathOf } from './roots.ts'
import { enterScope, type ScopeParts } from './scope.ts'
import { stage, type Way } from './staging.ts'
import { cutError, MessageRoom } from './task-list.ts'
import type { TypeNames } from './write-plan.ts'
import { Written } from './written.ts'

export interface QueryParts {
  readonly engines: Pick<Engines, 'take'>
  readonly scope: ScopeParts
  /** Resolves when it has somewhere to spill, or nobody can tell. */
  readonly ready: () => Promise<void>
  /** Rejects when what is written below this path is not in the cluster's directory; else by which way directories are made in it. */
  readonly requireOurs: (path: string) => Promise<Way | null>
  readonly types: TypeNames
  readonly limits: ResultLimits
  /** For results that wait without a slot. */
  readonly room: ResultRoom
  /** It takes no slot any more, and has not ended. */
  readonly onSlot: () => void
  readonly clock: Clock
  /** ms since 1970. */
  readonly wallClockMs: () => number
  readonly log: Log
}

/** A slot that is free is told so late, where its query has not ended by then. */
const TELL_MS = 100

export class RunningQuery {
  readonly task: Task
  /** Resolves at its end. */
  readonly ended: Promise<void>
  readonly #parts: QueryParts
  readonly #stopped = new AbortController()
  readonly #results: ResultQueue | null
  readonly #startedMs: number
  #engine: QueryEngine | null = null
  /** What it ends as, whatever it comes to meanwhile. */
  #killed: {
    readonly state: 'killed' | 'failed'
    readonly error: QueryError
    readonly stopped?: boolean
  } | null = null
  /** As DuckDB reads it; null while it can't even be read. */
  #query: EngineText | null = null
  #state: TaskReport['state'] = 'running'
  #error: QueryError | null = null
  #written: Written | null = null
  #rows = 0
  /** All its rows are computed. */
  #computed = false
  /** Gives back the room that its rows have without a slot; null: it has a slot, or has ended. */
  #leaveRoom: (() => void) | null = null

  constructor(task: Task, parts: QueryParts) {
    this.task = task
    this.#parts = parts
    this.#startedMs = parts.wallClockMs()
    this.#results =
      task.mode === 'write' || task.mode === 'compact'
        ? null
        : new ResultQueue({
            limits: parts.limits,
            clock: parts.clock,
            // Its client may only have lost its way to this worker, and try again.
            onAbandoned: (why) => this.#stop('killed', { kind: 'lost', message: why, place: null }),
          })
    this.ended = this.#run()
  }

  get running(): boolean {
    return this.#state === 'running'
  }

  /** What is computed waits for its reader, and takes nobody's place. */
  get holdsSlot(): boolean {
    return this.running && this.#leaveRoom === null
  }

  /** `room`: of the message that it goes into. */
  report(room = new MessageRoom()): TaskReport {
    return {
      queryId: this.task.queryId,
      attempt: this.task.attempt,
      state: this.#state,
      progress: this.#computed || this.#state === 'succeeded' ? 1 : (this.#engine?.progress() ?? 0),
      rows: this.#results === null ? this.#rows : this.#results.delivered,
      startedMs: this.#startedMs,
      error: this.#error,
      ...this.#told(room),
      ...this.#waits(),
      ...(this.#state === 'failed' && this.#killed?.stopped === true ? { stopped: true } : {}),
    }
  }

  #waits(): Pick<TaskReport, 'computed' | 'unreadMs'> {
    if (!this.running) return {}
    if (!this.holdsSlot) return { computed: true }
    const unreadMs = this.#results?.unreadMs ?? 0
    return unreadMs === 0 ? {} : { unreadMs }
  }

  #told(room: MessageRoom): Pick<TaskReport, 'manifest' | 'paged'> {
    const written = this.#state === 'succeeded' ? this.#written : null
    if (written === null) return { manifest: null }
    const { manifest, files } = written
    return manifest !== null && room.take(written) ? { manifest } : { manifest: null, paged: files }
  }

  /** Of what it has written, once it has succeeded; null where there is none of that number. */
  page(number: number): ManifestPage | null {
    return this.#state === 'succeeded' ? (this.#written?.page(number) ?? null) : null
  }

  /** Asks it to end; `ended` tells when it has. */
  kill(why: string): void {
    this.#stop('killed', { kind: 'killed', message: why, place: null })
  }

  /** The same because its worker ends: it is no fault of its own, and may be tried elsewhere. */
  stop(why: string): void {
    this.#stop('failed', { kind: 'lost', message: why, place: null }, true)
  }

  /** It has run for longer than any may. */
  overran(maxMs: number): void {
    const nothing = this.#results === null ? '; nothing was changed' : ''
    const message = `it has run for ${maxMs} ms, and may not run for longer (tajo.query.max-run-time)${nothing}`
    if (this.holdsSlot) this.#stop('failed', { kind: 'refused', message, place: null })
  }

  #stop(state: 'killed' | 'failed', error: QueryError, stopped = false): void {
    if (!this.running || this.#killed !== null) return
    this.#killed = { state, error, stopped }
    this.#stopped.abort()
    this.#engine?.interrupt()
    this.#results?.drop()
  }

  /** The client reads the result here; false when it can't: it is read already, or there is none. */
  fetch(writer: LineWriter<unknown>): boolean {
    return this.#results?.fetch(writer) ?? false
  }

  async #run(): Promise<void> {
    const { log, ready } = this.#parts
    try {
      const query = engineText(this.task.query)
      this.#query = query
      await ready()
      try {
        const engine = await this.#take()
        const { mode } = this.task
        if (mode === 'compact') await this.#join(engine)
        else if (mode === 'write') await this.#write(engine, query)
        else await this.#read(engine, query)
        this.#state = 'succeeded'
      } finally {
        await this.#engine?.close()
      }
    } catch (error) {
      this.#fail(error)
    }
    this.#engine = null
    this.#leaveRoom?.()
    this.#leaveRoom = null
    const { queryId, attempt } = this.task
    log('info', `query ${queryId} (attempt ${attempt}) ${this.#state}`, {
      event: 'query-attempt-ended',
      queryId,
      rows: this.report().rows,
      ...(this.#error === null ? {} : { reason: this.#error.message }),
    })
  }

  async #take(): Promise<QueryEngine> {
    const engine = await this.#parts.engines.take()
    this.#engine = engine
    // Who killed it before there was one must not be forgotten.
    if (this.#killed !== null) engine.interrupt()
    return engine
  }

  #enter(
    engine: QueryEngine,
    query: EngineText,
    writesTo: string | null,
  ): ReturnType<typeof enterScope> {
    const { session } = this.task
    const input = {
      ...{ query, writesTo },
      database: session.database,
      names: this.task.names ?? null,
      timeZone: timeZoneOf(session.variables),
      signal: this.#stopped.signal,
    }
    return enterScope(engine, input, this.#parts.scope)
  }

  async #write(engine: QueryEngine, query: EngineText): Promise<void> {
    const { write } = this.task
    if (write === null) throw new QueryFault('internal', 'a task to write does not say where')
    const { scope, types } = this.#parts
    const { roots } = scope
    const writesTo = await realPathOf(write.directory)
    roots.require(writesTo, write.directory)
    const reads = await this.#enter(engine, query, writesTo)
    const way = (): Promise<Way | null> => this.#requireOurs(write.directory, 'would write')
    const staged = await stage({ engine, query, target: write, roots, types, way })
    await this.#requireOurs(write.directory, 'wrote')
    await this.#keep({ ...staged, reads })
  }

  async #join(engine: QueryEngine): Promise<void> {
    const { write, compaction } = this.task
    if (write === null || compaction === undefined) {
      throw new QueryFault('internal', 'a task to join files does not say which')
    }
    const { scope, types } = this.#parts
    const manifest = await joinFiles({
      ...{ engine, compaction, target: write, roots: scope.roots, types },
      way: () => this.#requireOurs(write.directory, 'would write'),
      signal: this.#stopped.signal,
      onRows: (rows) => {
        this.#rows = rows
      },
    })
    await this.#requireOurs(write.directory, 'wrote')
    await this.#keep(manifest)
  }

  async #keep(manifest: Manifest): Promise<void> {
    this.#written = await Written.of(manifest)
    this.#rows = manifest.rows
  }

  async #requireOurs(path: string, does: 'would write' | 'wrote'): Promise<Way | null> {
    try {
      return await this.#parts.requireOurs(path)
    } catch (error) {
      const text = `what it ${does} is not in the cluster's directory: ${messageOf(error)}; nothing was changed`
      throw new QueryFault('internal', text, null, error)
    }
  }

  async #read(engine: QueryEngine, query: EngineText): Promise<void> {
    const results = this.#results as ResultQueue
    const total = await this.#answer(engine, query, results)
    await this.#leaveEngine(results)
    if (!(await results.end({ rows: total }))) this.#throwIfKilled()
  }

  /** All rows are computed, and their reader may come late: the engine and, where there is room, the slot are free. */
  async #leaveEngine(results: ResultQueue): Promise<void> {
    const { clock, room, onSlot } = this.#parts
    const engine = this.#engine
    this.#computed = true
    this.#engine = null
    await engine?.close()
    this.#leaveRoom = room.take(results.chars)
    if (this.#leaveRoom === null) return
    // As a rule it is read at once, and its end told.
    const cancel = clock.after(TELL_MS, onSlot)
    void this.ended.then(cancel)
  }

  /** Resolves to the number of rows. */
  async #answer(engine: QueryEngine, query: EngineText, results: ResultQueue): Promise<number> {
    const { mode, session } = this.task
    if (mode === 'functions') return this.#functions(engine, results)
    await this.#enter(engine, query, null)
    if (mode !== 'select') return planOf(engine, { mode, query, results })
    const timeZone = timeZoneOf(session.variables)
    return this.#rowsOf(await zonedRows(engine, query.text, timeZone), results)
  }

  async #functions(engine: QueryEngine, results: ResultQueue): Promise<number> {
    engine.open(NOTHING)
    const rows = await functionRows(engine, this.#parts.types.fromDuckDb)
    results.columns(FUNCTION_COLUMNS.map((name) => ({ name, type: 'TEXT' })))
    await results.rows(rows.map((row) => JSON.stringify(row)))
    return rows.length
  }

  async #rowsOf(stream: Rows, results: ResultQueue): Promise<number> {
    const { fromDuckDb } = this.#parts.types
    results.columns(stream.columns.map(({ name, type }) => ({ name, type: fromDuckDb(type) })))
    let total = 0
    for (let rows = await stream.next(); rows !== null; rows = await stream.next()) {
      total += rows.length
      if (!(await results.rows(rows))) break
    }
    this.#throwIfKilled()
    return total
  }

  #throwIfKilled(): void {
    if (this.#killed === null) return
    const { kind, message } = this.#killed.error
    throw new QueryFault(kind, message)
  }

  #fail(error: unknown): void {
    const told = this.#killed?.error ?? queryErrorOf(error, this.#query)
    this.#error = { ...told, message: cutError(told.message) }
    if (this.#error.kind === 'internal') {
      this.#parts.log('error', `query ${this.task.queryId}: ${messageOf(error)}`, {
        event: 'query-broken',
        error,
      })
    }
    // Told to the client, too, should it come: it need not, the master knows at once.
    this.#results?.drop()
    void this.#results?.end({ error: this.#error })
    this.#state = this.#killed?.state ?? (this.#error.kind === 'killed' ? 'killed' : 'failed')
  }
}

/** The plan's lines, as rows. */
async function planOf(
  engine: QueryEngine,
  { mode, query, results }: { mode: Task['mode']; query: EngineText; results: ResultQueue },
): Promise<number> {
  const verb = mode === 'explain' ? 'EXPLAIN' : 'EXPLAIN ANALYZE'
  const rows = await engine.rows(`${verb} ${query.text}`).catch((error: unknown) => {
    throw shiftedBack(error, verb.length + 1)
  })
  const lines = rows.flatMap((row) => String(row[1] ?? '').split('\n'))
  results.columns([{ name: 'explain', type: 'TEXT' }])
  await results.rows(lines.map((line) => JSON.stringify([line])))
  return lines.length
}

function timeZoneOf(variables: Readonly<Record<string, string>>): string {
  const name = Object.keys(variables).find((one) => one.toUpperCase() === 'TIMEZONE')
  return name === undefined ? '' : (variables[name] ?? '')
}
