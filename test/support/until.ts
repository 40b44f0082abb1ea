/**
 * Waiting for something to become true, instead of sleeping and hoping. The bound is there to end a broken test, so it
 * is generous; how long something took is asserted by no test.
 */
import { setTimeout as sleep } from 'node:timers/promises'

export const GENEROUS_MS = 60_000

/** Asks `question` until it answers something true and resolves to that; rejects after `timeoutMs` naming `what`. */
export async function until<T>(
  what: string,
  question: () => Promise<T> | T,
  options: { readonly timeoutMs?: number; readonly everyMs?: number } = {},
): Promise<NonNullable<T>> {
  const timeoutMs = options.timeoutMs ?? GENEROUS_MS
  const end = performance.now() + timeoutMs
  let lastError: unknown
  while (performance.now() < end) {
    try {
      const answer = await question()
      if (answer) return answer as NonNullable<T>
    } catch (error) {
      lastError = error
    }
    await sleep(options.everyMs ?? 20)
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: lastError })
}
