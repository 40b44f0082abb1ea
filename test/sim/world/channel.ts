/**
 * The channel between two processes of one host: order is kept, messages without a listener wait, and the death of one
 * end reaches the other behind everything that was sent before.
 */
import type { Link } from '../../../lib/ha/words/messages.ts'
import type { SimProcess } from './process.ts'

/** Frequent and free of values that JSON changes; all others are sent through it, as a real channel does. */
const PLAIN = new Set(['ping', 'pong', 'picture', 'lease', 'commit', 'committed', 'log'])
const LATENCY_MS = 0.15
/** And that long at most. */
export const SLOW_MS = 15
const SLOW_SHARE = 0.005

interface Typed {
  readonly type: string
}

export class End<Out extends Typed, In extends Typed> implements Link<Out, In> {
  readonly #own: SimProcess
  readonly #peer: SimProcess
  #other: End<In, Out> | null = null
  #first: ((message: In) => void) | null = null
  #listeners: ((message: In) => void)[] = []
  #closers: (() => void)[] = []
  #waiting: In[] = []
  #closed = false
  #sentMs = 0

  constructor(own: SimProcess, peer: SimProcess) {
    this.#own = own
    this.#peer = peer
    own.onDeath(() => this.#post(() => this.#other?.close()))
  }
  join(other: End<In, Out>): void {
    this.#other = other
  }

  send(message: Out): void {
    if (!this.#own.alive || !this.#peer.alive) return
    const copy = PLAIN.has(message.type) ? message : (JSON.parse(JSON.stringify(message)) as Out)
    this.#post(() => this.#other?.receive(copy))
  }
  onMessage(listener: (message: In) => void): void {
    this.#listeners.push(listener)
    for (const message of this.#waiting.splice(0)) this.receive(message)
  }
  /** Takes one message, before there is any listener. */
  onFirst(listener: (message: In) => void): void {
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#first = listener
    else listener(waiting)
  }
  onClose(listener: () => void): void {
    this.#closers.push(listener)
    if (this.#closed) listener()
  }

  receive(message: In): void {
    if (this.#first !== null) {
      const first = this.#first
      this.#first = null
      first(message)
      return
    }
    if (this.#listeners.length === 0) this.#waiting.push(message)
    for (const listener of this.#listeners) listener(message)
  }
  close(): void {
    this.#closed = true
    for (const closer of this.#closers) closer()
  }

  #post(run: () => void): void {
    const { timeline, random } = this.#own.host
    const latencyMs = random.chance(SLOW_SHARE) ? SLOW_MS * random.next() : LATENCY_MS
    this.#sentMs = Math.max(this.#sentMs, timeline.nowMs + latencyMs)
    const job = {
      kind: 'message' as const,
      run: () => {
        run()
        return true
      },
    }
    timeline.at(this.#sentMs, () => this.#peer.deliver(job))
  }
}

/** Both ends, the first one for `a`. */
export function channel<A extends Typed, B extends Typed>(
  a: SimProcess,
  b: SimProcess,
): [End<A, B>, End<B, A>] {
  const one = new End<A, B>(a, b)
  const two = new End<B, A>(b, a)
  one.join(two)
  two.join(one)
  return [one, two]
}
