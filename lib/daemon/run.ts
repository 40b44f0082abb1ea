/**
 * A daemon's signals: the first TERM or INT asks for an end in good order, the second ends it at once. HUP reopens the
 * log. An error that nobody caught ends it at once, too: a process whose state is unknown must not go on serving, and
 * its keeper's word lets the next one take over.
 *
 * How its process ends: `process.exit` waits for Node's file threads. With one call hanging on a dead mount it never returns, while the
 * process still accepts connections on its ports (measured). SIGKILL to oneself always ends it, but takes the exit code
 * with it. So: where no thread is busy, exit with the right code; where one is, give it a moment, then SIGKILL.
 */
import { pause, waitingClock } from '../base/time.ts'
import type { DaemonLog } from './log.ts'

/** What occupies a file thread, in the words of `process.getActiveResourcesInfo`. */
const THREAD_WORK = /^(FSReq|GetAddrInfoReq|GetNameInfoReq)/
const POLL_MS = 5

interface Ending {
  /** Kinds of work that keep a file thread busy now. */
  readonly busy: () => readonly string[]
  readonly exit: (code: number) => never
  readonly kill: () => void
}

const realEnding: Ending = {
  busy: () => process.getActiveResourcesInfo().filter((name) => THREAD_WORK.test(name)),
  exit: (code) => process.exit(code),
  kill: () => process.kill(process.pid, 'SIGKILL'),
}

/** Ends this process: with `code` if no file call hangs for longer than `patienceMs`, by SIGKILL otherwise. */
export async function leave(
  code: number,
  patienceMs: number,
  ending: Ending = realEnding,
): Promise<void> {
  const endMs = performance.now() + patienceMs
  while (ending.busy().length > 0 && performance.now() < endMs) {
    await pause(waitingClock, POLL_MS)
  }
  leaveNow(code, ending)
}

/** Does the same without patience. */
function leaveNow(code: number, ending: Ending = realEnding): void {
  if (ending.busy().length === 0) ending.exit(code)
  ending.kill()
}

interface DaemonHooks {
  readonly log: DaemonLog
  /** The end in good order; may take its time, a second signal cuts it short. */
  readonly stop: (why: string) => Promise<void>
  /** HUP: the log is opened anew already. */
  readonly reload: () => void
  /** Last small steps of every end that is not a crash, such as removing the pid file. Must not wait for anything. */
  readonly tidy: () => void
}

interface Daemon {
  /** Its end has begun. */
  readonly ending: boolean
  /** Begins the end in good order, then leaves with `code`. What is called later changes nothing. */
  end(why: string, code: number): void
}

const FLUSH_MS = 1000
const PATIENCE_MS = 1000
/** As a shell reports a process that a signal ended. */
const SIGNAL_CODES = { SIGTERM: 143, SIGINT: 130 } as const

/** Takes over this process's signals and its end. */
export function runDaemon(hooks: DaemonHooks): Daemon {
  const { log, stop, reload, tidy } = hooks
  let ending = false

  const end = (why: string, code: number): void => {
    if (ending) return
    ending = true
    const finish = async (): Promise<void> => {
      let result = code
      try {
        await stop(why)
      } catch (error) {
        log.log('error', 'the end in good order failed', { event: 'stop-failed', error })
        result = 1
      }
      tidy()
      log.log('info', 'ended', { event: 'daemon-ended' })
      await log.flush(FLUSH_MS)
      await leave(result, PATIENCE_MS)
    }
    void finish()
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (!ending) {
        end(`got ${signal}`, 0)
        return
      }
      log.lastWords(`got ${signal} a second time: ending at once`, { event: 'daemon-cut-short' })
      tidy()
      leaveNow(SIGNAL_CODES[signal])
    })
  }
  process.on('SIGHUP', () => {
    log.reopen()
    log.log('info', 'got SIGHUP: the log is opened anew', { event: 'log-reopened' })
    reload()
  })
  const crash = (error: unknown): void => {
    log.lastWords('a mistake in the software ends this process', { event: 'daemon-crashed', error })
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    leaveNow(1)
  }
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
  return {
    end,
    get ending() {
      return ending
    },
  }
}
