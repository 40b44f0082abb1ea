/**
 * What a terminal shows of a statement that takes long enough for somebody to wonder: how far it is; one line, and why,
 * where it waits for a worker and no bar shows that; one line where its changes wait, since the catalog's store does not
 * answer or refuses.
 */
import type { Clock } from '../../base/time.ts'
import type { TajoClient } from '../../client/index.ts'
import type { Terminal } from './terminal.ts'

/** The master tells of it after a second. */
const FIRST_MS = 1100
const EVERY_MS = 5000

export class TroubleNotice {
  readonly #client: Pick<TajoClient, 'trouble'>
  readonly #terminal: Pick<Terminal, 'err'>
  readonly #clock: Clock
  #cancel = (): void => {}
  #closed = false

  constructor(client: Pick<TajoClient, 'trouble'>, terminal: Pick<Terminal, 'err'>, clock: Clock) {
    this.#client = client
    this.#terminal = terminal
    this.#clock = clock
    this.#askIn(FIRST_MS)
  }

  /** The statement waits no more. */
  close(): void {
    this.#closed = true
    this.#cancel()
  }

  #askIn(delayMs: number): void {
    this.#cancel = this.#clock.after(delayMs, () => void this.#ask())
  }

  async #ask(): Promise<void> {
    // What keeps the master from answering is the statement's to tell.
    const trouble = await this.#client.trouble().catch(() => null)
    if (this.#closed) return
    if (trouble === null) this.#askIn(EVERY_MS)
    else this.#terminal.err(`tsql: ${trouble}`)
  }
}

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

const SHOWN_AFTER_MS = 500
const REDRAWN_EVERY_MS = 200
const CELLS = 30

export class ProgressBar {
  readonly #redraw: (text: string) => void
  readonly #clock: Clock
  readonly #sinceMs: number
  #progress = 0
  #state = ''
  #drawn = false
  #cancel = (): void => {}

  private constructor(redraw: (text: string) => void, clock: Clock) {
    this.#redraw = redraw
    this.#clock = clock
    this.#sinceMs = clock.nowMs()
    this.#later(SHOWN_AFTER_MS)
  }

  /** Null where nobody would see it. */
  static on(terminal: Terminal, clock: Clock): ProgressBar | null {
    return terminal.redraw === null ? null : new ProgressBar(terminal.redraw, clock)
  }

  /** `progress` goes from 0 to 1; `state` is a word. */
  update(progress: number, state: string): void {
    this.#progress = Math.min(1, Math.max(0, progress))
    this.#state = state
  }

  /** Takes it away. */
  clear(): void {
    this.#cancel()
    if (this.#drawn) this.#redraw('')
    this.#drawn = false
  }

  #later(ms: number): void {
    this.#cancel = this.#clock.after(ms, () => {
      this.#drawn = true
      const seconds = ((this.#clock.nowMs() - this.#sinceMs) / 1000).toFixed(1)
      const full = Math.round(this.#progress * CELLS)
      const bar = '#'.repeat(full) + '.'.repeat(CELLS - full)
      this.#redraw(`[${bar}] ${Math.floor(this.#progress * 100)}%  ${seconds} s  ${this.#state}`)
      this.#later(REDRAWN_EVERY_MS)
    })
  }
}
