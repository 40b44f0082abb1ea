/**
 * Asking the shared directory, with a deadline that holds even when its mount hangs: the question goes to a child
 * process (`directory-child.ts`) that is killed once it has answered or when the time is up.
 *
 * The time of the directory counts from the child's word that it begins: on a busy host a process can need longer to
 * start than any file server to answer, and a mount that nobody has asked is not to be blamed.
 *
 * Whose the way to a directory is. Whoever owns a directory on it, or a link, or may write where no sticky bit protects
 * others' names, can put something else in its place at any time: another cluster, or an older state of this one. That is
 * no reason to refuse (file servers that map users show strange owners), but it is told.
 *
 * What a worker's look at the cluster's directory proves: the mount answers, and it is the cluster's directory that is
 * mounted there. Both kinds of master make the directory; its files differ, and the active master puts back one that was
 * removed, so a missing or torn file is the answer of a storage that lives. Where the directory itself is not there, or
 * holds another cluster, something else is mounted, or nothing: what is read and written there would be lost.
 */
import { spawn } from 'node:child_process'
import { lstat, readdir, realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HaError, isDirectory } from '../../ha/index.ts'
import { failure, oneLine, Refusal } from '../exit.ts'
import { clusterIdOf } from './cluster-identity.ts'
import type { DirectoryAnswers, DirectoryReply, DirectoryRequest } from './directory-child.ts'

/** `clusterId` is the worker's. Rejects with the file system's error, or an Error that says what is there instead. */
export async function lookAtDirectory(haDirectory: string, clusterId: string): Promise<void> {
  const found = await idOf(haDirectory)
  if (found === null) await requireThere(haDirectory)
  else if (found !== clusterId) {
    throw new Error(
      `${haDirectory} holds cluster ${found}, and this worker is one of cluster ${clusterId}: is the shared directory mounted there?`,
    )
  }
}

async function idOf(haDirectory: string): Promise<string | null> {
  try {
    return await clusterIdOf(haDirectory)
  } catch (error) {
    // Its text is wrong, or a directory is in its place: it was read.
    if (error instanceof HaError || isDirectory(error)) return null
    throw error
  }
}

async function requireThere(haDirectory: string): Promise<void> {
  try {
    await readdir(haDirectory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new Error(`${haDirectory} is not there: is the shared directory mounted?`, {
      cause: error,
    })
  }
}

/** What counts of one directory or link on the way. */
export interface Step {
  readonly path: string
  readonly uid: number
  readonly mode: number
}

const ROOT = 0
const STICKY = 0o1000
const WRITABLE_FOR_ALL = 0o002
const FORMAT = 0o170_000
const LINK = 0o120_000

/** A sentence for each step that others can replace. Pure. */
export function replaceable(steps: readonly Step[], ownUid: number): string[] {
  return steps.flatMap(({ path, uid, mode }) => {
    if (uid !== ownUid && uid !== ROOT) {
      return `${path} belongs to another user (uid ${uid}), who can put something else in its place at any time: chown it to the user that runs the cluster`
    }
    // A link's own mode says nothing.
    const isOpen = (mode & WRITABLE_FOR_ALL) !== 0 && (mode & STICKY) === 0
    if ((mode & FORMAT) === LINK || !isOpen) return []
    return `everybody may write into ${path}, and put something else in the place of what is there: chmod o-w ${path}`
  })
}

/** Of the path as it is written and of where it leads. Rejects with the file system's error. */
export async function stepsTo(path: string): Promise<Step[]> {
  const all = new Set([...upFrom(path), ...upFrom(await realpath(path))])
  return Promise.all(
    [...all].map(async (one) => {
      const { uid, mode } = await lstat(one)
      return { path: one, uid, mode }
    }),
  )
}

const upFrom = (path: string): string[] =>
  path === dirname(path) ? [path] : [path, ...upFrom(dirname(path))]

/** What the process that touches the shared directory says before its first file call: from then on a silence is the mount's. */
export const BEGUN = 'begun\n'

const CHILD = fileURLToPath(new URL('./directory-child.js', import.meta.url))

type Request<Op extends DirectoryRequest['op']> = DirectoryRequest & { readonly op: Op }

/**
 * Returns the directory's answer. Rejects with a CliError (`Refusal`, where the child has said why): exit code
 * 4 for what the library calls UNSAFE, 1 for everything else, also when there is no answer within `deadlineMs` from its
 * beginning, or no beginning within `startMs`.
 */
export async function askDirectory<Op extends DirectoryRequest['op']>(
  request: Request<Op>,
  deadlineMs: number,
  startMs = START_MS,
): Promise<DirectoryAnswers[Op]> {
  const reply = await runChild(request, deadlineMs, startMs)
  if (reply.ok) return reply.answer as DirectoryAnswers[Op]
  throw new Refusal(reply.code ?? 'FAILED', reply.message)
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
