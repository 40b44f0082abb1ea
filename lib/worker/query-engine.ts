/**
 * What a running query has of the engines: a process of its own, from the reading of its statement to its end.
 *
 * That process may be ended by what it runs: a signal, an allocation that was refused, the kernel of a host without memory.
 * Which of them it was depends on chance, so they are one and the same end of the query, which names its share of the
 * memory. It is the query's own fault, and not tried again elsewhere.
 */
import { type Clock, within } from '../base/time.ts'
import { EngineError, interrupted } from './duckdb-errors.ts'
import type { EngineColumn } from './duckdb-stream.ts'
import type { EngineLink } from './engine-link.ts'
import type { CallName, EngineCalls } from './engine-words.ts'
import type { Reach } from './reach.ts'

/** A query that is told to stop, and does not, is ended with its process. */
const GRACE_MS = 2000

/** A result that is computed while it is read. */
export interface Rows {
  readonly columns: readonly EngineColumn[]
  /** Resolves to the next rows, each one a JSON array as text; null at the end. Rejects with EngineError. */
  readonly next: () => Promise<string[] | null>
}

interface QueryEngineParts {
  readonly link: EngineLink
  /** Its share of the memory. */
  readonly bytes: number
  readonly clock: Clock
  /** `isUsable`: the process may serve another query. */
  readonly onClosed: (isUsable: boolean) => Promise<void>
}

export class QueryEngine {
  readonly #parts: QueryEngineParts
  readonly #link: EngineLink
  #interrupted = false
  #opened: Promise<null> = Promise.resolve(null)
  #closing: Promise<void> | null = null

  constructor(parts: QueryEngineParts) {
    this.#parts = parts
    this.#link = parts.link
  }

  /** Resolves to the engine's own reading of a statement, as JSON. Rejects with EngineError, as all calls here. */
  serialized(statement: string): Promise<string> {
    return this.#call('read', statement)
  }

  /** From now on it opens just that. Once, and before all that follows, which tells what was wrong with it. */
  open(reach: Reach): void {
    this.#opened = this.#call('open', reach)
    this.#opened.catch(toldLater)
  }

  /**
   * Makes a catalog of the query's own with these schemas and runs `sql` in it; names without a schema belong to the first.
   * What is made there is gone with the query.
   */
  async enter(schemas: readonly string[], sql: readonly string[]): Promise<void> {
    await this.#call('enter', { schemas, sql })
  }

  /** Statements one after the other; what they answer is dropped. */
  async run(sql: string): Promise<void> {
    await this.#call('run', sql)
  }

  /** All rows, as JSON values. For answers that are known to be small. */
  rows(sql: string, values: readonly string[] = []): Promise<unknown[][]> {
    return this.#call('rows', { sql, values })
  }

  /** Tells the columns of a query, without running it. Only for what has been analysed: preparing may have effects. */
  describe(sql: string): Promise<EngineColumn[]> {
    return this.#call('describe', sql)
  }

  /**
   * Names of tables in `sql` that the engine itself finds nowhere, and would take for names of files; to be asked once its
   * tables are entered. Of a long text none are told.
   */
  unknownNames(sql: string): Promise<readonly string[]> {
    return this.#call('unknownNames', sql)
  }

  /** Resolves when the first rows can be asked for. What follows those that were read is asked for meanwhile. */
  async stream(sql: string): Promise<Rows> {
    const columns = this.#call('stream', sql)
    let ahead = this.#ahead()
    const next = async (): Promise<string[] | null> => {
      const rows = await ahead
      if (rows !== null) ahead = this.#ahead()
      return rows
    }
    return { columns: await columns, next }
  }

  #ahead(): Promise<string[] | null> {
    const rows = this.#call('next', null)
    rows.catch(toldLater)
    return rows
  }

  /** What is under way, and whatever is called later, rejects with `interrupted`. */
  interrupt(): void {
    if (this.#interrupted) return
    this.#interrupted = true
    if (!this.#link.isBusy) return
    this.#link.interrupt()
    const { clock } = this.#parts
    clock.after(GRACE_MS, () => {
      if (this.#closing === null && this.#link.isBusy) this.#link.kill()
    })
  }

  /** From 0 to 1, of the statement that runs. */
  progress(): number {
    return Math.min(1, this.#link.progress)
  }

  /** Resolves when nothing of it runs any more. A second call does nothing. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.interrupt()
    const { clock, onClosed } = this.#parts
    const isUsable = await within(clock, GRACE_MS, this.#ended(), () => false)
    await onClosed(isUsable)
  }

  #ended(): Promise<boolean> {
    // A process that can't end a query well ends with it.
    return this.#link.call('end', null).catch(() => false)
  }

  async #call<Name extends CallName>(
    name: Name,
    input: EngineCalls[Name]['with'],
  ): Promise<EngineCalls[Name]['answer']> {
    if (this.#interrupted) throw interrupted()
    try {
      // They are done in this order, and so is told first what went wrong first.
      const [, answer] = await Promise.all([this.#opened, this.#link.call(name, input)])
      if (this.#interrupted) throw interrupted()
      return answer
    } catch (error) {
      throw this.#interrupted ? interrupted() : this.#told(error)
    }
  }

  #told(error: unknown): unknown {
    if (!EngineError.is(error, 'gone', 'memory')) return error
    const text = `the query needed more memory than ${inMb(this.#parts.bytes)} MB, its share of this worker's tajo.worker.resource.memory-mb: ${error.message}`
    return new EngineError(error.code, text, null, error)
  }
}

/** Whoever asks next is told. */
const toldLater = (): void => {}

const inMb = (bytes: number): number => Math.floor(bytes / 1024 / 1024)
