/** Runs a program to its end and hands over everything it said. */
import { Patience } from './patience.ts'
import { hasEnded, type StartOptions, start } from './processes.ts'

export interface Ran {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions extends Omit<StartOptions, 'logDir'> {
  readonly input?: string
  /** Told of what it says on stderr as it comes: all of it so far. */
  readonly onStderr?: (stderr: string) => void
  /** So many times the usual patience; after that it gets SIGKILL and the run rejects. */
  readonly patience?: number
}

/** A program may wait for others by limits of its own, which are to be told before this one is over. */
const RUN_PATIENCE = 2

/** Resolves whatever the exit code is; rejects only when it can't be started or does not end in time. */
export async function run(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = start(words, options)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    options.onStderr?.(stderr)
  })
  child.stdin.end(options.input ?? '')
  const over = new Promise<Ran>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
  const patience = new Patience(`the end of ${words.join(' ')} (process ${child.pid})`, {
    patience: options.patience ?? RUN_PATIENCE,
    tell: () => `it said so far:\n${stdout}\n${stderr}`,
  })
  try {
    return await patience.keep(over)
  } finally {
    if (!hasEnded(child)) child.kill('SIGKILL')
    child.stdout.destroy()
    child.stderr.destroy()
  }
}

/** Like `run`, but anything else than exit code 0 rejects with what was said. Answers stdout. */
export async function mustRun(words: readonly string[], options: RunOptions = {}): Promise<string> {
  const ran = await run(words, options)
  if (ran.code !== 0) {
    throw new Error(`${words.join(' ')}: exit code ${ran.code}\n${ran.stdout}\n${ran.stderr}`)
  }
  return ran.stdout
}
