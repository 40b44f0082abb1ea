/** How both programs end: every error is one sentence on stderr, all that was written has left, and the exit code says the rest. */
import { describeError, EXIT, oneLine } from './exit.ts'
import { standardOutput } from './print.ts'

export interface Program {
  readonly name: string
  /** Resolves to the exit code; rejects with what `describeError` knows. */
  readonly main: (argv: readonly string[]) => Promise<number>
  /** The exit code for an error whose own is `code`. */
  readonly codeOf?: (code: number) => number
}

/** Waits until what was written has left this process: a pipe may still hold it when exit() is called. */
const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((done) => {
    stream.write('', () => done())
  })

/** Runs it with this process's arguments; does not return. */
export async function runProgram({ name, main, codeOf = (code) => code }: Program): Promise<never> {
  // `tajo haadmin -history | head` closes the pipe early; that is no error of ours.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      process.exit(EXIT.done)
    })
  }
  let exitCode: number
  try {
    exitCode = await main(process.argv.slice(2))
  } catch (thrown) {
    const { message, exitCode: code } = describeError(thrown)
    standardOutput.err(`${name}: ${oneLine(message)}`)
    if (process.env.TAJO_DEBUG && thrown instanceof Error) standardOutput.err(String(thrown.stack))
    exitCode = codeOf(code)
  }
  await Promise.all([flushed(process.stdout), flushed(process.stderr)])
  process.exit(exitCode)
}
