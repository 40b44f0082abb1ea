/** How the demo sees that something has happened: it looks again and again, for so long and no longer. */
import { setTimeout as sleep } from 'node:timers/promises'
import { failure } from '../exit.ts'

const POLL_MS = 10

/** What `look` finds; rejects with `what` in its sentence when it has found nothing within `limitMs`. */
export async function until<T>(
  limitMs: number,
  what: string,
  look: () => Promise<T | null>,
): Promise<T> {
  const endMs = performance.now() + limitMs
  for (;;) {
    const found = await look()
    if (found !== null) return found
    if (performance.now() > endMs) throw failure(`not seen within ${limitMs} ms: ${what}`)
    await sleep(POLL_MS)
  }
}
