/** Reads a file that several masters may make at their start: one of them makes it, and the others take what it says. */
import { pause } from '../world/clock.ts'
import type { Clock, Disk } from '../world/ports.ts'

const TRIES = 20
const PAUSE_MS = 25

/**
 * Another master may be between its create and its write: a text without its last line end is read again for a while.
 * Empty where there is none.
 */
export async function readWhole(disk: Disk, clock: Clock, path: string): Promise<string> {
  for (let tries = 0; ; tries += 1) {
    const text = await disk.read('setup', path)
    if (text !== 'missing' && (text.endsWith('\n') || tries === TRIES)) return text
    if (text === 'missing' && tries === TRIES) return ''
    await pause(clock, PAUSE_MS)
  }
}
