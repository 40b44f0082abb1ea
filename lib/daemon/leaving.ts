/**
 * How a daemon's process ends.
 *
 * `process.exit` waits for Node's file threads. With one call hanging on a dead mount it never returns, while the
 * process still accepts connections on its ports (measured). SIGKILL to oneself always ends it,
 * but takes the exit code with it. So: where no thread is busy, exit with the right code; where one is, give it a
 * moment, then SIGKILL.
 */

/** What occupies a file thread, in the words of `process.getActiveResourcesInfo`. */
const THREAD_WORK = /^(FSReq|GetAddrInfoReq|GetNameInfoReq)/
const POLL_MS = 5

export interface Ending {
  /** Kinds of work that keep a file thread busy now. */
  readonly busy: () => readonly string[]
  readonly exit: (code: number) => never
  readonly kill: () => void
}

export const realEnding: Ending = {
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
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  leaveNow(code, ending)
}

/** The same without patience. */
export function leaveNow(code: number, ending: Ending = realEnding): void {
  if (ending.busy().length === 0) ending.exit(code)
  ending.kill()
}
