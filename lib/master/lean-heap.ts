/**
 * Whoever does not serve keeps little garbage. A backup reads whole catalogs, and a heap that has just grown that fast
 * may keep as much again as is in use, for half a minute. When such a master is killed, nothing that others watch closes
 * before the kernel has all its memory back: what it did not need makes the take-over later.
 *
 * The active leaves it to V8, from its opening on: there each collection costs its clients more than garbage does.
 */
import { setFlagsFromString } from 'node:v8'

/** Of what is in use after a collection, before the next begins; V8's own choice is up to 300. */
const LEAN_PERCENT = 35

/** It holds for the whole process. V8 follows it from the end of its next collection on. */
export function keepHeapLean(lean: boolean): void {
  setFlagsFromString(`--heap-growing-percent=${lean ? LEAN_PERCENT : 0}`)
}
