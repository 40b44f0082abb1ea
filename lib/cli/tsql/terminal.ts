/**
 * Where the shell writes. Writing waits until the reader has taken what came before, so that a long result through a
 * slow pipe costs no memory.
 *
 * What was typed is kept for the next time in `~/.tsql_history`, one line each, readable by its owner alone, because
 * statements hold data. It is bounded, and losing it is never a reason not to work.
 */
import { appendFileSync, chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

export const HISTORY_LINES = 1000

export class HistoryFile {
  readonly #path: string
  #usable = true

  constructor(path: string) {
    this.#path = path
  }

  /** Newest first, as readline wants it. The file is cut when it has grown to twice what is kept. */
  load(): string[] {
    try {
      const lines = readFileSync(this.#path, 'utf8').split('\n').filter(Boolean)
      const kept = lines.slice(-HISTORY_LINES)
      if (lines.length > 2 * HISTORY_LINES) this.#replace(kept)
      else chmodSync(this.#path, 0o600)
      return kept.reverse()
    } catch (error) {
      // A home that can't be read or written is no reason not to work; a missing file is the usual first time.
      this.#usable = (error as NodeJS.ErrnoException).code === 'ENOENT'
      return []
    }
  }

  add(line: string): void {
    if (!this.#usable || line.trim() === '') return
    try {
      appendFileSync(this.#path, `${line.replaceAll('\n', ' ')}\n`, { mode: 0o600 })
    } catch {
      // As above: tried once, then left alone.
      this.#usable = false
    }
  }

  #replace(lines: readonly string[]): void {
    const next = `${this.#path}.${process.pid}`
    writeFileSync(next, `${lines.join('\n')}\n`, { mode: 0o600 })
    renameSync(next, this.#path)
  }
}

export interface Terminal {
  /** Resolves when more may be written. */
  out(text: string): Promise<void>
  /** Writes a line to stderr. */
  err(line: string): void
  /** Overwrites the last line of stderr that this wrote; an empty text takes it away. Null where nobody would see it. */
  readonly redraw: ((text: string) => void) | null
}

interface Streams {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

/** `drawing`: whether a progress bar is wanted, on a terminal that can show one. */
export function terminalOn({ stdout, stderr }: Streams, drawing: boolean): Terminal {
  const able = drawing && stderr.isTTY === true && process.env.TERM !== 'dumb'
  return {
    out: (text) =>
      text === '' || stdout.write(text)
        ? Promise.resolve()
        : new Promise((resolve) => stdout.once('drain', resolve)),
    err: (line) => {
      stderr.write(`${line}\n`)
    },
    redraw: able ? (text) => void stderr.write(`\r\u001b[K${text}`) : null,
  }
}
