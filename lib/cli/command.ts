/** What `tajo.ts` gives to a command, and what it expects back. */
import type { Output } from './print.ts'

export interface CommandContext {
  /** What follows the command word, with `--config` and `--json` taken out. */
  readonly args: readonly string[]
  /** haadmin only: its verbs and options as typed. */
  readonly options: Readonly<Record<string, string | boolean>>
  readonly json: boolean
  /** Absolute. */
  readonly confDir: string
  /** TAJO_HOME, absolute. */
  readonly home: string
  /** The environment after `conf/tajo-env.sh`. */
  readonly env: NodeJS.ProcessEnv
  readonly output: Output
}

/** Resolves to the exit code; rejects with a CliError for an error that is told in one line. */
export type Run = (context: CommandContext) => Promise<number>
