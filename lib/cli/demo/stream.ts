/**
 * The demo's stop-watch: one status request after the other, each repeated until a master that is active answers it, so
 * that the gap is known to some milliseconds.
 */
import { pause, waitingClock } from '../../base/time.ts'
import { exchange, NoAnswer } from '../sight/http.ts'

/** One answered request; times are those of `performance.now()`. */
export interface Answered {
  readonly atMs: number
  readonly port: number
  readonly epoch: number
  /** How often it had to be sent again. */
  readonly repeats: number
}

/** A frozen master never answers, so no request may wait for one. */
const REQUEST_MS = 500
const REPEAT_MS = 2
const BETWEEN_MS = 5

export class DemoStream {
  readonly answers: Answered[] = []
  readonly #ports: readonly number[]
  #stopped = false
  #port: number
  #loop: Promise<void> | null = null

  /** `ports` are the masters' client RPC ports. */
  constructor(ports: readonly number[]) {
    this.#ports = ports
    this.#port = ports[0] ?? 0
  }

  start(): void {
    this.#loop = this.#run()
  }

  /** Ends after the request under way is given up or answered. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#loop
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      await this.#request()
      await pause(waitingClock, BETWEEN_MS)
    }
  }

  async #request(): Promise<void> {
    for (let repeats = 0; !this.#stopped; repeats++) {
      const port = this.#port
      const epoch = await askOnce(port)
      if (epoch !== null) {
        this.answers.push({ atMs: performance.now(), port, epoch, repeats })
        return
      }
      this.#port = this.#ports[(this.#ports.indexOf(port) + 1) % this.#ports.length] ?? port
      await pause(waitingClock, REPEAT_MS)
    }
  }
}

/** Asks for the term of the active master on that port; null where nobody answers or one that isn't active. */
async function askOnce(port: number): Promise<number | null> {
  try {
    const target = { host: 'localhost', port, isKeyed: true }
    const { status, body } = await exchange(target, '/rpc/client/status', {
      method: 'POST',
      body: {},
      deadlineMs: REQUEST_MS,
    })
    const epoch = (body as { epoch?: unknown } | null)?.epoch
    return status === 200 && typeof epoch === 'number' ? epoch : null
  } catch (error) {
    if (error instanceof NoAnswer) return null
    throw error
  }
}
