/**
 * This is the shell at a terminal. While something runs, the terminal is as other programs have it: what is typed waits
 * in the kernel, and Ctrl-C comes as a signal, which ends what runs and not the shell. At the prompt Ctrl-C drops the
 * line, Ctrl-D ends.
 *
 * It takes statements from `-c`, `-f` or a pipe, one after the other. Stops at the first that fails, unless it is told
 * not to.
 */

import { createInterface, type Interface } from 'node:readline'
import type { ReadStream, WriteStream } from 'node:tty'
import type { Completion } from './completion.ts'
import { keptLine } from './kept-line.ts'
import { fillIn } from './options.ts'
import type { Outcome, Shell } from './shell.ts'
import { type Piece, type Split, StatementReader } from './statement-reader.ts'
import { HISTORY_LINES, type HistoryFile } from './terminal.ts'

interface ScriptOptions {
  readonly shell: Shell
  readonly split: Split
  readonly params: Readonly<Record<string, string>>
}

/** The worst of all outcomes; `quit` counts as done. Rejects with a CliError for a parameter that was not given. */
export async function runScript(
  lines: AsyncIterable<string> | Iterable<string>,
  { shell, split, params }: ScriptOptions,
): Promise<Outcome> {
  const reader = new StatementReader(split)
  let worst: Outcome = 'done'
  /** Null: go on. */
  const runAll = async (pieces: readonly Piece[]): Promise<Outcome | null> => {
    for (const piece of pieces) {
      const outcome = await shell.run(piece)
      if (outcome === 'quit') return worst
      if (outcome === 'done') continue
      worst = outcome
      if (shell.settings.stopOnError || outcome !== 'failed') return outcome
    }
    return null
  }
  for await (const line of lines) {
    const ended = await runAll(await reader.feed(fillIn(line, params)))
    if (ended !== null) return ended
  }
  return (await runAll(await reader.end())) ?? worst
}

interface InteractiveOptions {
  readonly shell: Shell
  readonly split: Split
  readonly history: HistoryFile
  readonly completion: Completion
  readonly input: ReadStream
  readonly output: WriteStream
}

/** Resolves when somebody wants to leave. */
export async function interact(options: InteractiveOptions): Promise<void> {
  const { shell, split, history, completion, input, output } = options
  const reader = new StatementReader(split)
  const readline = createInterface({
    input,
    output,
    terminal: true,
    history: history.load(),
    historySize: HISTORY_LINES,
    removeHistoryDuplicates: true,
    completer: (line: string, answer: (error: null, found: [string[], string]) => void) => {
      void completion.complete(line).then((found) => answer(null, found))
    },
  })
  const lines = new Lines(readline)
  const prompt = (): void => {
    const { database } = shell.client.session
    const more = `${' '.repeat(Math.max(0, database.length - 1))}-> `
    readline.setPrompt(reader.pending ? more : `${database}> `)
    readline.prompt()
  }
  readline.on('SIGINT', () => {
    reader.drop()
    readline.write(null, { ctrl: true, name: 'e' })
    readline.write(null, { ctrl: true, name: 'u' })
    output.write('^C\n')
    prompt()
  })
  const onInterrupt = (): void => {
    shell.cancel()
  }
  process.on('SIGINT', onInterrupt)
  try {
    for (;;) {
      if (lines.waiting === 0) prompt()
      const line = await lines.next()
      if (line === null) break
      history.add(await keptLine(line, reader.begun))
      // Lines are counted within a statement here, not from the first prompt on.
      if (!reader.pending) reader.drop()
      for (const piece of await reader.feed(line)) {
        const outcome = await lent(readline, input, () => shell.run(piece))
        if (outcome === 'quit') return
      }
    }
    output.write('\n')
  } finally {
    process.off('SIGINT', onInterrupt)
    readline.close()
  }
}

/** The terminal as it was before readline took it. */
async function lent<T>(readline: Interface, input: ReadStream, work: () => Promise<T>): Promise<T> {
  readline.pause()
  input.setRawMode(false)
  try {
    return await work()
  } finally {
    input.setRawMode(true)
    readline.resume()
  }
}

/** Readline's lines one by one: a paste brings many at once. */
class Lines {
  readonly #lines: string[] = []
  #closed = false
  #wake = (): void => {}

  constructor(readline: Interface) {
    readline.on('line', (line) => {
      this.#lines.push(line)
      this.#wake()
    })
    readline.on('close', () => {
      this.#closed = true
      this.#wake()
    })
  }

  get waiting(): number {
    return this.#lines.length
  }

  /** It returns null after the last one. */
  async next(): Promise<string | null> {
    while (this.#lines.length === 0 && !this.#closed) {
      await new Promise<void>((done) => {
        this.#wake = done
      })
    }
    return this.#lines.shift() ?? null
  }
}
