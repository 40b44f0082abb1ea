/**
 * How both programs end: every error is one sentence on stderr, all that was written has left, and the exit code says the rest.
 *
 * `tajo version`: which release this is and on which Node it runs.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Run } from './arguments.ts'
import { describeError, EXIT, failure, oneLine } from './exit.ts'
import { json, standardOutput } from './print.ts'

/** Reads the version in the install's package.json. */
export function installedVersion(home: string): string {
  const file = join(home, 'package.json')
  try {
    const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version?: unknown }
    if (typeof version === 'string') return version
  } catch (error) {
    throw failure(`can't read the version from ${file}: ${(error as Error).message}`, error)
  }
  throw failure(`${file} holds no version: TAJO_HOME must be the directory of the install`)
}

export const run: Run = async ({ home, json: asJson, output }) => {
  const version = installedVersion(home)
  const node = process.versions.node
  output.out(asJson ? json({ version, node }) : `Tajo HA ${version} (Node ${node})`)
  return EXIT.done
}

interface Program {
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
