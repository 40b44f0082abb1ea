/**
 * A name in the pid directory by which a running daemon is found, such as its pid file and its admin socket, is looked for
 * once a period and made again where somebody has removed it: an age cleaner, a hand. Without it commands and scripts would
 * take the daemon for one that does not run, start a second one, and nobody could give it an order.
 */
import { lstat } from 'node:fs/promises'
import type { DaemonLog } from './log.ts'

export interface StandingName {
  readonly path: string
  /** For people: `the pid file`. */
  readonly what: string
  /** The name is not there. Rejects with what is in the way. */
  readonly make: () => Promise<void>
}

export const LOOK_AGAIN_MS = 1000

/** Looks until it is stopped. A look that hangs is not joined by others. */
export function keepStanding(
  { path, what, make }: StandingName,
  log: DaemonLog['log'],
  everyMs = LOOK_AGAIN_MS,
): { stop(): void } {
  let busy = false
  let trouble = ''
  let stopped = false
  const look = async (): Promise<void> => {
    try {
      await lstat(path)
      trouble = ''
    } catch (error) {
      if (stopped || (error as NodeJS.ErrnoException).code !== 'ENOENT') return
      await make()
      log('warn', `${what} ${path} was removed, and was made again: something removes files there`)
    }
  }
  const timer = setInterval(() => {
    if (busy) return
    busy = true
    look()
      .catch((error: Error) => {
        if (error.message !== trouble) {
          log('error', `${what} ${path} was removed, and can't be made again: ${error.message}`)
        }
        trouble = error.message
      })
      .finally(() => {
        busy = false
      })
  }, everyMs)
  timer.unref()
  return {
    stop: () => {
      stopped = true
      clearInterval(timer)
    },
  }
}
