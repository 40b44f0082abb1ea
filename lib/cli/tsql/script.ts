/** Statements from `-c`, `-f` or a pipe, one after the other. Stops at the first that fails, unless it is told not to. */
import { fillIn } from './params.ts'
import type { Outcome, Shell } from './shell.ts'
import { type Piece, type Split, StatementReader } from './statement-reader.ts'

export interface ScriptOptions {
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
