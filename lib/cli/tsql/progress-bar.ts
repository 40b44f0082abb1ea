/** How far a query is, on a terminal, once it has taken long enough for somebody to wonder. */
import type { Clock } from '../../base/clock.ts'
import type { Terminal } from './terminal.ts'

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

  /** `progress` from 0 to 1; `state` in a word. */
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
