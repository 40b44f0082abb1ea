/**
 * Tells the active master how a worker's process has ended. A worker can't say so itself when it is killed or crashes, and
 * its host looks as alive as before; what it ran goes on elsewhere only where the master knows better than that.
 */
import { type Clock, pause } from '../base/time.ts'
import type { Ended } from '../contract/index.ts'
import type { Masters } from './masters.ts'

const AGAIN_MS = 100
const CALL_MS = 2000

/** Resolves when a master has heard it; rejects when `signal` aborts before. */
export async function tellEnd(
  masters: Pick<Masters, 'findActive'>,
  ended: Ended,
  {
    clock,
    signal,
  }: {
    readonly clock: Clock
    readonly signal: AbortSignal
  },
): Promise<void> {
  let why: unknown = new Error('no master is active')
  for (;;) {
    if (signal.aborted) throw why
    const active = await masters.findActive(signal)
    try {
      if (active !== null) {
        await active.tracker.call('ended', ended, { deadlineMs: CALL_MS, signal })
        return
      }
    } catch (error) {
      // It may be stepping down: the next one is told.
      why = error
    }
    await pause(clock, AGAIN_MS, signal)
  }
}
