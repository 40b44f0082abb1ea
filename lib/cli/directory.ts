/**
 * Asking the shared directory, with a deadline that holds even when its mount hangs: the question goes to a child
 * process (`directory-child.ts`) that is killed once it has answered or when the time is up.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { DirectoryAnswers, DirectoryReply, DirectoryRequest } from './directory-child.ts'
import { CliError, exitCodeOf, failure, oneLine } from './exit.ts'

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
 * else, also when there is no answer within `deadlineMs`.
 */
export async function askDirectory<Op extends DirectoryRequest['op']>(
  request: Request<Op>,
  deadlineMs: number,
): Promise<DirectoryAnswers[Op]> {
  const reply = await runChild(request, deadlineMs)
  if (reply.ok) return reply.answer as DirectoryAnswers[Op]
  throw new DirectoryRefusal(reply.code, reply.message)
}

function runChild(request: DirectoryRequest, deadlineMs: number): Promise<DirectoryReply> {
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
      process.removeListener('exit', kill)
      kill()
      child.stdout.destroy()
      child.stderr.destroy()
      child.unref()
      settle()
    }
    const timer = setTimeout(() => {
      const why = `the shared directory ${request.directory} has not answered within ${deadlineMs} ms`
      end(() => reject(failure(`${why}: its mount hangs, or the file server is away`)))
    }, deadlineMs)
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
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
