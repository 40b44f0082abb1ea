/**
 * Long work in slices: whatever grows with the catalog is done a few milliseconds at a time, and between two slices the
 * event loop has its turn, so that pongs, heartbeats and health checks are answered meanwhile. Others run between two
 * slices: what is iterated must be a value that nobody changes (a state of the catalog), or the caller must bear it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { pause, waitingClock } from './time.ts'

/** What slicing depends on, so that tests can hold it in their hands. */
export interface Turns {
  /** Milliseconds with fraction; never goes back. */
  nowMs(): number
  /** Resolves when everything else that was due has run. */
  turn(): Promise<unknown>
}

export const eventLoop: Turns = { nowMs: waitingClock.nowMs, turn: () => nextTurn() }

/** For what nobody waits for: it leaves the processor to others for longer than it takes it. */
export const background: Turns = {
  nowMs: eventLoop.nowMs,
  turn: () => pause(waitingClock, REST_MS),
}

/**
 * For what can wait until there are no `others` any more, which would be slower for it. It waits `MOST_WAITED_MS` in all:
 * whoever says for longer that they are there may be wrong.
 */
export function yieldingTo(others: () => boolean, rest: Turns = background): Turns {
  let waitedMs = 0
  return {
    nowMs: eventLoop.nowMs,
    turn: async () => {
      await eventLoop.turn()
      while (waitedMs < MOST_WAITED_MS && others()) {
        const sinceMs = rest.nowMs()
        await rest.turn()
        waitedMs += rest.nowMs() - sinceMs
      }
    },
  }
}

const MOST_WAITED_MS = 600_000

/** It rests so long after a slice, and takes a fifth of a core, however long it goes on. */
const REST_MS = 20

/** A slice's length in ms: several jobs at once, and the collector's pauses, still keep the loop's turns below 50 ms. */
const SLICE_MS = 5

/** For work that is asynchronous anyway: `if (slices.isOver) await slices.turn()` between two of its steps. */
export class Slices {
  readonly #turns: Turns
  #endMs: number

  constructor(turns: Turns = eventLoop) {
    this.#turns = turns
    this.#endMs = turns.nowMs() + SLICE_MS
  }

  /** Whether the slice that began at the last turn has had its time. */
  get isOver(): boolean {
    return this.#turns.nowMs() >= this.#endMs
  }

  async turn(): Promise<void> {
    await this.#turns.turn()
    this.#endMs = this.#turns.nowMs() + SLICE_MS
  }
}

/** Sorted by the order of their code units, as `sort` does it. */
export async function sortedInSlices(
  words: Iterable<string>,
  turns: Turns = eventLoop,
): Promise<string[]> {
  let runs: string[][] = []
  let run: string[] = []
  await inSlices(
    words,
    (word) => {
      if (run.length === RUN) run = []
      if (run.push(word) === 1) runs.push(run)
    },
    turns,
  )
  await inSlices(runs, (each) => each.sort(), turns)
  while (runs.length > 1) {
    const merged: string[][] = []
    for (let at = 0; at < runs.length; at += 2) {
      const both: string[] = []
      await inSlices(merge(runs[at] ?? [], runs[at + 1] ?? []), (word) => both.push(word), turns)
      merged.push(both)
    }
    runs = merged
  }
  return runs[0] ?? []
}

/** So many are sorted in one piece. */
const RUN = 1000

function* merge(left: readonly string[], right: readonly string[]): Iterable<string> {
  let at = 0
  for (const word of left) {
    for (let next = right[at]; next !== undefined && next < word; next = right[at]) {
      yield next
      at += 1
    }
    yield word
  }
  for (; at < right.length; at += 1) yield right[at] ?? ''
}

/**
 * Calls `take` for each item, in order; rejects with what the items or `take` throw, and takes nothing after that. One
 * step of the items with its `take` is never divided: it has to be small. Items may be a generator that does the work
 * itself and yields where it may be interrupted.
 */
export async function inSlices<T>(
  items: Iterable<T>,
  take: (item: T) => void = () => {},
  turns: Turns = eventLoop,
): Promise<void> {
  const slices = new Slices(turns)
  for (const item of items) {
    take(item)
    if (slices.isOver) await slices.turn()
  }
}
