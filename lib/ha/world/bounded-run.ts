/**
 * Runs a command that may hang, in a process group of its own, and never longer than it is allowed to: at its limit the
 * whole group gets SIGKILL. What it left in the background with our pipe open is not waited for.
 */
import { spawn as nodeSpawn } from 'node:child_process'

/** Output may lag behind the exit; a background child may hold the pipe for ever. */
const OUTPUT_GRACE_MS = 250
/** Only the end of the output is kept. */
const KEPT_CHARS = 4096

interface BoundedRunOptions {
  readonly timeoutMs: number
  readonly input?: string
  readonly env?: NodeJS.ProcessEnv | undefined
  readonly spawn?: typeof nodeSpawn | undefined
}

interface BoundedRun {
  readonly end: 'exit' | 'signal' | 'timeout' | 'not-started'
  /** Exit status, when it exited. */
  readonly status: number | null
  readonly stdout: string
  /** How it ended, to go after "the command". */
  readonly sentence: string
  /** `: ` and the last line that it wrote, standard error first; empty when there is none. */
  readonly lastLine: string
}

/** Never rejects. */
export function runBounded(
  command: string,
  args: readonly string[],
  options: BoundedRunOptions,
): Promise<BoundedRun> {
  const { timeoutMs, input = '', env } = options
  return new Promise((resolve) => {
    const child = (options.spawn ?? nodeSpawn)(command, [...args], {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(env === undefined ? {} : { env }),
    })
    let stdout = ''
    let stderr = ''
    let ended: Pick<BoundedRun, 'end' | 'status' | 'sentence'> | null = null
    const finish = (end: BoundedRun['end'], status: number | null, sentence: string): void => {
      ended ??= { end, status, sentence }
    }
    const answer = (): void => {
      clearTimeout(limit)
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
      const last = lastLineOf(stderr) ?? lastLineOf(stdout)
      const end = ended ?? { end: 'not-started', status: null, sentence: 'did not start' }
      resolve({ ...end, stdout, lastLine: last === null ? '' : `: ${last}` })
    }
    const limit = setTimeout(() => {
      finish('timeout', null, `did not end within ${timeoutMs} ms`)
      killGroup(child.pid)
      answer()
    }, timeoutMs)

    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout = (stdout + text).slice(-KEPT_CHARS)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-KEPT_CHARS)
    })
    child.on('error', (error) => {
      finish('not-started', null, `could not be started (${error.message})`)
      answer()
    })
    child.on('exit', (status, signal) => {
      if (status === null) finish('signal', null, `was ended by ${signal}`)
      else finish('exit', status, `ended with status ${status}`)
      setTimeout(answer, OUTPUT_GRACE_MS)
    })
    child.on('close', answer)
    // A command that reads nothing closes its end; how it exits says enough.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // Gone already.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

const lastLineOf = (text: string): string | null =>
  text
    .split('\n')
    .map((line) => line.trim())
    .findLast((line) => line !== '') ?? null
