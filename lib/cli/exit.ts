/**
 * How a command ends: the exit codes that scripts rely on, and the one error that carries them.
 *
 * A `CliError` is a sentence for the person who typed the command: what is wrong, where, and what is allowed. It is
 * printed without a stack. Anything else that is thrown is turned into one here; a stack is shown only with
 * TAJO_DEBUG set, because an operator can do nothing with it.
 */

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  unknownMaster: 3,
  unsafe: 4,
} as const

/** docs/errors.md is made from it. */
export const EXIT_MEANS: Readonly<Record<keyof typeof EXIT, string>> = {
  done: 'It was done.',
  failed: 'It failed, or what was asked for is not so: the sentence on stderr says why.',
  usage: 'The command line is wrong. Nothing was tried.',
  unknownMaster: 'The cluster knows no master of that address.',
  unsafe: 'It was refused, because it would be unsafe. Nothing was done.',
}

type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** Ends the command with `exitCode` after printing `message` to stderr. */
export class CliError extends Error {
  readonly exitCode: ExitCode
  constructor(exitCode: ExitCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'CliError'
    this.exitCode = exitCode
  }
}

export const usageError = (message: string): CliError => new CliError(EXIT.usage, message)
export const failure = (message: string, cause?: unknown): CliError =>
  new CliError(EXIT.failed, message, { cause })

/** UNSAFE is the one library code with an exit code of its own; the rest means that the command failed. */
export const exitCodeOf = (code: unknown): ExitCode =>
  code === 'UNSAFE' ? EXIT.unsafe : EXIT.failed

/** A master, or the process that asks the directory, has refused. The caller may know what to do about NOT_ACTIVE. */
export class Refusal extends CliError {
  readonly code: string
  constructor(code: string, message: string) {
    super(exitCodeOf(code), message)
    this.code = code
  }
}

/** Whatever was thrown, as what the shell gets to see. */
export function describeError(thrown: unknown): { message: string; exitCode: ExitCode } {
  if (thrown instanceof CliError) return { message: thrown.message, exitCode: thrown.exitCode }
  if (thrown instanceof Error) {
    const code = 'code' in thrown ? thrown.code : undefined
    return { message: thrown.message, exitCode: exitCodeOf(code) }
  }
  return { message: String(thrown), exitCode: EXIT.failed }
}

/** An error's sentence on one line, as scripts that read stderr by line expect. */
export const oneLine = (message: string): string => message.replaceAll(/\s*\n\s*/g, ' ').trim()
