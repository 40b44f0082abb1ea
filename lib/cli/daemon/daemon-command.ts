/**
 * A daemon in the foreground, from its plan to its end: log, pid file, signals, then its life. Whatever fails is one
 * sentence on stderr and an exit code, and leaves nothing behind. When it is up it prints a line that begins with
 * `ready`, and writes a word into the pipe that its start script waits at: what is printed may go to a full disk. This
 * never returns: a daemon ends its process itself (daemon/run.ts tells why).
 */
import { closeSync, fstatSync, writeSync } from 'node:fs'
import {
  type DaemonLog,
  keepStanding,
  type LogLimits,
  openDaemonLog,
  runDaemon,
  takePidFile,
} from '../../daemon/index.ts'
import type { CommandContext } from '../arguments.ts'
import { describeError, oneLine } from '../exit.ts'

/** Begins the end of this process. */
export type End = (why: string, code: number) => void

export interface DaemonLife {
  /** Rejects with an Error that says what to do; `stop` cleans up then. */
  start(end: End): Promise<void>
  stop(why: string): Promise<void>
  /** The configuration may have changed. */
  reload(): void
  /** What follows the word `ready`. */
  readonly ready: string
}

interface DaemonCommand {
  readonly plan: {
    readonly logFile: string
    readonly pidFile: string
    readonly logLimits: LogLimits
  }
  /** `tajo.rootdir`: which cluster's daemon it is. */
  readonly rootDirectory: string
  /** Stands in each line of the log. */
  readonly base: Readonly<Record<string, unknown>>
  readonly warnings: readonly string[]
  readonly life: (log: DaemonLog) => DaemonLife
}

export async function runDaemonCommand(
  { output }: CommandContext,
  { plan, rootDirectory, base, warnings, life: begin }: DaemonCommand,
): Promise<never> {
  const log = openDaemonLog({
    ...plan.logLimits,
    file: plan.logFile,
    base: { pid: process.pid, ...base },
    terminal: process.stderr.isTTY ? process.stderr : null,
    onTrouble: (message) => output.err(`tajo: ${message}`),
  })
  const pidFile = await takePidFile(plan.pidFile, rootDirectory)
  const standing = keepStanding(
    { path: pidFile.path, what: 'the pid file', make: () => pidFile.putBack() },
    log.log,
  )
  outliveReaders()
  const life = begin(log)
  const daemon = runDaemon({
    log,
    stop: (why) => life.stop(why),
    reload: () => life.reload(),
    tidy: () => {
      standing.stop()
      pidFile.remove()
    },
  })
  for (const warning of warnings) log.log('warn', warning, { event: 'conf-doubtful' })
  try {
    await life.start((why, code) => daemon.end(why, code))
    if (!daemon.ending) {
      output.out(`ready ${life.ready}`)
      tellStarter()
    }
  } catch (thrown) {
    if (!daemon.ending) {
      const { message, exitCode } = describeError(thrown)
      output.err(`tajo: ${oneLine(message)}`)
      log.log('error', message, { event: 'start-failed' })
      daemon.end('the start failed', exitCode)
    }
  }
  return new Promise<never>(() => {})
}

/** `TAJO_READY_FD` is the pipe of `sbin/tajo-daemon.sh`; whoever starts a daemon otherwise has none. */
function tellStarter(): void {
  const fd = Number(process.env.TAJO_READY_FD ?? '')
  if (!Number.isInteger(fd) || fd <= 2) return
  try {
    if (!fstatSync(fd).isFIFO()) return
    writeSync(fd, 'ready\n')
    closeSync(fd)
  } catch {
    // The variable came from elsewhere, and no pipe with it: nobody waits there.
  }
}

/** A daemon whose terminal or log reader went away goes on: what it had to print is in its log too. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error')
    stream.on('error', () => undefined)
  }
}
