/**
 * The shell without its keyboard: runs one statement or meta command after the other and prints what comes of it. One
 * thing runs at a time; `cancel` ends it and leaves the shell alive.
 *
 * An error is told as a sentence, with the line of the statement and a caret under the place.
 */
import type { Clock } from '../../base/time.ts'
import {
  NoMasterError,
  QueryError,
  type QueryResult,
  type Row,
  type TajoClient,
} from '../../client/index.ts'
import { plain } from '../print.ts'
import { printerFor, textOf } from './printers.ts'
import { ProgressBar, QueueNotice, TroubleNotice } from './progress-bar.ts'
import type { Settings } from './settings.ts'
import { useDatabase } from './settings.ts'
import type { Piece } from './statement-reader.ts'
import type { Terminal } from './terminal.ts'
import { displayWidth } from './width.ts'

/** So much of a long line is shown around the place. */
const SHOWN = 100

/** `firstLine`: where the statement begins in its script, from 1. */
export function errorText(error: unknown, statement: string, firstLine: number): string {
  const message = `ERROR: ${plain(error instanceof Error ? error.message : String(error))}`
  const place = error instanceof QueryError ? error.place : null
  const line = place === null ? undefined : statement.split('\n')[place.line - 1]
  if (place === null || line === undefined) return message
  const at = Math.min(Math.max(0, place.column - 1), line.length)
  const from = line.length <= SHOWN ? 0 : Math.max(0, Math.min(at - SHOWN / 2, line.length - SHOWN))
  const shown = plain(line.slice(from, from + SHOWN).replaceAll('\t', ' '))
  const head = `LINE ${firstLine + place.line - 1}: `
  const before = displayWidth(shown.slice(0, at - from))
  return `${message}\n${head}${shown.trimEnd()}\n${' '.repeat(head.length + before)}^`
}

export interface ShellOptions {
  readonly client: TajoClient
  readonly settings: Settings
  readonly terminal: Terminal
  readonly clock: Clock
  /** Runs a meta command; loaded when the first one is met. `quit` ends the shell. */
  readonly meta: (text: string, shell: Shell) => Promise<'done' | 'quit'>
}

/** `no-master`: nobody could be asked. */
export type Outcome = 'done' | 'failed' | 'cancelled' | 'no-master' | 'quit'

export class Shell {
  readonly client: TajoClient
  readonly settings: Settings
  readonly terminal: Terminal
  readonly #clock: Clock
  readonly #meta: ShellOptions['meta']
  #running: AbortController | null = null

  constructor(options: ShellOptions) {
    this.client = options.client
    this.settings = options.settings
    this.terminal = options.terminal
    this.#clock = options.clock
    this.#meta = options.meta
  }

  /** Makes it the session's database, before any statement. Never rejects for what goes wrong with it: that is printed. */
  async enter(database: string): Promise<Outcome> {
    try {
      await useDatabase(this.client, database)
      return 'done'
    } catch (error) {
      return this.#failed(error, '', 1)
    }
  }

  /** Never rejects for what goes wrong with the statement: that is printed. */
  async run(piece: Piece): Promise<Outcome> {
    const running = new AbortController()
    this.#running = running
    try {
      if (piece.is === 'meta') return await this.#meta(piece.text, this)
      await this.query(piece.text)
      return 'done'
    } catch (error) {
      const failed = this.#failed(error, piece.is === 'statement' ? piece.text : '', piece.line)
      return running.signal.aborted ? 'cancelled' : failed
    } finally {
      this.#running = null
    }
  }

  #failed(error: unknown, statement: string, firstLine: number): Outcome {
    this.terminal.err(errorText(error, statement, firstLine))
    return error instanceof NoMasterError ? 'no-master' : 'failed'
  }

  /** Ends what runs, in the cluster too. False when nothing does. */
  cancel(): boolean {
    this.#running?.abort()
    return this.#running !== null
  }

  /** Runs SQL and prints its result, or of its rows those to `keep`. Rejects as TajoClient.query does. */
  async query(sql: string, keep: (row: Row) => boolean = () => true): Promise<void> {
    const sinceMs = this.#clock.nowMs()
    const bar = ProgressBar.on(this.terminal, this.#clock)
    const notice = new QueueNotice(this.client, this.terminal, this.#clock)
    const trouble = new TroubleNotice(this.client, this.terminal, this.#clock)
    const clear = (): void => {
      bar?.clear()
      notice.close()
      trouble.close()
    }
    try {
      const result = await this.client.query(sql, {
        ...(this.#running === null ? {} : { signal: this.#running.signal }),
        onHeldUp: (why) => {
          bar?.clear()
          this.terminal.err(`tsql: ${plain(why)}`)
        },
        ...(bar === null
          ? { onQueued: () => notice.queued() }
          : { onProgress: ({ progress, state }) => bar.update(progress, state) }),
      })
      clear()
      await this.#print(result, sinceMs, keep)
    } finally {
      clear()
    }
  }

  async #print(result: QueryResult, sinceMs: number, keep: (row: Row) => boolean): Promise<void> {
    if (result.columns.length === 0) {
      await result.close()
      await this.#tell(result, sinceMs)
      return
    }
    const printer = printerFor(result.columns, this.settings)
    let rows = 0
    let bytes = 0
    for await (const all of result.rows()) {
      const batch = all.filter(keep)
      rows += batch.length
      for (const row of batch) bytes += sizeOf(row)
      await this.terminal.out(printer.rows(batch))
    }
    await this.terminal.out(printer.end())
    if (this.settings.format === 'table') {
      await this.terminal.out(
        `(${rows} rows, ${this.#seconds(sinceMs)}, ${byteText(bytes)} selected)\n\n`,
      )
    }
  }

  /** What a change says: on stdout where people or programs read it, and never between the lines of a CSV. */
  async #tell({ message, changed }: QueryResult, sinceMs: number): Promise<void> {
    const text = plain(message ?? 'OK')
    switch (this.settings.format) {
      case 'table':
        return this.terminal.out(`${text} (${this.#seconds(sinceMs)})\n`)
      case 'json':
        return this.terminal.out(`${JSON.stringify({ message: text, rows: changed })}\n`)
      case 'csv':
        return this.terminal.err(text)
    }
  }

  #seconds(sinceMs: number): string {
    return `${((this.#clock.nowMs() - sinceMs) / 1000).toFixed(3)} sec`
  }
}

/** Of the values as text, which is what Tajo's shell tells. */
function sizeOf(row: readonly unknown[]): number {
  let bytes = 0
  for (const value of row) if (value !== null) bytes += Buffer.byteLength(textOf(value))
  return bytes
}

/** Tells it as `120 B`, `1.2 kB`, `172.0 MB`. */
export function byteText(bytes: number): string {
  const units = ['kB', 'MB', 'GB', 'TB', 'PB']
  if (bytes < 1000) return `${bytes} B`
  let value = bytes
  let unit = ''
  for (const next of units) {
    if (value < 999.95) break
    value /= 1000
    unit = next
  }
  return `${value.toFixed(1)} ${unit}`
}
