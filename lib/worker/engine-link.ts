/**
 * The worker's end of an engine's process: it starts it under a bound of memory, asks it, and learns how it ended.
 *
 * The bound is the kernel's own (RLIMIT_DATA), set before Node begins. Whatever the engine takes counts, the folding of a
 * constant too, which its own limit does not see. A bound of address space (RLIMIT_AS) would be no use, since Node itself reserves more than a gigabyte.
 * Where the host's memory ends all the same, such a process is what its kernel ends first.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { getPriority, setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import { EngineError } from './duckdb-errors.ts'
import type { CallName, EngineCalls, FromEngine, ToEngine } from './engine-words.ts'

interface EngineBounds {
  /** Of all that the process takes. */
  readonly bytes: number
  /** How much lower its priority is than the worker's. */
  readonly niceness: number
}

const PROGRAM = fileURLToPath(new URL('./engine-process.js', import.meta.url))
/** The longest row takes a quarter of it. */
const NODE_OPTIONS = ['--max-old-space-size=512']
/** One works for the query, one makes an engine ahead, one may hang with a disk. Each takes a stack of the bound. */
const FILE_THREADS = '4'
/** The engine's allocator (jemalloc) gives back at once what is freed: what it kept would count, too. */
const ALLOCATOR = 'retain:false,dirty_decay_ms:0,muzzy_decay_ms:0'
/** What a process's kernel ends before others has more, up to 1000. */
const OOM_SCORE = 500
const BOUNDED =
  'ulimit -s 8192 2>/dev/null; ulimit -d "$1" 2>/dev/null; { echo "$2" >/proc/self/oom_score_adj; } 2>/dev/null; shift 2; exec "$@"'

interface Waiting {
  readonly resolve: (answer: EngineCalls[CallName]['answer']) => void
  readonly reject: (error: Error) => void
}

export class EngineLink {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  #progress = 0
  #gone: EngineError | null = null
  #dismissed = false
  /** Resolves when the process is no more: to a signal's name, a code, or why it could not begin. */
  readonly gone: Promise<string>

  constructor({ bytes, niceness }: EngineBounds) {
    const { NODE_OPTIONS: _options, ...env } = process.env
    const bound = String(Math.floor(bytes / 1024))
    const program = [process.execPath, ...NODE_OPTIONS, PROGRAM]
    this.#child = spawn('/bin/sh', ['-c', BOUNDED, 'sh', bound, String(OOM_SCORE), ...program], {
      // A terminal's signals are for the worker.
      detached: true,
      env: { ...env, UV_THREADPOOL_SIZE: FILE_THREADS, DUCKDB_JE_MALLOC_CONF: ALLOCATOR },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      serialization: 'advanced',
    })
    const { pid } = this.#child
    if (pid !== undefined) lower(pid, niceness)
    this.#child.on('message', (message) => this.#heard(message as FromEngine))
    this.gone = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#end(how)
        resolve(how)
      }
      this.#child.once('exit', (code, signal) => end(signal ?? `exit code ${code}`))
      this.#child.once('error', ({ message }) => end(message))
    })
    this.#hold(false)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isGone(): boolean {
    return this.#gone !== null
  }

  get isBusy(): boolean {
    return this.#waiting.size > 0
  }

  /** Of the statement that runs, from 0 to 1. */
  get progress(): number {
    return this.#progress
  }

  /** Rejects with EngineError: `gone` where the process has not lived to answer. */
  call<Name extends CallName>(
    name: Name,
    input: EngineCalls[Name]['with'],
  ): Promise<EngineCalls[Name]['answer']> {
    if (this.#gone !== null) return Promise.reject(this.#gone)
    this.#asked += 1
    const id = this.#asked
    if (!this.isBusy) this.#hold(true)
    const answer = new Promise<EngineCalls[CallName]['answer']>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
    })
    this.#progress = 0
    this.#send({ id, do: name, with: input } as ToEngine)
    return answer as Promise<EngineCalls[Name]['answer']>
  }

  interrupt(): void {
    this.#send({ do: 'interrupt' })
  }

  /** What runs in it fails by that. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** It is not needed any more. */
  dismiss(): void {
    this.#dismissed = true
    this.#child.ref()
    this.kill()
  }

  get isDismissed(): boolean {
    return this.#dismissed
  }

  #send(message: ToEngine): void {
    // What can't be sent goes to a process that is about to be told as gone.
    if (this.#child.connected) this.#child.send(message, () => {})
  }

  #heard(message: FromEngine): void {
    if ('progress' in message) {
      this.#progress = message.progress
      return
    }
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if (!this.isBusy) this.#hold(false)
    if ('answer' in message) waiting?.resolve(message.answer)
    else {
      const { code, message: text, position } = message.error
      waiting?.reject(new EngineError(code, text, position))
    }
  }

  #end(how: string): void {
    const gone = new EngineError('gone', `its engine ended (${how})`, null)
    this.#gone = gone
    for (const { reject } of this.#waiting.values()) reject(gone)
    this.#waiting.clear()
  }

  /** A process at rest keeps no other one alive. */
  #hold(isHeld: boolean): void {
    const { channel } = this.#child
    if (isHeld) {
      this.#child.ref()
      channel?.ref()
    } else {
      this.#child.unref()
      channel?.unref()
    }
  }
}

const LEAST_PRIORITY = 19

/** Before the program begins, so all of its threads have it. */
function lower(pid: number, niceness: number): void {
  try {
    setPriority(pid, Math.min(LEAST_PRIORITY, getPriority() + niceness))
  } catch {
    // It has ended already, which is told otherwise.
  }
}
