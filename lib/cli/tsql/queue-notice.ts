/** One line about a statement that waits for a worker for long, and why, where no progress bar shows that it waits. */
import type { Clock } from '../../base/clock.ts'
import type { TajoClient } from '../../client/index.ts'
import type { Terminal } from './terminal.ts'

const TOLD_AFTER_MS = 2000

type Workers = Awaited<ReturnType<TajoClient['workers']>>

export class QueueNotice {
  readonly #client: Pick<TajoClient, 'workers'>
  readonly #terminal: Terminal
  readonly #clock: Clock
  readonly #sinceMs: number
  #asked = false
  #closed = false

  constructor(client: Pick<TajoClient, 'workers'>, terminal: Terminal, clock: Clock) {
    this.#client = client
    this.#terminal = terminal
    this.#clock = clock
    this.#sinceMs = clock.nowMs()
  }

  /** To be called now and then while it waits. */
  queued(): void {
    if (this.#asked || this.#clock.nowMs() - this.#sinceMs < TOLD_AFTER_MS) return
    this.#asked = true
    void this.#client.workers().then(
      (workers) => {
        if (!this.#closed) this.#terminal.err(`tsql: waiting for a worker: ${why(workers)}`)
      },
      // What keeps the master from answering is the statement's to tell.
      () => {},
    )
  }

  /** It waits no more. */
  close(): void {
    this.#closed = true
  }
}

function why(workers: Workers): string {
  if (workers.length === 0) return 'none is registered'
  const live = workers.filter(({ state }) => state === 'live')
  if (live.length === 0) return `none of ${workers.length} is heard from`
  const slots = live.reduce((sum, worker) => sum + worker.slots, 0)
  return `the ${slots} slots of the ${live.length} registered are taken`
}
