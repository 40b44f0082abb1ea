/**
 * Virtual time: events in a binary heap, run one after the other; equal times in the order of their making.
 *
 * Code under test goes on in promise jobs, and all of them have to be done before the next event. A job that asks for
 * `process.nextTick` gets its turn only when no promise job is left: that is a complete drain for a tenth of the price
 * of a turn of the event loop. Events that touch no code under test (`run` answers false) need no drain.
 */
export interface TimelineEvent {
  readonly atMs: number
  readonly seq: number
  /** True when code under test was run. */
  readonly run: () => boolean
  cancelled: boolean
}

/** So many events within one millisecond are a loop that never ends. */
const MOST_PER_MS = 20_000

export class Timeline {
  nowMs = 0
  /** Events run so far. */
  count = 0
  /** Called after each drain. */
  afterTurn: () => void = () => {}
  #heap: TimelineEvent[] = []
  #seq = 0
  #marked = { count: 0, ms: 0 }
  #stopped = false

  at(atMs: number, run: () => boolean): TimelineEvent {
    this.#seq += 1
    const event = { atMs: Math.max(atMs, this.nowMs), seq: this.#seq, run, cancelled: false }
    push(this.#heap, event)
    return event
  }

  after(delayMs: number, run: () => boolean): TimelineEvent {
    return this.at(this.nowMs + delayMs, run)
  }

  stop(): void {
    this.#stopped = true
  }

  /** Runs until `stop`, the end of all events, or `untilMs`, which may be over already. Rejects with what an event throws. */
  runUntil(untilMs: number): Promise<void> {
    this.#stopped = false
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        try {
          if (this.#runToUserCode(untilMs)) {
            queueMicrotask(drained)
            return
          }
        } catch (error) {
          reject(error)
          return
        }
        resolve()
      }
      const nextTurn = (): void => {
        try {
          this.afterTurn()
        } catch (error) {
          reject(error)
          return
        }
        turn()
      }
      const drained = (): void => process.nextTick(nextTurn)
      process.nextTick(turn)
    })
  }

  /** True when code under test was run, false when there is nothing more to do. */
  #runToUserCode(untilMs: number): boolean {
    while (!this.#stopped) {
      const next = this.#heap[0]
      if (next === undefined || next.atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs)
        return false
      }
      pop(this.#heap)
      if (next.cancelled) continue
      this.nowMs = next.atMs
      this.count += 1
      this.#refuseLoop()
      if (next.run()) return true
    }
    return false
  }

  #refuseLoop(): void {
    const marked = this.#marked
    if (this.nowMs - marked.ms > 1) this.#marked = { count: this.count, ms: this.nowMs }
    else if (this.count - marked.count > MOST_PER_MS) {
      throw new Error(`${MOST_PER_MS} events within a millisecond, at ${this.nowMs} ms`)
    }
  }
}

const before = (a: TimelineEvent, b: TimelineEvent): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.seq < b.seq)

function push(heap: TimelineEvent[], event: TimelineEvent): void {
  let at = heap.length
  heap.push(event)
  while (at > 0) {
    const up = (at - 1) >> 1
    const parent = heap[up] as TimelineEvent
    if (before(parent, event)) break
    heap[at] = parent
    at = up
  }
  heap[at] = event
}

function pop(heap: TimelineEvent[]): void {
  const last = heap.pop()
  const size = heap.length
  if (last === undefined || size === 0) return
  let at = 0
  for (;;) {
    let down = 2 * at + 1
    if (down >= size) break
    const right = down + 1
    if (right < size && before(heap[right] as TimelineEvent, heap[down] as TimelineEvent))
      down = right
    const child = heap[down] as TimelineEvent
    if (before(last, child)) break
    heap[at] = child
    at = down
  }
  heap[at] = last
}
