/**
 * Asking the shared directory, with a deadline that holds even when its mount hangs: the question goes to a child
 * process (`directory-child.ts`) that is killed once it has answered or when the time is up.
 *
 * The time of the directory counts from the child's word that it begins: on a busy host a process can need longer to
 * start than any file server to answer, and a mount that nobody has asked is not to be blamed.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { CliError, exitCodeOf, failure, oneLine } from '../exit.ts'
import type { DirectoryAnswers, DirectoryReply, DirectoryRequest } from './directory-child.ts'
import { BEGUN } from './directory-lines.ts'

const CHILD = fileURLToPath(new URL('./directory-child.js', import.meta.url))

type Request<Op extends DirectoryRequest['op']> = DirectoryRequest & { readonly op: Op }

/** What the child said instead of an answer, with the library's code. */
export class DirectoryRefusal extends CliError {
  readonly code: string
  constructor(code: string | null, message: string) {
    super(exitCodeOf(code), message)
    this.code = code ?? 'FAILED'
  }
}

/**
 * The directory's answer. Rejects with a CliError (`DirectoryRefusal`, where the child has said why): exit code 4 for what the library calls UNSAFE, 1 for everything
 * else, also when there is no answer within `deadlineMs` from its beginning, or no beginning within `startMs`.
 */
export async function askDirectory<Op extends DirectoryRequest['op']>(
  request: Request<Op>,
  deadlineMs: number,
  startMs = START_MS,
): Promise<DirectoryAnswers[Op]> {
  const reply = await runChild(request, deadlineMs, startMs)
  if (reply.ok) return reply.answer as DirectoryAnswers[Op]
  throw new DirectoryRefusal(reply.code, reply.message)
}

/** Starting Node takes a tenth of a second on a host at rest. */
const START_MS = 30_000

function runChild(
  request: DirectoryRequest,
  deadlineMs: number,
  startMs: number,
): Promise<DirectoryReply> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CHILD, JSON.stringify(request)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let text = ''
    let complaint = ''
    // A program that has got what it needs elsewhere ends without waiting for the answer.
    const kill = (): void => void child.kill('SIGKILL')
    process.once('exit', kill)
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      clearImmediate(late)
      process.removeListener('exit', kill)
      kill()
      child.stdout.destroy()
      child.stderr.destroy()
      child.unref()
      settle()
    }
    // What has arrived meanwhile is read first: this process may have stood still as well.
    const after = (ms: number, why: string): NodeJS.Timeout =>
      setTimeout(() => {
        late = setImmediate(() => end(() => reject(failure(why))))
      }, ms)
    let late: NodeJS.Immediate | undefined
    const { directory } = request
    let timer = after(
      startMs,
      `this host is too busy: the process that looks at ${directory} has not begun within ${startMs} ms`,
    )
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.startsWith(BEGUN)) {
        text = text.slice(BEGUN.length)
        clearTimeout(timer)
        clearImmediate(late)
        timer = after(
          deadlineMs,
          `the shared directory ${directory} has not answered within ${deadlineMs} ms: its mount hangs, or the file server is away`,
        )
      }
      if (!text.endsWith('\n')) return
      const reply = JSON.parse(text) as DirectoryReply
      end(() => resolve(reply))
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      complaint = (complaint + chunk).slice(-2000)
      if (request.op === 'check' || request.op === 'format') process.stderr.write(chunk)
    })
    child.once('error', (error) => end(() => reject(failure(error.message, error))))
    child.once('close', (code, signal) => {
      const how = signal === null ? `exit code ${code}` : signal
      end(() =>
        reject(failure(`reading ${request.directory} failed (${how}): ${oneLine(complaint)}`)),
      )
    })
  })
}
