/** One line about a statement that waits because its changes have to: the catalog's store does not answer, or refuses. */
import type { Clock } from '../../base/clock.ts'
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
