/**
 * Runs a program to its end and hands over everything it said. Programs get this process's environment without
 * NODE_OPTIONS: tap's loader in it costs each Node child 130 ms and 27 MB, and breaks what has no file extension.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'

export interface Ran {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly input?: string
  /** After that it gets SIGKILL and the run rejects. */
  readonly timeoutMs?: number
}

export const DEFAULT_TIMEOUT_MS = 60_000

/** This environment with `more` on top; undefined takes a variable away. */
export const childEnv = (more: RunOptions['env'] = {}): NodeJS.ProcessEnv => ({
  ...process.env,
  NODE_OPTIONS: undefined,
  ...more,
})

/**
 * Starts a program with this environment, less tap's loader: tap puts that into the environment of whatever is spawned,
 * so only another program in between can take it out again.
 */
export function start(
  words: readonly string[],
  options: Pick<RunOptions, 'cwd' | 'env'> = {},
): ChildProcessWithoutNullStreams {
  return spawn('/usr/bin/env', ['-u', 'NODE_OPTIONS', ...words], {
    env: childEnv(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

/** Resolves whatever the exit code is; rejects only when it can't be started or does not end in time. */
export function run(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  return new Promise((resolve, reject) => {
    const child = start(words, options)
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    // A program that ends without reading its input is no failure of the run.
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input ?? '')
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      child.stdout.destroy()
      child.stderr.destroy()
      reject(new Error(`${words.join(' ')}: not done within ${timeoutMs} ms\n${stdout}\n${stderr}`))
    }, timeoutMs)
    child.once('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve({ code, stdout, stderr })
    })
  })
}

/** Like `run`, but anything else than exit code 0 rejects with what was said. Answers stdout. */
export async function mustRun(words: readonly string[], options: RunOptions = {}): Promise<string> {
  const ran = await run(words, options)
  if (ran.code !== 0) {
    throw new Error(`${words.join(' ')}: exit code ${ran.code}\n${ran.stdout}\n${ran.stderr}`)
  }
  return ran.stdout
}
